//! Where the hierarchies of cgroup v1 and v2 are mounted, controller by controller: hosts mix them.

use hostfs::{Buf, ReadError, Sources, mounts, scan};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A controller of cgroup v1, or the unified hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Controller {
    Cpu,
    Cpuacct,
    Memory,
    Pids,
    Blkio,
    Cpuset,
    Hugetlb,
    /// cgroup v2.
    Unified,
}

impl Controller {
    /// In the order of the enum.
    pub(crate) const ALL: [Self; 8] =
        [Self::Cpu, Self::Cpuacct, Self::Memory, Self::Pids, Self::Blkio, Self::Cpuset, Self::Hugetlb, Self::Unified];

    /// As `/proc/PID/cgroup` and the mount options write it.
    pub(crate) fn name(self) -> &'static [u8] {
        match self {
            Self::Cpu => b"cpu",
            Self::Cpuacct => b"cpuacct",
            Self::Memory => b"memory",
            Self::Pids => b"pids",
            Self::Blkio => b"blkio",
            Self::Cpuset => b"cpuset",
            Self::Hugetlb => b"hugetlb",
            Self::Unified => b"",
        }
    }
}

/// The mounts. Paths are relative to sysfs, or absolute where a hierarchy is mounted elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies([Option<PathBuf>; 8]);

impl Hierarchies {
    /// Reads the mount table.
    pub(crate) fn find(sources: &Sources, buf: &mut Buf) -> Result<Self, ReadError> {
        let table = sources.proc("self/mountinfo").read(buf)?;
        Ok(Self::parse(table, &sources.roots().sys))
    }

    fn parse(table: &[u8], sys: &Path) -> Self {
        let mut found = Self::default();
        // A mount of a part of a hierarchy (a container's own) gives way to one of the whole.
        for whole in [false, true] {
            for mount in mounts::parse(table).filter(|m| (m.root == b"/") == whole) {
                let path = below(sys, &mount.mount_point);
                match &*mount.fs_type {
                    b"cgroup2" => found.0[Controller::Unified as usize] = Some(path),
                    b"cgroup" => {
                        for option in mount.super_options.split(|&b| b == b',') {
                            if let Some(c) = Controller::ALL[..7].iter().find(|c| c.name() == option) {
                                found.0[*c as usize] = Some(path.clone());
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        found
    }

    /// Where a hierarchy is mounted.
    pub(crate) fn at(&self, controller: Controller) -> Option<&Path> {
        self.0[controller as usize].as_deref()
    }

    /// Whether a controller's numbers come from cgroup v2.
    pub(crate) fn is_unified(&self, controller: Controller) -> bool {
        self.at(controller).is_none()
    }

    /// Whether anything is mounted.
    pub(crate) fn any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// The distinct hierarchies in which cgroups are looked for.
    pub(crate) fn distinct(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = Vec::new();
        let looked = [Controller::Memory, Controller::Cpuacct, Controller::Pids, Controller::Blkio];
        for controller in looked.into_iter().chain([Controller::Unified]) {
            if let Some(path) = self.at(controller)
                && !paths.contains(&path)
            {
                paths.push(path);
            }
        }
        paths
    }

    /// One word for people.
    pub(crate) fn version(&self) -> &'static str {
        let v1 = self.0[..7].iter().any(Option::is_some);
        match (v1, self.at(Controller::Unified).is_some()) {
            (true, true) => "hybrid (v1 and v2)",
            (true, false) => "v1",
            (false, true) => "v2",
            (false, false) => "none",
        }
    }
}

/// A mount point as a path below sysfs.
fn below(sys: &Path, mount_point: &[u8]) -> PathBuf {
    let path = Path::new(std::ffi::OsStr::from_bytes(mount_point));
    // A recorded tree names its own /sys.
    let rel = path.strip_prefix(sys).or_else(|_| path.strip_prefix("/sys"));
    rel.map_or_else(|_| path.to_owned(), Path::to_owned)
}

/// The path of a process in one hierarchy, from `/proc/PID/cgroup`.
pub(crate) fn path_in(table: &[u8], controller: Controller) -> Option<&[u8]> {
    scan::lines(table).find_map(|line| {
        let mut parts = line.splitn(3, |&b| b == b':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let is_it = match controller {
            Controller::Unified => number == b"0" && controllers.is_empty(),
            c => controllers.split(|&b| b == b',').any(|name| name == c.name()),
        };
        // A line of an old kernel's removed cgroup ends so.
        is_it.then(|| path.strip_suffix(b" (deleted)").unwrap_or(path))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const JOINED: &[u8] = b"30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        32 30 0:28 /docker/1 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
        33 30 0:28 / /host/memory ro - cgroup cgroup rw,memory\n\
        34 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    #[test]
    fn joined_controllers_and_whole_mounts() {
        let h = Hierarchies::parse(JOINED, Path::new("/sys"));
        assert_eq!(h.at(Controller::Cpu), Some(Path::new("fs/cgroup/cpu,cpuacct")));
        assert_eq!(h.at(Controller::Cpuacct), h.at(Controller::Cpu));
        assert_eq!(h.at(Controller::Memory), Some(Path::new("/host/memory")));
        assert!(h.is_unified(Controller::Pids));
        assert_eq!((h.version(), h.distinct().len()), ("hybrid (v1 and v2)", 3));
        let v2 = Hierarchies::parse(b"29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", Path::new("/sys"));
        assert_eq!((v2.version(), v2.at(Controller::Unified)), ("v2", Some(Path::new("fs/cgroup"))));
    }

    #[test]
    fn paths_of_a_process() {
        let table = b"12:blkio:/docker/1\n4:cpu,cpuacct:/docker/2\n1:name=systemd:/x\n0::/system.slice/a:b\n";
        assert_eq!(path_in(table, Controller::Cpuacct), Some(&b"/docker/2"[..]));
        assert_eq!(path_in(table, Controller::Unified), Some(&b"/system.slice/a:b"[..]));
        assert_eq!(path_in(table, Controller::Memory), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            Hierarchies::parse(&bytes, Path::new("/sys"));
            for controller in Controller::ALL {
                path_in(&bytes, controller);
            }
        }
    }
}
