//! The sink put together.

use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use service::{App, Flag, Program, Setup, StartError};

use crate::api::{self, Api};
use crate::index::Indexer;
use crate::metrics::Metrics;
use crate::page;
use crate::print::{PRINT, Printer};
use crate::receive::{MAX_BODY, MAX_BUFFERED, Receiver};
use crate::store::Store;

/// `--storage.path`.
pub(crate) const STORAGE_PATH: Flag =
    Flag::text("storage.path", "data", "Directory of the database; created when it is missing.");

/// The program as its user sees it.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "webhook-sink",
        "Webhook Sink",
        "Receives Alertmanager's webhooks, loses none, shows what happened and passes it on.",
        ":5000",
    )
    .flags([&STORAGE_PATH, &MAX_BODY, &MAX_BUFFERED, &PRINT]);
    program.workers = 2;
    program
}

/// Opens the store and builds the routes.
pub(crate) fn start(setup: &Setup) -> Result<App, StartError> {
    let flags = &setup.flags;
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let dir = PathBuf::from(flags.text(STORAGE_PATH.name));
    let store = Store::open(&dir, Indexer::new(Vec::new()), Box::new(Arc::clone(&metrics)))
        .map_err(|e| StartError::new(format!("--storage.path={}: {e}", dir.display())))?;
    let printer = Printer::start(flags.text(PRINT.name), std::io::stdout())
        .map_err(|e| StartError::new(format!("starting the printer's thread: {e}")))?;
    let ready = store.clone();
    let closing = store.clone();
    let api = Api::new(store.clone(), setup.shutdown.clone());
    let router = Receiver::new(flags, store, metrics, printer)
        .router()
        .merge(api::router(api.clone()))
        .merge(page::router(api))
        .merge(exporter::own_metrics("webhook_sink", setup, registry));
    Ok(App::new(router).ready(move || ready.ready().is_ok()).after_serving(async move { closing.close().await }))
}
