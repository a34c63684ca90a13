//! Alertmanager webhook receiver that loses nothing: keeps every alert, shows what happened, and passes it on.
#![allow(dead_code)] // the API that asks for the rest follows

mod api;
mod app;
mod clock;
mod index;
mod message;
mod metrics;
mod print;
mod receive;
mod store;

fn main() -> std::process::ExitCode {
    service::run(app::program(), app::start)
}
