//! Batteries, chargers and supplies, from `/sys/class/power_supply` (`Documentation/ABI/testing/sysfs-class-power`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{KeptFiles, scan};

const IGNORED: Flag = Flag::regex(
    "collector.powersupply.ignored-supplies",
    "^$",
    "Regexp of power supplies to ignore for powersupplyclass collector.",
);

/// Registers the collector.
pub(crate) const POWERSUPPLYCLASS: Entry = Entry {
    name: "powersupplyclass",
    default: Default::On,
    about: "batteries, chargers and power supplies, from /sys/class/power_supply",
    flags: &[IGNORED],
    build: |flags, sources| {
        Ok(Box::new(PowerSupplyClass { ignored: flags.regex(IGNORED.name), files: sources.kept_files() }))
    },
};

const INFO: Desc = Desc::gauge("node_power_supply_info", "info of /sys/class/power_supply/<power_supply>.");

macro_rules! gauge {
    ($name:literal) => {
        Desc::gauge(
            concat!("node_power_supply_", $name),
            concat!($name, " value of /sys/class/power_supply/<power_supply>."),
        )
    };
}

/// Attribute, family, and how many of the kernel's units make one of ours (µA, µV, µW, µAh, µWh; tenths of a degree).
const NUMBERS: [(&str, Desc, f64); 49] = [
    ("authentic", gauge!("authentic"), 1.0),
    ("calibrate", gauge!("calibrate"), 1.0),
    ("capacity", gauge!("capacity"), 1.0),
    ("capacity_alert_max", gauge!("capacity_alert_max"), 1.0),
    ("capacity_alert_min", gauge!("capacity_alert_min"), 1.0),
    ("charge_control_limit", gauge!("charge_control_limit"), 1e6),
    ("charge_control_limit_max", gauge!("charge_control_limit_max"), 1e6),
    ("charge_counter", gauge!("charge_counter"), 1e6),
    ("charge_empty", gauge!("charge_empty"), 1e6),
    ("charge_empty_design", gauge!("charge_empty_design"), 1e6),
    ("charge_full", gauge!("charge_full"), 1e6),
    ("charge_full_design", gauge!("charge_full_design"), 1e6),
    ("charge_now", gauge!("charge_ampere"), 1e6),
    ("charge_term_current", gauge!("charge_term_current"), 1e6),
    ("constant_charge_current", gauge!("constant_charge_current"), 1e6),
    ("constant_charge_current_max", gauge!("constant_charge_current_max"), 1e6),
    ("constant_charge_voltage", gauge!("constant_charge_voltage"), 1e6),
    ("constant_charge_voltage_max", gauge!("constant_charge_voltage_max"), 1e6),
    ("current_boot", gauge!("current_boot"), 1e6),
    ("current_max", gauge!("current_max"), 1e6),
    ("current_now", gauge!("current_ampere"), 1e6),
    ("cycle_count", gauge!("cyclecount"), 1.0),
    ("energy_empty", gauge!("energy_empty"), 1e6),
    ("energy_empty_design", gauge!("energy_empty_design"), 1e6),
    ("energy_full", gauge!("energy_full"), 1e6),
    ("energy_full_design", gauge!("energy_full_design"), 1e6),
    ("energy_now", gauge!("energy_watthour"), 1e6),
    ("input_current_limit", gauge!("input_current_limit"), 1e6),
    ("online", gauge!("online"), 1.0),
    ("power_now", gauge!("power_watt"), 1e6),
    ("precharge_current", gauge!("precharge_current"), 1e6),
    ("present", gauge!("present"), 1.0),
    ("temp", gauge!("temp_celsius"), 10.0),
    ("temp_alert_max", gauge!("temp_alert_max_celsius"), 10.0),
    ("temp_alert_min", gauge!("temp_alert_min_celsius"), 10.0),
    ("temp_ambient", gauge!("temp_ambient_celsius"), 10.0),
    ("temp_ambient_max", gauge!("temp_ambient_max_celsius"), 10.0),
    ("temp_ambient_min", gauge!("temp_ambient_min_celsius"), 10.0),
    ("temp_max", gauge!("temp_max_celsius"), 10.0),
    ("temp_min", gauge!("temp_min_celsius"), 10.0),
    ("time_to_empty_now", gauge!("time_to_empty_seconds"), 1.0),
    ("time_to_full_now", gauge!("time_to_full_seconds"), 1.0),
    ("voltage_boot", gauge!("voltage_boot"), 1e6),
    ("voltage_max", gauge!("voltage_max"), 1e6),
    ("voltage_max_design", gauge!("voltage_max_design"), 1e6),
    ("voltage_min", gauge!("voltage_min"), 1e6),
    ("voltage_min_design", gauge!("voltage_min_design"), 1e6),
    ("voltage_now", gauge!("voltage_volt"), 1e6),
    ("voltage_ocv", gauge!("voltage_ocv"), 1e6),
];

/// Attributes that become labels of the info family, in order.
const TEXTS: [&str; 11] = [
    "capacity_level",
    "charge_type",
    "health",
    "manufacturer",
    "model_name",
    "scope",
    "serial_number",
    "status",
    "technology",
    "type",
    "usb_type",
];

struct PowerSupplyClass {
    ignored: Option<service::Regex>,
    files: KeptFiles,
}

impl Collector for PowerSupplyClass {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/power_supply");
        let supplies = class.entries().or_no_data()?;
        let files = self.files.round();
        let mut result = Ok(());
        let ignored = |name: &[u8]| self.ignored.as_ref().is_some_and(|r| r.is_match(name));
        for supply in supplies.iter().filter(|s| !ignored(s)) {
            let dir = class.child(supply);
            // Unplugged since the listing.
            let Ok(attributes) = dir.entries() else { continue };
            for (attribute, desc, units) in &NUMBERS {
                if !attributes.contains(attribute.as_bytes()) {
                    continue;
                }
                // Drivers refuse what the device does not have (EINVAL, ENODATA, ENODEV, EOPNOTSUPP, …).
                let file = dir.join(attribute);
                let Ok(text) = files.read_trimmed(&file, cx.buf) else { continue };
                if let Some(n) = number(text) {
                    out.family(desc).sample(&[("power_supply", supply)], n as f64 / units);
                } else {
                    let (path, shown) = (file.path().display(), scan::lossy(text));
                    result = Err(CollectError::failed(format!("parse {path}: no number: {shown:?}")));
                }
            }
            let mut labels: Vec<(&str, Vec<u8>)> = vec![("power_supply", supply.to_vec())];
            for attribute in TEXTS {
                if !attributes.contains(attribute.as_bytes()) {
                    continue;
                }
                if let Ok(text) = files.read_trimmed(&dir.join(attribute), cx.buf)
                    && !text.is_empty()
                {
                    labels.push((attribute, scan::valid_utf8(text).into_owned()));
                }
            }
            let labels: Vec<(&str, &[u8])> = labels.iter().map(|(n, v)| (*n, &**v)).collect();
            out.family(&INFO).sample(&labels, 1u64);
        }
        result
    }
}

fn number(text: &[u8]) -> Option<i64> {
    scan::i64(text).or_else(|| i64::try_from(text.starts_with(b"0x").then(|| scan::hex(text))??).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("sys/class/power_supply/AC/online", b"0\n"),
            ("sys/class/power_supply/AC/type", b"Mains\n"),
            ("sys/class/power_supply/BAT0/capacity", b"81\n"),
            ("sys/class/power_supply/BAT0/energy_now", b"36580000\n"),
            ("sys/class/power_supply/BAT0/temp", b"-15\n"),
            ("sys/class/power_supply/BAT0/model_name", b"LNV-45N1\xff\xfe\n"),
            ("sys/class/power_supply/BAT0/manufacturer", b"\n"),
            ("sys/class/power_supply/BAT0/time_to_empty_now", b"soon\n"),
        ])
    }

    #[test]
    fn supplies() {
        let (text, result) = exporter::testing::collect(&POWERSUPPLYCLASS, &[], &tree().sources());
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_power_supply_capacity{power_supply=\"BAT0\"} 81",
                "node_power_supply_energy_watthour{power_supply=\"BAT0\"} 36.58",
                "node_power_supply_info{power_supply=\"AC\",type=\"Mains\"} 1",
                "node_power_supply_info{model_name=\"LNV-45N1\u{FFFD}\",power_supply=\"BAT0\"} 1",
                "node_power_supply_online{power_supply=\"AC\"} 0",
                "node_power_supply_temp_celsius{power_supply=\"BAT0\"} -1.5",
            ]
        );
        assert!(
            text.contains("# HELP node_power_supply_online online value of /sys/class/power_supply/<power_supply>.\n")
        );
        assert!(result.unwrap_err().to_string().ends_with("BAT0/time_to_empty_now: no number: \"soon\""));
    }

    #[test]
    fn ignored_supplies() {
        let (text, result) = exporter::testing::collect(
            &POWERSUPPLYCLASS,
            &["--collector.powersupply.ignored-supplies=^BAT"],
            &tree().sources(),
        );
        result.unwrap();
        assert!(!text.contains("BAT0") && text.contains("AC"), "{text}");
    }

    #[test]
    fn families_differ() {
        let mut names: Vec<_> = NUMBERS.iter().map(|(_, d, _)| d.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NUMBERS.len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            number(&bytes);
        }
    }
}
