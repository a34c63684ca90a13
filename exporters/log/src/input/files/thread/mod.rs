//! The thread that reads files.

mod find;
mod moves;

use self::moves::Moves;
use super::search;
use super::tail::{Read, Tail};
use super::watch::{Happened, Watcher};
use super::{Before, Open, Order, Stood, Wanted};
use crate::input::Files;
use crate::input::batch::{Counters, Feed, Message, Place};
use crate::input::glob::{Found, Glob};
use std::collections::{BTreeMap, HashSet};
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
    moves: Moves,
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
            moves: Moves::default(),
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
            self.happened(&mut happened);
            if self.by_time(woke).is_err() {
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
                    if let Some(input) = self.inputs.iter().find(|i| Arc::ptr_eq(&i.settings, &held.input)) {
                        input.counters.error();
                    }
                    if self.complained.insert(tail.path.clone()) {
                        tracing::error!(file = tail.source.path, err = %e, "File cannot be read");
                    }
                }
            }
            if let Some(ended) = tail.take_ended() {
                let held_now = self.held();
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
            for held in self.tails.values_mut() {
                held.tail.dirty = true;
            }
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
        for id in over {
            self.close(id);
        }
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

/// Pieces of 64 KiB of one file before the next has its turn.
const PIECES: usize = 8;
/// Events are taken no more often than that.
const GATHER: Duration = Duration::from_millis(25);
/// Files without a watch are looked at so often.
const POLL: Duration = Duration::from_secs(1);
/// A removed file that nobody has written to for so long is closed.
const QUIET_REMOVED: Duration = Duration::from_secs(30);
/// A renamed one.
const QUIET_RENAMED: Duration = Duration::from_mins(5);
