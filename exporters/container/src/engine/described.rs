//! A container as an engine that is no Docker describes it.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What was said of a running container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Seconds since the epoch.
    pub(crate) created: Option<i64>,
    pub(crate) pid: Option<u32>,
    /// CPU shares that were asked for.
    pub(crate) shares: Option<u64>,
    /// Whether it joined a network that was there before it.
    pub(crate) joined: bool,
    /// Its writable layer.
    pub(crate) folder: Option<PathBuf>,
}
