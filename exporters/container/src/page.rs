//! One reading of all cgroups, turned into one part of a page.

use crate::cgroups::{At, Dirs, Files, Hierarchies, Tree, relative};
use crate::disk_use::DiskUse;
use crate::emit::machine::{IdFiles, Machine};
use crate::emit::space::{self, Mounts, Volume};
use crate::emit::spec::HostMemory;
use crate::emit::{Out, Subject, block, cpu, hugetlb, memory, network, pressure, processes, sockets, spec};
use crate::engine::{Container, Known, Share};
use crate::pid::{self, Process};
use crate::switches::{Kind, Switches};
use exporter::{Desc, Part};
use hostfs::{Buf, Sources, scan};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SCRAPE_ERROR: Desc =
    Desc::gauge("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise");

/// The family of the reading itself, for docs.
pub(crate) const FAMILIES: &[Desc] = &[SCRAPE_ERROR];

/// What a reading is to show.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Options {
    pub(crate) switches: Switches,
    /// Only the root and containers.
    pub(crate) docker_only: bool,
    /// Prefixes of cgroups that are shown all the same.
    pub(crate) raw_prefixes: Vec<String>,
    pub(crate) hide_root: bool,
    /// Whether samples carry the time of their reading.
    pub(crate) timestamps: bool,
    /// Whether processes are counted by state.
    pub(crate) states: bool,
    pub(crate) ids: IdFiles,
}

/// Reads the host; kept from one reading to the next.
#[derive(Debug)]
pub(crate) struct Reader {
    sources: Sources,
    options: Options,
    hierarchies: Hierarchies,
    tree: Tree,
    disk_use: DiskUse,
    mounts: Mounts,
    machine: Option<(Instant, Machine)>,
    schedules: BTreeMap<Vec<u8>, processes::Schedule>,
    round: u64,
    buf: Buf,
}

/// What is the same for all cgroups of one reading.
struct Host {
    memory: HostMemory,
    boot: Option<i64>,
    now: f64,
    disks: block::Disks,
    volumes: Arc<[Volume]>,
    /// The network of the host.
    network: Option<u64>,
    /// Which cgroup shows a network.
    owners: HashMap<u64, Vec<u8>>,
}

impl Reader {
    pub(crate) fn new(sources: Sources, options: Options, disk_every: Duration) -> Self {
        Self {
            disk_use: DiskUse::new(sources.clone(), disk_every),
            mounts: Mounts::new(&sources),
            sources,
            options,
            hierarchies: Hierarchies::default(),
            tree: Tree::default(),
            machine: None,
            schedules: BTreeMap::new(),
            round: 0,
            buf: Buf::new(),
        }
    }

    /// Reads everything. Must be called inside the async runtime, on a blocking thread.
    pub(crate) fn read(&mut self, known: &Known, out: &mut Part) {
        self.round += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = self.options.timestamps.then_some(now.as_millis() as i64);
        if self.round % MOUNTS_EVERY == 1 || !self.hierarchies.any() {
            self.hierarchies = Hierarchies::find(&self.sources, &mut self.buf).unwrap_or_default();
        }
        let hierarchies = self.hierarchies.clone();
        self.tree.walk(&self.sources, &hierarchies, self.round);
        let containers = self.place(known);
        let mut host = self.host(now.as_secs_f64());
        if self.options.switches.on(Kind::Disk) {
            self.disk_use.look_after(containers.values().map(|c| &***c), &host.volumes);
        }
        if self.networks() {
            self.own_networks(&containers, &mut host);
        }
        let failed = !hierarchies.any() || self.tree.errors > 0;
        Out::new(out, Vec::new(), None).fact(&SCRAPE_ERROR, u64::from(failed));
        self.machine(known, host.memory, time, out);
        let mut tree = std::mem::take(&mut self.tree);
        for (path, cgroup) in &mut tree.cgroups {
            let container = containers.get(path);
            if !self.shows(path, container.is_some() || cgroup.named_id.is_some()) {
                continue;
            }
            let at = At { sources: &self.sources, hierarchies: &hierarchies, round: self.round };
            let subject = Subject { at, cgroup, buf: &mut self.buf, root: path == b"/" };
            let schedule =
                self.options.switches.on(Kind::Sched).then(|| self.schedules.entry(path.clone()).or_default());
            let labels = labels(path, container.map(|c| &***c));
            let one = One { options: &self.options, host: &host, disk_use: &self.disk_use, path, container };
            let hugepages = self.machine.as_ref().map_or(&[][..], |m| &m.1.hugepages);
            one.emit(subject, schedule, hugepages, &mut Out::new(out, labels, time));
        }
        self.schedules.retain(|path, _| tree.cgroups.contains_key(path));
        self.tree = tree;
    }

    /// What stands where, for `doctor`.
    pub(crate) fn found(&self) -> (&Hierarchies, usize) {
        (&self.hierarchies, self.tree.cgroups.len())
    }

    fn shows(&self, path: &[u8], is_container: bool) -> bool {
        if path == b"/" {
            return !self.options.hide_root;
        }
        !self.options.docker_only
            || is_container
            || self.options.raw_prefixes.iter().any(|p| path.starts_with(p.as_bytes()))
    }

    fn networks(&self) -> bool {
        [Kind::Network, Kind::Tcp, Kind::Udp, Kind::AdvTcp].into_iter().any(|k| self.options.switches.on(k))
    }

    /// Which container lives in which cgroup: by its process, and where that cannot be seen by the id in the name.
    fn place<'k>(&mut self, known: &'k Known) -> BTreeMap<Vec<u8>, &'k Arc<Container>> {
        let mut placed = BTreeMap::new();
        let mut lost = Vec::new();
        for container in &known.containers {
            let own = container
                .cgroups
                .as_ref()
                .filter(|(v1, unified)| self.tree.cgroups.contains_key(v1) || self.tree.cgroups.contains_key(unified));
            let Some((v1, unified)) = own else {
                lost.push(container);
                continue;
            };
            let path = if self.tree.cgroups.contains_key(v1) { v1 } else { unified };
            if v1 != unified
                && let Some(cgroup) = self.tree.cgroups.get_mut(path)
            {
                let dirs = Dirs { v1: relative(v1).to_owned(), unified: relative(unified).to_owned() };
                if !cgroup.files.are_at(&dirs) {
                    cgroup.files = Files::new(dirs);
                }
            }
            placed.insert(path.clone(), container);
        }
        if !lost.is_empty() {
            let named: HashMap<&str, &Vec<u8>> =
                self.tree.cgroups.iter().filter_map(|(path, c)| Some((c.named_id.as_deref()?, path))).collect();
            for container in lost {
                if let Some(path) = named.get(&*container.id) {
                    placed.insert((*path).clone(), container);
                }
            }
        }
        placed
    }

    fn host(&mut self, now: f64) -> Host {
        let sources = &self.sources;
        let on = |kind| self.options.switches.on(kind);
        let memory = sources.proc("meminfo").read(&mut self.buf).map(HostMemory::parse).unwrap_or_default();
        let uptime = sources.proc("uptime").read(&mut self.buf).ok().and_then(|t| scan::f64(scan::fields(t).next()?));
        // Rounded down to the minute, so that it is the same at each scrape.
        let boot = uptime.map(|up| ((now - up) / 60.0).floor() as i64 * 60);
        let disks = if on(Kind::DiskIo) {
            sources.proc("diskstats").read(&mut self.buf).map(block::Disks::parse).unwrap_or_default()
        } else {
            block::Disks::default()
        };
        let volumes =
            if on(Kind::Disk) || on(Kind::DiskIo) { self.mounts.volumes(&mut self.buf) } else { Arc::default() };
        let network = pid::network(sources, 1);
        Host { memory, boot, now, disks, volumes, network, owners: HashMap::new() }
    }

    /// Finds a process for containers that no engine knows, and one cgroup to show each network.
    fn own_networks(&mut self, containers: &BTreeMap<Vec<u8>, &Arc<Container>>, host: &mut Host) {
        let mut best: HashMap<u64, (bool, i64)> = HashMap::new();
        let at = At { sources: &self.sources, hierarchies: &self.hierarchies, round: self.round };
        for (path, cgroup) in &mut self.tree.cgroups {
            let container = containers.get(path);
            let known = container.and_then(|c| c.process.as_ref());
            if known.is_none() && cgroup.named_id.is_some() {
                let buf = &mut self.buf;
                if cgroup.process.as_ref().is_none_or(|p| p.cgroups(buf).is_none()) {
                    let mut subject = Subject { at, cgroup, buf, root: false };
                    let first = processes::pids(&mut subject).first().copied();
                    cgroup.process = first.map(|pid| Process::new(&self.sources, pid));
                }
            }
            let process = known.or(cgroup.process.as_ref());
            let Some(network) = process.and_then(|p| p.network).filter(|n| Some(*n) != host.network) else { continue };
            // The one that made it, else the oldest.
            let rank = (
                container.is_some_and(|c| c.share == Share::Anothers),
                container.and_then(|c| c.created).or(cgroup.created).unwrap_or(i64::MAX),
            );
            if best.get(&network).is_none_or(|b| rank < *b) {
                best.insert(network, rank);
                host.owners.insert(network, path.clone());
            }
        }
    }

    fn machine(&mut self, known: &Known, memory: HostMemory, time: Option<i64>, out: &mut Part) {
        let fresh = self.machine.as_ref().is_some_and(|(read, _)| read.elapsed() < MACHINE_EVERY);
        if !fresh {
            let machine = Machine::read(&self.sources, &self.options.ids, &mut self.buf);
            self.machine = Some((Instant::now(), machine));
        }
        let Some((_, machine)) = &self.machine else { return };
        let mut out = Out::new(out, Vec::new(), time);
        machine.emit(memory, self.options.switches.on(Kind::CpuTopology), &mut out);
        machine.emit_versions(&known.version, &mut out);
    }
}

/// One cgroup of one reading.
struct One<'a> {
    options: &'a Options,
    host: &'a Host,
    disk_use: &'a DiskUse,
    path: &'a [u8],
    container: Option<&'a &'a Arc<Container>>,
}

impl One<'_> {
    fn emit(
        &self,
        mut s: Subject<'_>,
        schedule: Option<&mut processes::Schedule>,
        hugepages: &[String],
        out: &mut Out<'_>,
    ) {
        let on = |kind| self.options.switches.on(kind);
        let host = self.host;
        // Samples that share their labels stand together, which makes a page of half the work.
        let container = self.container.map(|c| &***c);
        let limited = spec::emit(&mut s, container, host.memory, host.now, host.boot, out);
        let seconds = on(Kind::Cpu).then(|| cpu::plain(&mut s, limited, out)).flatten();
        let faults = on(Kind::Memory).then(|| memory::plain(&mut s, out)).flatten();
        if on(Kind::OomEvent) {
            memory::oom(&mut s, out);
        }
        if on(Kind::Pressure) {
            pressure::emit(&mut s, out);
        }
        if on(Kind::Cpuset) {
            memory::migrate(&mut s, out);
        }
        let of_processes = on(Kind::Process) || on(Kind::Sched) || on(Kind::ReferencedMemory) || self.options.states;
        let pids = if of_processes { processes::pids(&mut s) } else { Vec::new() };
        if on(Kind::Process) {
            processes::emit(&mut s, &pids, out);
        }
        if let Some(schedule) = schedule {
            schedule.emit(s.at.sources, &pids, s.buf, out);
        }
        if on(Kind::ReferencedMemory) {
            processes::referenced(&mut s, &pids, out);
        }
        if on(Kind::Cpu) {
            cpu::usage(&mut s, seconds, self.options.switches.per_cpu, out);
        }
        if let Some(faults) = faults {
            memory::faults(&faults, out);
        }
        if on(Kind::MemoryNuma) {
            memory::numa(&mut s, out);
        }
        if on(Kind::Hugetlb) {
            hugetlb::emit(&mut s, hugepages, out);
        }
        if self.options.states && on(Kind::CpuLoad) {
            processes::states(&mut s, &pids, out);
        }
        self.disks(&mut s, out);
        self.network(s.cgroup.process.as_ref(), s.at.sources, s.buf, out);
    }

    fn disks(&self, s: &mut Subject<'_>, out: &mut Out<'_>) {
        let (space, io) = (self.options.switches.on(Kind::Disk), self.options.switches.on(Kind::DiskIo));
        if s.root {
            if space {
                space::host(s.at.sources, &self.host.volumes, out);
            }
            if io {
                let mut numbers: Vec<_> = self.host.volumes.iter().map(|v| v.number).collect();
                numbers.sort_unstable();
                numbers.dedup();
                self.host.disks.whole(numbers.into_iter(), out);
            }
        } else if space && let Some(found) = self.container.and_then(|c| self.disk_use.found(&c.id)) {
            space::container(&found, out);
        }
        if io {
            block::emit(s, &self.host.disks, out);
        }
    }

    fn network(&self, found: Option<&Process>, sources: &Sources, buf: &mut Buf, out: &mut Out<'_>) {
        let pid = if self.path == b"/" {
            Some(1)
        } else {
            let process = self.container.and_then(|c| c.process.as_ref()).or(found);
            process
                .filter(|p| {
                    let owner = p.network.and_then(|n| self.host.owners.get(&n));
                    owner.is_some_and(|path| path == self.path)
                })
                .map(|p| p.pid)
        };
        let Some(pid) = pid else { return };
        let on = |kind| self.options.switches.on(kind);
        if on(Kind::Network) {
            network::emit(sources, pid, buf, out);
        }
        if on(Kind::Tcp) {
            sockets::tcp(sources, pid, buf, out);
        }
        if on(Kind::Udp) {
            sockets::udp(sources, pid, buf, out);
        }
        if on(Kind::AdvTcp) {
            sockets::advanced(sources, pid, buf, out);
        }
    }
}

/// All labels of a cgroup, sorted: the engine's begin with `container_`, `image` or `name`.
fn labels<'a>(path: &'a [u8], container: Option<&'a Container>) -> Vec<(&'a str, &'a [u8])> {
    let mut labels = Vec::with_capacity(8);
    let known = container.map_or(&[][..], |c| &c.labels);
    let at = known.partition_point(|(name, _)| name.as_str() < "id");
    let pair = |(name, value): &'a (String, String)| (name.as_str(), value.as_bytes());
    labels.extend(known[..at].iter().map(pair));
    labels.push(("id", path));
    labels.extend(known[at..].iter().map(pair));
    labels
}

/// Readings after which mounts are looked at again.
const MOUNTS_EVERY: u64 = 64;
/// How long processors and identity stay as they were read.
const MACHINE_EVERY: Duration = Duration::from_mins(5);
