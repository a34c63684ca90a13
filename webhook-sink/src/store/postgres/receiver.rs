//! The thread that stores deliveries: those that wait together go in one statement and one commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::Server;
use super::connection::Pg;
use crate::clock::Nanos;
use crate::store::sql::{StoreError, transaction};
use crate::store::{Answer, Delivery, State, Watch, schema};

pub(super) enum Job {
    Receive(Delivery, Answer),
    /// Find out whether the server can be used again.
    Probe,
    Stop(oneshot::Sender<()>),
}

pub(super) struct Receiver {
    pub(super) server: Arc<Server>,
    pub(super) runtime: Handle,
    pub(super) inbox: mpsc::Receiver<Job>,
    pub(super) state: Arc<State>,
    pub(super) watcher: Box<dyn Watch>,
    /// Wakes the indexer.
    pub(super) wake: SyncSender<()>,
    pub(super) db: Option<Pg>,
    pub(super) tried: Option<Instant>,
}

impl Receiver {
    pub(super) fn run(mut self) {
        while let Some(first) = self.inbox.blocking_recv() {
            let (mut batch, mut bytes, mut probe, mut stop) = (Vec::new(), 0, false, None);
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Receive(delivery, answer) => {
                        bytes += delivery.body.len();
                        batch.push((delivery, answer));
                    }
                    Job::Probe => probe = true,
                    Job::Stop(answer) => {
                        self.inbox.close();
                        stop = Some(answer);
                    }
                }
                next = if batch.len() < BATCH && bytes < BATCH_BYTES { self.inbox.try_recv().ok() } else { None };
            }
            if batch.is_empty() {
                if probe && let Err(e) = self.probe() {
                    self.failed(&e);
                }
            } else {
                self.store(batch);
            }
            if let Some(answer) = stop {
                let _ = answer.send(());
            }
        }
    }

    fn store(&mut self, batch: Vec<(Delivery, Answer)>) {
        let began = Instant::now();
        let deliveries: Vec<&Delivery> = batch.iter().map(|(d, _)| d).collect();
        match self.connection().and_then(|db| db.insert(&deliveries)) {
            Ok(ids) => {
                self.works();
                self.state.stored.fetch_max(ids.last().copied().unwrap_or(0), Ordering::Relaxed);
                self.watcher.committed(batch.len(), began.elapsed());
                for ((_, answer), id) in batch.into_iter().zip(ids) {
                    let _ = answer.send(Ok(id));
                }
                let _ = self.wake.try_send(());
            }
            Err(e) => {
                self.failed(&e);
                for (_, answer) in batch {
                    let _ = answer.send(Err(e.clone()));
                }
            }
        }
    }

    /// A server that came back as a standby can be asked, but not written to.
    fn probe(&mut self) -> Result<(), StoreError> {
        let at = Nanos::now().0;
        transaction(self.connection()?, true, |db| schema::put(db, "probed", at))?;
        self.works();
        let _ = self.wake.try_send(());
        Ok(())
    }

    /// The connection, made anew where it is gone; not more often than senders can wait for.
    fn connection(&mut self) -> Result<&mut Pg, StoreError> {
        if self.db.as_ref().is_none_or(Pg::broken) {
            self.db = None;
            if self.tried.is_some_and(|at| at.elapsed() < PAUSE) {
                return Err(StoreError::Away("it did not answer just now".into()));
            }
            let made = self.server.connect(&self.runtime);
            self.tried = Some(Instant::now());
            self.db = Some(made?);
        }
        self.db.as_mut().ok_or(StoreError::Stopped)
    }

    fn works(&self) {
        if self.state.failing.swap(false, Ordering::Relaxed) {
            tracing::info!(server = %self.server, "the store works");
        }
    }

    fn failed(&mut self, e: &StoreError) {
        if !self.state.failing.swap(true, Ordering::Relaxed) {
            tracing::error!(server = %self.server, error = %e, "cannot store; answering 503 until it works again");
        } else if self.db.is_none() {
            tracing::debug!(server = %self.server, error = %e, "the store still fails");
        }
    }
}

/// Deliveries in one commit, and their bytes.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 8 << 20;
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(400);
