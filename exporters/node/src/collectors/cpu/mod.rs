//! Time spent by the CPUs, their models, isolation and throttling, from `/proc/stat`, `/proc/cpuinfo` and
//! `/sys/devices/system/cpu` (`Documentation/admin-guide/cputopology.rst`).

mod info;
pub(super) mod lists;
mod ticks;
mod topology;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Flags, Part};
use hostfs::{Buf, SharedFile, Sources, scan};
use std::sync::{Arc, Mutex, PoisonError};

/// Registers the collector.
pub(crate) const CPU: Entry = Entry {
    name: "cpu",
    default: Default::On,
    about: "seconds the CPUs spent in each mode, from /proc/stat; throttling and isolation from /sys/devices/system/cpu; \
            on demand their models from /proc/cpuinfo",
    flags: &[GUEST, INFO, FLAGS_INCLUDE, BUGS_INCLUDE],
    build: |flags, sources| Ok(Box::new(Cpu::new(flags, sources))),
};

const GUEST: Flag = Flag::switch_on("collector.cpu.guest", "Enables metric node_cpu_guest_seconds_total");
const INFO: Flag = Flag::switch("collector.cpu.info", "Enables metric cpu_info");
const FLAGS_INCLUDE: Flag = Flag::regex(
    "collector.cpu.info.flags-include",
    "",
    "Filter the `flags` field in cpuInfo with a value that must be a regular expression",
);
const BUGS_INCLUDE: Flag = Flag::regex(
    "collector.cpu.info.bugs-include",
    "",
    "Filter the `bugs` field in cpuInfo with a value that must be a regular expression",
);

const ISOLATED: Desc = Desc::gauge(
    "node_cpu_isolated",
    "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.",
);

struct Cpu {
    stat: Arc<SharedFile>,
    guest: bool,
    ticks: Mutex<ticks::Ticks>,
    info: Option<info::Info>,
    /// Set by the kernel's command line.
    isolated: Vec<u32>,
    topology: topology::Topology,
}

impl Cpu {
    fn new(flags: &Flags, sources: &Sources) -> Self {
        let (flags_include, bugs_include) = (flags.regex(FLAGS_INCLUDE.name), flags.regex(BUGS_INCLUDE.name));
        let info = flags.on(INFO.name) || flags_include.is_some() || bugs_include.is_some();
        Self {
            stat: sources.shared_proc("stat"),
            guest: flags.on(GUEST.name),
            ticks: Mutex::default(),
            info: info.then(|| info::Info {
                file: sources.kept_proc("cpuinfo"),
                flags_include,
                bugs_include,
                frequency: cpufreq_is_on(flags),
            }),
            isolated: sources.sys("devices/system/cpu/isolated").read(&mut Buf::new()).map(ranges).unwrap_or_default(),
            topology: topology::Topology::new(sources),
        }
    }
}

/// Whether the sibling collector runs: then frequencies of `/proc/cpuinfo` are shown too.
fn cpufreq_is_on(flags: &Flags) -> bool {
    const CPUFREQ: &str = "collector.cpufreq";
    const DISABLE_DEFAULTS: &str = "collector.disable-defaults";
    // A test of this collector alone declares neither.
    !flags.declares(CPUFREQ) || flags.on(CPUFREQ) && (flags.given(CPUFREQ) || !flags.on(DISABLE_DEFAULTS))
}

impl Collector for Cpu {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        if let Some(info) = &self.info {
            info.collect(cx, out)?;
        }
        let text = self.stat.read(cx.now, cx.buf)?;
        {
            let mut ticks = self.ticks.lock().unwrap_or_else(PoisonError::into_inner);
            ticks.update(text);
            ticks.emit(self.guest, out);
        }
        for cpu in &self.isolated {
            out.family(&ISOLATED).sample(&[("cpu", cpu.to_string().as_bytes())], 1u64);
        }
        self.topology.collect(cx, out);
        Ok(())
    }
}

/// The CPUs of a list such as `0-2,7` (`Documentation/core-api/kernel-api.rst`, bitmap_parselist).
pub(super) fn ranges(text: &[u8]) -> Vec<u32> {
    let mut cpus = Vec::new();
    for range in text.trim_ascii().split(|&b| b == b',') {
        let (first, last) = scan::key_value(range, b'-').unwrap_or((range, range));
        let number = |text| scan::u64(text).and_then(|n| u32::try_from(n).ok());
        if let (Some(first), Some(last)) = (number(first), number(last)) {
            cpus.extend((first..=last).take(MOST_CPUS));
        }
    }
    cpus
}

/// More than any kernel is built for (`CONFIG_NR_CPUS`): a broken list must not eat the memory.
const MOST_CPUS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(ranges(b"1,3-5,9\n"), [1, 3, 4, 5, 9]);
        assert_eq!(ranges(b"\n"), [0u32; 0]);
        assert_eq!(ranges(b"5-3,x,2"), [2]);
        assert_eq!(ranges(b"0-4294967295").len(), MOST_CPUS);
    }

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[
            ("proc/stat", b"cpu  301854 612\ncpu0 44490 19 21045 1087069 220 1 3410 0 2 1\nintr 1\n"),
            ("sys/devices/system/cpu/isolated", b"1,3\n"),
        ]);
        let (text, result) = exporter::testing::collect(&CPU, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_cpu_guest_seconds_total Seconds the CPUs spent in guests (VMs) for each mode.\n\
             # TYPE node_cpu_guest_seconds_total counter\n\
             node_cpu_guest_seconds_total{cpu=\"0\",mode=\"nice\"} 0.01\n\
             node_cpu_guest_seconds_total{cpu=\"0\",mode=\"user\"} 0.02\n\
             # HELP node_cpu_isolated Whether each core is isolated, information from \
             /sys/devices/system/cpu/isolated.\n\
             # TYPE node_cpu_isolated gauge\nnode_cpu_isolated{cpu=\"1\"} 1\nnode_cpu_isolated{cpu=\"3\"} 1\n\
             # HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n\
             # TYPE node_cpu_seconds_total counter\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} 10870.69\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"} 2.2\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"irq\"} 0.01\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"nice\"} 0.19\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"softirq\"} 34.1\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"steal\"} 0\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"system\"} 210.45\n\
             node_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 444.9\n"
        );
        let (text, _) = exporter::testing::collect(&CPU, &["--no-collector.cpu.guest"], &tree.sources());
        assert!(!text.contains("guest"), "{text}");
    }

    #[test]
    fn an_expression_turns_info_on() {
        let tree = Tree::of(&[
            ("proc/stat", b""),
            ("proc/cpuinfo", b"processor\t: 0\nflags\t\t: fpu aes\nbugs\t\t: mds l1tf\n"),
        ]);
        let (text, result) =
            exporter::testing::collect(&CPU, &["--collector.cpu.info.bugs-include=^mds$"], &tree.sources());
        result.unwrap();
        assert!(text.contains("node_cpu_bug_info{bug=\"mds\"} 1\n") && text.contains("node_cpu_info{"), "{text}");
        assert!(!text.contains("flag_info") && !text.contains("l1tf"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            ranges(&bytes);
        }
    }
}
