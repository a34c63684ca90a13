//! Processes and threads by state, from `/proc/PID/stat` and `/proc/PID/task/TID/stat`
//! (`Documentation/filesystems/proc.rst` 1.1).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{File, ReadError, scan};

/// Registers the collector.
pub(crate) const PROCESSES: Entry = Entry {
    name: "processes",
    default: Default::Off,
    about: "processes and threads by state with their limits, from /proc/PID/stat and /proc/PID/task",
    flags: &[],
    build: |_, _| Ok(Box::new(Processes)),
};

const THREADS: Desc = Desc::gauge("node_processes_threads", "Allocated threads in system");
const MAX_THREADS: Desc = Desc::gauge("node_processes_max_threads", "Limit of threads in the system");
const STATE: Desc = Desc::gauge("node_processes_state", "Number of processes in each state.");
const THREADS_STATE: Desc = Desc::gauge("node_processes_threads_state", "Number of threads in each state.");
const PIDS: Desc = Desc::gauge("node_processes_pids", "Number of PIDs");
const MAX_PROCESSES: Desc = Desc::gauge("node_processes_max_processes", "Number of max PIDs limit");

struct Processes;

impl Collector for Processes {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let counts = count(cx)?;
        out.family(&THREADS).sample(&[], counts.threads);
        out.family(&MAX_THREADS).sample(&[], cx.sources.proc("sys/kernel/threads-max").read_u64(cx.buf)?);
        counts.states.emit(&STATE, "state", out);
        counts.thread_states.emit(&THREADS_STATE, "thread_state", out);
        let max_processes = cx.sources.proc("sys/kernel/pid_max").read_u64(cx.buf)?;
        out.family(&PIDS).sample(&[], counts.pids);
        out.family(&MAX_PROCESSES).sample(&[], max_processes);
        Ok(())
    }
}

#[derive(Default)]
struct Counts {
    pids: u64,
    threads: u64,
    states: States,
    thread_states: States,
}

/// How often each state's letter was seen.
struct States([u64; 128]);

impl std::default::Default for States {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl States {
    fn add(&mut self, state: u8) {
        if let Some(count) = self.0.get_mut(usize::from(state)) {
            *count += 1;
        }
    }

    fn emit(&self, desc: &Desc, label: &str, out: &mut Part) {
        for (state, count) in (0u8..).zip(self.0).filter(|(_, count)| *count > 0) {
            out.family(desc).sample(&[(label, &[state])], count);
        }
    }
}

fn count(cx: &mut Cx<'_>) -> Result<Counts, ReadError> {
    let mut counts = Counts::default();
    let proc = cx.sources.proc("");
    for pid in numbers(&proc.entries()?) {
        let process = proc.child(pid);
        let Some(stat) = read(&process, cx)? else { continue };
        counts.pids += 1;
        counts.threads += stat.num_threads;
        counts.states.add(stat.state);
        let task = process.join("task");
        if stat.num_threads == 1 && task.child(pid).exists() {
            // The process is its only thread, and so is its state.
            counts.thread_states.add(stat.state);
            continue;
        }
        let threads = match task.entries() {
            Ok(threads) => threads,
            Err(e) if gone(&e) => continue,
            Err(e) => return Err(e),
        };
        for tid in numbers(&threads) {
            if let Some(stat) = read(&task.child(tid), cx)? {
                counts.thread_states.add(stat.state);
            }
        }
    }
    Ok(counts)
}

fn numbers(entries: &hostfs::Entries) -> impl Iterator<Item = &[u8]> {
    entries.iter().filter(|name| name.iter().all(u8::is_ascii_digit))
}

/// `None` for a process that has ended meanwhile, or that is hidden from us.
fn read(process: &File<'_>, cx: &mut Cx<'_>) -> Result<Option<Stat>, ReadError> {
    match process.join("stat").read(cx.buf) {
        Ok(text) => Ok(parse(text)),
        Err(e) if gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

fn gone(error: &ReadError) -> bool {
    error.is_absent() || error.is_denied() || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[derive(Debug, PartialEq)]
struct Stat {
    state: u8,
    num_threads: u64,
}

/// The name may hold anything, blanks and parentheses too: what comes after the last parenthesis is fields 3 and on.
fn parse(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|&b| b == b')')?;
    let mut fields = scan::fields(&text[end + 1..]);
    let state = *fields.next()?.first()?;
    Some(Stat { state, num_threads: scan::u64(fields.nth(16)?)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn stat(name: &str, state: char, threads: u32) -> String {
        format!("1 ({name}) {state} 0 1 1 0 -1 4194560 9061 9416027 94 2620 36 98 54406 13885 20 0 {threads} 0 29 1\n")
    }

    #[test]
    fn names_of_all_kinds() {
        for name in ["systemd", "a b) R 1", "", ") ("] {
            assert_eq!(parse(stat(name, 'S', 5).as_bytes()), Some(Stat { state: b'S', num_threads: 5 }), "{name}");
        }
        assert_eq!(parse(b"1 (x) S 1"), None);
    }

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[
            ("proc/1/stat", stat("init", 'S', 1).as_bytes()),
            ("proc/1/task/1/stat", b"not read"),
            ("proc/20/stat", stat("many", 'S', 2).as_bytes()),
            ("proc/20/task/20/stat", stat("many", 'S', 2).as_bytes()),
            ("proc/20/task/21/stat", stat("many", 'R', 2).as_bytes()),
            ("proc/20/task/22/", b""),
            ("proc/30/", b""),
            ("proc/self/stat", b"not read"),
            ("proc/sys/kernel/threads-max", b"7801\n"),
            ("proc/sys/kernel/pid_max", b"123\n"),
        ]);
        let (text, result) = exporter::testing::collect(&PROCESSES, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_processes_max_processes 123",
                "node_processes_max_threads 7801",
                "node_processes_pids 2",
                "node_processes_state{state=\"S\"} 2",
                "node_processes_threads 3",
                "node_processes_threads_state{thread_state=\"R\"} 1",
                "node_processes_threads_state{thread_state=\"S\"} 2",
            ]
        );
    }

    #[test]
    fn this_machine() {
        let (text, result) = exporter::testing::collect(&PROCESSES, &[], &hostfs::Sources::live());
        result.unwrap();
        // The thread that reads is running.
        assert!(text.contains("node_processes_threads_state{thread_state=\"R\"}"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            if let Some(stat) = parse(&bytes) {
                States::default().add(stat.state);
            }
        }
    }
}
