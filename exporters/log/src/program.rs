//! Flags, and what is made from them.

use exporter::{DISABLE_EXPORTER_METRICS, Flag, Nothing, Program, Served, StartError};
use service::{FlagKind, Setup};
use std::sync::Arc;

/// The program as its user sees it.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "log_exporter",
        "Log Exporter",
        "Metrics from log lines, from grok_exporter's configuration or a richer one.",
        ":9144",
    )
    .flags(FLAGS.iter().copied());
    program.single_dash = true;
    program.switch_values = true;
    program
}

/// Starts inputs and engine.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    if setup.flags.text(CONFIG_FILE.name).is_empty() {
        return Err(StartError::new("--config.file: name the YAML file with inputs and rules"));
    }
    Ok(Served::new(Arc::new(Nothing)))
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
