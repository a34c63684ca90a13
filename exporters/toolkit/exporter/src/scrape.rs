//! What a scrape asks, and who answers it.

use exposition::Part;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// One request for metrics.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// The query's pairs, decoded, in order (`collect[]`, `exclude[]`, `target`, …).
    pub query: Vec<(String, String)>,
    /// When the answer must be on its way: from `X-Prometheus-Scrape-Timeout-Seconds`, less a margin.
    pub deadline: Instant,
    /// The scraper's own time-out in seconds where it sent one.
    pub timeout_seconds: Option<f64>,
}

impl Scrape {
    /// All values of one key.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }

    /// The first value of one key.
    pub fn first(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// A request that cannot be served as asked: status and one line of text.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub text: String,
}

/// A future that a [`Scraper`] answers with.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<Part>, Refused>> + Send + 'a>>;

/// Whoever turns a scrape into parts: a registry of collectors, or a service that asks a peer on a socket.
///
/// It must answer by `scrape.deadline` with what it has: a source that did not answer costs only its own samples.
pub trait Scraper: Send + Sync + 'static {
    /// Collects.
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a>;

    /// Takes the parts of an answered scrape back, for their memory.
    fn recycle(&self, parts: Vec<Part>) {
        drop(parts);
    }
}
