//! A file, read anew each time: a counter of a batch job, a pseudo-file of the kernel.

use crate::fault::Fault;
use serde::Deserialize;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

/// `file: {path: …}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    path: PathBuf,
    /// Held while it is read: a file system that hangs takes one thread, not one a scrape.
    #[serde(skip)]
    reading: Arc<tokio::sync::Mutex<()>>,
}

impl File {
    pub(crate) async fn ask(&self, deadline: Instant, max_bytes: usize) -> Result<Vec<u8>, Fault> {
        let began = Instant::now();
        let reading = Arc::clone(&self.reading).try_lock_owned();
        let reading = reading.map_err(|_| Fault::Connect("an earlier read still hangs".to_owned()))?;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let result = read(&path, max_bytes);
            drop(reading);
            result
        });
        match timeout_at(deadline, read).await {
            Ok(done) => done.unwrap_or_else(|e| Err(Fault::Parse(format!("panicked: {e}")))),
            Err(_) => Err(Fault::Timeout(began.elapsed())),
        }
    }
}

fn read(path: &Path, max_bytes: usize) -> Result<Vec<u8>, Fault> {
    let wrong = |e: &dyn std::fmt::Display| Fault::Connect(format!("{}: {e}", path.display()));
    // Opening a pipe that nobody writes to would wait for ever.
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(path);
    let file = file.map_err(|e| wrong(&e))?;
    if !file.metadata().map_err(|e| wrong(&e))?.is_file() {
        return Err(wrong(&"is no regular file"));
    }
    let mut bytes = Vec::new();
    // Not by its length: that of a pseudo-file is 0.
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    if bytes.len() > max_bytes {
        return Err(Fault::Limit(format!("{}: more than max_bytes={max_bytes}", path.display())));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_up_to_a_limit_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(matches!(read(&file, 4), Err(Fault::Limit(_))));
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(read(&pipe, 5).unwrap_err().to_string().contains("no regular file"));
        assert!(read(Path::new("/dev/zero"), 5).unwrap_err().to_string().contains("no regular file"));
        assert!(read(&dir.path().join("none"), 5).unwrap_err().to_string().contains("No such file"));
        assert!(!read(Path::new("/proc/uptime"), 100).unwrap().is_empty());
    }
}
