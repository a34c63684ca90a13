//! Whether a disk turns, from `/sys/block/*/queue` (`Documentation/ABI/stable/sysfs-block`).

use hostfs::{Buf, File, KeptFile, Sources, scan};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A device's request queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// `None` where node_exporter knows no queue.
    rotational: Option<KeptFile>,
}

impl Queue {
    /// The queue of a device under the name that `/proc/diskstats` has for it.
    pub(super) fn of(device: &[u8], sources: &Sources, buf: &mut Buf) -> Self {
        // sysfs writes `cciss!c0d0` for `cciss/c0d0`.
        let name: Vec<u8> = device.iter().map(|&b| if b == b'/' { b'!' } else { b }).collect();
        if name == b"." || name == b".." {
            return Self::default();
        }
        let folder = Path::new("block").join(std::ffi::OsStr::from_bytes(&name)).join("queue");
        let known = is_complete(&sources.sys(&folder), buf);
        Self { rotational: known.then(|| sources.kept_sys(folder.join("rotational"))) }
    }

    pub(super) fn is_rotational(&self, buf: &mut Buf) -> bool {
        self.rotational.as_ref().is_some_and(|file| file.read_trimmed(buf).is_ok_and(|text| text == b"1"))
    }
}

/// Whether all attributes can be read. node_exporter reads them all and knows nothing of a queue that lacks one (a virtio
/// disk has no `io_timeout`): its series says `rotational="0"` then, and so does ours. They do not come or go while the
/// device is there, so one look is enough.
fn is_complete(folder: &File<'_>, buf: &mut Buf) -> bool {
    let mut holds = |name: &&str, check: fn(&[u8]) -> bool| folder.join(name).read_trimmed(buf).is_ok_and(check);
    folder.is_dir()
        && UNSIGNED.iter().all(|name| holds(name, |text| scan::u64(text).is_some()))
        && SIGNED.iter().all(|name| holds(name, |text| scan::i64(text).is_some()))
        && TEXTS.iter().all(|name| holds(name, |_| true))
}

const UNSIGNED: [&str; 29] = [
    "add_random",
    "chunk_sectors",
    "dax",
    "discard_granularity",
    "discard_max_bytes",
    "discard_max_hw_bytes",
    "fua",
    "hw_sector_size",
    "io_poll",
    "io_timeout",
    "iostats",
    "logical_block_size",
    "max_discard_segments",
    "max_hw_sectors_kb",
    "max_integrity_segments",
    "max_sectors_kb",
    "max_segment_size",
    "max_segments",
    "minimum_io_size",
    "nomerges",
    "nr_requests",
    "nr_zones",
    "optimal_io_size",
    "physical_block_size",
    "read_ahead_kb",
    "rotational",
    "rq_affinity",
    "write_same_max_bytes",
    "write_zeroes_max_bytes",
];
const SIGNED: [&str; 2] = ["io_poll_delay", "wbt_lat_usec"];
const TEXTS: [&str; 3] = ["scheduler", "write_cache", "zoned"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_queue_that_lacks_an_attribute_is_unknown() {
        let tree = Tree::of(&[]);
        let folder = tree.path().join("sys/block/cciss!c0d0/queue");
        std::fs::create_dir_all(&folder).unwrap();
        for name in UNSIGNED.iter().chain(&SIGNED).chain(&TEXTS) {
            std::fs::write(folder.join(name), "1\n").unwrap();
        }
        let sources = tree.sources();
        let mut buf = Buf::new();
        let mut rotational = |name: &[u8]| {
            let queue = Queue::of(name, &sources, &mut Buf::new());
            queue.is_rotational(&mut buf)
        };
        assert!(rotational(b"cciss/c0d0"));
        assert!(!rotational(b"sda") && !rotational(b".."));
        std::fs::write(folder.join("wbt_lat_usec"), "-1\n").unwrap();
        assert!(rotational(b"cciss/c0d0"));
        std::fs::remove_file(folder.join("io_timeout")).unwrap();
        assert!(!rotational(b"cciss/c0d0"));
    }
}
