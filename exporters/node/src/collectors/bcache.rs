//! Cache sets of bcache, from `/sys/fs/bcache` (`Documentation/admin-guide/bcache.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{Buf, File, scan};

const PRIORITY_STATS: Flag = Flag::switch("collector.bcache.priorityStats", "Expose expensive priority stats.");

/// Registers the collector.
pub(crate) const BCACHE: Entry = Entry {
    name: "bcache",
    default: Default::On,
    about: "cache sets of bcache with their backing and cache devices, from /sys/fs/bcache",
    flags: &[PRIORITY_STATS],
    build: |flags, _| Ok(Box::new(Bcache { priority_stats: flags.on(PRIORITY_STATS.name) })),
};

/// Families of the cache set itself, by attribute.
const SET: [(&str, Desc); 10] = [
    (
        "average_key_size",
        Desc::gauge("node_bcache_average_key_size_sectors", "Average data per key in the btree (sectors)."),
    ),
    (
        "btree_cache_size",
        Desc::gauge("node_bcache_btree_cache_size_bytes", "Amount of memory currently used by the btree cache."),
    ),
    (
        "cache_available_percent",
        Desc::gauge(
            "node_bcache_cache_available_percent",
            "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
        ),
    ),
    ("congested", Desc::gauge("node_bcache_congested", "Congestion.")),
    (
        "root_usage_percent",
        Desc::gauge(
            "node_bcache_root_usage_percent",
            "Percentage of the root btree node in use (tree depth increases if too high).",
        ),
    ),
    ("tree_depth", Desc::gauge("node_bcache_tree_depth", "Depth of the btree.")),
    (
        "internal/active_journal_entries",
        Desc::gauge("node_bcache_active_journal_entries", "Number of journal entries that are newer than the index."),
    ),
    ("internal/btree_nodes", Desc::gauge("node_bcache_btree_nodes", "Total nodes in the btree.")),
    (
        "internal/cache_read_races",
        Desc::counter(
            "node_bcache_cache_read_races_total",
            "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
        ),
    ),
    ("internal/btree_read_average_duration_us", READ_DURATION),
];

const READ_DURATION: Desc =
    Desc::gauge("node_bcache_btree_read_average_duration_seconds", "Average btree read duration.");

/// Families of a backing device, by attribute.
const BACKING: [(&str, Desc); 8] = [
    (
        "dirty_data",
        Desc::gauge("node_bcache_dirty_data_bytes", "Amount of dirty data for this backing device in the cache."),
    ),
    (
        "stats_total/bypassed",
        Desc::counter(
            "node_bcache_bypassed_bytes_total",
            "Amount of IO (both reads and writes) that has bypassed the cache.",
        ),
    ),
    (
        "stats_total/cache_hits",
        Desc::counter("node_bcache_cache_hits_total", "Hits counted per individual IO as bcache sees them."),
    ),
    (
        "stats_total/cache_misses",
        Desc::counter("node_bcache_cache_misses_total", "Misses counted per individual IO as bcache sees them."),
    ),
    (
        "stats_total/cache_bypass_hits",
        Desc::counter("node_bcache_cache_bypass_hits_total", "Hits for IO intended to skip the cache."),
    ),
    (
        "stats_total/cache_bypass_misses",
        Desc::counter("node_bcache_cache_bypass_misses_total", "Misses for IO intended to skip the cache."),
    ),
    (
        "stats_total/cache_miss_collisions",
        Desc::counter(
            "node_bcache_cache_miss_collisions_total",
            "Instances where data insertion from cache miss raced with write (data already present).",
        ),
    ),
    // Gone since Linux 5.14.
    (
        "stats_total/cache_readaheads",
        Desc::counter("node_bcache_cache_readaheads_total", "Count of times readahead occurred."),
    ),
];

/// Families of the lines of `writeback_rate_debug`.
const WRITEBACK: [(&[u8], Desc); 5] = [
    (
        b"target",
        Desc::gauge(
            "node_bcache_dirty_target_bytes",
            "Current dirty data target threshold for this backing device in bytes.",
        ),
    ),
    (b"rate", Desc::gauge("node_bcache_writeback_rate", "Current writeback rate for this backing device in bytes.")),
    (
        b"proportional",
        Desc::gauge(
            "node_bcache_writeback_rate_proportional_term",
            "Current result of proportional controller, part of writeback rate",
        ),
    ),
    (
        b"integral",
        Desc::gauge(
            "node_bcache_writeback_rate_integral_term",
            "Current result of integral controller, part of writeback rate",
        ),
    ),
    (
        b"change",
        Desc::gauge("node_bcache_writeback_change", "Last writeback rate change step for this backing device."),
    ),
];

/// Families of a cache device, by attribute.
const CACHE: [(&str, Desc); 3] = [
    (
        "io_errors",
        Desc::gauge("node_bcache_io_errors", "Number of errors that have occurred, decayed by io_error_halflife."),
    ),
    (
        "metadata_written",
        Desc::counter(
            "node_bcache_metadata_written_bytes_total",
            "Sum of all non data writes (btree writes and all other metadata).",
        ),
    ),
    (
        "written",
        Desc::counter("node_bcache_written_bytes_total", "Sum of all data that has been written to the cache."),
    ),
];

const UNUSED: Desc = Desc::gauge(
    "node_bcache_priority_stats_unused_percent",
    "The percentage of the cache that doesn't contain any data.",
);
const METADATA: Desc = Desc::gauge("node_bcache_priority_stats_metadata_percent", "Bcache's metadata overhead.");

struct Bcache {
    /// Reading them sorts all buckets of the cache device.
    priority_stats: bool,
}

impl Collector for Bcache {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/bcache");
        let sets = match root.entries() {
            // The module is not loaded: no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            sets => sets?,
        };
        let mut scrape = Scrape { buf: cx.buf, out, failed: None };
        for set in sets.iter().filter(|name| name.contains(&b'-')) {
            let dir = root.child(set);
            let Ok(names) = dir.entries() else { continue };
            let uuid: (&str, &[u8]) = ("uuid", set);
            for (attribute, desc) in &SET {
                // Nanoseconds, whatever the attribute is called.
                let unit = if desc.name == READ_DURATION.name { 1e-9 } else { 1.0 };
                scrape.number(&dir.join(attribute), desc, &[uuid], unit);
            }
            for name in names.iter() {
                let dir = dir.child(name);
                if is_numbered(name, b"bdev") {
                    scrape.backing(&dir, &[("backing_device", name), uuid]);
                } else if is_numbered(name, b"cache") {
                    scrape.cache(&dir, &[("cache_device", name), uuid], self.priority_stats);
                }
            }
        }
        scrape.failed.map_or(Ok(()), Err)
    }
}

struct Scrape<'a> {
    buf: &'a mut Buf,
    out: &'a mut Part,
    failed: Option<CollectError>,
}

impl Scrape<'_> {
    fn backing(&mut self, dir: &File<'_>, labels: &[(&str, &[u8])]) {
        for (attribute, desc) in &BACKING {
            self.number(&dir.join(attribute), desc, labels, 1.0);
        }
        let file = dir.join("writeback_rate_debug");
        match file.read(self.buf) {
            Ok(text) => {
                for (key, value) in scan::lines(text).filter_map(|line| scan::key_value(line, b':')) {
                    let Some((_, desc)) = WRITEBACK.iter().find(|(k, _)| *k == key) else { continue };
                    match dehumanize(value.strip_suffix(b"/sec").unwrap_or(value)) {
                        Some(n) => {
                            self.out.family(desc).sample(labels, n);
                        }
                        None => self.failed = Some(no_number(&file, value)),
                    }
                }
            }
            Err(e) if e.is_absent() => {}
            Err(e) => self.failed = Some(e.into()),
        }
    }

    fn cache(&mut self, dir: &File<'_>, labels: &[(&str, &[u8])], priority_stats: bool) {
        for (attribute, desc) in &CACHE {
            self.number(&dir.join(attribute), desc, labels, 1.0);
        }
        if !priority_stats {
            return;
        }
        let Ok(text) = dir.join("priority_stats").read(self.buf) else { return };
        for (key, value) in scan::lines(text).filter_map(|line| scan::key_value(line, b':')) {
            let Some(percent) = value.strip_suffix(b"%").and_then(scan::u64) else { continue };
            match key {
                b"Unused" => self.out.family(&UNUSED).sample(labels, percent),
                b"Metadata" => self.out.family(&METADATA).sample(labels, percent),
                _ => continue,
            };
        }
    }

    fn number(&mut self, file: &File<'_>, desc: &Desc, labels: &[(&str, &[u8])], unit: f64) {
        match file.read_trimmed(self.buf) {
            Ok(text) => match dehumanize(text) {
                Some(n) => {
                    self.out.family(desc).sample(labels, n as f64 * unit);
                }
                None => self.failed = Some(no_number(file, text)),
            },
            Err(e) if e.is_absent() => {}
            Err(e) => self.failed = Some(e.into()),
        }
    }
}

fn no_number(file: &File<'_>, text: &[u8]) -> CollectError {
    CollectError::failed(format!("parse {}: no number: {:?}", file.path().display(), scan::lossy(text)))
}

fn is_numbered(name: &[u8], prefix: &[u8]) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// Reads what the kernel's `bch_hprint` wrote: `20.4G`. The digits behind the point are 1024ths divided by 100, so that
/// `.10` comes after `.9`.
fn dehumanize(text: &[u8]) -> Option<i64> {
    let (text, sign) = text.strip_prefix(b"-").map_or((text, 1.0), |t| (t, -1.0));
    let power = match text.last()? {
        b'0'..=b'9' => 0,
        b'k' => 1,
        b'M' => 2,
        b'G' => 3,
        b'T' => 4,
        b'P' => 5,
        b'E' => 6,
        b'Z' => 7,
        b'Y' => 8,
        _ => return None,
    };
    let text = if power == 0 { text } else { &text[..text.len() - 1] };
    let mut parts = text.split(|&b| b == b'.');
    let whole = scan::u64(parts.next()?)? as f64;
    let fraction = match parts.next() {
        Some(digits) => scan::u64(digits)? as f64 / if power == 0 { 10f64.powi(digits.len() as i32) } else { 10.24 },
        None => 0.0,
    };
    Some((sign * ((whole + fraction) * 1024f64.powi(power)).trunc()) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_set() {
        let tree = Tree::of(&[
            ("sys/fs/bcache/register", b""),
            ("sys/fs/bcache/de-ad/average_key_size", b"0\n"),
            ("sys/fs/bcache/de-ad/btree_cache_size", b"2.5M\n"),
            ("sys/fs/bcache/de-ad/internal/btree_read_average_duration_us", b"1305\n"),
            ("sys/fs/bcache/de-ad/bdev0/dirty_data", b"20.4G\n"),
            ("sys/fs/bcache/de-ad/bdev0/stats_total/cache_hits", b"546\n"),
            (
                "sys/fs/bcache/de-ad/bdev0/writeback_rate_debug",
                b"rate:           1.1M/sec\ndirty:          20.4G\ntarget:         20.4G\nproportional:   -427.5k\n\
                  change:         321.5k/sec\nnext io:        17ms\n",
            ),
            ("sys/fs/bcache/de-ad/cache0/written", b"0\n"),
            ("sys/fs/bcache/de-ad/cache0/priority_stats", b"Unused:\t\t99%\nMetadata:\t0%\nAverage:\t10473\n"),
        ]);
        let (text, result) =
            exporter::testing::collect(&BCACHE, &["--collector.bcache.priorityStats"], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_bcache_average_key_size_sectors{uuid=\"de-ad\"} 0",
                "node_bcache_btree_cache_size_bytes{uuid=\"de-ad\"} 2.609152e+06",
                "node_bcache_btree_read_average_duration_seconds{uuid=\"de-ad\"} 1.305e-06",
                "node_bcache_cache_hits_total{backing_device=\"bdev0\",uuid=\"de-ad\"} 546",
                "node_bcache_dirty_data_bytes{backing_device=\"bdev0\",uuid=\"de-ad\"} 2.189426688e+10",
                "node_bcache_dirty_target_bytes{backing_device=\"bdev0\",uuid=\"de-ad\"} 2.189426688e+10",
                "node_bcache_priority_stats_metadata_percent{cache_device=\"cache0\",uuid=\"de-ad\"} 0",
                "node_bcache_priority_stats_unused_percent{cache_device=\"cache0\",uuid=\"de-ad\"} 99",
                "node_bcache_writeback_change{backing_device=\"bdev0\",uuid=\"de-ad\"} 329204",
                "node_bcache_writeback_rate{backing_device=\"bdev0\",uuid=\"de-ad\"} 1.150976e+06",
                "node_bcache_writeback_rate_proportional_term{backing_device=\"bdev0\",uuid=\"de-ad\"} -437748",
                "node_bcache_written_bytes_total{cache_device=\"cache0\",uuid=\"de-ad\"} 0",
            ]
        );
        let (text, _) = exporter::testing::collect(&BCACHE, &[], &tree.sources());
        assert!(!text.contains("priority_stats"));
    }

    #[test]
    fn human_numbers() {
        assert_eq!(dehumanize(b"542k"), Some(555_008));
        assert_eq!(dehumanize(b"322M"), Some(337_641_472));
        assert_eq!(dehumanize(b"1.1k"), Some(1124));
        assert_eq!(dehumanize(b"1.9k"), Some(1924));
        assert_eq!(dehumanize(b"1.10k"), Some(2024));
        assert_eq!(dehumanize(b"3"), Some(3));
        assert_eq!(dehumanize(b""), None);
        assert_eq!(dehumanize(b"k"), None);
        assert_eq!(dehumanize(b"1.k"), None);
        assert_eq!(dehumanize(b"4q"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            dehumanize(&bytes);
        }

        #[test]
        fn any_number_is_survived(text in "-?[0-9]{1,22}(\\.[0-9]{0,30})?[kMGTPEZY]?") {
            dehumanize(text.as_bytes());
        }
    }
}
