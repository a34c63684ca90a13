//! The kinds of metrics that `--disable_metrics` and `--enable_metrics` name.

use std::fmt;

/// One kind of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Percpu,
    Cpu,
    Sched,
    CpuLoad,
    Hugetlb,
    Memory,
    Cpuset,
    MemoryNuma,
    Disk,
    DiskIo,
    Network,
    Tcp,
    AdvTcp,
    Udp,
    App,
    Process,
    ReferencedMemory,
    CpuTopology,
    Resctrl,
    OomEvent,
    PerfEvent,
    Pressure,
}

/// The words, in the order of [`Kind`].
const WORDS: [(&str, Kind); 22] = [
    ("percpu", Kind::Percpu),
    ("cpu", Kind::Cpu),
    ("sched", Kind::Sched),
    ("cpuLoad", Kind::CpuLoad),
    ("hugetlb", Kind::Hugetlb),
    ("memory", Kind::Memory),
    ("cpuset", Kind::Cpuset),
    ("memory_numa", Kind::MemoryNuma),
    ("disk", Kind::Disk),
    ("diskIO", Kind::DiskIo),
    ("network", Kind::Network),
    ("tcp", Kind::Tcp),
    ("advtcp", Kind::AdvTcp),
    ("udp", Kind::Udp),
    ("app", Kind::App),
    ("process", Kind::Process),
    ("referenced_memory", Kind::ReferencedMemory),
    ("cpu_topology", Kind::CpuTopology),
    ("resctrl", Kind::Resctrl),
    ("oom_event", Kind::OomEvent),
    ("perf_event", Kind::PerfEvent),
    ("pressure", Kind::Pressure),
];

/// What `--disable_metrics` names when it is not given.
pub(crate) const OFF_BY_DEFAULT: &str =
    "advtcp,cpu_topology,cpuset,hugetlb,memory_numa,process,referenced_memory,resctrl,sched,tcp,udp";

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switches {
    on: u32,
    /// One series a CPU instead of their sum: only where somebody asked for it by name.
    pub(crate) per_cpu: bool,
}

impl Switches {
    /// From the two flags: what is enabled, if anything is, is the exact set.
    pub(crate) fn from_lists(disable: &str, enable: &str) -> Result<Self, String> {
        if enable.trim().is_empty() {
            let off = parse(disable).map_err(|e| format!("--disable_metrics: {e}"))?;
            return Ok(Self { on: !off, per_cpu: false });
        }
        let on = parse(enable).map_err(|e| format!("--enable_metrics: {e}"))?;
        Ok(Self { on, per_cpu: on & bit(Kind::Percpu) != 0 })
    }

    pub(crate) fn on(self, kind: Kind) -> bool {
        self.on & bit(kind) != 0
    }
}

impl fmt::Debug for Switches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(WORDS.iter().filter(|w| self.on(w.1)).map(|w| w.0)).finish()
    }
}

fn bit(kind: Kind) -> u32 {
    1 << kind as u8
}

fn parse(list: &str) -> Result<u32, String> {
    let words = list.split(',').map(str::trim).filter(|w| !w.is_empty());
    let unknown = |word: &str| {
        let known: Vec<&str> = WORDS.iter().map(|w| w.0).collect();
        format!("unsupported metric {word:?} specified, expected some of {}", known.join(","))
    };
    words.into_iter().try_fold(0, |set, word| {
        let found = WORDS.iter().find(|w| w.0 == word).ok_or_else(|| unknown(word))?;
        Ok(set | bit(found.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_replacement_and_the_exact_set() {
        let default = Switches::from_lists(OFF_BY_DEFAULT, "").unwrap();
        assert!(default.on(Kind::Cpu) && default.on(Kind::Disk) && !default.on(Kind::Tcp) && !default.per_cpu);
        let replaced = Switches::from_lists("disk, cpu", "").unwrap();
        assert!(!replaced.on(Kind::Cpu) && !replaced.on(Kind::Disk) && replaced.on(Kind::Tcp));
        let exact = Switches::from_lists("cpu", "cpu,percpu").unwrap();
        assert!(exact.on(Kind::Cpu) && exact.per_cpu && !exact.on(Kind::Memory));
        assert!(Switches::from_lists("dsk", "").unwrap_err().contains("--disable_metrics"));
        assert!(Switches::from_lists("", "x").unwrap_err().contains("--enable_metrics"));
    }

    #[test]
    fn each_kind_has_its_own_bit() {
        for (i, (_, kind)) in WORDS.iter().enumerate() {
            assert_eq!(*kind as usize, i);
        }
    }
}
