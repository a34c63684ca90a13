//! MySQL and MariaDB metrics under mysqld_exporter's names.

mod account;
mod accounts;
mod cells;
mod collectors;
mod doctor;
mod drive;
mod dsn;
mod my_cnf;
mod options;
mod pages;
mod reading;
mod server;
mod session;
mod target;

use service::{Command, Program};
use std::process::ExitCode;

fn main() -> ExitCode {
    let about = "Prometheus exporter for MySQL server metrics";
    let program = Program::new("mysqld_exporter", "MySQLd Exporter", about, ":9104")
        .flags(options::FLAGS)
        .flags(collectors::ALL.iter().flat_map(|e| std::iter::once(&e.switch).chain(e.flags)))
        .command(Command::new("doctor", "Say what works on the server and which grants are missing.", |flags, _| {
            doctor::run(flags)
        }));
    exporter::run(program, pages::build)
}
