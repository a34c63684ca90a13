//! What the engines run, kept up to date at scrapes. A scrape waits for an engine up to a time-out; one that let it wait
//! that long is not waited for again until it has answered.

use super::answer::{Inspected, Listed};
use super::api::ApiError;
use super::{Container, Engine, Labelling, Source};
use hostfs::{Buf, Sources};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// All engines of a host.
#[derive(Debug)]
pub(crate) struct Watch {
    engines: Vec<Arc<Watched>>,
    timeout: Duration,
}

/// What is known at one time.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) containers: Vec<Arc<Container>>,
    /// Of the first engine that has one.
    pub(crate) version: String,
}

#[derive(Debug)]
struct Watched {
    source: Source,
    labelling: Labelling,
    sources: Sources,
    /// Held while a question is on its way.
    busy: Arc<tokio::sync::Mutex<()>>,
    /// The last question was not answered in time.
    slow: AtomicBool,
    containers: Mutex<Vec<Arc<Container>>>,
    /// What was said of the last failure, to say it once.
    failure: Mutex<Option<String>>,
}

impl Watch {
    pub(crate) fn new(engines: Vec<Source>, labelling: &Labelling, sources: &Sources, timeout: Duration) -> Self {
        let watched = |source| {
            Arc::new(Watched {
                source,
                labelling: labelling.clone(),
                sources: sources.clone(),
                busy: Arc::default(),
                slow: AtomicBool::new(false),
                containers: Mutex::default(),
                failure: Mutex::default(),
            })
        };
        Self { engines: engines.into_iter().map(watched).collect(), timeout }
    }

    /// Asks all engines, and returns what is known when they have answered or the time is up.
    pub(crate) async fn refresh(&self, deadline: Instant) -> Known {
        let end = deadline.min(Instant::now() + self.timeout);
        // All are asked before any is waited for.
        let asked: Vec<_> = self.engines.iter().filter(|w| w.ask()).collect();
        for watched in asked {
            if watched.slow.load(Ordering::Relaxed) {
                continue;
            }
            // An answer that an earlier scrape asked for will do.
            if tokio::time::timeout_at(end.into(), watched.busy.lock()).await.is_err() {
                watched.slow.store(true, Ordering::Relaxed);
                watched.failed(format!("no answer within {:.1} s", self.timeout.as_secs_f64()));
            }
        }
        let mut known = Known::default();
        for watched in &self.engines {
            let containers = lock(&watched.containers);
            if known.containers.is_empty() {
                known.containers.extend_from_slice(&containers);
            } else if !containers.is_empty() {
                // One that two engines know is what the first of them says.
                let ids: HashSet<&str> = known.containers.iter().map(|c| c.id.as_str()).collect();
                let more: Vec<_> = containers.iter().filter(|c| !ids.contains(c.id.as_str())).map(Arc::clone).collect();
                known.containers.extend(more);
            }
            if known.version.is_empty() {
                known.version = watched.source.version().unwrap_or_default();
            }
        }
        known
    }

    /// Each engine, how many containers it told of, and what went wrong last.
    pub(crate) fn told(&self) -> impl Iterator<Item = (&Source, usize, Option<String>)> {
        self.engines.iter().map(|w| (&w.source, lock(&w.containers).len(), lock(&w.failure).clone()))
    }
}

impl Watched {
    /// Starts to ask, unless a question is still on its way. Whether an answer may come.
    fn ask(self: &Arc<Self>) -> bool {
        if !self.source.may_be_there() {
            // Gone with all that it ran.
            lock(&self.containers).clear();
            return false;
        }
        let Ok(busy) = Arc::clone(&self.busy).try_lock_owned() else { return true };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            match this.update().await {
                Ok(()) => {
                    this.slow.store(false, Ordering::Relaxed);
                    if lock(&this.failure).take().is_some() {
                        tracing::info!(engine = this.source.shown(), "engine answers again");
                    }
                }
                Err(e) => this.failed(e.to_string()),
            }
            drop(busy);
        });
        true
    }

    fn failed(&self, what: String) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            let engine = self.source.shown();
            tracing::warn!(engine, err = what, "no metadata from the engine, cgroups are shown by what is known");
        }
        *failure = Some(what);
    }

    async fn update(self: &Arc<Self>) -> Result<(), ApiError> {
        let deadline = Instant::now() + PATIENCE;
        if let Source::Docker(engine) = &self.source {
            return self.update_from(engine, deadline).await;
        }
        let described = self.source.running(deadline).await?;
        let this = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let (mut buf, old) = (Buf::new(), this.by_id());
            let container = |d: &_| Arc::new(Container::described(d, &this.labelling, &this.sources, &mut Buf::new()));
            let containers = described.iter().map(|d| {
                let known = old.get(&d.id).filter(|c| c.is_as(d, &mut buf));
                known.map_or_else(|| container(d), Arc::clone)
            });
            let containers = containers.collect();
            *lock(&this.containers) = containers;
        });
        work.await.map_err(|e| ApiError::Rpc { method: "taking the list over", what: format!("panicked: {e}") })
    }

    async fn update_from(self: &Arc<Self>, engine: &Engine, deadline: Instant) -> Result<(), ApiError> {
        let body = engine.list(deadline).await?;
        let this = Arc::clone(self);
        let list = body.clone();
        let wrong = |source| ApiError::Json { path: "/containers/json".into(), source };
        let unknown = blocking(move || this.compare(&list)).await.map_err(wrong)?;
        if unknown.is_empty() {
            return Ok(());
        }
        let mut inspected: HashMap<String, Inspected> = HashMap::with_capacity(unknown.len());
        for id in unknown {
            if let Some(all) = engine.inspect(&id, deadline).await? {
                inspected.insert(id, all);
            }
        }
        let this = Arc::clone(self);
        blocking(move || this.complete(&body, inspected)).await.map_err(wrong)
    }

    /// Takes the list over; returns the ids of those that have to be inspected.
    fn compare(&self, body: &[u8]) -> Result<Vec<String>, serde_json::Error> {
        let list: Vec<Listed<'_>> = serde_json::from_slice(body)?;
        let mut buf = Buf::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        let old = self.by_id();
        let mut unknown = Vec::new();
        let mut containers = Vec::with_capacity(list.len());
        for listed in &list {
            if let Some(known) = old.get(&*listed.id).filter(|c| c.is_still(listed, now, &mut buf)) {
                containers.push(Arc::clone(known));
                continue;
            }
            unknown.push(listed.id.clone().into_owned());
            // Until it is inspected: name, image and labels, and the cgroup by its name.
            containers.push(Arc::new(Container::new(listed, None, &self.labelling, &self.sources, &mut buf)));
        }
        *lock(&self.containers) = containers;
        Ok(unknown)
    }

    /// Takes inspections over.
    fn complete(&self, body: &[u8], mut inspected: HashMap<String, Inspected>) -> Result<(), serde_json::Error> {
        let list: Vec<Listed<'_>> = serde_json::from_slice(body)?;
        let mut buf = Buf::new();
        let mut known = self.by_id();
        let containers = list.iter().filter_map(|listed| match inspected.remove(&*listed.id) {
            Some(all) => Some(Arc::new(Container::new(listed, Some(all), &self.labelling, &self.sources, &mut buf))),
            None => known.remove(&*listed.id).filter(|c| c.complete),
        });
        let containers = containers.collect();
        *lock(&self.containers) = containers;
        Ok(())
    }

    fn by_id(&self) -> HashMap<String, Arc<Container>> {
        lock(&self.containers).iter().map(|c| (c.id.clone(), Arc::clone(c))).collect()
    }
}

/// Runs what reads many files beside the async thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, serde_json::Error> + Send + 'static,
) -> Result<T, serde_json::Error> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|e| Err(serde::de::Error::custom(format_args!("panicked: {e}"))))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long a question may go on behind the scrapes.
const PATIENCE: Duration = Duration::from_secs(30);
