//! Where lines come from. An input hands over batches; the engine's thread counts them.

pub(crate) mod glob;
mod listen;
mod multiline;
mod selector;
mod settings;

pub(crate) use settings::{
    FileFormat, Files, Http, HttpFormat, Journal, Lumberjack, Multiline, Settings, Side, Stdin, Syslog, Tls,
};
