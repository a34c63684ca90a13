//! The exporter while it runs: scrapes, reloads, and the lines that no pattern fits.

use crate::config::{self, Config, Form};
use crate::input::batch::Feed;
use crate::input::files::Open;
use crate::input::{Inputs, Routes, Settings, Tallies};
use crate::own::{self, Reloads};
use crate::worker::ask;
use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use exporter::{Answer, Part, Refused, Scrape, Scraper};
use service::Version;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// What scrapes and reloads share.
pub(crate) struct Running {
    pub(crate) config: PathBuf,
    /// The path of the metrics page: no input may have it.
    pub(crate) telemetry_path: String,
    has_storage: bool,
    pub(crate) feed: Feed,
    form: Mutex<Form>,
    version: Version,
    inputs: Mutex<Inputs>,
    routes: Arc<Routes>,
    tallies: Arc<Tallies>,
    open: Arc<Open>,
    reloads: Reloads,
    /// Counters from before the start are shown only when they hold what was written meanwhile.
    catching_up: Option<(Arc<AtomicBool>, Instant)>,
    /// One at a time.
    reloading: tokio::sync::Mutex<()>,
}

impl Running {
    pub(crate) fn new(
        config: PathBuf,
        (telemetry_path, has_storage): (&str, bool),
        feed: Feed,
        (form, version): (Form, Version),
        inputs: Inputs,
        goes_on: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            config,
            telemetry_path: telemetry_path.to_owned(),
            has_storage,
            feed,
            form: Mutex::new(form),
            version,
            routes: inputs.routes(),
            tallies: inputs.tallies(),
            open: inputs.open_files(),
            catching_up: goes_on.then(|| (inputs.caught_up(), Instant::now())),
            inputs: Mutex::new(inputs),
            reloads: Reloads::started(),
            reloading: tokio::sync::Mutex::default(),
        })
    }

    /// Whether counters may be shown: one from before that has not yet been brought up to date would seem to have been
    /// reset.
    pub(crate) fn ready(&self) -> bool {
        let waits = |(done, since): &(Arc<AtomicBool>, Instant)| {
            !done.load(Ordering::Acquire) && since.elapsed() < LONGEST_CATCH_UP
        };
        !self.catching_up.as_ref().is_some_and(waits)
    }

    /// The routes beside the metrics page.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        let (reload, unmatched, lines) = (Arc::clone(self), Arc::clone(self), Arc::clone(self));
        Router::new()
            .route("/-/reload", any(move |method: Method| async move { reload.answer_reload(method).await }))
            .route("/unmatched", get(move || async move { unmatched.unmatched().await }))
            .route(
                "/{*path}",
                any(move |request: Request| async move { lines.routes.answer(&lines.feed, request).await }),
            )
    }

    async fn answer_reload(self: &Arc<Self>, method: Method) -> Response {
        if method != Method::POST && method != Method::PUT {
            let mut response = service::text(StatusCode::METHOD_NOT_ALLOWED, "This endpoint requires a POST or PUT.\n");
            response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST, PUT"));
            return response;
        }
        match self.reload().await {
            Ok(()) => StatusCode::OK.into_response(),
            Err(why) => {
                service::owned_text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload config: {why}\n"))
            }
        }
    }

    /// Reads the configuration again. Where anything in it is wrong, all stays as it was.
    pub(crate) async fn reload(self: &Arc<Self>) -> Result<(), String> {
        let _alone = self.reloading.lock().await;
        let this = Arc::clone(self);
        let taken = tokio::task::spawn_blocking(move || this.take_configuration()).await;
        let taken = taken.unwrap_or_else(|e| Err(format!("panicked: {e}")));
        let done = match taken {
            Ok(config) => self.give_rules(config).await,
            Err(why) => Err(why),
        };
        self.reloads.note(done.is_ok());
        match &done {
            Ok(()) => tracing::info!(file = %self.config.display(), "Configuration reloaded"),
            Err(why) => tracing::error!(err = why, "Configuration is not reloaded, the one before stays"),
        }
        done
    }

    /// Files, addresses, everything outside: on a thread that may wait.
    fn take_configuration(&self) -> Result<Config, String> {
        let mut config = config::load(&self.config).map_err(|e| e.to_string())?;
        self.check_inputs(&config.inputs)?;
        config.warnings.iter().for_each(|w| tracing::warn!("{w}"));
        let inputs = std::mem::take(&mut config.inputs);
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).apply(inputs)?;
        Ok(config)
    }

    /// No input may take lines where something else is served.
    fn check_inputs(&self, inputs: &[Settings]) -> Result<(), String> {
        check_inputs(inputs, &self.telemetry_path, self.has_storage)
    }

    async fn give_rules(&self, config: Config) -> Result<(), String> {
        *self.form.lock().unwrap_or_else(PoisonError::into_inner) = config.form;
        let given = ask(&self.feed, move |worker| {
            worker.engine.reload(config.rules, config.limits);
            worker.expire_every = config.retention_check_interval;
            worker.save();
        });
        given.await.ok_or_else(|| "the engine has stopped".to_owned())
    }

    async fn unmatched(&self) -> Response {
        let text = ask(&self.feed, |worker| {
            let mut text = String::new();
            for line in worker.engine.unmatched() {
                let place = if line.file.is_empty() { &line.input } else { &line.file };
                let _ = writeln!(text, "{place}: {}", String::from_utf8_lossy(&line.bytes).escape_debug());
            }
            text
        });
        match text.await {
            Some(text) => service::owned_text(StatusCode::OK, text),
            None => service::text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    /// Ends the inputs, then the engine, which saves.
    pub(crate) async fn stop(self: Arc<Self>, engine: std::thread::JoinHandle<()>) {
        // The files' thread may wait for room in the channel, which the engine's makes.
        let stopped = tokio::task::spawn_blocking(move || {
            self.inputs.lock().unwrap_or_else(PoisonError::into_inner).stop();
            let end = crate::input::batch::Message::Ask(Box::new(crate::worker::Worker::stop));
            let _ = self.feed.tap.blocking_send(end);
            let _ = engine.join();
        });
        let _ = stopped.await;
    }

    async fn scrape_all(&self, scrape: &Scrape) -> Result<Vec<Part>, Refused> {
        let late = || Refused { status: 503, text: "no answer before the scrape's deadline".into() };
        while !self.ready() {
            if Instant::now() + STEP > scrape.deadline {
                let text = "still reading what was written while the exporter was down";
                return Err(Refused { status: 503, text: text.into() });
            }
            tokio::time::sleep(STEP).await;
        }
        let (form, open) = (*self.form.lock().unwrap_or_else(PoisonError::into_inner), Arc::clone(&self.open));
        let asked = ask(&self.feed, move |worker| {
            let (mut metrics, mut own) = (Part::new(), Part::new());
            worker.engine.emit(SystemTime::now(), &mut metrics);
            own::emit_worker(worker, &open, form, &mut own);
            vec![metrics, own]
        });
        let asked = tokio::time::timeout_at(scrape.deadline.into(), asked).await.map_err(|_| late())?;
        let mut parts = asked.ok_or_else(|| Refused { status: 503, text: "stopping".into() })?;
        let mut part = Part::new();
        if form == Form::GrokExporter {
            own::emit_build(self.version, &mut part);
        }
        self.reloads.emit(&mut part);
        own::emit_inputs(&self.tallies, &mut part);
        parts.push(part);
        Ok(parts)
    }
}

impl Scraper for Running {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(self.scrape_all(scrape))
    }
}

/// No input may take lines where something else is served, or wait for a disk that is not there.
pub(crate) fn check_inputs(inputs: &[Settings], telemetry_path: &str, has_storage: bool) -> Result<(), String> {
    for input in inputs {
        if input.waits_for_disk() && !has_storage {
            return Err(format!("input {}: acknowledge: saved needs --storage.path", input.name()));
        }
        let Settings::Http(http) = input else { continue };
        if http.path == telemetry_path || http.path == "/unmatched" || http.path.starts_with("/-/") || http.path == "/"
        {
            return Err(format!("input {}: path {} is served by the exporter itself", http.name, http.path));
        }
    }
    Ok(())
}

/// A scrape is refused no longer than that after a start.
const LONGEST_CATCH_UP: Duration = Duration::from_mins(1);
const STEP: Duration = Duration::from_millis(50);
