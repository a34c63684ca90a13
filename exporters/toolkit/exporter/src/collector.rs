//! What a collector is, for sources that are read at once (pseudo-files) and for peers on a socket.

use exposition::Part;
use hostfs::{Buf, ReadError, Sources};
use std::time::{Instant, SystemTime};

/// Turns one source of numbers into samples. Called from a blocking thread, by several scrapes at once.
pub trait Collector: Send + Sync {
    /// Reads the source and emits samples. What is already in `out` when an error is returned is still served.
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError>;
}

/// What a collector is given for one scrape.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The host's files.
    pub sources: &'a Sources,
    /// A buffer for the file being read.
    pub buf: &'a mut Buf,
    /// A second one, for collectors that read a file while they hold another.
    pub buf2: &'a mut Buf,
    /// When the scrape must be answered; a collector with many slow sources stops there.
    pub deadline: Instant,
    /// The wall clock of this scrape.
    pub now: SystemTime,
}

impl Cx<'_> {
    /// When a wait for a peer (a bus, a supervisor) ends: a tenth of the time before the deadline, so that what the
    /// collector has by then is still served.
    pub fn wait_until(&self) -> Instant {
        let now = Instant::now();
        now + self.deadline.saturating_duration_since(now) * 9 / 10
    }
}

/// Why a collector has nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// This host has no such source: no failure worth an alert, but `success` is 0 as upstream has it.
    #[error("no data")]
    NoData,
    /// Something that should have worked did not.
    #[error("{0}")]
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl CollectError {
    /// A failure with a text of its own.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into().into())
    }
}

impl From<ReadError> for CollectError {
    fn from(e: ReadError) -> Self {
        Self::Failed(Box::new(e))
    }
}

impl From<hostfs::netlink::NetlinkError> for CollectError {
    fn from(e: hostfs::netlink::NetlinkError) -> Self {
        Self::Failed(Box::new(e))
    }
}

/// `NoData` where the file is not there, else the failure: for sources that only some hosts have.
pub trait AbsentIsNoData<T> {
    /// Turns an absent file into [`CollectError::NoData`].
    fn or_no_data(self) -> Result<T, CollectError>;
}

impl<T> AbsentIsNoData<T> for Result<T, ReadError> {
    fn or_no_data(self) -> Result<T, CollectError> {
        self.map_err(|e| if e.is_absent() { CollectError::NoData } else { e.into() })
    }
}
