//! Finding files: those that are there, those that come, and what became of those that went.

use super::{Held, POLL, Thread};
use crate::input::Files;
use crate::input::batch::Message;
use crate::input::files::Stood;
use crate::input::files::mark::Identity;
use crate::input::files::search::{self, Remains};
use crate::input::files::tail::{Start, Tail};
use crate::input::files::watch::Happened;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

impl Thread {
    /// Opens what a new input finds, and what became of the files that were read before under its patterns.
    pub(super) fn begin(&mut self, settings: &Arc<Files>) {
        let Some(at) = self.inputs.iter().position(|i| Arc::ptr_eq(&i.settings, settings)) else { return };
        let found = self.inputs[at].find();
        let known = settings.paths.iter().all(|p| self.before.patterns.contains(p));
        let new = if known || settings.read_from_start { Start::Beginning } else { Start::End };
        let files: Vec<Stood> = self
            .before
            .files
            .iter()
            .filter(|s| s.input == settings.name && self.inputs[at].finds(&s.path))
            .cloned()
            .collect();
        let mut lost: Vec<&Stood> = files.iter().collect();
        for path in &found.files {
            let Some((file, identity, len)) = self.look_at_file(at, path) else { continue };
            let shown = path.to_string_lossy();
            let stood = lost.iter().position(|s| {
                let named = s.path == shown;
                // The number of a device may be another after a restart of the machine, and a copy may have come to
                // the name.
                let same = s.mark.identity.ino == identity.ino && (s.mark.identity.dev == identity.dev || named);
                (same || (named && s.mark.offset >= search::SURE)) && s.mark.offset <= len && s.mark.fits(&file)
            });
            let start = match stood {
                Some(stood) => Start::At(lost.swap_remove(stood).mark),
                None if files.iter().any(|s| s.path == shown) => Start::Beginning,
                None => new,
            };
            self.open_file(at, path, file, &shown, start);
        }
        let rotated: BTreeSet<&str> = lost.iter().map(|s| s.path.as_str()).collect();
        for stood in &lost {
            if let Some(remains) = search::content(Path::new(&stood.path), &stood.mark, &self.held()) {
                tracing::info!(file = stood.path, now = %remains.path.display(), "Reading the rest of a rotated file");
                self.open_remains(settings, &stood.path, remains);
            } else {
                tracing::warn!(file = stood.path, offset = stood.mark.offset, "File was rotated away and is not found");
            }
        }
        let Some(since) = self.before.saved else { return };
        for shown in rotated {
            let mut known = self.held();
            known.extend(files.iter().map(|s| s.mark.identity));
            for remains in search::unseen(Path::new(shown), since, &known) {
                if self.inputs[at].finds(&remains.path.to_string_lossy()) {
                    continue;
                }
                let now = remains.path.display().to_string();
                tracing::info!(file = shown, now, "Reading a file that came and was rotated meanwhile");
                self.open_remains(settings, shown, remains);
            }
        }
    }

    /// The files that are open.
    pub(super) fn held(&self) -> HashSet<Identity> {
        self.tails.values().map(|h| h.tail.identity).collect()
    }

    /// Looks for files of all inputs, and again where a folder was not watched before.
    pub(super) fn look(&mut self) {
        for _ in 0..MOST_LOOKS {
            if !self.look_once() {
                break;
            }
        }
    }

    /// Says whether to look again at once.
    fn look_once(&mut self) -> bool {
        let mut folders = BTreeSet::new();
        let mut missing = false;
        let mut present: HashSet<u64> = HashSet::new();
        let mut new = Vec::new();
        for at in 0..self.inputs.len() {
            let found = self.inputs[at].find();
            missing |= found.missing;
            folders.extend(found.folders);
            let by_identity: HashMap<Identity, u64> = self
                .tails
                .iter()
                .filter(|(_, h)| Arc::ptr_eq(&h.input, &self.inputs[at].settings))
                .map(|(id, h)| (h.tail.identity, *id))
                .collect();
            for path in found.files {
                let Ok(meta) = std::fs::metadata(&path) else { continue };
                if let Some(id) = by_identity.get(&Identity::of(&meta)) {
                    present.insert(*id);
                    if let Some(held) = self.tails.get_mut(id) {
                        held.tail.path = path;
                    }
                } else {
                    new.push((at, path));
                }
            }
        }
        let now = Instant::now();
        // First of all: what was rotated makes room for what came in its place.
        for (id, held) in &mut self.tails {
            if present.contains(id) {
                held.tail.rotated = None;
            } else if held.tail.rotated.is_none() {
                held.tail.rotated = Some(now);
                held.tail.dirty = true;
                let input = self.inputs.iter().find(|i| Arc::ptr_eq(&i.settings, &held.input));
                if let Some(input) = input {
                    input.counters.rotated.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        let known: HashSet<(usize, Identity)> = self
            .tails
            .values()
            .filter_map(|h| {
                let at = self.inputs.iter().position(|i| Arc::ptr_eq(&i.settings, &h.input))?;
                Some((at, h.tail.identity))
            })
            .collect();
        for (at, path) in new {
            let Some((file, identity, _)) = self.look_at_file(at, &path) else { continue };
            // One that is read already may have come to the name since.
            if !known.contains(&(at, identity)) {
                let shown = path.to_string_lossy().into_owned();
                self.open_file(at, &path, file, &shown, Start::Beginning);
            }
        }
        // A folder that cannot be watched or is not there yet is looked for by time.
        let watching = self.watcher.folders(folders.iter().map(PathBuf::as_path));
        let again = match watching.all {
            false => POLL,
            true if missing => RETRY,
            true => LOOK,
        };
        self.look_at = Some(now + again);
        watching.more
    }

    /// Opens a path that matches, if it is a file and there is room for one more; complains once.
    fn look_at_file(&mut self, at: usize, path: &Path) -> Option<(File, Identity, u64)> {
        let settings = &self.inputs[at].settings;
        let count = self.tails.values().filter(|h| h.tail.rotated.is_none() && Arc::ptr_eq(&h.input, settings)).count();
        self.look_at_path(at, path, count < settings.most)
    }

    fn look_at_path(&mut self, at: usize, path: &Path, room: bool) -> Option<(File, Identity, u64)> {
        // Opening a pipe would wait for its writer.
        let meta = std::fs::metadata(path).ok()?;
        if !meta.is_file() {
            return None;
        }
        let input = &self.inputs[at];
        let wrong = if room {
            match File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta))) {
                Ok((file, meta)) => {
                    self.complained.remove(path);
                    return Some((file, Identity::of(&meta), meta.len()));
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
                Err(e) => e.to_string(),
            }
        } else {
            format!("more than max_files = {} files match", input.settings.most)
        };
        input.counters.error();
        if self.complained.len() < MOST_COMPLAINTS && self.complained.insert(path.to_owned()) {
            tracing::error!(file = %path.display(), input = &*input.name, err = wrong, "File cannot be read");
        }
        None
    }

    fn open_file(&mut self, at: usize, path: &Path, file: File, shown: &str, start: Start) -> Option<u64> {
        let input = &self.inputs[at];
        let source = self.feed.source(&input.name, absolute(shown));
        let id = source.id;
        match Tail::open(file, path.to_owned(), Arc::clone(&source), &input.settings, start, &input.counters) {
            Ok(tail) => {
                tracing::debug!(file = shown, ?start, "Reading a file");
                let file = tail.handle();
                let polled = input.settings.poll_interval.is_some() || !self.watcher.file(id, &file);
                self.open.insert(&source, file);
                let opened = self.feed.tap.blocking_send(Message::Opened(source, tail.place()));
                self.tails.insert(id, Held { tail, input: Arc::clone(&input.settings), polled });
                opened.is_ok().then_some(id)
            }
            Err(e) => {
                input.counters.error();
                tracing::error!(file = shown, err = %e, "File cannot be read");
                None
            }
        }
    }

    /// Opens a rotated file under the name that it had.
    pub(super) fn open_remains(&mut self, settings: &Arc<Files>, shown: &str, remains: Remains) -> Option<u64> {
        let at = self.inputs.iter().position(|i| Arc::ptr_eq(&i.settings, settings))?;
        let start = remains.mark.map_or(Start::Beginning, Start::At);
        self.open_file(at, &remains.path, remains.file, shown, start)
    }

    /// What the kernel told.
    pub(super) fn happened(&mut self, happened: &mut Happened) {
        for id in &happened.changed {
            if let Some(held) = self.tails.get_mut(id) {
                held.tail.dirty = true;
            }
        }
        let mut look = happened.lost;
        for round in 0..MOST_CATCHES {
            if round > 0 {
                // Whatever was renamed once more before it was caught has been told by now. What is read here must be
                // followed here: the next wait begins with an empty list.
                self.watcher.names(happened);
                look |= happened.lost;
            }
            for name in &happened.names {
                look |= name.folder || self.inputs.iter().any(|i| i.finds(&name.path.to_string_lossy()));
            }
            let inputs = &self.inputs;
            let ours = |path: &Path| inputs.iter().any(|i| i.finds(&path.to_string_lossy()));
            let moved = self.moves.follow(&happened.names, ours);
            if moved.is_empty() {
                self.moves.settle();
                break;
            }
            for (now, first) in moved {
                self.catch(&now, &first.to_string_lossy());
            }
        }
        if look {
            self.look();
        }
    }

    /// Reads a rotated file that nobody knew under its first name.
    fn catch(&mut self, now: &Path, first: &str) {
        let inputs = (0..self.inputs.len()).filter(|at| self.inputs[*at].finds(first));
        for at in inputs.collect::<Vec<_>>() {
            let settings = Arc::clone(&self.inputs[at].settings);
            let known = |tails: &BTreeMap<u64, Held>, identity: Identity| {
                tails.values().any(|h| h.tail.identity == identity && Arc::ptr_eq(&h.input, &settings))
            };
            let Ok(meta) = std::fs::metadata(now) else { return };
            if known(&self.tails, Identity::of(&meta)) {
                continue;
            }
            // Rotated files are not held to `max_files`: what they hold stands nowhere else.
            let Some((file, identity, _)) = self.look_at_path(at, now, true) else { continue };
            // Another file may have come to the name since.
            if known(&self.tails, identity) {
                continue;
            }
            tracing::debug!(file = first, now = %now.display(), "Reading a file that was rotated before it was seen");
            let id = self.open_file(at, now, file, first, Start::Beginning);
            if !self.inputs[at].finds(&now.to_string_lossy())
                && let Some(held) = id.and_then(|id| self.tails.get_mut(&id))
            {
                held.tail.rotated = Some(Instant::now());
                self.inputs[at].counters.rotated.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The full path of a file that a relative pattern found.
fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    std::env::current_dir().map_or_else(|_| path.to_owned(), |here| here.join(path).to_string_lossy().into_owned())
}

/// Folders within folders that appear together are found one after the other.
const MOST_LOOKS: usize = 8;
/// Batches of renames that are followed at a time; the rest has its turn after some reading.
const MOST_CATCHES: usize = 100;
/// A folder that is not there is looked for so often.
const RETRY: Duration = Duration::from_secs(5);
/// Everything is looked at so often, whatever the kernel has told.
const LOOK: Duration = Duration::from_secs(30);
/// Paths that errors are remembered of.
const MOST_COMPLAINTS: usize = 10_000;
