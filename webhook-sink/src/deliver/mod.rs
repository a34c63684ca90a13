//! Passing alerts on: routes, an outbox in the same database, and one worker a target.
//!
//! The outbox is written in the transaction that indexes a message, so a message is either not indexed yet or owed to
//! its targets. Before a worker sends, it writes durably that it is about to; after a crash in between nobody knows
//! whether the provider got it, and it is sent once more, marked as possibly repeated.

pub(crate) mod config;
mod email;
mod escape;
pub(crate) mod note;
mod provider;
pub(crate) mod route;
mod send;
pub(crate) mod watchdog;
mod worker;

use std::sync::Arc;

use service::Shutdown;

use crate::api::outbox::Wake;
use crate::metrics::Metrics;
use crate::store::Store;
use config::Config;
pub(crate) use provider::{Outcome, limit};

/// Starts a worker for each target, and the watch over what must keep coming.
pub(crate) fn start(config: &Arc<Config>, store: &Store, metrics: &Arc<Metrics>, shutdown: &Shutdown, wake: &Wake) {
    for at in 0..config.targets.len() {
        let worker = worker::Worker::new(
            Arc::clone(config),
            at,
            store.clone(),
            Arc::clone(metrics),
            shutdown.clone(),
            Arc::clone(wake),
        );
        tokio::spawn(worker.run());
    }
    if !config.watchdogs.is_empty() || config.failing_targets.is_some() {
        tokio::spawn(watchdog::watch(Arc::clone(config), store.clone(), shutdown.clone()));
    }
}
