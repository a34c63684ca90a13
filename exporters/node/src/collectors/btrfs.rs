//! Btrfs file systems: space by block group and layout, commits, devices and their errors, from `/sys/fs/btrfs`
//! (`fs/btrfs/sysfs.c`) and, where the file system's mount point can be opened, its ioctls.

use crate::sys;
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, File, KeptFile, mounts, scan};
use std::os::unix::ffi::OsStrExt;

/// Registers the collector.
pub(crate) const BTRFS: Entry = Entry {
    name: "btrfs",
    default: Default::On,
    about: "space, commits, devices and device errors of btrfs file systems, from /sys/fs/btrfs and btrfs ioctls",
    flags: &[],
    build: |_, sources| {
        Ok(Box::new(Btrfs { mountinfo: ["1/mountinfo", "self/mountinfo"].map(|file| sources.kept_proc(file)) }))
    },
};

const INFO: Desc = Desc::gauge("node_btrfs_info", "Filesystem information");
const GLOBAL_RSV: Desc = Desc::gauge("node_btrfs_global_rsv_size_bytes", "Size of global reserve.");
const RESERVED: Desc = Desc::gauge("node_btrfs_reserved_bytes", "Amount of space reserved for a data type");
const USED: Desc = Desc::gauge("node_btrfs_used_bytes", "Amount of used space by a layout/data type");
const SIZE: Desc = Desc::gauge("node_btrfs_size_bytes", "Amount of space allocated for a layout/data type");
const RATIO: Desc = Desc::gauge("node_btrfs_allocation_ratio", "Data allocation ratio for a layout/data type");
const DEVICE_SIZE: Desc =
    Desc::gauge("node_btrfs_device_size_bytes", "Size of a device that is part of the filesystem.");
const DEVICE_UNUSED: Desc =
    Desc::gauge("node_btrfs_device_unused_bytes", "Unused bytes unused on a device that is part of the filesystem.");
const DEVICE_ERRORS: Desc = Desc::counter("node_btrfs_device_errors_total", "Errors reported for the device");

/// Lines of `commit_stats`, with the units that make one of ours.
const COMMITS: [(&[u8], Desc, f64); 4] = [
    (b"commits", Desc::counter("node_btrfs_commits_total", "The total number of commits that have occurred."), 1.0),
    (
        b"last_commit_ms",
        Desc::gauge("node_btrfs_last_commit_seconds", "Duration of the most recent commit, in seconds."),
        1000.0,
    ),
    (
        b"max_commit_ms",
        Desc::gauge("node_btrfs_max_commit_seconds", "Duration of the slowest commit, in seconds."),
        1000.0,
    ),
    (
        b"total_commit_ms",
        Desc::counter("node_btrfs_commit_seconds_total", "Sum of the duration of all commits, in seconds."),
        1000.0,
    ),
];

struct Btrfs {
    mountinfo: [KeptFile; 2],
}

impl Collector for Btrfs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/btrfs");
        let names = match root.entries() {
            // The module is not loaded: no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            names => names?,
        };
        let mut mounted: Option<Vec<Mounted>> = None;
        // `features` stands beside the file systems.
        for name in names.iter().filter(|n| n.contains(&b'-')) {
            let mounted = mounted.get_or_insert_with(|| self.mounted(cx));
            let dir = root.child(name);
            // Unmounted since the listing.
            let Ok(devices) = dir.join("devices").entries() else { continue };
            let uuid =
                dir.join("metadata_uuid").read_optional(cx.buf).filter(|u| !u.is_empty()).unwrap_or(name).to_vec();
            let mut scrape = Scrape { uuid: &uuid, devices: devices.len() as f64, buf: cx.buf, out };
            scrape.file_system(&dir);
            let fsid: Vec<u8> = name.iter().copied().filter(|&b| b != b'-').collect();
            if let Some(mounted) = mounted.iter().find(|m| m.fsid == fsid) {
                mounted.devices.iter().for_each(|device| scrape.device(device));
                continue;
            }
            for device in devices.iter() {
                // Sectors of 512 bytes, whatever the device has.
                let size = scrape.number(&dir.join("devices").child(device).join("size")).wrapping_mul(512);
                scrape.out.family(&DEVICE_SIZE).sample(&[("device", device), ("uuid", &uuid)], size);
            }
        }
        Ok(())
    }
}

/// A file system that could be asked.
struct Mounted {
    /// In hexadecimal.
    fsid: Vec<u8>,
    devices: Vec<Device>,
}

struct Device {
    /// As the kernel knows it: `/dev/sda`.
    path: Vec<u8>,
    uuid: String,
    total: u64,
    used: u64,
    errors: [u64; 5],
}

const ERRORS: [&str; 5] = ["write", "read", "flush", "corruption", "generation"];

impl Btrfs {
    /// Each mounted btrfs once, by the first of its mount points that can be opened.
    fn mounted(&self, cx: &mut Cx<'_>) -> Vec<Mounted> {
        let [host, own] = &self.mountinfo;
        let file = if host.read(cx.buf).is_ok() { host } else { own };
        let Ok(table) = file.read(cx.buf) else { return Vec::new() };
        let mut found: Vec<Mounted> = Vec::new();
        for line in mounts::lines(table).filter(|line| line.fs_type == b"btrfs") {
            let mount_point = mounts::unescape(line.mount_point);
            let path = cx.sources.rootfs(std::ffi::OsStr::from_bytes(&mount_point));
            match ask(path.path(), &found) {
                Ok(Some(mounted)) => found.push(mounted),
                Ok(None) => {}
                Err(error) => tracing::debug!(mount_point = %path.path().display(), %error, "cannot ask btrfs"),
            }
        }
        found
    }
}

/// `None` where it is among those found already.
fn ask(mount_point: &std::path::Path, found: &[Mounted]) -> rustix::io::Result<Option<Mounted>> {
    let volume = sys::btrfs::Volume::open(mount_point)?;
    let info = volume.info()?;
    let fsid = hex(&info.fsid);
    if found.iter().any(|m| m.fsid == fsid.as_bytes()) {
        return Ok(None);
    }
    let mut devices = Vec::new();
    // The numbers of devices have gaps.
    for devid in 0..=info.max_id {
        if devices.len() as u64 == info.num_devices {
            break;
        }
        let device = match volume.device(devid) {
            Err(rustix::io::Errno::NODEV) => continue,
            device => device?,
        };
        devices.push(Device {
            path: device.path().to_vec(),
            uuid: uuid(&device.uuid),
            total: device.total_bytes,
            used: device.bytes_used,
            errors: volume.errors(devid)?,
        });
    }
    Ok(Some(Mounted { fsid: fsid.into_bytes(), devices }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

fn uuid(bytes: &[u8; 16]) -> String {
    let hex = hex(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

struct Scrape<'a> {
    uuid: &'a [u8],
    /// How many there are, for the ratio of parity layouts.
    devices: f64,
    buf: &'a mut Buf,
    out: &'a mut Part,
}

impl Scrape<'_> {
    fn file_system(&mut self, dir: &File<'_>) {
        let uuid: (&str, &[u8]) = ("uuid", self.uuid);
        let label = dir.join("label").read_optional(self.buf).unwrap_or_default();
        self.out.family(&INFO).sample(&[("label", &scan::valid_utf8(label)), uuid], 1u64);
        let reserve = self.number(&dir.join("allocation/global_rsv_size"));
        self.out.family(&GLOBAL_RSV).sample(&[uuid], reserve);
        let commits = dir.join("commit_stats").read_optional(self.buf).unwrap_or_default();
        for (key, desc, units) in &COMMITS {
            self.out.family(desc).sample(&[uuid], commit(commits, key) as f64 / units);
        }
        // `mixed` stands for data and metadata in small file systems.
        for kind in ["data", "metadata", "mixed", "system"] {
            let group = dir.join("allocation").join(kind);
            let Ok(names) = group.entries() else { continue };
            let kind: (&str, &[u8]) = ("block_group_type", kind.as_bytes());
            let reserved = self.number(&group.join("bytes_reserved"));
            self.out.family(&RESERVED).sample(&[kind, uuid], reserved);
            for mode in names.iter() {
                let layout = group.child(mode);
                if !layout.is_dir() {
                    continue;
                }
                let (used, size) = (self.number(&layout.join("used_bytes")), self.number(&layout.join("total_bytes")));
                let labels: [(&str, &[u8]); 3] = [kind, ("mode", mode), uuid];
                self.out.family(&USED).sample(&labels, used);
                self.out.family(&SIZE).sample(&labels, size);
                self.out.family(&RATIO).sample(&labels, ratio(mode, self.devices));
            }
        }
    }

    fn device(&mut self, device: &Device) {
        let name = device.path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let labels: [(&str, &[u8]); 3] =
            [("btrfs_dev_uuid", device.uuid.as_bytes()), ("device", name), ("uuid", self.uuid)];
        self.out.family(&DEVICE_SIZE).sample(&labels, device.total);
        self.out.family(&DEVICE_UNUSED).sample(&labels, device.total.saturating_sub(device.used));
        for (kind, errors) in ERRORS.iter().zip(device.errors) {
            let [dev_uuid, name, uuid] = labels;
            self.out.family(&DEVICE_ERRORS).sample(&[dev_uuid, name, ("type", kind.as_bytes()), uuid], errors);
        }
    }

    /// What is not there counts as 0, as upstream has it.
    fn number(&mut self, file: &File<'_>) -> u64 {
        file.read_optional(self.buf).and_then(scan::u64).unwrap_or(0)
    }
}

fn commit(stats: &[u8], key: &[u8]) -> u64 {
    scan::lines(stats)
        .filter_map(|line| scan::key_value(line, b' '))
        .find_map(|(k, value)| if k == key { scan::u64(value) } else { None })
        .unwrap_or(0)
}

/// Bytes on the devices for one byte of data (`btrfs_raid_array`).
fn ratio(mode: &[u8], devices: f64) -> f64 {
    match mode {
        b"single" | b"raid0" => 1.0,
        b"dup" | b"raid1" | b"raid10" => 2.0,
        b"raid1c3" => 3.0,
        b"raid1c4" => 4.0,
        b"raid5" => devices / (devices - 1.0),
        b"raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_file_system() {
        let tree = Tree::of(&[
            ("sys/fs/btrfs/features/raid56", b"0\n"),
            ("sys/fs/btrfs/ab-cd/label", b"fixture\n"),
            ("sys/fs/btrfs/ab-cd/metadata_uuid", b"ab-cd\n"),
            (
                "sys/fs/btrfs/ab-cd/commit_stats",
                b"commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n",
            ),
            ("sys/fs/btrfs/ab-cd/devices/loop25/size", b"20971520\n"),
            ("sys/fs/btrfs/ab-cd/devices/loop26/size", b"20971520\n"),
            ("sys/fs/btrfs/ab-cd/devices/loop27/size", b"20971520\n"),
            ("sys/fs/btrfs/ab-cd/allocation/global_rsv_size", b"16777216\n"),
            ("sys/fs/btrfs/ab-cd/allocation/data/bytes_reserved", b"5\n"),
            ("sys/fs/btrfs/ab-cd/allocation/data/raid5/used_bytes", b"808189952\n"),
            ("sys/fs/btrfs/ab-cd/allocation/data/raid5/total_bytes", b"2147483648\n"),
        ]);
        let (text, result) = exporter::testing::collect(&BTRFS, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_btrfs_allocation_ratio{block_group_type=\"data\",mode=\"raid5\",uuid=\"ab-cd\"} 1.5",
                "node_btrfs_commit_seconds_total{uuid=\"ab-cd\"} 47836.09",
                "node_btrfs_commits_total{uuid=\"ab-cd\"} 258051",
                "node_btrfs_device_size_bytes{device=\"loop25\",uuid=\"ab-cd\"} 1.073741824e+10",
                "node_btrfs_device_size_bytes{device=\"loop26\",uuid=\"ab-cd\"} 1.073741824e+10",
                "node_btrfs_device_size_bytes{device=\"loop27\",uuid=\"ab-cd\"} 1.073741824e+10",
                "node_btrfs_global_rsv_size_bytes{uuid=\"ab-cd\"} 1.6777216e+07",
                "node_btrfs_info{label=\"fixture\",uuid=\"ab-cd\"} 1",
                "node_btrfs_last_commit_seconds{uuid=\"ab-cd\"} 1",
                "node_btrfs_max_commit_seconds{uuid=\"ab-cd\"} 51.462",
                "node_btrfs_reserved_bytes{block_group_type=\"data\",uuid=\"ab-cd\"} 5",
                "node_btrfs_size_bytes{block_group_type=\"data\",mode=\"raid5\",uuid=\"ab-cd\"} 2.147483648e+09",
                "node_btrfs_used_bytes{block_group_type=\"data\",mode=\"raid5\",uuid=\"ab-cd\"} 8.08189952e+08",
            ]
        );
    }

    #[test]
    fn device_uuids() {
        assert_eq!(
            uuid(&[0x71, 8, 0x16, 0x1d, 0x6f, 0xe4, 0x41, 0xde, 0xba, 0x47, 0xb3, 0x80, 0x36, 0x22, 0xb9, 0x3a]),
            "7108161d-6fe4-41de-ba47-b3803622b93a"
        );
    }

    #[test]
    fn no_module_is_no_failure() {
        let tree = Tree::of(&[("sys/", b"")]);
        let (text, result) = exporter::testing::collect(&BTRFS, &[], &tree.sources());
        result.unwrap();
        assert_eq!(text, "");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            commit(&bytes, b"commits");
            ratio(&bytes, 0.0);
        }
    }
}
