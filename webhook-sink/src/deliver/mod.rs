//! Passing alerts on: routes, an outbox in the same database, and one worker a target.
//!
//! The outbox is written in the transaction that indexes a message, so a message is either not indexed yet or owed to
//! its targets. Before a worker sends, it writes durably that it is about to; after a crash in between nobody knows
//! whether the provider got it, and it is sent once more, marked as possibly repeated.

pub(crate) mod config;
mod crew;
mod email;
mod escape;
pub(crate) mod functions;
mod layout;
pub(crate) mod live;
pub(crate) mod note;
mod provider;
pub(crate) mod replicas;
pub(crate) mod route;
mod send;
pub(crate) mod watchdog;
mod worker;

use std::sync::Arc;

use service::Shutdown;

use crate::api::outbox::Wake;
use crate::metrics::Metrics;
use crate::store::Store;
use live::Live;
pub(crate) use provider::{Outcome, limit};

/// Starts the workers, and the watch over what must keep coming.
pub(crate) fn start(
    live: &Live,
    store: &Store,
    metrics: &Arc<Metrics>,
    shutdown: &Shutdown,
    wake: &Wake,
    external: &str,
) {
    let metrics = Arc::clone(metrics);
    tokio::spawn(crew::run(
        live.current(),
        store.clone(),
        metrics,
        shutdown.clone(),
        Arc::clone(wake),
        external.into(),
    ));
    tokio::spawn(watchdog::watch(live.current(), store.clone(), shutdown.clone()));
}
