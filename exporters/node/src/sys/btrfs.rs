//! ioctls of a mounted btrfs (`include/uapi/linux/btrfs.h`).

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, Updater, ioctl, opcode};
use std::path::Path;

/// A mounted file system.
pub(crate) struct Volume(OwnedFd);

/// `BTRFS_IOC_FS_INFO`: what the file system says of itself.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct FsInfo {
    pub(crate) max_id: u64,
    pub(crate) num_devices: u64,
    pub(crate) fsid: [u8; 16],
    rest: [u64; 124],
}

/// `BTRFS_IOC_DEV_INFO`: one device of it.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct DevInfo {
    devid: u64,
    pub(crate) uuid: [u8; 16],
    pub(crate) bytes_used: u64,
    pub(crate) total_bytes: u64,
    rest: [u64; 379],
    path: [u8; 1024],
}

/// `BTRFS_IOC_GET_DEV_STATS`: errors of one device.
#[derive(Clone, Copy)]
#[repr(C)]
struct DevStats {
    devid: u64,
    nr_items: u64,
    flags: u64,
    values: [u64; 5],
    rest: [u64; 121],
}

const GROUP: u8 = 0x94;
const FS_INFO: Opcode = opcode::read::<FsInfo>(GROUP, 31);
const DEV_INFO: Opcode = opcode::read_write::<DevInfo>(GROUP, 30);
const GET_DEV_STATS: Opcode = opcode::read_write::<DevStats>(GROUP, 52);

impl Volume {
    /// Opens the folder where it is mounted.
    pub(crate) fn open(mount_point: &Path) -> rustix::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::open(mount_point, flags, Mode::empty()).map(Self)
    }

    pub(crate) fn info(&self) -> rustix::io::Result<FsInfo> {
        // SAFETY: the kernel fills a btrfs_ioctl_fs_info_args of 1024 bytes, which FsInfo is; all bit patterns are valid.
        unsafe { ioctl(&self.0, Getter::<FS_INFO, FsInfo>::new()) }
    }

    /// A device by its number; `NODEV` where there is none.
    pub(crate) fn device(&self, devid: u64) -> rustix::io::Result<DevInfo> {
        let mut info = DevInfo { devid, uuid: [0; 16], bytes_used: 0, total_bytes: 0, rest: [0; 379], path: [0; 1024] };
        // SAFETY: the kernel reads and fills a btrfs_ioctl_dev_info_args of 4096 bytes, which DevInfo is.
        unsafe { ioctl(&self.0, Updater::<DEV_INFO, DevInfo>::new(&mut info)) }?;
        Ok(info)
    }

    /// Write, read, flush, corruption and generation errors of a device.
    pub(crate) fn errors(&self, devid: u64) -> rustix::io::Result<[u64; 5]> {
        let mut stats = DevStats { devid, nr_items: 5, flags: 0, values: [0; 5], rest: [0; 121] };
        // SAFETY: the kernel reads and fills a btrfs_ioctl_get_dev_stats of 1032 bytes, which DevStats is.
        unsafe { ioctl(&self.0, Updater::<GET_DEV_STATS, DevStats>::new(&mut stats)) }?;
        if stats.nr_items < 5 { Err(Errno::NODATA) } else { Ok(stats.values) }
    }
}

impl DevInfo {
    /// The device's path up to its NUL.
    pub(crate) fn path(&self) -> &[u8] {
        self.path.split(|&b| b == 0).next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_numbers() {
        assert_eq!((FS_INFO, size_of::<FsInfo>()), (0x8400_941f, 1024));
        assert_eq!((DEV_INFO, size_of::<DevInfo>()), (0xd000_941e, 4096));
        assert_eq!((GET_DEV_STATS, size_of::<DevStats>()), (0xc408_9434, 1032));
    }

    #[test]
    fn a_folder_of_another_file_system() {
        let volume = Volume::open(Path::new("/proc")).unwrap();
        assert!(volume.info().is_err());
    }
}
