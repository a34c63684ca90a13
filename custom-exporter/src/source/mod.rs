//! What the YAML file names: a question, when it is asked, and what became of it the last time.

mod children;
mod command;
mod file;
mod http;
mod sql;

pub(crate) use children::Children;
use children::Running;
pub(crate) use command::Command;
pub(crate) use file::File;
pub(crate) use http::{Http, HttpText};
pub(crate) use sql::{Server, Sql};

use crate::fault::Fault;
use crate::metric::{Metric, emit};
use crate::table::{Answer, Format, Table};
use exporter::{Desc, Part};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{Instant, timeout_at};

/// One entry of `sources`, checked.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) ask: Ask,
    pub(crate) format: Format,
    /// Asked this often; at each scrape if there is none.
    pub(crate) interval: Option<Duration>,
    /// An answer that is younger is good enough for a scrape.
    pub(crate) cache: Duration,
    pub(crate) timeout: Duration,
    pub(crate) max_rows: usize,
    pub(crate) max_bytes: usize,
    pub(crate) metrics: Vec<Metric>,
}

/// What is asked.
#[derive(Debug)]
pub(crate) enum Ask {
    Sql(Sql),
    Http(Box<Http>),
    Command(Command),
    File(File),
}

/// What was answered.
enum Said {
    Table(Table),
    Bytes(Vec<u8>),
}

/// A source and what its last run gave.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) spec: Spec,
    children: Arc<Children>,
    /// Held by the run under way: there is never more than one.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Its thread, for what cannot wait in other ways.
    thread: Thread,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Samples of the last run; none if it failed, for numbers of yesterday look like those of today.
    part: Part,
    /// The last run, once there was one.
    last: Option<Last>,
    success: Option<SystemTime>,
    errors: [u64; Fault::REASONS.len()],
}

/// How the last run went.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    finished: Instant,
    pub(crate) took: Duration,
    pub(crate) samples: usize,
    /// Reason and words.
    pub(crate) error: Option<(&'static str, String)>,
}

impl Source {
    /// A source that has not been asked; counters go on where `before`, of the same name, had come to.
    pub(crate) fn new(spec: Spec, children: Arc<Children>, before: Option<&Self>) -> Arc<Self> {
        let before = before.map(Self::state);
        let (success, errors) = before.map_or((None, [0; _]), |b| (b.success, b.errors));
        let state = Mutex::new(State { success, errors, ..State::default() });
        Arc::new(Self { spec, children, turn: Arc::default(), thread: Thread::default(), state })
    }

    /// Makes the numbers new, unless they are new enough. Whoever comes while a run is under way waits for that one.
    pub(crate) async fn refresh(self: &Arc<Self>, deadline: Instant) {
        let asked = Instant::now();
        let Ok(turn) = timeout_at(deadline, Arc::clone(&self.turn).lock_owned()).await else { return };
        let fresh = |last: &Last| last.finished >= asked || last.finished.elapsed() < self.spec.cache;
        if self.last().is_some_and(|last| fresh(&last)) {
            return;
        }
        let source = Arc::clone(self);
        let deadline = deadline.min(Instant::now() + self.spec.timeout);
        // A task of its own: a scraper that hangs up does not leave a run half done.
        let run = tokio::spawn(async move {
            let began = Instant::now();
            let mut left = None;
            let result = source.run(deadline, &mut left).await;
            source.finish(result, began, deadline);
            // Nobody waits for the end of what was cut off, but for the next run.
            if let Some(child) = left {
                source.children.bury(child).await;
            }
            drop(turn);
        });
        drop(timeout_at(deadline + 2 * GRACE, run).await);
    }

    async fn run(self: &Arc<Self>, deadline: Instant, left: &mut Option<Running>) -> Result<Part, Fault> {
        let spec = &self.spec;
        let said = match &spec.ask {
            Ask::Sql(sql) => Said::Table(sql.ask(&self.thread, deadline, spec.max_rows, spec.max_bytes).await?),
            Ask::Http(http) => Said::Bytes(http.ask(&self.thread, deadline).await?),
            Ask::Command(run) => Said::Bytes(run.ask(&self.children, deadline, spec.max_bytes, left).await?),
            Ask::File(file) => Said::Bytes(file.ask(&self.thread, deadline, spec.max_bytes).await?),
        };
        // Megabytes take their time to be read: not on the thread that serves.
        let source = Arc::clone(self);
        let read = move || {
            let mut part = Part::new();
            let answer = match said {
                Said::Table(table) => Answer::Table(table),
                Said::Bytes(bytes) => source.spec.format.read(&bytes)?,
            };
            emit(&answer, &source.spec.metrics, source.spec.max_rows, &mut part).map(|()| part)
        };
        self.thread.run(deadline + GRACE, read).await
    }

    fn finish(&self, result: Result<Part, Fault>, began: Instant, deadline: Instant) {
        let mut state = self.state();
        let before = state.last.as_ref().and_then(|last| last.error.as_ref()).map(|(reason, _)| *reason);
        let (name, took) = (&self.spec.name, began.elapsed());
        let error = match result {
            Ok(part) => {
                state.part = part;
                state.success = Some(SystemTime::now());
                if before.is_some() {
                    tracing::info!(name, "source works again");
                }
                None
            }
            Err(fault) => {
                state.part.clear();
                state.errors[fault.reason()] += 1;
                let (reason, mut text) = (Fault::REASONS[fault.reason()], fault.to_string());
                if matches!(fault, Fault::Timeout) {
                    text = format!("no answer within {:.1} s", (deadline - began).as_secs_f64());
                }
                // An error is told once, not once a scrape; the landing page has its newest words.
                if before != Some(reason) {
                    tracing::error!(name, reason, err = text, "source failed");
                }
                Some((reason, text))
            }
        };
        state.last = Some(Last { finished: Instant::now(), took, samples: state.part.len(), error });
    }

    /// How the last run went.
    pub(crate) fn last(&self) -> Option<Last> {
        self.state().last.clone()
    }

    /// The samples of the last run, and how it went into `own`.
    pub(crate) fn emit(&self, own: &mut Part) -> Part {
        let state = self.state();
        let labels = [("source", self.spec.name.as_bytes())];
        for (reason, count) in Fault::REASONS.iter().zip(state.errors) {
            let labels = [("reason", reason.as_bytes()), labels[0]];
            own.family(&ERRORS).sample(&labels, count);
        }
        if let Some(at) = state.success.and_then(|at| at.duration_since(UNIX_EPOCH).ok()) {
            own.family(&LAST_SUCCESS).sample(&labels, at.as_secs_f64());
        }
        if let Some(last) = &state.last {
            own.family(&UP).sample(&labels, last.error.is_none());
            own.family(&DURATION).sample(&labels, last.took.as_secs_f64());
            own.family(&SAMPLES).sample(&labels, last.samples);
        }
        state.part.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Work that blocks, one piece at a time: a file system that hangs takes one thread of ours, not one a scrape.
#[derive(Debug, Default)]
pub(crate) struct Thread(Arc<tokio::sync::Mutex<()>>);

impl Thread {
    async fn run<T, F>(&self, deadline: Instant, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T, Fault> + Send + 'static,
    {
        let held = Arc::clone(&self.0).try_lock_owned();
        let held = held.map_err(|_| Fault::Connect("an earlier run still hangs".to_owned()))?;
        let work = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(held);
            result
        });
        match timeout_at(deadline, work).await {
            Ok(done) => done.unwrap_or_else(|e| Err(Fault::Parse(format!("panicked: {e}")))),
            Err(_) => Err(Fault::Timeout),
        }
    }
}

const UP: Desc = Desc::gauge("custom_exporter_source_up", "Whether the last run of a source worked");
const ERRORS: Desc = Desc::counter("custom_exporter_source_errors_total", "Runs of a source that failed");
const DURATION: Desc = Desc::gauge("custom_exporter_source_duration_seconds", "How long the last run of a source took");
const SAMPLES: Desc = Desc::gauge("custom_exporter_source_samples", "Samples that the last run of a source gave");
const LAST_SUCCESS: Desc = Desc::gauge(
    "custom_exporter_source_last_success_timestamp_seconds",
    "When a source worked last, in seconds since 1970",
);

/// What a run may need beyond its deadline to say that it has passed.
const GRACE: Duration = Duration::from_millis(100);
