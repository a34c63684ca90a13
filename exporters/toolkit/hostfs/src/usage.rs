//! What a tree of folders takes on its disk, as `du` counts it.

use crate::ReadError;
use crate::file::{File, open};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use std::collections::HashSet;
use std::mem::MaybeUninit;
use std::time::Instant;

/// What was found below a folder, itself included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of blocks on the disk.
    pub bytes: u64,
    /// Distinct inodes.
    pub inodes: u64,
}

/// When a walk gives up.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The latest time.
    pub until: Instant,
    /// The most inodes.
    pub inodes: u64,
    /// The deepest folder.
    pub depth: usize,
}

impl File<'_> {
    /// Walks this folder without following links or leaving its file system. `None` where a bound was met: half a sum is
    /// no sum.
    pub fn usage(&self, bounds: Bounds) -> Result<Option<Usage>, ReadError> {
        let fd = open(self.path(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW)?;
        let failed = |e| ReadError::new("walk", self.path(), e);
        let top = rustix::fs::fstat(&fd).map_err(failed)?;
        let mut walk = Walk { bounds, device: top.st_dev, seen: HashSet::new(), sum: Usage::default() };
        walk.add(&top);
        let whole = walk.folder(fd.as_fd(), 0).map_err(failed)?;
        Ok(whole.then_some(walk.sum))
    }
}

struct Walk {
    bounds: Bounds,
    device: u64,
    /// Files with several names, which count once.
    seen: HashSet<u64>,
    sum: Usage,
}

impl Walk {
    fn add(&mut self, stat: &Stat) {
        let folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if folder || stat.st_nlink < 2 || self.seen.insert(stat.st_ino) {
            self.sum.bytes += stat.st_blocks as u64 * BLOCK;
            self.sum.inodes += 1;
        }
    }

    /// Whether all of it was seen.
    fn folder(&mut self, fd: BorrowedFd<'_>, depth: usize) -> rustix::io::Result<bool> {
        if depth > self.bounds.depth || Instant::now() > self.bounds.until {
            return Ok(false);
        }
        let mut folders = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut dir = RawDir::new(fd, &mut buffer);
        while let Some(entry) = dir.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            // A file that has just gone is no failure.
            let Ok(stat) = rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if stat.st_dev != self.device {
                continue;
            }
            self.add(&stat);
            if self.sum.inodes > self.bounds.inodes {
                return Ok(false);
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                folders.push(name.to_owned());
            }
        }
        for name in folders {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let child = match rustix::fs::openat(fd, &name, flags, Mode::empty()) {
                Ok(child) => child,
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => continue,
                Err(e) => return Err(e),
            };
            if !self.folder(child.as_fd(), depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// `st_blocks` counts these, whatever the file system's own block is.
const BLOCK: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Sources;
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    fn bounds() -> Bounds {
        Bounds { until: Instant::now() + Duration::from_secs(10), inodes: 1000, depth: 100 }
    }

    #[test]
    fn hard_links_count_once_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/b/file"), vec![1u8; 100_000]).unwrap();
        std::fs::hard_link(at("a/b/file"), at("a/again")).unwrap();
        std::os::unix::fs::symlink("/", at("a/root")).unwrap();
        let expected: u64 =
            ["a", "a/b", "a/b/file", "a/root"].iter().map(|n| at(n).symlink_metadata().unwrap().blocks() * BLOCK).sum();
        let sources = Sources::under(dir.path());
        let usage = sources.rootfs("a").usage(bounds()).unwrap().unwrap();
        assert_eq!(usage, Usage { bytes: expected, inodes: 4 });
        assert!(sources.rootfs("no").usage(bounds()).unwrap_err().is_absent());
    }

    #[test]
    fn bounds_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("1/2/3/4")).unwrap();
        let sources = Sources::under(dir.path());
        let walk = |b| sources.rootfs("/").usage(b).unwrap();
        assert!(walk(bounds()).is_some());
        assert_eq!(walk(Bounds { depth: 2, ..bounds() }), None);
        assert_eq!(walk(Bounds { inodes: 2, ..bounds() }), None);
        let late = bounds().until.checked_sub(Duration::from_secs(20)).unwrap();
        assert_eq!(walk(Bounds { until: late, ..bounds() }), None);
    }
}
