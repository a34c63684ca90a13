//! Where everything is kept: one writer thread, a few readers, and a commit that many senders share.

mod keeper;
pub(crate) mod schema;
pub(crate) mod sql;
pub(crate) mod sqlite;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::clock::Nanos;
use crate::index::Indexer;
use sql::{Connection, StoreError};
use sqlite::Sqlite;

/// What arrived, on its way to the disk.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) received: Nanos,
    pub(crate) kind: Kind,
    /// The last part of `/alerts/{source}` or `/raw/{source}`.
    pub(crate) source: String,
    pub(crate) query: String,
    pub(crate) remote: String,
    pub(crate) agent: String,
    pub(crate) body: Bytes,
}

/// Which door it came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Alerts,
    Events,
    Raw,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Alerts => "alerts",
            Kind::Events => "events",
            Kind::Raw => "raw",
        }
    }
}

/// The store, shared by all that read and write it.
#[derive(Clone)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    jobs: mpsc::Sender<Job>,
    readers: Mutex<Vec<Sqlite>>,
    reading: Semaphore,
    state: Arc<State>,
    indexed: watch::Receiver<i64>,
}

/// What the writer tells the rest.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The last commit failed.
    pub(crate) failing: AtomicBool,
    /// Everything that was there at the start is indexed.
    pub(crate) caught_up: AtomicBool,
    /// The highest delivery committed, and the highest indexed.
    pub(crate) stored: AtomicI64,
    pub(crate) commits: AtomicU64,
}

/// What the writer is told about one commit.
pub(crate) trait Watch: Send {
    fn committed(&self, deliveries: usize, took: Duration);
}

type Work = Box<dyn FnOnce(&mut dyn Connection) + Send>;

enum Job {
    Receive(Delivery, oneshot::Sender<Result<i64, StoreError>>),
    Work(Work),
    /// Empty the write-ahead log.
    Checkpoint,
    /// Find out whether writing works again.
    Probe,
    /// Nothing comes any more.
    Stop(oneshot::Sender<()>),
}

impl Store {
    /// Opens (and creates, migrates) the database under `dir` and starts the threads.
    pub(crate) fn open(dir: &Path, indexer: Indexer, watcher: Box<dyn Watch>) -> Result<Self, StoreError> {
        let mut db = Sqlite::create(dir)?;
        schema::migrate(&mut db)?;
        let (jobs, inbox) = mpsc::channel(QUEUE);
        let (told, indexed) = watch::channel(schema::number(&mut db, "indexed")?);
        let state = Arc::new(State::default());
        let at = (&mut db as &mut dyn Connection).int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0);
        state.stored.store(at, Ordering::Relaxed);
        writer::start(db, dir, inbox, indexer, Arc::clone(&state), told, watcher)?;
        keeper::start(dir, &jobs, Arc::clone(&state))?;
        let readers = Mutex::new(Vec::new());
        let inner = Inner { dir: dir.to_owned(), jobs, readers, reading: Semaphore::new(READERS), state, indexed };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps a delivery; when this returns its id, the bytes are on disk.
    pub(crate) async fn receive(&self, delivery: Delivery) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.inner.jobs.try_send(Job::Receive(delivery, answer)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Stopped,
        })?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Runs `work` in a durable transaction of its own.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |db| {
            let _ = answer.send(sql::transaction(db, true, work));
        });
        self.inner.jobs.send(Job::Work(work)).await.map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Runs `look` on a reader's connection.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut dyn Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _turn = self.inner.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let inner = Arc::clone(&self.inner);
        let looked = tokio::task::spawn_blocking(move || {
            let kept = inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut db = kept.map_or_else(|| Sqlite::read(&inner.dir), Ok)?;
            let found = look(&mut db);
            inner.readers.lock().unwrap_or_else(PoisonError::into_inner).push(db);
            found
        });
        looked.await.map_err(|e| StoreError::Database(e.to_string()))?
    }

    /// Finishes what waits, empties the log into the database and ends the writer.
    pub(crate) async fn close(&self) {
        let (answer, answered) = oneshot::channel();
        if self.inner.jobs.send(Job::Stop(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }

    /// Whether the last commit worked and everything stored before this start is indexed.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.inner.state.failing.load(Ordering::Relaxed) {
            return Err("the store is failing");
        }
        if !self.inner.state.caught_up.load(Ordering::Relaxed) {
            return Err("indexing what was stored before this start");
        }
        Ok(())
    }

    /// The newest delivery stored.
    pub(crate) fn stored(&self) -> i64 {
        self.inner.state.stored.load(Ordering::Relaxed)
    }

    /// The newest delivery indexed, and word of every later one.
    pub(crate) fn indexed(&self) -> watch::Receiver<i64> {
        self.inner.indexed.clone()
    }

    /// Bytes of the database and its write-ahead log.
    pub(crate) fn size(&self) -> u64 {
        ["", "-wal"]
            .iter()
            .filter_map(|end| std::fs::metadata(self.inner.dir.join(format!("{}{end}", sqlite::FILE))).ok())
            .map(|m| m.len())
            .sum()
    }
}

/// Deliveries and other work that wait for the writer; beyond it, senders are told to come again.
const QUEUE: usize = 1024;
/// Readers at a time.
const READERS: usize = 4;

#[cfg(test)]
mod tests;
