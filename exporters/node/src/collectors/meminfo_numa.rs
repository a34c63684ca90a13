//! Memory use by NUMA node, from `/sys/devices/system/node/node*/meminfo` and `numastat`
//! (`Documentation/admin-guide/numastat.rst`, `drivers/base/node.c`).

use exporter::{CollectError, Collector, Cx, Default, Entry, Part};
use exposition::Kind;
use hostfs::{KeptFiles, scan};

/// Registers the collector.
pub(crate) const MEMINFO_NUMA: Entry = Entry {
    name: "meminfo_numa",
    default: Default::Off,
    about: "memory use and allocations by NUMA node, from /sys/devices/system/node",
    flags: &[],
    build: |_, sources| Ok(Box::new(MeminfoNuma { files: sources.kept_files() })),
};

struct MeminfoNuma {
    files: KeptFiles,
}

impl Collector for MeminfoNuma {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let folder = cx.sources.sys("devices/system/node");
        let entries = match folder.entries() {
            Ok(entries) => entries,
            // A kernel without NUMA.
            Err(e) if e.is_absent() => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let round = self.files.round();
        for name in entries.iter() {
            let Some(node) = name.strip_prefix(b"node").filter(|n| n.first().is_some_and(u8::is_ascii_digit)) else {
                continue;
            };
            for (file, kind, parse) in
                [("meminfo", Kind::Gauge, parse_meminfo as Parse), ("numastat", Kind::Counter, parse_numastat)]
            {
                let file = folder.child(name).join(file);
                for line in scan::lines(round.read(&file, cx.buf)?).filter(|line| !line.trim_ascii().is_empty()) {
                    let Some((field, value)) = parse(line) else {
                        let (path, line) = (file.path().display(), scan::lossy(line));
                        return Err(CollectError::failed(format!("{path}: no field and number: {line:?}")));
                    };
                    let name = format!("node_memory_numa_{field}");
                    let help = format!("Memory information field {field}.");
                    out.family_named(&exposition::sanitize_name(&name), &help, kind).sample(&[("node", node)], value);
                }
            }
        }
        Ok(())
    }
}

type Parse = fn(&[u8]) -> Option<(String, u64)>;

/// `Node 0 Active(anon):   707912 kB`
fn parse_meminfo(line: &[u8]) -> Option<(String, u64)> {
    let (head, value) = scan::key_value(line, b':')?;
    let field = scan::lossy(scan::fields(head).nth(2)?).replace('(', "_").replace(')', "");
    let mut value = scan::fields(value);
    let number = scan::u64(value.next()?)?;
    match value.next() {
        None => Some((field, number)),
        Some(b"kB") => Some((field, number.saturating_mul(1024))),
        Some(_) => None,
    }
}

/// `numa_hit 193460335812`
fn parse_numastat(line: &[u8]) -> Option<(String, u64)> {
    let mut fields = scan::fields(line);
    Some((format!("{}_total", scan::lossy(fields.next()?)), scan::u64(fields.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let node = "sys/devices/system/node";
        let tree = Tree::of(&[
            (&format!("{node}/node0/meminfo"), b"\nNode 0 Active(anon):   707912 kB\nNode 0 HugePages_Free:      1\n"),
            (&format!("{node}/node0/numastat"), b"numa_hit 193460335812\n"),
            (&format!("{node}/possible"), b"0\n"),
        ]);
        let (text, result) = exporter::testing::collect(&MEMINFO_NUMA, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_memory_numa_Active_anon Memory information field Active_anon.\n\
             # TYPE node_memory_numa_Active_anon gauge\nnode_memory_numa_Active_anon{node=\"0\"} 7.24901888e+08\n\
             # HELP node_memory_numa_HugePages_Free Memory information field HugePages_Free.\n\
             # TYPE node_memory_numa_HugePages_Free gauge\nnode_memory_numa_HugePages_Free{node=\"0\"} 1\n\
             # HELP node_memory_numa_numa_hit_total Memory information field numa_hit_total.\n\
             # TYPE node_memory_numa_numa_hit_total counter\n\
             node_memory_numa_numa_hit_total{node=\"0\"} 1.93460335812e+11\n"
        );
        exporter::testing::collect(&MEMINFO_NUMA, &[], &Tree::of(&[]).sources()).1.unwrap();
    }

    #[test]
    fn a_broken_line_is_named() {
        let tree = Tree::of(&[("sys/devices/system/node/node1/meminfo", b"Node 1 MemTotal: 1 MB\n")]);
        let error = exporter::testing::collect(&MEMINFO_NUMA, &[], &tree.sources()).1.unwrap_err().to_string();
        assert!(error.contains("node1/meminfo") && error.contains("1 MB"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for line in scan::lines(&bytes) {
                parse_meminfo(line);
                parse_numastat(line);
            }
        }
    }
}
