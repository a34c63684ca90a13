//! Peers on a socket: an async fetch by the scrape's deadline, then a sync emit.

use crate::{Answer, Part, Scrape, Scraper};
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

/// One peer that is asked at each scrape.
pub trait Source: Send + Sync + 'static {
    /// What the peer said.
    type Snapshot: Send + 'static;

    /// Asks the peer; its own time-out comes on top of the scrape's deadline.
    fn fetch(&self, deadline: Instant) -> impl Future<Output = Result<Self::Snapshot, FetchError>> + Send;

    /// Emits what it said, or that it did not.
    fn emit(&self, snapshot: Result<&Self::Snapshot, &FetchError>, out: &mut Part);
}

/// Why a peer's numbers are missing. Its text holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Several peers of one kind, asked side by side: one that hangs costs only its own numbers.
#[derive(Debug)]
pub struct Peers<S>(Vec<Arc<S>>);

impl<S: Source> Peers<S> {
    /// These peers.
    pub fn new(peers: impl IntoIterator<Item = S>) -> Self {
        Self(peers.into_iter().map(Arc::new).collect())
    }
}

impl<S: Source> Scraper for Peers<S> {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(async move {
            let deadline = scrape.deadline;
            let asked: Vec<_> = self
                .0
                .iter()
                .map(|peer| {
                    let peer = Arc::clone(peer);
                    tokio::spawn(async move {
                        match tokio::time::timeout_at(deadline.into(), peer.fetch(deadline)).await {
                            Ok(result) => result,
                            Err(_) => Err(FetchError("no answer before the scrape's deadline".into())),
                        }
                    })
                })
                .collect();
            let mut part = Part::new();
            for (peer, asked) in self.0.iter().zip(asked) {
                let result = asked.await.unwrap_or_else(|e| Err(FetchError(format!("panicked: {e}"))));
                if let Err(e) = &result {
                    tracing::error!(err = %e, "scrape of the peer failed");
                }
                peer.emit(result.as_ref(), &mut part);
            }
            Ok(vec![part])
        })
    }
}
