//! The thread that reads files.

use super::mark::Identity;
use super::search::{self, Remains};
use super::tail::{Read, Start, Tail};
use super::watch::{Happened, Watcher, What};
use super::{Before, Open, Order, Stood, Wanted};
use crate::input::Files;
use crate::input::batch::{Counters, Feed, Message, Place};
use crate::input::glob::{Found, Glob};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

pub(super) struct Thread {
    feed: Feed,
    before: Before,
    orders: mpsc::Receiver<Order>,
    watcher: Watcher,
    open: Arc<Open>,
    caught_up: Arc<AtomicBool>,
    inputs: Vec<Input>,
    /// It was told once what to read, if only that there is nothing.
    configured: bool,
    tails: BTreeMap<u64, Held>,
    /// When to look for files again at the latest.
    look_at: Option<Instant>,
    /// Paths that an error was said of.
    complained: HashSet<PathBuf>,
}

struct Input {
    settings: Arc<Files>,
    name: Arc<str>,
    globs: Vec<Glob>,
    counters: Arc<Counters>,
    /// Its files are looked at so often.
    next_poll: Option<Instant>,
}

struct Held {
    tail: Tail,
    input: Arc<Files>,
    /// No watch: looked at by time.
    polled: bool,
}

/// The receiver of batches is gone.
struct Closed;

impl Thread {
    pub(super) fn new(
        feed: Feed,
        before: Before,
        orders: mpsc::Receiver<Order>,
        wake: Arc<OwnedFd>,
        open: Arc<Open>,
        caught_up: Arc<AtomicBool>,
    ) -> Self {
        let watcher = Watcher::new(wake);
        let (inputs, tails) = (Vec::new(), BTreeMap::new());
        Self {
            feed,
            before,
            orders,
            watcher,
            open,
            caught_up,
            inputs,
            configured: false,
            tails,
            look_at: None,
            complained: HashSet::new(),
        }
    }

    pub(super) fn run(mut self) {
        let mut happened = Happened::default();
        let mut woke = Instant::now();
        loop {
            let more = match self.read_round() {
                Ok(more) => more,
                Err(Closed) => return,
            };
            if !more && self.configured && !self.caught_up.load(Ordering::Acquire) {
                super::mark_caught_up(&self.feed, &self.caught_up);
            }
            // A busy writer makes an event of each line: let them gather.
            if !more {
                std::thread::sleep(GATHER.saturating_sub(woke.elapsed()));
            }
            let wait = if more { Some(Duration::ZERO) } else { self.next_due() };
            self.watcher.wait(wait, &mut happened);
            woke = Instant::now();
            while let Ok(order) = self.orders.try_recv() {
                match order {
                    Order::Read(wanted, answer) => drop(answer.send(self.configure(wanted))),
                    Order::Stop => return,
                }
            }
            if self.happened(&happened).is_err() || self.by_time(woke).is_err() {
                return;
            }
        }
    }

    /// Reads a piece of every file that has more. Says whether any still has.
    fn read_round(&mut self) -> Result<bool, Closed> {
        let ids: Vec<u64> = self.tails.iter().filter(|(_, h)| h.tail.dirty).map(|(id, _)| *id).collect();
        let mut more = false;
        for id in ids {
            let Some(held) = self.tails.get_mut(&id) else { continue };
            let tail = &mut held.tail;
            let mut outcome = tail.check().map(|()| Read::More);
            for _ in 0..PIECES {
                if matches!(outcome, Ok(Read::More)) {
                    outcome = tail.read(&self.feed);
                }
            }
            match outcome {
                Ok(Read::More) => more = true,
                Ok(Read::End) => tail.dirty = false,
                Ok(Read::Closed) => return Err(Closed),
                Err(e) => {
                    tail.dirty = false;
                    let counters = self.inputs.iter().find(|i| Arc::ptr_eq(&i.settings, &held.input));
                    counters.iter().for_each(|i| i.counters.error());
                    if self.complained.insert(tail.path.clone()) {
                        tracing::error!(file = tail.source.path, err = %e, "File cannot be read");
                    }
                }
            }
            if let Some(ended) = tail.take_ended() {
                let held_now: HashSet<Identity> = self.tails.values().map(|h| h.tail.identity).collect();
                let Some(held) = self.tails.get(&id) else { continue };
                match search::content(&held.tail.path, &ended.mark, &held_now) {
                    Some(copy) => {
                        let (input, path) = (Arc::clone(&held.input), held.tail.source.path.clone());
                        if let Some(new) = self.open_remains(&input, &path, copy)
                            && let Some(new) = self.tails.get_mut(&new)
                        {
                            new.tail.adopt(ended);
                        }
                        more = true;
                    }
                    None if !held.tail.give_up(ended, &self.feed) => return Err(Closed),
                    None => {}
                }
            }
        }
        Ok(more)
    }

    fn configure(&mut self, wanted: Vec<Wanted>) -> Result<(), String> {
        let mut inputs = Vec::new();
        let mut fresh = Vec::new();
        for Wanted { settings, counters } in wanted {
            let globs: Result<Vec<Glob>, _> = settings.paths.iter().map(|p| Glob::parse(p)).collect();
            let globs = globs.map_err(|e| e.to_string())?;
            let old = self.inputs.iter().find(|i| *i.settings == settings);
            if settings.fail_on_missing && old.is_none() {
                for glob in &globs {
                    if glob.expand().files.is_empty() {
                        return Err(format!("{}: no such file", glob.text()));
                    }
                }
            }
            let name = Arc::from(settings.name.as_str());
            let settings = old.map_or_else(|| Arc::new(settings), |old| Arc::clone(&old.settings));
            if old.is_none() {
                fresh.push(Arc::clone(&settings));
            }
            let next_poll = settings.poll_interval.map(|p| Instant::now() + p);
            inputs.push(Input { settings, name, globs, counters, next_poll });
        }
        // Files of inputs that are gone: where they stood is where another input goes on with them.
        let gone = self.tails.iter().filter(|(_, h)| !inputs.iter().any(|i| Arc::ptr_eq(&i.settings, &h.input)));
        let gone: Vec<u64> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(held) = self.tails.get(&id)
                && let Place::File(mark) = held.tail.place()
            {
                let source = &held.tail.source;
                self.before.files.push(Stood { input: source.input.to_string(), path: source.path.clone(), mark });
            }
            self.close(id);
        }
        self.inputs = inputs;
        self.configured = true;
        self.complained.clear();
        for settings in fresh {
            self.begin(&settings);
        }
        self.look();
        self.before.files.clear();
        self.before.patterns = self.inputs.iter().flat_map(|i| &i.settings.paths).cloned().collect();
        self.before.saved = None;
        Ok(())
    }

    /// Opens what a new input finds, and what became of the files that were read before under its patterns.
    fn begin(&mut self, settings: &Arc<Files>) {
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
        for stood in lost {
            let held: HashSet<Identity> = self.tails.values().map(|h| h.tail.identity).collect();
            let path = Path::new(&stood.path);
            if let Some(remains) = search::content(path, &stood.mark, &held) {
                tracing::info!(file = stood.path, now = %remains.path.display(), "Reading the rest of a rotated file");
                self.open_remains(settings, &stood.path, remains);
            } else {
                tracing::warn!(file = stood.path, offset = stood.mark.offset, "File was rotated away and is not found");
            }
            let Some(since) = self.before.saved else { continue };
            let held: HashSet<Identity> = self.tails.values().map(|h| h.tail.identity).collect();
            for remains in search::unseen(path, since, &held) {
                if !self.inputs[at].finds(&remains.path.to_string_lossy()) {
                    tracing::info!(file = stood.path, now = %remains.path.display(), "Reading a file that came and was rotated meanwhile");
                    self.open_remains(settings, &stood.path, remains);
                }
            }
        }
    }

    /// Looks for files of all inputs, and again where a folder was not watched before.
    fn look(&mut self) {
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
                } else if let Some((file, ..)) = self.look_at_file(at, &path) {
                    let shown = path.to_string_lossy().into_owned();
                    present.extend(self.open_file(at, &path, file, &shown, Start::Beginning));
                }
            }
        }
        let now = Instant::now();
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

    /// Opens a path if it is a file; complains once.
    fn look_at_file(&mut self, at: usize, path: &Path) -> Option<(File, Identity, u64)> {
        // Opening a pipe would wait for its writer.
        let meta = std::fs::metadata(path).ok()?;
        if !meta.is_file() {
            return None;
        }
        let input = &self.inputs[at];
        let count = self.tails.values().filter(|h| h.tail.rotated.is_none() && Arc::ptr_eq(&h.input, &input.settings));
        let wrong = if count.count() >= input.settings.max_files {
            format!("more than max_files = {} files match", input.settings.max_files)
        } else {
            match File::open(path).and_then(|file| file.metadata().map(|meta| (file, meta))) {
                Ok((file, meta)) => {
                    self.complained.remove(path);
                    return Some((file, Identity::of(&meta), meta.len()));
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return None,
                Err(e) => e.to_string(),
            }
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
    fn open_remains(&mut self, settings: &Arc<Files>, shown: &str, remains: Remains) -> Option<u64> {
        let at = self.inputs.iter().position(|i| Arc::ptr_eq(&i.settings, settings))?;
        let start = remains.mark.map_or(Start::Beginning, Start::At);
        self.open_file(at, &remains.path, remains.file, shown, start)
    }

    fn happened(&mut self, happened: &Happened) -> Result<(), Closed> {
        for id in &happened.changed {
            if let Some(held) = self.tails.get_mut(id) {
                held.tail.dirty = true;
            }
        }
        let mut look = happened.lost;
        // Files that came under a name we read and were renamed before we saw them, by the name that they have now.
        let mut moved: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
        let mut leaving: Option<(u32, PathBuf)> = None;
        for name in &happened.names {
            let ours = self.inputs.iter().any(|i| i.finds(&name.path.to_string_lossy()));
            look |= ours || name.folder;
            match name.what {
                What::From(cookie) if !name.folder => {
                    let first = moved.remove(&name.path).or_else(|| ours.then(|| name.path.clone()));
                    leaving = first.map(|path| (cookie, path));
                }
                What::To(cookie) => {
                    if let Some((_, first)) = leaving.take().filter(|(c, _)| *c == cookie) {
                        moved.insert(name.path.clone(), first);
                    }
                }
                _ => {}
            }
        }
        for (now, first) in moved {
            self.catch(&now, &first.to_string_lossy());
        }
        if look {
            self.look();
        }
        Ok(())
    }

    /// Reads a rotated file that nobody knew under its first name.
    fn catch(&mut self, now: &Path, first: &str) {
        let inputs = (0..self.inputs.len()).filter(|at| self.inputs[*at].finds(first));
        for at in inputs.collect::<Vec<_>>() {
            let Ok(meta) = std::fs::metadata(now) else { return };
            let identity = Identity::of(&meta);
            let settings = Arc::clone(&self.inputs[at].settings);
            let known = self.tails.values().any(|h| h.tail.identity == identity && Arc::ptr_eq(&h.input, &settings));
            if !known && let Some((file, ..)) = self.look_at_file(at, now) {
                tracing::debug!(file = first, now = %now.display(), "Reading a file that was rotated before it was seen");
                self.open_file(at, now, file, first, Start::Beginning);
            }
        }
    }

    /// What is due by time: polls, joined events, ends of rotated files, a look for files.
    fn by_time(&mut self, now: Instant) -> Result<(), Closed> {
        let mut look = self.look_at.is_some_and(|at| at <= now);
        let slow = look;
        for input in &mut self.inputs {
            let every = input.settings.poll_interval.unwrap_or(POLL);
            let any_polled = self.tails.values().any(|h| h.polled && Arc::ptr_eq(&h.input, &input.settings));
            if input.settings.poll_interval.is_none() && !any_polled {
                input.next_poll = None;
                continue;
            }
            let at = *input.next_poll.get_or_insert(now + every);
            if at <= now {
                input.next_poll = Some(now + every);
                look = true;
                for held in self.tails.values_mut() {
                    held.tail.dirty |= held.polled && Arc::ptr_eq(&held.input, &input.settings);
                }
            }
        }
        if slow {
            self.tails.values_mut().for_each(|h| h.tail.dirty = true);
        }
        if look {
            self.look();
        }
        let mut over = Vec::new();
        for (id, held) in &mut self.tails {
            let tail = &mut held.tail;
            if tail.due().is_some_and(|due| due <= now) && !tail.flush(&self.feed) {
                return Err(Closed);
            }
            let quiet = now.saturating_duration_since(tail.heard.max(tail.rotated.unwrap_or(now)));
            if tail.rotated.is_some()
                && !tail.dirty
                && quiet >= QUIET_REMOVED
                && (quiet >= QUIET_RENAMED || tail.is_unlinked())
            {
                if !tail.finish(&self.feed) {
                    return Err(Closed);
                }
                over.push(*id);
            }
        }
        over.into_iter().for_each(|id| self.close(id));
        Ok(())
    }

    fn close(&mut self, id: u64) {
        let Some(held) = self.tails.remove(&id) else { return };
        self.watcher.forget(id);
        self.open.remove(id);
        let _ = self.feed.tap.blocking_send(Message::Gone(Arc::clone(&held.tail.source)));
    }

    fn next_due(&self) -> Option<Duration> {
        let polls = self.inputs.iter().filter_map(|i| i.next_poll);
        let events = self.tails.values().filter_map(|h| h.tail.due());
        let ends = self.tails.values().filter_map(|h| h.tail.rotated.map(|r| r.max(h.tail.heard) + QUIET_REMOVED));
        // Those past that time are looked at with everything else.
        let ends = ends.filter(|at| *at > Instant::now());
        let first = polls.chain(events).chain(ends).chain(self.look_at).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }
}

impl Input {
    fn find(&self) -> Found {
        let mut all = Found::default();
        for glob in &self.globs {
            let found = glob.expand();
            all.files.extend(found.files);
            all.folders.extend(found.folders);
            all.missing |= found.missing;
        }
        all
    }

    fn finds(&self, path: &str) -> bool {
        self.globs.iter().any(|g| g.matches(path)) || {
            // Files are known by their full path, patterns may be relative.
            let here = std::env::current_dir().unwrap_or_default();
            Path::new(path)
                .strip_prefix(&here)
                .is_ok_and(|rest| self.globs.iter().any(|g| g.matches(&rest.to_string_lossy())))
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

/// Pieces of 64 KiB of one file before the next has its turn.
const PIECES: usize = 8;
/// Events are taken no more often than that.
const GATHER: Duration = Duration::from_millis(10);
/// Files without a watch are looked at so often.
const POLL: Duration = Duration::from_secs(1);
/// A folder that is not there is looked for so often.
const RETRY: Duration = Duration::from_secs(5);
/// Everything is looked at so often, whatever the kernel has told.
const LOOK: Duration = Duration::from_secs(30);
/// Folders within folders that appear together are found one after the other.
const MOST_LOOKS: usize = 8;
/// A removed file that nobody has written to for so long is closed.
const QUIET_REMOVED: Duration = Duration::from_secs(30);
/// A renamed one.
const QUIET_RENAMED: Duration = Duration::from_mins(5);
/// Paths that errors are remembered of.
const MOST_COMPLAINTS: usize = 10_000;
