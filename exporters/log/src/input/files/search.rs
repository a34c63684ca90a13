//! Finding what became of a file while nobody looked: renamed, or copied and emptied.

use super::mark::{Identity, Mark};
use std::collections::HashSet;
use std::fs::{File, Metadata};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file that holds lines nobody has read.
#[derive(Debug)]
pub(super) struct Remains {
    pub(super) file: File,
    pub(super) path: PathBuf,
    /// `None` for a file that was never read.
    pub(super) mark: Option<Mark>,
    changed: SystemTime,
}

/// Where the content went on that was read from `path` up to `mark`: the same inode under another name, or a copy.
pub(super) fn content(path: &Path, mark: &Mark, held: &HashSet<Identity>) -> Option<Remains> {
    let mut copies = Vec::new();
    for (sibling, meta) in siblings(path) {
        if sibling == path {
            continue;
        }
        let identity = Identity::of(&meta);
        let same = identity == mark.identity;
        // A short beginning may be alike in files that have nothing to do with each other.
        let copy = !same && mark.offset >= SURE && meta.len() > mark.offset && is_kin(path, &sibling);
        if !(same || copy) || held.contains(&identity) || meta.len() < mark.offset {
            continue;
        }
        let Ok(file) = File::open(&sibling) else { continue };
        if !mark.fits(&file) {
            continue;
        }
        let changed = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let mark = Mark { identity, ..*mark };
        let remains = Remains { file, path: sibling, mark: Some(mark), changed };
        if same {
            return Some(remains);
        }
        copies.push(remains);
    }
    copies.into_iter().max_by_key(|c| c.changed)
}

/// Files that came to `path` and were rotated away again since `since`, oldest first.
pub(super) fn unseen(path: &Path, since: SystemTime, held: &HashSet<Identity>) -> Vec<Remains> {
    let mut found = Vec::new();
    let since = since.checked_sub(SLACK).unwrap_or(since);
    for (sibling, meta) in siblings(path) {
        let Ok(changed) = meta.modified() else { continue };
        if changed <= since || held.contains(&Identity::of(&meta)) || sibling == path || !is_rotated(path, &sibling) {
            continue;
        }
        if let Ok(file) = File::open(&sibling) {
            found.push(Remains { file, path: sibling, mark: None, changed });
        }
    }
    found.sort_by_key(|r| r.changed);
    found
}

fn siblings(path: &Path) -> impl Iterator<Item = (PathBuf, Metadata)> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| {
        let meta = e.metadata().ok()?;
        (meta.is_file() && !is_packed(&e.path())).then(|| (e.path(), meta))
    })
}

/// Whether a name begins as the file's does, its extension aside: `app.log`, `app.log.1`, `app-2024.log`.
fn is_kin(path: &Path, other: &Path) -> bool {
    let (Some(stem), Some(name)) = (path.file_stem(), other.file_name()) else { return false };
    name.to_string_lossy().starts_with(&*stem.to_string_lossy())
}

/// Whether a name is what rotation makes of the file's: `app.log.1`, `app.log-2024`.
fn is_rotated(path: &Path, other: &Path) -> bool {
    let (Some(own), Some(name)) = (path.file_name(), other.file_name()) else { return false };
    let name = name.to_string_lossy();
    name.strip_prefix(&*own.to_string_lossy())
        .is_some_and(|rest| rest.starts_with(['.', '-', '_']) && rest[1..].starts_with(|c: char| c.is_ascii_digit()))
}

fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["gz", "bz2", "xz", "zst", "zip", "lz4"].iter().any(|p| e == *p))
}

/// From so many bytes on, beginning and end of what was read say that it is the same content.
pub(super) const SURE: u64 = 1024;
/// The kernel stamps files with the time of its last tick, and clocks are set. What was read before is known by its
/// place: only files that nobody knows are meant.
const SLACK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::super::mark::print_at;
    use super::*;

    fn mark(path: &Path, offset: u64) -> Mark {
        let file = File::open(path).unwrap();
        let meta = file.metadata().unwrap();
        let (head, tail) = (print_at(&file, 0, meta.len()), print_at(&file, offset - 64.min(offset), 64.min(offset)));
        Mark { identity: Identity::of(&meta), offset, head, tail, within: false }
    }

    #[test]
    fn renamed_copied_and_unseen() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let text: String = (0..200).fold(String::new(), |text, i| text + &format!("line number {i}\n"));
        std::fs::write(at("app.log"), &text).unwrap();
        let mark = mark(&at("app.log"), 1504);
        let none = HashSet::new();
        assert!(content(&at("app.log"), &mark, &none).is_none(), "it is no sibling of itself");
        std::fs::copy(at("app.log"), at("app.log.1")).unwrap();
        std::fs::write(at("app.log"), "").unwrap();
        let copy = content(&at("app.log"), &mark, &none).unwrap();
        assert_eq!((copy.path, copy.mark.unwrap().offset), (at("app.log.1"), 1504));
        std::fs::write(at("app.log.1"), text.replace("100", "xxx")).unwrap();
        assert!(content(&at("app.log"), &mark, &none).is_none(), "another content");
        std::fs::write(at("app.log"), &text).unwrap();
        std::fs::rename(at("app.log"), at("renamed")).unwrap();
        let renamed = content(&at("app.log"), &mark, &none).unwrap();
        assert_eq!(renamed.path, at("renamed"));
        assert!(content(&at("app.log"), &mark, &[mark.identity].into()).is_none(), "it is read already");

        std::fs::write(at("app.log.2.gz"), "x").unwrap();
        std::fs::write(at("app.log.bak"), "x").unwrap();
        let names = |since| unseen(&at("app.log"), since, &none).into_iter().map(|r| r.path).collect::<Vec<_>>();
        assert_eq!(names(SystemTime::UNIX_EPOCH), [at("app.log.1")]);
        assert!(names(SystemTime::now() + std::time::Duration::from_secs(9)).is_empty());
    }
}
