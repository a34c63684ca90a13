//! MySQL and MariaDB metrics under mysqld_exporter's names.

mod account;
mod accounts;
mod cells;
mod collectors;
mod drive;
mod dsn;
mod my_cnf;
mod options;
mod pages;
mod reading;
mod server;
mod session;
mod target;

use service::Program;
use std::process::ExitCode;

fn main() -> ExitCode {
    let program =
        Program::new("mysqld_exporter", "MySQLd Exporter", "Prometheus exporter for MySQL server metrics", ":9104")
            .flags(options::FLAGS)
            .flags(collectors::ALL.iter().flat_map(|e| std::iter::once(&e.switch).chain(e.flags)));
    exporter::run(program, pages::build)
}
