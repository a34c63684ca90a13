//! Interrupts, context switches, forks, boot time and running tasks, from `/proc/stat`
//! (`Documentation/filesystems/proc.rst` 1.7).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{SharedFile, scan};
use std::sync::Arc;

/// Registers the collector.
pub(crate) const STAT: Entry = Entry {
    name: "stat",
    default: Default::On,
    about: "interrupts, context switches, forks, boot time and tasks running or blocked, from /proc/stat",
    flags: &[SOFTIRQ],
    build: |flags, sources| Ok(Box::new(Stat { file: sources.shared_proc("stat"), softirq: flags.on(SOFTIRQ.name) })),
};

const SOFTIRQ: Flag = Flag::switch("collector.stat.softirq", "Export softirq calls per vector");

const INTR: Desc = Desc::counter("node_intr_total", "Total number of interrupts serviced.");
const CONTEXT_SWITCHES: Desc = Desc::counter("node_context_switches_total", "Total number of context switches.");
const FORKS: Desc = Desc::counter("node_forks_total", "Total number of forks.");
const BOOT_TIME: Desc = Desc::gauge("node_boot_time_seconds", "Node boot time, in unixtime.");
const PROCS_RUNNING: Desc = Desc::gauge("node_procs_running", "Number of processes in runnable state.");
const PROCS_BLOCKED: Desc =
    Desc::gauge("node_procs_blocked", "Number of processes blocked waiting for I/O to complete.");
const SOFTIRQS: Desc = Desc::counter("node_softirqs_total", "Number of softirq calls.");

/// The kernel's order (`include/linux/interrupt.h`).
const VECTORS: [&str; 10] =
    ["hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu"];

struct Stat {
    file: Arc<SharedFile>,
    softirq: bool,
}

impl Collector for Stat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let stat = parse(self.file.read(cx.now, cx.buf)?);
        for (desc, value) in [
            (&INTR, stat.intr),
            (&CONTEXT_SWITCHES, stat.ctxt),
            (&FORKS, stat.processes),
            (&BOOT_TIME, stat.btime),
            (&PROCS_RUNNING, stat.procs_running),
            (&PROCS_BLOCKED, stat.procs_blocked),
        ] {
            out.family(desc).sample(&[], value);
        }
        if self.softirq {
            let mut family = out.family(&SOFTIRQS);
            for (vector, calls) in VECTORS.iter().zip(stat.softirq) {
                family.sample(&[("vector", vector.as_bytes())], calls);
            }
        }
        Ok(())
    }
}

/// What a kernel does not say is 0, as node_exporter has it.
#[derive(Debug, PartialEq, Default)]
struct Numbers {
    intr: u64,
    ctxt: u64,
    processes: u64,
    btime: u64,
    procs_running: u64,
    procs_blocked: u64,
    softirq: [u64; VECTORS.len()],
}

fn parse(text: &[u8]) -> Numbers {
    let mut numbers = Numbers::default();
    for line in scan::lines(text) {
        // The line of interrupts is long: only its first number is looked at.
        let mut fields = scan::fields(line);
        let Some(key) = fields.next() else { continue };
        let mut next = || fields.next().and_then(scan::u64).unwrap_or_default();
        match key {
            b"intr" => numbers.intr = next(),
            b"ctxt" => numbers.ctxt = next(),
            b"processes" => numbers.processes = next(),
            b"btime" => numbers.btime = next(),
            b"procs_running" => numbers.procs_running = next(),
            b"procs_blocked" => numbers.procs_blocked = next(),
            b"softirq" => {
                next();
                numbers.softirq = std::array::from_fn(|_| next());
            }
            _ => {}
        }
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &[u8] = b"cpu  1 2\nintr 8885917 17 0\nctxt 38014093\nbtime 1418183276\nprocesses 26442\n\
        procs_running 2\nprocs_blocked 1\nsoftirq 55 1 2 3 4 5 6 7 8 9 10\n";

    #[test]
    fn numbers() {
        assert_eq!(
            parse(TEXT),
            Numbers {
                intr: 8_885_917,
                ctxt: 38_014_093,
                processes: 26_442,
                btime: 1_418_183_276,
                procs_running: 2,
                procs_blocked: 1,
                softirq: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
            }
        );
        assert_eq!(parse(b""), Numbers::default());
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/stat"), TEXT).unwrap();
        let sources = hostfs::Sources::under(dir.path());
        let (text, result) = exporter::testing::collect(&STAT, &[], &sources);
        result.unwrap();
        assert!(
            text.contains("# TYPE node_boot_time_seconds gauge\nnode_boot_time_seconds 1.418183276e+09\n"),
            "{text}"
        );
        assert!(text.contains("# TYPE node_forks_total counter\nnode_forks_total 26442\n"), "{text}");
        assert!(!text.contains("softirqs"), "{text}");
        let (text, result) = exporter::testing::collect(&STAT, &["--collector.stat.softirq"], &sources);
        result.unwrap();
        assert!(text.contains("node_softirqs_total{vector=\"block_iopoll\"} 6\n"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
