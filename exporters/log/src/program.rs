//! Flags, and what is made from them.

use crate::commands;
use crate::config::{self, Config, Form};
use crate::engine::Engine;
use crate::input::Inputs;
use crate::input::batch::Feed;
use crate::ledger::Ledger;
use crate::running::{Running, check_inputs};
use crate::state::{Saver, Storage};
use crate::worker::Worker;
use exporter::{DISABLE_EXPORTER_METRICS, Flag, Flags, Program, Served, StartError, TELEMETRY_PATH};
use service::{FlagKind, Setup, WebConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// The program as its user sees it.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "log_exporter",
        "Log Exporter",
        "Metrics from log lines, from grok_exporter's configuration or a richer one.",
        ":9144",
    )
    .flags(FLAGS.iter().copied())
    .command(commands::trial());
    program.single_dash = true;
    program.switch_values = true;
    program.settle = Some(settle);
    program
}

/// What grok_exporter's configuration says of the listener holds where no flag does.
#[expect(clippy::unnecessary_wraps, reason = "what settles flags may refuse them")]
fn settle(flags: &mut Flags) -> Result<(), String> {
    let path = flags.text(CONFIG_FILE.name);
    // What is wrong with the file is said when it is read to be used.
    let Ok(config) = config::load(Path::new(path)) else { return Ok(()) };
    if config.form != Form::GrokExporter {
        return Ok(());
    }
    let server = &config.server;
    if !flags.given("web.listen-address") {
        let host = if server.host.contains(':') { format!("[{}]", server.host) } else { server.host.clone() };
        flags.settle("web.listen-address", vec![format!("{host}:{}", server.port)]);
    }
    if !flags.given(TELEMETRY_PATH.name) {
        flags.settle(TELEMETRY_PATH.name, vec![server.path.clone()]);
    }
    Ok(())
}

/// Starts inputs and engine.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    let flags = &setup.flags;
    let path = PathBuf::from(flags.text(CONFIG_FILE.name));
    if path.as_os_str().is_empty() {
        return Err(StartError::new("--config.file: name the YAML file with inputs and rules"));
    }
    if flags.on(SHOW_CONFIG.name) {
        commands::show_config(&path).map_err(|e| StartError::new(format!("--config.file: {e}")))?;
        std::process::exit(0);
    }
    let config = config::load(&path).map_err(|e| StartError::new(format!("--config.file: {e}")))?;
    config.warnings.iter().for_each(|w| tracing::warn!("{w}"));
    let telemetry_path = flags.text(TELEMETRY_PATH.name);
    let wrong = |why: String| StartError::new(format!("--config.file: {}: {why}", path.display()));
    for input in &config.inputs {
        input.check().map_err(|e| wrong(format!("input {}: {e}", input.name())))?;
    }
    let has_storage = !flags.text(STORAGE_PATH.name).is_empty();
    check_inputs(&config.inputs, telemetry_path, has_storage).map_err(wrong)?;
    if flags.on(CONFIG_CHECK.name) {
        tracing::info!(rules = config.rules.len(), inputs = config.inputs.len(), "The configuration is good");
        std::process::exit(0);
    }
    let web = web(&config)?;
    let Config { form, rules, inputs, retention_check_interval, limits, .. } = config;

    let mut engine = Engine::new(rules, limits);
    let storage = open_storage(flags)?;
    let (saver, saved) = match storage {
        None => (None, None),
        Some((storage, saved)) => {
            let saved = saved.and_then(|saved| match engine.restore(&saved.series) {
                Ok(()) => Some(saved.positions),
                Err(e) => {
                    storage.put_aside(&e.to_string());
                    None
                }
            });
            let saver = Saver::start(storage).map_err(|e| StartError::new(format!("starting a thread: {e}")))?;
            (Some(saver), saved)
        }
    };
    let goes_on = saved.is_some();
    let positions = saved.unwrap_or_default();
    let (feed, messages) = Feed::new();
    let ledger = Ledger::restore(&positions);
    let save_every = flags.duration(SAVE_INTERVAL.name).max(SHORTEST_SAVE_INTERVAL);
    let worker = Worker::new(engine, ledger, saver, save_every, retention_check_interval, feed.clone());
    let start = |e: std::io::Error| StartError::new(format!("starting a thread: {e}"));
    let engine = crate::vital::spawn("engine", move || worker.run(messages)).map_err(start)?;
    let mut started = Inputs::new(feed.clone(), positions.before, positions.cursors).map_err(start)?;
    started.apply(inputs).map_err(wrong)?;

    let running =
        Running::new(path.clone(), (telemetry_path, has_storage), feed, (form, setup.version), started, goes_on);
    reload_on_hangup(&running)?;
    let mut served = Served::new(Arc::clone(&running) as Arc<_>);
    served.routes = running.router();
    served.web = web;
    let ready = Arc::clone(&running);
    served.ready = Some(Arc::new(move || ready.ready()));
    served.after = Some(Box::pin(running.stop(engine)));
    Ok(served)
}

fn web(config: &Config) -> Result<Option<WebConfig>, StartError> {
    let Some(tls) = &config.server.tls else { return Ok(None) };
    let web = WebConfig::of_files(&tls.cert, &tls.key, tls.client_ca.as_deref(), tls.client_auth);
    web.map(Some).map_err(|e| StartError::new(format!("--config.file: server: {e}")))
}

fn open_storage(flags: &Flags) -> Result<Option<(Storage, Option<crate::state::Saved>)>, StartError> {
    let path = flags.text(STORAGE_PATH.name);
    if path.is_empty() {
        return Ok(None);
    }
    let opened = Storage::open(Path::new(path));
    opened.map(Some).map_err(|e| StartError::new(format!("--{}: {e}", STORAGE_PATH.name)))
}

fn reload_on_hangup(running: &Arc<Running>) -> Result<(), StartError> {
    let wrong = |e| StartError::new(format!("signal handler: {e}"));
    let mut hangup = signal(SignalKind::hangup()).map_err(wrong)?;
    let running = Arc::clone(running);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            // What is wrong has been logged.
            let _ = running.reload().await;
        }
    });
    Ok(())
}

/// `--config.file`.
pub(crate) const CONFIG_FILE: Flag =
    Flag::text("config.file", "", "YAML file with inputs and rules, in our form or grok_exporter's (version 2 and 3).");
const CONFIG_CHECK: Flag = Flag::switch("config.check", "Check --config.file and end.");
const SHOW_CONFIG: Flag =
    Flag::switch("showconfig", "Print grok_exporter's configuration, converted to version 3, and end.");
const STORAGE_PATH: Flag = Flag::text(
    "storage.path",
    "",
    "Directory for counters and reading positions, created when it is missing; without it both are lost at the end.",
);
const SAVE_INTERVAL: Flag = Flag::new(
    "storage.save-interval",
    FlagKind::Duration,
    "5s",
    "How often counters and reading positions are saved while lines arrive.",
);
const OLD_CONFIG: Flag = Flag::text("config", "", "").alias(CONFIG_FILE.name);
const OLD_DISABLE: Flag = Flag::switch("disable-exporter-metrics", "").alias(DISABLE_EXPORTER_METRICS.name);

const FLAGS: &[&Flag] =
    &[&CONFIG_FILE, &CONFIG_CHECK, &SHOW_CONFIG, &STORAGE_PATH, &SAVE_INTERVAL, &OLD_CONFIG, &OLD_DISABLE];

/// A state is written as a whole each time.
const SHORTEST_SAVE_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
