//! The host as a whole: processors, memory, identity, versions.

use super::Out;
use super::spec::HostMemory;
use exporter::Desc;
use hostfs::{Buf, File, Sources, scan};
use std::collections::{BTreeMap, BTreeSet};

const PHYSICAL_CORES: Desc = Desc::gauge("machine_cpu_physical_cores", "Number of physical CPU cores.");
const CORES: Desc = Desc::gauge("machine_cpu_cores", "Number of logical CPU cores.");
const SOCKETS: Desc = Desc::gauge("machine_cpu_sockets", "Number of CPU sockets.");
const BOOKS: Desc = Desc::gauge("machine_cpu_books", "Number of CPU books.");
const DRAWERS: Desc = Desc::gauge("machine_cpu_drawers", "Number of CPU drawers.");
const MEMORY: Desc = Desc::gauge("machine_memory_bytes", "Amount of memory installed on the machine.");
const SWAP: Desc = Desc::gauge("machine_swap_bytes", "Amount of swap memory available on the machine.");
const DIMMS: Desc =
    Desc::gauge("machine_dimm_count", "Number of RAM DIMM (all types memory modules) value labeled by dimm type.");
const DIMM_BYTES: Desc = Desc::gauge(
    "machine_dimm_capacity_bytes",
    "Total RAM DIMM capacity (all types memory modules) value labeled by dimm type.",
);
const CACHE: Desc =
    Desc::gauge("machine_cpu_cache_capacity_bytes", "Cache size in bytes assigned to NUMA node and CPU core.");
const SIBLINGS: Desc = Desc::gauge("machine_thread_siblings_count", "Number of CPU thread siblings.");
const NODE_MEMORY: Desc = Desc::gauge("machine_node_memory_capacity_bytes", "Amount of memory assigned to NUMA node.");
const NODE_HUGEPAGES: Desc = Desc::gauge("machine_node_hugepages_count", "Numer of hugepages assigned to NUMA node.");
const NODE_DISTANCE: Desc = Desc::gauge("machine_node_distance", "Distance between NUMA node and target NUMA node.");
const SCRAPE_ERROR: Desc =
    Desc::gauge("machine_scrape_error", "1 if there was an error while getting machine metrics, 0 otherwise.");
const VERSION: Desc = Desc::gauge(
    "cadvisor_version_info",
    "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & \
     cadvisor revision.",
);

/// All families that are always shown, for docs.
pub(crate) const FAMILIES: &[Desc] =
    &[PHYSICAL_CORES, CORES, SOCKETS, BOOKS, DRAWERS, MEMORY, SWAP, DIMMS, DIMM_BYTES, SCRAPE_ERROR, VERSION];
/// Of the switch `cpu_topology`.
pub(crate) const TOPOLOGY_FAMILIES: &[Desc] = &[CACHE, SIBLINGS, NODE_MEMORY, NODE_HUGEPAGES, NODE_DISTANCE];

/// What hardly ever changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    id: String,
    system_uuid: String,
    boot_id: String,
    kernel: String,
    os: String,
    /// Logical processors.
    cpus: BTreeMap<u64, Cpu>,
    books: usize,
    drawers: usize,
    /// Count and bytes by type of memory module.
    dimms: BTreeMap<String, (u64, u64)>,
    nodes: Vec<Node>,
    /// Bytes by node, core (none where several share it), level and type.
    caches: BTreeMap<(u64, Option<u64>, String, String), u64>,
    /// Names of huge page sizes in cgroup files.
    pub(crate) hugepages: Vec<String>,
    failed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cpu {
    core: u64,
    package: u64,
    node: u64,
}

#[derive(Clone, Debug)]
struct Node {
    id: u64,
    memory: Option<u64>,
    hugepages: Vec<(u64, u64)>,
    distances: Vec<u64>,
}

/// Where the ids of this machine and this boot are looked for, in order.
#[derive(Clone, Debug)]
pub(crate) struct IdFiles {
    pub(crate) machine: Vec<String>,
    pub(crate) boot: Vec<String>,
}

impl Machine {
    /// Looks at everything.
    pub(crate) fn read(sources: &Sources, ids: &IdFiles, buf: &mut Buf) -> Self {
        let mut text = |file: File<'_>| file.read_trimmed(buf).ok().map(|t| scan::lossy(t).into_owned());
        let below_proc = |path: &str| match path.strip_prefix("/proc/") {
            Some(rel) => sources.proc(rel),
            None => sources.rootfs(path),
        };
        let mut first = |paths: &[String]| {
            paths.iter().find_map(|p| text(below_proc(p)).filter(|t| !t.is_empty())).unwrap_or_default()
        };
        let machine_id = first(&ids.machine);
        let boot_id = first(&ids.boot);
        let uuid = ["class/dmi/id/product_uuid", "devices/virtual/dmi/id/product_uuid", "hypervisor/uuid"];
        let system_uuid = uuid.iter().find_map(|p| text(sources.sys(p))).unwrap_or_else(|| machine_id.clone());
        let kernel = text(sources.proc("sys/kernel/osrelease")).unwrap_or_default();
        let os = ["etc/os-release", "usr/lib/os-release"].iter().find_map(|p| text(sources.rootfs(p)));
        let mut machine = Self {
            id: machine_id,
            system_uuid,
            boot_id,
            kernel,
            os: os.and_then(|t| pretty_name(&t)).unwrap_or_else(|| "Linux".to_owned()),
            ..Self::default()
        };
        machine.read_nodes(sources, buf);
        machine.read_cpus(sources, buf);
        machine.read_dimms(sources, buf);
        let sizes = sources.sys("kernel/mm/hugepages").folders().ok();
        machine.hugepages = sizes.iter().flat_map(|s| s.iter().filter_map(super::hugetlb::size)).collect();
        machine.failed = machine.cpus.is_empty();
        machine
    }

    fn read_cpus(&mut self, sources: &Sources, buf: &mut Buf) {
        let root = sources.sys("devices/system/cpu");
        let online = root.join("online").read_trimmed(buf).ok().map(cpu_list);
        let nodes: BTreeMap<u64, u64> = self.nodes.iter().flat_map(|n| node_cpus(sources, n.id, buf)).collect();
        let (mut books, mut drawers) = (BTreeSet::new(), BTreeSet::new());
        let entries = root.entries().unwrap_or_default();
        for id in entries.iter().filter_map(|n| scan::u64(n.strip_prefix(b"cpu")?)) {
            if online.as_ref().is_some_and(|o| !o.contains(&id)) {
                continue;
            }
            let topology = root.join(format!("cpu{id}/topology"));
            let mut number = |name: &str| topology.join(name).read_u64(buf).ok();
            let (core, package) = (number("core_id").unwrap_or(id), number("physical_package_id").unwrap_or(0));
            books.extend(number("book_id"));
            drawers.extend(number("drawer_id"));
            self.cpus.insert(id, Cpu { core, package, node: nodes.get(&id).copied().unwrap_or(0) });
        }
        (self.books, self.drawers) = (books.len(), drawers.len());
        let mut seen = BTreeSet::new();
        for (&id, &cpu) in &self.cpus {
            let folder = root.join(format!("cpu{id}/cache"));
            let indices = folder.folders().unwrap_or_default();
            for index in indices.iter().filter(|n| n.starts_with(b"index")) {
                let cache = folder.child(index);
                let shared = cache.join("shared_cpu_list").read_trimmed(buf).ok().map(cpu_list).unwrap_or_default();
                let mut attribute = |n: &str| cache.join(n).read_trimmed(buf).ok().map(|t| scan::lossy(t).into_owned());
                let (Some(level), Some(kind)) = (attribute("level"), attribute("type")) else { continue };
                let Some(size) = attribute("size").and_then(|s| cache_bytes(&s)) else { continue };
                let same = |c: &Cpu| c.core == cpu.core && c.package == cpu.package;
                let own = shared.iter().filter_map(|c| self.cpus.get(c)).all(same);
                if seen.insert((level.clone(), kind.clone(), shared)) {
                    *self.caches.entry((cpu.node, own.then_some(cpu.core), level, kind)).or_default() += size;
                }
            }
        }
    }

    fn read_nodes(&mut self, sources: &Sources, buf: &mut Buf) {
        let root = sources.sys("devices/system/node");
        let entries = root.folders().unwrap_or_default();
        for id in entries.iter().filter_map(|n| scan::u64(n.strip_prefix(b"node")?)) {
            let dir = root.join(format!("node{id}"));
            let memory = dir.join("meminfo").read(buf).ok().and_then(|text| {
                let line = scan::lines(text).find(|l| scan::fields(l).any(|f| f == b"MemTotal:"))?;
                scan::u64(scan::fields(line).nth(3)?)?.checked_mul(1024)
            });
            let pages = dir.join("hugepages");
            let sizes = pages.folders().unwrap_or_default();
            let hugepages = sizes.iter().filter_map(|name| {
                let kb = scan::u64(name.strip_prefix(b"hugepages-")?.strip_suffix(b"kB")?)?;
                Some((kb, pages.child(name).join("nr_hugepages").read_u64(buf).ok()?))
            });
            let hugepages = hugepages.collect();
            let distances = dir.join("distance").read(buf).map(|t| scan::fields(t).filter_map(scan::u64).collect());
            self.nodes.push(Node { id, memory, hugepages, distances: distances.unwrap_or_default() });
        }
        self.nodes.sort_by_key(|n| n.id);
    }

    fn read_dimms(&mut self, sources: &Sources, buf: &mut Buf) {
        let root = sources.sys("devices/system/edac/mc");
        let controllers = root.folders().unwrap_or_default();
        for controller in controllers.iter().filter(|n| n.starts_with(b"mc")) {
            let dir = root.child(controller);
            let modules = dir.folders().unwrap_or_default();
            for module in modules.iter().filter(|n| n.starts_with(b"dimm") || n.starts_with(b"rank")) {
                let file = dir.child(module);
                let Ok(size) = file.join("size").read_u64(buf) else { continue };
                let kind = file.join("dimm_mem_type").read_trimmed(buf).map(|t| scan::lossy(t).into_owned());
                let sum = self.dimms.entry(kind.unwrap_or_default()).or_default();
                // The kernel's unit is MiB.
                *sum = (sum.0 + 1, sum.1 + (size << 20));
            }
        }
    }

    /// Emits what is always shown.
    pub(crate) fn emit(&self, memory: HostMemory, topology: bool, out: &mut Out<'_>) {
        out.fact(&SCRAPE_ERROR, u64::from(self.failed));
        let mut out = out.with(&[
            ("boot_id", self.boot_id.as_bytes()),
            ("machine_id", self.id.as_bytes()),
            ("system_uuid", self.system_uuid.as_bytes()),
        ]);
        let cores: BTreeSet<(u64, u64)> = self.cpus.values().map(|c| (c.package, c.core)).collect();
        let sockets: BTreeSet<u64> = self.cpus.values().map(|c| c.package).collect();
        out.put(&CORES, self.cpus.len());
        out.put(&PHYSICAL_CORES, cores.len());
        out.put(&SOCKETS, sockets.len());
        out.put(&BOOKS, self.books);
        out.put(&DRAWERS, self.drawers);
        out.maybe(&MEMORY, memory.total);
        out.maybe(&SWAP, memory.swap);
        for (kind, (count, bytes)) in &self.dimms {
            let mut out = out.with(&[("type", kind.as_bytes())]);
            out.put(&DIMMS, *count);
            out.put(&DIMM_BYTES, *bytes);
        }
        if topology {
            self.emit_topology(&mut out);
        }
    }

    fn emit_topology(&self, out: &mut Out<'_>) {
        for (id, cpu) in &self.cpus {
            let (core, node, thread) = (cpu.core.to_string(), cpu.node.to_string(), id.to_string());
            let siblings = self.cpus.values().filter(|c| c.core == cpu.core && c.package == cpu.package).count();
            out.with(&[("core_id", core.as_bytes()), ("node_id", node.as_bytes()), ("thread_id", thread.as_bytes())])
                .put(&SIBLINGS, siblings);
        }
        for ((node, core, level, kind), bytes) in &self.caches {
            let (node, core) = (node.to_string(), core.map(|c| c.to_string()).unwrap_or_default());
            out.with(&[
                ("core_id", core.as_bytes()),
                ("level", level.as_bytes()),
                ("node_id", node.as_bytes()),
                ("type", kind.as_bytes()),
            ])
            .put(&CACHE, *bytes);
        }
        for node in &self.nodes {
            let id = node.id.to_string();
            out.with(&[("node_id", id.as_bytes())]).maybe(&NODE_MEMORY, node.memory);
            for (kb, count) in &node.hugepages {
                let size = kb.to_string();
                out.with(&[("node_id", id.as_bytes()), ("page_size", size.as_bytes())]).put(&NODE_HUGEPAGES, *count);
            }
            for (other, distance) in self.nodes.iter().zip(&node.distances) {
                let target = other.id.to_string();
                out.with(&[("node_id", id.as_bytes()), ("target_node_id", target.as_bytes())])
                    .put(&NODE_DISTANCE, *distance);
            }
        }
    }

    /// Emits the versions of everything.
    pub(crate) fn emit_versions(&self, engine: &str, out: &mut Out<'_>) {
        let version = concat!("v", env!("CARGO_PKG_VERSION"));
        out.with(&[
            ("cadvisorVersion", version.as_bytes()),
            ("dockerVersion", engine.as_bytes()),
            ("kernelVersion", self.kernel.as_bytes()),
            ("osVersion", self.os.as_bytes()),
        ])
        .fact(&VERSION, 1u64);
    }
}

/// The processors of a node, with its id.
fn node_cpus(sources: &Sources, node: u64, buf: &mut Buf) -> Vec<(u64, u64)> {
    let list = sources.sys(format!("devices/system/node/node{node}/cpulist"));
    list.read_trimmed(buf).map(|t| cpu_list(t).into_iter().map(|cpu| (cpu, node)).collect()).unwrap_or_default()
}

/// `0-3,8`.
fn cpu_list(text: &[u8]) -> BTreeSet<u64> {
    let mut cpus = BTreeSet::new();
    for range in text.split(|&b| b == b',') {
        match scan::key_value(range, b'-') {
            Some((first, last)) => {
                if let (Some(first), Some(last)) = (scan::u64(first), scan::u64(last)) {
                    cpus.extend(first..=last.min(first.saturating_add(MOST_CPUS)));
                }
            }
            None => cpus.extend(scan::u64(range.trim_ascii())),
        }
    }
    cpus
}

/// `32K` or `1M`.
fn cache_bytes(text: &str) -> Option<u64> {
    let (number, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

/// `PRETTY_NAME` of os-release.
fn pretty_name(text: &str) -> Option<String> {
    let value = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
    Some(value.trim().trim_matches(['"', '\'']).to_owned())
}

/// A list that names more is none.
const MOST_CPUS: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_and_sizes() {
        assert_eq!(cpu_list(b"0-2,8").into_iter().collect::<Vec<_>>(), [0, 1, 2, 8]);
        assert!(cpu_list(b"0-18446744073709551615").len() <= 65_537);
        assert_eq!((cache_bytes("32K"), cache_bytes("1M"), cache_bytes("")), (Some(32_768), Some(1 << 20), None));
        assert_eq!(pretty_name("A=1\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n").unwrap(), "Debian GNU/Linux 12");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes in "[0-9,-]{0,12}", text in ".{0,20}") {
            cpu_list(bytes.as_bytes());
            cache_bytes(&text);
            pretty_name(&text);
        }
    }
}
