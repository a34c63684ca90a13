//! Serving an app on sockets until it is told to stop.

use crate::app::{App, StartError};
use crate::connection;
use crate::connections::{Connections, Limits};
use crate::landing;
use crate::listen::Listener;
use crate::logs::Quota;
use crate::shutdown::Shutdown;
use crate::web::WebConfig;
use axum::Router;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How an app is served.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What the health addresses call it.
    pub name: String,
    /// Time-outs and caps.
    pub limits: Limits,
    /// TLS, logins, headers and rate limit.
    pub web: Option<Arc<WebConfig>>,
}

/// What all connections of a service share.
pub(crate) struct Shared {
    pub(crate) router: Router,
    pub(crate) web: Option<Arc<WebConfig>>,
    pub(crate) connections: Arc<Connections>,
    /// Handshakes that fail are worth a line, not a disk full of them.
    pub(crate) complaints: Quota,
    pub(crate) shutdown: Shutdown,
    /// Whether a path that is not clean is redirected, as Go's mux does.
    pub(crate) redirects: bool,
}

impl Shared {
    pub(crate) fn limits(&self) -> &Limits {
        self.connections.limits()
    }
}

/// Serves `app` on `listeners` until `shutdown`, then finishes the requests under way, for a bounded time.
pub async fn serve(listeners: Vec<Listener>, app: App, config: Config, shutdown: Shutdown) -> Result<(), StartError> {
    let App { router, landing, ready, before, after, redirects, .. } = app;
    if let Some(work) = before {
        work.await?;
    }
    let connections = Connections::new(config.limits);
    let shared = Arc::new(Shared {
        router: landing::routes(router, landing, &config.name, ready),
        web: config.web,
        connections: Arc::clone(&connections),
        complaints: Quota::per_minute(10),
        shutdown: shutdown.clone(),
        redirects,
    });
    let watch = {
        let connections = Arc::clone(&connections);
        tokio::spawn(async move { connections.watch().await })
    };
    crate::sys::release_start_pages();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, Arc::clone(&shared)));
    }
    shutdown.requested().await;
    // The sockets close with their tasks: a successor can bind while the last answers go out.
    accepting.shutdown().await;
    let drain = connections.limits().drain;
    if tokio::time::timeout(drain, connections.all_ended()).await.is_err() {
        tracing::warn!(seconds = drain.as_secs(), "Requests under way were cut off");
        connections.abort_all();
    }
    watch.abort();
    if let Some(work) = after
        && tokio::time::timeout(drain, work).await.is_err()
    {
        tracing::warn!(seconds = drain.as_secs(), "Work after the last request was cut off");
    }
    Ok(())
}

async fn accept(listener: Listener, shared: Arc<Shared>) {
    let complaints = Quota::per_minute(5);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if let Some(suppressed) = complaints.take() {
                    tracing::warn!(address = listener.address(), err = %error, suppressed, "Accept failed");
                }
                // Out of descriptors: one that waits is worth less than the one that comes.
                shared.connections.evict_one();
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(place) = shared.connections.admit() else {
            if let Some(suppressed) = complaints.take() {
                tracing::warn!(peer, suppressed, "Too many connections, all of them busy");
            }
            continue;
        };
        let slot = Arc::clone(&place.slot);
        let task = tokio::spawn(connection::run(stream, peer, Arc::clone(&shared), place));
        slot.runs_as(task.abort_handle());
    }
}
