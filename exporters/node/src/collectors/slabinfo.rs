//! Slab caches, from `/proc/slabinfo` (slabinfo(5)), which only root may read.

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const SLABINFO: Entry = Entry {
    name: "slabinfo",
    default: Default::Off,
    about: "objects and pages of the kernel's slab caches, from /proc/slabinfo",
    flags: &[SLABS_INCLUDE, SLABS_EXCLUDE],
    build: |flags, sources| {
        Ok(Box::new(Slabinfo {
            file: sources.kept_proc("slabinfo"),
            include: flags.regex(SLABS_INCLUDE.name),
            exclude: flags.regex(SLABS_EXCLUDE.name),
        }))
    },
};

const SLABS_INCLUDE: Flag =
    Flag::regex("collector.slabinfo.slabs-include", ".*", "Regexp of slabs to include in slabinfo collector.");
const SLABS_EXCLUDE: Flag =
    Flag::regex("collector.slabinfo.slabs-exclude", "", "Regexp of slabs to exclude in slabinfo collector.");

/// The columns behind the name.
const COLUMNS: [Desc; 5] = [
    Desc::gauge("node_slabinfo_active_objects", "The number of objects that are currently active (i.e., in use)."),
    Desc::gauge(
        "node_slabinfo_objects",
        "The total number of allocated objects (i.e., objects that are both in use and not in use).",
    ),
    Desc::gauge("node_slabinfo_object_size_bytes", "The size of objects in this slab, in bytes."),
    Desc::gauge("node_slabinfo_objects_per_slab", "The number of objects stored in each slab."),
    Desc::gauge("node_slabinfo_pages_per_slab", "The number of pages allocated for each slab."),
];

struct Slabinfo {
    file: KeptFile,
    /// Both may be given: a slab must pass both.
    include: Option<service::Regex>,
    exclude: Option<service::Regex>,
}

impl Collector for Slabinfo {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for (slab, values) in scan::lines(self.file.read(cx.buf)?).filter_map(parse_line) {
            if self.include.as_ref().is_some_and(|r| !r.is_match(slab))
                || self.exclude.as_ref().is_some_and(|r| r.is_match(slab))
            {
                continue;
            }
            for (desc, value) in COLUMNS.iter().zip(values) {
                out.family(desc).sample(&[("slab", slab)], value);
            }
        }
        Ok(())
    }
}

/// `kmalloc-8192  132  148  8192  4  8 : tunables …`; the two headlines are no rows.
fn parse_line(line: &[u8]) -> Option<(&[u8], [u64; COLUMNS.len()])> {
    let (row, _) = scan::key_value(line, b':')?;
    let mut fields = scan::fields(row);
    let slab = fields.next().filter(|slab| !slab.starts_with(b"#"))?;
    let mut values = [0; COLUMNS.len()];
    for value in &mut values {
        *value = scan::u64(fields.next()?)?;
    }
    Some((slab, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const TABLE: &[u8] = b"slabinfo - version: 2.1\n# name <active_objs> : tunables\n\
        tw_sock_TCP          704    864    256   32    2 : tunables    0    0    0 : slabdata     27     27      0\n\
        kmalloc-8            1      2      3     4     5 : tunables    0    0    0 : slabdata     27     27      0\n";

    fn collect(args: &[&str]) -> String {
        let tree = Tree::of(&[("proc/slabinfo", TABLE)]);
        let (text, result) = exporter::testing::collect(&SLABINFO, args, &tree.sources());
        result.unwrap();
        text
    }

    #[test]
    fn rows_and_filters() {
        let text = collect(&[]);
        for line in [
            "node_slabinfo_active_objects{slab=\"tw_sock_TCP\"} 704\n",
            "node_slabinfo_objects{slab=\"tw_sock_TCP\"} 864\n",
            "node_slabinfo_object_size_bytes{slab=\"tw_sock_TCP\"} 256\n",
            "node_slabinfo_objects_per_slab{slab=\"kmalloc-8\"} 4\n",
            "node_slabinfo_pages_per_slab{slab=\"kmalloc-8\"} 5\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert_eq!(text.matches("\nnode_slabinfo_objects{").count(), 2);
        assert!(!collect(&["--collector.slabinfo.slabs-include=^tw"]).contains("kmalloc"));
        assert!(
            !collect(&["--collector.slabinfo.slabs-exclude=^tw", "--collector.slabinfo.slabs-include=."])
                .contains("tw")
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for line in scan::lines(&bytes) {
                parse_line(line);
            }
        }
    }
}
