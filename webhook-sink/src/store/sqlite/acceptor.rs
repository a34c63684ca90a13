//! What acknowledges: deliveries that wait together go into the journal together, with one sync.
//!
//! A thread does that for a crowd. A delivery that comes alone is stored by whoever brings it: handing it to a thread and
//! the answer back costs as much as half a sync.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
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
    /// When several senders waited at once the last time, and when one came right after another.
    crowded: AtomicI64,
    streamed: AtomicI64,
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

    fn crowd(&self) -> bool {
        lately(&self.crowded)
    }

    /// Whether deliveries come in crowds or one right after another: then nothing else is urgent.
    pub(super) fn busy(&self) -> bool {
        self.crowd() || lately(&self.streamed)
    }

    fn ahead(&self) -> usize {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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

fn lately(when: &AtomicI64) -> bool {
    Nanos(when.load(Ordering::Relaxed)).until(Nanos::now()) < CROWD
}

/// The journal, for one at a time.
pub(super) struct Acceptor {
    pub(super) journal: Journal,
    /// To the writer of the database.
    pub(super) onward: mpsc::Sender<Job>,
    pub(super) state: Arc<State>,
    pub(super) handover: Arc<Handover>,
    pub(super) watcher: Box<dyn Watch>,
    /// The id that the next delivery gets.
    pub(super) next: i64,
    /// When the last one was stored.
    pub(super) last: Instant,
}

/// The acceptor as the thread and those who bring deliveries share it.
pub(super) struct Door {
    acceptor: Mutex<Acceptor>,
    handover: Arc<Handover>,
}

impl Door {
    pub(super) fn new(acceptor: Acceptor) -> Self {
        Self { handover: Arc::clone(&acceptor.handover), acceptor: Mutex::new(acceptor) }
    }

    fn lock(&self) -> MutexGuard<'_, Acceptor> {
        self.acceptor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores a delivery at once if nobody else is at the door and there is nothing to wait for but the disk; else gives
    /// it back.
    pub(super) fn alone(&self, delivery: Delivery, answer: Answer) -> Option<(Delivery, Answer)> {
        if delivery.body.len() > ALONE || self.handover.crowd() {
            return Some((delivery, answer));
        }
        match self.acceptor.try_lock() {
            Ok(mut acceptor) => acceptor.store_alone(delivery, answer),
            Err(_) => Some((delivery, answer)),
        }
    }

    /// The thread of the crowds.
    pub(super) fn run(&self, mut inbox: mpsc::Receiver<Arrival>) {
        let mut stop = None;
        while let Some(first) = inbox.blocking_recv() {
            let (mut batch, mut bytes, mut probe) = (Vec::new(), 0, false);
            let mut next = Some(first);
            let mut acceptor = self.lock();
            while let Some(arrival) = next {
                match arrival {
                    Arrival::Delivery(delivery, answer) => {
                        bytes += delivery.body.len();
                        batch.push((delivery, answer));
                    }
                    Arrival::Probe => probe = true,
                    Arrival::Stop(done) => {
                        // What is in the queue already is still stored.
                        inbox.close();
                        stop = Some(done);
                    }
                }
                next = if batch.len() < BATCH && bytes < BATCH_BYTES { inbox.try_recv().ok() } else { None };
            }
            if batch.len() >= MANY {
                self.handover.crowded.store(Nanos::now().0, Ordering::Relaxed);
            }
            if !batch.is_empty() {
                acceptor.store(batch);
            } else if probe {
                acceptor.probe();
            }
        }
        drop(stop);
    }
}

impl Acceptor {
    fn probe(&mut self) {
        match self.journal.probe(self.handover.durable.load(Ordering::Acquire)) {
            // The database has to work as well.
            Ok(()) if self.handover.trouble().is_none() => self.works(),
            Ok(()) => {}
            Err(e) => self.failed(&e),
        }
    }

    fn store_alone(&mut self, delivery: Delivery, answer: Answer) -> Option<(Delivery, Answer)> {
        let durable = self.handover.durable.load(Ordering::Acquire);
        let blocked = self.state.failing.load(Ordering::Relaxed)
            || self.handover.ahead() + delivery.body.len() >= AHEAD
            || !self.journal.has_room(&delivery, durable);
        if blocked {
            return Some((delivery, answer));
        }
        let Ok(place) = self.onward.clone().try_reserve_owned() else { return Some((delivery, answer)) };
        self.store_with(vec![(delivery, answer)], |job| drop(place.send(job)));
        None
    }

    fn store(&mut self, batch: Vec<(Delivery, Answer)>) {
        let onward = self.onward.clone();
        self.store_with(batch, |job| drop(onward.blocking_send(job)));
    }

    fn store_with(&mut self, batch: Vec<(Delivery, Answer)>, pass_on: impl FnOnce(Job)) {
        let began = Instant::now();
        if began.duration_since(self.last) < STREAM {
            self.handover.streamed.store(Nanos::now().0, Ordering::Relaxed);
        }
        let bytes = batch.iter().map(|(d, _)| d.body.len()).sum();
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
                pass_on(Job::Move(deliveries));
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
        self.last = Instant::now();
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
            // Asked for long before it is needed, since the file that is written to now has to be filled first. The writer
            // looks when it gets these deliveries.
            if let Some(wanted) = journal.waits_for(durable) {
                handover.wanted.fetch_max(wanted, Ordering::AcqRel);
            }
            if let Some(last) = done {
                return Ok(last);
            }
            let _ = onward.blocking_send(Job::Sync);
            handover.wait(|_| handover.durable.load(Ordering::Acquire) > durable)?;
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
/// The largest body that is stored by whoever brings it.
const ALONE: usize = 64 << 10;
/// How soon after another a delivery is one of a stream.
const STREAM: Duration = Duration::from_millis(2);
/// How long after the last crowd there may be another.
const CROWD: Duration = Duration::from_millis(30);
/// Bytes that the journal may be ahead of the database.
const AHEAD: usize = 12 << 20;
/// How long senders wait for the database.
const PATIENCE: Duration = Duration::from_secs(8);
