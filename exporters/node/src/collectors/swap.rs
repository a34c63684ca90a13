//! Swap devices, from `/proc/swaps` (`mm/swapfile.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const SWAP: Entry = Entry {
    name: "swap",
    default: Default::Off,
    about: "size, use and priority of each swap device, from /proc/swaps",
    flags: &[],
    build: |_, sources| Ok(Box::new(Swap { file: sources.kept_proc("swaps") })),
};

const SIZE: Desc = Desc::gauge("node_swap_size_bytes", "Swap device size in bytes.");
const USED: Desc = Desc::gauge("node_swap_used_bytes", "Swap device used in bytes.");
const PRIORITY: Desc = Desc::gauge("node_swap_priority", "Swap device priority.");

struct Swap {
    file: KeptFile,
}

impl Collector for Swap {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for row in scan::lines(self.file.read(cx.buf)?).filter_map(parse_line) {
            let labels = [("device", row.device), ("swap_type", row.swap_type)];
            out.family(&SIZE).sample(&labels, row.size_kib as f64 * 1024.0);
            out.family(&USED).sample(&labels, row.used_kib as f64 * 1024.0);
            out.family(&PRIORITY).sample(&labels, row.priority);
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Row<'a> {
    /// With the kernel's escapes, as node_exporter shows it.
    device: &'a [u8],
    swap_type: &'a [u8],
    size_kib: u64,
    used_kib: u64,
    priority: i64,
}

/// The headline has no numbers and so is no row.
fn parse_line(line: &[u8]) -> Option<Row<'_>> {
    let mut fields = scan::fields(line);
    Some(Row {
        device: fields.next()?,
        swap_type: fields.next()?,
        size_kib: scan::u64(fields.next()?)?,
        used_kib: scan::u64(fields.next()?)?,
        priority: scan::i64(fields.next()?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let table = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/zram0                              partition\t8388604\t\t76\t\t100\n\
            /swap\\040file                           file\t\t4\t\t0\t\t-2\n";
        let tree = Tree::of(&[("proc/swaps", table)]);
        let (text, result) = exporter::testing::collect(&SWAP, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_swap_priority Swap device priority.\n# TYPE node_swap_priority gauge\n\
             node_swap_priority{device=\"/dev/zram0\",swap_type=\"partition\"} 100\n\
             node_swap_priority{device=\"/swap\\\\040file\",swap_type=\"file\"} -2\n\
             # HELP node_swap_size_bytes Swap device size in bytes.\n# TYPE node_swap_size_bytes gauge\n\
             node_swap_size_bytes{device=\"/dev/zram0\",swap_type=\"partition\"} 8.589930496e+09\n\
             node_swap_size_bytes{device=\"/swap\\\\040file\",swap_type=\"file\"} 4096\n\
             # HELP node_swap_used_bytes Swap device used in bytes.\n# TYPE node_swap_used_bytes gauge\n\
             node_swap_used_bytes{device=\"/dev/zram0\",swap_type=\"partition\"} 77824\n\
             node_swap_used_bytes{device=\"/swap\\\\040file\",swap_type=\"file\"} 0\n"
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
