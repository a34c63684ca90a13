//! Time spent running and waiting by CPU, from `/proc/schedstat` (`Documentation/scheduler/sched-stats.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const SCHEDSTAT: Entry = Entry {
    name: "schedstat",
    default: Default::On,
    about: "time that tasks ran and waited on each CPU, and their timeslices, from /proc/schedstat",
    flags: &[],
    build: |_, sources| Ok(Box::new(Schedstat { file: sources.kept_proc("schedstat") })),
};

const RUNNING: Desc =
    Desc::counter("node_schedstat_running_seconds_total", "Number of seconds CPU spent running a process.");
const WAITING: Desc = Desc::counter(
    "node_schedstat_waiting_seconds_total",
    "Number of seconds spent by processing waiting for this CPU.",
);
const TIMESLICES: Desc = Desc::counter("node_schedstat_timeslices_total", "Number of timeslices executed by CPU.");

struct Schedstat {
    file: KeptFile,
}

impl Collector for Schedstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for row in scan::lines(self.file.read(cx.buf).or_no_data()?).filter_map(parse_line) {
            let labels = [("cpu", row.cpu)];
            out.family(&RUNNING).sample(&labels, row.running_ns as f64 / 1e9);
            out.family(&WAITING).sample(&labels, row.waiting_ns as f64 / 1e9);
            out.family(&TIMESLICES).sample(&labels, row.timeslices);
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Row<'a> {
    cpu: &'a [u8],
    running_ns: u64,
    waiting_ns: u64,
    timeslices: u64,
}

/// `cpu0` and nine numbers, of which the last three are wanted; domains have lines of their own.
fn parse_line(line: &[u8]) -> Option<Row<'_>> {
    let mut fields = scan::fields(line.strip_prefix(b"cpu")?);
    let cpu = fields.next().filter(|cpu| scan::u64(cpu).is_some())?;
    let mut numbers = fields.map(scan::u64).skip(6);
    Some(Row { cpu, running_ns: numbers.next()??, waiting_ns: numbers.next()??, timeslices: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let table = b"version 15\ntimestamp 15819019232\n\
            cpu0 498494191 0 3533438552 2553969831 3853684107 2465731542 2045936778163039 343796328169361 4767485306\n\
            domain0 00000000,00000003 212499247\ncpu1 1 2 3\n";
        let tree = Tree::of(&[("proc/schedstat", table)]);
        let (text, result) = exporter::testing::collect(&SCHEDSTAT, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_schedstat_running_seconds_total Number of seconds CPU spent running a process.\n\
             # TYPE node_schedstat_running_seconds_total counter\n\
             node_schedstat_running_seconds_total{cpu=\"0\"} 2.045936778163039e+06\n\
             # HELP node_schedstat_timeslices_total Number of timeslices executed by CPU.\n\
             # TYPE node_schedstat_timeslices_total counter\n\
             node_schedstat_timeslices_total{cpu=\"0\"} 4.767485306e+09\n\
             # HELP node_schedstat_waiting_seconds_total Number of seconds spent by processing waiting for this CPU.\n\
             # TYPE node_schedstat_waiting_seconds_total counter\n\
             node_schedstat_waiting_seconds_total{cpu=\"0\"} 343796.328169361\n"
        );
        let none = exporter::testing::collect(&SCHEDSTAT, &[], &Tree::of(&[]).sources());
        assert!(matches!(none.1, Err(CollectError::NoData)));
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
