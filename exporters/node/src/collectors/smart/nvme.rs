//! The health log page of an NVMe controller (NVM Express base specification 5.16.1.3).

use crate::sys;
use exporter::{Desc, Part};
use std::path::Path;

const WARNING: Desc = Desc::gauge(
    "node_nvme_critical_warning",
    "Critical warnings of the NVMe controller: 1 while the condition of the label holds.",
);
const TEMPERATURE: Desc = Desc::gauge("node_nvme_temperature_celsius", "Composite temperature of the NVMe controller.");
const SENSOR: Desc =
    Desc::gauge("node_nvme_sensor_temperature_celsius", "Temperature of one sensor of the NVMe controller.");

/// Bits of the first byte.
const WARNINGS: [&str; 6] = [
    "available_spare",
    "temperature",
    "reliability",
    "read_only",
    "volatile_memory_backup",
    "persistent_memory_region",
];

/// Ratios: offset of a byte that holds per cent.
const RATIOS: [(Desc, usize); 3] = [
    (Desc::gauge("node_nvme_available_spare_ratio", "Spare capacity that is left."), 3),
    (Desc::gauge("node_nvme_available_spare_threshold_ratio", "Spare capacity below which the controller warns."), 4),
    (
        Desc::gauge(
            "node_nvme_percentage_used_ratio",
            "Part of the device's life that is used, as its maker estimates it; it can exceed 1.",
        ),
        5,
    ),
];

/// Counters of 16 bytes: offset, and what one of the controller's units is in ours.
const COUNTERS: [(Desc, usize, f64); 10] = [
    // Thousands of 512 bytes.
    (Desc::counter("node_nvme_data_read_bytes_total", "Bytes that the host read."), 32, 512_000.0),
    (Desc::counter("node_nvme_data_written_bytes_total", "Bytes that the host wrote."), 48, 512_000.0),
    (Desc::counter("node_nvme_host_read_commands_total", "Read commands of the host."), 64, 1.0),
    (Desc::counter("node_nvme_host_write_commands_total", "Write commands of the host."), 80, 1.0),
    (
        Desc::counter(
            "node_nvme_controller_busy_time_seconds_total",
            "Time that the controller was busy with commands.",
        ),
        96,
        60.0,
    ),
    (Desc::counter("node_nvme_power_cycles_total", "Times that the controller was switched on."), 112, 1.0),
    (Desc::counter("node_nvme_power_on_seconds_total", "Time that the controller has been on."), 128, 3600.0),
    (Desc::counter("node_nvme_unsafe_shutdowns_total", "Times that power was lost without a notice."), 144, 1.0),
    (
        Desc::counter(
            "node_nvme_media_errors_total",
            "Errors of data integrity that the controller could not correct.",
        ),
        160,
        1.0,
    ),
    (
        Desc::counter("node_nvme_error_log_entries_total", "Entries in the error log over the controller's life."),
        176,
        1.0,
    ),
];

/// Minutes at too high a temperature, in 4 bytes.
const HOT: [(Desc, usize); 2] = [
    (
        Desc::counter(
            "node_nvme_warning_temperature_seconds_total",
            "Time above the temperature of which the controller warns.",
        ),
        192,
    ),
    (
        Desc::counter(
            "node_nvme_critical_temperature_seconds_total",
            "Time above the critical temperature of the controller.",
        ),
        196,
    ),
];

/// One page.
pub(super) struct Health([u8; 512]);

pub(super) fn ask(device: &Path, timeout_ms: u32) -> rustix::io::Result<Health> {
    sys::nvme::health_log(device, timeout_ms).map(Health)
}

impl Health {
    fn number<const N: usize>(&self, at: usize) -> u128 {
        self.0[at..at + N].iter().rev().fold(0, |n, &b| n << 8 | u128::from(b))
    }

    pub(super) fn emit(&self, device: &[u8], out: &mut Part) {
        let label: [(&str, &[u8]); 1] = [("device", device)];
        for (bit, warning) in WARNINGS.iter().enumerate() {
            let labels = [label[0], ("warning", warning.as_bytes())];
            out.family(&WARNING).sample(&labels, self.0[0] >> bit & 1);
        }
        for (desc, at) in &RATIOS {
            out.family(desc).sample(&label, f64::from(self.0[*at]) / 100.0);
        }
        if let Some(celsius) = celsius(self.number::<2>(1)) {
            out.family(&TEMPERATURE).sample(&label, celsius);
        }
        for sensor in 0..8u8 {
            if let Some(celsius) = celsius(self.number::<2>(200 + 2 * usize::from(sensor))) {
                out.family(&SENSOR).sample(&[label[0], ("sensor", &[b'1' + sensor])], celsius);
            }
        }
        for (desc, at, unit) in &COUNTERS {
            out.family(desc).sample(&label, self.number::<16>(*at) as f64 * unit);
        }
        for (desc, at) in &HOT {
            out.family(desc).sample(&label, self.number::<4>(*at) as f64 * 60.0);
        }
    }
}

/// Kelvin; 0 is a sensor that is not there.
fn celsius(kelvin: u128) -> Option<i64> {
    if kelvin == 0 { None } else { i64::try_from(kelvin).ok().map(|k| k - 273) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page() {
        let mut page = [0; 512];
        page[..6].copy_from_slice(&[0b0000_0101, 0x3b, 0x01, 100, 10, 103]);
        page[32..34].copy_from_slice(&[0x10, 0x27]);
        page[128] = 24;
        page[192] = 2;
        page[200..202].copy_from_slice(&[0x2c, 0x01]);
        let mut out = Part::new();
        Health(page).emit(b"nvme0", &mut out);
        let mut text = Vec::new();
        exposition::Page::merge(vec![out]).0.write_text(&mut text);
        let text = String::from_utf8(text).unwrap();
        for sample in [
            "node_nvme_critical_warning{device=\"nvme0\",warning=\"available_spare\"} 1\n",
            "node_nvme_critical_warning{device=\"nvme0\",warning=\"temperature\"} 0\n",
            "node_nvme_critical_warning{device=\"nvme0\",warning=\"reliability\"} 1\n",
            "node_nvme_temperature_celsius{device=\"nvme0\"} 42\n",
            "node_nvme_sensor_temperature_celsius{device=\"nvme0\",sensor=\"1\"} 27\n",
            "node_nvme_available_spare_ratio{device=\"nvme0\"} 1\n",
            "node_nvme_percentage_used_ratio{device=\"nvme0\"} 1.03\n",
            "node_nvme_data_read_bytes_total{device=\"nvme0\"} 5.12e+09\n",
            "node_nvme_power_on_seconds_total{device=\"nvme0\"} 86400\n",
            "node_nvme_warning_temperature_seconds_total{device=\"nvme0\"} 120\n",
        ] {
            assert!(text.contains(sample), "{sample} is not in {text}");
        }
        assert!(!text.contains("sensor=\"2\""), "{text}");
    }
}
