//! As much of D-Bus as reading properties takes (D-Bus specification 0.43): a Unix socket, EXTERNAL authentication,
//! method calls and their replies. Every wait ends with the scrape's deadline.

mod address;
mod connection;
mod wire;

pub(crate) use address::{host_and_own, system_bus};
pub(crate) use connection::{Call, Connection};
pub(crate) use wire::Reader;

/// What can go wrong between us and the bus.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbusError {
    /// No bus at that path, or it takes no connection.
    #[error("connect to {path}: {source}")]
    Connect { path: String, source: std::io::Error },
    /// It stopped answering, or answered too late.
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: String, source: std::io::Error },
    /// It does not know us.
    #[error("{path} refused the authentication: {answer}")]
    Refused { path: String, answer: String },
    /// An error reply of a peer.
    #[error("{call}: {name}")]
    Reply { call: String, name: String },
    /// Bytes that are no message, or a reply of another type than asked for.
    #[error("{0} is malformed")]
    Malformed(&'static str),
}
