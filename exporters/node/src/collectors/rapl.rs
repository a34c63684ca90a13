//! Energy counters of the processor's power zones (RAPL), from `/sys/class/powercap`
//! (`Documentation/power/powercap/powercap.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use exposition::Kind;
use hostfs::{KeptFiles, scan};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;

const ZONE_LABEL: Flag = Flag::switch(
    "collector.rapl.enable-zone-label",
    "One family node_rapl_joules_total with the zone's name as a label instead of one family a zone",
);

/// Registers the collector.
pub(crate) const RAPL: Entry = Entry {
    name: "rapl",
    default: Default::On,
    about: "energy used by processor packages, cores and memory, from /sys/class/powercap",
    flags: &[ZONE_LABEL],
    build: |flags, sources| Ok(Box::new(Rapl { zone_label: flags.on(ZONE_LABEL.name), files: sources.kept_files() })),
};

const JOULES: Desc = Desc::counter("node_rapl_joules_total", "Current RAPL value in joules");

struct Rapl {
    zone_label: bool,
    files: KeptFiles,
}

impl Collector for Rapl {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/powercap");
        let names = match class.entries() {
            Err(e) if e.is_denied() => return Err(CollectError::NoData),
            names => names.or_no_data()?,
        };
        let files = self.files.round();
        let mut used = BTreeMap::new();
        for name in names.iter() {
            let dir = class.child(name);
            // The control types themselves (`intel-rapl`) have no name.
            let Ok(text) = files.read_trimmed(&dir.join("name"), cx.buf) else { continue };
            let (zone, index) = zone_and_index(&scan::lossy(text), &mut used);
            let file = dir.join("energy_uj");
            let microjoules = match files.read_trimmed(&file, cx.buf) {
                // Since Linux 5.10 only root may read it (CVE-2020-8694).
                Err(e) if e.is_denied() => return Err(CollectError::NoData),
                // Zones of other control types count no energy.
                Err(e) if e.is_absent() => continue,
                text => scan::u64(text?),
            };
            let microjoules = microjoules
                .ok_or_else(|| CollectError::failed(format!("parse {}: no number", file.path().display())))?;
            let joules = microjoules as f64 / 1e6;
            let (index, path) = (index.to_string(), dir.path().as_os_str().as_bytes());
            if self.zone_label {
                let labels = [("index", index.as_bytes()), ("path", path), ("rapl_zone", zone.as_bytes())];
                out.family(&JOULES).sample(&labels, joules);
            } else {
                let family = exposition::sanitize_name(&format!("node_rapl_{zone}_joules_total")).into_owned();
                let help = format!("Current RAPL {zone} value in joules");
                out.family_named(&family, &help, Kind::Counter)
                    .sample(&[("index", index.as_bytes()), ("path", path)], joules);
            }
        }
        Ok(())
    }
}

/// `package-1` has its index in its name; zones of one name without (`dram`, `core`) are counted.
fn zone_and_index(name: &str, used: &mut BTreeMap<String, i64>) -> (String, i64) {
    let mut parts = name.split('-');
    let (zone, index) = match (parts.next(), parts.next(), parts.next()) {
        (Some(zone), Some(index), None) if index.parse::<i64>().is_ok() => (zone, index.parse().unwrap_or_default()),
        _ => (name, used.get(name).copied().unwrap_or_default()),
    };
    used.insert(zone.to_owned(), index.saturating_add(1));
    (zone.to_owned(), index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree() -> Tree {
        Tree::of(&[
            ("sys/class/powercap/intel-rapl/enabled", b"1\n"),
            ("sys/class/powercap/intel-rapl:0/name", b"package-0\n"),
            ("sys/class/powercap/intel-rapl:0/energy_uj", b"240422366267\n"),
            ("sys/class/powercap/intel-rapl:0:0/name", b"core\n"),
            ("sys/class/powercap/intel-rapl:0:0/energy_uj", b"118821284256\n"),
            ("sys/class/powercap/intel-rapl:1:0/name", b"core\n"),
            ("sys/class/powercap/intel-rapl:1:0/energy_uj", b"7000000\n"),
        ])
    }

    #[test]
    fn a_family_a_zone() {
        let tree = tree();
        let (text, result) = exporter::testing::collect(&RAPL, &[], &tree.sources());
        result.unwrap();
        let sys = tree.path().join("sys").display().to_string();
        assert_eq!(
            text.replace(&sys, "/sys"),
            "# HELP node_rapl_core_joules_total Current RAPL core value in joules\n\
             # TYPE node_rapl_core_joules_total counter\n\
             node_rapl_core_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0:0\"} 118821.284256\n\
             node_rapl_core_joules_total{index=\"1\",path=\"/sys/class/powercap/intel-rapl:1:0\"} 7\n\
             # HELP node_rapl_package_joules_total Current RAPL package value in joules\n\
             # TYPE node_rapl_package_joules_total counter\n\
             node_rapl_package_joules_total{index=\"0\",path=\"/sys/class/powercap/intel-rapl:0\"} 240422.366267\n"
        );
    }

    #[test]
    fn zones_as_labels() {
        let (text, result) =
            exporter::testing::collect(&RAPL, &["--collector.rapl.enable-zone-label"], &tree().sources());
        result.unwrap();
        assert!(text.starts_with("# HELP node_rapl_joules_total Current RAPL value in joules\n"), "{text}");
        assert!(text.contains(",rapl_zone=\"package\"} 240422.366267\n"), "{text}");
    }

    #[test]
    fn names() {
        let mut used = BTreeMap::new();
        assert_eq!(zone_and_index("package-1", &mut used), ("package".into(), 1));
        assert_eq!(zone_and_index("dram", &mut used), ("dram".into(), 0));
        assert_eq!(zone_and_index("dram", &mut used), ("dram".into(), 1));
        assert_eq!(zone_and_index("package-0-die-1", &mut used), ("package-0-die-1".into(), 0));
        assert_eq!(zone_and_index("psys", &mut used), ("psys".into(), 0));
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name: String) {
            zone_and_index(&name, &mut BTreeMap::new());
        }
    }
}
