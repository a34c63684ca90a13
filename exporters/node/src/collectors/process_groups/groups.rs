//! The sums: gauges of the processes that run, counters that outlive them.

use super::stat::{Io, Stat};
use std::collections::HashMap;

/// What one look at a process saw.
pub(super) struct Seen {
    pub(super) stat: Stat,
    /// `None` without the right to look.
    pub(super) io: Option<Io>,
    pub(super) open_files: Option<u64>,
}

/// Processes of one name.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) name: Box<[u8]>,
    pub(super) now: Now,
    pub(super) total: Counters,
    pub(super) io_was_readable: bool,
}

/// Of the processes that run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    pub(super) processes: u64,
    pub(super) threads: u64,
    pub(super) resident_pages: u64,
    pub(super) virtual_bytes: u64,
    pub(super) open_files: Option<u64>,
    /// Ticks after boot.
    pub(super) oldest_start: Option<u64>,
}

/// Of those that ran, too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counters {
    pub(super) utime: u64,
    pub(super) stime: u64,
    pub(super) majflt: u64,
    pub(super) minflt: u64,
    pub(super) read_bytes: u64,
    pub(super) write_bytes: u64,
}

/// Where a process belongs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Member {
    /// Of the group of that number.
    Of(usize),
    /// Of none: it is not to be shown.
    None,
}

/// All groups, and what each process had used when it was last seen.
#[derive(Debug)]
pub(super) struct Groups {
    most: usize,
    all: Vec<Group>,
    by_name: HashMap<Box<[u8]>, usize>,
    processes: HashMap<u64, Process>,
    scrape: u64,
}

#[derive(Debug)]
struct Process {
    /// A process is another one when its number is the same and its start is not.
    starttime: u64,
    /// exec(2) gives it another name.
    comm: Box<[u8]>,
    member: Member,
    last: Counters,
    scrape: u64,
}

/// The group of what goes beyond the limit.
const OTHER: &[u8] = b"other";

impl Groups {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: Vec::new(), by_name: HashMap::new(), processes: HashMap::new(), scrape: 0 }
    }

    /// Begins a look at all processes.
    pub(super) fn begin(&mut self) {
        self.scrape += 1;
        for group in &mut self.all {
            group.now = Now::default();
        }
    }

    /// Where a process belongs that was seen before.
    pub(super) fn known(&mut self, pid: u64, stat: &Stat, comm: &[u8]) -> Option<Member> {
        let process = self.processes.get_mut(&pid)?;
        if process.starttime != stat.starttime || *process.comm != *comm {
            return None;
        }
        process.scrape = self.scrape;
        Some(process.member)
    }

    /// Takes in a process, or one that has changed its name; says where it belongs.
    pub(super) fn found(&mut self, pid: u64, stat: &Stat, comm: &[u8], name: Option<&[u8]>) -> Member {
        let member = name.map_or(Member::None, |name| Member::Of(self.group(name)));
        let renamed = self.processes.remove(&pid).filter(|before| before.starttime == stat.starttime);
        let last = renamed.map(|before| before.last).unwrap_or_default();
        let process = Process { starttime: stat.starttime, comm: comm.into(), member, last, scrape: self.scrape };
        self.processes.insert(pid, process);
        member
    }

    fn group(&mut self, name: &[u8]) -> usize {
        if let Some(&at) = self.by_name.get(name) {
            return at;
        }
        if self.all.len() >= self.most && name != OTHER {
            return self.group(OTHER);
        }
        let at = self.all.len();
        self.all.push(Group { name: name.into(), ..Group::default() });
        self.by_name.insert(name.into(), at);
        at
    }

    /// Adds what was seen of a process to its group.
    pub(super) fn add(&mut self, pid: u64, group: usize, seen: &Seen) {
        let (Some(group), Some(process)) = (self.all.get_mut(group), self.processes.get_mut(&pid)) else { return };
        let (stat, now) = (&seen.stat, &mut group.now);
        now.processes += 1;
        now.threads += stat.num_threads;
        now.resident_pages = now.resident_pages.saturating_add(stat.rss);
        now.virtual_bytes = now.virtual_bytes.saturating_add(stat.vsize);
        if let Some(open) = seen.open_files {
            now.open_files = Some(now.open_files.unwrap_or_default().saturating_add(open));
        }
        now.oldest_start = Some(now.oldest_start.map_or(stat.starttime, |oldest| oldest.min(stat.starttime)));
        group.io_was_readable |= seen.io.is_some();
        let io = seen.io.unwrap_or(Io { read_bytes: process.last.read_bytes, write_bytes: process.last.write_bytes });
        let counters = Counters {
            utime: stat.utime,
            stime: stat.stime,
            majflt: stat.majflt,
            minflt: stat.minflt,
            read_bytes: io.read_bytes,
            write_bytes: io.write_bytes,
        };
        group.total.grow(&process.last, &counters);
        process.last = counters;
    }

    /// Ends the look: processes that were not seen have ended.
    pub(super) fn end(&mut self) {
        let scrape = self.scrape;
        self.processes.retain(|_, process| process.scrape == scrape);
    }

    /// The groups, those without a process too: an alert waits for a 0.
    pub(super) fn shown(&self) -> &[Group] {
        &self.all
    }
}

impl Counters {
    /// Adds what was used from one look to the next; the kernel may correct a time downwards by a tick.
    fn grow(&mut self, before: &Self, now: &Self) {
        let pairs: [(&mut u64, u64, u64); 6] = [
            (&mut self.utime, before.utime, now.utime),
            (&mut self.stime, before.stime, now.stime),
            (&mut self.majflt, before.majflt, now.majflt),
            (&mut self.minflt, before.minflt, now.minflt),
            (&mut self.read_bytes, before.read_bytes, now.read_bytes),
            (&mut self.write_bytes, before.write_bytes, now.write_bytes),
        ];
        for (total, before, now) in pairs {
            *total = total.saturating_add(now.saturating_sub(before));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(groups: &mut Groups, pid: u64, comm: &[u8], utime: u64) {
        let stat = Stat { utime, starttime: pid * 10, num_threads: 1, ..Stat::default() };
        let known = groups.known(pid, &stat, comm);
        let Member::Of(group) = known.unwrap_or_else(|| groups.found(pid, &stat, comm, Some(comm))) else { panic!() };
        groups.add(pid, group, &Seen { stat, io: None, open_files: None });
    }

    fn totals(groups: &Groups) -> Vec<(String, u64, u64)> {
        let shown = groups.shown().iter();
        shown.map(|g| (String::from_utf8_lossy(&g.name).into_owned(), g.now.processes, g.total.utime)).collect()
    }

    #[test]
    fn names_beyond_the_limit_are_others() {
        let mut groups = Groups::new(2);
        groups.begin();
        for (pid, comm) in [(1, b"a"), (2, b"b"), (3, b"c"), (4, b"d"), (5, b"a")] {
            see(&mut groups, pid, comm, 10);
        }
        groups.end();
        assert_eq!(totals(&groups), [("a".into(), 2, 20), ("b".into(), 1, 10), ("other".into(), 2, 20)]);
    }

    #[test]
    fn a_process_that_executes_another_program() {
        let mut groups = Groups::new(9);
        for (comm, utime) in [(b"sh", 10), (b"sh", 11), (b"vi", 15), (b"vi", 14)] {
            groups.begin();
            see(&mut groups, 1, comm, utime);
            groups.end();
        }
        assert_eq!(totals(&groups), [("sh".into(), 0, 11), ("vi".into(), 1, 4)]);
        groups.begin();
        groups.end();
        assert_eq!(totals(&groups), [("sh".into(), 0, 11), ("vi".into(), 0, 4)]);
        assert!(groups.processes.is_empty());
    }
}
