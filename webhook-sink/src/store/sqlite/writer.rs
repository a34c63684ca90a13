//! The one thread that writes.
//!
//! Deliveries that wait together are committed together: one fsync acknowledges them all. Indexing and all other work
//! take turns in between, in small pieces, so that no sender waits long behind them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::Sqlite;
use super::engine::Job;
use crate::clock::Nanos;
use crate::index::Indexer;
use crate::store::sql::{StoreError, args, transaction};
use crate::store::{Answer, Delivery, State, Watch, Work, schema};

type Waiting = (Delivery, Answer);

/// Starts the thread; it ends when every sender of jobs is gone, after the last one is done.
pub(super) fn start(
    db: Sqlite,
    dir: &Path,
    inbox: mpsc::Receiver<Job>,
    indexer: Indexer,
    state: Arc<State>,
    told: watch::Sender<i64>,
    watcher: Box<dyn Watch>,
) -> Result<(), StoreError> {
    let writer = Writer {
        db,
        dir: dir.to_owned(),
        inbox,
        indexer,
        state,
        told,
        watcher,
        batch: Vec::new(),
        works: Vec::new(),
        suspect: false,
        stop: None,
        last_index: Instant::now(),
    };
    std::thread::Builder::new()
        .name("writer".into())
        .spawn(move || writer.run())
        .map_err(|e| StoreError::Io(dir.to_owned(), format!("starting the writer's thread: {e}")))?;
    Ok(())
}

struct Writer {
    db: Sqlite,
    dir: PathBuf,
    inbox: mpsc::Receiver<Job>,
    indexer: Indexer,
    state: Arc<State>,
    told: watch::Sender<i64>,
    watcher: Box<dyn Watch>,
    batch: Vec<Waiting>,
    works: Vec<Work>,
    /// A write or an fsync failed: what the kernel holds of the log may never reach the disk, see [`Writer::mend`].
    suspect: bool,
    stop: Option<oneshot::Sender<()>>,
    last_index: Instant,
}

impl Writer {
    fn run(mut self) {
        let mut open = true;
        while open {
            let behind = *self.told.borrow() < self.state.stored.load(Ordering::Relaxed);
            if !behind {
                self.state.caught_up.store(true, Ordering::Relaxed);
            }
            open = self.gather(!behind);
            self.commit();
            for work in std::mem::take(&mut self.works) {
                work(&mut self.db);
            }
            // Senders come first, but the index must not starve under a steady stream of them.
            if behind && (self.inbox.is_empty() || self.last_index.elapsed() > STARVED) {
                self.index();
            }
        }
        let _ = self.db.checkpoint("TRUNCATE");
        if let Some(answer) = self.stop {
            let _ = answer.send(());
        }
    }

    /// Takes what waits, up to a batch; waits for the first one when `idle`. False when no job can come any more.
    fn gather(&mut self, idle: bool) -> bool {
        let mut bytes = 0;
        let mut next = if idle {
            match self.inbox.blocking_recv() {
                Some(job) => Some(job),
                None => return false,
            }
        } else {
            None
        };
        loop {
            match next.take().map_or_else(|| self.inbox.try_recv(), Ok) {
                Ok(Job::Receive(delivery, answer)) => {
                    bytes += delivery.body.len();
                    self.batch.push((delivery, answer));
                }
                Ok(Job::Work(work)) => self.works.push(work),
                Ok(Job::Checkpoint) => {
                    let _ = self.db.checkpoint("TRUNCATE");
                }
                Ok(Job::Probe) => self.probe(),
                Ok(Job::Stop(answer)) => {
                    self.inbox.close();
                    self.stop = Some(answer);
                }
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
            if self.batch.len() >= BATCH || bytes >= BATCH_BYTES || self.works.len() >= BATCH {
                return true;
            }
        }
    }

    /// One transaction, one fsync, all answers.
    fn commit(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let began = Instant::now();
        let batch = std::mem::take(&mut self.batch);
        match self.mend().and_then(|()| insert(&mut self.db, &batch)) {
            Ok(ids) => {
                if self.state.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("the store works again");
                }
                self.state.stored.fetch_max(ids.iter().copied().max().unwrap_or(0), Ordering::Relaxed);
                self.watcher.committed(batch.len(), began.elapsed());
                for ((_, answer), id) in batch.into_iter().zip(ids) {
                    let _ = answer.send(Ok(id));
                }
            }
            Err(e) => {
                self.failed(&e);
                for (_, answer) in batch {
                    let _ = answer.send(Err(e.clone()));
                }
            }
        }
    }

    fn probe(&mut self) {
        let at = Nanos::now().0;
        let tried = self.mend().and_then(|()| transaction(&mut self.db, true, |db| schema::put(db, "probed", at)));
        if tried.is_ok() && self.state.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again");
        }
    }

    fn failed(&mut self, e: &StoreError) {
        if !self.state.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(error = %e, "cannot store; answering 503 until it works again");
        }
        self.suspect |= matches!(e, StoreError::Io(..));
    }

    /// After a failed fsync the kernel may have dropped pages of the log that were never written, and says so only
    /// once. So nothing is acknowledged again before the whole log went into the database and that was synced.
    fn mend(&mut self) -> Result<(), StoreError> {
        if self.suspect {
            self.db = Sqlite::create(&self.dir)?;
            let found = self.db.checkpoint("TRUNCATE")?;
            if found.frames != found.done {
                return Err(StoreError::Busy);
            }
            self.suspect = false;
        }
        Ok(())
    }

    /// A piece of indexing, small enough for a sender to wait behind.
    fn index(&mut self) {
        let until = Instant::now() + PIECE;
        let from = *self.told.borrow();
        let indexer = &mut self.indexer;
        let done = transaction(&mut self.db, false, |db| {
            let reached = indexer.advance(db, from, until)?;
            schema::put(db, "indexed", reached)?;
            Ok(reached)
        });
        match done {
            Ok(reached) => {
                self.told.send_replace(reached);
            }
            Err(e) => {
                self.failed(&e);
                // Nothing is lost: the same deliveries are indexed again when there is room.
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        self.last_index = Instant::now();
    }
}

fn insert(db: &mut Sqlite, batch: &[Waiting]) -> Result<Vec<i64>, StoreError> {
    transaction(db, true, |db| {
        let mut ids = Vec::with_capacity(batch.len());
        for (d, _) in batch {
            let id = db.int(
                "INSERT INTO deliveries (received_ns, kind, source, query, remote, agent, size, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
                args![
                    d.received.0,
                    d.kind.name(),
                    &d.source,
                    &d.query,
                    &d.remote,
                    &d.agent,
                    d.body.len() as i64,
                    &d.body[..]
                ],
            )?;
            ids.push(id.ok_or_else(|| StoreError::Database("an insert returned no id".into()))?);
        }
        Ok(ids)
    })
}

/// Deliveries in one commit, and their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;
/// How long indexing works at a time, and how long it waits at most under load.
const PIECE: Duration = Duration::from_millis(4);
const STARVED: Duration = Duration::from_millis(20);
