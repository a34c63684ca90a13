//! How a file is told from another that came to its name or its inode, and how far it has been read.

use serde::{Deserialize, Serialize};
use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

/// Device and inode: unique while the file is open, used again by the kernel after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
}

impl Identity {
    pub(crate) fn of(meta: &Metadata) -> Self {
        Self { dev: meta.dev(), ino: meta.ino() }
    }
}

/// What some bytes looked like, without keeping them: logs hold what a state file should not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    pub(crate) len: u16,
    pub(crate) hash: u64,
}

impl Print {
    /// Of at most [`Print::MOST`] bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u16, hash: hash(bytes) }
    }

    /// The most bytes of one.
    pub(crate) const MOST: usize = 256;
}

/// How far a file has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) identity: Identity,
    /// Everything before it is counted.
    pub(crate) offset: u64,
    /// The file's first bytes.
    pub(crate) head: Print,
    /// The bytes before `offset`.
    pub(crate) tail: Print,
    /// The offset lies within a line that was cut: the rest of it is no line.
    pub(crate) within: bool,
}

impl Mark {
    /// Whether this file has what the mark says at its places.
    pub(crate) fn fits(&self, file: &File) -> bool {
        let tail_at = self.offset.checked_sub(u64::from(self.tail.len));
        fits(file, 0, self.head) && tail_at.is_some_and(|at| fits(file, at, self.tail))
    }
}

/// Whether a file has these bytes at a place.
pub(crate) fn fits(file: &File, at: u64, print: Print) -> bool {
    let mut bytes = [0; Print::MOST];
    let Some(wanted) = bytes.get_mut(..usize::from(print.len)) else { return false };
    file.read_exact_at(wanted, at).is_ok() && Print::of(wanted) == print
}

/// Reads up to [`Print::MOST`] bytes from a place on.
pub(crate) fn print_at(file: &File, at: u64, len: u64) -> Print {
    let mut bytes = [0; Print::MOST];
    let wanted = &mut bytes[..len.min(Print::MOST as u64) as usize];
    let mut have = 0;
    while have < wanted.len() {
        match file.read_at(&mut wanted[have..], at + have as u64) {
            Ok(n) if n > 0 => have += n,
            _ => break,
        }
    }
    Print::of(&wanted[..have])
}

/// FNV-1a: the bytes are told apart, not defended.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}
