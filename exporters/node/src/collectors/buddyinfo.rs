//! Free blocks of memory by size, from `/proc/buddyinfo` (`Documentation/filesystems/proc.rst` 1.2).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const BUDDYINFO: Entry = Entry {
    name: "buddyinfo",
    default: Default::Off,
    about: "free blocks of memory by node, zone and size, from /proc/buddyinfo",
    flags: &[],
    build: |_, sources| Ok(Box::new(Buddyinfo { file: sources.kept_proc("buddyinfo") })),
};

const BLOCKS: Desc = Desc::gauge("node_buddyinfo_blocks", "Count of free blocks according to size.");

struct Buddyinfo {
    file: KeptFile,
}

impl Collector for Buddyinfo {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut family = out.family(&BLOCKS);
        let mut digits = itoa::Buffer::new();
        for line in scan::lines(self.file.read(cx.buf)?) {
            let Some((node, zone, blocks)) = parse_line(line) else { continue };
            for (order, count) in blocks.enumerate() {
                let order = digits.format(order).as_bytes();
                family.sample(&[("node", node), ("size", order), ("zone", zone)], count);
            }
        }
        Ok(())
    }
}

/// `Node 0, zone   Normal   4381   1093 …`: the n-th number counts the blocks of 2ⁿ pages.
fn parse_line(line: &[u8]) -> Option<(&[u8], &[u8], impl Iterator<Item = u64>)> {
    let (node, rest) = scan::key_value(line, b',')?;
    let node = node.strip_prefix(b"Node")?.trim_ascii();
    let mut fields = scan::fields(rest.strip_prefix(b"zone")?);
    let zone = fields.next()?;
    Some((node, zone, fields.map_while(scan::u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let tree =
            Tree::of(&[("proc/buddyinfo", b"Node 0, zone      DMA      1      0 \nNode 1, zone   Normal   4381 \n\n")]);
        let (text, result) = exporter::testing::collect(&BUDDYINFO, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_buddyinfo_blocks Count of free blocks according to size.\n# TYPE node_buddyinfo_blocks gauge\n\
             node_buddyinfo_blocks{node=\"0\",size=\"0\",zone=\"DMA\"} 1\n\
             node_buddyinfo_blocks{node=\"0\",size=\"1\",zone=\"DMA\"} 0\n\
             node_buddyinfo_blocks{node=\"1\",size=\"0\",zone=\"Normal\"} 4381\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "Node [0-9]{0,2}, zone ?[A-Z]{0,3}( [0-9x]{0,2}){0,4}") {
            for line in scan::lines(&bytes).chain([text.as_bytes()]) {
                if let Some((_, _, blocks)) = parse_line(line) {
                    blocks.count();
                }
            }
        }
    }
}
