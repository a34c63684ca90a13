//! The store in a directory: a thread that acknowledges, one that writes the database, a keeper, and a few readers.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::acceptor::{Acceptor, Arrival, Door, Handover};
use super::journal::{self, Journal};
use super::writer::{self, Writer};
use super::{FILE, Sqlite, keeper};
use crate::index::Indexer;
use crate::store::sql::{Connection, StoreError, transaction};
use crate::store::{Answer, Backend, Delivery, Pending, QUEUE, READERS, State, Store, Watch, Work, schema};

/// What the writer of the database is given to do.
pub(super) enum Job {
    /// Acknowledged deliveries with their ids.
    Move(Vec<(i64, Delivery)>),
    Work(Work),
    /// Sync what the journal wants to forget.
    Sync,
    /// Empty the write-ahead log.
    Checkpoint,
    /// Find out whether writing works again.
    Probe,
    /// Nothing comes any more.
    Stop(oneshot::Sender<()>),
}

struct Engine {
    dir: PathBuf,
    door: Arc<Door>,
    arrivals: mpsc::Sender<Arrival>,
    jobs: mpsc::Sender<Job>,
    readers: Mutex<Vec<Sqlite>>,
    reading: Semaphore,
    state: Arc<State>,
    moved: watch::Receiver<i64>,
}

/// Opens the database under `dir`, brings into it what only the journal has, and starts the threads.
pub(in crate::store) fn open(dir: &Path, indexer: Indexer, watcher: Box<dyn Watch>) -> Result<Store, StoreError> {
    let mut db = Sqlite::create(dir)?;
    schema::migrate(&mut db)?;
    // Opened, and with that locked, before it is read: nobody else writes to it any more.
    let journal = Journal::open(dir)?;
    let last = recover(&mut db, dir)?;
    let (arrivals, inbox) = mpsc::channel(QUEUE);
    let (jobs, work) = mpsc::channel(QUEUE);
    let (told, indexed) = watch::channel(schema::number(&mut db, "indexed")?);
    let (moving, moved) = watch::channel(last);
    let state = Arc::new(State::default());
    state.stored.store(last, Ordering::Relaxed);
    let handover = Arc::new(Handover::default());
    handover.durable.store(last, Ordering::Release);
    let writer = Writer::new(db, dir, work, indexer, Arc::clone(&state), Arc::clone(&handover), told, moving);
    let waiting = Arc::clone(&handover);
    let acceptor = Acceptor {
        journal,
        onward: jobs.clone(),
        state: Arc::clone(&state),
        handover,
        watcher,
        next: last + 1,
        last: Instant::now(),
    };
    let door = Arc::new(Door::new(acceptor));
    let crowds = Arc::clone(&door);
    keeper::start(dir, &jobs, &arrivals, Arc::clone(&state), waiting)?;
    for (name, run) in [
        ("writer", Box::new(move || writer.run()) as Box<dyn FnOnce() + Send>),
        ("acceptor", Box::new(move || crowds.run(inbox))),
    ] {
        std::thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|e| StoreError::Io(dir.to_owned(), format!("starting the {name}'s thread: {e}")))?;
    }
    let (readers, reading) = (Mutex::new(Vec::new()), Semaphore::new(READERS));
    let engine =
        Engine { dir: dir.to_owned(), door, arrivals, jobs, readers, reading, state: Arc::clone(&state), moved };
    Ok(Store { backend: Arc::new(Shared(Arc::new(engine))), state, indexed })
}

/// Moves what a process that ended early had acknowledged into the database, and answers the newest delivery.
fn recover(db: &mut Sqlite, dir: &Path) -> Result<i64, StoreError> {
    let newest = (db as &mut dyn Connection).int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0);
    // Retention may have taken the newest rows; the number of the last one moved stays.
    let moved = newest.max(schema::number(db, "moved")?);
    let left: Vec<(i64, Delivery)> = journal::read(dir)?.into_iter().filter(|(id, _)| *id > moved).collect();
    let last = left.last().map_or(moved, |(id, _)| *id);
    if !left.is_empty() {
        tracing::info!(deliveries = left.len(), "bringing what the last process acknowledged into the database");
    }
    // Durable even when nothing is left: the index of before may not be, and the journal is about to be written over.
    transaction(db, true, |db| writer::insert(db, &left, last))?;
    writer::sync(db)?;
    Ok(last)
}

struct Shared(Arc<Engine>);

impl Backend for Shared {
    fn receive(&self, delivery: Delivery, answer: Answer) -> Result<(), StoreError> {
        let Some((delivery, answer)) = self.0.door.alone(delivery, answer) else { return Ok(()) };
        self.0.arrivals.try_send(Arrival::Delivery(delivery, answer)).map_err(|e| match e {
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
            // What was acknowledged is to be seen. A database that takes nothing shows what it has.
            let stored = engine.state.stored.load(Ordering::Acquire);
            let mut moved = engine.moved.clone();
            let _ = tokio::time::timeout(SEEN, moved.wait_for(|n| *n >= stored)).await;
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
            // The acceptor first: its last deliveries go to the writer.
            let (done, ended) = oneshot::channel();
            self.0.arrivals.send(Arrival::Stop(done)).await.map_err(|_| StoreError::Stopped)?;
            let _ = ended.await;
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

/// How long a reader waits for the newest deliveries.
const SEEN: Duration = Duration::from_secs(2);
