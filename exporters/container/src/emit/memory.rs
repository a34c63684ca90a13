//! Memory: use, cache, working set, faults, and what the OOM killer did.

use super::{Out, Subject};
use crate::cgroups::{Controller, Pseudo};
use exporter::Desc;
use hostfs::scan;

const CACHE: Desc = Desc::gauge("container_memory_cache", "Number of bytes of page cache memory.");
const RSS: Desc = Desc::gauge("container_memory_rss", "Size of RSS in bytes.");
const KERNEL: Desc = Desc::gauge("container_memory_kernel_usage", "Size of kernel memory allocated in bytes.");
const MAPPED: Desc = Desc::gauge("container_memory_mapped_file", "Size of memory mapped files in bytes.");
const SWAP: Desc = Desc::gauge("container_memory_swap", "Container swap usage in bytes.");
const FAILCNT: Desc = Desc::counter("container_memory_failcnt", "Number of memory usage hits limits");
const USAGE: Desc = Desc::gauge(
    "container_memory_usage_bytes",
    "Current memory usage in bytes, including all memory regardless of when it was accessed",
);
const MAX_USAGE: Desc = Desc::gauge("container_memory_max_usage_bytes", "Maximum memory usage recorded in bytes");
const WORKING_SET: Desc = Desc::gauge("container_memory_working_set_bytes", "Current working set in bytes.");
const ACTIVE: Desc = Desc::gauge("container_memory_total_active_file_bytes", "Current total active file in bytes.");
const INACTIVE: Desc =
    Desc::gauge("container_memory_total_inactive_file_bytes", "Current total inactive file in bytes.");
const FAILURES: Desc =
    Desc::counter("container_memory_failures_total", "Cumulative count of memory allocation failures.");
const EVENTS_HIGH: Desc = Desc::counter(
    "container_memory_events_high_total",
    "Cumulative count of memory.high throttle events for the container",
);
const EVENTS_MAX: Desc = Desc::counter(
    "container_memory_events_max_total",
    "Cumulative count of memory.max limit hit events for the container",
);
const DIRTY: Desc = Desc::gauge(
    "container_memory_file_dirty_bytes",
    "Number of bytes of file cache that has been modified but not yet written back to disk.",
);
const WRITEBACK: Desc = Desc::gauge(
    "container_memory_file_writeback_bytes",
    "Number of bytes of file cache that is currently being written back to disk.",
);
const PGSCAN: Desc =
    Desc::counter("container_memory_pgscan_total", "Cumulative number of pages scanned by the page reclaim algorithm.");
const PGSTEAL: Desc = Desc::counter(
    "container_memory_pgsteal_total",
    "Cumulative number of pages reclaimed by the page reclaim algorithm.",
);
const REFAULT_FILE: Desc = Desc::counter(
    "container_memory_workingset_refault_file_total",
    "Cumulative number of refaults of previously evicted file pages.",
);
const REFAULT_ANON: Desc = Desc::counter(
    "container_memory_workingset_refault_anon_total",
    "Cumulative number of refaults of previously evicted anonymous pages.",
);
const MIGRATE: Desc = Desc::gauge("container_memory_migrate", "Memory migrate status.");
const NUMA: Desc = Desc::gauge("container_memory_numa_pages", "Number of used pages per NUMA node");
const OOM: Desc =
    Desc::counter("container_oom_events_total", "Count of out of memory events observed for the container");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] = &[
    CACHE,
    RSS,
    KERNEL,
    MAPPED,
    SWAP,
    FAILCNT,
    USAGE,
    MAX_USAGE,
    WORKING_SET,
    ACTIVE,
    INACTIVE,
    FAILURES,
    EVENTS_HIGH,
    EVENTS_MAX,
    DIRTY,
    WRITEBACK,
    PGSCAN,
    PGSTEAL,
    REFAULT_FILE,
    REFAULT_ANON,
];
/// Of the switch `oom_event`.
pub(crate) const OOM_FAMILIES: &[Desc] = &[OOM];
/// Of the switch `cpuset`.
pub(crate) const CPUSET_FAMILIES: &[Desc] = &[MIGRATE];
/// Of the switch `memory_numa`.
pub(crate) const NUMA_FAMILIES: &[Desc] = &[NUMA];

/// Emits what has no label of its own; returns the faults for [`faults`].
pub(crate) fn plain(s: &mut Subject<'_>, out: &mut Out<'_>) -> Option<Faults> {
    let v2 = s.v2(Controller::Memory);
    let stat = s.read(Pseudo::MemoryStat).map(|text| Stat::parse(text, v2))?;
    // The root of cgroup v2 has no such file: all that is charged to anybody.
    let usage = s.number(Pseudo::MemoryUsage).or_else(|| Some(stat.anon? + stat.file?));
    out.maybe(&CACHE, stat.file);
    out.maybe(&RSS, stat.anon);
    out.maybe(&MAPPED, stat.mapped);
    out.maybe(&USAGE, usage);
    out.maybe(&WORKING_SET, usage.map(|u| u.saturating_sub(stat.inactive_file.unwrap_or(0))));
    out.maybe(&MAX_USAGE, s.number(Pseudo::MemoryMaxUsage));
    out.maybe(&ACTIVE, stat.active_file);
    out.maybe(&INACTIVE, stat.inactive_file);
    out.maybe(&DIRTY, stat.dirty);
    out.maybe(&WRITEBACK, stat.writeback);
    out.maybe(&PGSCAN, stat.pgscan);
    out.maybe(&PGSTEAL, stat.pgsteal);
    out.maybe(&REFAULT_FILE, stat.refault_file);
    out.maybe(&REFAULT_ANON, stat.refault_anon);
    if v2 {
        out.maybe(&KERNEL, stat.kernel);
        out.maybe(&SWAP, s.number(Pseudo::MemorySwapUsage));
        if let Some(events) = s.read(Pseudo::MemoryOom).map(Events::parse) {
            out.maybe(&EVENTS_HIGH, events.high);
            out.maybe(&EVENTS_MAX, events.max);
            // What v1 calls failcnt: the limit was hit. Differs from cAdvisor, which shows 0 on v2.
            out.maybe(&FAILCNT, events.max);
        }
    } else {
        out.maybe(&KERNEL, s.number(Pseudo::MemoryKernel));
        out.maybe(&SWAP, stat.swap);
        out.maybe(&FAILCNT, s.number(Pseudo::MemoryFailcnt));
    }
    Some(stat.faults)
}

/// Emits page faults by scope: the cgroup alone, and with those below it.
pub(crate) fn faults(faults: &Faults, out: &mut Out<'_>) {
    let Faults { own, all } = faults;
    for (failure_type, own, all) in [("pgfault", own.0, all.0), ("pgmajfault", own.1, all.1)] {
        for (scope, value) in [("container", own), ("hierarchy", all)] {
            let labels = [("failure_type", failure_type.as_bytes()), ("scope", scope.as_bytes())];
            out.with(&labels).maybe(&FAILURES, value);
        }
    }
}

/// Emits how often the OOM killer struck. It is the kernel's own count: exact, and not lost when this program restarts.
pub(crate) fn oom(s: &mut Subject<'_>, out: &mut Out<'_>) {
    // `oom_kill` of the root counts its own processes alone or nothing; the host's sum stands elsewhere.
    let kills = if s.root {
        s.at.sources.proc("vmstat").read(s.buf).ok().and_then(|text| find(text, b"oom_kill"))
    } else {
        s.read(Pseudo::MemoryOom).and_then(|text| find(text, b"oom_kill"))
    };
    out.maybe(&OOM, kills);
}

/// Emits whether memory moves with its tasks.
pub(crate) fn migrate(s: &mut Subject<'_>, out: &mut Out<'_>) {
    out.maybe(&MIGRATE, s.number(Pseudo::CpusetMigrate));
}

/// Emits pages by NUMA node.
pub(crate) fn numa(s: &mut Subject<'_>, out: &mut Out<'_>) {
    let v2 = s.v2(Controller::Memory);
    // Differs from cAdvisor, which shows bytes under this name on v2.
    let unit = if v2 { rustix::param::page_size() as u64 } else { 1 };
    let Some(text) = s.read(Pseudo::MemoryNuma) else { return };
    for (kind, scope, node, amount) in parse_numa(text) {
        out.with(&[("node", node), ("scope", scope.as_bytes()), ("type", kind)]).put(&NUMA, amount / unit);
    }
}

/// Kind, scope, node and amount.
fn parse_numa(text: &[u8]) -> impl Iterator<Item = (&[u8], &'static str, &[u8], u64)> {
    scan::lines(text).flat_map(|line| {
        let mut fields = scan::fields(line);
        let head = fields.next().unwrap_or_default();
        let head = head.split(|&b| b == b'=').next().unwrap_or_default();
        let (kind, scope) = match head.strip_prefix(b"hierarchical_") {
            Some(kind) => (kind, "hierarchy"),
            None => (head, "container"),
        };
        let shown = matches!(kind, b"anon" | b"file" | b"unevictable");
        fields.filter(move |_| shown).filter_map(move |field| {
            let (node, amount) = scan::key_value(field, b'=')?;
            Some((kind, scope, node.strip_prefix(b"N")?, scan::u64(amount)?))
        })
    })
}

/// Page faults: all and major ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    own: (Option<u64>, Option<u64>),
    all: (Option<u64>, Option<u64>),
}

/// `memory.stat`. On v1 the `total_` numbers, which take in the cgroups below.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stat {
    file: Option<u64>,
    anon: Option<u64>,
    mapped: Option<u64>,
    swap: Option<u64>,
    kernel: Option<u64>,
    active_file: Option<u64>,
    inactive_file: Option<u64>,
    dirty: Option<u64>,
    writeback: Option<u64>,
    pgscan: Option<u64>,
    pgsteal: Option<u64>,
    refault_file: Option<u64>,
    refault_anon: Option<u64>,
    faults: Faults,
}

impl Stat {
    fn parse(text: &[u8], v2: bool) -> Self {
        let mut stat = Self::default();
        for line in scan::lines(text) {
            let Some((key, value)) = scan::key_value(line, b' ') else { continue };
            let place = if v2 { stat.place_v2(key) } else { stat.place_v1(key) };
            if let Some(place) = place {
                *place = scan::u64(value);
            }
        }
        if v2 {
            stat.faults.all = stat.faults.own;
        }
        stat
    }

    fn place_v1(&mut self, key: &[u8]) -> Option<&mut Option<u64>> {
        Some(match key {
            b"total_cache" => &mut self.file,
            b"total_rss" => &mut self.anon,
            b"total_mapped_file" => &mut self.mapped,
            b"total_swap" => &mut self.swap,
            b"total_active_file" => &mut self.active_file,
            b"total_inactive_file" => &mut self.inactive_file,
            b"total_dirty" => &mut self.dirty,
            b"total_writeback" => &mut self.writeback,
            b"workingset_refault_file" => &mut self.refault_file,
            b"workingset_refault_anon" => &mut self.refault_anon,
            b"pgfault" => &mut self.faults.own.0,
            b"pgmajfault" => &mut self.faults.own.1,
            b"total_pgfault" => &mut self.faults.all.0,
            b"total_pgmajfault" => &mut self.faults.all.1,
            _ => return None,
        })
    }

    fn place_v2(&mut self, key: &[u8]) -> Option<&mut Option<u64>> {
        Some(match key {
            b"file" => &mut self.file,
            b"anon" => &mut self.anon,
            b"file_mapped" => &mut self.mapped,
            b"kernel" => &mut self.kernel,
            b"active_file" => &mut self.active_file,
            b"inactive_file" => &mut self.inactive_file,
            b"file_dirty" => &mut self.dirty,
            b"file_writeback" => &mut self.writeback,
            b"pgscan" => &mut self.pgscan,
            b"pgsteal" => &mut self.pgsteal,
            b"workingset_refault_file" => &mut self.refault_file,
            b"workingset_refault_anon" => &mut self.refault_anon,
            b"pgfault" => &mut self.faults.own.0,
            b"pgmajfault" => &mut self.faults.own.1,
            _ => return None,
        })
    }
}

/// `memory.events`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Events {
    high: Option<u64>,
    max: Option<u64>,
}

impl Events {
    fn parse(text: &[u8]) -> Self {
        Self { high: find(text, b"high"), max: find(text, b"max") }
    }
}

/// The number behind a key on a line of its own.
fn find(text: &[u8], key: &[u8]) -> Option<u64> {
    scan::lines(text).find_map(|l| scan::key_value(l, b' ').filter(|(k, _)| *k == key)).and_then(|(_, v)| scan::u64(v))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_memory_stat() {
        let text = b"cache 1\npgfault 2\nworkingset_refault_file 9\ntotal_cache 10\ntotal_rss 20\ntotal_pgfault 30\n\
            total_inactive_file 40\n";
        let v1 = Stat::parse(text, false);
        assert_eq!((v1.file, v1.anon, v1.inactive_file, v1.refault_file), (Some(10), Some(20), Some(40), Some(9)));
        assert_eq!(v1.faults, Faults { own: (Some(2), None), all: (Some(30), None) });
        let v2 = Stat::parse(b"anon 1\nfile 2\nkernel 3\nfile_mapped 4\npgfault 5\npgmajfault 6\npgscan 7\n", true);
        assert_eq!((v2.anon, v2.file, v2.kernel, v2.mapped, v2.pgscan), (Some(1), Some(2), Some(3), Some(4), Some(7)));
        assert_eq!(v2.faults, Faults { own: (Some(5), Some(6)), all: (Some(5), Some(6)) });
    }

    #[test]
    fn events_and_kills() {
        let v2 = b"low 0\nhigh 3\nmax 4\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(Events::parse(v2), Events { high: Some(3), max: Some(4) });
        assert_eq!(find(v2, b"oom_kill"), Some(1));
        assert_eq!(find(b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", b"oom_kill"), Some(7));
    }

    #[test]
    fn numa_of_both() {
        let v1: Vec<_> = parse_numa(b"total=3 N0=3\nfile=2 N0=1 N1=1\nhierarchical_anon=1 N0=1\n").collect();
        assert_eq!(
            v1,
            [
                (&b"file"[..], "container", &b"0"[..], 1),
                (b"file", "container", b"1", 1),
                (b"anon", "hierarchy", b"0", 1)
            ]
        );
        let v2: Vec<_> = parse_numa(b"anon N0=8192\nkernel_stack N0=1\n").collect();
        assert_eq!(v2, [(&b"anon"[..], "container", &b"0"[..], 8192)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            Stat::parse(&bytes, true);
            Stat::parse(&bytes, false);
            Events::parse(&bytes);
            let _ = parse_numa(&bytes).count();
        }
    }
}
