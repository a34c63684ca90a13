//! Hardware sensors as lm-sensors sees them, from `/sys/class/hwmon` (`Documentation/hwmon/sysfs-interface.rst`).

mod chip;
mod sensor;

use chip::Chip;
use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use hostfs::scan;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

const CHIP_INCLUDE: Flag = Flag::regex(
    "collector.hwmon.chip-include",
    "",
    "Regexp of hwmon chip to include (mutually exclusive to device-exclude).",
);
const CHIP_EXCLUDE: Flag = Flag::regex(
    "collector.hwmon.chip-exclude",
    "",
    "Regexp of hwmon chip to exclude (mutually exclusive to device-include).",
);
const SENSOR_INCLUDE: Flag = Flag::regex(
    "collector.hwmon.sensor-include",
    "",
    "Regexp of hwmon sensor to include (mutually exclusive to sensor-exclude).",
);
const SENSOR_EXCLUDE: Flag = Flag::regex(
    "collector.hwmon.sensor-exclude",
    "",
    "Regexp of hwmon sensor to exclude (mutually exclusive to sensor-include).",
);

/// Registers the collector.
pub(crate) const HWMON: Entry = Entry {
    name: "hwmon",
    default: Default::On,
    about: "temperatures, fans, voltages, currents and power of hardware monitoring chips, from /sys/class/hwmon",
    flags: &[CHIP_INCLUDE, CHIP_EXCLUDE, SENSOR_INCLUDE, SENSOR_EXCLUDE],
    build: |flags, _| {
        Ok(Box::new(Hwmon {
            chips: NameFilter::from_flags(flags, CHIP_INCLUDE.name, CHIP_EXCLUDE.name)?,
            sensors: NameFilter::from_flags(flags, SENSOR_INCLUDE.name, SENSOR_EXCLUDE.name)?,
            known: Mutex::default(),
        }))
    },
};

const CHIP_NAMES: Desc = Desc::gauge("node_hwmon_chip_names", "Annotation metric for human-readable chip names");

struct Hwmon {
    chips: NameFilter,
    sensors: NameFilter,
    /// By folder name (`hwmon0`), as of the last scrape.
    known: Mutex<HashMap<Vec<u8>, Arc<Chip>>>,
}

impl Collector for Hwmon {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/hwmon");
        let names = class.entries().or_no_data()?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut found: Vec<(&[u8], Arc<Chip>, Vec<u8>)> = Vec::with_capacity(names.len());
        for name in names.iter() {
            let dir = class.child(name);
            let Some(identity) = chip::identity(&dir) else { continue };
            let chip = match known.get(name) {
                Some(chip) if chip.is_current(&identity) => Arc::clone(chip),
                _ => match Chip::read(cx.sources, &dir, identity, cx.buf) {
                    Some(chip) => Arc::new(chip),
                    None => continue,
                },
            };
            let readable = chip.name_file.read_trimmed(cx.buf).map(<[u8]>::to_vec).unwrap_or_default();
            found.push((name, chip, readable));
        }
        for (folder, chip, readable) in &found {
            let name = chip.label(folder, readable, &found);
            if self.chips.ignores(name.as_bytes()) {
                continue;
            }
            let readable = clean(&scan::lossy(readable));
            if !readable.is_empty() {
                out.family(&CHIP_NAMES).sample(&[("chip", name.as_bytes()), ("chip_name", readable.as_bytes())], 1u64);
            }
            for sensor in &chip.sensors {
                // Upstream's key of the filter: `platform_coretemp_0;temp3`.
                if !self.sensors.ignores(format!("{name};{}", sensor.name).as_bytes()) {
                    sensor.emit(&name, cx.buf, out);
                }
            }
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            found.into_iter().map(|(folder, chip, _)| (folder.to_vec(), chip)).collect();
        Ok(())
    }
}

/// Lower case, what fits in no metric name replaced by `_`, and none of these at either end.
pub(super) fn clean(name: &str) -> String {
    let replaced: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == ':' || c == '_' { c } else { '_' })
        .collect();
    replaced.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree() -> Tree {
        let tree = Tree::of(&[
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/name", b"coretemp\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_input", b"55000\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_crit_alarm", b"0\n"),
            ("sys/devices/platform/coretemp.0/hwmon/hwmon0/temp1_label", b"Physical id 0\n"),
            ("sys/devices/platform/asus-nb-wmi/hwmon/hwmon1/name", b"asus\n"),
            ("sys/devices/platform/asus-nb-wmi/hwmon/hwmon1/pwm1_enable", b"2\n"),
            ("sys/devices/platform/asus-nb-wmi/hwmon/hwmon2/name", b"asus_wmi_sensors\n"),
            ("sys/devices/platform/asus-nb-wmi/hwmon/hwmon2/fan1_input", b"1200\n"),
            ("sys/class/hwmon/hwmon3/name", b"amdgpu\n"),
            ("sys/class/hwmon/hwmon3/freq1_input", b"214000000\n"),
            ("sys/class/hwmon/hwmon3/freq1_label", b"sclk\n"),
            ("sys/class/hwmon/hwmon3/freq2_input", b"1\n"),
            ("sys/class/hwmon/hwmon3/energy1_input", b"2500000\n"),
            ("sys/class/hwmon/hwmon3/beep_enable", b"1\n"),
            ("sys/class/hwmon/hwmon3/temp1_input", b"N/A\n"),
            ("sys/class/hwmon/hwmon4/temp1_input", b"1000\n"),
        ]);
        for (chip, device) in [(0, "coretemp.0"), (1, "asus-nb-wmi"), (2, "asus-nb-wmi")] {
            tree.link(
                &format!("sys/devices/platform/{device}/hwmon/hwmon{chip}/device"),
                &format!("../../../{device}"),
            );
            tree.link(
                &format!("sys/class/hwmon/hwmon{chip}"),
                &format!("../../devices/platform/{device}/hwmon/hwmon{chip}"),
            );
        }
        tree.link("sys/class/hwmon/hwmon5", "../../devices/gone");
        tree
    }

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|l| !l.starts_with('#')).collect()
    }

    #[test]
    fn chips_and_sensors() {
        let tree = tree();
        let (text, result) = exporter::testing::collect(&HWMON, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            samples(&text),
            [
                "node_hwmon_beep_enabled{chip=\"amdgpu\",sensor=\"beep_enable0\"} 1",
                "node_hwmon_chip_names{chip=\"amdgpu\",chip_name=\"amdgpu\"} 1",
                "node_hwmon_chip_names{chip=\"platform_asus_nb_wmi_asus\",chip_name=\"asus\"} 1",
                "node_hwmon_chip_names{chip=\"platform_asus_nb_wmi_asus_wmi_sensors\",chip_name=\"asus_wmi_sensors\"} 1",
                "node_hwmon_chip_names{chip=\"platform_coretemp_0\",chip_name=\"coretemp\"} 1",
                "node_hwmon_energy_joule_total{chip=\"amdgpu\",sensor=\"energy1\"} 2.5",
                "node_hwmon_fan_rpm{chip=\"platform_asus_nb_wmi_asus_wmi_sensors\",sensor=\"fan1\"} 1200",
                "node_hwmon_freq_freq_mhz{chip=\"amdgpu\",sensor=\"sclk\"} 214",
                "node_hwmon_pwm_enable{chip=\"platform_asus_nb_wmi_asus\",sensor=\"pwm1\"} 2",
                "node_hwmon_sensor_label{chip=\"amdgpu\",label=\"sclk\",sensor=\"freq1\"} 1",
                "node_hwmon_sensor_label{chip=\"platform_coretemp_0\",label=\"Physical id 0\",sensor=\"temp1\"} 1",
                "node_hwmon_temp_celsius{chip=\"hwmon4\",sensor=\"temp1\"} 1",
                "node_hwmon_temp_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"} 55",
                "node_hwmon_temp_crit_alarm_celsius{chip=\"platform_coretemp_0\",sensor=\"temp1\"} 0",
            ]
        );
        assert!(text.contains("# TYPE node_hwmon_energy_joule_total counter\n"));
        assert!(text.contains("# HELP node_hwmon_temp_celsius Hardware monitor for temperature (input)\n"));
    }

    #[test]
    fn filters() {
        let tree = tree();
        let sources = tree.sources();
        let run = |args: &[&str]| exporter::testing::collect(&HWMON, args, &sources).0;
        let text = run(&["--collector.hwmon.chip-include=^platform_coretemp"]);
        assert!(text.contains("coretemp") && !text.contains("asus"), "{text}");
        let text = run(&["--collector.hwmon.chip-exclude=asus"]);
        assert!(text.contains("coretemp") && !text.contains("asus"), "{text}");
        let text = run(&["--collector.hwmon.sensor-exclude=platform_coretemp_0;temp1"]);
        assert!(text.contains("chip=\"hwmon4\",sensor=\"temp1\"") && !text.contains("coretemp_0\",sensor"), "{text}");
    }

    #[test]
    fn sensors_come_and_go() {
        let tree = tree();
        let sources = tree.sources();
        let flags = service::Flags::from_args(HWMON.flags, &[]).unwrap();
        let collector = (HWMON.build)(&flags, &sources).unwrap();
        let run = || exporter::testing::collect_from(collector.as_ref(), &sources).0;
        assert!(run().contains("chip=\"hwmon4\",sensor=\"temp1\"} 1\n"));
        let dir = tree.path().join("sys/class/hwmon/hwmon4");
        std::fs::write(dir.join("temp1_input"), "2000\n").unwrap();
        std::fs::write(dir.join("temp2_input"), "3000\n").unwrap();
        let text = run();
        assert!(text.contains("chip=\"hwmon4\",sensor=\"temp1\"} 2\n"), "{text}");
        assert!(text.contains("chip=\"hwmon4\",sensor=\"temp2\"} 3\n"), "{text}");
        std::fs::remove_dir_all(dir).unwrap();
        assert!(!run().contains("hwmon4"));
    }

    #[test]
    fn no_class_is_no_data() {
        let tree = Tree::of(&[("sys/", b"")]);
        let (_, result) = exporter::testing::collect(&HWMON, &[], &tree.sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    #[test]
    fn clean_names() {
        assert_eq!(clean("asus-nb-wmi"), "asus_nb_wmi");
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("_Core 0_\n"), "core_0");
        assert_eq!(clean("\u{20ac}"), "");
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name: String) {
            let cleaned = clean(&name);
            prop_assert!(!cleaned.starts_with('_') && !cleaned.ends_with('_'));
        }
    }
}
