//! nginx metrics under nginx-prometheus-exporter's names.

mod angie;
mod format;
mod plus;
mod program;
mod stub_status;
mod target;
mod tree;
mod vts;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run(program::program(), program::build)
}
