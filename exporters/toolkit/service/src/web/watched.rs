//! Something made from files, made again when one of them has changed.

use super::WebError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What was made of some files, and how those looked before they were read.
#[derive(Debug)]
pub(super) struct Watched<T> {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// No file had changed so recently that another change could leave the same time stamps.
    settled: bool,
    made: Result<Arc<T>, WebError>,
}

/// How a file is told from another one, or from itself after a change.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T> Watched<T> {
    /// Stamps `files`, then reads them through `make`: a change in between is seen next time.
    pub(super) fn new(files: Vec<PathBuf>, make: impl FnOnce() -> Result<T, WebError>) -> Self {
        let files: Vec<_> = files.into_iter().map(|path| (Stamp::of(&path), path)).map(|(s, p)| (p, s)).collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let settled = files.iter().filter_map(|(_, stamp)| stamp.as_ref()).all(|stamp| stamp.is_settled(now));
        Self { files, settled, made: make().map(Arc::new) }
    }

    /// Whether any file looks other than it did, or could have changed unseen.
    pub(super) fn is_stale(&self) -> bool {
        !self.settled || self.files.iter().any(|(path, stamp)| Stamp::of(path) != *stamp)
    }

    pub(super) fn made(&self) -> Result<Arc<T>, WebError> {
        self.made.clone()
    }
}

impl Stamp {
    fn of(path: &PathBuf) -> Option<Self> {
        let meta = fs::metadata(path).ok()?;
        Some(Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        })
    }

    /// The kernel stamps with the time of its last tick, so two changes within one look the same.
    fn is_settled(&self, now: Duration) -> bool {
        let changed = Duration::new(u64::try_from(self.changed.0).unwrap_or(0), self.changed.1.unsigned_abs() as u32);
        now.abs_diff(changed) > TICK
    }
}

/// Longer than any kernel's tick.
const TICK: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_keeps_size_and_inode_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "one").unwrap();
        let read = || Ok(fs::read_to_string(&path).unwrap());
        let young = Watched::new(vec![path.clone()], read);
        assert!(young.is_stale(), "written this very moment");
        std::thread::sleep(TICK * 2);
        let old = Watched::new(vec![path.clone()], read);
        assert!(!old.is_stale());
        fs::write(&path, "two").unwrap();
        assert!(old.is_stale());
        fs::remove_file(&path).unwrap();
        let gone = Watched::new(vec![path.clone()], || Err::<String, _>(WebError::new("gone")));
        assert!(!gone.is_stale() && gone.made().is_err());
        fs::write(&path, "three").unwrap();
        assert!(gone.is_stale());
    }
}
