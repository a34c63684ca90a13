//! Folder listings without one allocation a name.

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, RawDir};
use std::ffi::CStr;
use std::mem::MaybeUninit;

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
