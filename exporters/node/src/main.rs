//! Host metrics under node_exporter's names.

mod collectors;
mod dbus;
mod host;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run_host(host::program(), host::HOST)
}
