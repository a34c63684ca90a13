//! What a container was given: limits and times.

use super::{Out, Subject};
use crate::cgroups::{Controller, Pseudo, number};
use crate::engine::Container;
use exporter::Desc;
use hostfs::scan;

const LAST_SEEN: Desc = Desc::gauge("container_last_seen", "Last time a container was seen by the exporter");
const HEALTH: Desc = Desc::gauge("container_health_state", "The result of the container's health check");
const CREATED: Desc =
    Desc::gauge("container_creation_time_seconds", "Container creation time since unix epoch in seconds.");
const STARTED: Desc =
    Desc::gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds.");
const PERIOD: Desc = Desc::gauge("container_spec_cpu_period", "CPU period of the container.");
const QUOTA: Desc = Desc::gauge("container_spec_cpu_quota", "CPU quota of the container.");
const SHARES: Desc = Desc::gauge("container_spec_cpu_shares", "CPU share of the container.");
const LIMIT: Desc = Desc::gauge("container_spec_memory_limit_bytes", "Memory limit for the container.");
const SWAP_LIMIT: Desc = Desc::gauge("container_spec_memory_swap_limit_bytes", "Memory swap limit for the container.");
const RESERVATION: Desc =
    Desc::gauge("container_spec_memory_reservation_limit_bytes", "Memory reservation limit for the container.");
// Differs from cAdvisor, which makes a label of it and so a new series at each restart.
const RESTARTS: Desc = Desc::counter("container_restarts_total", "Number of restarts by the engine's restart policy.");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] =
    &[LAST_SEEN, HEALTH, CREATED, STARTED, PERIOD, QUOTA, SHARES, LIMIT, SWAP_LIMIT, RESERVATION, RESTARTS];

/// The host's memory, which is the limit of the root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostMemory {
    pub(crate) total: Option<u64>,
    pub(crate) swap: Option<u64>,
}

impl HostMemory {
    /// From `/proc/meminfo`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let find = |key: &[u8]| {
            let value = scan::lines(text).find_map(|l| scan::key_value(l, b':').filter(|(k, _)| *k == key))?.1;
            scan::u64(scan::fields(value).next()?)?.checked_mul(1024)
        };
        Self { total: find(b"MemTotal"), swap: find(b"SwapTotal") }
    }
}

/// Emits it; returns whether CPU time is limited.
pub(crate) fn emit(
    s: &mut Subject<'_>,
    container: Option<&Container>,
    host: HostMemory,
    now: f64,
    boot: Option<i64>,
    out: &mut Out<'_>,
) -> bool {
    out.put(&LAST_SEEN, now.trunc());
    out.put(&HEALTH, container.map_or(-1, |c| c.health.number()));
    // A cgroup's files may be older than the clock was right: never before boot.
    let made = s.cgroup.created.map(|c| c.max(boot.unwrap_or(c)));
    let created = container.and_then(|c| c.created).or(made);
    if let Some(created) = created {
        out.fact(&CREATED, created);
    }
    if let Some(started) = container.and_then(|c| c.started).or(created) {
        out.fact(&STARTED, started);
    }
    if let Some(restarts) = container.and_then(|c| c.restarts) {
        out.fact(&RESTARTS, restarts);
    }
    let limited = cpu(s, container.and_then(|c| c.shares), out);
    memory(s, host, out);
    limited
}

fn cpu(s: &mut Subject<'_>, told: Option<u64>, out: &mut Out<'_>) -> bool {
    let (quota, period) = if s.v2(Controller::Cpu) {
        s.read(Pseudo::CpuQuota).map_or((None, None), parse_cpu_max)
    } else {
        let quota = s.read(Pseudo::CpuQuota).and_then(|t| scan::i64(t.trim_ascii())).filter(|&q| q > 0);
        (quota.map(|q| q as u64), s.number(Pseudo::CpuPeriod))
    };
    if let Some(period) = period {
        out.fact(&PERIOD, period);
    }
    if let Some(quota) = quota {
        out.fact(&QUOTA, quota);
    }
    let shares = s.number(Pseudo::CpuShares);
    if let Some(shares) = if s.v2(Controller::Cpu) { shares.and_then(|w| shares_of_weight(w, told)) } else { shares } {
        out.fact(&SHARES, shares);
    }
    quota.is_some()
}

fn memory(s: &mut Subject<'_>, host: HostMemory, out: &mut Out<'_>) {
    let bounded = |limit: u64| if limit > UNLIMITED { 0 } else { limit };
    let limit = if s.root { host.total } else { s.number(Pseudo::MemoryLimit).map(bounded) };
    let swap = if s.root { host.swap } else { s.number(Pseudo::MemorySwapLimit).map(bounded) };
    let reservation = s.number(Pseudo::MemorySoftLimit).map(bounded);
    for (desc, value) in [(&LIMIT, limit), (&SWAP_LIMIT, swap), (&RESERVATION, reservation)] {
        if let Some(value) = value {
            out.fact(desc, value);
        }
    }
}

/// `cpu.max`: quota, where there is one, and period.
fn parse_cpu_max(text: &[u8]) -> (Option<u64>, Option<u64>) {
    let mut fields = scan::fields(text).map(number);
    let mut next = || fields.next().flatten().filter(|&n| n != u64::MAX);
    (next(), next())
}

/// The shares of v1 that a weight of v2 stands for: those that the engine was told if they give this weight, else by the line
/// that cAdvisor uses.
// Differs from cAdvisor, which takes every weight for one of older runtimes: runc 1.3.2 and crun 1.23 convert along a curve.
fn shares_of_weight(weight: u64, told: Option<u64>) -> Option<u64> {
    let straight = 2 + weight.checked_sub(1)?.checked_mul(262_142)? / 9999;
    Some(told.filter(|&shares| weights_of_shares(shares).contains(&weight)).unwrap_or(straight))
}

/// What older and newer runtimes make of shares.
fn weights_of_shares(shares: u64) -> [u64; 2] {
    let shares = shares.clamp(2, 262_144);
    let log = (shares as f64).log2();
    let curve = 10_f64.powf(log.mul_add(log, 125.0 * log) / 612.0 - 7.0 / 34.0).ceil();
    [1 + (shares - 2) * 9999 / 262_142, (curve as u64).clamp(1, 10_000)]
}

/// Above this a limit is none: v1 writes the largest number of pages, v2 `max`.
const UNLIMITED: u64 = 1 << 62;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits() {
        assert_eq!(parse_cpu_max(b"50000 100000\n"), (Some(50_000), Some(100_000)));
        let (quota, period) = parse_cpu_max(b"max 100000\n");
        assert_eq!((quota, period), (None, Some(100_000)));
        assert_eq!(shares_of_weight(100, None), Some(2597));
        assert_eq!(shares_of_weight(0, None), None);
        let host = HostMemory::parse(b"MemTotal:       24684084 kB\nSwapTotal:             0 kB\n");
        assert_eq!(host, HostMemory { total: Some(24_684_084 * 1024), swap: Some(0) });
    }

    #[test]
    fn shares_that_an_engine_was_told() {
        // runc before 1.3.2 and since, of 512 and 1024 shares; then an update that the engine's answer does not know yet.
        for (weight, told, shown) in
            [(20, 512, 512), (59, 512, 512), (39, 1024, 1024), (100, 1024, 1024), (80, 512, 2073)]
        {
            assert_eq!(shares_of_weight(weight, Some(told)), Some(shown), "{weight} of {told}");
        }
        assert_eq!((weights_of_shares(2), weights_of_shares(262_144)), ([1, 1], [10_000, 10_000]));
        assert_eq!((weights_of_shares(0), weights_of_shares(u64::MAX)), ([1, 1], [10_000, 10_000]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, weight: u64, told: Option<u64>) {
            parse_cpu_max(&bytes);
            HostMemory::parse(&bytes);
            shares_of_weight(weight, told);
        }
    }
}
