//! The files of one cgroup, each kept open once it was read.

use super::{Controller, Hierarchies};
use hostfs::{Buf, KeptFile, Sources};
use std::path::{Path, PathBuf};

/// A file of a cgroup, under the name that its hierarchy gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pseudo {
    CpuacctUsage,
    CpuacctUsagePercpu,
    CpuacctStat,
    CpuStat,
    CpuShares,
    CpuQuota,
    CpuPeriod,
    MemoryStat,
    MemoryUsage,
    MemoryMaxUsage,
    MemoryFailcnt,
    MemoryLimit,
    MemorySwapLimit,
    MemorySoftLimit,
    MemoryKernel,
    MemoryOom,
    MemoryNuma,
    MemorySwapUsage,
    PidsMax,
    PidsCurrent,
    IoBytes,
    IoOps,
    CpusetMigrate,
    CpuPressure,
    MemoryPressure,
    IoPressure,
    Procs,
}

/// How many there are.
const COUNT: usize = Pseudo::Procs as usize + 1;

impl Pseudo {
    /// The v1 controller, its file there, and the file in cgroup v2; `""` where one has none.
    const fn place(self) -> (Controller, &'static str, &'static str) {
        use Controller::{Blkio, Cpu, Cpuacct, Cpuset, Memory, Pids, Unified};
        match self {
            Self::CpuacctUsage => (Cpuacct, "cpuacct.usage", ""),
            Self::CpuacctUsagePercpu => (Cpuacct, "cpuacct.usage_percpu", ""),
            Self::CpuacctStat => (Cpuacct, "cpuacct.stat", ""),
            Self::CpuStat => (Cpu, "cpu.stat", "cpu.stat"),
            Self::CpuShares => (Cpu, "cpu.shares", "cpu.weight"),
            Self::CpuQuota => (Cpu, "cpu.cfs_quota_us", "cpu.max"),
            Self::CpuPeriod => (Cpu, "cpu.cfs_period_us", ""),
            Self::MemoryStat => (Memory, "memory.stat", "memory.stat"),
            Self::MemoryUsage => (Memory, "memory.usage_in_bytes", "memory.current"),
            Self::MemoryMaxUsage => (Memory, "memory.max_usage_in_bytes", "memory.peak"),
            Self::MemoryFailcnt => (Memory, "memory.failcnt", ""),
            Self::MemoryLimit => (Memory, "memory.limit_in_bytes", "memory.max"),
            Self::MemorySwapLimit => (Memory, "memory.memsw.limit_in_bytes", "memory.swap.max"),
            Self::MemorySoftLimit => (Memory, "memory.soft_limit_in_bytes", "memory.low"),
            Self::MemoryKernel => (Memory, "memory.kmem.usage_in_bytes", ""),
            Self::MemoryOom => (Memory, "memory.oom_control", "memory.events"),
            Self::MemoryNuma => (Memory, "memory.numa_stat", "memory.numa_stat"),
            Self::MemorySwapUsage => (Memory, "", "memory.swap.current"),
            Self::PidsMax => (Pids, "pids.max", "pids.max"),
            Self::PidsCurrent => (Pids, "pids.current", "pids.current"),
            Self::IoBytes => (Blkio, "blkio.throttle.io_service_bytes_recursive", "io.stat"),
            Self::IoOps => (Blkio, "blkio.throttle.io_serviced_recursive", ""),
            Self::CpusetMigrate => (Cpuset, "cpuset.memory_migrate", ""),
            // Only cgroup v2 has these, and a hybrid host has a cgroup v2.
            Self::CpuPressure => (Unified, "", "cpu.pressure"),
            Self::MemoryPressure => (Unified, "", "memory.pressure"),
            Self::IoPressure => (Unified, "", "io.pressure"),
            Self::Procs => (Memory, "cgroup.procs", "cgroup.procs"),
        }
    }
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Untried,
    Kept(Box<KeptFile>),
    /// Not there at this round: controllers and kernels differ.
    Absent(u64),
}

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Files {
    /// In each hierarchy, relative to sysfs.
    dirs: Dirs,
    slots: [Slot; COUNT],
}

/// The path of a cgroup in all v1 hierarchies, and in the unified one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dirs {
    pub(crate) v1: PathBuf,
    pub(crate) unified: PathBuf,
}

impl Files {
    /// The files of the cgroup at these paths, which are relative to the mounts.
    pub(crate) fn new(dirs: Dirs) -> Self {
        Self { dirs, slots: std::array::from_fn(|_| Slot::Untried) }
    }

    /// Whether these are the files at those paths.
    pub(crate) fn are_at(&self, dirs: &Dirs) -> bool {
        self.dirs == *dirs
    }

    /// Where the cgroup lies in one hierarchy.
    pub(crate) fn dir(&self, hierarchies: &Hierarchies, controller: Controller) -> Option<PathBuf> {
        let (hierarchy, rel) = self.hierarchy(hierarchies, controller);
        Some(hierarchies.at(hierarchy)?.join(rel))
    }

    fn hierarchy(&self, hierarchies: &Hierarchies, controller: Controller) -> (Controller, &Path) {
        if hierarchies.is_unified(controller) || controller == Controller::Unified {
            (Controller::Unified, &self.dirs.unified)
        } else {
            (controller, &self.dirs.v1)
        }
    }

    /// Reads a file; `None` where this cgroup has none or its container has just gone.
    pub(crate) fn read<'b>(&mut self, at: &At<'_>, which: Pseudo, buf: &'b mut Buf) -> Option<&'b [u8]> {
        let slot = &self.slots[which as usize];
        if let Slot::Absent(round) = slot
            && at.round.wrapping_sub(*round) < FORGOTTEN
        {
            return None;
        }
        if !matches!(slot, Slot::Kept(_)) {
            let (controller, v1, v2) = which.place();
            let (hierarchy, rel) = self.hierarchy(at.hierarchies, controller);
            let name = if hierarchy == Controller::Unified { v2 } else { v1 };
            let mount = at.hierarchies.at(hierarchy).filter(|_| !name.is_empty());
            self.slots[which as usize] = match mount {
                Some(mount) => Slot::Kept(Box::new(at.sources.kept_sys(mount.join(rel).join(name)))),
                None => Slot::Absent(at.round),
            };
        }
        let Slot::Kept(file) = &self.slots[which as usize] else { return None };
        // The borrow of the buffer must not outlive a failed read.
        if file.read(buf).is_err() {
            self.slots[which as usize] = Slot::Absent(at.round);
            return None;
        }
        Some(buf.bytes())
    }

    /// Reads a file that holds one number; `max` is [`u64::MAX`].
    pub(crate) fn number(&mut self, at: &At<'_>, which: Pseudo, buf: &mut Buf) -> Option<u64> {
        number(self.read(at, which, buf)?)
    }
}

/// A number of the kernel, where `max` stands for none.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    match text.trim_ascii() {
        b"max" => Some(u64::MAX),
        text => hostfs::scan::u64(text),
    }
}

/// What a read needs besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) sources: &'a Sources,
    pub(crate) hierarchies: &'a Hierarchies,
    /// Number of this reading.
    pub(crate) round: u64,
}

/// Readings after which an absent file is looked for again: a slice gets a controller when its first child needs it.
const FORGOTTEN: u64 = 16;
