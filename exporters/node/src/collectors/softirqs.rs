//! Softirqs by CPU, from `/proc/softirqs` (`Documentation/filesystems/proc.rst` 1.2).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const SOFTIRQS: Entry = Entry {
    name: "softirqs",
    default: Default::Off,
    about: "softirqs by CPU and kind, from /proc/softirqs",
    flags: &[],
    build: |_, sources| Ok(Box::new(Softirqs { file: sources.kept_proc("softirqs") })),
};

const CALLS: Desc = Desc::counter("node_softirqs_functions_total", "Softirq counts per CPU.");

/// The kinds that node_exporter shows (`include/linux/interrupt.h`).
const KINDS: [&str; 10] =
    ["HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU"];

struct Softirqs {
    file: KeptFile,
}

impl Collector for Softirqs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut family = out.family(&CALLS);
        let mut digits = itoa::Buffer::new();
        for (kind, counts) in scan::lines(self.file.read(cx.buf)?).filter_map(parse_line) {
            for (cpu, count) in counts.enumerate() {
                family.sample(&[("cpu", digits.format(cpu).as_bytes()), ("type", kind)], count);
            }
        }
        Ok(())
    }
}

/// One column for each CPU that the kernel can have.
fn parse_line(line: &[u8]) -> Option<(&[u8], impl Iterator<Item = u64>)> {
    let (kind, counts) = scan::key_value(line, b':')?;
    KINDS.iter().any(|k| k.as_bytes() == kind).then(|| (kind, scan::fields(counts).map_while(scan::u64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let table =
            b"                    CPU0       CPU1       \n          HI:          7          1\n    NEW_ONE: 1 2\n\
            IRQ_POLL: 3\n";
        let tree = Tree::of(&[("proc/softirqs", table)]);
        let (text, result) = exporter::testing::collect(&SOFTIRQS, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_softirqs_functions_total Softirq counts per CPU.\n\
             # TYPE node_softirqs_functions_total counter\n\
             node_softirqs_functions_total{cpu=\"0\",type=\"HI\"} 7\n\
             node_softirqs_functions_total{cpu=\"0\",type=\"IRQ_POLL\"} 3\n\
             node_softirqs_functions_total{cpu=\"1\",type=\"HI\"} 1\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for line in scan::lines(&bytes) {
                if let Some((_, counts)) = parse_line(line) {
                    counts.count();
                }
            }
        }
    }
}
