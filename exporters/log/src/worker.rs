//! The thread that owns the engine: it counts lines, keeps the ledger and has both saved together.

use crate::engine::{Engine, Outcome};
use crate::input::batch::{Batch, Feed, Lines, Message};
use crate::ledger::{Counts, Ledger};
use crate::line::Line;
use crate::state::{Saver, encode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// What the thread owns.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) ledger: Ledger,
    pub(crate) expire_every: Duration,
    pub(crate) saver: Option<Saver>,
    pub(crate) load: Load,
    save_every: Duration,
    /// Something was counted that is not saved.
    dirty: bool,
    next_expire: Instant,
    next_save: Instant,
    stopping: bool,
    /// Answers that wait for the disk.
    unsaved: Vec<oneshot::Sender<()>>,
    feed: Feed,
    /// Batches that a rule broke down on.
    pub(crate) panics: u64,
}

/// The most and the fewest lines that waited, in this minute and the one before.
#[derive(Debug)]
pub(crate) struct Load {
    since: Instant,
    now: (u64, u64),
    before: (u64, u64),
}

impl Worker {
    /// With an engine and a ledger that may come from a process before.
    pub(crate) fn new(
        engine: Engine,
        ledger: Ledger,
        saver: Option<Saver>,
        save_every: Duration,
        expire_every: Duration,
        feed: Feed,
    ) -> Self {
        let now = Instant::now();
        Self {
            engine,
            ledger,
            expire_every,
            saver,
            load: Load { since: now, now: (0, 0), before: (0, 0) },
            save_every,
            dirty: false,
            next_expire: now + expire_every,
            next_save: now + save_every,
            stopping: false,
            unsaved: Vec::new(),
            feed,
            panics: 0,
        }
    }

    /// Works until it is told to stop, then saves.
    pub(crate) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let Ok(clock) = tokio::runtime::Builder::new_current_thread().enable_time().build() else {
            tracing::error!("No timers for the engine's thread");
            return;
        };
        while !self.stopping {
            let message = if let Ok(message) = messages.try_recv() {
                Some(message)
            } else {
                let saves = self.dirty && self.saver.is_some();
                let until = if saves { self.next_save.min(self.next_expire) } else { self.next_expire };
                match clock.block_on(async { tokio::time::timeout_at(until.into(), messages.recv()).await }) {
                    Ok(None) => break,
                    Ok(message) => message,
                    Err(_) => None,
                }
            };
            match message {
                Some(Message::Batch(batch)) => {
                    let lines = self.count(batch);
                    self.load.note(lines * messages.len() as u64, lines * (1 + messages.len() as u64));
                }
                Some(Message::Opened(source, place)) => self.ledger.open(source, place),
                Some(Message::Gone(source)) => self.ledger.close(&source),
                Some(Message::Ask(ask)) => ask(&mut self),
                None => {}
            }
            self.by_time();
        }
        let last = self.encode();
        if let Some(saver) = self.saver.take() {
            saver.finish((last, std::mem::take(&mut self.unsaved)));
        }
    }

    fn by_time(&mut self) {
        let now = Instant::now();
        if now >= self.next_expire {
            self.engine.expire(SystemTime::now());
            self.next_expire = now + self.expire_every;
        }
        if self.dirty && now >= self.next_save {
            self.save();
        }
    }

    /// Saves now, or as soon as the writer is free.
    pub(crate) fn save(&mut self) {
        if self.saver.is_some() {
            let state = (self.encode(), std::mem::take(&mut self.unsaved));
            if let Some(Err((_, unsaved))) = self.saver.as_ref().map(|s| s.save(state)) {
                self.unsaved = unsaved;
                self.dirty = true;
            } else {
                self.dirty = false;
            }
        }
        self.next_save = Instant::now() + if self.unsaved.is_empty() { self.save_every } else { PROMPT };
    }

    fn encode(&self) -> Vec<u8> {
        encode(&self.ledger.positions(), |out| self.engine.save(out))
    }

    /// Ends the thread after this message.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Counts a batch. Says how many lines it had.
    fn count(&mut self, mut batch: Batch) -> u64 {
        let now = SystemTime::now();
        let mut counts = Counts { cut: batch.cut, bytes: batch.text.len() as u64, ..Counts::default() };
        let engine = &mut self.engine;
        let counted = catch_unwind(AssertUnwindSafe(|| {
            let mut line = Line { bytes: b"", file: &batch.source.path, input: &batch.source.input, extra: None };
            let mut take = |line: &Line<'_>| match engine.take(line, now) {
                Outcome::Matched => counts.matched += 1,
                _ => counts.ignored += 1,
            };
            match &batch.lines {
                Lines::Newlines => {
                    let mut start = 0;
                    for end in memchr::memchr_iter(b'\n', &batch.text) {
                        let bytes = &batch.text[start..end];
                        line.bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                        start = end + 1;
                        take(&line);
                    }
                }
                Lines::Ends(ends) => {
                    let mut start = 0;
                    for (i, end) in ends.iter().enumerate() {
                        line.bytes = batch.text.get(start..*end as usize).unwrap_or_default();
                        line.extra = batch.extras.get(i);
                        start = *end as usize;
                        take(&line);
                    }
                }
            }
        }));
        if counted.is_err() {
            self.panics += 1;
            tracing::error!(
                file = batch.source.path,
                input = &*batch.source.input,
                "A rule broke down, the rest of its batch is not counted"
            );
        }
        self.ledger.count(&batch.source, batch.place.take(), counts);
        self.dirty = true;
        match batch.done.take() {
            Some(done) if batch.durable && self.saver.is_some() => {
                self.unsaved.push(done);
                self.next_save = self.next_save.min(Instant::now() + PROMPT);
            }
            // Whoever asked may have hung up.
            Some(done) => drop(done.send(())),
            None => {}
        }
        self.feed.pool.give(batch.text);
        counts.matched + counts.ignored
    }
}

/// Senders that wait for the disk wait for one another so long, and are answered together.
const PROMPT: Duration = Duration::from_millis(50);

impl Load {
    fn note(&mut self, least: u64, most: u64) {
        self.turn();
        self.now = (self.now.0.min(least), self.now.1.max(most));
    }

    fn turn(&mut self) {
        let age = self.since.elapsed();
        if age >= Duration::from_mins(1) {
            self.before = if age >= Duration::from_mins(2) { (0, 0) } else { self.now };
            self.now = (0, 0);
            self.since = Instant::now();
        }
    }

    /// Fewest and most lines that waited within the last minute or two.
    pub(crate) fn range(&mut self) -> (u64, u64) {
        self.turn();
        (self.now.0.min(self.before.0), self.now.1.max(self.before.1))
    }
}

/// Asks the engine's thread something and waits for its answer; `None` where it has ended.
pub(crate) async fn ask<T: Send + 'static>(
    feed: &Feed,
    question: impl FnOnce(&mut Worker) -> T + Send + 'static,
) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    let ask = Message::Ask(Box::new(move |worker| drop(answer.send(question(worker)))));
    feed.tap.send(ask).await.ok()?;
    answered.await.ok()
}
