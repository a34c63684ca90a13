//! What every small HTTP service needs: flags, logs, listeners, TLS, logins, time-outs, signals, health.
//!
//! A program describes itself as a [`Program`], builds an [`App`] from its [`Flags`], and hands both to [`run`]. This crate
//! knows nothing of metrics.

mod answer;
mod app;
mod body;
pub mod client;
mod command_line;
pub mod compress;
mod connection;
mod connections;
mod duration;
mod flags;
mod gate;
mod healthcheck;
mod help;
mod landing;
mod listen;
pub mod logs;
mod path;
mod program;
mod run;
mod serve;
mod shutdown;
mod sys;
mod web;
mod wire;
pub mod yaml;

pub use answer::{owned_text, text};
pub use app::{App, ReadyFn, Setup, StartError};
pub use body::BodyTooSlow;
pub use connections::Limits;
pub use duration::{DurationError, parse_duration};
pub use flags::{Flag, FlagKind, Flags, parse_regex};
pub use gate::Peer;
pub use landing::{Landing, StateFn, escape};
pub use listen::{Address, ListenError, Listener};
pub use program::{Arg, Asked, Command, CommandFn, Program, SettleFn, Version};
pub use regex::bytes::Regex;
pub use run::run;
pub use serve::{Config, serve};
pub use shutdown::{Shutdown, Stop};
pub use web::{WebConfig, WebError, server_tls};
