//! Pressure stall information (`Documentation/accounting/psi.rst`), which cgroup v2 and hybrid hosts have.

use super::{Out, Subject};
use crate::cgroups::Pseudo;
use exporter::Desc;
use hostfs::scan;

const CPU_STALLED: Desc = Desc::counter(
    "container_pressure_cpu_stalled_seconds_total",
    "Total time duration no tasks in the container could make progress due to CPU congestion.",
);
const CPU_WAITING: Desc = Desc::counter(
    "container_pressure_cpu_waiting_seconds_total",
    "Total time duration tasks in the container have waited due to CPU congestion.",
);
const MEMORY_STALLED: Desc = Desc::counter(
    "container_pressure_memory_stalled_seconds_total",
    "Total time duration no tasks in the container could make progress due to memory congestion.",
);
const MEMORY_WAITING: Desc = Desc::counter(
    "container_pressure_memory_waiting_seconds_total",
    "Total time duration tasks in the container have waited due to memory congestion.",
);
const IO_STALLED: Desc = Desc::counter(
    "container_pressure_io_stalled_seconds_total",
    "Total time duration no tasks in the container could make progress due to IO congestion.",
);
const IO_WAITING: Desc = Desc::counter(
    "container_pressure_io_waiting_seconds_total",
    "Total time duration tasks in the container have waited due to IO congestion.",
);

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] =
    &[CPU_STALLED, CPU_WAITING, MEMORY_STALLED, MEMORY_WAITING, IO_STALLED, IO_WAITING];

/// Emits it.
pub(crate) fn emit(s: &mut Subject<'_>, out: &mut Out<'_>) {
    for (file, host, waiting, stalled) in [
        (Pseudo::CpuPressure, "pressure/cpu", &CPU_WAITING, &CPU_STALLED),
        (Pseudo::MemoryPressure, "pressure/memory", &MEMORY_WAITING, &MEMORY_STALLED),
        (Pseudo::IoPressure, "pressure/io", &IO_WAITING, &IO_STALLED),
    ] {
        // The root cgroup has these files on recent kernels only; the host's own say the same.
        let found = if s.root { s.at.sources.proc(host).read(s.buf).ok().map(parse) } else { s.read(file).map(parse) };
        let Some((some, full)) = found else { continue };
        out.maybe(waiting, some);
        out.maybe(stalled, full);
    }
}

/// Seconds in which some and all tasks stood still.
fn parse(text: &[u8]) -> (Option<f64>, Option<f64>) {
    let total = |word: &[u8]| {
        let line = scan::lines(text).find(|l| l.starts_with(word))?;
        let total = scan::fields(line).find_map(|f| f.strip_prefix(b"total="))?;
        scan::u64(total).map(|us| us as f64 / 1e6)
    };
    (total(b"some "), total(b"full "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn totals() {
        let text =
            b"some avg10=0.00 avg60=0.12 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2\n";
        assert_eq!(parse(text), (Some(1.5), Some(0.000_002)));
        // Before Linux 5.13 there was no line "full" for CPUs.
        assert_eq!(parse(b"some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"), (Some(0.0), None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
