//! Room on file systems: of the host by mount, of a container by what a walk of its writable layer found.

use super::Out;
use crate::disk_use::Found;
use exporter::Desc;
use hostfs::{Buf, KeptFile, Sources, mounts};
use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

const INODES_FREE: Desc = Desc::gauge("container_fs_inodes_free", "Number of available Inodes");
const INODES_TOTAL: Desc = Desc::gauge("container_fs_inodes_total", "Number of Inodes");
const LIMIT: Desc = Desc::gauge(
    "container_fs_limit_bytes",
    "Number of bytes that can be consumed by the container on this filesystem.",
);
const USAGE: Desc =
    Desc::gauge("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] = &[INODES_FREE, INODES_TOTAL, LIMIT, USAGE];

/// A mount of a block device or of memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) number: (u64, u64),
    /// The device, or where a tmpfs is mounted.
    pub(crate) device: Vec<u8>,
    mount_point: Vec<u8>,
}

/// The host's mount table, which is read when the kernel says that it has changed: each container adds a line to it.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// The first process' table, and where it may not be read this one's.
    tables: [KeptFile; 2],
    /// Out of which table, and what stood there.
    known: Option<(usize, Arc<[Volume]>)>,
}

impl Mounts {
    pub(crate) fn new(sources: &Sources) -> Self {
        Self { tables: ["1/mountinfo", "self/mountinfo"].map(|path| sources.kept_proc(path)), known: None }
    }

    /// The volumes that are mounted now.
    pub(crate) fn volumes(&mut self, buf: &mut Buf) -> Arc<[Volume]> {
        if let Some((table, volumes)) = &self.known
            && self.tables[*table].changed() == Some(false)
        {
            return Arc::clone(volumes);
        }
        let read =
            self.tables.iter().enumerate().find_map(|(i, table)| Some((i, volumes(table.read(buf).ok()?).into())));
        self.known = read;
        self.known.as_ref().map(|(_, volumes)| Arc::clone(volumes)).unwrap_or_default()
    }
}

/// The volumes of a mount table, each device once: by the mount of its whole, where there is one.
pub(crate) fn volumes(table: &[u8]) -> Vec<Volume> {
    let mut found: Vec<Volume> = Vec::new();
    let mut seen = BTreeSet::new();
    for whole in [true, false] {
        for mount in mounts::parse(table).filter(|m| (m.root == b"/") == whole) {
            let device = match &*mount.fs_type {
                b"tmpfs" => mount.mount_point.clone(),
                _ if mount.source.starts_with(b"/dev/") => mount.source,
                _ => continue,
            };
            let number = (u64::from(mount.device_number.0), u64::from(mount.device_number.1));
            if seen.insert((number, device.clone())) {
                found.push(Volume { number, device, mount_point: mount.mount_point });
            }
        }
    }
    found
}

/// Emits the room on each volume.
pub(crate) fn host(sources: &Sources, volumes: &[Volume], out: &mut Out<'_>) {
    for volume in volumes {
        let file = sources.rootfs(Path::new(std::ffi::OsStr::from_bytes(&volume.mount_point)));
        // Where the host's root is not mounted, something else stands there.
        let same = file.metadata().is_ok_and(|m| device_number(m.dev()) == volume.number);
        let Some(stat) = same.then(|| rustix::fs::statvfs(file.path()).ok()).flatten() else { continue };
        let mut out = out.with(&[("device", &volume.device)]);
        out.put(&LIMIT, stat.f_blocks * stat.f_frsize);
        out.put(&USAGE, stat.f_blocks.saturating_sub(stat.f_bfree) * stat.f_frsize);
        out.put(&INODES_TOTAL, stat.f_files);
        out.put(&INODES_FREE, stat.f_ffree);
    }
}

/// Emits what a walk found.
pub(crate) fn container(found: &Found, out: &mut Out<'_>) {
    let mut out = out.with(&[("device", &found.device)]);
    out.put(&USAGE, found.bytes);
    out.put(&LIMIT, found.limit);
    out.put(&INODES_TOTAL, found.inodes);
    out.put(&INODES_FREE, 0u64);
}

/// Major and minor of a `st_dev`.
pub(crate) fn device_number(dev: u64) -> (u64, u64) {
    (u64::from(rustix::fs::major(dev)), u64::from(rustix::fs::minor(dev)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_once_by_its_whole() {
        let table = b"1 0 253:0 /var/lib/docker /bind rw - ext4 /dev/vda rw\n2 0 253:0 / / rw - ext4 /dev/vda rw\n\
            3 0 0:29 / /dev/shm rw - tmpfs tmpfs rw\n4 0 0:4 / /proc rw - proc proc rw\n5 0 0:40 / /d rw - overlay overlay rw\n";
        let found = volumes(table);
        let shown: Vec<_> = found.iter().map(|v| (&*v.device, &*v.mount_point)).collect();
        assert_eq!(shown, [(&b"/dev/vda"[..], &b"/"[..]), (b"/dev/shm", b"/dev/shm")]);
    }
}
