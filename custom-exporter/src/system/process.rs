//! The programs that use most: processes summed up by name, the first few by processor and by memory.

use super::{lock, unbuilt};
use exporter::{BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Mutex;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

pub(crate) const PROCESS: Entry = Entry {
    name: "process",
    // It reads two files a process: on a busy machine more than all the others together.
    default: Default::Off,
    about: "programs that use the most processor time and memory, by name, from /proc/PID",
    flags: &[TOP],
    build: |flags, _| {
        let top = usize::try_from(flags.integer(TOP.name)).ok().filter(|n| (1..=100).contains(n));
        let top = top.ok_or_else(|| BuildError(format!("--{}: expected 1 to 100", TOP.name)))?;
        let mut system = System::new().map_err(unbuilt)?;
        refresh(&mut system);
        Ok(Box::new(Process { top, system: Mutex::new(system) }))
    },
};

const TOP: Flag = Flag::new(
    "system.process.top",
    exporter::FlagKind::Integer,
    "10",
    "How many programs are told of, each by processor time and by memory.",
);

const CPU: Desc = Desc::gauge(
    "system_process_group_cpu_cores",
    "Processors that all processes of one name kept busy since the last scrape",
);
const MEMORY: Desc = Desc::gauge(
    "system_process_group_resident_bytes",
    "Resident memory of all processes of one name; shared pages count in each",
);
const COUNT: Desc = Desc::gauge("system_process_group_processes", "Processes of one name");
const TOTAL: Desc = Desc::gauge("system_processes", "Processes of the machine");

struct Process {
    top: usize,
    system: Mutex<System>,
}

#[derive(Clone, Copy, std::default::Default)]
struct Group {
    cpu_percent: f32,
    memory: u64,
    count: u64,
}

impl Collector for Process {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut system = lock(&self.system);
        refresh(&mut system);
        let mut groups: HashMap<&[u8], Group> = HashMap::new();
        for process in system.processes().values() {
            let group = groups.entry(process.name().as_encoded_bytes()).or_default();
            group.cpu_percent += process.cpu_usage();
            group.memory += process.memory();
            group.count += 1;
        }
        out.family(&TOTAL).sample(&[], system.processes().len());
        for (name, group) in most(groups.into_iter().collect(), self.top) {
            let labels = [("group", name)];
            out.family(&CPU).sample(&labels, f64::from(group.cpu_percent) / 100.0);
            out.family(&MEMORY).sample(&labels, group.memory);
            out.family(&COUNT).sample(&labels, group.count);
        }
        Ok(())
    }
}

/// The first `top` groups by processor and the first `top` by memory, which makes at most twice as many.
fn most(groups: Vec<(&[u8], Group)>, top: usize) -> impl Iterator<Item = (&[u8], Group)> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    let mut chosen = vec![false; groups.len()];
    order.sort_by(|&a, &b| groups[b].1.cpu_percent.total_cmp(&groups[a].1.cpu_percent));
    order.iter().take(top).for_each(|&i| chosen[i] = true);
    order.sort_by_key(|&i| Reverse(groups[i].1.memory));
    order.iter().take(top).for_each(|&i| chosen[i] = true);
    groups.into_iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(group, _)| group)
}

fn refresh(system: &mut System) {
    let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_are_bounded() {
        let group = |cpu_percent, memory| Group { cpu_percent, memory, count: 1 };
        let groups = [(&b"a"[..], group(0.0, 9)), (b"b", group(5.0, 1)), (b"c", group(1.0, 8)), (b"d", group(0.0, 2))];
        let names = |top| most(groups.to_vec(), top).map(|(n, _)| n[0] as char).collect::<String>();
        assert_eq!((names(1), names(2), names(9)), ("ab".into(), "abc".into(), "abcd".into()));
    }

    #[test]
    fn this_very_process_is_among_all() {
        let (text, result) =
            exporter::testing::collect(&PROCESS, &["--system.process.top=100"], &hostfs::Sources::live());
        result.unwrap();
        assert!(text.contains("system_process_group_processes{group="), "{text}");
    }
}
