//! Files that several readers want at the same scrape.

use crate::{Buf, KeptFile, ReadError};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// A kept file that is read once a scrape, whoever asks first: `/proc/stat` costs the kernel a walk over all interrupts of
/// all CPUs.
#[derive(Debug)]
pub struct SharedFile {
    file: KeptFile,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    scrape: Option<SystemTime>,
    bytes: Vec<u8>,
}

impl SharedFile {
    pub(crate) fn new(file: KeptFile) -> Self {
        Self { file, last: Mutex::default() }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file as of the scrape that began at `scrape`.
    pub fn read<'b>(&self, scrape: SystemTime, buf: &'b mut Buf) -> Result<&'b [u8], ReadError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.scrape == Some(scrape) {
            buf.bytes.clear();
            buf.bytes.extend_from_slice(&last.bytes);
        } else {
            last.scrape = None;
            self.file.read(buf)?;
            last.bytes.clear();
            last.bytes.extend_from_slice(&buf.bytes);
            last.scrape = Some(scrape);
        }
        Ok(&buf.bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Buf, Sources};
    use std::time::{Duration, SystemTime};

    #[test]
    fn one_read_a_scrape() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("proc/stat");
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(&path, "1\n").unwrap();
        let sources = Sources::under(dir.path());
        let (a, b, mut buf) = (sources.shared_proc("stat"), sources.clone().shared_proc("stat"), Buf::new());
        let first = SystemTime::now();
        assert_eq!(a.read(first, &mut buf).unwrap(), b"1\n");
        std::fs::write(&path, "2\n").unwrap();
        assert_eq!(b.read(first, &mut buf).unwrap(), b"1\n");
        let second = first + Duration::from_nanos(1);
        assert_eq!(b.read(second, &mut buf).unwrap(), b"2\n");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(a.read(second, &mut buf).unwrap(), b"2\n");
        assert!(a.read(first, &mut buf).is_err());
        assert!(b.read(second, &mut buf).is_err(), "a failed read is no reading");
    }
}
