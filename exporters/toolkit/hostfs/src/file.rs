//! One host file, read whole.

use crate::{Entries, ReadError, Sources, scan};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{Mode, OFlags};
use std::path::{Path, PathBuf};

/// A buffer that is used again for each file.
#[derive(Debug, Default)]
pub struct Buf {
    pub(crate) bytes: Vec<u8>,
}

impl Buf {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the last read found.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A path of the host; nothing is opened until it is read.
#[derive(Clone, Debug)]
pub struct File<'s> {
    sources: std::marker::PhantomData<&'s Sources>,
    path: PathBuf,
    end: End,
}

impl<'s> File<'s> {
    pub(crate) fn new(_: &'s Sources, path: PathBuf, end: End) -> Self {
        Self { sources: std::marker::PhantomData, path, end }
    }

    /// The path as it is opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn end(&self) -> End {
        self.end
    }

    /// A file below this folder.
    #[must_use]
    pub fn join(&self, rel: impl AsRef<Path>) -> Self {
        Self { sources: self.sources, path: self.path.join(rel), end: self.end }
    }

    /// A file below this folder, by a name as the kernel gives it.
    #[must_use]
    pub fn child(&self, name: &[u8]) -> Self {
        use std::os::unix::ffi::OsStrExt;
        self.join(std::ffi::OsStr::from_bytes(name))
    }

    /// Reads the whole file.
    pub fn read<'b>(&self, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        let fd = open(&self.path, OFlags::RDONLY)?;
        read_all(fd.as_fd(), self.end, &mut buf.bytes).map_err(|e| ReadError::new("read", &self.path, e))?;
        Ok(&buf.bytes)
    }

    /// Reads the whole file without the white space around it.
    pub fn read_trimmed<'b>(&self, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        self.read(buf).map(<[u8]>::trim_ascii)
    }

    /// Reads an attribute that may be missing: `None` if it is not there or cannot be read (EINVAL, EIO and the like are
    /// how many drivers say "not supported").
    pub fn read_optional<'b>(&self, buf: &'b mut Buf) -> Option<&'b [u8]> {
        self.read_trimmed(buf).ok()
    }

    /// Reads an attribute that holds one unsigned decimal number.
    pub fn read_u64(&self, buf: &mut Buf) -> Result<u64, ReadError> {
        let text = self.read_trimmed(buf)?;
        scan::u64(text).ok_or_else(|| self.no_number(text))
    }

    /// Reads an attribute that holds one signed decimal number.
    pub fn read_i64(&self, buf: &mut Buf) -> Result<i64, ReadError> {
        let text = self.read_trimmed(buf)?;
        scan::i64(text).ok_or_else(|| self.no_number(text))
    }

    fn no_number(&self, text: &[u8]) -> ReadError {
        let shown = scan::lossy(&text[..text.len().min(40)]);
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, format!("no number: {shown:?}"));
        ReadError::new("parse", &self.path, source)
    }

    /// Lists a folder, sorted by name.
    pub fn entries(&self) -> Result<Entries, ReadError> {
        let fd = open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Entries::read(fd.as_fd()).map_err(|e| ReadError::new("list", &self.path, e))
    }

    /// Lists the folders in a folder, sorted by name; links are none.
    pub fn folders(&self) -> Result<Entries, ReadError> {
        let fd = open(&self.path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Entries::read_folders(fd.as_fd()).map_err(|e| ReadError::new("list", &self.path, e))
    }

    /// Opens a folder, to look at what is in it.
    pub fn open_folder(&self) -> Result<crate::Folder, ReadError> {
        crate::Folder::open(&self.path)
    }

    /// Where a link points, as text of the link.
    pub fn read_link(&self) -> Result<PathBuf, ReadError> {
        std::fs::read_link(&self.path).map_err(|e| ReadError::new("read link", &self.path, e))
    }

    /// The path with all links resolved.
    pub fn canonical(&self) -> Result<PathBuf, ReadError> {
        std::fs::canonicalize(&self.path).map_err(|e| ReadError::new("resolve", &self.path, e))
    }

    /// Whether something is there.
    pub fn exists(&self) -> bool {
        rustix::fs::access(&self.path, rustix::fs::Access::EXISTS).is_ok()
    }

    /// Whether it is a folder (links followed).
    pub fn is_dir(&self) -> bool {
        self.path.is_dir()
    }

    /// Its metadata (links followed).
    pub fn metadata(&self) -> Result<std::fs::Metadata, ReadError> {
        std::fs::metadata(&self.path).map_err(|e| ReadError::new("stat", &self.path, e))
    }
}

pub(crate) fn open(path: &Path, flags: OFlags) -> Result<rustix::fd::OwnedFd, ReadError> {
    // O_NONBLOCK: a FIFO or a device without a peer must not hold the scrape.
    rustix::fs::open(path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty())
        .map_err(|e| ReadError::new("open", path, e))
}

/// How the end of a file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// On procfs a short read is not the end: read until nothing comes.
    Empty,
    /// A sysfs attribute is rendered at once: a short read is the end, which saves a system call.
    Short,
    /// Records shorter than [`RECORD`]: what ends well before a page has ended, for the kernel had room for one more. A
    /// second read would have it render all of them anew.
    Records,
}

impl End {
    /// Whether `read` bytes from the start, with room for more, are all there are.
    fn is_all(self, read: usize) -> bool {
        match self {
            Self::Empty => false,
            Self::Short => true,
            Self::Records => read + RECORD <= FIRST,
        }
    }
}

/// The longest record of a file that is read by [`End::Records`].
const RECORD: usize = 512;

/// Reads from offset 0 to the end.
pub(crate) fn read_all(fd: BorrowedFd<'_>, end: End, bytes: &mut Vec<u8>) -> rustix::io::Result<()> {
    bytes.clear();
    bytes.reserve(FIRST);
    loop {
        let free = bytes.capacity() - bytes.len();
        let at = bytes.len() as u64;
        let n = match rustix::io::pread(fd, rustix::buffer::spare_capacity(bytes), at) {
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => continue,
            // A FIFO or socket has no offset.
            Err(rustix::io::Errno::SPIPE) => rustix::io::read(fd, rustix::buffer::spare_capacity(bytes))?,
            Err(e) => return Err(e),
        };
        if n == 0 || (n < free && end.is_all(at as usize + n)) {
            return Ok(());
        }
        if bytes.len() > LARGEST {
            return Err(rustix::io::Errno::FBIG);
        }
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len());
        }
    }
}

/// One page, the most that a sysfs attribute holds.
const FIRST: usize = 4096;
/// No pseudo-file of a sane host is larger; a wrong path must not eat the memory.
const LARGEST: usize = 64 << 20;
