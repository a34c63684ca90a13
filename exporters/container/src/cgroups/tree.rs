//! All cgroups of the host, found anew at each reading, kept with their open files between readings.

use super::{Dirs, Files, Hierarchies};
use hostfs::{Folder, FolderStat, Sources};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// One cgroup.
#[derive(Debug)]
pub(crate) struct Cgroup {
    pub(crate) files: Files,
    /// When it came into being, as far as the file system knows; seconds since the epoch.
    pub(crate) created: Option<i64>,
    /// The id that its name holds.
    pub(crate) named_id: Option<String>,
    /// A process of it, for cgroups that no engine knows.
    pub(crate) process: Option<crate::pid::Process>,
    seen: u64,
}

/// The cgroups by path, `/` first.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) cgroups: BTreeMap<Vec<u8>, Cgroup>,
    /// Folders of hierarchies that could not be listed at the last reading.
    pub(crate) errors: usize,
}

impl Tree {
    /// Looks which cgroups there are now.
    pub(crate) fn walk(&mut self, sources: &Sources, hierarchies: &Hierarchies, round: u64) {
        self.errors = 0;
        let mut path = Vec::new();
        for mount in hierarchies.distinct() {
            path.clear();
            let walk = Walk { sources, mount, round };
            let top = sources.sys(mount).open_folder().and_then(|top| Ok((top.stat()?, top)));
            match top {
                Ok((stat, top)) => {
                    self.see(&walk, &path, stat);
                    self.inside(&walk, &top, &mut path, 0);
                }
                Err(_) => self.errors += 1,
            }
        }
        self.cgroups.retain(|_, c| c.seen == round);
    }

    /// What is inside a folder. `path` has no slash at its end; the root is empty.
    fn inside(&mut self, walk: &Walk<'_>, folder: &Folder, path: &mut Vec<u8>, depth: usize) {
        let folders = match folder.folders() {
            Ok(folders) => folders,
            Err(e) => {
                self.errors += usize::from(!e.is_absent());
                return;
            }
        };
        let len = path.len();
        for name in folders.iter().filter(|n| !n.ends_with(b".mount")) {
            // It may just have gone.
            let Ok(stat) = folder.stat_of(name) else { continue };
            path.push(b'/');
            path.extend_from_slice(name);
            self.see(walk, path, stat);
            // cgroupfs counts subfolders in the link count, as ext4 and tmpfs do: a leaf need not be listed.
            if stat.links != 2 && depth < DEEPEST && self.cgroups.len() < MOST {
                match folder.child(name) {
                    Ok(child) => self.inside(walk, &child, path, depth + 1),
                    Err(e) => self.errors += usize::from(!e.is_absent()),
                }
            }
            path.truncate(len);
        }
    }

    fn see(&mut self, walk: &Walk<'_>, path: &[u8], stat: FolderStat) {
        let key: &[u8] = if path.is_empty() { b"/" } else { path };
        if let Some(known) = self.cgroups.get_mut(key) {
            known.seen = walk.round;
            return;
        }
        let rel = relative(path).to_owned();
        // Folders change when children come and go; these files do not.
        let stamp = ["cgroup.clone_children", "cgroup.events"]
            .iter()
            .find_map(|name| walk.sources.sys(walk.mount.join(&rel).join(name)).metadata().ok().map(|m| m.mtime()));
        let created = stamp.map_or(stat.modified, |s| s.min(stat.modified));
        let cgroup = Cgroup {
            files: Files::new(Dirs { v1: rel.clone(), unified: rel }),
            created: (created > 0).then_some(created),
            named_id: crate::names::container_id(key).map(str::to_owned),
            process: None,
            seen: walk.round,
        };
        self.cgroups.insert(key.to_owned(), cgroup);
    }
}

struct Walk<'a> {
    sources: &'a Sources,
    mount: &'a Path,
    round: u64,
}

/// A cgroup's path relative to its mount.
pub(crate) fn relative(path: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(path.strip_prefix(b"/").unwrap_or(path)))
}

/// Deeper ones are somebody's mistake.
const DEEPEST: usize = 24;
/// More cgroups than this are not shown.
const MOST: usize = 20_000;
