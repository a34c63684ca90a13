//! The sink put together.

use std::path::Path;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use service::{App, Flag, Flags, Program, Setup, StartError};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::admin::{ADMIN_TOKEN, Admin};
use crate::api::{self, Api};
use crate::deliver::live::Live;
use crate::deliver::replicas::{self, AUTO_RELOAD, Replicas};
use crate::deliver::route::Routing;
use crate::index::{Follow, Indexer};
use crate::metrics::{Metrics, NAMES};
use crate::page;
use crate::print::{PRINT, Printer};
use crate::receive::{MAX_BODY, MAX_BUFFERED, Receiver};
use crate::reconcile::{self, Reconciler};
use crate::secret::{self, RECEIVE_TOKEN, Token};
use crate::store::{PASSWORD_FILE, Place, STORAGE_PATH, STORAGE_URL, Store};
use crate::upkeep::{RETENTION_SIZE, RETENTION_TIME, STALE_AFTER, Upkeep};
use crate::{commands, deliver};

/// `--config.file`.
pub(crate) const CONFIG: Flag = Flag::text(
    "config.file",
    "",
    "YAML file with targets, routes, templates and watchdogs; without it nothing is passed on.",
);
/// `--config.check`.
pub(crate) const CHECK: Flag = Flag::switch("config.check", "Check --config.file and end.");
/// `--web.external-url`.
pub(crate) const EXTERNAL: Flag = Flag::text(
    "web.external-url",
    "",
    "Address under which people reach this sink's pages, such as https://sink.example.org; messages then link to them.",
);

/// This sink's own address without a slash at its end, or empty.
pub(crate) fn external(flags: &Flags) -> Result<String, String> {
    let address = flags.text(EXTERNAL.name).trim_end_matches('/');
    if !address.is_empty() {
        service::client::check_address(address).map_err(|e| format!("--{}: {e}", EXTERNAL.name))?;
    }
    Ok(address.to_owned())
}

/// The program as its user sees it.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "webhook-sink",
        "Webhook Sink",
        "Receives Alertmanager's webhooks, loses none, shows what happened and passes it on.",
        ":5000",
    )
    .flags([
        &CONFIG,
        &CHECK,
        &AUTO_RELOAD,
        &STORAGE_PATH,
        &STORAGE_URL,
        &PASSWORD_FILE,
        &RETENTION_TIME,
        &RETENTION_SIZE,
        &STALE_AFTER,
        &RECEIVE_TOKEN,
        &ADMIN_TOKEN,
        &MAX_BODY,
        &MAX_BUFFERED,
        &PRINT,
        &NAMES,
        &EXTERNAL,
    ])
    .flags(reconcile::FLAGS);
    program.commands.extend(commands::all());
    program.workers = 2;
    exporter::docs(program)
}

/// Opens the store and builds the routes.
pub(crate) fn start(setup: &Setup) -> Result<App, StartError> {
    let flags = &setup.flags;
    let mut registry = Registry::default();
    let names = flags.text(NAMES.name).split(',').map(|n| n.trim().to_owned()).filter(|n| !n.is_empty()).collect();
    let metrics = Metrics::register(&mut registry, names);
    let external = external(flags).map_err(StartError::new)?;
    let place = Place::of(flags).map_err(|e| StartError::new(e.to_string()))?;
    let file = Some(flags.text(CONFIG.name)).filter(|f| !f.is_empty()).map(Path::new);
    let live = Live::open(file, &metrics).map_err(|e| StartError::new(format!("--config.file: {e}")))?;
    if flags.on(CHECK.name) {
        let config = live.get();
        for target in &config.targets {
            for what in target.missing() {
                tracing::warn!(target_name = target.name, "cannot read {what}");
            }
        }
        tracing::info!(targets = config.targets.len(), routes = config.routes.len(), "the configuration is good");
        std::process::exit(0);
    }
    let live = Arc::new(live);
    let (receive_token, admin_token) = (token(flags, &RECEIVE_TOKEN)?, token(flags, &ADMIN_TOKEN)?);
    let follow: Vec<Box<dyn Follow>> = vec![Box::new(Arc::clone(&metrics)), Box::new(Routing::new(live.current()))];
    let store = Store::open(&place, Indexer::new(follow), Box::new(Arc::clone(&metrics)))
        .map_err(|e| StartError::new(format!("{place}: {e}")))?;
    let printer = Printer::start(flags.text(PRINT.name), std::io::stdout())
        .map_err(|e| StartError::new(format!("starting the printer's thread: {e}")))?;
    let ready = store.clone();
    let closing = store.clone();
    let port = flags.texts("web.listen-address").first().and_then(|a| a.rsplit_once(':')).map(|(_, p)| format!(":{p}"));
    let replicas = Replicas::new(matches!(place, Place::Server(_)), port.as_deref().unwrap_or_default());
    let api = Api::new(store.clone(), setup.shutdown.clone(), Arc::clone(&live), admin_token, replicas.clone());
    if let Some(reconciler) = Reconciler::of(flags).map_err(StartError::new)? {
        let (metrics, nudge) = (Arc::clone(&metrics), Arc::clone(&api.nudge));
        tokio::spawn(reconciler.run(store.clone(), metrics, nudge, setup.shutdown.clone()));
    }
    tokio::spawn(reload_on_hangup(api.clone())?);
    let every = flags.duration(AUTO_RELOAD.name);
    tokio::spawn(replicas::follow(api.clone(), Arc::clone(&metrics), every, setup.shutdown.clone()));
    tokio::spawn(Upkeep::of(flags).run(store.clone(), setup.shutdown.clone()));
    deliver::start(&live, &store, &metrics, &setup.shutdown, &api.wake, &external);
    tokio::spawn(Arc::clone(&metrics).follow(store.clone(), live.current(), setup.shutdown.clone()));
    let received = Arc::clone(&metrics);
    let receiver = Receiver::new(flags, store, metrics, printer).router();
    let router = secret::guard(receiver, receive_token, &received)
        .merge(api::router(api.clone()))
        .merge(page::router(api))
        .merge(exporter::own_metrics("webhook_sink", setup, registry));
    let app = App::new(router).without_redirects().ready(move || ready.ready().is_ok());
    Ok(app.after_serving(async move {
        replicas.leave(&closing).await;
        closing.close().await;
    }))
}

/// The token of a flag, if it was given.
fn token(flags: &Flags, flag: &Flag) -> Result<Option<Token>, StartError> {
    match flags.text(flag.name) {
        "" => Ok(None),
        file => Token::open(Path::new(file)).map(Some).map_err(|e| StartError::new(format!("--{}: {e}", flag.name))),
    }
}

/// SIGHUP reads the configuration again, as it does with Prometheus and Alertmanager.
fn reload_on_hangup(api: Api) -> Result<impl Future<Output = ()>, StartError> {
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| StartError::new(format!("signal handler: {e}")))?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            // What came of it is in the log, the metrics and the audit log.
            let _ = api::admin::reload(&api, Admin::by_signal("SIGHUP")).await;
        }
    })
}
