//! Metrics of one's own. Copy this crate to begin.
//!
//! Two halves that know nothing of each other: `system` reads this machine with the crate sysinfo, `source` asks what a
//! YAML file names (a database, an address, a command, a file). `program` puts both on one page.

mod config;
mod fault;
mod json_path;
mod metric;
mod program;
mod source;
mod system;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run(program::program(), program::build)
}
