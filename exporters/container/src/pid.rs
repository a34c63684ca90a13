//! A process of a container: it leads to the cgroup and to the network.

use hostfs::{Buf, KeptFile, Sources};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

/// A process that was alive when it was looked at last.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// `/proc/PID/cgroup`; the open descriptor is bound to this very process, whoever gets its number later.
    table: KeptFile,
    /// `/proc/PID/comm`, the cheapest file that a process has as long as it is there.
    comm: KeptFile,
    /// How often it was asked whether it is as it was.
    asked: AtomicU32,
    /// What tells its network from others: each network namespace has its own inode for `net/dev`. Unlike the link
    /// `ns/net` it may be looked at without the right to trace the process.
    pub(crate) network: Option<u64>,
}

impl Process {
    /// Looks at a process.
    pub(crate) fn new(sources: &Sources, pid: u32) -> Self {
        let network = network(sources, pid);
        let kept = |name| sources.kept_proc_records(format!("{pid}/{name}"));
        Self { pid, table: kept("cgroup"), comm: kept("comm"), asked: AtomicU32::new(0), network }
    }

    /// Whether it is alive and, as far as that is looked at, in the cgroups of this table: processes of containers are
    /// moved once, when they start, and the kernel takes its time to write the table.
    pub(crate) fn is_as(&self, table: &[u8], buf: &mut Buf) -> bool {
        if self.asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOKED_AT) {
            return self.cgroups(buf) == Some(table);
        }
        self.comm.read(buf).is_ok()
    }

    /// Its cgroups now; `None` when it has ended.
    pub(crate) fn cgroups<'b>(&self, buf: &'b mut Buf) -> Option<&'b [u8]> {
        self.table.read(buf).ok()
    }
}

/// One of so many questions looks at the table too.
const LOOKED_AT: u32 = 8;

/// The identity of a process' network.
pub(crate) fn network(sources: &Sources, pid: u32) -> Option<u64> {
    sources.proc(format!("{pid}/net/dev")).metadata().ok().map(|m| m.ino())
}
