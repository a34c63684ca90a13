//! `/api/v1`: what people and programs ask of the history.

pub(crate) mod alerts;
mod answer;
mod deliveries;
mod stream;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use service::Shutdown;
use tokio::sync::Semaphore;

use crate::store::Store;
pub(crate) use answer::Problem;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    /// Live connections that may still be opened.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
}

impl Api {
    pub(crate) fn new(store: Store, shutdown: Shutdown) -> Self {
        Self { store, streams: Arc::new(Semaphore::new(STREAMS)), shutdown }
    }
}

/// The routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/alerts", get(alerts::list))
        .route("/api/v1/alerts/{fingerprint}", get(alerts::history))
        .route("/api/v1/deliveries", get(deliveries::list))
        .route("/api/v1/deliveries/{id}", get(deliveries::one))
        .route("/api/v1/deliveries/{id}/raw", get(deliveries::raw))
        .route("/api/v1/export", get(stream::export))
        .route("/api/v1/groups", get(alerts::group_list))
        .route("/api/v1/invalid", get(deliveries::invalid))
        .route("/api/v1/invalid/{id}/raw", get(deliveries::invalid_raw))
        .route("/api/v1/labels", get(alerts::labels))
        .route("/api/v1/stats", get(alerts::numbers))
        .route("/api/v1/stream", get(stream::events))
        .with_state(api)
}

/// Live connections at a time; the rest of the connections is left to senders.
const STREAMS: usize = 128;
