//! File systems and disks, among them the lab document's `system_disk_usage_percent`.

use super::{lock, unbuilt};
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use std::sync::Mutex;
use sysinfo::{DiskRefreshKind, Disks};

pub(crate) const DISK: Entry = Entry {
    name: "disk",
    default: Default::On,
    about: "file systems and what was read from and written to their disks, from /proc/mounts and /proc/diskstats",
    flags: &[INCLUDE, EXCLUDE],
    build: |flags, _| {
        let filter = NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?;
        Ok(Box::new(Disk { filter, disks: Mutex::new(Disks::new().map_err(unbuilt)?) }))
    },
};

const INCLUDE: Flag = Flag::regex("system.disk.mount-include", "", "Mount points to tell of; the others are left out.");
const EXCLUDE: Flag = Flag::regex(
    "system.disk.mount-exclude",
    "^/(dev|proc|run|sys|var/lib/docker/.+|var/lib/containers/.+)($|/)",
    "Mount points to leave out.",
);

const USAGE: Desc = Desc::gauge("system_disk_usage_percent", "Disk Usage Percentage");
const SIZE: Desc = Desc::gauge("system_filesystem_size_bytes", "Size of a file system");
const AVAILABLE: Desc =
    Desc::gauge("system_filesystem_available_bytes", "Space that users other than root may still fill");
const READ_ONLY: Desc = Desc::gauge("system_filesystem_readonly", "Whether a file system can only be read");
const READ: Desc = Desc::counter("system_disk_read_bytes_total", "Bytes read from a disk or partition");
const WRITTEN: Desc = Desc::counter("system_disk_written_bytes_total", "Bytes written to a disk or partition");

struct Disk {
    filter: NameFilter,
    disks: Mutex<Disks>,
}

impl Collector for Disk {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        // First, for it needs no list: a network file system that hangs does not take this one along.
        let root = rustix::fs::statvfs("/").map_err(|e| CollectError::failed(format!("statvfs /: {e}")))?;
        if let Some(percent) = used_percent(root.f_blocks, root.f_bfree, root.f_bavail) {
            out.family(&USAGE).sample(&[], percent);
        }
        let mut disks = lock(&self.disks);
        disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage().with_io_usage());
        let mut devices: Vec<&[u8]> = Vec::new();
        for disk in disks.iter() {
            let device = disk.name().as_encoded_bytes();
            let mount_point = disk.mount_point().as_os_str().as_encoded_bytes();
            // Those of size 0 are the kernel's own: nothing is stored there.
            if disk.total_space() == 0 || self.filter.ignores(mount_point) {
                continue;
            }
            let labels: [(&str, &[u8]); 3] =
                [("device", device), ("fstype", disk.file_system().as_encoded_bytes()), ("mountpoint", mount_point)];
            out.family(&SIZE).sample(&labels, disk.total_space());
            out.family(&AVAILABLE).sample(&labels, disk.available_space());
            out.family(&READ_ONLY).sample(&labels, disk.is_read_only());
            // A device that is mounted twice is read once.
            if !devices.contains(&device) && device.starts_with(b"/") {
                devices.push(device);
                out.family(&READ).sample(&[("device", device)], disk.usage().total_read_bytes);
                out.family(&WRITTEN).sample(&[("device", device)], disk.usage().total_written_bytes);
            }
        }
        Ok(())
    }
}

/// What psutil's `disk_usage().percent` is, before it rounds: the share of what users may fill that is filled. Blocks
/// that are reserved for root are neither used nor available, so a disk that is full for users is at 100.
fn used_percent(blocks: u64, free: u64, available: u64) -> Option<f64> {
    let used = blocks.saturating_sub(free);
    let for_users = used.saturating_add(available);
    (for_users > 0).then(|| used as f64 / for_users as f64 * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentage_is_psutil_s() {
        // psutil: used = blocks - bfree; percent = used / (used + bavail) * 100.
        assert_eq!(used_percent(1000, 400, 350), Some(600.0 / 950.0 * 100.0));
        assert_eq!(used_percent(1000, 50, 0), Some(100.0), "full for users");
        assert_eq!(used_percent(0, 0, 0), None);
        assert_eq!(used_percent(1, 2, 0), None, "a file system that lies");
    }

    #[test]
    fn df_agrees() {
        let (text, result) = exporter::testing::collect(&DISK, &[], &hostfs::Sources::live());
        result.unwrap();
        let ours: f64 =
            text.lines().find_map(|l| l.strip_prefix("system_disk_usage_percent ")).unwrap().parse().unwrap();
        let df = std::process::Command::new("df").args(["--output=pcent", "/"]).output().unwrap();
        let df = String::from_utf8_lossy(&df.stdout).lines().last().unwrap().trim().trim_end_matches('%').to_owned();
        // df shows the same quotient, rounded up.
        let df: f64 = df.parse().unwrap();
        assert!((ours.ceil() - df).abs() <= 1.0, "ours {ours}, df {df}");
    }
}
