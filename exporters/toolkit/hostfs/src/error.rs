//! What can go wrong when a host file is read.

use std::path::{Path, PathBuf};

/// An I/O error with the path and what was being done to it.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {source}", path = path.display())]
pub struct ReadError {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

impl ReadError {
    pub(crate) fn new(action: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self { action, path: path.to_owned(), source: source.into() }
    }

    /// The file or folder is not there (or its device has gone).
    pub fn is_absent(&self) -> bool {
        matches!(self.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
            || matches!(self.source.raw_os_error(), Some(libc_code::ENODEV | libc_code::ENXIO))
    }

    /// The kernel refused for lack of rights.
    pub fn is_denied(&self) -> bool {
        self.kind() == std::io::ErrorKind::PermissionDenied
    }

    /// The kind of the underlying error.
    pub fn kind(&self) -> std::io::ErrorKind {
        self.source.kind()
    }

    /// The number of the underlying error.
    pub fn raw_os_error(&self) -> Option<i32> {
        self.source.raw_os_error()
    }

    /// The path that was read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The two numbers that mean "the device behind this file has gone"; rustix names them, but not as integers.
mod libc_code {
    pub(super) const ENXIO: i32 = rustix::io::Errno::NXIO.raw_os_error();
    pub(super) const ENODEV: i32 = rustix::io::Errno::NODEV.raw_os_error();
}
