//! The store in a directory: a writer's thread, a keeper's, and a few readers.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::{FILE, Sqlite, keeper, writer};
use crate::index::Indexer;
use crate::store::sql::{Connection, StoreError};
use crate::store::{Answer, Backend, Delivery, Pending, QUEUE, READERS, State, Store, Watch, Work, schema};

pub(super) enum Job {
    Receive(Delivery, Answer),
    Work(Work),
    /// Empty the write-ahead log.
    Checkpoint,
    /// Find out whether writing works again.
    Probe,
    /// Nothing comes any more.
    Stop(oneshot::Sender<()>),
}

struct Engine {
    dir: PathBuf,
    jobs: mpsc::Sender<Job>,
    readers: Mutex<Vec<Sqlite>>,
    reading: Semaphore,
}

/// Opens the database under `dir` and starts the threads.
pub(in crate::store) fn open(dir: &Path, indexer: Indexer, watcher: Box<dyn Watch>) -> Result<Store, StoreError> {
    let mut db = Sqlite::create(dir)?;
    schema::migrate(&mut db)?;
    let (jobs, inbox) = mpsc::channel(QUEUE);
    let (told, indexed) = watch::channel(schema::number(&mut db, "indexed")?);
    let state = Arc::new(State::default());
    let at = (&mut db as &mut dyn Connection).int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0);
    state.stored.store(at, Ordering::Relaxed);
    writer::start(db, dir, inbox, indexer, Arc::clone(&state), told, watcher)?;
    keeper::start(dir, &jobs, Arc::clone(&state))?;
    let backend =
        Engine { dir: dir.to_owned(), jobs, readers: Mutex::new(Vec::new()), reading: Semaphore::new(READERS) };
    Ok(Store { backend: Arc::new(Shared(Arc::new(backend))), state, indexed })
}

struct Shared(Arc<Engine>);

impl Backend for Shared {
    fn receive(&self, delivery: Delivery, answer: Answer) -> Result<(), StoreError> {
        self.0.jobs.try_send(Job::Receive(delivery, answer)).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Stopped,
        })
    }

    fn write(&self, work: Work) -> Pending<'_> {
        Box::pin(async { self.0.jobs.send(Job::Work(work)).await.map_err(|_| StoreError::Stopped) })
    }

    fn read(&self, look: Work) -> Pending<'_> {
        Box::pin(async {
            let engine = Arc::clone(&self.0);
            let _turn = self.0.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
            let looked = tokio::task::spawn_blocking(move || {
                let kept = engine.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let mut db = kept.map_or_else(|| Sqlite::read(&engine.dir), Ok)?;
                look(&mut db);
                engine.readers.lock().unwrap_or_else(PoisonError::into_inner).push(db);
                Ok(())
            });
            looked.await.map_err(|e| StoreError::Database(e.to_string()))?
        })
    }

    fn close(&self) -> Pending<'_> {
        Box::pin(async {
            let (answer, answered) = oneshot::channel();
            self.0.jobs.send(Job::Stop(answer)).await.map_err(|_| StoreError::Stopped)?;
            answered.await.map_err(|_| StoreError::Stopped)
        })
    }

    /// The database and its write-ahead log.
    fn size(&self) -> u64 {
        ["", "-wal"]
            .iter()
            .filter_map(|end| std::fs::metadata(self.0.dir.join(format!("{FILE}{end}"))).ok())
            .map(|m| m.len())
            .sum()
    }
}
