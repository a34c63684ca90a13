//! What needs `unsafe`: ioctls and system calls that no crate of ours wraps.
#![allow(unsafe_code)]

pub(crate) mod btrfs;
pub(crate) mod clock;
pub(crate) mod ethtool;
pub(crate) mod nvme;
pub(crate) mod perf;
pub(crate) mod scsi;
