//! nginx metrics under nginx-prometheus-exporter's names.

mod program;
mod stub_status;
mod target;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run(program::program(), program::build)
}
