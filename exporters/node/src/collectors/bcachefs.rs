//! Bcachefs file systems, from `/sys/fs/bcachefs` (`fs/bcachefs/sysfs.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use exposition::Kind;
use hostfs::{Buf, File, scan};

/// Registers the collector.
pub(crate) const BCACHEFS: Entry = Entry {
    name: "bcachefs",
    default: Default::On,
    about: "counters, errors, compression and devices of bcachefs file systems, from /sys/fs/bcachefs",
    flags: &[],
    build: |_, _| Ok(Box::new(Bcachefs)),
};

const INFO: Desc = Desc::gauge("node_bcachefs_info", "Filesystem information.");
const BTREE_CACHE: Desc = Desc::gauge("node_bcachefs_btree_cache_size_bytes", "Btree cache memory usage in bytes.");
const COMPRESSED: Desc = Desc::gauge("node_bcachefs_compression_compressed_bytes", "Compressed size by algorithm.");
const UNCOMPRESSED: Desc =
    Desc::gauge("node_bcachefs_compression_uncompressed_bytes", "Uncompressed size by algorithm.");
const ERRORS: Desc = Desc::counter("node_bcachefs_errors_total", "Error count by error type.");
const WRITES: Desc = Desc::counter("node_bcachefs_btree_writes_total", "Number of btree writes by type.");
const WRITE_SIZE: Desc =
    Desc::gauge("node_bcachefs_btree_write_average_size_bytes", "Average btree write size by type.");
const DEVICE_INFO: Desc = Desc::gauge("node_bcachefs_device_info", "Device information.");
const DEVICE_BUCKET_SIZE: Desc = Desc::gauge("node_bcachefs_device_bucket_size_bytes", "Bucket size in bytes.");
const DEVICE_BUCKETS: Desc = Desc::gauge("node_bcachefs_device_buckets", "Total number of buckets.");
const DEVICE_DURABILITY: Desc = Desc::gauge("node_bcachefs_device_durability", "Device durability setting.");
const DEVICE_IO: Desc =
    Desc::counter("node_bcachefs_device_io_done_bytes_total", "IO bytes by operation type and data type.");
const DEVICE_ERRORS: Desc = Desc::counter("node_bcachefs_device_io_errors_total", "IO errors by error type.");

struct Bcachefs;

impl Collector for Bcachefs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/bcachefs");
        let names = root.entries().or_no_data()?;
        let mut found = false;
        for uuid in names.iter() {
            let dir = root.child(uuid);
            // Unmounted since the listing, or no folder.
            let Ok(entries) = dir.entries() else { continue };
            found = true;
            let mut scrape = Scrape { uuid: ("uuid", uuid), buf: cx.buf, out };
            scrape.file_system(&dir);
            for name in entries.iter() {
                if let Some(device) = name.strip_prefix(b"dev-") {
                    scrape.device(&dir.child(name), device);
                }
            }
        }
        if found { Ok(()) } else { Err(CollectError::NoData) }
    }
}

struct Scrape<'a> {
    uuid: (&'static str, &'a [u8]),
    buf: &'a mut Buf,
    out: &'a mut Part,
}

impl Scrape<'_> {
    fn file_system(&mut self, dir: &File<'_>) {
        let uuid = self.uuid;
        self.out.family(&INFO).sample(&[uuid], 1u64);
        if let Some(size) = dir.join("btree_cache_size").read_optional(self.buf).and_then(bytes) {
            self.out.family(&BTREE_CACHE).sample(&[uuid], size);
        }
        let text = dir.join("compression_stats").read_optional(self.buf).unwrap_or_default();
        // A header, then algorithm, compressed, uncompressed and average extent size.
        for line in scan::lines(text).skip(1) {
            let mut fields = scan::fields(line);
            let (Some(algorithm), Some(compressed), Some(uncompressed)) =
                (fields.next(), fields.next().and_then(bytes), fields.next().and_then(bytes))
            else {
                continue;
            };
            let labels = [("algorithm", algorithm), uuid];
            self.out.family(&COMPRESSED).sample(&labels, compressed);
            self.out.family(&UNCOMPRESSED).sample(&labels, uncompressed);
        }
        let text = dir.join("errors").read_optional(self.buf).unwrap_or_default();
        for line in scan::lines(text) {
            let mut fields = scan::fields(line);
            if let (Some(kind), Some(count)) = (fields.next(), fields.next().and_then(scan::u64)) {
                self.out.family(&ERRORS).sample(&[("error_type", kind), uuid], count);
            }
        }
        let text = dir.join("btree_write_stats").read_optional(self.buf).unwrap_or_default();
        for (kind, values) in scan::lines(text).filter_map(|line| scan::key_value(line, b':')) {
            let mut fields = scan::fields(values);
            if let (Some(count), Some(size)) = (fields.next().and_then(bytes), fields.next().and_then(bytes)) {
                self.out.family(&WRITES).sample(&[("type", kind), uuid], count);
                self.out.family(&WRITE_SIZE).sample(&[("type", kind), uuid], size);
            }
        }
        self.counters(&dir.join("counters"));
    }

    fn counters(&mut self, dir: &File<'_>) {
        let Ok(names) = dir.entries() else { return };
        for name in names.iter() {
            let Some(text) = dir.child(name).read_optional(self.buf) else { continue };
            let Some(count) = since_creation(text) else { continue };
            let name = scan::lossy(name);
            let family = exposition::sanitize_name(&format!("node_bcachefs_{name}_total")).into_owned();
            let help = format!("Bcachefs counter {name} since filesystem creation.");
            self.out.family_named(&family, &help, Kind::Counter).sample(&[self.uuid], count);
        }
    }

    fn device(&mut self, dir: &File<'_>, device: &[u8]) {
        let (uuid, device) = (self.uuid, ("device", device));
        let label = dir.join("label").read_optional(self.buf).unwrap_or_default().to_vec();
        let state = dir.join("state").read_optional(self.buf).unwrap_or_default();
        let labels: [(&str, &[u8]); 4] =
            [device, ("label", &scan::valid_utf8(&label)), ("state", &scan::valid_utf8(state)), uuid];
        self.out.family(&DEVICE_INFO).sample(&labels, 1u64);
        for (attribute, desc) in
            [("bucket_size", DEVICE_BUCKET_SIZE), ("nbuckets", DEVICE_BUCKETS), ("durability", DEVICE_DURABILITY)]
        {
            if let Some(number) = dir.join(attribute).read_optional(self.buf).and_then(bytes) {
                self.out.family(&desc).sample(&[device, uuid], number);
            }
        }
        let mut operation: &[u8] = b"";
        let text = dir.join("io_done").read_optional(self.buf).unwrap_or_default();
        for (key, value) in scan::lines(text).filter_map(|line| scan::key_value(line, b':')) {
            if value.is_empty() {
                operation = key;
            } else if let Some(done) = bytes(value) {
                let labels = [("data_type", key), device, ("operation", operation), uuid];
                self.out.family(&DEVICE_IO).sample(&labels, done);
            }
        }
        let text = dir.join("io_errors").read_optional(self.buf).unwrap_or_default();
        for (kind, errors) in io_errors(text) {
            self.out.family(&DEVICE_ERRORS).sample(&[device, ("type", kind), uuid], errors);
        }
    }
}

/// The second line of a counter: `since filesystem creation:     78477746`.
fn since_creation(text: &[u8]) -> Option<u64> {
    scan::lines(text)
        .filter_map(|line| scan::key_value(line, b':'))
        .find(|(key, _)| *key == b"since filesystem creation")
        .and_then(|(_, value)| bytes(value))
}

/// The rows of the first of two tables, `IO errors since filesystem creation`.
fn io_errors(text: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
    scan::lines(text)
        .skip_while(|line| !line.starts_with(b"IO errors since filesystem creation"))
        .skip(1)
        .take_while(|line| line.first().is_some_and(u8::is_ascii_whitespace))
        .filter_map(|line| scan::key_value(line, b':'))
        .filter_map(|(kind, count)| Some((kind, scan::u64(count)?)))
}

/// `2.05G` as `prt_human_readable_u64` writes it, in powers of 1024; parts of a byte are cut off.
fn bytes(text: &[u8]) -> Option<u64> {
    let power = match text.last()?.to_ascii_uppercase() {
        b'0'..=b'9' => return scan::u64(text),
        b'K' => 1,
        b'M' => 2,
        b'G' => 3,
        b'T' => 4,
        b'P' => 5,
        b'E' => 6,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    number.first().filter(|b| b.is_ascii_digit())?;
    Some((scan::f64(number)? * 1024f64.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_file_system() {
        let tree = Tree::of(&[
            ("sys/fs/bcachefs/de-ad/btree_cache_size", b"2.05G\n"),
            (
                "sys/fs/bcachefs/de-ad/compression_stats",
                b"typetype          compressed    uncompressed     average extent size\nlz4  48.9G  71.2G  62.5k\n",
            ),
            ("sys/fs/bcachefs/de-ad/errors", b"bset_bad_csum   2   1767112063\n"),
            ("sys/fs/bcachefs/de-ad/btree_write_stats", b"              nr        size\ninitial:   3298401   100k\n"),
            (
                "sys/fs/bcachefs/de-ad/counters/data_read",
                b"since mount:                   475G\nsince filesystem creation:     44.5T\n",
            ),
            ("sys/fs/bcachefs/de-ad/dev-10/label", b"disk-10\n"),
            ("sys/fs/bcachefs/de-ad/dev-10/state", b"[rw] ro evacuating spare \n"),
            ("sys/fs/bcachefs/de-ad/dev-10/bucket_size", b"512k\n"),
            ("sys/fs/bcachefs/de-ad/dev-10/io_done", b"read:\nsb          :       86016\nwrite:\nuser        :252377698304\n"),
            (
                "sys/fs/bcachefs/de-ad/dev-10/io_errors",
                b"IO errors since filesystem creation\n  read:    197416\n  checksum:0\nIO errors since 8 y ago\n  read:    3\n",
            ),
        ]);
        let (text, result) = exporter::testing::collect(&BCACHEFS, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_bcachefs_btree_cache_size_bytes{uuid=\"de-ad\"} 2.201170739e+09",
                "node_bcachefs_btree_write_average_size_bytes{type=\"initial\",uuid=\"de-ad\"} 102400",
                "node_bcachefs_btree_writes_total{type=\"initial\",uuid=\"de-ad\"} 3.298401e+06",
                "node_bcachefs_compression_compressed_bytes{algorithm=\"lz4\",uuid=\"de-ad\"} 5.2505975193e+10",
                "node_bcachefs_compression_uncompressed_bytes{algorithm=\"lz4\",uuid=\"de-ad\"} 7.6450417868e+10",
                "node_bcachefs_data_read_total{uuid=\"de-ad\"} 4.8928267436032e+13",
                "node_bcachefs_device_bucket_size_bytes{device=\"10\",uuid=\"de-ad\"} 524288",
                "node_bcachefs_device_info{device=\"10\",label=\"disk-10\",state=\"[rw] ro evacuating spare\",uuid=\"de-ad\"} 1",
                "node_bcachefs_device_io_done_bytes_total{data_type=\"sb\",device=\"10\",operation=\"read\",uuid=\"de-ad\"} 86016",
                "node_bcachefs_device_io_done_bytes_total{data_type=\"user\",device=\"10\",operation=\"write\",uuid=\"de-ad\"} 2.52377698304e+11",
                "node_bcachefs_device_io_errors_total{device=\"10\",type=\"checksum\",uuid=\"de-ad\"} 0",
                "node_bcachefs_device_io_errors_total{device=\"10\",type=\"read\",uuid=\"de-ad\"} 197416",
                "node_bcachefs_errors_total{error_type=\"bset_bad_csum\",uuid=\"de-ad\"} 2",
                "node_bcachefs_info{uuid=\"de-ad\"} 1",
            ]
        );
    }

    #[test]
    fn none_is_no_data() {
        let tree = Tree::of(&[("sys/fs/bcachefs/", b"")]);
        assert!(matches!(exporter::testing::collect(&BCACHEFS, &[], &tree.sources()).1, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>) {
            bytes(&text);
            since_creation(&text);
            io_errors(&text).count();
        }
    }
}
