//! The collectors of one program, and how a scrape runs them: one after the other on one blocking thread, which costs
//! least; where one of them stalls, a second thread takes over the rest, and the stalled one is not started again until
//! it returns.

use crate::{Answer, BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Part, Refused, Scrape, Scraper};
use hostfs::{Buf, Sources};
use service::{Flag, Flags};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The families that tell of each collector.
#[derive(Clone, Copy, Debug)]
pub struct Naming {
    /// Seconds that a collector took, by `collector`.
    pub duration: Desc,
    /// Whether it worked, by `collector`.
    pub success: Desc,
}

/// The collectors that are switched on, and the host that they read.
pub struct Registry {
    shared: Arc<Shared>,
}

struct Shared {
    slots: Vec<Slot>,
    /// Names that exist but are switched off, for the answer to `collect[]`.
    off: Vec<&'static str>,
    sources: Sources,
    naming: Naming,
    scratch: Mutex<Vec<Scratch>>,
    /// The memory of the last page's last part, which holds the self metrics.
    spare: Mutex<Option<Part>>,
}

struct Slot {
    entry: &'static Entry,
    collector: Box<dyn Collector>,
    /// Runs that outlived their scrape: while there are any, nobody starts it again.
    overdue: AtomicUsize,
    spare: Mutex<Option<Part>>,
    last: Mutex<Option<Last>>,
}

/// What a collector's last run gave.
#[derive(Clone, Debug)]
pub struct Last {
    /// How long it took.
    pub took: Duration,
    /// Its samples.
    pub samples: usize,
    /// Its failure; `Some("no data")` where the host has no such source.
    pub error: Option<String>,
}

/// A collector for the landing page and for `doctor`.
#[derive(Clone, Debug)]
pub struct State {
    /// Its registration.
    pub entry: &'static Entry,
    /// Its last run, if it has run.
    pub last: Option<Last>,
}

#[derive(std::default::Default)]
struct Scratch {
    buf: Buf,
    buf2: Buf,
}

/// One scrape under way, shared by its threads and by the task that waits for them.
struct Run {
    shared: Arc<Shared>,
    /// Slots to run, in order.
    chosen: Vec<usize>,
    deadline: Instant,
    now: SystemTime,
    state: Mutex<Progress>,
    finished: tokio::sync::Notify,
}

struct Progress {
    /// Next of `chosen` to start.
    next: usize,
    /// Of `chosen`, how many have ended.
    ended: usize,
    /// When the latest start was.
    started: Instant,
    turns: Vec<Turn>,
}

/// Where one chosen collector stands.
#[expect(clippy::large_enum_variant, reason = "one vector of them a scrape; boxes would be one allocation each")]
enum Turn {
    Waiting,
    Running,
    Ended(Outcome),
    /// The scrape was answered without it.
    Abandoned,
}

struct Outcome {
    part: Part,
    took: Duration,
    success: bool,
}

impl Registry {
    /// Builds every collector that the flags leave on.
    pub fn new(
        entries: &'static [Entry],
        switch: fn(&Entry) -> String,
        flags: &Flags,
        disable_defaults: bool,
        sources: Sources,
        naming: Naming,
    ) -> Result<Self, BuildError> {
        let mut slots = Vec::new();
        let mut off = Vec::new();
        for entry in entries {
            let name = switch(entry);
            let on = if disable_defaults && !flags.given(&name) { false } else { flags.on(&name) };
            if on {
                slots.push(Slot::new(entry, (entry.build)(flags, &sources)?));
            } else {
                off.push(entry.name);
            }
        }
        Ok(Self::with_slots(slots, off, sources, naming))
    }

    /// Builds every collector, on or off, for a report; for flags that do not go together the error says which.
    pub fn all(entries: &'static [Entry], flags: &Flags, sources: Sources, naming: Naming) -> Result<Self, BuildError> {
        let slots = entries
            .iter()
            .map(|entry| Ok(Slot::new(entry, (entry.build)(flags, &sources)?)))
            .collect::<Result<_, BuildError>>()?;
        Ok(Self::with_slots(slots, Vec::new(), sources, naming))
    }

    fn with_slots(slots: Vec<Slot>, off: Vec<&'static str>, sources: Sources, naming: Naming) -> Self {
        let shared = Shared { slots, off, sources, naming, scratch: Mutex::default(), spare: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// The collectors that are on, with what their last run gave.
    pub fn states(&self) -> Vec<State> {
        self.shared.slots.iter().map(|s| State { entry: s.entry, last: lock(&s.last).clone() }).collect()
    }

    /// Runs one collector once, for `doctor` and `collectors`.
    pub fn probe(&self, name: &str, deadline: Instant) -> Option<(Duration, Result<usize, CollectError>)> {
        let slot = self.shared.slots.iter().find(|s| s.entry.name == name)?;
        let mut scratch = Scratch::default();
        let mut part = Part::new();
        let start = Instant::now();
        let result = slot.run(&self.shared.sources, &mut scratch, deadline, SystemTime::now(), &mut part);
        Some((start.elapsed(), result.map(|()| part.len())))
    }

    /// Which collectors a request asks for.
    fn choose(&self, scrape: &Scrape) -> Result<Vec<usize>, Refused> {
        let slots = &self.shared.slots;
        let collect: Vec<&str> = scrape.all("collect[]").collect();
        let exclude: Vec<&str> = scrape.all("exclude[]").collect();
        let refuse = |text: String| Refused { status: 400, text };
        if !collect.is_empty() && !exclude.is_empty() {
            return Err(refuse("Combined collect and exclude queries are not allowed.".into()));
        }
        if collect.is_empty() {
            return Ok((0..slots.len()).filter(|&i| !exclude.contains(&slots[i].entry.name)).collect());
        }
        let mut chosen = Vec::with_capacity(collect.len());
        for name in collect {
            match slots.iter().position(|s| s.entry.name == name) {
                Some(i) if chosen.contains(&i) => {}
                Some(i) => chosen.push(i),
                None => {
                    let what = if self.shared.off.contains(&name) { "disabled" } else { "missing" };
                    let text = "Couldn't create filtered metrics handler: couldn't create collector: ";
                    return Err(refuse(format!("{text}{what} collector: {name}")));
                }
            }
        }
        chosen.sort_unstable();
        Ok(chosen)
    }

    async fn run(&self, scrape: &Scrape) -> Result<Vec<Part>, Refused> {
        let chosen = self.choose(scrape)?;
        let count = chosen.len();
        let run = Arc::new(Run {
            shared: Arc::clone(&self.shared),
            chosen,
            deadline: scrape.deadline,
            now: SystemTime::now(),
            state: Mutex::new(Progress {
                next: 0,
                ended: 0,
                started: Instant::now(),
                turns: (0..count).map(|_| Turn::Waiting).collect(),
            }),
            finished: tokio::sync::Notify::new(),
        });
        if count > 0 {
            run.start();
            run.wait().await;
        }
        Ok(run.parts())
    }
}

impl Scraper for Registry {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(self.run(scrape))
    }

    fn recycle(&self, mut parts: Vec<Part>) {
        // Only a whole scrape's parts stand in the order of the slots.
        if parts.len() != self.shared.slots.len() + 1 {
            return;
        }
        *lock(&self.shared.spare) = parts.pop();
        for (slot, part) in self.shared.slots.iter().zip(parts) {
            *lock(&slot.spare) = Some(part);
        }
    }
}

impl Slot {
    fn new(entry: &'static Entry, collector: Box<dyn Collector>) -> Self {
        Self { entry, collector, overdue: AtomicUsize::new(0), spare: Mutex::default(), last: Mutex::default() }
    }

    fn run(
        &self,
        sources: &Sources,
        scratch: &mut Scratch,
        deadline: Instant,
        now: SystemTime,
        part: &mut Part,
    ) -> Result<(), CollectError> {
        let Scratch { buf, buf2 } = scratch;
        let mut cx = Cx { sources, buf, buf2, deadline, now };
        catch_unwind(AssertUnwindSafe(|| self.collector.collect(&mut cx, part))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            Err(CollectError::failed(format!("panicked: {text}")))
        })
    }
}

impl Run {
    fn start(self: &Arc<Self>) {
        let run = Arc::clone(self);
        drop(tokio::task::spawn_blocking(move || run.work()));
    }

    /// Runs collectors until none is left to start.
    fn work(&self) {
        let mut scratch = lock(&self.shared.scratch).pop().unwrap_or_default();
        while let Some(at) = self.take() {
            let slot = &self.shared.slots[self.chosen[at]];
            if slot.overdue.load(Ordering::Acquire) > 0 {
                let error = CollectError::failed("still running since an earlier scrape");
                self.end(at, slot, Part::new(), Duration::ZERO, &Err(error));
                continue;
            }
            let mut part = lock(&slot.spare).take().unwrap_or_default();
            part.clear();
            let start = Instant::now();
            let result = slot.run(&self.shared.sources, &mut scratch, self.deadline, self.now, &mut part);
            self.end(at, slot, part, start.elapsed(), &result);
        }
        let mut kept = lock(&self.shared.scratch);
        if kept.len() < KEPT_SCRATCH {
            kept.push(scratch);
        }
    }

    fn take(&self) -> Option<usize> {
        let mut state = lock(&self.state);
        let at = state.next;
        // Past the deadline nobody waits for what has not been started.
        if at >= self.chosen.len() || Instant::now() >= self.deadline {
            return None;
        }
        state.next += 1;
        state.started = Instant::now();
        state.turns[at] = Turn::Running;
        Some(at)
    }

    fn end(&self, at: usize, slot: &Slot, part: Part, took: Duration, result: &Result<(), CollectError>) {
        let name = slot.entry.name;
        let seconds = took.as_secs_f64();
        match result {
            Ok(()) => tracing::debug!(name, duration_seconds = seconds, "collector succeeded"),
            Err(CollectError::NoData) => {
                tracing::debug!(name, duration_seconds = seconds, err = "no data", "collector returned no data");
            }
            Err(e) => tracing::error!(name, duration_seconds = seconds, err = %e, "collector failed"),
        }
        let error = result.as_ref().err().map(ToString::to_string);
        *lock(&slot.last) = Some(Last { took, samples: part.len(), error });
        let mut state = lock(&self.state);
        if matches!(state.turns[at], Turn::Abandoned) {
            slot.overdue.fetch_sub(1, Ordering::AcqRel);
            return;
        }
        state.turns[at] = Turn::Ended(Outcome { part, took, success: result.is_ok() });
        state.ended += 1;
        if state.ended == self.chosen.len() {
            self.finished.notify_one();
        }
    }

    /// Waits for the end or for the deadline; a collector that stalls gets a second thread behind it.
    async fn wait(self: &Arc<Self>) {
        let deadline = tokio::time::Instant::from_std(self.deadline);
        let mut threads = 1;
        loop {
            let check = (tokio::time::Instant::now() + STALL).min(deadline);
            if tokio::time::timeout_at(check, self.finished.notified()).await.is_ok() {
                return;
            }
            if check >= deadline {
                return;
            }
            let stalled = {
                let state = lock(&self.state);
                state.next < self.chosen.len() && state.started.elapsed() >= STALL
            };
            if stalled && threads < MOST_THREADS {
                threads += 1;
                self.start();
            }
        }
    }

    /// The parts in order of the slots, and the self metrics as the last.
    fn parts(&self) -> Vec<Part> {
        let mut meta = lock(&self.shared.spare).take().unwrap_or_default();
        meta.clear();
        let naming = &self.shared.naming;
        let waited = self.now.elapsed().unwrap_or_default();
        let mut parts = Vec::with_capacity(self.chosen.len() + 1);
        let mut state = lock(&self.state);
        for (turn, &slot) in state.turns.iter_mut().zip(&self.chosen) {
            let slot = &self.shared.slots[slot];
            let outcome = match std::mem::replace(turn, Turn::Abandoned) {
                Turn::Ended(outcome) => outcome,
                unfinished => {
                    if matches!(unfinished, Turn::Running) {
                        slot.overdue.fetch_add(1, Ordering::AcqRel);
                    }
                    let error = "no answer before the deadline";
                    tracing::error!(name = slot.entry.name, err = error, "collector failed");
                    *lock(&slot.last) = Some(Last { took: waited, samples: 0, error: Some(error.into()) });
                    Outcome { part: Part::new(), took: waited, success: false }
                }
            };
            let labels = [("collector", slot.entry.name.as_bytes())];
            meta.family(&naming.duration).sample(&labels, outcome.took.as_secs_f64());
            meta.family(&naming.success).sample(&labels, outcome.success);
            parts.push(outcome.part);
        }
        // A thread that comes later starts nothing more.
        state.next = self.chosen.len();
        parts.push(meta);
        parts
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.shared.slots.iter().map(|s| s.entry.name)).finish()
    }
}

/// The switches `--PREFIX.NAME` of a slice of entries, with the entries' own flags.
pub fn entry_flags(entries: &'static [Entry], switch: fn(&Entry) -> String) -> Vec<Flag> {
    let mut flags = Vec::new();
    for entry in entries {
        // Flags are data for the whole life of the program; these are made once, at its start.
        let name: &'static str = Box::leak(switch(entry).into_boxed_str());
        let state = if entry.default == Default::On { "enabled" } else { "disabled" };
        let help: &'static str =
            Box::leak(format!("Enable the {} collector (default: {state}).", entry.name).into_boxed_str());
        let default = if entry.default == Default::On { "true" } else { "false" };
        flags.push(Flag::new(name, service::FlagKind::Bool, default, help));
        flags.extend_from_slice(entry.flags);
    }
    flags
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock is held leaves plain data behind that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A collector that needs longer gets company: far above any healthy one, far below any scrape time-out.
const STALL: Duration = Duration::from_millis(250);
/// Threads of one scrape; more stalled collectors than this wait for the deadline.
const MOST_THREADS: usize = 8;
/// Buffers kept between scrapes.
const KEPT_SCRATCH: usize = 2;
