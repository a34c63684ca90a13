//! The host's pseudo-files, read through explicit roots.
//!
//! [`Sources`] holds the roots (`proc`, `sys`, `rootfs`, `udev`) and is the only way to a host file; nothing here knows
//! what a metric is.

mod dir;
mod error;
mod file;
mod kept;
mod kept_set;
pub mod mounts;
pub mod netlink;
mod network;
pub mod scan;
mod shared;
mod sources;
mod usage;

pub use dir::{Entries, Folder, FolderStat};
pub use error::ReadError;
pub use file::{Buf, File};
pub use kept::KeptFile;
pub use kept_set::{KeptFiles, Round};
pub use network::Network;
pub use shared::SharedFile;
pub use sources::{Roots, Sources};
pub use usage::{Bounds, Usage};
