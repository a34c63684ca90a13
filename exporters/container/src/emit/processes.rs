//! Processes of a container: how many, their descriptors, limits, states and time on CPUs.

use super::{Out, Subject};
use crate::cgroups::Pseudo;
use exporter::Desc;
use hostfs::{Buf, Sources, scan};
use std::collections::BTreeMap;

const PROCESSES: Desc = Desc::gauge("container_processes", "Number of processes running inside the container.");
const DESCRIPTORS: Desc =
    Desc::gauge("container_file_descriptors", "Number of open file descriptors for the container.");
const SOCKETS: Desc = Desc::gauge("container_sockets", "Number of open sockets for the container.");
const THREADS_MAX: Desc = Desc::gauge(
    "container_threads_max",
    "Maximum number of threads allowed inside the container, infinity if value is zero",
);
const THREADS: Desc = Desc::gauge("container_threads", "Number of threads running inside the container");
const ULIMITS: Desc = Desc::gauge(
    "container_ulimits_soft",
    "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
);
const RUN: Desc = Desc::counter(
    "container_cpu_schedstat_run_seconds_total",
    "Time duration the processes of the container have run on the CPU.",
);
const WAIT: Desc = Desc::counter(
    "container_cpu_schedstat_runqueue_seconds_total",
    "Time duration processes of the container have been waiting on a runqueue.",
);
const SLICES: Desc = Desc::counter(
    "container_cpu_schedstat_run_periods_total",
    "Number of times processes of the cgroup have run on the cpu",
);
const STATE: Desc = Desc::gauge("container_tasks_state", "Number of tasks in given state");
const REFERENCED: Desc =
    Desc::gauge("container_referenced_bytes", "Container referenced bytes during last measurements cycle");

/// Of the switch `process`.
pub(crate) const FAMILIES: &[Desc] = &[PROCESSES, DESCRIPTORS, SOCKETS, THREADS_MAX, THREADS, ULIMITS];
/// Of the switch `sched`.
pub(crate) const SCHED_FAMILIES: &[Desc] = &[RUN, WAIT, SLICES];
/// Of the switch `cpuLoad`.
pub(crate) const LOAD_FAMILIES: &[Desc] = &[STATE];
/// Of the switch `referenced_memory`.
pub(crate) const REFERENCED_FAMILIES: &[Desc] = &[REFERENCED];

/// The processes in this cgroup itself.
pub(crate) fn pids(s: &mut Subject<'_>) -> Vec<u32> {
    s.read(Pseudo::Procs).map(parse_pids).unwrap_or_default()
}

fn parse_pids(text: &[u8]) -> Vec<u32> {
    scan::lines(text).filter_map(|l| u32::try_from(scan::u64(l.trim_ascii())?).ok()).filter(|&p| p > 0).collect()
}

/// Emits counts and limits.
pub(crate) fn emit(s: &mut Subject<'_>, pids: &[u32], out: &mut Out<'_>) {
    out.put(&PROCESSES, pids.len());
    let (mut descriptors, mut sockets, mut seen) = (0u64, Some(0u64), false);
    for pid in pids {
        let folder = s.at.sources.proc(format!("{pid}/fd"));
        let Ok(entries) = folder.entries() else { continue };
        seen = true;
        descriptors += entries.len() as u64;
        for name in entries.iter() {
            match folder.child(name).read_link() {
                Ok(target) => {
                    let socket = target.as_os_str().as_encoded_bytes().starts_with(b"socket");
                    sockets = sockets.map(|n| n + u64::from(socket));
                }
                // The owner may list them, but to see what they are takes the right to trace the process.
                Err(e) if !e.is_absent() => sockets = None,
                Err(_) => {}
            }
        }
    }
    // Without the right to look into any of them there is no number.
    if seen || pids.is_empty() {
        out.put(&DESCRIPTORS, descriptors);
        out.maybe(&SOCKETS, sockets);
    }
    out.maybe(&THREADS, s.number(Pseudo::PidsCurrent));
    out.maybe(&THREADS_MAX, s.number(Pseudo::PidsMax).map(|n| if n == u64::MAX { 0 } else { n }));
    let limits = pids.first().and_then(|pid| s.at.sources.proc(format!("{pid}/limits")).read(s.buf).ok());
    if let Some(limit) = limits.and_then(parse_open_files) {
        out.with(&[("ulimit", b"max_open_files")]).put(&ULIMITS, limit);
    }
}

/// The soft limit of open files; -1 without one.
fn parse_open_files(text: &[u8]) -> Option<i64> {
    let line = scan::lines(text).find_map(|l| l.strip_prefix(b"Max open files"))?;
    match scan::fields(line).next()? {
        b"unlimited" => Some(-1),
        number => scan::i64(number),
    }
}

/// Time on CPUs of processes by pid, and the sum of those that have ended: a sum over the living alone would fall.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    living: BTreeMap<u32, [u64; 3]>,
    ended: [u64; 3],
}

impl Schedule {
    /// Reads and emits it.
    pub(crate) fn emit(&mut self, sources: &Sources, pids: &[u32], buf: &mut Buf, out: &mut Out<'_>) {
        let mut now = BTreeMap::new();
        for &pid in pids {
            let found = sources.proc(format!("{pid}/schedstat")).read(buf).ok().and_then(parse_schedstat);
            now.extend(found.map(|numbers| (pid, numbers)));
        }
        let sum = self.account(now);
        out.put(&RUN, sum[0] as f64 / 1e9);
        out.put(&WAIT, sum[1] as f64 / 1e9);
        out.put(&SLICES, sum[2]);
    }

    fn account(&mut self, now: BTreeMap<u32, [u64; 3]>) -> [u64; 3] {
        let add = |sum: &mut [u64; 3], more: &[u64; 3]| sum.iter_mut().zip(more).for_each(|(s, m)| *s += m);
        for (pid, last) in &self.living {
            // A number that fell is another process.
            if now.get(pid).is_none_or(|n| n[0] < last[0]) {
                add(&mut self.ended, last);
            }
        }
        let mut sum = self.ended;
        for numbers in now.values() {
            add(&mut sum, numbers);
        }
        self.living = now;
        sum
    }
}

fn parse_schedstat(text: &[u8]) -> Option<[u64; 3]> {
    let mut fields = scan::fields(text).map(scan::u64);
    Some([fields.next()??, fields.next()??, fields.next()??])
}

/// Emits how many processes are in which state, from `/proc/PID/stat`.
pub(crate) fn states(s: &mut Subject<'_>, pids: &[u32], out: &mut Out<'_>) {
    let mut counts = [("running", 0u64), ("sleeping", 0), ("stopped", 0), ("uninterruptible", 0)];
    for pid in pids {
        let Ok(stat) = s.at.sources.proc(format!("{pid}/stat")).read(s.buf) else { continue };
        let at = match state(stat) {
            Some(b'R') => 0,
            Some(b'S' | b'I') => 1,
            Some(b'T' | b't') => 2,
            Some(b'D') => 3,
            _ => continue,
        };
        counts[at].1 += 1;
    }
    for (state, count) in counts {
        out.with(&[("state", state.as_bytes())]).put(&STATE, count);
    }
}

/// The state follows the command, which may itself hold blanks and parentheses.
fn state(stat: &[u8]) -> Option<u8> {
    let after = stat.iter().rposition(|&b| b == b')')? + 1;
    scan::fields(&stat[after..]).next()?.first().copied()
}

/// Emits the memory that was touched since the kernel's marks were cleared last; nobody clears them here.
pub(crate) fn referenced(s: &mut Subject<'_>, pids: &[u32], out: &mut Out<'_>) {
    let mut sum = None;
    for pid in pids {
        let Ok(text) = s.at.sources.proc(format!("{pid}/smaps_rollup")).read(s.buf) else { continue };
        let line = scan::lines(text).find_map(|l| l.strip_prefix(b"Referenced:"));
        if let Some(kb) = line.and_then(|l| scan::u64(scan::fields(l).next()?)) {
            *sum.get_or_insert(0) += kb * 1024;
        }
    }
    out.maybe(&REFERENCED, sum);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_files() {
        assert_eq!(parse_pids(b"1\n22\n0\nx\n"), [1, 22]);
        let limits = b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(parse_open_files(limits), Some(1024));
        assert_eq!(state(b"7 (a) b) D 1 7"), Some(b'D'));
        assert_eq!(parse_schedstat(b"100 200 3\n"), Some([100, 200, 3]));
    }

    #[test]
    fn the_dead_stay_in_the_sum() {
        let mut schedule = Schedule::default();
        let round = |pairs: &[(u32, u64)]| pairs.iter().map(|&(pid, n)| (pid, [n, 0, 1])).collect();
        assert_eq!(schedule.account(round(&[(1, 10), (2, 5)])), [15, 0, 2]);
        assert_eq!(schedule.account(round(&[(1, 12)])), [17, 0, 2]);
        // Pid 1 again, but younger.
        assert_eq!(schedule.account(round(&[(1, 3)])), [20, 0, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_pids(&bytes);
            parse_open_files(&bytes);
            parse_schedstat(&bytes);
            state(&bytes);
        }
    }
}
