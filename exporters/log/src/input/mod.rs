//! Where lines come from. An input hands over batches; the engine's thread counts them.

mod accept;
pub(crate) mod batch;
pub(crate) mod cutter;
pub(crate) mod files;
pub(crate) mod glob;
mod http;
mod journal;
mod listen;
mod lumberjack;
pub(crate) mod multiline;
mod running;
mod selector;
mod settings;
mod stdin;
mod syslog;

pub(crate) use http::Routes;
pub(crate) use running::{Inputs, Tallies};
pub(crate) use settings::{
    Acknowledge, FileFormat, Files, Http, HttpFormat, Journal, Multiline, Settings, Side, Stdin, Tls,
};
