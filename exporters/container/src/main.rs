//! Container metrics under cAdvisor's names.

mod cgroups;
mod disk_use;
mod doctor;
mod emit;
mod engine;
mod families;
mod names;
mod page;
mod pid;
mod program;
mod scraper;
mod switches;
mod unneeded;

use std::process::ExitCode;

fn main() -> ExitCode {
    exporter::run(program::program(), program::build)
}
