//! CPU time and its throttling.

use super::{Out, Subject};
use crate::cgroups::{Controller, Pseudo};
use exporter::Desc;
use hostfs::scan;

const USER: Desc = Desc::counter("container_cpu_user_seconds_total", "Cumulative user cpu time consumed in seconds.");
const SYSTEM: Desc =
    Desc::counter("container_cpu_system_seconds_total", "Cumulative system cpu time consumed in seconds.");
const USAGE: Desc = Desc::counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.");
const PERIODS: Desc =
    Desc::counter("container_cpu_cfs_periods_total", "Number of elapsed enforcement period intervals.");
const THROTTLED_PERIODS: Desc =
    Desc::counter("container_cpu_cfs_throttled_periods_total", "Number of throttled period intervals.");
const THROTTLED: Desc =
    Desc::counter("container_cpu_cfs_throttled_seconds_total", "Total time duration the container has been throttled.");
const BURST_PERIODS: Desc =
    Desc::counter("container_cpu_cfs_burst_periods_total", "Number of periods when burst occurs.");
const BURST: Desc =
    Desc::counter("container_cpu_cfs_burst_seconds_total", "Total time duration the container has been bursted.");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] =
    &[USER, SYSTEM, USAGE, PERIODS, THROTTLED_PERIODS, THROTTLED, BURST_PERIODS, BURST];

/// Emits what has no label of its own; returns the seconds used. `limited`: a quota is set.
pub(crate) fn plain(s: &mut Subject<'_>, limited: bool, out: &mut Out<'_>) -> Option<f64> {
    let stat = s.read(Pseudo::CpuStat).map(CpuStat::parse).unwrap_or_default();
    let usage = if s.v2(Controller::Cpuacct) {
        out.maybe(&USER, stat.user);
        out.maybe(&SYSTEM, stat.system);
        stat.usage
    } else {
        if let Some((user, system)) = s.read(Pseudo::CpuacctStat).map(parse_ticks) {
            out.maybe(&USER, user);
            out.maybe(&SYSTEM, system);
        }
        s.number(Pseudo::CpuacctUsage).map(|ns| ns as f64 / 1e9)
    };
    if limited {
        out.maybe(&PERIODS, stat.periods);
        out.maybe(&THROTTLED_PERIODS, stat.throttled_periods);
        out.maybe(&THROTTLED, stat.throttled);
        out.maybe(&BURST_PERIODS, stat.bursts);
        out.maybe(&BURST, stat.burst);
    }
    usage
}

/// Emits the usage: one sum, or one series a CPU where asked for and known.
pub(crate) fn usage(s: &mut Subject<'_>, seconds: Option<f64>, per_cpu: bool, out: &mut Out<'_>) {
    if per_cpu && let Some(text) = s.read(Pseudo::CpuacctUsagePercpu) {
        for (i, ns) in scan::fields(text).filter_map(scan::u64).enumerate().filter(|(_, ns)| *ns > 0) {
            let name = format!("cpu{i:02}");
            out.with(&[("cpu", name.as_bytes())]).put(&USAGE, ns as f64 / 1e9);
        }
        return;
    }
    out.with(&[("cpu", b"total")]).maybe(&USAGE, seconds);
}

/// `cpu.stat`, seconds in place of nanoseconds (v1) and microseconds (v2).
#[derive(Debug, Default, PartialEq)]
struct CpuStat {
    usage: Option<f64>,
    user: Option<f64>,
    system: Option<f64>,
    periods: Option<u64>,
    throttled_periods: Option<u64>,
    throttled: Option<f64>,
    bursts: Option<u64>,
    burst: Option<f64>,
}

impl CpuStat {
    fn parse(text: &[u8]) -> Self {
        let mut stat = Self::default();
        for line in scan::lines(text) {
            let Some((key, value)) = scan::key_value(line, b' ') else { continue };
            let Some(n) = scan::u64(value) else { continue };
            let (ns, us) = (Some(n as f64 / 1e9), Some(n as f64 / 1e6));
            match key {
                b"usage_usec" => stat.usage = us,
                b"user_usec" => stat.user = us,
                b"system_usec" => stat.system = us,
                b"nr_periods" => stat.periods = Some(n),
                b"nr_throttled" => stat.throttled_periods = Some(n),
                b"throttled_time" => stat.throttled = ns,
                b"throttled_usec" => stat.throttled = us,
                b"nr_bursts" => stat.bursts = Some(n),
                b"burst_time" => stat.burst = ns,
                b"burst_usec" => stat.burst = us,
                _ => {}
            }
        }
        stat
    }
}

/// `cpuacct.stat`: user and system in ticks.
fn parse_ticks(text: &[u8]) -> (Option<f64>, Option<f64>) {
    let find = |key: &[u8]| {
        let value = scan::lines(text).find_map(|l| scan::key_value(l, b' ').filter(|(k, _)| *k == key))?.1;
        scan::u64(value).map(|ticks| ticks as f64 / TICKS)
    };
    (find(b"user"), find(b"system"))
}

/// `USER_HZ`, 100 on every architecture that Linux runs on today.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_cpu_stat() {
        let v1 = CpuStat::parse(
            b"nr_periods 8\nnr_throttled 2\nthrottled_time 1500000000\nnr_bursts 1\nburst_time 500000000\n",
        );
        assert_eq!((v1.periods, v1.throttled_periods, v1.throttled), (Some(8), Some(2), Some(1.5)));
        assert_eq!((v1.bursts, v1.burst, v1.usage), (Some(1), Some(0.5), None));
        let v2 = CpuStat::parse(
            b"usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 3\nnr_throttled 1\nthrottled_usec 7000\n",
        );
        assert_eq!((v2.usage, v2.user, v2.system, v2.throttled), (Some(2.5), Some(2.0), Some(0.5), Some(0.007)));
        assert_eq!(parse_ticks(b"user 4\nsystem 6\n"), (Some(0.04), Some(0.06)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            CpuStat::parse(&bytes);
            parse_ticks(&bytes);
        }
    }
}
