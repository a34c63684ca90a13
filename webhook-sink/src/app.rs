//! The sink put together.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::registry::Registry;
use service::{App, Flag, Program, Setup, StartError};

use crate::api::{self, Api};
use crate::deliver::config::Config;
use crate::deliver::route::Routing;
use crate::index::{Follow, Indexer};
use crate::metrics::Metrics;
use crate::page;
use crate::print::{PRINT, Printer};
use crate::receive::{MAX_BODY, MAX_BUFFERED, Receiver};
use crate::store::Store;
use crate::upkeep::{RETENTION_SIZE, RETENTION_TIME, STALE_AFTER, Upkeep};
use crate::{commands, deliver};

/// `--storage.path`.
pub(crate) const STORAGE_PATH: Flag =
    Flag::text("storage.path", "data", "Directory of the database; created when it is missing.");

/// `--config.file`.
pub(crate) const CONFIG: Flag = Flag::text(
    "config.file",
    "",
    "YAML file with targets, routes, templates and watchdogs; without it nothing is passed on.",
);
/// `--config.check`.
pub(crate) const CHECK: Flag = Flag::switch("config.check", "Check --config.file and end.");
/// `--web.admin-token-file`.
pub(crate) const ADMIN_TOKEN: Flag = Flag::text(
    "web.admin-token-file",
    "",
    "File with the bearer token that the writing calls of the API need; without it they are open to whoever may connect.",
);

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
        &STORAGE_PATH,
        &RETENTION_TIME,
        &RETENTION_SIZE,
        &STALE_AFTER,
        &ADMIN_TOKEN,
        &MAX_BODY,
        &MAX_BUFFERED,
        &PRINT,
    ]);
    program.commands.extend(commands::all());
    program.workers = 2;
    program
}

/// Opens the store and builds the routes.
pub(crate) fn start(setup: &Setup) -> Result<App, StartError> {
    let flags = &setup.flags;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let dir = PathBuf::from(flags.text(STORAGE_PATH.name));
    let config = match flags.text(CONFIG.name) {
        "" => Config::default(),
        file => Config::read(Path::new(file)).map_err(|e| StartError::new(format!("--config.file: {e}")))?,
    };
    if flags.on(CHECK.name) {
        tracing::info!(targets = config.targets.len(), routes = config.routes.len(), "the configuration is good");
        std::process::exit(0);
    }
    let config = Arc::new(config);
    let follow: Vec<Box<dyn Follow>> =
        vec![Box::new(Arc::clone(&metrics)), Box::new(Routing::new(Arc::clone(&config)))];
    let store = Store::open(&dir, Indexer::new(follow), Box::new(Arc::clone(&metrics)))
        .map_err(|e| StartError::new(format!("--storage.path={}: {e}", dir.display())))?;
    let printer = Printer::start(flags.text(PRINT.name), std::io::stdout())
        .map_err(|e| StartError::new(format!("starting the printer's thread: {e}")))?;
    let ready = store.clone();
    let closing = store.clone();
    let token = Some(flags.text(ADMIN_TOKEN.name)).filter(|t| !t.is_empty()).map(PathBuf::from);
    let api = Api::new(store.clone(), setup.shutdown.clone(), Arc::clone(&config), token);
    tokio::spawn(Upkeep::of(flags).run(store.clone(), setup.shutdown.clone()));
    deliver::start(&config, &store, &metrics, &setup.shutdown, &api.wake);
    tokio::spawn(Arc::clone(&metrics).follow(store.clone(), setup.shutdown.clone()));
    let router = Receiver::new(flags, store, metrics, printer)
        .router()
        .merge(api::router(api.clone()))
        .merge(page::router(api))
        .merge(exporter::own_metrics("webhook_sink", setup, registry));
    Ok(App::new(router).ready(move || ready.ready().is_ok()).after_serving(async move { closing.close().await }))
}
