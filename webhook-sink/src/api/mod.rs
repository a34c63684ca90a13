//! `/api/v1`: what people and programs ask of the history.

pub(crate) mod admin;
pub(crate) mod alerts;
mod answer;
mod deliveries;
pub(crate) mod outbox;
pub(crate) mod stream;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use service::Shutdown;
use tokio::sync::Semaphore;

use crate::deliver::live::Live;
use crate::deliver::replicas::Replicas;
use crate::secret::Token;
use crate::store::Store;
pub(crate) use answer::Problem;
use outbox::Wake;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) store: Store,
    /// Live connections that may still be opened.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) shutdown: Shutdown,
    pub(crate) live: Arc<Live>,
    /// What writing calls need to show; without it they are open to whoever may connect.
    pub(crate) admin_token: Option<Token>,
    pub(crate) wake: Wake,
    pub(crate) nudge: stream::Nudge,
    pub(crate) replicas: Replicas,
}

impl Api {
    pub(crate) fn new(
        store: Store,
        shutdown: Shutdown,
        live: Arc<Live>,
        admin_token: Option<Token>,
        replicas: Replicas,
    ) -> Self {
        let (streams, wake) = (Arc::new(Semaphore::new(STREAMS)), Wake::default());
        Self { store, streams, shutdown, live, admin_token, wake, nudge: stream::Nudge::default(), replicas }
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
        .route("/api/v1/audit", get(admin::audit_log))
        .route("/api/v1/deliveries/{id}/replay", post(outbox::replay_one))
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/outbox", get(outbox::list))
        .route("/api/v1/outbox/{id}/drop", post(outbox::drop_one))
        .route("/api/v1/outbox/{id}/retry", post(outbox::retry))
        .route("/api/v1/replicas", get(admin::replicas))
        .route("/api/v1/replay", post(outbox::replay_range))
        .route("/-/reload", post(admin::reload_now).put(admin::reload_now))
        .route("/login", post(admin::login))
        .route("/replay", post(outbox::replay_range_from_page))
        .route("/delivery/{id}/replay", post(outbox::replay_from_page))
        .route("/outbox/{id}/{action}", post(outbox::from_page))
        .route("/api/v1/stats", get(alerts::numbers))
        .route("/api/v1/stream", get(stream::events))
        .with_state(api)
}

async fn openapi() -> impl axum::response::IntoResponse {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], include_str!("../../assets/openapi.json"))
}

/// Live connections at a time; the rest of the connections is left to senders.
const STREAMS: usize = 128;

#[cfg(test)]
mod tests {
    /// What is routed under `/api` and `/-` stands in the description, and nothing else does but the receive paths.
    #[test]
    fn every_route_is_described() {
        let described: serde_json::Value =
            serde_json::from_str(include_str!("../../assets/openapi.json")).expect("the description is JSON");
        let described: Vec<&String> = described["paths"].as_object().expect("paths").keys().collect();
        let source = include_str!("mod.rs").split("#[cfg(test)]").next().unwrap_or_default();
        let routed: Vec<&str> = source.split(".route(\"").skip(1).filter_map(|r| r.split('"').next()).collect();
        assert!(routed.len() > 15, "{routed:?}");
        for path in routed.iter().filter(|p| p.starts_with("/api/") || p.starts_with("/-/")) {
            assert!(described.iter().any(|d| d == path), "{path} is not described");
        }
        let received = ["/alerts", "/alerts/{source}", "/events", "/raw/{source}"];
        for path in described {
            assert!(routed.contains(&path.as_str()) || received.contains(&path.as_str()), "{path} is not routed");
        }
    }
}
