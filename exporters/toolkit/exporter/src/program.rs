//! An exporter as a whole program: flags, subcommands, `/metrics`, landing page.

use crate::metrics::Metrics;
use crate::own::Own;
use crate::registry::{Naming, Registry, entry_flags};
use crate::{BuildError, Entry, Scraper, report};
use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use exposition::Part;
use hostfs::Sources;
use service::{App, Command, Flag, FlagKind, Flags, Landing, Program, Setup, StartError};
use std::io::Write as _;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Where metrics are served.
pub const TELEMETRY_PATH: Flag = Flag::text("web.telemetry-path", "/metrics", "Path under which to expose metrics.");
/// How many scrapes at once.
pub const MAX_REQUESTS: Flag = Flag::new(
    "web.max-requests",
    FlagKind::Integer,
    "40",
    "Maximum number of parallel scrape requests. Use 0 to disable.",
);
/// Whether the exporter tells of itself.
pub const DISABLE_EXPORTER_METRICS: Flag =
    Flag::switch("web.disable-exporter-metrics", "Exclude metrics about the exporter itself (promhttp_*, process_*).");
/// Whether OpenMetrics is spoken: it renames counters, so a drop-in does not by default.
pub const ENABLE_OPENMETRICS: Flag =
    Flag::switch("web.enable-openmetrics", "Answer in OpenMetrics where the scraper prefers it.");

const FLAGS: &[&Flag] = &[&TELEMETRY_PATH, &MAX_REQUESTS, &DISABLE_EXPORTER_METRICS, &ENABLE_OPENMETRICS];

/// What an exporter that asks a peer is made of.
pub struct Served {
    /// Answers `/metrics`.
    pub scraper: Arc<dyn Scraper>,
    /// More paths that answer with metrics, without the exporter's own (`/probe`).
    pub probes: Vec<(&'static str, Arc<dyn Scraper>)>,
    /// Instruments of its own, shown on `/metrics`.
    pub instruments: prometheus_client::registry::Registry,
    /// Routes besides.
    pub routes: Router,
    /// What the landing page says of its state, as HTML.
    pub state: Option<Arc<dyn Fn() -> String + Send + Sync>>,
    /// Whether it can do its work now, for `/-/ready`; always where it is `None`.
    pub ready: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    /// What is left to do after the last request.
    pub after: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// How it is served where no `--web.config.file` is given.
    pub web: Option<service::WebConfig>,
}

impl Served {
    /// An exporter with `/metrics` alone.
    pub fn new(scraper: Arc<dyn Scraper>) -> Self {
        Self {
            scraper,
            probes: Vec::new(),
            instruments: prometheus_client::registry::Registry::default(),
            routes: Router::new(),
            state: None,
            ready: None,
            after: None,
            web: None,
        }
    }
}

impl std::fmt::Debug for Served {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Served").finish_non_exhaustive()
    }
}

/// Runs an exporter that asks a peer: `build` makes it from its flags.
pub fn run<F>(program: Program, build: F) -> ExitCode
where
    F: FnOnce(&Setup) -> Result<Served, StartError>,
{
    let program = with_docs(program.flags(FLAGS.iter().copied()), &[]);
    let (name, title, about) = (program.name, program.title, program.about);
    service::run(program, |setup| {
        let served = build(setup)?;
        app(name, title, about, setup, served)
    })
}

/// An exporter that reads this host through a slice of collectors.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// All its collectors.
    pub entries: &'static [Entry],
    /// The flag that switches one on and off, such as `collector.NAME`.
    pub switch: fn(&Entry) -> String,
    /// The switch that turns all defaults off, if it has one.
    pub disable_defaults: Option<&'static str>,
    /// The roots, from the flags.
    pub sources: fn(&Flags) -> Result<Sources, BuildError>,
    /// The families that tell of each collector.
    pub naming: Naming,
}

impl Host {
    fn registry(&self, flags: &Flags) -> Result<Registry, BuildError> {
        let disable = self.disable_defaults.is_some_and(|name| flags.on(name));
        Registry::new(self.entries, self.switch, flags, disable, (self.sources)(flags)?, self.naming)
    }

    /// With every collector on that can be built, for `doctor`.
    fn whole_registry(&self, flags: &Flags) -> Result<Registry, BuildError> {
        Registry::all(self.entries, flags, (self.sources)(flags)?, self.naming)
    }
}

/// Runs an exporter that reads this host.
pub fn run_host(program: Program, host: Host) -> ExitCode {
    let switches: Vec<&'static Flag> =
        entry_flags(host.entries, host.switch).into_iter().map(|f| &*Box::leak(Box::new(f))).collect();
    let program = program
        .flags(switches)
        .flags(FLAGS.iter().copied())
        .command(Command::new("doctor", "Say, collector by collector, whether it would work here.", move |flags, _| {
            finish(host.whole_registry(flags).map(|all| report::doctor(&all, |e| flags.on(&(host.switch)(e)))))
        }))
        .command(Command::new(
            "collectors",
            "List what is on, what it reads and what it costs here.",
            move |flags, _| finish(host.registry(flags).map(|on| (report::collectors(&on), true))),
        ));
    let program = with_docs(program, host.entries);
    let (name, title, about) = (program.name, program.title, program.about);
    service::run(program, |setup| {
        let registry = Arc::new(host.registry(&setup.flags).map_err(|e| StartError::new(&e))?);
        let mut served = Served::new(Arc::clone(&registry) as Arc<dyn Scraper>);
        served.state = Some(Arc::new(move || report::landing_table(&registry, host.entries)));
        app(name, title, about, setup, served)
    })
}

fn app(name: &str, title: &str, about: &str, setup: &Setup, served: Served) -> Result<App, StartError> {
    let flags = &setup.flags;
    let path = flags.text(TELEMETRY_PATH.name).to_owned();
    if !path.starts_with('/') || path.contains(['{', '}', '*', '?', '#']) {
        return Err(StartError::new(format!("--{}={path:?}: expected a path that starts with /", TELEMETRY_PATH.name)));
    }
    let metrics = Arc::new(Metrics {
        own: Own::new(served.instruments, name, setup.version),
        max_requests: flags.integer(MAX_REQUESTS.name),
        own_shown: !flags.on(DISABLE_EXPORTER_METRICS.name),
        openmetrics: flags.on(ENABLE_OPENMETRICS.name),
        spare: Mutex::default(),
    });
    let mut router = served.routes;
    for (probe, scraper) in served.probes {
        let metrics = Arc::clone(&metrics);
        router =
            router.route(probe, any(move |request: Request| Arc::clone(&metrics).probe(Arc::clone(&scraper), request)));
    }
    let scraper = served.scraper;
    router =
        router.route(&path, any(move |request: Request| Arc::clone(&metrics).answer(Arc::clone(&scraper), request)));
    let mut app = App::new(router);
    if let Some(ready) = served.ready {
        app = app.ready(move || ready());
    }
    if let Some(after) = served.after {
        app = app.after_serving(after);
    }
    if let Some(web) = served.web {
        app = app.web(web);
    }
    if path == "/" {
        return Ok(app);
    }
    let mut landing = Landing::new(title, about, setup.version).link(&path, "Metrics", "what Prometheus scrapes");
    if let Some(state) = served.state {
        landing = landing.state(move || state());
    }
    Ok(app.landing(landing))
}

/// The same program with the hidden subcommand `docs`, which prints its flags as a Markdown table: for programs that are
/// no exporters.
pub fn docs(program: Program) -> Program {
    with_docs(program, &[])
}

/// Adds `docs`, which prints the tables that the documentation shows.
fn with_docs(program: Program, entries: &'static [Entry]) -> Program {
    let flags = program.all_flags();
    program.command(
        Command::new("docs", "Print the flags and collectors as Markdown tables.", move |_, _| {
            let mut text = format!("## Flags\n\n{}", report::flags_table(&flags));
            if !entries.is_empty() {
                text.push_str("\n## Collectors\n\n");
                text.push_str(&report::collectors_table(entries));
            }
            finish(Ok((text, true)))
        })
        .hidden(),
    )
}

/// Prints a report; a closed pipe is nobody's failure.
fn finish(report: Result<(String, bool), BuildError>) -> ExitCode {
    match report {
        Ok((text, good)) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A part that nobody filled, for services that have nothing but their own metrics.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Scraper for Nothing {
    fn scrape<'a>(&'a self, _: &'a crate::Scrape) -> crate::Answer<'a> {
        Box::pin(async { Ok(Vec::<Part>::new()) })
    }
}

/// The handler of `/metrics` for a service that is no exporter (the webhook sink): its own instruments and `process_*`.
pub fn own_metrics(name: &str, setup: &Setup, instruments: prometheus_client::registry::Registry) -> Router {
    let metrics = Arc::new(Metrics {
        own: Own::new(instruments, name, setup.version),
        max_requests: 0,
        own_shown: true,
        openmetrics: false,
        spare: Mutex::default(),
    });
    Router::new()
        .route("/metrics", any(move |request: Request| Arc::clone(&metrics).answer(Arc::new(Nothing), request)))
}
