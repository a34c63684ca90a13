//! `/api/v1`: what people and programs ask of the history.

mod answer;
mod deliveries;

use axum::Router;
use axum::routing::get;

use crate::store::Store;
pub(crate) use answer::Problem;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
}

/// The routes.
pub(crate) fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/deliveries", get(deliveries::list))
        .route("/api/v1/deliveries/{id}", get(deliveries::one))
        .route("/api/v1/deliveries/{id}/raw", get(deliveries::raw))
        .route("/api/v1/invalid", get(deliveries::invalid))
        .route("/api/v1/invalid/{id}/raw", get(deliveries::invalid_raw))
        .with_state(api)
}
