//! Metrics from log lines: inputs hand lines to rules, rules make series.

mod commands;
mod config;
mod engine;
mod input;
mod ledger;
mod line;
mod metric;
mod own;
mod pattern;
mod program;
mod running;
mod state;
mod template;
mod vital;
mod worker;

fn main() -> std::process::ExitCode {
    exporter::run(program::program(), program::build)
}
