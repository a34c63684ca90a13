//! The store on a server: a thread that receives, one that indexes, and connections for everything else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::Server;
use super::connection::Pg;
use super::follower::{Follower, Progress, listen};
use super::receiver::{Job, Receiver};
use crate::index::Indexer;
use crate::store::sql::{Connection, StoreError};
use crate::store::{Answer, Backend, Delivery, Pending, QUEUE, READERS, State, Store, Watch, Work};

struct Engine {
    server: Arc<Server>,
    runtime: Handle,
    jobs: mpsc::Sender<Job>,
    idle: Mutex<Vec<Pg>>,
    turns: Arc<Semaphore>,
    size: AtomicU64,
    stopping: Arc<AtomicBool>,
    wake: SyncSender<()>,
}

/// Starts the threads. The server need not be there yet: until it is, senders are told to come again.
pub(in crate::store) fn open(
    server: Arc<Server>,
    indexer: Indexer,
    watcher: Box<dyn Watch>,
) -> Result<Store, StoreError> {
    let runtime = Handle::current();
    let state = Arc::new(State::default());
    state.failing.store(true, Ordering::Relaxed);
    let (jobs, inbox) = mpsc::channel(QUEUE);
    let (wake, news) = std::sync::mpsc::sync_channel(1);
    let (told, indexed) = watch::channel(0);
    let progress = Progress { state: Arc::clone(&state), indexed: Arc::new(told) };
    let stopping = Arc::new(AtomicBool::new(false));
    let receiver = Receiver {
        server: Arc::clone(&server),
        runtime: runtime.clone(),
        inbox,
        state: Arc::clone(&state),
        watcher,
        wake: wake.clone(),
        db: None,
        tried: None,
    };
    thread("receiver", move || receiver.run())?;
    let follower = Follower {
        server: Arc::clone(&server),
        runtime: runtime.clone(),
        indexer,
        progress: progress.clone(),
        news,
        stopping: Arc::clone(&stopping),
        db: None,
        goal: None,
    };
    thread("indexer", move || follower.run())?;
    tokio::spawn(listen(Arc::clone(&server), progress, wake.clone()));
    let engine = Arc::new(Engine {
        server,
        runtime,
        jobs,
        idle: Mutex::new(Vec::new()),
        turns: Arc::new(Semaphore::new(2 * READERS)),
        size: AtomicU64::new(0),
        stopping,
        wake,
    });
    tokio::spawn(tend(Arc::clone(&engine), Arc::clone(&state)));
    Ok(Store { backend: Arc::new(Shared(engine)), state, indexed })
}

fn thread(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(run)
        .map(drop)
        .map_err(|e| StoreError::Away(format!("starting the {name}'s thread: {e}")))
}

/// Asks a server that failed whether it is back, and now and then how large the database is.
async fn tend(engine: Arc<Engine>, state: Arc<State>) {
    let mut ticks = 0_u32;
    while !engine.stopping.load(Ordering::Relaxed) {
        if state.failing.load(Ordering::Relaxed) {
            let _ = engine.jobs.try_send(Job::Probe);
        } else {
            if ticks.is_multiple_of(120) {
                let weighed = Arc::clone(&engine);
                let weigh: Work = Box::new(move |db: &mut dyn Connection| {
                    if let Ok(Some(bytes)) = db.int("SELECT pg_database_size(current_database())", &[]) {
                        weighed.size.store(bytes.unsigned_abs(), Ordering::Relaxed);
                    }
                });
                let _ = run(&engine, weigh).await;
            }
            ticks += 1;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Runs work on a connection that is free, or a new one.
async fn run(engine: &Arc<Engine>, work: Work) -> Result<(), StoreError> {
    let turn = Arc::clone(&engine.turns).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
    let engine = Arc::clone(engine);
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let kept = {
            let mut idle = engine.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(|db| !db.broken());
            idle.pop()
        };
        let mut db = kept.map_or_else(|| engine.server.connect(&engine.runtime), Ok)?;
        work(&mut db);
        if !db.broken() {
            engine.idle.lock().unwrap_or_else(PoisonError::into_inner).push(db);
        }
        Ok(())
    });
    done.await.map_err(|e| StoreError::Database(e.to_string()))?
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
        Box::pin(run(&self.0, work))
    }

    fn read(&self, look: Work) -> Pending<'_> {
        Box::pin(run(&self.0, look))
    }

    fn close(&self) -> Pending<'_> {
        Box::pin(async {
            self.0.stopping.store(true, Ordering::Relaxed);
            let _ = self.0.wake.try_send(());
            let (answer, answered) = oneshot::channel();
            self.0.jobs.send(Job::Stop(answer)).await.map_err(|_| StoreError::Stopped)?;
            answered.await.map_err(|_| StoreError::Stopped)
        })
    }

    fn size(&self) -> u64 {
        self.0.size.load(Ordering::Relaxed)
    }
}
