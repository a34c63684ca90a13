//! Kept descriptors of a set of files that comes and goes with the devices behind it.

use crate::sources::Budget;
use crate::{Buf, File, KeptFile, ReadError};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Files that are read at each scrape, found anew at each scrape (sensors, power supplies, …).
///
/// A scrape takes a [`Round`], reads through it, and what no round read any more is closed when it ends.
#[derive(Debug)]
pub struct KeptFiles {
    budget: Arc<Budget>,
    rounds: AtomicU64,
    files: Mutex<HashMap<OsString, Held>>,
}

#[derive(Debug)]
struct Held {
    file: Arc<KeptFile>,
    /// The last round that read it.
    round: u64,
}

impl KeptFiles {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, rounds: AtomicU64::new(0), files: Mutex::default() }
    }

    /// Begins a scrape.
    pub fn round(&self) -> Round<'_> {
        Round { set: self, number: self.rounds.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn files(&self) -> std::sync::MutexGuard<'_, HashMap<OsString, Held>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One scrape's use of [`KeptFiles`].
#[derive(Debug)]
pub struct Round<'s> {
    set: &'s KeptFiles,
    number: u64,
}

impl Round<'_> {
    /// Reads the whole file.
    pub fn read<'b>(&self, file: &File<'_>, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        self.kept(file).read(buf)
    }

    /// Reads the whole file without the white space around it.
    pub fn read_trimmed<'b>(&self, file: &File<'_>, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        self.kept(file).read_trimmed(buf)
    }

    fn kept(&self, file: &File<'_>) -> Arc<KeptFile> {
        let key: &OsStr = file.path().as_os_str();
        let mut files = self.set.files();
        if let Some(held) = files.get_mut(key) {
            held.round = self.number;
            return Arc::clone(&held.file);
        }
        let kept = Arc::new(KeptFile::new(file.path().to_owned(), file.end(), Arc::clone(&self.set.budget)));
        files.insert(key.to_owned(), Held { file: Arc::clone(&kept), round: self.number });
        kept
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        self.set.files().retain(|_, held| held.round >= self.number);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buf, Sources};

    #[test]
    fn files_of_the_last_round_are_kept() {
        let sources = Sources::live();
        let set = sources.kept_files();
        let mut buf = Buf::new();
        {
            let round = set.round();
            assert!(!round.read(&sources.proc("self/stat"), &mut buf).unwrap().is_empty());
            round.read(&sources.proc("self/statm"), &mut buf).unwrap();
            assert!(round.read(&sources.proc("no such file"), &mut buf).unwrap_err().is_absent());
        }
        assert_eq!(sources.kept_open(), 2);
        {
            let round = set.round();
            assert!(!round.read_trimmed(&sources.proc("self/statm"), &mut buf).unwrap().is_empty());
        }
        assert_eq!(sources.kept_open(), 1);
        drop(set.round());
        assert_eq!(sources.kept_open(), 0);
    }
}
