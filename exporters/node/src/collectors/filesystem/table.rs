//! The mounts that are shown, as labels.

use hostfs::mounts::{self, Line};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A mount table, parsed and filtered.
#[derive(Debug, Default)]
pub(super) struct Table {
    text: Box<[u8]>,
    /// What is shown, in the kernel's order.
    pub(super) rows: Vec<Row>,
    /// The paths of the rows that may hang, in the same order.
    pub(super) remote: Vec<Arc<Path>>,
}

/// One mount that is shown.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) device: Box<[u8]>,
    /// As the host sees it.
    pub(super) mount_point: Box<[u8]>,
    pub(super) fs_type: Box<[u8]>,
    pub(super) major: Box<[u8]>,
    pub(super) minor: Box<[u8]>,
    pub(super) read_only: bool,
    /// As this process sees it.
    pub(super) path: Arc<Path>,
    /// Whether statfs(2) may wait for a server, a daemon or a bus.
    pub(super) remote: bool,
    /// Whether no row before it has the same device, numbers and mount point.
    pub(super) first_of_its_numbers: bool,
}

impl Table {
    /// The kernel's text it was made of.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn parse(text: &[u8], rootfs: &Path, shown: impl Fn(&[u8], &[u8]) -> bool) -> Self {
        let mut table = Self { text: text.into(), ..Self::default() };
        let remote: HashSet<Vec<u8>> = mounts::lines(text)
            .filter(|line| !answers_from_memory(line.fs_type))
            .map(|line| mounts::unescape(line.mount_point))
            .collect();
        let mut seen = HashSet::new();
        let mut numbers = HashSet::new();
        for line in mounts::lines(text) {
            // Differs from node_exporter: 1.11 undoes the escapes of blank and tab only, and then asks for a path that is not
            // there where a mount point holds a backslash or a newline.
            let full = mounts::unescape(line.mount_point);
            let mount_point = strip(&full, rootfs);
            if !shown(mount_point, line.fs_type) || !seen.insert((line.source, full.clone(), line.fs_type)) {
                continue;
            }
            let path: Arc<Path> = join(rootfs, mount_point).into();
            let below = |at: &Path| remote.contains(at.as_os_str().as_bytes());
            let row = Row {
                // node_exporter shows the source with the kernel's escapes, the mount point without.
                device: line.source.into(),
                mount_point: mount_point.into(),
                fs_type: line.fs_type.into(),
                major: line.major.into(),
                minor: line.minor.into(),
                read_only: is_read_only(&line),
                remote: Path::new(OsStr::from_bytes(&full)).ancestors().any(below),
                first_of_its_numbers: numbers.insert((line.source, line.major, line.minor, full.clone())),
                path: Arc::clone(&path),
            };
            if row.remote {
                table.remote.push(path);
            }
            table.rows.push(row);
        }
        table
    }
}

/// Differs from node_exporter: 1.11 runs the options together before it looks for `ro` among them, and so sees only a
/// mount that has no other option.
fn is_read_only(line: &Line<'_>) -> bool {
    [line.options, line.super_options].iter().any(|options| options.split(|&b| b == b',').any(|o| o == b"ro"))
}

/// The path on the host of a mount that a container sees below `rootfs`.
fn strip<'a>(mount_point: &'a [u8], rootfs: &Path) -> &'a [u8] {
    let rootfs = rootfs.as_os_str().as_bytes();
    match mount_point.strip_prefix(rootfs) {
        _ if rootfs == b"/" => mount_point,
        Some(b"") => b"/",
        Some(stripped) => stripped,
        None => mount_point,
    }
}

fn join(rootfs: &Path, mount_point: &[u8]) -> PathBuf {
    let mut path = rootfs.as_os_str().as_bytes().to_vec();
    while path.last() == Some(&b'/') {
        path.pop();
    }
    path.extend_from_slice(mount_point);
    if path.is_empty() {
        path.push(b'/');
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

/// File systems of the kernel itself whose statfs(2) reads counters in memory: they are asked at once. Whatever is not
/// named here (NFS, FUSE, CIFS, Ceph, 9p, ZFS, …) may wait for somebody, and is asked by a thread that may be lost to it.
fn answers_from_memory(fs_type: &[u8]) -> bool {
    matches!(
        fs_type,
        b"ext2"
            | b"ext3"
            | b"ext4"
            | b"xfs"
            | b"tmpfs"
            | b"ramfs"
            | b"rootfs"
            | b"vfat"
            | b"exfat"
            | b"f2fs"
            | b"devtmpfs"
            | b"proc"
            | b"sysfs"
            | b"cgroup"
            | b"cgroup2"
            | b"devpts"
            | b"mqueue"
            | b"hugetlbfs"
            | b"debugfs"
            | b"tracefs"
            | b"securityfs"
            | b"pstore"
            | b"bpf"
            | b"configfs"
            | b"efivarfs"
            | b"selinuxfs"
            | b"binfmt_misc"
            | b"nsfs"
            | b"squashfs"
            | b"erofs"
            | b"iso9660"
            | b"fusectl"
            | b"rpc_pipefs"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, rootfs: &str) -> Vec<(String, String, bool, bool)> {
        let text_of = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Table::parse(text.as_bytes(), Path::new(rootfs), |_, fs_type| fs_type != b"proc")
            .rows
            .iter()
            .map(|r| (text_of(&r.mount_point), r.path.display().to_string(), r.read_only, r.remote))
            .collect()
    }

    fn row(mount_point: &str, path: &str, read_only: bool, remote: bool) -> (String, String, bool, bool) {
        (mount_point.to_owned(), path.to_owned(), read_only, remote)
    }

    #[test]
    fn a_host_seen_from_a_container() {
        let text = "29 1 259:0 / /host rw,seclabel shared:1 - ext4 /dev/nvme1n0 rw\n\
                    30 1 260:0 / /host/media/volume1 rw shared:1 - ext4 /dev/nvme1n1 rw\n\
                    31 26 0:26 / /dev/shm rw,nosuid shared:4 - tmpfs tmpfs rw,inode64\n";
        assert_eq!(
            rows(text, "/host"),
            [
                row("/", "/host/", false, false),
                row("/media/volume1", "/host/media/volume1", false, false),
                row("/dev/shm", "/host/dev/shm", false, false),
            ]
        );
        assert_eq!(rows(text, "/")[0], row("/host", "/host", false, false));
    }

    #[test]
    fn what_hangs_and_what_hangs_below_it() {
        let text = "1 0 8:1 / / ro,relatime - ext4 /dev/sda1 rw\n\
                    2 1 0:42 / /mnt/nfs rw - nfs4 server:/srv rw\n\
                    3 2 7:0 / /mnt/nfs/image rw - ext4 /dev/loop0 ro,discard\n\
                    4 1 8:2 / /mnt/nfs2 rw - ext4 /dev/sda2 rw\n";
        assert_eq!(
            rows(text, "/"),
            [
                row("/", "/", true, false),
                row("/mnt/nfs", "/mnt/nfs", false, true),
                row("/mnt/nfs/image", "/mnt/nfs/image", true, true),
                row("/mnt/nfs2", "/mnt/nfs2", false, false),
            ]
        );
    }

    #[test]
    fn escapes_and_twins() {
        let text = "1 0 8:1 / /a\\040b\\134c rw - ext4 /dev/x\\040y rw\n\
                    2 0 8:1 / /a\\040b\\134c ro - ext4 /dev/x\\040y rw\n\
                    3 0 8:1 / /a\\040b\\134c rw - xfs /dev/x\\040y rw\n4 0 0:4 / /proc rw - proc proc rw\nshort\n";
        let table = Table::parse(text.as_bytes(), Path::new("/"), |_, fs_type| fs_type != b"proc");
        let [first, second] = &table.rows[..] else { panic!("{table:?}") };
        assert_eq!((&*first.mount_point, &*first.device), (&b"/a b\\c"[..], &b"/dev/x\\040y"[..]));
        assert!(first.first_of_its_numbers && !second.first_of_its_numbers);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, rootfs in "/?[a-z]{0,3}/?") {
            Table::parse(&bytes, Path::new(&rootfs), |_, _| true);
            strip(&bytes, Path::new(&rootfs));
            join(Path::new(&rootfs), &bytes);
        }
    }
}
