//! Host metrics under node_exporter's names.

mod collectors;
mod dbus;
mod host;
mod percent;
mod sys;
mod unix_socket;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run_host(host::program(), host::HOST)
}
