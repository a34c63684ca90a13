//! Keeps the write-ahead log short without making a sender wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::acceptor::Arrival;
use super::engine::Job;
use super::{FILE, Sqlite};
use crate::store::State;
use crate::store::sql::StoreError;

/// Starts the thread; it ends when the writer has.
pub(super) fn start(
    dir: &Path,
    jobs: &mpsc::Sender<Job>,
    arrivals: &mpsc::Sender<Arrival>,
    state: Arc<State>,
) -> Result<(), StoreError> {
    let dir = dir.to_owned();
    // A weak sender: the writer must see the end when the last real one is gone.
    let (jobs, arrivals, path) = (jobs.downgrade(), arrivals.downgrade(), dir.join(format!("{FILE}-wal")));
    std::thread::Builder::new()
        .name("keeper".into())
        .spawn(move || {
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
                match open.checkpoint("PASSIVE") {
                    // Senders outrun the checkpoints: the writer itself must stop for one.
                    Ok(found) if found.frames > LARGE => {
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
