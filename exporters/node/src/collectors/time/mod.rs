//! The clock, its zone and its sources, from clock_gettime(2), tzfile(5) and `/sys/devices/system/clocksource`
//! (`Documentation/ABI/testing/sysfs-devices-clocksource`).

mod rule;
mod zone;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, KeptFile, Sources, scan};
use std::time::SystemTime;

/// Registers the collector.
pub(crate) const TIME: Entry = Entry {
    name: "time",
    default: Default::On,
    about: "the current time, its zone, and the clock sources of /sys/devices/system/clocksource",
    flags: &[],
    build: |_, sources| {
        Ok(Box::new(Time {
            zone: zone::Zone::local(std::env::var("TZ").ok().as_deref(), sources),
            clocksources: clocksources(sources),
        }))
    },
};

const SECONDS: Desc = Desc::gauge("node_time_seconds", "System time in seconds since epoch (1970).");
const ZONE_OFFSET: Desc = Desc::gauge("node_time_zone_offset_seconds", "System time zone offset in seconds.");
const AVAILABLE: Desc = Desc::gauge(
    "node_time_clocksource_available_info",
    "Available clocksources read from '/sys/devices/system/clocksource'.",
);
const CURRENT: Desc = Desc::gauge(
    "node_time_clocksource_current_info",
    "Current clocksource read from '/sys/devices/system/clocksource'.",
);

struct Time {
    zone: zone::Zone,
    /// Found once: no kernel adds or takes away such a device.
    clocksources: Vec<Clocksource>,
}

struct Clocksource {
    available: KeptFile,
    current: KeptFile,
}

fn clocksources(sources: &Sources) -> Vec<Clocksource> {
    const FOLDER: &str = "devices/system/clocksource";
    let Ok(entries) = sources.sys(FOLDER).entries() else { return Vec::new() };
    entries
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok())
        .filter(|name| name.strip_prefix("clocksource").is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())))
        .map(|name| Clocksource {
            available: sources.kept_sys(format!("{FOLDER}/{name}/available_clocksource")),
            current: sources.kept_sys(format!("{FOLDER}/{name}/current_clocksource")),
        })
        .collect()
}

impl Collector for Time {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let nanos = nanos_since_1970(cx.now);
        out.family(&SECONDS).sample(&[], nanos as f64 / 1e9);
        let (offset, name) = self.zone.at(nanos.div_euclid(1_000_000_000) as i64);
        out.family(&ZONE_OFFSET).sample(&[("time_zone", name)], offset);
        for (device, clocksource) in self.clocksources.iter().enumerate() {
            clocksource.collect(&device.to_string(), cx.buf, out)?;
        }
        Ok(())
    }
}

impl Clocksource {
    fn collect(&self, device: &str, buf: &mut Buf, out: &mut Part) -> Result<(), CollectError> {
        for name in scan::fields(self.available.read(buf)?) {
            out.family(&AVAILABLE).sample(&[("clocksource", name), ("device", device.as_bytes())], 1u64);
        }
        let current = self.current.read_trimmed(buf)?;
        out.family(&CURRENT).sample(&[("clocksource", current), ("device", device.as_bytes())], 1u64);
        Ok(())
    }
}

fn nanos_since_1970(now: SystemTime) -> i128 {
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[
            ("sys/devices/system/clocksource/clocksource0/available_clocksource", b"tsc hpet acpi_pm \n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", b"tsc\n"),
            ("sys/devices/system/clocksource/power/control", b"auto\n"),
        ]);
        let (text, result) = exporter::testing::collect(&TIME, &[], &tree.sources());
        result.unwrap();
        assert!(
            text.starts_with(
                "# HELP node_time_clocksource_available_info Available clocksources read from \
                 '/sys/devices/system/clocksource'.\n\
                 # TYPE node_time_clocksource_available_info gauge\n\
                 node_time_clocksource_available_info{clocksource=\"acpi_pm\",device=\"0\"} 1\n\
                 node_time_clocksource_available_info{clocksource=\"hpet\",device=\"0\"} 1\n\
                 node_time_clocksource_available_info{clocksource=\"tsc\",device=\"0\"} 1\n\
                 # HELP node_time_clocksource_current_info Current clocksource read from \
                 '/sys/devices/system/clocksource'.\n\
                 # TYPE node_time_clocksource_current_info gauge\n\
                 node_time_clocksource_current_info{clocksource=\"tsc\",device=\"0\"} 1\n"
            ),
            "{text}"
        );
        assert!(text.contains("node_time_seconds 1.") && text.contains("node_time_zone_offset_seconds{time_zone="));
    }

    #[test]
    fn a_clocksource_that_cannot_be_read_is_named() {
        let tree = Tree::of(&[("sys/devices/system/clocksource/clocksource0/current_clocksource", b"tsc\n")]);
        let (text, result) = exporter::testing::collect(&TIME, &[], &tree.sources());
        assert!(result.unwrap_err().to_string().contains("available_clocksource"));
        assert!(text.contains("node_time_seconds "), "{text}");
    }

    #[test]
    fn times_before_1970() {
        let before = SystemTime::UNIX_EPOCH - std::time::Duration::from_millis(1500);
        assert_eq!(nanos_since_1970(before), -1_500_000_000);
    }
}
