//! The one thread that writes the database.
//!
//! It brings in what the journal acknowledged, without syncing; indexing and all other work take turns in between, in small
//! pieces.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::acceptor::Handover;
use super::engine::Job;
use super::{FILE, Sqlite, journal};
use crate::index::Indexer;
use crate::store::sql::{Connection, StoreError, args, transaction};
use crate::store::{Delivery, State, Work, schema};
use crate::sys;

pub(super) struct Writer {
    db: Sqlite,
    dir: PathBuf,
    /// The write-ahead log, and how much of it the kernel was not asked yet to write.
    log: PathBuf,
    unwritten: usize,
    inbox: mpsc::Receiver<Job>,
    indexer: Indexer,
    state: Arc<State>,
    handover: Arc<Handover>,
    /// How far the index is, and the deliveries that are here.
    told: watch::Sender<i64>,
    moved: watch::Sender<i64>,
    pending: Vec<(i64, Delivery)>,
    works: Vec<Work>,
    /// A write or an fsync failed: what the kernel holds of the log may never reach the disk, see [`Writer::mend`].
    suspect: bool,
    stop: Option<oneshot::Sender<()>>,
    last_index: Instant,
}

impl Writer {
    #[expect(clippy::too_many_arguments, reason = "the ends of every channel of the thread")]
    pub(super) fn new(
        db: Sqlite,
        dir: &Path,
        inbox: mpsc::Receiver<Job>,
        indexer: Indexer,
        state: Arc<State>,
        handover: Arc<Handover>,
        told: watch::Sender<i64>,
        moved: watch::Sender<i64>,
    ) -> Self {
        Self {
            db,
            dir: dir.to_owned(),
            log: dir.join(format!("{FILE}-wal")),
            unwritten: 0,
            inbox,
            indexer,
            state,
            handover,
            told,
            moved,
            pending: Vec::new(),
            works: Vec::new(),
            suspect: false,
            stop: None,
            last_index: Instant::now(),
        }
    }

    pub(super) fn run(mut self) {
        sys::stand_back();
        let mut open = true;
        while open {
            let behind = *self.told.borrow() < *self.moved.borrow();
            if !behind && self.pending.is_empty() {
                self.state.caught_up.store(true, Ordering::Relaxed);
            }
            open = self.gather(!behind && self.pending.is_empty());
            self.bring_in();
            for work in std::mem::take(&mut self.works) {
                work(&mut self.db);
            }
            self.sync_if_wanted();
            // Deliveries come first, but the index must not starve under a steady stream of them.
            let calm = self.inbox.is_empty() && !self.handover.busy();
            if behind && self.pending.is_empty() && (calm || self.last_index.elapsed() > STARVED) {
                self.index();
            }
        }
        self.bring_in();
        let _ = self.db.checkpoint("TRUNCATE");
        if let Some(answer) = self.stop {
            let _ = answer.send(());
        }
    }

    /// Takes what waits, up to a batch; waits for the first one when `idle`. False when no job can come any more.
    fn gather(&mut self, idle: bool) -> bool {
        let mut lingering: Option<Instant> = None;
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
                Ok(Job::Move(mut deliveries)) => self.pending.append(&mut deliveries),
                Ok(Job::Work(work)) => self.works.push(work),
                Ok(Job::Checkpoint) => {
                    // Giving blocks back to the file system, and taking them again, holds up the syncs of a stream.
                    let _ = self.db.checkpoint(if self.handover.busy() { "RESTART" } else { "TRUNCATE" });
                }
                Ok(Job::Probe) => self.probe(),
                // Looked at in every turn.
                Ok(Job::Sync) => {}
                Ok(Job::Stop(answer)) => {
                    self.inbox.close();
                    self.stop = Some(answer);
                }
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => return false,
            }
            if self.pending.len() >= BATCH || self.works.len() >= BATCH {
                return true;
            }
            // A crowd's deliveries come in small batches; one transaction for many of them leaves more time to the others.
            if self.inbox.is_empty() && self.works.is_empty() && self.stop.is_none() && self.handover.busy() {
                let since = *lingering.get_or_insert_with(Instant::now);
                if self.pending.len() < BATCH / 4 && since.elapsed() < LINGER {
                    std::thread::sleep(GAP);
                }
            }
        }
    }

    /// Writes what was acknowledged; the journal keeps it until it is synced here too.
    fn bring_in(&mut self) {
        let Some((last, _)) = self.pending.last() else { return };
        let last = *last;
        let pending = &self.pending;
        let done = Self::mend(&mut self.suspect, &mut self.db, &self.dir)
            .and_then(|()| transaction(&mut self.db, false, |db| insert(db, pending, last)));
        match done {
            Ok(()) => {
                let bytes: usize = self.pending.iter().map(|(_, d)| d.body.len()).sum();
                self.pending.clear();
                self.pending.shrink_to(BATCH);
                self.moved.send_replace(last);
                self.works();
                self.handover.done(bytes);
                self.unwritten += bytes;
                if self.unwritten >= EARLY {
                    self.unwritten = 0;
                    if let Ok(log) = File::open(&self.log) {
                        sys::begin_to_write(&log);
                    }
                }
            }
            Err(e) => {
                self.failed(&e);
                // Nothing is lost: the journal has it, and nothing more is acknowledged until this works.
                std::thread::sleep(Duration::from_millis(200));
            }
        }
    }

    fn sync_if_wanted(&mut self) {
        let moved = *self.moved.borrow();
        let durable = self.handover.durable.load(Ordering::Acquire);
        let wanted = self.handover.wanted.load(Ordering::Acquire);
        if wanted <= durable || moved < wanted {
            return;
        }
        let done = Self::mend(&mut self.suspect, &mut self.db, &self.dir).and_then(|()| sync(&mut self.db));
        match done {
            Ok(()) => {
                self.handover.durable.store(moved, Ordering::Release);
                self.works();
                self.handover.changed();
            }
            Err(e) => self.failed(&e),
        }
    }

    fn probe(&mut self) {
        let done = Self::mend(&mut self.suspect, &mut self.db, &self.dir).and_then(|()| sync(&mut self.db));
        match done {
            Ok(()) if self.pending.is_empty() => self.works(),
            Ok(()) => {}
            Err(e) => self.failed(&e),
        }
    }

    fn works(&self) {
        let mut trouble = self.handover.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if trouble.take().is_some() {
            tracing::info!("the database takes what is acknowledged again");
        }
    }

    /// From now on senders are told to come again; the keeper asks when it is over.
    fn failed(&mut self, e: &StoreError) {
        let mut trouble = self.handover.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.state.failing.store(true, Ordering::Relaxed);
        if trouble.replace(e.clone()).is_none() {
            tracing::error!(error = %e, "cannot write the database; answering 503 until it works again");
        }
        drop(trouble);
        self.suspect |= matches!(e, StoreError::Io(..));
    }

    /// After a failed fsync the kernel may have dropped pages of the log that were never written, and says so only
    /// once. So nothing counts as synced again before the whole log went into the database and that was synced, and what
    /// the journal still has was written once more.
    fn mend(suspect: &mut bool, db: &mut Sqlite, dir: &Path) -> Result<(), StoreError> {
        if *suspect {
            *db = Sqlite::create(dir)?;
            let found = db.checkpoint("TRUNCATE")?;
            if found.frames != found.done {
                return Err(StoreError::Busy);
            }
            let moved = schema::number(db, "moved")?;
            let left: Vec<(i64, Delivery)> = journal::read(dir)?.into_iter().filter(|(id, _)| *id <= moved).collect();
            transaction(db, true, |db| insert(db, &left, moved))?;
            sync(db)?;
            *suspect = false;
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

/// Writes deliveries under the ids that they were acknowledged with; one that is there already stays.
pub(super) fn insert(db: &mut dyn Connection, deliveries: &[(i64, Delivery)], moved: i64) -> Result<(), StoreError> {
    for (id, d) in deliveries {
        db.execute(
            "INSERT INTO deliveries (id, received_ns, kind, source, query, remote, agent, size, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
            args![
                *id,
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
    }
    schema::put(db, "moved", moved)
}

/// Syncs all that was committed before. SQLite writes nothing, and then syncs nothing, for a transaction that leaves every
/// byte as it was: so this one counts up.
pub(super) fn sync(db: &mut dyn Connection) -> Result<(), StoreError> {
    transaction(db, true, |db| {
        let times = schema::number(db, "synced")?;
        schema::put(db, "synced", times.wrapping_add(1))
    })
}

/// Deliveries, or pieces of other work, in one turn.
const BATCH: usize = 256;
/// Bytes of bodies after which the kernel is asked to begin writing them.
const EARLY: usize = 1 << 20;
/// How long indexing works at a time, and how long it waits at most under load.
const PIECE: Duration = Duration::from_millis(4);
const STARVED: Duration = Duration::from_millis(20);
/// How long to wait for more from a crowd, and in what steps.
const LINGER: Duration = Duration::from_millis(8);
const GAP: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_writes_although_nothing_changed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut db = Sqlite::create(dir.path()).expect("opens");
        schema::migrate(&mut db).expect("migrates");
        let log = dir.path().join(format!("{FILE}-wal"));
        let length = || std::fs::metadata(&log).expect("the log").len();
        for _ in 0..3 {
            transaction(&mut db, false, |db| schema::put(db, "moved", 7)).expect("writes");
            let before = length();
            // What this is not enough for.
            transaction(&mut db, true, |db| schema::put(db, "moved", 7)).expect("writes");
            assert_eq!(length(), before);
            sync(&mut db).expect("syncs");
            assert!(length() > before, "a commit without a frame syncs nothing");
        }
    }
}
