//! How well the clock is kept, from adjtimex(2).

use crate::sys::clock;
use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};

/// Registers the collector.
pub(crate) const TIMEX: Entry = Entry {
    name: "timex",
    default: Default::On,
    about: "offset, error and state of the kernel's clock discipline, from the adjtimex system call",
    flags: &[],
    build: |_, _| Ok(Box::new(Timex)),
};

const SYNC_STATUS: Desc =
    Desc::gauge("node_timex_sync_status", "Is clock synchronized to a reliable server (1 = yes, 0 = no).");
const OFFSET: Desc =
    Desc::gauge("node_timex_offset_seconds", "Time offset in between local system and reference clock.");
const FREQUENCY: Desc = Desc::gauge("node_timex_frequency_adjustment_ratio", "Local clock frequency adjustment.");
const MAXERROR: Desc = Desc::gauge("node_timex_maxerror_seconds", "Maximum error in seconds.");
const ESTERROR: Desc = Desc::gauge("node_timex_estimated_error_seconds", "Estimated error in seconds.");
const STATUS: Desc = Desc::gauge("node_timex_status", "Value of the status array bits.");
const CONSTANT: Desc = Desc::gauge("node_timex_loop_time_constant", "Phase-locked loop time constant.");
const TICK: Desc = Desc::gauge("node_timex_tick_seconds", "Seconds between clock ticks.");
const PPS_FREQUENCY: Desc = Desc::gauge("node_timex_pps_frequency_hertz", "Pulse per second frequency.");
const PPS_JITTER: Desc = Desc::gauge("node_timex_pps_jitter_seconds", "Pulse per second jitter.");
const PPS_SHIFT: Desc = Desc::gauge("node_timex_pps_shift_seconds", "Pulse per second interval duration.");
const PPS_STABILITY: Desc =
    Desc::gauge("node_timex_pps_stability_hertz", "Pulse per second stability, average of recent frequency changes.");
const PPS_JITTER_TOTAL: Desc =
    Desc::counter("node_timex_pps_jitter_total", "Pulse per second count of jitter limit exceeded events.");
const PPS_CALIBRATIONS: Desc =
    Desc::counter("node_timex_pps_calibration_total", "Pulse per second count of calibration intervals.");
const PPS_ERRORS: Desc = Desc::counter("node_timex_pps_error_total", "Pulse per second count of calibration errors.");
const PPS_STABILITY_TOTAL: Desc = Desc::counter(
    "node_timex_pps_stability_exceeded_total",
    "Pulse per second count of stability limit exceeded events.",
);
const TAI_OFFSET: Desc = Desc::gauge("node_timex_tai_offset_seconds", "International Atomic Time (TAI) offset.");

/// The clock is not kept by a reliable server (`include/uapi/linux/timex.h`).
const TIME_ERROR: i32 = 5;
/// Offset and jitter are in nanoseconds.
const STA_NANO: i32 = 0x2000;
const NANOSECONDS: f64 = 1e9;
const MICROSECONDS: f64 = 1e6;
/// Frequencies are parts per million with a 16-bit fraction.
const PPM_16: f64 = 1_000_000.0 * 65_536.0;

struct Timex;

impl Collector for Timex {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let (state, t) = match clock::adjtimex() {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => return Err(CollectError::NoData),
            Err(e) => return Err(CollectError::failed(format!("adjtimex: {e}"))),
        };
        emit(state, &t, out);
        Ok(())
    }
}

fn emit(state: i32, t: &clock::Timex, out: &mut Part) {
    let fraction = if t.status & STA_NANO != 0 { NANOSECONDS } else { MICROSECONDS };
    for (desc, value) in [
        (&SYNC_STATUS, f64::from(u8::from(state != TIME_ERROR))),
        (&OFFSET, t.offset as f64 / fraction),
        (&FREQUENCY, 1.0 + t.freq as f64 / PPM_16),
        (&MAXERROR, t.maxerror as f64 / MICROSECONDS),
        (&ESTERROR, t.esterror as f64 / MICROSECONDS),
        (&STATUS, f64::from(t.status)),
        (&CONSTANT, t.constant as f64),
        (&TICK, t.tick as f64 / MICROSECONDS),
        (&PPS_FREQUENCY, t.ppsfreq as f64 / PPM_16),
        (&PPS_JITTER, t.jitter as f64 / fraction),
        (&PPS_SHIFT, f64::from(t.shift)),
        (&PPS_STABILITY, t.stabil as f64 / PPM_16),
        (&PPS_JITTER_TOTAL, t.jitcnt as f64),
        (&PPS_CALIBRATIONS, t.calcnt as f64),
        (&PPS_ERRORS, t.errcnt as f64),
        (&PPS_STABILITY_TOTAL, t.stbcnt as f64),
        (&TAI_OFFSET, f64::from(t.tai)),
    ] {
        out.family(desc).sample(&[], value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_s_clock() {
        let (text, result) = exporter::testing::collect(&TIMEX, &[], &hostfs::Sources::live());
        match result {
            Err(CollectError::NoData) => println!("skipped: adjtimex is not permitted here"),
            result => {
                result.unwrap();
                assert_eq!(text.matches("# TYPE").count(), 17);
                assert!(text.contains("\nnode_timex_tick_seconds 0.0"), "{text}");
            }
        }
    }

    #[test]
    fn units() {
        let offset = |status, offset| {
            let mut part = Part::new();
            let (_, mut t) = clock::adjtimex().unwrap();
            (t.status, t.offset, t.freq) = (status, offset, -65_536);
            emit(TIME_ERROR, &t, &mut part);
            let mut text = Vec::new();
            exposition::Page::merge(vec![part]).0.write_text(&mut text);
            String::from_utf8(text).unwrap()
        };
        let (nano, micro) = (offset(STA_NANO, 1500), offset(0, 1500));
        assert!(nano.contains("node_timex_offset_seconds 1.5e-06\n"), "{nano}");
        assert!(micro.contains("node_timex_offset_seconds 0.0015\n"), "{micro}");
        assert!(micro.contains("node_timex_frequency_adjustment_ratio 0.999999\n"), "{micro}");
        assert!(micro.contains("node_timex_sync_status 0\n"), "{micro}");
    }
}
