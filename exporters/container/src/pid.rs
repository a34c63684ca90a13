//! A process of a container: it leads to the cgroup and to the network.

use hostfs::{Buf, KeptFile, Sources, mounts};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that was alive when it was looked at last.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// `/proc/PID/cgroup`; the open descriptor is bound to this very process, whoever gets its number later.
    table: KeptFile,
    /// `/proc/PID/comm`, the cheapest file that a process has as long as it is there.
    comm: KeptFile,
    /// How often it was asked whether it is as it was.
    asked: AtomicU32,
    /// What tells its network from others: each network namespace has its own inode for `net/dev`. Unlike the link
    /// `ns/net` it may be looked at without the right to trace the process.
    pub(crate) network: Option<u64>,
}

impl Process {
    /// Looks at a process.
    pub(crate) fn new(sources: &Sources, pid: u32) -> Self {
        let network = network(sources, pid);
        let kept = |name| sources.kept_proc_records(format!("{pid}/{name}"));
        Self { pid, table: kept("cgroup"), comm: kept("comm"), asked: AtomicU32::new(0), network }
    }

    /// Whether it is alive and, as far as that is looked at, in the cgroups of this table: processes of containers are
    /// moved once, when they start, and the kernel takes its time to write the table.
    pub(crate) fn is_as(&self, table: &[u8], buf: &mut Buf) -> bool {
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOKED_AT) {
            return self.cgroups(buf) == Some(table);
        }
        self.comm.read(buf).is_ok()
    }

    /// Its cgroups now; `None` when it has ended.
    pub(crate) fn cgroups<'b>(&self, buf: &'b mut Buf) -> Option<&'b [u8]> {
        self.table.read(buf).ok()
    }
}

/// One of so many questions looks at the table too.
const LOOKED_AT: u32 = 8;

/// The identity of a process' network.
pub(crate) fn network(sources: &Sources, pid: u32) -> Option<u64> {
    sources.proc(format!("{pid}/net/dev")).metadata().ok().map(|m| m.ino())
}

/// The upper folder of the overlay that is a process' root, as the kernel has it: Docker does not tell of it where images lie in
/// containerd's store.
pub(crate) fn writable_layer(sources: &Sources, pid: u32, buf: &mut Buf) -> Option<PathBuf> {
    upper(sources.proc(format!("{pid}/mountinfo")).read(buf).ok()?)
}

fn upper(table: &[u8]) -> Option<PathBuf> {
    // What was mounted last lies on top.
    let root = mounts::lines(table).filter(|m| m.mount_point == b"/").last().filter(|m| m.fs_type == b"overlay")?;
    let path = root.super_options.split(|&b| b == b',').find_map(|option| option.strip_prefix(b"upperdir="))?;
    let path = PathBuf::from(OsString::from_vec(mounts::unescape(path)));
    // One that was given in relation to a folder of the engine's cannot be found.
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_upper_folder_of_the_root() {
        let table = b"1 0 0:1 / / rw - rootfs none rw\n\
            2 1 0:55 / / ro,relatime - overlay overlay rw,lowerdir=/l/1:/l/2,upperdir=/var/lib/a\\054b\\040c/fs,workdir=/w,uuid=on\n\
            3 2 0:56 / /mnt rw - overlay overlay rw,upperdir=/other\n";
        assert_eq!(upper(table), Some("/var/lib/a,b c/fs".into()));
        for none in [
            &b"2 1 0:55 / / rw - overlay overlay rw,lowerdir=/l,upperdir=l/fs\n"[..],
            b"2 1 0:55 / / rw - overlay overlay rw,lowerdir=/a:/b\n",
            b"2 1 8:1 / / rw - ext4 /dev/sda1 rw,upperdir=/x\n",
            b"1 0 0:1 / / rw - overlay overlay rw,upperdir=/x\n2 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
            b"",
        ] {
            assert_eq!(upper(none), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_table_is_survived(bytes: Vec<u8>, options: Vec<u8>) {
            upper(&bytes);
            upper(&[b"2 1 0:5 / / rw - overlay o ", &options[..], b"\n"].concat());
        }
    }
}
