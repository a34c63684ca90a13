//! Metrics from log lines: inputs hand lines to rules, rules make series.

mod config;
mod engine;
mod input;
mod line;
mod metric;
mod pattern;
mod program;
mod state;
mod template;

fn main() -> std::process::ExitCode {
    exporter::run(program::program(), program::build)
}
