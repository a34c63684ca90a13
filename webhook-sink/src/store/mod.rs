//! Where everything is kept: SQLite in a directory, or a PostgreSQL that several replicas share.
//!
//! What the rest of the sink sees is [`Store`]; what stands behind it is a [`Backend`]. Both run the same SQL over the same
//! tables ([`sql`]); they differ in who writes when.

pub(crate) mod claims;
mod place;
mod postgres;
pub(crate) mod schema;
pub(crate) mod sql;
pub(crate) mod sqlite;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use crate::clock::Nanos;
use crate::index::Indexer;
pub(crate) use place::{PASSWORD_FILE, Place, STORAGE_PATH, STORAGE_URL};
use sql::{Connection, StoreError};

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
    /// The kind of a query, or any when there is none; an error says what is known.
    pub(crate) fn asked(name: &str) -> Result<Option<Self>, String> {
        let known = [Self::Alerts, Self::Events, Self::Raw].into_iter().find(|k| k.name() == name);
        if known.is_none() && !name.is_empty() {
            return Err(format!("kind: {name} is none of alerts, events, raw"));
        }
        Ok(known)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Alerts => "alerts",
            Kind::Events => "events",
            Kind::Raw => "raw",
        }
    }
}

/// What stands behind a store.
trait Backend: Send + Sync {
    /// Takes a delivery; answers its id once it is durable.
    fn receive(&self, delivery: Delivery, answer: Answer) -> Result<(), StoreError>;
    /// Runs work that writes, in transactions of its own.
    fn write(&self, work: Work) -> Pending<'_>;
    /// Runs work that only reads, and sees every delivery that was acknowledged before.
    fn read(&self, look: Work) -> Pending<'_>;
    /// Finishes what waits and ends.
    fn close(&self) -> Pending<'_>;
    /// Bytes on the disk.
    fn size(&self) -> u64;
}

/// Who waits for a delivery's id.
type Answer = oneshot::Sender<Result<i64, StoreError>>;
/// Something to be done with a connection.
type Work = Box<dyn FnOnce(&mut dyn Connection) + Send>;
/// Work under way; an error means that it was not begun.
type Pending<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

/// What a backend tells the rest.
#[derive(Debug, Default)]
struct State {
    /// The last commit failed.
    failing: AtomicBool,
    /// Everything that was there at the start is indexed.
    caught_up: AtomicBool,
    /// The highest delivery committed.
    stored: AtomicI64,
}

/// What is told of each commit.
pub(crate) trait Watch: Send {
    fn committed(&self, deliveries: usize, took: Duration);
}

/// The store, shared by all that read and write it.
#[derive(Clone)]
pub(crate) struct Store {
    backend: Arc<dyn Backend>,
    state: Arc<State>,
    indexed: watch::Receiver<i64>,
}

impl Store {
    /// Opens (and creates, migrates) what is at `place`.
    pub(crate) fn open(place: &Place, indexer: Indexer, watcher: Box<dyn Watch>) -> Result<Self, StoreError> {
        match place {
            Place::Directory(dir) => sqlite::open(dir, indexer, watcher),
            Place::Server(server) => Ok(postgres::open(Arc::clone(server), indexer, watcher)?),
        }
    }

    /// Keeps a delivery; when this returns its id, the bytes are on disk.
    pub(crate) async fn receive(&self, delivery: Delivery) -> Result<i64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.backend.receive(delivery, answer)?;
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
        self.backend.write(work).await?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Runs `look` on a reader's connection.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut dyn Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let look: Work = Box::new(move |db| {
            let _ = answer.send(look(db));
        });
        self.backend.read(look).await?;
        answered.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Finishes what waits and ends the threads.
    pub(crate) async fn close(&self) {
        // Whatever is left is done at the next start.
        let _ = self.backend.close().await;
    }

    /// Whether the last commit worked and everything stored before this start is indexed.
    pub(crate) fn ready(&self) -> Result<(), &'static str> {
        if self.state.failing.load(Ordering::Relaxed) {
            return Err("the store is failing");
        }
        if !self.state.caught_up.load(Ordering::Relaxed) {
            return Err("indexing what was stored before this start");
        }
        Ok(())
    }

    /// The newest delivery stored.
    pub(crate) fn stored(&self) -> i64 {
        self.state.stored.load(Ordering::Relaxed)
    }

    /// The newest delivery indexed, and word of every later one.
    pub(crate) fn indexed(&self) -> watch::Receiver<i64> {
        self.indexed.clone()
    }

    /// Bytes of the database.
    pub(crate) fn size(&self) -> u64 {
        self.backend.size()
    }
}

/// Deliveries and other work that wait for a writer; beyond it, senders are told to come again.
const QUEUE: usize = 1024;
/// Readers at a time.
const READERS: usize = 4;

#[cfg(test)]
mod tests;
