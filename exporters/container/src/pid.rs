//! A process of a container: it leads to the cgroup and to the network.

use hostfs::{Buf, KeptFile, Sources};
use std::os::unix::fs::MetadataExt as _;

/// A process that was alive when it was looked at last.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// `/proc/PID/cgroup`; the open descriptor is bound to this very process, whoever gets its number later.
    table: KeptFile,
    /// What tells its network from others: each network namespace has its own inode for `net/dev`. Unlike the link
    /// `ns/net` it may be looked at without the right to trace the process.
    pub(crate) network: Option<u64>,
}

impl Process {
    /// Looks at a process.
    pub(crate) fn new(sources: &Sources, pid: u32) -> Self {
        let network = network(sources, pid);
        Self { pid, table: sources.kept_proc(format!("{pid}/cgroup")), network }
    }

    /// Its cgroups now; `None` when it has ended.
    pub(crate) fn cgroups<'b>(&self, buf: &'b mut Buf) -> Option<&'b [u8]> {
        self.table.read(buf).ok()
    }
}

/// The identity of a process' network.
pub(crate) fn network(sources: &Sources, pid: u32) -> Option<u64> {
    sources.proc(format!("{pid}/net/dev")).metadata().ok().map(|m| m.ino())
}
