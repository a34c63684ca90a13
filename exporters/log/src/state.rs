//! Counters and reading positions on disk: one file, replaced as a whole, so that both always say the same.

use crate::ledger::Positions;
use rustix::fs::FlockOperation;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::SystemTime;
use tokio::sync::oneshot;

/// The storage folder, held by this process alone.
#[derive(Debug)]
pub(crate) struct Storage {
    dir: PathBuf,
    /// Locked as long as it is open.
    _lock: File,
}

/// What a process before this one saved.
#[derive(Debug)]
pub(crate) struct Saved {
    pub(crate) positions: Positions,
    /// As the engine wrote it.
    pub(crate) series: Vec<u8>,
}

/// Why the storage folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The folder or a file in it.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{}: another log-exporter uses this folder", .0.display())]
    InUse(PathBuf),
}

impl Storage {
    /// Opens the folder and reads what is saved there. A file that cannot be read is put aside, which is said.
    pub(crate) fn open(dir: &Path) -> Result<(Self, Option<Saved>), StorageError> {
        let wrong = |path: &Path, source| StorageError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| wrong(dir, e))?;
        let lock_path = dir.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(|e| wrong(&lock_path, e))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StorageError::InUse(dir.to_owned())),
            Err(e) => return Err(wrong(&lock_path, e.into())),
        }
        let storage = Self { dir: dir.to_owned(), _lock: lock };
        let path = storage.path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((storage, None)),
            Err(e) => return Err(wrong(&path, e)),
        };
        let saved = decode(&bytes);
        if saved.is_none() {
            storage.put_aside("damaged, or of another version");
        }
        Ok((storage, saved))
    }

    /// Puts the saved file aside: what is in it cannot be used.
    pub(crate) fn put_aside(&self, why: &str) {
        let (path, aside) = (self.path(), self.dir.join("state.damaged"));
        let moved = fs::rename(&path, &aside).map_or_else(|e| e.to_string(), |()| aside.display().to_string());
        tracing::error!(file = %path.display(), why, moved, "Saved state cannot be used, counting begins anew");
    }

    fn path(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// Replaces the saved file; once this returns the new one survives a power cut.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.dir.join("state.new");
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, self.path())?;
        File::open(&self.dir)?.sync_all()
    }
}

/// Puts positions and series into the file's form.
pub(crate) fn encode(positions: &Positions, series: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    let json = serde_json::to_vec(positions).unwrap_or_default();
    out.extend((json.len() as u64).to_le_bytes());
    out.extend(json);
    series(&mut out);
    let sum = checksum(&out);
    out.extend(sum.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<Saved> {
    let (content, sum) = bytes.split_last_chunk::<8>()?;
    if u64::from_le_bytes(*sum) != checksum(content) {
        return None;
    }
    let (length, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<8>()?;
    let (json, series) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    Some(Saved { positions: serde_json::from_slice(json).ok()?, series: series.to_vec() })
}

/// FNV-1a by words: against torn files, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(8);
    let step = |h: u64, word: u64| (h ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    let mut sum =
        words.by_ref().filter_map(|w| w.try_into().ok()).map(u64::from_le_bytes).fold(bytes.len() as u64, step);
    for byte in words.remainder() {
        sum = step(sum, u64::from(*byte));
    }
    sum
}

const MAGIC: &[u8] = b"bongsu log-exporter state 1\n";

/// What is written, and who is told once it is. Those who are not told find their answer dropped: it was not written.
pub(crate) type State = (Vec<u8>, Vec<oneshot::Sender<()>>);

/// The thread that writes: a disk that hangs must not keep lines from being counted.
#[derive(Debug)]
pub(crate) struct Saver {
    to_write: Option<mpsc::SyncSender<State>>,
    thread: Option<JoinHandle<Storage>>,
    pub(crate) told: Arc<Told>,
}

/// How saving goes.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) saves: AtomicU64,
    pub(crate) failures: AtomicU64,
    /// Milliseconds since 1970 of the last good one.
    pub(crate) last: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

impl Saver {
    /// Starts the thread.
    pub(crate) fn start(storage: Storage) -> io::Result<Self> {
        let (to_write, given) = mpsc::sync_channel::<State>(1);
        let told = Arc::<Told>::default();
        let counts = Arc::clone(&told);
        let thread = crate::vital::spawn("saver", move || {
            while let Ok((bytes, waiting)) = given.recv() {
                match storage.write(&bytes) {
                    Ok(()) => {
                        counts.saves.fetch_add(1, Ordering::Relaxed);
                        counts.bytes.store(bytes.len() as u64, Ordering::Relaxed);
                        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                        counts.last.store(now.as_millis() as u64, Ordering::Relaxed);
                        for sender in waiting {
                            // Whoever asked may have hung up.
                            let _ = sender.send(());
                        }
                    }
                    Err(e) => {
                        counts.failures.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(dir = %storage.dir.display(), err = %e, "State cannot be saved");
                    }
                }
            }
            storage
        })?;
        Ok(Self { to_write: Some(to_write), thread: Some(thread), told })
    }

    /// Has this written; gives it back while the one before still is.
    pub(crate) fn save(&self, state: State) -> Result<(), State> {
        let Some(to_write) = &self.to_write else { return Err(state) };
        to_write.try_send(state).map_err(|e| match e {
            mpsc::TrySendError::Full(state) | mpsc::TrySendError::Disconnected(state) => state,
        })
    }

    /// Has this written as the last one, and waits for it.
    pub(crate) fn finish(mut self, state: State) {
        if let Some(to_write) = self.to_write.take() {
            let _ = to_write.send(state);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn save(dir: &Path, series: &[u8]) {
        let saver = Saver::start(Storage::open(dir).unwrap().0).unwrap();
        saver.finish((encode(&Positions::default(), |out| out.extend_from_slice(series)), Vec::new()));
    }

    #[test]
    fn what_is_saved_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("new/folder");
        let (storage, saved) = Storage::open(&at).unwrap();
        assert!(saved.is_none());
        assert!(matches!(Storage::open(&at), Err(StorageError::InUse(_))));
        drop(storage);
        save(&at, b"series");
        assert_eq!(Storage::open(&at).unwrap().1.unwrap().series, b"series");
    }

    #[test]
    fn a_damaged_file_is_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), b"series");
        let path = dir.path().join("state");
        let good = fs::read(&path).unwrap();
        for cut in [0, 5, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(Storage::open(dir.path()).unwrap().1.is_none(), "{cut}");
            assert!(!path.exists() && dir.path().join("state.damaged").exists());
        }
    }

    #[test]
    fn a_folder_that_cannot_be_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Storage::open(&file.path().join("x")).unwrap_err().to_string();
        assert!(error.starts_with(&file.path().display().to_string()), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn one_flipped_bit_is_noticed(at in 0_usize..200, bit in 0_u8..8) {
            let mut bytes = encode(&Positions::default(), |out| out.extend_from_slice(b"some series"));
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(decode(&bytes).is_none());
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            decode(&bytes);
            let mut with_head = MAGIC.to_vec();
            with_head.extend(&bytes);
            with_head.extend(checksum(&with_head).to_le_bytes());
            decode(&with_head);
        }
    }
}
