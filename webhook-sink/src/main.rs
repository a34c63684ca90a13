//! Alertmanager webhook receiver that loses nothing: keeps every alert, shows what happened, and passes it on.
mod api;
mod app;
mod clock;
mod commands;
mod deliver;
mod history;
mod index;
mod matcher;
mod message;
mod metrics;
mod page;
mod print;
mod receive;
mod reconcile;
mod secret;
mod store;
mod sys;
mod upkeep;

fn main() -> std::process::ExitCode {
    service::run(app::program(), app::start)
}
