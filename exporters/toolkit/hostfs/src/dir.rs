//! Folder listings without one allocation a name.

use crate::ReadError;
use crate::file::open;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The names of a folder in byte order, `.` and `..` left out.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    arena: Vec<u8>,
    names: Vec<(u32, u32)>,
}

impl Entries {
    pub(crate) fn read(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        Self::read_if(fd, |_, _| true)
    }

    /// The folders alone; links are none.
    pub(crate) fn read_folders(fd: BorrowedFd<'_>) -> rustix::io::Result<Self> {
        Self::read_if(fd, |name, kind| match kind {
            FileType::Unknown => rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory),
            kind => kind == FileType::Directory,
        })
    }

    fn read_if(fd: BorrowedFd<'_>, wanted: impl Fn(&CStr, FileType) -> bool) -> rustix::io::Result<Self> {
        let mut entries = Self::default();
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut dir = RawDir::new(fd, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && wanted(entry.file_name(), entry.file_type()) {
                entries.names.push((entries.arena.len() as u32, name.len() as u32));
                entries.arena.extend_from_slice(name);
            }
        }
        let arena = &entries.arena;
        entries.names.sort_unstable_by(|&a, &b| text(arena, a).cmp(text(arena, b)));
        Ok(entries)
    }

    /// The names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names.iter().map(|&n| text(&self.arena, n))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether the folder is empty.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether a name is among them.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.names.binary_search_by(|&n| text(&self.arena, n).cmp(name)).is_ok()
    }
}

fn text(arena: &[u8], (start, len): (u32, u32)) -> &[u8] {
    &arena[start as usize..(start + len) as usize]
}

/// An open folder: what is in it is looked at without walking its whole path anew.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    fd: OwnedFd,
}

/// What a folder tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FolderStat {
    /// On cgroupfs, ext4 and tmpfs two more than it has folders in it.
    pub links: u64,
    /// When its entries changed last, in seconds since the epoch.
    pub modified: i64,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let fd = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Self { path: path.to_owned(), fd })
    }

    /// A folder in this one; links are not followed.
    pub fn child(&self, name: &[u8]) -> Result<Self, ReadError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.path.join(OsStr::from_bytes(name));
        match rustix::fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Self { path, fd }),
            Err(e) => Err(ReadError::new("open", &path, e)),
        }
    }

    /// The folders in it, sorted by name; links are none.
    pub fn folders(&self) -> Result<Entries, ReadError> {
        Entries::read_folders(self.fd.as_fd()).map_err(|e| ReadError::new("list", &self.path, e))
    }

    /// What it tells of itself.
    pub fn stat(&self) -> Result<FolderStat, ReadError> {
        rustix::fs::fstat(&self.fd).map(FolderStat::from).map_err(|e| ReadError::new("stat", &self.path, e))
    }

    /// What a folder in it tells of itself.
    pub fn stat_of(&self, name: &[u8]) -> Result<FolderStat, ReadError> {
        rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW)
            .map(FolderStat::from)
            .map_err(|e| ReadError::new("stat", &self.path.join(OsStr::from_bytes(name)), e))
    }
}

impl From<rustix::fs::Stat> for FolderStat {
    #[allow(clippy::unnecessary_cast, reason = "narrower on other processors")]
    fn from(stat: rustix::fs::Stat) -> Self {
        Self { links: stat.st_nlink as u64, modified: stat.st_mtime as i64 }
    }
}

#[cfg(test)]
mod tests {
    use crate::Sources;

    #[test]
    fn folders_are_looked_at_from_within() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sys/a/b")).unwrap();
        std::fs::create_dir(dir.path().join("sys/a/c")).unwrap();
        std::fs::write(dir.path().join("sys/a/file"), "").unwrap();
        std::os::unix::fs::symlink("b", dir.path().join("sys/a/link")).unwrap();
        let sources = Sources::under(dir.path());
        let top = sources.sys("a").open_folder().unwrap();
        let names = top.folders().unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), [b"b", b"c"]);
        assert_eq!(top.child(b"b").unwrap().stat().unwrap(), top.stat_of(b"b").unwrap());
        assert!(top.stat().unwrap().modified > 1_600_000_000);
        for name in [&b"link"[..], b"file", b"nothing"] {
            assert!(top.child(name).is_err(), "{}", String::from_utf8_lossy(name));
        }
    }
}
