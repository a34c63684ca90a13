//! Log pages of an NVMe controller (`include/uapi/linux/nvme_ioctl.h`, NVM Express base specification 5.16.1).

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use std::path::Path;

/// `struct nvme_passthru_cmd`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Command {
    opcode: u8,
    flags: u8,
    reserved: u16,
    nsid: u32,
    cdw2: u32,
    cdw3: u32,
    metadata: u64,
    addr: u64,
    metadata_len: u32,
    data_len: u32,
    cdw10: u32,
    cdw11: u32,
    cdw12: u32,
    cdw13: u32,
    cdw14: u32,
    cdw15: u32,
    timeout_ms: u32,
    result: u32,
}

const ADMIN_CMD: Opcode = opcode::read_write::<Command>(b'N', 0x41);

/// The SMART / health information page of the whole controller, through its character device.
pub(crate) fn health_log(device: &Path, timeout_ms: u32) -> rustix::io::Result<[u8; 512]> {
    const GET_LOG_PAGE: u8 = 0x02;
    const HEALTH: u32 = 0x02;
    const ALL_NAMESPACES: u32 = 0xffff_ffff;
    let fd = open(device)?;
    let mut page = [0; 512];
    let mut command = Command {
        opcode: GET_LOG_PAGE,
        nsid: ALL_NAMESPACES,
        addr: page.as_mut_ptr().addr() as u64,
        data_len: page.len() as u32,
        // The number of double words less one stands in the upper half.
        cdw10: (page.len() as u32 / 4 - 1) << 16 | HEALTH,
        timeout_ms,
        ..Command::default()
    };
    page.as_mut_ptr().expose_provenance();
    // SAFETY: the kernel reads and fills an nvme_passthru_cmd of 72 bytes, which Command is, and writes at most
    // `data_len` bytes to `addr`, which is `page` and outlives the call.
    unsafe { ioctl(fd.as_fd(), Updater::<ADMIN_CMD, Command>::new(&mut command)) }?;
    Ok(page)
}

/// Opens a device node so that no wait for media or a peer holds us.
pub(super) fn open(device: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(device, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_number() {
        assert_eq!((ADMIN_CMD, size_of::<Command>()), (0xc048_4e41, 72));
    }

    #[test]
    fn no_controller() {
        assert!(health_log(Path::new("/dev/null"), 100).is_err());
    }
}
