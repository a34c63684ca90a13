//! Keeps the write-ahead log short without making a sender wait.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::acceptor::{Arrival, Handover};
use super::engine::Job;
use super::{FILE, Sqlite};
use crate::store::State;
use crate::store::sql::StoreError;
use crate::sys;

/// Starts the thread; it ends when the writer has.
pub(super) fn start(
    dir: &Path,
    jobs: &mpsc::Sender<Job>,
    arrivals: &mpsc::Sender<Arrival>,
    state: Arc<State>,
    handover: Arc<Handover>,
) -> Result<(), StoreError> {
    let dir = dir.to_owned();
    // A weak sender: the writer must see the end when the last real one is gone.
    let (jobs, arrivals, path) = (jobs.downgrade(), arrivals.downgrade(), dir.join(format!("{FILE}-wal")));
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(move || {
            sys::stand_back();
            // Never closed: with any descriptor of a file that it closes, a process loses all its locks on that file
            // (fcntl_locking(2)), those of SQLite's connections too.
            let pages = ManuallyDrop::new(File::open(dir.join(FILE)).ok());
            let mut db = None;
            while let Some(()) = jobs.upgrade().map(drop) {
                std::thread::sleep(EVERY);
                if state.failing.load(Ordering::Relaxed) {
                    // Nobody may be sending; the store must find out by itself that there is room again.
                    if let Some(jobs) = jobs.upgrade() {
                        let _ = jobs.blocking_send(Job::Probe);
                    }
                    if let Some(arrivals) = arrivals.upgrade() {
                        let _ = arrivals.try_send(Arrival::Probe);
                    }
                    continue;
                }
                if std::fs::metadata(&path).map_or(0, |m| m.len()) < SMALL {
                    continue;
                }
                if db.is_none() {
                    db = Sqlite::create(&dir).ok();
                }
                let Some(open) = &mut db else { continue };
                let found = open.checkpoint("PASSIVE");
                if let Some(pages) = &*pages
                    && handover.busy()
                {
                    // A checkpoint that the writer outran leaves this to the one that ends with a sync.
                    sys::write_gently(pages);
                }
                match found {
                    // Senders outrun the checkpoints: the writer itself must stop for one. Or nobody is there who would mind.
                    Ok(found) if found.frames > LARGE || !handover.busy() => {
                        if let Some(jobs) = jobs.upgrade() {
                            let _ = jobs.blocking_send(Job::Checkpoint);
                        }
                    }
                    Ok(_) => {}
                    Err(_) => db = None,
                }
            }
        })
        .map_err(|e| StoreError::Io(FILE.into(), format!("starting the keeper's thread: {e}")))?;
    Ok(())
}

const EVERY: Duration = Duration::from_millis(500);
/// Bytes of the log below which it is left alone.
const SMALL: u64 = 4 << 20;
/// Frames of 4 KiB above which the writer stops to empty it.
const LARGE: i64 = 16_384;
