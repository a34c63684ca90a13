//! Temperatures of thermal zones and states of cooling devices, from `/sys/class/thermal`
//! (`Documentation/driver-api/thermal/sysfs-api.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, File, KeptFiles, Round, scan};

/// Registers the collector.
pub(crate) const THERMAL_ZONE: Entry = Entry {
    name: "thermal_zone",
    default: Default::On,
    about: "temperatures of thermal zones and throttle states of cooling devices, from /sys/class/thermal",
    flags: &[],
    build: |_, sources| Ok(Box::new(ThermalZone { files: sources.kept_files() })),
};

const TEMP: Desc = Desc::gauge("node_thermal_zone_temp", "Zone temperature in Celsius");
const CUR_STATE: Desc = Desc::gauge("node_cooling_device_cur_state", "Current throttle state of the cooling device");
const MAX_STATE: Desc = Desc::gauge("node_cooling_device_max_state", "Maximum throttle state of the cooling device");

struct ThermalZone {
    files: KeptFiles,
}

impl Collector for ThermalZone {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/thermal");
        let names = match class.entries() {
            // A kernel without the class is no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            names => names?,
        };
        let files = self.files.round();
        for name in names.iter() {
            let dir = class.child(name);
            if let Some(zone) = numbered(name, b"thermal_zone") {
                // A sensor that is not ready answers EAGAIN or ENODATA: its zone is left out of this scrape.
                let Some(millidegrees) = state(&files, &dir, "temp", cx.buf) else { continue };
                let Ok(kind) = files.read_trimmed(&dir.join("type"), cx.buf) else { continue };
                out.family(&TEMP).sample(&[("type", kind), ("zone", zone)], millidegrees as f64 / 1000.0);
            } else if let Some(device) = numbered(name, b"cooling_device") {
                let Some(cur) = state(&files, &dir, "cur_state", cx.buf) else { continue };
                let Some(max) = state(&files, &dir, "max_state", cx.buf) else { continue };
                let Ok(kind) = files.read_trimmed(&dir.join("type"), cx.buf) else { continue };
                let labels: [(&str, &[u8]); 2] = [("name", device), ("type", kind)];
                out.family(&CUR_STATE).sample(&labels, cur);
                out.family(&MAX_STATE).sample(&labels, max);
            }
        }
        Ok(())
    }
}

fn state(files: &Round<'_>, dir: &File<'_>, attribute: &str, buf: &mut Buf) -> Option<i64> {
    scan::i64(files.read_trimmed(&dir.join(attribute), buf).ok()?)
}

/// What follows `prefix`, where that begins with a digit.
fn numbered<'n>(name: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    name.strip_prefix(prefix).filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn zones_and_devices() {
        let tree = Tree::of(&[
            ("sys/class/thermal/thermal_zone0/temp", b"49925\n"),
            ("sys/class/thermal/thermal_zone0/type", b"bcm2835_thermal\n"),
            ("sys/class/thermal/thermal_zone1/temp", b"-44000\n"),
            ("sys/class/thermal/thermal_zone1/type", b"acpitz\n"),
            ("sys/class/thermal/thermal_zone2/type", b"a sensor that is off\n"),
            ("sys/class/thermal/cooling_device0/type", b"Processor\n"),
            ("sys/class/thermal/cooling_device0/cur_state", b"0\n"),
            ("sys/class/thermal/cooling_device0/max_state", b"3\n"),
            ("sys/class/thermal/cooling_device1/type", b"no states\n"),
        ]);
        let (text, result) = exporter::testing::collect(&THERMAL_ZONE, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_cooling_device_cur_state Current throttle state of the cooling device\n\
             # TYPE node_cooling_device_cur_state gauge\n\
             node_cooling_device_cur_state{name=\"0\",type=\"Processor\"} 0\n\
             # HELP node_cooling_device_max_state Maximum throttle state of the cooling device\n\
             # TYPE node_cooling_device_max_state gauge\n\
             node_cooling_device_max_state{name=\"0\",type=\"Processor\"} 3\n\
             # HELP node_thermal_zone_temp Zone temperature in Celsius\n\
             # TYPE node_thermal_zone_temp gauge\n\
             node_thermal_zone_temp{type=\"acpitz\",zone=\"1\"} -44\n\
             node_thermal_zone_temp{type=\"bcm2835_thermal\",zone=\"0\"} 49.925\n"
        );
    }

    #[test]
    fn no_class_is_no_failure() {
        let tree = Tree::of(&[("sys/", b"")]);
        let (text, result) = exporter::testing::collect(&THERMAL_ZONE, &[], &tree.sources());
        result.unwrap();
        assert_eq!(text, "");
    }

    #[test]
    fn names() {
        assert_eq!(numbered(b"thermal_zone12", b"thermal_zone"), Some(&b"12"[..]));
        assert_eq!(numbered(b"thermal_zone", b"thermal_zone"), None);
        assert_eq!(numbered(b"cooling_device0", b"thermal_zone"), None);
    }
}
