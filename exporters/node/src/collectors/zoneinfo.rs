//! Memory zones, from `/proc/zoneinfo` (`Documentation/admin-guide/mm/concepts.rst`, `mm/vmstat.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use exposition::Kind;
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const ZONEINFO: Entry = Entry {
    name: "zoneinfo",
    default: Default::Off,
    about: "pages, watermarks and allocations of each memory zone, from /proc/zoneinfo",
    flags: &[],
    build: |_, sources| Ok(Box::new(Zoneinfo { file: sources.kept_proc("zoneinfo") })),
};

struct Zoneinfo {
    file: KeptFile,
}

impl Collector for Zoneinfo {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut zone: Option<[(&str, &[u8]); 2]> = None;
        for line in scan::lines(self.file.read(cx.buf)?) {
            if let Some((node, name)) = parse_head(line) {
                zone = Some([("node", node), ("zone", name)]);
                continue;
            }
            let Some(labels) = &zone else { continue };
            if let Some(values) = parse_protection(line) {
                for (i, value) in values.enumerate() {
                    let name = format!("node_zoneinfo_protection_{i}");
                    let help = format!("Protection array {i}. field");
                    out.family_named(&name, &help, Kind::Gauge).sample(labels, value);
                }
            } else if let Some((desc, value)) = parse_line(line) {
                out.family(desc).sample(labels, value);
            }
        }
        Ok(())
    }
}

/// `Node 0, zone   Normal`
fn parse_head(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (node, zone) = scan::key_value(line.strip_prefix(b"Node")?, b',')?;
    Some((node, zone.strip_prefix(b"zone")?.trim_ascii()))
}

/// `protection: (0, 2039, 31932)`
fn parse_protection(line: &[u8]) -> Option<impl Iterator<Item = i64>> {
    let list = line.trim_ascii().strip_prefix(b"protection:")?.trim_ascii();
    let list = list.strip_prefix(b"(")?.strip_suffix(b")")?;
    Some(list.split(|&b| b == b',').map_while(|value| scan::i64(value.trim_ascii())))
}

/// `nr_free_pages 2949`
fn parse_line(line: &[u8]) -> Option<(&'static Desc, i64)> {
    let mut fields = scan::fields(line);
    let field = fields.next()?;
    let (_, desc) = FIELDS.iter().find(|(name, _)| name.as_bytes() == field)?;
    Some((desc, scan::i64(fields.next()?)?))
}

const FIELDS: &[(&str, Desc)] = &[
    ("nr_free_pages", Desc::gauge("node_zoneinfo_nr_free_pages", "Total number of free pages in the zone")),
    ("min", Desc::gauge("node_zoneinfo_min_pages", "Zone watermark pages_min")),
    ("low", Desc::gauge("node_zoneinfo_low_pages", "Zone watermark pages_low")),
    ("high", Desc::gauge("node_zoneinfo_high_pages", "Zone watermark pages_high")),
    ("scanned", Desc::gauge("node_zoneinfo_scanned_pages", "Pages scanned since last reclaim")),
    ("spanned", Desc::gauge("node_zoneinfo_spanned_pages", "Total pages spanned by the zone, including holes")),
    ("present", Desc::gauge("node_zoneinfo_present_pages", "Physical pages existing within the zone")),
    ("managed", Desc::gauge("node_zoneinfo_managed_pages", "Present pages managed by the buddy system")),
    (
        "nr_active_anon",
        Desc::gauge("node_zoneinfo_nr_active_anon_pages", "Number of anonymous pages recently more used"),
    ),
    (
        "nr_inactive_anon",
        Desc::gauge("node_zoneinfo_nr_inactive_anon_pages", "Number of anonymous pages recently less used"),
    ),
    ("nr_isolated_anon", Desc::gauge("node_zoneinfo_nr_isolated_anon_pages", "Temporary isolated pages from anon lru")),
    (
        "nr_anon_pages",
        Desc::gauge("node_zoneinfo_nr_anon_pages", "Number of anonymous pages currently used by the system"),
    ),
    (
        "nr_anon_transparent_hugepages",
        Desc::gauge(
            "node_zoneinfo_nr_anon_transparent_hugepages",
            "Number of anonymous transparent huge pages currently used by the system",
        ),
    ),
    ("nr_active_file", Desc::gauge("node_zoneinfo_nr_active_file_pages", "Number of active pages with file-backing")),
    (
        "nr_inactive_file",
        Desc::gauge("node_zoneinfo_nr_inactive_file_pages", "Number of inactive pages with file-backing"),
    ),
    ("nr_isolated_file", Desc::gauge("node_zoneinfo_nr_isolated_file_pages", "Temporary isolated pages from file lru")),
    ("nr_file_pages", Desc::gauge("node_zoneinfo_nr_file_pages", "Number of file pages")),
    ("nr_slab_reclaimable", Desc::gauge("node_zoneinfo_nr_slab_reclaimable_pages", "Number of reclaimable slab pages")),
    (
        "nr_slab_unreclaimable",
        Desc::gauge("node_zoneinfo_nr_slab_unreclaimable_pages", "Number of unreclaimable slab pages"),
    ),
    ("nr_mlock_stack", Desc::gauge("node_zoneinfo_nr_mlock_stack_pages", "mlock()ed pages found and moved off LRU")),
    ("nr_kernel_stack", Desc::gauge("node_zoneinfo_nr_kernel_stacks", "Number of kernel stacks")),
    ("nr_mapped", Desc::gauge("node_zoneinfo_nr_mapped_pages", "Number of mapped pages")),
    ("nr_dirty", Desc::gauge("node_zoneinfo_nr_dirty_pages", "Number of dirty pages")),
    ("nr_writeback", Desc::gauge("node_zoneinfo_nr_writeback_pages", "Number of writeback pages")),
    ("nr_unevictable", Desc::gauge("node_zoneinfo_nr_unevictable_pages", "Number of unevictable pages")),
    ("nr_shmem", Desc::gauge("node_zoneinfo_nr_shmem_pages", "Number of shmem pages (included tmpfs/GEM pages)")),
    ("nr_dirtied", Desc::counter("node_zoneinfo_nr_dirtied_total", "Page dirtyings since bootup")),
    ("nr_written", Desc::counter("node_zoneinfo_nr_written_total", "Page writings since bootup")),
    ("numa_hit", Desc::counter("node_zoneinfo_numa_hit_total", "Allocated in intended node")),
    ("numa_miss", Desc::counter("node_zoneinfo_numa_miss_total", "Allocated in non intended node")),
    ("numa_foreign", Desc::counter("node_zoneinfo_numa_foreign_total", "Was intended here, hit elsewhere")),
    ("numa_interleave", Desc::counter("node_zoneinfo_numa_interleave_total", "Interleaver preferred this zone")),
    ("numa_local", Desc::counter("node_zoneinfo_numa_local_total", "Allocation from local node")),
    ("numa_other", Desc::counter("node_zoneinfo_numa_other_total", "Allocation from other node")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[(
            "proc/zoneinfo",
            b"Node 0, zone      DMA\n  per-node stats\n      nr_dirtied   1189097\n  pages free     2949\n        min      8\n\
              \x20       protection: (0, 2039)\n      nr_free_pages 2949\n  pagesets\n    cpu: 0\n              high:  0\n\
              Node 0, zone   Normal\n  pages free     1\n",
        )]);
        let (text, result) = exporter::testing::collect(&ZONEINFO, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with("# HELP")).collect();
        assert_eq!(
            samples,
            [
                "# TYPE node_zoneinfo_min_pages gauge",
                "node_zoneinfo_min_pages{node=\"0\",zone=\"DMA\"} 8",
                "# TYPE node_zoneinfo_nr_dirtied_total counter",
                "node_zoneinfo_nr_dirtied_total{node=\"0\",zone=\"DMA\"} 1.189097e+06",
                "# TYPE node_zoneinfo_nr_free_pages gauge",
                "node_zoneinfo_nr_free_pages{node=\"0\",zone=\"DMA\"} 2949",
                "# TYPE node_zoneinfo_protection_0 gauge",
                "node_zoneinfo_protection_0{node=\"0\",zone=\"DMA\"} 0",
                "# TYPE node_zoneinfo_protection_1 gauge",
                "node_zoneinfo_protection_1{node=\"0\",zone=\"DMA\"} 2039",
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "(Node [0-9], zone [a-z]|protection: \\([0-9, ]{0,9}\\)|min -?[0-9]{0,3})") {
            for line in scan::lines(&bytes).chain([text.as_bytes()]) {
                parse_head(line);
                parse_line(line);
                if let Some(values) = parse_protection(line) {
                    values.count();
                }
            }
        }
    }
}
