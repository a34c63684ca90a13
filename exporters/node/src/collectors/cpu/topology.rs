//! Which CPUs are online, and how often cores and packages were throttled, from `/sys/devices/system/cpu`
//! (`Documentation/ABI/testing/sysfs-devices-system-cpu`).

use super::lists::{self, FOLDER, Lists};
use exporter::{Cx, Desc, Part};
use hostfs::{Buf, KeptFile, Sources, scan};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const ONLINE: Desc = Desc::gauge("node_cpu_online", "CPUs that are online and being scheduled.");
const CORE_THROTTLES: Desc =
    Desc::counter("node_cpu_core_throttles_total", "Number of times this CPU core has been throttled.");
const PACKAGE_THROTTLES: Desc =
    Desc::counter("node_cpu_package_throttles_total", "Number of times this CPU package has been throttled.");

pub(super) struct Topology {
    lists: Lists,
    known: Mutex<Option<Arc<Known>>>,
}

#[derive(Default)]
struct Known {
    /// The lists' text; `None` where the kernel has none, and then nothing is kept.
    lists: Option<Vec<u8>>,
    /// CPU label and state; empty where the first CPU cannot be taken out.
    online: Vec<(Vec<u8>, bool)>,
    cores: Vec<Core>,
    packages: Vec<Package>,
}

struct Core {
    package: String,
    id: String,
    throttles: KeptFile,
}

struct Package {
    package: String,
    throttles: KeptFile,
}

impl Topology {
    pub(super) fn new(sources: &Sources) -> Self {
        Self { lists: Lists::new(sources), known: Mutex::default() }
    }

    pub(super) fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) {
        let known = self.known(cx);
        for (cpu, online) in &known.online {
            out.family(&ONLINE).sample(&[("cpu", cpu)], *online);
        }
        for core in &known.cores {
            if let Some(count) = read_count(&core.throttles, cx.buf) {
                let labels: [(&str, &[u8]); 2] = [("core", core.id.as_bytes()), ("package", core.package.as_bytes())];
                out.family(&CORE_THROTTLES).sample(&labels, count);
            }
        }
        for package in &known.packages {
            if let Some(count) = read_count(&package.throttles, cx.buf) {
                out.family(&PACKAGE_THROTTLES).sample(&[("package", package.package.as_bytes())], count);
            }
        }
    }

    fn known(&self, cx: &mut Cx<'_>) -> Arc<Known> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = &*known
            && self.lists.are_still(found.lists.as_deref(), cx.buf)
        {
            return Arc::clone(found);
        }
        let found = Arc::new(self.find(cx));
        *known = Some(Arc::clone(&found));
        found
    }

    fn find(&self, cx: &mut Cx<'_>) -> Known {
        let lists = self.lists.read(cx.buf);
        let folder = cx.sources.sys(FOLDER);
        let Ok(entries) = folder.entries() else { return Known { lists, ..Known::default() } };
        let mut online = Vec::new();
        let mut packages: BTreeMap<u64, Option<KeptFile>> = BTreeMap::new();
        let mut cores: BTreeMap<(u64, u64), Option<KeptFile>> = BTreeMap::new();
        for (name, number) in entries.iter().filter_map(|name| Some((name, lists::number(name)?))) {
            let rel = Path::new(FOLDER).join(OsStr::from_bytes(name));
            let cpu = cx.sources.sys(&rel);
            let state = cpu.join("online").read_trimmed(cx.buf).ok().map(|state| state == b"1");
            online.push((number.to_vec(), state));
            let Ok(package) = cpu.join("topology/physical_package_id").read_u64(cx.buf) else { continue };
            let Ok(core) = cpu.join("topology/core_id").read_u64(cx.buf) else { continue };
            // One count for all threads of a core and one for all cores of a package: the first file that reads well.
            let mut first = |place: &mut Option<KeptFile>, name: &str| {
                if place.is_none() {
                    let file = cx.sources.kept_sys(rel.join(name));
                    *place = read_count(&file, cx.buf).is_some().then_some(file);
                }
            };
            first(cores.entry((package, core)).or_default(), "thermal_throttle/core_throttle_count");
            first(packages.entry(package).or_default(), "thermal_throttle/package_throttle_count");
        }
        // The machine says which CPUs are online only where the first one can be taken out.
        if online.first().is_none_or(|(_, state)| state.is_none()) {
            online.clear();
        }
        Known {
            lists,
            online: online.into_iter().map(|(cpu, state)| (cpu, state.unwrap_or_default())).collect(),
            cores: cores
                .into_iter()
                .filter_map(|((package, core), file)| {
                    Some(Core { package: package.to_string(), id: core.to_string(), throttles: file? })
                })
                .collect(),
            packages: packages
                .into_iter()
                .filter_map(|(package, file)| Some(Package { package: package.to_string(), throttles: file? }))
                .collect(),
        }
    }
}

fn read_count(file: &KeptFile, buf: &mut Buf) -> Option<u64> {
    scan::u64(file.read_trimmed(buf).ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::CPU;
    use crate::collectors::tree::Tree;

    fn collect(tree: &Tree) -> String {
        let (text, result) = exporter::testing::collect(&CPU, &[], &tree.sources());
        result.unwrap();
        text
    }

    #[test]
    fn threads_share_their_core_s_count() {
        let tree = Tree::of(&[("proc/stat", b"")]);
        for (cpu, package, core, counts) in
            [(0, 0, 0, None), (1, 0, 1, Some((1, 10))), (10, 0, 0, Some((5, 11))), (2, 0, 0, Some((2, 12)))]
        {
            let folder = tree.path().join(format!("sys/devices/system/cpu/cpu{cpu}"));
            std::fs::create_dir_all(folder.join("topology")).unwrap();
            std::fs::create_dir_all(folder.join("thermal_throttle")).unwrap();
            std::fs::write(folder.join("topology/physical_package_id"), format!("{package}\n")).unwrap();
            std::fs::write(folder.join("topology/core_id"), format!("{core}\n")).unwrap();
            if let Some((core, package)) = counts {
                std::fs::write(folder.join("thermal_throttle/core_throttle_count"), format!("{core}\n")).unwrap();
                std::fs::write(folder.join("thermal_throttle/package_throttle_count"), format!("{package}\n")).unwrap();
            }
        }
        assert_eq!(
            collect(&tree),
            "# HELP node_cpu_core_throttles_total Number of times this CPU core has been throttled.\n\
             # TYPE node_cpu_core_throttles_total counter\n\
             node_cpu_core_throttles_total{core=\"0\",package=\"0\"} 5\n\
             node_cpu_core_throttles_total{core=\"1\",package=\"0\"} 1\n\
             # HELP node_cpu_package_throttles_total Number of times this CPU package has been throttled.\n\
             # TYPE node_cpu_package_throttles_total counter\n\
             node_cpu_package_throttles_total{package=\"0\"} 10\n"
        );
    }

    #[test]
    fn cpus_that_can_be_taken_out() {
        let tree = Tree::of(&[
            ("proc/stat", b""),
            ("sys/devices/system/cpu/cpu0/online", b"1\n"),
            ("sys/devices/system/cpu/cpu1/online", b"0\n"),
            ("sys/devices/system/cpu/cpufreq/", b""),
        ]);
        assert_eq!(
            collect(&tree),
            "# HELP node_cpu_online CPUs that are online and being scheduled.\n# TYPE node_cpu_online gauge\n\
             node_cpu_online{cpu=\"0\"} 1\nnode_cpu_online{cpu=\"1\"} 0\n"
        );
        // Without the first CPU's file nothing is said.
        std::fs::remove_file(tree.path().join("sys/devices/system/cpu/cpu0/online")).unwrap();
        assert_eq!(collect(&tree), "");
    }

    #[test]
    fn a_changed_list_is_followed() {
        let tree = Tree::of(&[
            ("proc/stat", b""),
            ("sys/devices/system/cpu/present", b"0-1\n"),
            ("sys/devices/system/cpu/online", b"0-1\n"),
            ("sys/devices/system/cpu/cpu0/online", b"1\n"),
            ("sys/devices/system/cpu/cpu1/online", b"1\n"),
        ]);
        let sources = tree.sources();
        let collector = (CPU.build)(&exporter::Flags::defaults(CPU.flags), &sources).unwrap();
        let online = || exporter::testing::collect_from(collector.as_ref(), &sources).0;
        assert!(online().contains("node_cpu_online{cpu=\"1\"} 1\n"));
        std::fs::write(tree.path().join("sys/devices/system/cpu/cpu1/online"), "0\n").unwrap();
        assert!(online().contains("node_cpu_online{cpu=\"1\"} 1\n"), "the lists say that nothing changed");
        std::fs::write(tree.path().join("sys/devices/system/cpu/online"), "0\n").unwrap();
        assert!(online().contains("node_cpu_online{cpu=\"1\"} 0\n"));
    }
}
