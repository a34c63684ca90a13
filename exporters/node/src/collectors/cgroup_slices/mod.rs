//! What each slice of the host uses, from the control groups near the root of `/sys/fs/cgroup`
//! (`Documentation/admin-guide/cgroup-v2.rst`, `cgroup-v1/`).
//!
//! Beyond node_exporter, and off by default: `system.slice`, `user.slice`, `kubepods.slice`, `docker` and the like, at
//! the cost of a few files each. Single containers are the container exporter's.

mod files;

use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, NameFilter, Part};
use files::Reading;
use hostfs::{File, KeptFiles, Round};
use service::FlagKind;

/// Registers the collector.
pub(crate) const CGROUP_SLICES: Entry = Entry {
    name: "cgroup_slices",
    default: Default::Off,
    about: "CPU, memory, I/O, tasks and pressure of each slice (control groups near the root), from /sys/fs/cgroup",
    flags: &[DEPTH, INCLUDE, EXCLUDE],
    build: |flags, sources| {
        Ok(Box::new(CgroupSlices {
            depth: usize::try_from(flags.integer(DEPTH.name)).unwrap_or_default().clamp(1, MOST_LEVELS),
            filter: NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?,
            files: sources.kept_files(),
        }))
    },
};

const DEPTH: Flag = Flag::new(
    "collector.cgroup_slices.depth",
    FlagKind::Integer,
    "1",
    "Levels of control groups below the root to show; 2 shows system.slice/ssh.service too.",
);
const INCLUDE: Flag = Flag::regex(
    "collector.cgroup_slices.include",
    "",
    "Regexp of slices to include (mutually exclusive to collector.cgroup_slices.exclude).",
);
const EXCLUDE: Flag = Flag::regex(
    "collector.cgroup_slices.exclude",
    "",
    "Regexp of slices to exclude (mutually exclusive to collector.cgroup_slices.include).",
);

/// Deeper down are single processes' groups: a series for each would help nobody.
const MOST_LEVELS: usize = 4;

struct CgroupSlices {
    depth: usize,
    filter: NameFilter,
    files: KeptFiles,
}

impl Collector for CgroupSlices {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/cgroup");
        let round = self.files.round();
        if root.join("cgroup.controllers").exists() {
            return self.descend(&root, files::UNIFIED, &round, cx, out);
        }
        // One hierarchy a controller, under its own name or with others.
        let mut any = false;
        for (names, readings) in files::LEGACY {
            let Some(hierarchy) = names.iter().map(|name| root.join(name)).find(File::is_dir) else { continue };
            self.descend(&hierarchy, readings, &round, cx, out)?;
            any = true;
        }
        if any { Ok(()) } else { Err(CollectError::NoData) }
    }
}

impl CgroupSlices {
    /// Shows the groups below a hierarchy's root.
    fn descend(
        &self,
        root: &File<'_>,
        readings: &[Reading],
        round: &Round<'_>,
        cx: &mut Cx<'_>,
        out: &mut Part,
    ) -> Result<(), CollectError> {
        let mut level = vec![Vec::new()];
        for _ in 0..self.depth {
            let mut below = Vec::new();
            for parent in &level {
                let folders = match root.child(parent).folders() {
                    Ok(folders) => folders,
                    // A group may end at any time; the root may not.
                    Err(_) if !parent.is_empty() => continue,
                    Err(e) => return Err(e.into()),
                };
                for name in folders.iter() {
                    let mut slice = parent.clone();
                    if !slice.is_empty() {
                        slice.push(b'/');
                    }
                    slice.extend_from_slice(name);
                    if !self.filter.ignores(&slice) {
                        show(&root.child(&slice), &slice, readings, round, cx, out);
                    }
                    below.push(slice);
                }
            }
            level = below;
        }
        Ok(())
    }
}

/// A group has the files of its controllers only.
fn show(group: &File<'_>, slice: &[u8], readings: &[Reading], round: &Round<'_>, cx: &mut Cx<'_>, out: &mut Part) {
    for (file, emit) in readings {
        if let Ok(text) = round.read(&group.join(file), cx.buf) {
            emit(text, slice, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    fn samples(tree: &Tree, args: &[&str]) -> Vec<String> {
        let (text, result) = exporter::testing::collect(&CGROUP_SLICES, args, &tree.sources());
        result.unwrap();
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn the_unified_hierarchy() {
        let slice = "sys/fs/cgroup/system.slice";
        let tree = Tree::of(&[
            ("sys/fs/cgroup/cgroup.controllers", b"cpu io memory pids\n"),
            (
                &format!("{slice}/cpu.stat"),
                b"usage_usec 300\nuser_usec 2000000\nsystem_usec 500000\nnr_throttled 4\nthrottled_usec 250000\n",
            ),
            (&format!("{slice}/memory.current"), b"4096\n"),
            (&format!("{slice}/memory.max"), b"max\n"),
            (&format!("{slice}/memory.events"), b"low 0\noom 2\noom_kill 1\n"),
            (&format!("{slice}/pids.current"), b"7\n"),
            (
                &format!("{slice}/io.stat"),
                b"8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n8:16 rbytes=10 wbytes=20 rios=30 wios=40\n",
            ),
            (&format!("{slice}/io.pressure"), b"some avg10=0.00 total=3000000\nfull avg10=0.00 total=1000000\n"),
            (&format!("{slice}/ssh.service/pids.current"), b"1\n"),
        ]);
        let expected = [
            "node_cgroup_slice_cpu_seconds_total{mode=\"system\",slice=\"system.slice\"} 0.5",
            "node_cgroup_slice_cpu_seconds_total{mode=\"user\",slice=\"system.slice\"} 2",
            "node_cgroup_slice_cpu_throttled_periods_total{slice=\"system.slice\"} 4",
            "node_cgroup_slice_cpu_throttled_seconds_total{slice=\"system.slice\"} 0.25",
            "node_cgroup_slice_io_read_bytes_total{slice=\"system.slice\"} 11",
            "node_cgroup_slice_io_reads_completed_total{slice=\"system.slice\"} 33",
            "node_cgroup_slice_io_writes_completed_total{slice=\"system.slice\"} 44",
            "node_cgroup_slice_io_written_bytes_total{slice=\"system.slice\"} 22",
            "node_cgroup_slice_memory_bytes{slice=\"system.slice\"} 4096",
            "node_cgroup_slice_memory_oom_kills_total{slice=\"system.slice\"} 1",
            "node_cgroup_slice_pressure_stalled_seconds_total{resource=\"io\",slice=\"system.slice\"} 1",
            "node_cgroup_slice_pressure_waiting_seconds_total{resource=\"io\",slice=\"system.slice\"} 3",
            "node_cgroup_slice_tasks{slice=\"system.slice\"} 7",
        ];
        assert_eq!(samples(&tree, &[]), expected);
        let deep = samples(&tree, &["--collector.cgroup_slices.depth=2", "--collector.cgroup_slices.include=ssh"]);
        assert_eq!(deep, ["node_cgroup_slice_tasks{slice=\"system.slice/ssh.service\"} 1"]);
    }

    #[test]
    fn one_hierarchy_a_controller() {
        let tree = Tree::of(&[
            ("sys/fs/cgroup/cpu,cpuacct/docker/cpuacct.stat", b"user 250\nsystem 100\n"),
            ("sys/fs/cgroup/cpu,cpuacct/docker/cpu.stat", b"nr_periods 9\nnr_throttled 4\nthrottled_time 250000000\n"),
            ("sys/fs/cgroup/memory/docker/memory.usage_in_bytes", b"4096\n"),
            ("sys/fs/cgroup/memory/docker/memory.limit_in_bytes", b"9223372036854771712\n"),
            ("sys/fs/cgroup/memory/docker/memory.oom_control", b"oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            ("sys/fs/cgroup/pids/docker/pids.current", b"5\n"),
            (
                "sys/fs/cgroup/blkio/docker/blkio.throttle.io_service_bytes_recursive",
                b"8:0 Read 100\n8:0 Write 200\n8:0 Total 300\nTotal 300\n",
            ),
        ]);
        let expected = [
            "node_cgroup_slice_cpu_seconds_total{mode=\"system\",slice=\"docker\"} 1",
            "node_cgroup_slice_cpu_seconds_total{mode=\"user\",slice=\"docker\"} 2.5",
            "node_cgroup_slice_cpu_throttled_periods_total{slice=\"docker\"} 4",
            "node_cgroup_slice_cpu_throttled_seconds_total{slice=\"docker\"} 0.25",
            "node_cgroup_slice_io_read_bytes_total{slice=\"docker\"} 100",
            "node_cgroup_slice_io_written_bytes_total{slice=\"docker\"} 200",
            "node_cgroup_slice_memory_bytes{slice=\"docker\"} 4096",
            "node_cgroup_slice_memory_oom_kills_total{slice=\"docker\"} 3",
            "node_cgroup_slice_tasks{slice=\"docker\"} 5",
        ];
        assert_eq!(samples(&tree, &[]), expected);
    }

    #[test]
    fn hosts_without_control_groups() {
        let (_, result) = exporter::testing::collect(&CGROUP_SLICES, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }
}
