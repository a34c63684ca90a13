//! The program: its flags, one page from two halves, and a new configuration without a restart.

use crate::config;
use crate::source::{Children, Source};
use crate::system;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use exporter::{Answer, Desc, Flag, Flags, Part, Program, Refused, Registry, Scrape, Scraper, Served, StartError};
use exposition::Page;
use service::{Command, Setup, escape};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};

const CONFIG_FILE: Flag = Flag::text(
    "config.file",
    "",
    "YAML file with metrics from SQL, HTTP, commands and files; without it there are none.",
);
const CONFIG_CHECK: Flag = Flag::switch("config.check", "Check --config.file and end.");

/// The program as its user sees it.
pub(crate) fn program() -> Program {
    Program::new("custom_exporter", "Custom Exporter", "Metrics of your own, beginning with this system's.", ":8000")
        .flags([&CONFIG_FILE, &CONFIG_CHECK])
        .flags(system::flags())
        .command(Command::new("try", "Ask each source of --config.file once and print its metrics.", |flags, _| {
            try_once(flags).unwrap_or_else(|e| {
                let _ = writeln!(std::io::stderr(), "error: {e}");
                ExitCode::FAILURE
            })
        }))
}

/// Makes what is served from the flags.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    let exporter = Arc::new(Exporter::new(&setup.flags)?);
    if setup.flags.on(CONFIG_CHECK.name) {
        tracing::info!(sources = exporter.set().sources.len(), "the configuration is good");
        std::process::exit(0);
    }
    exporter.set().start();

    let on_signal = Arc::clone(&exporter);
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| StartError::new(format_args!("signal handler: {e}")))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            drop(on_signal.reload());
        }
    });

    let (on_request, on_page) = (Arc::clone(&exporter), Arc::clone(&exporter));
    let reload = move || {
        let result = on_request.reload();
        async move { result.map_err(|e| (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n"))) }
    };
    let mut served = Served::new(exporter);
    served.routes = Router::new().route("/-/reload", post(reload.clone()).put(reload));
    served.state = Some(Arc::new(move || on_page.table()));
    Ok(served)
}

/// All that is asked.
struct Exporter {
    system: Registry,
    file: Option<PathBuf>,
    children: Arc<Children>,
    set: Mutex<Arc<Set>>,
    reloaded: Mutex<Reloaded>,
}

/// The sources of one reading of the file; those with an interval are asked until this is dropped.
#[derive(Debug, Default)]
struct Set {
    sources: Vec<Arc<Source>>,
    clocks: Mutex<Vec<AbortHandle>>,
}

#[derive(Clone, Copy, Debug)]
struct Reloaded {
    good: bool,
    at: SystemTime,
}

impl Exporter {
    fn new(flags: &Flags) -> Result<Self, StartError> {
        let system = system::registry(flags).map_err(|e| StartError::new(&e))?;
        let children = Children::new().map_err(|e| StartError::new(format_args!("prctl: {e}")))?;
        let file = Some(flags.text(CONFIG_FILE.name)).filter(|name| !name.is_empty()).map(PathBuf::from);
        let exporter = Self {
            system,
            file,
            children: Arc::new(children),
            set: Mutex::default(),
            reloaded: Mutex::new(Reloaded { good: true, at: SystemTime::now() }),
        };
        if let Some(file) = &exporter.file {
            let set = exporter.read(file).map_err(|e| StartError::new(format_args!("--config.file: {e}")))?;
            *lock(&exporter.set) = Arc::new(set);
        }
        Ok(exporter)
    }

    /// The file anew; a source that keeps its name keeps its counters.
    fn read(&self, file: &Path) -> Result<Set, service::yaml::YamlError> {
        let before = self.set();
        let specs = config::load(file)?;
        let sources = specs.into_iter().map(|spec| {
            let same = before.sources.iter().find(|s| s.spec.name == spec.name);
            Source::new(spec, Arc::clone(&self.children), same.map(|s| &**s))
        });
        Ok(Set { sources: sources.collect(), clocks: Mutex::default() })
    }

    /// A file that is wrong changes nothing but the metric that says so.
    fn reload(&self) -> Result<(), String> {
        let Some(file) = &self.file else { return Err("there is no --config.file to read".to_owned()) };
        let result = self.read(file);
        let good = result.is_ok();
        match result {
            Ok(set) => {
                tracing::info!(sources = set.sources.len(), "configuration read");
                let set = Arc::new(set);
                set.start();
                *lock(&self.set) = set;
                *lock(&self.reloaded) = Reloaded { good, at: SystemTime::now() };
                Ok(())
            }
            Err(e) => {
                tracing::error!(err = %e, "configuration left as it was");
                lock(&self.reloaded).good = false;
                Err(e.to_string())
            }
        }
    }

    /// `collect[]` and `exclude[]` take the names of sources as they take those of collectors.
    fn choose(set: &Set, scrape: &Scrape) -> (Option<Scrape>, Vec<Arc<Source>>) {
        let named = |key: &str, source: &Source| scrape.all(key).any(|name| name == source.spec.name);
        if scrape.first("collect[]").is_none() {
            let sources = set.sources.iter().filter(|s| !named("exclude[]", s)).cloned();
            return (Some(scrape.clone()), sources.collect());
        }
        let sources: Vec<_> = set.sources.iter().filter(|s| named("collect[]", s)).cloned().collect();
        let mut rest = scrape.clone();
        rest.query.retain(|(key, name)| key != "collect[]" || !sources.iter().any(|s| s.spec.name == *name));
        (rest.first("collect[]").is_some().then_some(rest), sources)
    }

    async fn answer(&self, scrape: &Scrape) -> Result<Vec<Part>, Refused> {
        let set = self.set();
        let (system, sources) = Self::choose(&set, scrape);
        // All at once: the slowest says how long it takes.
        let deadline = Instant::from_std(scrape.deadline) - MARGIN;
        let at_scrape = sources.iter().filter(|s| s.spec.interval.is_none()).cloned();
        let asked: Vec<_> = at_scrape.map(|s| tokio::spawn(async move { s.refresh(deadline).await })).collect();
        let mut parts = match &system {
            Some(scrape) => self.system.scrape(scrape).await?,
            None => Vec::new(),
        };
        for task in asked {
            drop(task.await);
        }
        let mut own = Part::new();
        if self.file.is_some() {
            let Reloaded { good, at } = *lock(&self.reloaded);
            own.family(&RELOAD_GOOD).sample(&[], good);
            own.family(&RELOAD_TIME).sample(&[], at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        }
        let samples: Vec<Part> = sources.iter().map(|source| source.emit(&mut own)).collect();
        parts.push(own);
        parts.extend(samples);
        Ok(parts)
    }

    fn set(&self) -> Arc<Set> {
        Arc::clone(&lock(&self.set))
    }

    /// The table of the landing page.
    fn table(&self) -> String {
        let mut out = String::from(
            "<h3>Sources</h3><table><tr><th>source</th><th>last run</th><th>samples</th><th>last error</th></tr>",
        );
        let mut row = |name: &str, took: Duration, samples: usize, error: Option<&str>| {
            let (name, error) = (escape(name), escape(error.unwrap_or_default()));
            let took = took.as_secs_f64() * 1e3;
            // A String takes whatever is written to it.
            let _ = write!(out, "<tr><td>{name}</td><td>{took:.2} ms</td><td>{samples}</td><td>{error}</td></tr>");
        };
        for state in self.system.states() {
            if let Some(last) = state.last {
                row(state.entry.name, last.took, last.samples, last.error.as_deref());
            }
        }
        for source in &self.set().sources {
            if let Some(last) = source.last() {
                row(&source.spec.name, last.took, last.samples, last.error.as_ref().map(|(_, text)| text.as_str()));
            }
        }
        out.push_str("</table>");
        out
    }
}

impl Scraper for Exporter {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(self.answer(scrape))
    }

    fn recycle(&self, mut parts: Vec<Part>) {
        // The collectors' parts stand in front, and one with how they went.
        parts.truncate(self.system.states().len() + 1);
        self.system.recycle(parts);
    }
}

impl Set {
    /// Begins to ask the sources that have an interval.
    fn start(&self) {
        for source in &self.sources {
            let Some(interval) = source.spec.interval else { continue };
            let source = Arc::clone(source);
            let clock = tokio::spawn(async move {
                let mut ticks = tokio::time::interval(interval);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    ticks.tick().await;
                    source.refresh(Instant::now() + source.spec.timeout).await;
                }
            });
            lock(&self.clocks).push(clock.abort_handle());
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        lock(&self.clocks).iter().for_each(AbortHandle::abort);
    }
}

/// `try`: each source once, side by side.
fn try_once(flags: &Flags) -> Result<ExitCode, String> {
    let exporter = Exporter::new(flags).map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let set = exporter.set();
    runtime.block_on(async {
        let run = |s: Arc<Source>| tokio::spawn(async move { s.refresh(Instant::now() + s.spec.timeout).await });
        let runs: Vec<_> = set.sources.iter().cloned().map(run).collect();
        for run in runs {
            drop(run.await);
        }
    });
    let mut own = Part::new();
    let (page, conflicts) = Page::merge(set.sources.iter().map(|source| source.emit(&mut own)).collect());
    let mut text = Vec::new();
    page.write_text(&mut text);
    let _ = std::io::stdout().write_all(&text);
    for conflict in &conflicts {
        let _ = writeln!(std::io::stderr(), "left out: {conflict}");
    }
    // What failed stands in the log.
    let good = set.sources.iter().all(|s| s.last().is_some_and(|last| last.error.is_none()));
    Ok(if good && conflicts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const RELOAD_GOOD: Desc = Desc::gauge(
    "custom_exporter_config_last_reload_successful",
    "Whether the configuration file was good when it was last read",
);
const RELOAD_TIME: Desc = Desc::gauge(
    "custom_exporter_config_last_reload_success_timestamp_seconds",
    "When a good configuration was last read, in seconds since 1970",
);
/// What is left of a scrape's time once the sources had theirs.
const MARGIN: Duration = Duration::from_millis(250);
