//! The processes that commands are, and an end for all that they leave behind.
//!
//! A command gets a process group of its own, which is killed as one. What leaves the group (`setsid`) or loses its parent
//! becomes a child of this process, which asked the kernel for that (`PR_SET_CHILD_SUBREAPER`): whatever is a child of
//! ours and no running command is an orphan of one, and is killed.

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, waitid, waitpid,
};
use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::{Child, Command};

/// The children of this process that may live.
#[derive(Debug)]
pub(crate) struct Children {
    running: Mutex<HashSet<Pid>>,
}

/// A running command; its group is killed when this is dropped too, such as at the exporter's own end.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) process: Child,
    pub(crate) group: Group,
}

/// A process group, by its first process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group(Pid);

impl Children {
    pub(crate) fn new() -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        // What is there already came with the process (`helper & exec custom-exporter`) and is no orphan of ours.
        let before = children_of(rustix::process::getpid());
        Ok(Self { running: Mutex::new(before.into_iter().collect()) })
    }

    /// Starts a command in a group of its own.
    pub(crate) fn start(&self, command: &mut Command) -> io::Result<Running> {
        // Held meanwhile, so that nobody takes the new child for an orphan.
        let mut running = self.running();
        let process = command.process_group(0).kill_on_drop(true).spawn()?;
        let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("it has no process id"))?;
        running.insert(pid);
        Ok(Running { process, group: Group(pid) })
    }

    /// Kills all that a command has left behind, itself having been waited for.
    pub(crate) async fn end(self: &Arc<Self>, group: Group) {
        for _ in 0..ROUNDS {
            let children = Arc::clone(self);
            // No such group: all of it has ended. One that is still ending may have children that are not ours yet.
            let grouped = kill_process_group(group.0, Signal::KILL).is_ok();
            // Reading /proc takes a few milliseconds on a machine with many processes.
            let found = tokio::task::spawn_blocking(move || children.kill_orphans()).await;
            if !grouped && found.is_ok_and(|found| found == 0) {
                return;
            }
            // Their own children become ours once they have ended.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tracing::warn!("a command has left processes behind that do not end");
    }

    /// Ends a command with all that it started; from then on its process id is another's.
    pub(crate) async fn bury(self: &Arc<Self>, mut child: Running) {
        if child.process.id().is_some() {
            let _ = kill_process_group(child.group.0, Signal::KILL);
            let _ = child.process.wait().await;
            self.end(child.group).await;
        }
        self.running().remove(&child.group.0);
    }

    fn kill_orphans(&self) -> usize {
        let running = self.running();
        // The kernel knows at once whether there is any child at all; whose they are is to be read in /proc.
        let any = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::All, any).is_err_and(|e| e == Errno::CHILD) {
            return 0;
        }
        let mut orphans = children_of(rustix::process::getpid());
        orphans.retain(|pid| !running.contains(pid));
        for &orphan in &orphans {
            // One that has ended already only wants to be waited for.
            let _ = kill_process(orphan, Signal::KILL);
            let _ = waitpid(Some(orphan), WaitOptions::NOHANG);
        }
        orphans.len()
    }

    fn running(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Not once it was waited for: then the number may be another's.
        if self.process.id().is_some() {
            let _ = kill_process_group(self.group.0, Signal::KILL);
        }
    }
}

/// The processes whose parent this is, by `/proc/PID/stat`.
fn children_of(parent: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| {
        let stat = std::fs::read(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        parent_in(&stat) == Some(parent.as_raw_nonzero().get())
    })
    .collect()
}

/// The fourth field of `PID (NAME) STATE PARENT …`; the name may hold anything, `)` too.
fn parent_in(stat: &[u8]) -> Option<i32> {
    let after = stat.iter().rposition(|&b| b == b')')? + 1;
    std::str::from_utf8(stat.get(after..)?).ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// How often orphans are looked for: a chain of processes ends link by link.
const ROUNDS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_parent_stands_after_the_name() {
        assert_eq!(parent_in(b"12 (sh) S 7 12 12"), Some(7));
        assert_eq!(parent_in(b"12 (a) S 9 (b)) R 8 12"), Some(8));
        assert_eq!(parent_in(b""), None);
        assert!(children_of(rustix::process::getppid().unwrap()).contains(&rustix::process::getpid()));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            parent_in(&bytes);
        }
    }
}
