//! ATA commands to a disk through the SCSI layer (`include/scsi/sg.h`, SAT-3 12.2.2 ATA PASS-THROUGH (16)).

use super::nvme::open;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};
use std::ffi::{c_int, c_uint, c_void};
use std::path::Path;

/// `struct sg_io_hdr`.
#[repr(C)]
struct Header {
    interface_id: c_int,
    dxfer_direction: c_int,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: c_uint,
    dxferp: *mut c_void,
    cmdp: *mut c_void,
    sbp: *mut c_void,
    timeout: c_uint,
    flags: c_uint,
    pack_id: c_int,
    usr_ptr: *mut c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: c_int,
    duration: c_uint,
    info: c_uint,
}

const SG_IO: Opcode = 0x2285;

/// One ATA command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ata {
    pub(crate) command: u8,
    pub(crate) features: u8,
    pub(crate) count: u8,
    pub(crate) lba: [u8; 3],
}

/// The registers after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) count: u8,
    pub(crate) lba: [u8; 3],
}

/// A disk's block device.
pub(crate) struct Disk {
    fd: OwnedFd,
    timeout_ms: u32,
}

impl Disk {
    pub(crate) fn open(device: &Path, timeout_ms: u32) -> rustix::io::Result<Self> {
        Ok(Self { fd: open(device)?, timeout_ms })
    }

    /// A command that answers with one sector.
    pub(crate) fn read(&self, ata: Ata) -> rustix::io::Result<[u8; 512]> {
        const PIO_DATA_IN: u8 = 4;
        // The count field holds the length, in blocks, from the device.
        const ONE_BLOCK_IN: u8 = 0x08 | 0x04 | 0x02;
        let mut sector = [0; 512];
        self.pass(ata, PIO_DATA_IN, ONE_BLOCK_IN, &mut sector)?;
        Ok(sector)
    }

    /// A command without data, and the registers that it leaves.
    pub(crate) fn ask(&self, ata: Ata) -> rustix::io::Result<Registers> {
        const NON_DATA: u8 = 3;
        const CHECK_CONDITION: u8 = 0x20;
        let sense = self.pass(ata, NON_DATA, CHECK_CONDITION, &mut [])?;
        registers(&sense).ok_or(Errno::IO)
    }

    fn pass(&self, ata: Ata, protocol: u8, flags: u8, data: &mut [u8]) -> rustix::io::Result<[u8; 32]> {
        const ATA_PASS_THROUGH_16: u8 = 0x85;
        const CHECK_CONDITION: u8 = 0x02;
        let (none, from_device): (c_int, c_int) = (-1, -3);
        let [low, mid, high] = ata.lba;
        let mut cdb = [
            ATA_PASS_THROUGH_16,
            protocol << 1,
            flags,
            0,
            ata.features,
            0,
            ata.count,
            0,
            low,
            0,
            mid,
            0,
            high,
            0,
            ata.command,
            0,
        ];
        let mut sense = [0u8; 32];
        let mut header = Header {
            interface_id: c_int::from(b'S'),
            dxfer_direction: if data.is_empty() { none } else { from_device },
            cmd_len: cdb.len() as u8,
            mx_sb_len: sense.len() as u8,
            iovec_count: 0,
            dxfer_len: data.len() as c_uint,
            dxferp: data.as_mut_ptr().cast(),
            cmdp: cdb.as_mut_ptr().cast(),
            sbp: sense.as_mut_ptr().cast(),
            timeout: self.timeout_ms,
            flags: 0,
            pack_id: 0,
            usr_ptr: std::ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        };
        // SAFETY: the kernel reads and fills an sg_io_hdr, which Header is, and reads or writes no more than the lengths
        // it holds at its three pointers, all of which outlive the call.
        unsafe { ioctl(self.fd.as_fd(), Updater::<SG_IO, Header>::new(&mut header)) }?;
        // A command with registers to show ends with a check condition that is none; see registers().
        let shows_registers = flags & 0x20 != 0 && header.status == CHECK_CONDITION;
        if header.host_status != 0 || (header.status != 0 && !shows_registers) {
            return Err(Errno::IO);
        }
        Ok(sense)
    }
}

/// The registers out of sense data, in descriptor or in fixed format (since Linux 6.11 the disk's D_SENSE decides).
fn registers(sense: &[u8; 32]) -> Option<Registers> {
    match sense[0] & 0x7f {
        // One ATA status return descriptor of 14 bytes.
        0x72 if sense[8] == 0x09 => Some(Registers { count: sense[13], lba: [sense[15], sense[17], sense[19]] }),
        0x70 => Some(Registers { count: sense[6], lba: [sense[9], sense[10], sense[11]] }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_kernel_s_size() {
        assert_eq!(size_of::<Header>(), 88);
    }

    #[test]
    fn sense_data() {
        let mut sense = [0; 32];
        sense[..22]
            .copy_from_slice(&[0x72, 0, 0, 0x1d, 0, 0, 0, 14, 9, 12, 0, 0, 0, 1, 0, 2, 0, 0x4f, 0, 0xc2, 0, 0x50]);
        assert_eq!(registers(&sense), Some(Registers { count: 1, lba: [2, 0x4f, 0xc2] }));
        let mut sense = [0; 32];
        sense[..12].copy_from_slice(&[0x70, 0, 1, 0, 0x50, 0, 0xff, 10, 0, 2, 0xf4, 0x2c]);
        assert_eq!(registers(&sense), Some(Registers { count: 0xff, lba: [2, 0xf4, 0x2c] }));
        assert_eq!(registers(&[0; 32]), None);
    }

    #[test]
    fn no_disk() {
        assert!(Disk::open(Path::new("/dev/null"), 100).unwrap().read(Ata::default()).is_err());
        assert!(Disk::open(Path::new("/no/such/disk"), 100).is_err());
    }
}
