//! Files that are read at each scrape: the descriptor stays open and one `pread` at 0 makes the kernel render it anew.

use crate::file::{End, open, read_all};
use crate::sources::Budget;
use crate::{Buf, ReadError};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A path with the descriptor that was opened for it.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    end: End,
    budget: Arc<Budget>,
    fd: Mutex<Option<Arc<OwnedFd>>>,
}

impl KeptFile {
    pub(crate) fn new(path: PathBuf, end: End, budget: Arc<Budget>) -> Self {
        Self { path, end, budget, fd: Mutex::new(None) }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the whole file, opening it again where the device or file behind it was replaced.
    pub fn read<'b>(&self, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        if let Some(fd) = self.held() {
            match read_all(fd.as_fd(), self.end, &mut buf.bytes) {
                Ok(()) => return Ok(&buf.bytes),
                Err(Errno::NODEV | Errno::STALE | Errno::NOENT | Errno::SRCH | Errno::NXIO | Errno::BADF) => {
                    self.close();
                }
                Err(e) => return Err(ReadError::new("read", &self.path, e)),
            }
        }
        let fd = open(&self.path, OFlags::RDONLY)?;
        read_all(fd.as_fd(), self.end, &mut buf.bytes).map_err(|e| ReadError::new("read", &self.path, e))?;
        self.keep(fd);
        Ok(&buf.bytes)
    }

    /// Reads the whole file without the white space around it.
    pub fn read_trimmed<'b>(&self, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        self.read(buf).map(<[u8]>::trim_ascii)
    }

    fn held(&self) -> Option<Arc<OwnedFd>> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, fd: OwnedFd) {
        let mut held = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() && self.budget.take() {
            *held = Some(Arc::new(fd));
        }
    }

    fn close(&self) {
        if self.fd.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.budget.give_back();
        }
    }
}

impl Drop for KeptFile {
    fn drop(&mut self) {
        self.close();
    }
}
