//! One sensor: its attributes, the families they belong to and their units.

use super::clean;
use exporter::{Desc, Part};
use exposition::Kind;
use hostfs::{Buf, KeptFile, scan};
use std::sync::Arc;

pub(super) struct Sensor {
    /// `temp1`.
    pub(super) name: String,
    /// `temp`.
    kind: String,
    attributes: Vec<Attribute>,
    label: Option<Vec<Arc<KeptFile>>>,
}

struct Attribute {
    /// `input` of `temp1_input`; empty for `pwm1`.
    property: String,
    /// The first that can be read counts.
    files: Vec<Arc<KeptFile>>,
    family: Family,
}

/// Where an attribute's number goes.
#[derive(Default)]
struct Family {
    name: String,
    help: String,
    counter: bool,
    scale: Scale,
}

#[derive(Clone, Copy, Default)]
enum Scale {
    #[default]
    One,
    /// Millivolts, milliamperes, millidegrees, milliseconds.
    Milli,
    /// Microwatts, microjoules, millionths, hertz to megahertz.
    Micro,
    /// 1 only where the text is `1`.
    Flag,
    /// As `Micro`, under the sensor's own label.
    ByLabel,
}

impl Sensor {
    pub(super) fn new(name: String) -> Self {
        let kind = explode(&name).map_or_else(String::new, |(kind, _, _)| kind.to_owned());
        Self { name, kind, attributes: Vec::new(), label: None }
    }

    pub(super) fn add(&mut self, property: String, files: Vec<Arc<KeptFile>>) {
        if property == "label" {
            self.label = Some(files);
        } else {
            self.attributes.push(Attribute { property, files, family: Family::default() });
        }
    }

    /// Decides the families, once all attributes are known.
    pub(super) fn name_families(&mut self) {
        let has_plain = self.attributes.iter().any(|a| a.property.is_empty());
        for attribute in &mut self.attributes {
            attribute.family = family(&self.kind, &attribute.property, has_plain);
        }
    }

    pub(super) fn emit(&self, chip: &str, buf: &mut Buf, out: &mut Part) {
        let label = self.label.as_ref().and_then(|files| first(files, buf)).map(<[u8]>::to_vec);
        if let Some(label) = &label {
            let labels: [(&str, &[u8]); 3] =
                [("chip", chip.as_bytes()), ("label", &scan::valid_utf8(label)), ("sensor", self.name.as_bytes())];
            out.family(&SENSOR_LABEL).sample(&labels, 1u64);
        }
        for attribute in &self.attributes {
            let Some(text) = first(&attribute.files, buf) else { continue };
            let family = &attribute.family;
            let number = match family.scale {
                Scale::Flag => Some(f64::from(u8::from(text == b"1"))),
                Scale::One => scan::f64(text),
                Scale::Milli => scan::f64(text).map(|n| n * 0.001),
                Scale::Micro | Scale::ByLabel => scan::f64(text).map(|n| n / 1e6),
            };
            let Some(number) = number else { continue };
            let kind = if family.counter { Kind::Counter } else { Kind::Gauge };
            let by_label;
            let sensor = match (family.scale, &label) {
                (Scale::ByLabel, None) => continue,
                (Scale::ByLabel, Some(label)) => {
                    by_label = clean(&scan::lossy(label));
                    &by_label
                }
                _ => &self.name,
            };
            out.family_named(&family.name, &family.help, kind)
                .sample(&[("chip", chip.as_bytes()), ("sensor", sensor.as_bytes())], number);
        }
    }
}

const SENSOR_LABEL: Desc = Desc::gauge("node_hwmon_sensor_label", "Label for given chip and sensor");

fn first<'b>(files: &[Arc<KeptFile>], buf: &'b mut Buf) -> Option<&'b [u8]> {
    let (last, before) = files.split_last()?;
    let file = before.iter().find(|file| file.read(buf).is_ok()).unwrap_or(last);
    let mut text = file.read(buf).ok()?;
    while let Some(rest) = text.strip_suffix(b"\n") {
        text = rest;
    }
    Some(text)
}

/// Name, help and unit of an attribute; the order of the cases is upstream's.
fn family(kind: &str, property: &str, has_plain: bool) -> Family {
    let base = match property {
        "" => format!("node_hwmon_{kind}"),
        "input" if !has_plain => format!("node_hwmon_{kind}"),
        _ => format!("node_hwmon_{kind}_{}", clean(property)),
    };
    let gauge = |name: String, help: String, scale| Family { name, help, counter: false, scale };
    match (kind, property) {
        ("beep_enable", _) => gauge("node_hwmon_beep_enabled".into(), "Hardware beep enabled".into(), Scale::Flag),
        ("vrm", _) => {
            gauge("node_hwmon_voltage_regulator_version".into(), "Hardware voltage regulator".into(), Scale::One)
        }
        ("update_interval", _) => {
            gauge("node_hwmon_update_interval_seconds".into(), "Hardware monitor update interval".into(), Scale::Milli)
        }
        (_, "fault" | "alarm") => gauge(base, format!("Hardware sensor {property} status ({kind})"), Scale::One),
        (_, "beep") => gauge(base + "_enabled", "Hardware monitor sensor has beeping enabled".into(), Scale::One),
        ("in" | "cpu", _) => gauge(base + "_volts", format!("Hardware monitor for voltage ({property})"), Scale::Milli),
        ("temp", p) if p != "type" => {
            let shown = if p.is_empty() { "input" } else { p };
            gauge(base + "_celsius", format!("Hardware monitor for temperature ({shown})"), Scale::Milli)
        }
        ("curr", _) => gauge(base + "_amps", format!("Hardware monitor for current ({property})"), Scale::Milli),
        ("energy", _) => Family {
            counter: true,
            ..gauge(
                base + "_joule_total",
                format!("Hardware monitor for joules used so far ({property})"),
                Scale::Micro,
            )
        },
        ("power", "accuracy") => gauge(base, "Hardware monitor power meter accuracy, as a ratio".into(), Scale::Micro),
        ("power", "average_interval" | "average_interval_min" | "average_interval_max") => {
            gauge(base + "_seconds", format!("Hardware monitor power usage update interval ({property})"), Scale::Milli)
        }
        ("power", _) => {
            gauge(base + "_watt", format!("Hardware monitor for power usage in watts ({property})"), Scale::Micro)
        }
        ("humidity", _) => gauge(
            base,
            format!(
                "Hardware monitor for humidity, as a ratio (multiply with 100.0 to get the humidity as a percentage) ({property})"
            ),
            Scale::Micro,
        ),
        ("fan", "input" | "min" | "max" | "target") => {
            gauge(base + "_rpm", format!("Hardware monitor for fan revolutions per minute ({property})"), Scale::One)
        }
        ("freq", "input") => {
            gauge(base + "_freq_mhz", "Hardware monitor for GPU frequency in MHz".into(), Scale::ByLabel)
        }
        _ => gauge(base, format!("Hardware monitor {kind} element {property}"), Scale::One),
    }
}

const KINDS: [&str; 14] = [
    "vrm",
    "beep_enable",
    "update_interval",
    "in",
    "cpu",
    "fan",
    "pwm",
    "temp",
    "curr",
    "power",
    "energy",
    "humidity",
    "intrusion",
    "freq",
];

/// Parts `temp1_crit_alarm` into `temp`, 1 and `crit_alarm`; `None` where it is no sensor's attribute.
pub(super) fn explode(file: &str) -> Option<(&str, u64, &str)> {
    let kind_ends = file.find(|c: char| c.is_ascii_digit()).unwrap_or(file.len());
    let (kind, rest) = file.split_at(kind_ends);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(digits);
    let property = match rest.strip_prefix('_') {
        Some(property) if !property.is_empty() => property,
        None if rest.is_empty() => "",
        _ => return None,
    };
    let number = if number.is_empty() { 0 } else { number.parse().ok()? };
    KINDS.contains(&kind).then_some((kind, number, property))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn file_names() {
        assert_eq!(explode("temp1_crit_alarm"), Some(("temp", 1, "crit_alarm")));
        assert_eq!(explode("pwm1_auto_point1_pwm"), Some(("pwm", 1, "auto_point1_pwm")));
        assert_eq!(explode("pwm2"), Some(("pwm", 2, "")));
        assert_eq!(explode("beep_enable"), Some(("beep_enable", 0, "")));
        for no_sensor in ["name", "temp_label", "fan1x", "fan1_", "1fan", "temp99999999999999999999_input", ""] {
            assert_eq!(explode(no_sensor), None, "{no_sensor}");
        }
    }

    #[test]
    fn families() {
        for (kind, property, plain, name) in [
            ("in", "input", false, "node_hwmon_in_volts"),
            ("in", "input", true, "node_hwmon_in_input_volts"),
            ("temp", "type", false, "node_hwmon_temp_type"),
            ("temp", "fault", false, "node_hwmon_temp_fault"),
            ("fan", "beep", false, "node_hwmon_fan_beep_enabled"),
            ("fan", "div", false, "node_hwmon_fan_div"),
            ("curr", "crit", false, "node_hwmon_curr_crit_amps"),
            ("power", "accuracy", false, "node_hwmon_power_accuracy"),
            ("power", "average_interval", false, "node_hwmon_power_average_interval_seconds"),
            ("power", "average", false, "node_hwmon_power_average_watt"),
            ("humidity", "input", false, "node_hwmon_humidity"),
            ("intrusion", "alarm", false, "node_hwmon_intrusion_alarm"),
            ("pwm", "", true, "node_hwmon_pwm"),
        ] {
            assert_eq!(family(kind, property, plain).name, name);
        }
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name: String, property: String) {
            if let Some((kind, _, own)) = explode(&name) {
                family(kind, own, false);
                family(kind, &property, true);
            }
        }
    }
}
