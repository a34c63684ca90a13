//! Scrapes: those that come while one is under way share its reading.

use crate::engine::Watch;
use crate::page::Reader;
use exporter::{Answer, Part, Refused, Scrape, Scraper};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Answers `/metrics`.
#[derive(Debug)]
pub(crate) struct Containers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    watch: Watch,
    reader: Mutex<Reader>,
    /// Who waits for the reading under way; `None` when there is none.
    waiting: Mutex<Option<Vec<oneshot::Sender<Part>>>>,
    /// The memory of the last page.
    spare: Mutex<Option<Part>>,
}

impl Containers {
    pub(crate) fn new(watch: Watch, reader: Reader) -> Self {
        Self(Arc::new(Shared { watch, reader: Mutex::new(reader), waiting: Mutex::default(), spare: Mutex::default() }))
    }

    /// Asks the engines once, so that the first scrape finds names. Must be called inside the async runtime.
    pub(crate) fn warm_up(&self) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            let _ = shared.watch.refresh(Instant::now() + WARM_UP).await;
        });
    }
}

impl Scraper for Containers {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(async move {
            let (sender, receiver) = oneshot::channel();
            let first = {
                let mut waiting = lock(&self.0.waiting);
                let first = waiting.is_none();
                waiting.get_or_insert_default().push(sender);
                first
            };
            if first {
                // Not bound to this request: others may wait for it.
                tokio::spawn(Arc::clone(&self.0).read(scrape.deadline));
            }
            let refused = |text: &str| Refused { status: 503, text: text.to_owned() };
            match tokio::time::timeout_at(scrape.deadline.into(), receiver).await {
                Ok(Ok(part)) => Ok(vec![part]),
                Ok(Err(_)) => Err(refused("reading the cgroups failed, see the log")),
                Err(_) => Err(refused("reading the cgroups takes longer than the scrape's deadline")),
            }
        })
    }

    fn recycle(&self, mut parts: Vec<Part>) {
        if let Some(mut part) = parts.pop() {
            part.clear();
            *lock(&self.0.spare) = Some(part);
        }
    }
}

impl Shared {
    async fn read(self: Arc<Self>, deadline: Instant) {
        let now = Instant::now();
        // Half of the time is for the reading itself.
        let half = now + deadline.saturating_duration_since(now) / 2;
        let known = self.watch.refresh(half).await;
        let this = Arc::clone(&self);
        let read = tokio::task::spawn_blocking(move || {
            let mut part = lock(&this.spare).take().unwrap_or_default();
            lock(&this.reader).read(&known, &mut part);
            part
        });
        let read = read.await;
        let mut waiting = lock(&self.waiting).take().unwrap_or_default();
        match read {
            Ok(part) => {
                // One whose scraper has hung up takes nothing.
                let last = waiting.pop();
                for sender in waiting {
                    let _ = sender.send(part.clone());
                }
                if let Some(last) = last {
                    let _ = last.send(part);
                }
            }
            Err(e) => tracing::error!(err = %e, "reading the cgroups panicked"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the first question may take before anybody asked.
const WARM_UP: Duration = Duration::from_secs(10);
