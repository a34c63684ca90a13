//! Network caches by processor, from the tables of `/proc/net/stat` (`net/core/neighbour.c`, `net/ipv4/route.c`, …).

use exporter::{CollectError, Collector, Cx, Default, Entry, Part};
use exposition::Kind;
use hostfs::scan;

/// Registers the collector.
pub(crate) const LNSTAT: Entry = Entry {
    name: "lnstat",
    default: Default::Off,
    about: "counters of network caches by processor, from /proc/net/stat",
    flags: &[],
    build: |_, sources| Ok(Box::new(Lnstat { dir: format!("{}/stat", sources.network().proc_dir()) })),
};

struct Lnstat {
    dir: String,
}

impl Collector for Lnstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let dir = cx.sources.proc(&self.dir);
        let mut name = String::new();
        for file in dir.entries()?.iter() {
            emit(file, dir.child(file).read(cx.buf)?, &mut name, out);
        }
        Ok(())
    }
}

/// Emits a table: a line of headings, then a line a processor of hexadecimal numbers.
fn emit(subsystem: &[u8], table: &[u8], name: &mut String, out: &mut Part) {
    let mut lines = scan::lines(table);
    let Some(headings) = lines.next() else { return };
    for (cpu, row) in lines.enumerate() {
        let mut digits = itoa::Buffer::new();
        let labels = [("cpu", digits.format(cpu).as_bytes()), ("subsystem", subsystem)];
        for (heading, cell) in scan::fields(headings).zip(scan::fields(row)) {
            let is_name = heading.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
            let (true, Some(value)) = (is_name, scan::hex(cell)) else { continue };
            name.clear();
            name.push_str("node_lnstat_");
            name.push_str(&scan::lossy(heading));
            name.push_str("_total");
            out.family_named(name, "linux network cache stats", Kind::Counter).sample(&labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn tables_by_processor() {
        let tree = Tree::of(&[
            ("proc/net/stat/arp_cache", b"entries  allocs\n00000014  00000001\n00000014  0000000d\n"),
            ("proc/net/stat/empty", b""),
        ]);
        let (text, result) = exporter::testing::collect(&LNSTAT, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_lnstat_allocs_total linux network cache stats\n# TYPE node_lnstat_allocs_total counter\n\
             node_lnstat_allocs_total{cpu=\"0\",subsystem=\"arp_cache\"} 1\n\
             node_lnstat_allocs_total{cpu=\"1\",subsystem=\"arp_cache\"} 13\n\
             # HELP node_lnstat_entries_total linux network cache stats\n# TYPE node_lnstat_entries_total counter\n\
             node_lnstat_entries_total{cpu=\"0\",subsystem=\"arp_cache\"} 20\n\
             node_lnstat_entries_total{cpu=\"1\",subsystem=\"arp_cache\"} 20\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            emit(b"x", &bytes, &mut String::new(), &mut Part::new());
        }
    }
}
