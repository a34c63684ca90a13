//! The thread that acknowledges: what waits together goes into the journal together, with one sync.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::engine::Job;
use super::journal::Journal;
use crate::clock::Nanos;
use crate::store::sql::StoreError;
use crate::store::{Answer, Delivery, State, Watch};

/// What comes in.
pub(super) enum Arrival {
    Delivery(Delivery, Answer),
    /// Find out whether writing works again.
    Probe,
    /// Nothing comes any more; this is let go when all is done.
    Stop(oneshot::Sender<()>),
}

/// What the acceptor and the writer of the database know of each other.
#[derive(Debug, Default)]
pub(super) struct Handover {
    /// Bytes that the database does not have yet.
    waiting: Mutex<usize>,
    less: Condvar,
    /// The newest delivery that the database has synced.
    pub(super) durable: AtomicI64,
    /// The newest delivery that has to be synced, so that its file can be written over.
    pub(super) wanted: AtomicI64,
    /// When several senders waited at once the last time.
    crowded: AtomicI64,
    /// Why the database takes nothing.
    pub(super) trouble: Mutex<Option<StoreError>>,
}

impl Handover {
    fn add(&self, bytes: usize) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    pub(super) fn done(&self, bytes: usize) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = waiting.saturating_sub(bytes);
        self.less.notify_all();
    }

    /// Tells one that waits to look again.
    pub(super) fn changed(&self) {
        let _waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.less.notify_all();
    }

    /// Whether senders come in crowds: then nothing else is urgent.
    pub(super) fn busy(&self) -> bool {
        Nanos(self.crowded.load(Ordering::Relaxed)).until(Nanos::now()) < CROWD
    }

    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `enough` says so of the bytes that wait, but neither for ever nor when the database takes nothing.
    fn wait(&self, enough: impl Fn(usize) -> bool) -> Result<(), StoreError> {
        let until = Instant::now() + PATIENCE;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if enough(*waiting) {
                return Ok(());
            }
            if let Some(trouble) = self.trouble() {
                return Err(trouble);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Busy);
            }
            let pause = left.min(Duration::from_millis(100));
            waiting = self.less.wait_timeout(waiting, pause).map_or_else(|e| e.into_inner().0, |(guard, _)| guard);
        }
    }
}

pub(super) struct Acceptor {
    pub(super) journal: Journal,
    pub(super) inbox: mpsc::Receiver<Arrival>,
    /// To the writer of the database.
    pub(super) onward: mpsc::Sender<Job>,
    pub(super) state: Arc<State>,
    pub(super) handover: Arc<Handover>,
    pub(super) watcher: Box<dyn Watch>,
    /// The id that the next delivery gets.
    pub(super) next: i64,
}

impl Acceptor {
    pub(super) fn run(mut self) {
        let mut stop = None;
        while let Some(first) = self.inbox.blocking_recv() {
            let (mut batch, mut bytes, mut probe) = (Vec::new(), 0, false);
            let mut next = Some(first);
            while let Some(arrival) = next {
                match arrival {
                    Arrival::Delivery(delivery, answer) => {
                        bytes += delivery.body.len();
                        batch.push((delivery, answer));
                    }
                    Arrival::Probe => probe = true,
                    Arrival::Stop(done) => {
                        // What is in the queue already is still stored.
                        self.inbox.close();
                        stop = Some(done);
                    }
                }
                next = if batch.len() < BATCH && bytes < BATCH_BYTES { self.inbox.try_recv().ok() } else { None };
            }
            if batch.len() >= MANY {
                self.handover.crowded.store(Nanos::now().0, Ordering::Relaxed);
            }
            if !batch.is_empty() {
                self.store(batch, bytes);
            } else if probe {
                match self.journal.probe(self.handover.durable.load(Ordering::Acquire)) {
                    // The database has to work as well.
                    Ok(()) if self.handover.trouble().is_none() => self.works(),
                    Ok(()) => {}
                    Err(e) => self.failed(&e),
                }
            }
        }
        drop(stop);
    }

    fn store(&mut self, batch: Vec<(Delivery, Answer)>, bytes: usize) {
        let began = Instant::now();
        let first = self.next;
        match self.append(first, &batch) {
            Ok(last) => {
                self.works();
                let (mut deliveries, mut answers) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
                for (id, (delivery, answer)) in (first..).zip(batch) {
                    deliveries.push((id, delivery));
                    answers.push((id, answer));
                }
                // First onward, then the answer: whoever has one finds the delivery before them in the database's queue.
                self.handover.add(bytes);
                let _ = self.onward.blocking_send(Job::Move(deliveries));
                self.next = last + 1;
                self.state.stored.store(last, Ordering::Release);
                self.watcher.committed(answers.len(), began.elapsed());
                for (id, answer) in answers {
                    let _ = answer.send(Ok(id));
                }
            }
            Err(e) => {
                if !matches!(e, StoreError::Busy) {
                    self.failed(&e);
                }
                // Some of it may be in the journal all the same, and be found there after a crash.
                self.next += batch.len() as i64;
                for (_, answer) in batch {
                    let _ = answer.send(Err(e.clone()));
                }
            }
        }
    }

    fn append(&mut self, first: i64, batch: &[(Delivery, Answer)]) -> Result<i64, StoreError> {
        let Self { journal, handover, onward, .. } = self;
        if let Some(trouble) = handover.trouble() {
            return Err(trouble);
        }
        handover.wait(|bytes| bytes < AHEAD)?;
        loop {
            let durable = handover.durable.load(Ordering::Acquire);
            let done = journal.append(first, batch.iter().map(|(d, _)| d), durable)?;
            // Asked for long before it is needed: the file that is written to now has to be filled first.
            if let Some(wanted) = journal.waits_for(durable)
                && handover.wanted.fetch_max(wanted, Ordering::AcqRel) < wanted
            {
                let _ = onward.blocking_send(Job::Sync);
            }
            match done {
                Some(last) => return Ok(last),
                None => handover.wait(|_| handover.durable.load(Ordering::Acquire) > durable)?,
            }
        }
    }

    fn works(&self) {
        if self.state.failing.swap(false, Ordering::Relaxed) {
            tracing::info!("the store works again");
        }
    }

    fn failed(&self, e: &StoreError) {
        if !self.state.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(error = %e, "cannot store; answering 503 until it works again");
        }
    }
}

/// Deliveries in one sync, and their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;
/// How many at once mean that senders come first.
const MANY: usize = 4;
/// How long after the last crowd there may be another.
const CROWD: Duration = Duration::from_millis(30);
/// Bytes that the journal may be ahead of the database.
const AHEAD: usize = 12 << 20;
/// How long senders wait for the database.
const PATIENCE: Duration = Duration::from_secs(8);
