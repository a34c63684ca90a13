//! Files that are read at each scrape: the descriptor stays open and one `pread` at 0 makes the kernel render it anew.

use crate::file::{End, open, read_all};
use crate::sources::Budget;
use crate::{Buf, ReadError};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
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

    /// Whether poll(2) says that the content has changed since this was last asked, or since the file was opened: for the
    /// few files whose changes the kernel announces (`mountinfo`). `None` where no descriptor is kept: read then.
    pub fn changed(&self) -> Option<bool> {
        let fd = self.held()?;
        let mut poll = [PollFd::new(&*fd, PollFlags::PRI)];
        rustix::event::poll(&mut poll, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).ok()?;
        Some(poll[0].revents().intersects(PollFlags::PRI | PollFlags::ERR))
    }

    fn held(&self) -> Option<Arc<OwnedFd>> {
        self.fd.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, fd: OwnedFd) {
        let mut held = self.fd.lock().unwrap_or_else(PoisonError::into_inner);
        // The budget first: where it is used up nothing else is worth a system call.
        if held.is_some() || !self.budget.take() {
            return;
        }
        if is_pseudo(fd.as_fd()) {
            *held = Some(Arc::new(fd));
        } else {
            self.budget.give_back();
        }
    }

    fn close(&self) {
        if self.fd.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            self.budget.give_back();
        }
    }
}

/// Whether the kernel renders the file at each read. A file on a disk is one that somebody replaces (a recorded tree, a
/// test's): a descriptor of it would show what was there before.
fn is_pseudo(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|fs| PSEUDO.contains(&(fs.f_type as u64 & 0xffff_ffff)))
}

/// `include/uapi/linux/magic.h`: procfs, sysfs, cgroup, cgroup2, debugfs, tracefs, selinuxfs, securityfs, configfs.
const PSEUDO: [u64; 9] =
    [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0xf97c_ff8c, 0x7363_6673, 0x6265_6570];

impl Drop for KeptFile {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buf, Sources};

    #[test]
    fn a_replaced_file_on_a_disk_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proc/loadavg");
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        let sources = Sources::under(dir.path());
        let (file, mut buf) = (sources.kept_proc("loadavg"), Buf::new());
        assert_eq!(file.read(&mut buf).unwrap(), b"1\n");
        std::fs::remove_file(&path).unwrap();
        assert!(file.read(&mut buf).unwrap_err().is_absent());
        std::fs::write(&path, "2\n").unwrap();
        assert_eq!(file.read_trimmed(&mut buf).unwrap(), b"2");
        assert_eq!(sources.kept_open(), 0);
    }

    #[test]
    fn a_mount_table_that_rests() {
        let sources = Sources::live();
        let (file, mut buf) = (sources.kept_proc("self/mountinfo"), Buf::new());
        assert_eq!(file.changed(), None);
        file.read(&mut buf).unwrap();
        // Somebody may be mounting while this runs; a table does not change a hundred times in a row.
        assert!((0..100).any(|_| file.changed() == Some(false)));
    }
}
