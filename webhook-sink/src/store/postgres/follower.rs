//! Indexing, by whichever replica is there first, and hearing of what the others did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_postgres::AsyncMessage;

use super::Server;
use super::connection::Pg;
use crate::index::Indexer;
use crate::store::sql::{Connection, StoreError, args};
use crate::store::{State, schema};

/// What both sides know of how far things are.
#[derive(Clone)]
pub(super) struct Progress {
    pub(super) state: Arc<State>,
    pub(super) indexed: Arc<watch::Sender<i64>>,
}

impl Progress {
    fn indexed(&self, reached: i64) {
        self.indexed.send_if_modified(|known| {
            let more = reached > *known;
            *known = reached.max(*known);
            more
        });
    }

    fn stored(&self, reached: i64) {
        self.state.stored.fetch_max(reached, Ordering::Relaxed);
    }
}

/// The indexer's thread.
pub(super) struct Follower {
    pub(super) server: Arc<Server>,
    pub(super) runtime: Handle,
    pub(super) indexer: Indexer,
    pub(super) progress: Progress,
    pub(super) news: Receiver<()>,
    pub(super) stopping: Arc<AtomicBool>,
    pub(super) db: Option<Pg>,
    /// What was stored when this process first saw the database; ready when all of it is indexed.
    pub(super) goal: Option<i64>,
}

enum Turn {
    More,
    Done,
    /// Another replica is indexing.
    Taken,
}

impl Follower {
    pub(super) fn run(mut self) {
        loop {
            match self.news.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            loop {
                if self.stopping.load(Ordering::Relaxed) {
                    return;
                }
                match self.turn() {
                    Ok(Turn::More) => {}
                    // Whoever has taken it goes on until nothing is left, or dies: then the next look finds the lock free.
                    Ok(Turn::Done | Turn::Taken) => break,
                    Err(e) => {
                        if !self.progress.state.failing.load(Ordering::Relaxed) {
                            tracing::warn!(error = %e, "indexing failed; the same deliveries are tried again");
                        }
                        break;
                    }
                }
            }
            let known = *self.progress.indexed.borrow();
            if self.goal.is_some_and(|goal| known >= goal) {
                self.progress.state.caught_up.store(true, Ordering::Relaxed);
            }
        }
    }

    /// A piece of indexing in a transaction of its own.
    fn turn(&mut self) -> Result<Turn, StoreError> {
        let db = match &mut self.db {
            Some(db) if !db.broken() => db,
            broken => {
                *broken = None;
                let mut made = self.server.connect(&self.runtime)?;
                // Its statements are few and each finds its rows by a key: making their plans anew took most of the time.
                made.script("SET plan_cache_mode = auto")?;
                broken.insert(made)
            }
        };
        let stored = newest(db)?;
        self.progress.stored(stored);
        self.goal.get_or_insert(stored);
        let from = schema::number(db, "indexed")?;
        self.progress.indexed(from);
        if from >= stored {
            return Ok(Turn::Done);
        }
        db.begin(false)?;
        let done = piece(db, &mut self.indexer);
        if done.is_err() || matches!(done, Ok(None)) {
            db.rollback();
        }
        match done? {
            None => Ok(Turn::Taken),
            Some(reached) => {
                self.progress.indexed(reached);
                Ok(if reached > from { Turn::More } else { Turn::Done })
            }
        }
    }
}

/// Indexes for a while and commits; `None` when somebody else does.
fn piece(db: &mut Pg, indexer: &mut Indexer) -> Result<Option<i64>, StoreError> {
    if !db.try_index()? {
        return Ok(None);
    }
    // Read under the lock: another replica may have gone on since.
    let from = schema::number(db, "indexed")?;
    let reached = indexer.advance(db, from, Instant::now() + PIECE)?;
    if reached > from {
        schema::put(db, "indexed", reached)?;
        db.query("SELECT pg_notify('webhook_sink', ?1)", args![&format!("indexed {reached}")], &mut |_| Ok(()))?;
    }
    db.commit()?;
    Ok(Some(reached))
}

fn newest(db: &mut Pg) -> Result<i64, StoreError> {
    let db: &mut dyn Connection = db;
    Ok(db.int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0))
}

/// Listens to the other replicas for as long as the service runs.
pub(super) async fn listen(server: Arc<Server>, progress: Progress, wake: SyncSender<()>) {
    loop {
        if let Err(e) = hear(&server, &progress, &wake).await {
            tracing::debug!(error = %e, "not listening to the other replicas just now");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn hear(server: &Server, progress: &Progress, wake: &SyncSender<()>) -> Result<(), StoreError> {
    let (client, mut link) = server.dial().await?;
    let asked = tokio::spawn(async move {
        // Held until the link ends: a client that is dropped ends it.
        let listening = client.batch_execute("LISTEN webhook_sink").await;
        (client, listening)
    });
    let mut messages = std::pin::pin!(stream::poll_fn(|cx| link.poll_message(cx)));
    while let Some(message) = messages.next().await {
        match message {
            Ok(AsyncMessage::Notification(n)) => match n.payload().split_once(' ') {
                Some(("stored", id)) => {
                    progress.stored(id.parse().unwrap_or(0));
                    let _ = wake.try_send(());
                }
                Some(("indexed", id)) => progress.indexed(id.parse().unwrap_or(0)),
                _ => {}
            },
            Ok(_) => {}
            Err(e) => return Err(super::connection::explain(&e)),
        }
    }
    drop(asked);
    Ok(())
}

/// How often the indexer looks without having been told.
const LOOK: Duration = Duration::from_secs(1);
/// How long one transaction of indexing lasts.
const PIECE: Duration = Duration::from_millis(25);
