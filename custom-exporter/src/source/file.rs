//! A file, read anew each time: a counter of a batch job, a pseudo-file of the kernel.

use super::Thread;
use crate::fault::Fault;
use serde::Deserialize;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// `file: {path: …}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    path: PathBuf,
}

impl File {
    pub(crate) async fn ask(&self, thread: &Thread, deadline: Instant, max_bytes: usize) -> Result<Vec<u8>, Fault> {
        let path = self.path.clone();
        thread.run(deadline, move || read(&path, max_bytes)).await
    }
}

/// A secret in a file of its own, without the line's end.
pub(super) fn secret(path: &Path) -> Result<String, Fault> {
    let text = String::from_utf8(read(path, 64 << 10)?);
    let text = text.map_err(|_| Fault::Connect(format!("{}: is not UTF-8", path.display())))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
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
