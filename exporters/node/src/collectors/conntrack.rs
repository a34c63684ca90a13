//! Connection tracking, from `/proc/sys/net/netfilter/nf_conntrack_{count,max}` and `/proc/net/stat/nf_conntrack`
//! (`net/netfilter/nf_conntrack_standalone.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const CONNTRACK: Entry = Entry {
    name: "conntrack",
    default: Default::On,
    about: "tracked connections, their limit and what tracking did, from /proc/sys/net/netfilter and \
            /proc/net/stat/nf_conntrack",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Conntrack {
            count: sources.kept_proc("sys/net/netfilter/nf_conntrack_count"),
            max: sources.kept_proc("sys/net/netfilter/nf_conntrack_max"),
            stat: sources.kept_proc(format!("{dir}/stat/nf_conntrack")),
        }))
    },
};

const ENTRIES: Desc =
    Desc::gauge("node_nf_conntrack_entries", "Number of currently allocated flow entries for connection tracking.");
const LIMIT: Desc = Desc::gauge("node_nf_conntrack_entries_limit", "Maximum size of connection tracking table.");
/// A column of the table, by its heading, and its family.
const STATS: [(&str, Desc); 8] = [
    ("found", Desc::gauge("node_nf_conntrack_stat_found", "Number of searched entries which were successful.")),
    ("invalid", Desc::gauge("node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked.")),
    (
        "ignore",
        Desc::gauge(
            "node_nf_conntrack_stat_ignore",
            "Number of packets seen which are already connected to a conntrack entry.",
        ),
    ),
    ("insert", Desc::gauge("node_nf_conntrack_stat_insert", "Number of entries inserted into the list.")),
    (
        "insert_failed",
        Desc::gauge(
            "node_nf_conntrack_stat_insert_failed",
            "Number of entries for which list insertion was attempted but failed.",
        ),
    ),
    ("drop", Desc::gauge("node_nf_conntrack_stat_drop", "Number of packets dropped due to conntrack failure.")),
    (
        "early_drop",
        Desc::gauge(
            "node_nf_conntrack_stat_early_drop",
            "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.",
        ),
    ),
    (
        "search_restart",
        Desc::gauge(
            "node_nf_conntrack_stat_search_restart",
            "Number of conntrack table lookups which had to be restarted due to hashtable resizes.",
        ),
    ),
];

struct Conntrack {
    count: KeptFile,
    max: KeptFile,
    stat: KeptFile,
}

impl Collector for Conntrack {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for (file, desc) in [(&self.count, &ENTRIES), (&self.max, &LIMIT)] {
            let text = file.read_trimmed(cx.buf).or_no_data()?;
            let value = scan::u64(text).ok_or_else(|| {
                CollectError::failed(format!("{}: {:?} is no number", file.path().display(), scan::lossy(text)))
            })?;
            out.family(desc).sample(&[], value);
        }
        let sums = parse(self.stat.read(cx.buf).or_no_data()?);
        for ((_, desc), sum) in STATS.iter().zip(sums) {
            out.family(desc).sample(&[], sum);
        }
        Ok(())
    }
}

/// Adds up the rows, one a processor, by the headings: kernels rename the columns that are not used here.
fn parse(table: &[u8]) -> [u64; STATS.len()] {
    let mut sums = [0u64; STATS.len()];
    let mut lines = scan::lines(table);
    let Some(headings) = lines.next() else { return sums };
    for row in lines {
        for (heading, cell) in scan::fields(headings).zip(scan::fields(row)) {
            if let Some(at) = STATS.iter().position(|(name, _)| name.as_bytes() == heading) {
                sums[at] = sums[at].wrapping_add(scan::hex(cell).unwrap_or(0));
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &[u8] = b"entries  searched found new invalid ignore delete delete_list insert insert_failed drop \
        early_drop icmp_error  expect_new expect_create expect_delete search_restart\n\
        21  0 1 0 3 588a 0 0 4 5 6 7 0  0 0 0 8\n21  0 1 0 3 1 0 0 4 5 6 7 0  0 0 0 f8\n";
    const NEW: &[u8] = b"entries  clashres found new invalid ignore delete chainlength insert insert_failed drop \
        early_drop icmp_error  expect_new expect_create expect_delete search_restart\n21 9 1 9 3 2 9 9 4 5 6 7 9 9 9 9 8\n";

    #[test]
    fn headings_tell_the_columns() {
        assert_eq!(parse(OLD), [2, 6, 0x588b, 8, 10, 12, 14, 0x100]);
        assert_eq!(parse(NEW), [1, 3, 2, 4, 5, 6, 7, 8]);
        assert_eq!(parse(b""), [0; 8]);
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        let sources = hostfs::Sources::under(dir.path());
        let (text, result) = exporter::testing::collect(&CONNTRACK, &[], &sources);
        assert!(matches!(result, Err(CollectError::NoData)) && text.is_empty());
        for (path, content) in [
            ("proc/sys/net/netfilter/nf_conntrack_count", &b"123\n"[..]),
            ("proc/sys/net/netfilter/nf_conntrack_max", b"65536\n"),
            ("proc/net/stat/nf_conntrack", OLD),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let (text, result) = exporter::testing::collect(&CONNTRACK, &[], &sources);
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_nf_conntrack_entries 123",
                "node_nf_conntrack_entries_limit 65536",
                "node_nf_conntrack_stat_drop 12",
                "node_nf_conntrack_stat_early_drop 14",
                "node_nf_conntrack_stat_found 2",
                "node_nf_conntrack_stat_ignore 22667",
                "node_nf_conntrack_stat_insert 8",
                "node_nf_conntrack_stat_insert_failed 10",
                "node_nf_conntrack_stat_invalid 6",
                "node_nf_conntrack_stat_search_restart 256",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
