//! Processes summed up by name, from `/proc/PID/stat`, `io` and `fd` (`Documentation/filesystems/proc.rst` 1.1, 3.3).
//!
//! Beyond node_exporter, and off by default. A group's counters never fall: what a process had used when it was last seen
//! stays in its group after its end. A process that comes and goes between two scrapes is not seen.

mod groups;
mod names;
mod stat;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use groups::{Groups, Member, Seen};
use hostfs::{File, ReadError, SharedFile, scan};
use names::Names;
use service::FlagKind;
use std::sync::{Arc, Mutex, PoisonError};

/// Registers the collector.
pub(crate) const PROCESS_GROUPS: Entry = Entry {
    name: "process_groups",
    default: Default::Off,
    about: "processes, threads, CPU time, memory, I/O and open files of processes of the same name, from /proc/PID",
    flags: &[PATTERN, INCLUDE, EXCLUDE, KERNEL_THREADS, MOST],
    build: |flags, sources| {
        Ok(Box::new(ProcessGroups {
            names: Names::new(flags)?,
            stat: sources.shared_proc("stat"),
            groups: Mutex::new(Groups::new(usize::try_from(flags.integer(MOST.name)).unwrap_or_default())),
        }))
    },
};

const PATTERN: Flag = Flag::new(
    "collector.process_groups.pattern",
    FlagKind::Texts,
    "",
    "NAME=REGEXP: processes whose command line matches form the group NAME, in which $1 stands for a part of the match. \
     The first that matches counts; with any pattern given, other processes are left out.",
);
const INCLUDE: Flag = Flag::regex(
    "collector.process_groups.include",
    "",
    "Regexp of group names to include (mutually exclusive to collector.process_groups.exclude).",
);
const EXCLUDE: Flag = Flag::regex(
    "collector.process_groups.exclude",
    "",
    "Regexp of group names to exclude (mutually exclusive to collector.process_groups.include).",
);
const KERNEL_THREADS: Flag =
    Flag::switch("collector.process_groups.kernel-threads", "Group the kernel's own threads too.");
const MOST: Flag = Flag::new(
    "collector.process_groups.most",
    FlagKind::Integer,
    "500",
    "Number of groups to show; processes of further names are summed up as \"other\".",
);

const PROCESSES: Desc = Desc::gauge("node_process_group_processes", "Processes of that name.");
const THREADS: Desc = Desc::gauge("node_process_group_threads", "Threads of the processes of that name.");
const CPU: Desc =
    Desc::counter("node_process_group_cpu_seconds_total", "Seconds the processes of that name ran in each mode.");
const MAJOR_FAULTS: Desc = Desc::counter(
    "node_process_group_major_page_faults_total",
    "Page faults of the processes of that name that had to wait for a disk.",
);
const MINOR_FAULTS: Desc = Desc::counter(
    "node_process_group_minor_page_faults_total",
    "Page faults of the processes of that name that needed no disk.",
);
const READ_BYTES: Desc = Desc::counter(
    "node_process_group_read_bytes_total",
    "Bytes that processes of that name had read from disks; needs the right to look into them.",
);
const WRITTEN_BYTES: Desc = Desc::counter(
    "node_process_group_written_bytes_total",
    "Bytes that processes of that name had written to disks; needs the right to look into them.",
);
const RESIDENT: Desc = Desc::gauge(
    "node_process_group_resident_memory_bytes",
    "Resident memory of the processes of that name, what they share counted for each.",
);
const VIRTUAL: Desc =
    Desc::gauge("node_process_group_virtual_memory_bytes", "Virtual memory of the processes of that name.");
const OPEN_FILES: Desc = Desc::gauge(
    "node_process_group_open_fds",
    "File descriptors open in processes of that name; needs the right to look into them.",
);
const OLDEST: Desc = Desc::gauge(
    "node_process_group_oldest_start_time_seconds",
    "Start of the oldest process of that name, in seconds since epoch (1970); absent where none runs.",
);

/// `USER_HZ`
const TICKS_A_SECOND: f64 = 100.0;

struct ProcessGroups {
    names: Names,
    /// For the time of boot, from which on processes count their start.
    stat: Arc<SharedFile>,
    groups: Mutex<Groups>,
}

impl Collector for ProcessGroups {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let boot = boot_time(self.stat.read(cx.now, cx.buf)?);
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.begin();
        let proc = cx.sources.proc("");
        for pid in proc.entries()?.iter() {
            if let Some(number) = scan::u64(pid) {
                self.look(&proc.child(pid), number, &mut groups, cx)?;
            }
        }
        groups.end();
        emit(&groups, boot, out);
        Ok(())
    }
}

impl ProcessGroups {
    fn look(&self, process: &File<'_>, pid: u64, groups: &mut Groups, cx: &mut Cx<'_>) -> Result<(), ReadError> {
        let stat = match process.join("stat").read(cx.buf) {
            Ok(text) => stat::parse(text),
            Err(e) if e.is_absent() || e.is_denied() || e.raw_os_error() == Some(GONE) => return Ok(()),
            Err(e) => return Err(e),
        };
        let Some((comm, stat)) = stat else { return Ok(()) };
        let member = if let Some(member) = groups.known(pid, &stat, comm) {
            member
        } else {
            let name = self.names.of(comm, &stat, process, cx.buf2);
            groups.found(pid, &stat, comm, name.as_deref())
        };
        let Member::Of(group) = member else { return Ok(()) };
        let io = process.join("io").read(cx.buf2).ok().and_then(stat::parse_io);
        groups.add(pid, group, &Seen { stat, io, open_files: open_files(process) });
        Ok(())
    }
}

/// Since Linux 6.2 the folder's size is the number of descriptors; before it is 0 and they must be counted.
fn open_files(process: &File<'_>) -> Option<u64> {
    let folder = process.join("fd");
    match folder.metadata().ok()?.len() {
        0 => folder.entries().ok().map(|entries| entries.len() as u64),
        // Not a procfs: a recorded tree's folder has the size of a disk's blocks.
        size if size >= 4096 => folder.entries().ok().map(|entries| entries.len() as u64),
        size => Some(size),
    }
}

const GONE: i32 = rustix::io::Errno::SRCH.raw_os_error();

fn boot_time(stat: &[u8]) -> Option<u64> {
    scan::lines(stat).find_map(|line| scan::u64(line.strip_prefix(b"btime ")?.trim_ascii()))
}

fn emit(groups: &Groups, boot: Option<u64>, out: &mut Part) {
    let page = rustix::param::page_size() as u64;
    for group in groups.shown() {
        let name: [(&str, &[u8]); 1] = [("name", &group.name)];
        let (now, total) = (&group.now, &group.total);
        out.family(&PROCESSES).sample(&name, now.processes);
        out.family(&THREADS).sample(&name, now.threads);
        for (mode, ticks) in [("system", total.stime), ("user", total.utime)] {
            out.family(&CPU).sample(&[("mode", mode.as_bytes()), name[0]], ticks as f64 / TICKS_A_SECOND);
        }
        out.family(&MAJOR_FAULTS).sample(&name, total.majflt);
        out.family(&MINOR_FAULTS).sample(&name, total.minflt);
        out.family(&RESIDENT).sample(&name, now.resident_pages.saturating_mul(page));
        out.family(&VIRTUAL).sample(&name, now.virtual_bytes);
        if group.io_was_readable {
            out.family(&READ_BYTES).sample(&name, total.read_bytes);
            out.family(&WRITTEN_BYTES).sample(&name, total.write_bytes);
        }
        if let Some(open_files) = now.open_files {
            out.family(&OPEN_FILES).sample(&name, open_files);
        }
        if let (Some(boot), Some(start)) = (boot, now.oldest_start) {
            out.family(&OLDEST).sample(&name, boot as f64 + start as f64 / TICKS_A_SECOND);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use hostfs::Sources;

    fn stat(comm: &str, ticks: u64, start: u64) -> String {
        format!("1 ({comm}) S 0 1 1 0 -1 4194560 10 0 2 0 {ticks} 5 0 0 20 0 3 0 {start} 8192 2 18446744073709551615\n")
    }

    fn samples(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !line.starts_with('#')).collect()
    }

    #[test]
    fn a_group_s_sums() {
        let tree = Tree::of(&[
            ("proc/stat", b"btime 1000\n"),
            ("proc/10/stat", stat("web", 100, 300).as_bytes()),
            ("proc/10/io", b"rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 0\n"),
            ("proc/10/fd/0", b""),
            ("proc/10/fd/1", b""),
            ("proc/11/stat", stat("web", 50, 200).as_bytes()),
            ("proc/12/", b""),
            ("proc/2/stat", b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0 18446744073709551615\n"),
        ]);
        let (text, result) = exporter::testing::collect(&PROCESS_GROUPS, &[], &tree.sources());
        result.unwrap();
        let page = rustix::param::page_size();
        assert_eq!(
            samples(&text),
            [
                "node_process_group_cpu_seconds_total{mode=\"system\",name=\"web\"} 0.1",
                "node_process_group_cpu_seconds_total{mode=\"user\",name=\"web\"} 1.5",
                "node_process_group_major_page_faults_total{name=\"web\"} 4",
                "node_process_group_minor_page_faults_total{name=\"web\"} 20",
                "node_process_group_oldest_start_time_seconds{name=\"web\"} 1002",
                "node_process_group_open_fds{name=\"web\"} 2",
                "node_process_group_processes{name=\"web\"} 2",
                "node_process_group_read_bytes_total{name=\"web\"} 4096",
                &format!("node_process_group_resident_memory_bytes{{name=\"web\"}} {}", 4 * page),
                "node_process_group_threads{name=\"web\"} 6",
                "node_process_group_virtual_memory_bytes{name=\"web\"} 16384",
                "node_process_group_written_bytes_total{name=\"web\"} 8192",
            ]
        );
        let args = ["--collector.process_groups.kernel-threads", "--collector.process_groups.exclude=web"];
        let (text, _) = exporter::testing::collect(&PROCESS_GROUPS, &args, &tree.sources());
        assert!(text.contains("{name=\"kthreadd\"} 1\n") && !text.contains("web"), "{text}");
    }

    #[test]
    fn counters_survive_their_processes() {
        let tree = Tree::of(&[
            ("proc/stat", b"btime 1000\n"),
            ("proc/10/stat", stat("web", 100, 300).as_bytes()),
            ("proc/11/stat", stat("web", 50, 200).as_bytes()),
        ]);
        let sources = tree.sources();
        let collector = (PROCESS_GROUPS.build)(&exporter::Flags::defaults(PROCESS_GROUPS.flags), &sources).unwrap();
        let user = || {
            let (text, result) = exporter::testing::collect_from(collector.as_ref(), &sources);
            result.unwrap();
            let find = |start: &str| samples(&text).iter().find_map(|line| Some(line.strip_prefix(start)?.to_owned()));
            (
                find("node_process_group_cpu_seconds_total{mode=\"user\",name=\"web\"} ").unwrap(),
                find("node_process_group_processes{name=\"web\"} ").unwrap(),
                find("node_process_group_oldest_start_time_seconds{name=\"web\"} "),
            )
        };
        assert_eq!(user(), ("1.5".into(), "2".into(), Some("1002".into())));
        // One goes on, one ends and its number is taken by another of the same name.
        std::fs::write(tree.path().join("proc/10/stat"), stat("web", 160, 300)).unwrap();
        std::fs::write(tree.path().join("proc/11/stat"), stat("web", 7, 900)).unwrap();
        assert_eq!(user(), ("2.17".into(), "2".into(), Some("1003".into())));
        std::fs::remove_dir_all(tree.path().join("proc/10")).unwrap();
        std::fs::remove_dir_all(tree.path().join("proc/11")).unwrap();
        assert_eq!(user(), ("2.17".into(), "0".into(), None));
    }

    #[test]
    fn this_process_is_in_its_group() {
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        let (text, result) = exporter::testing::collect(&PROCESS_GROUPS, &[], &Sources::live());
        result.unwrap();
        for family in ["processes", "open_fds", "resident_memory_bytes"] {
            let line = format!("node_process_group_{family}{{name=\"{}\"}} ", comm.trim());
            assert!(text.contains(&line), "{line} in {text}");
        }
    }
}
