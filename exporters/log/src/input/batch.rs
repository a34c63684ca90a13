//! What inputs hand to the engine's thread: many lines at once, and how far into their source they reach.

use super::Acknowledge;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// The channel's end that inputs hold. It is bounded: an input that is faster than the engine waits.
pub(crate) type Tap = mpsc::Sender<Message>;

/// What the engine's thread is told.
pub(crate) enum Message {
    /// Lines.
    Batch(Batch),
    /// A source is read from this place on.
    Opened(Arc<Source>, Place),
    /// A source is read no more, and its place may be forgotten.
    Gone(Arc<Source>),
    /// Something that is not about lines.
    Ask(Box<dyn FnOnce(&mut crate::worker::Worker) + Send>),
}

/// Where lines come from: one file, or all of another input.
#[derive(Debug)]
pub(crate) struct Source {
    /// Unique in this process.
    pub(crate) id: u64,
    /// Name of the input.
    pub(crate) input: Arc<str>,
    /// Full path; empty where no file is.
    pub(crate) path: String,
}

/// Some lines of one source, in order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) source: Arc<Source>,
    pub(crate) text: Vec<u8>,
    /// How the text is divided.
    pub(crate) lines: Lines,
    /// One for each line where events came in JSON, else none.
    pub(crate) extras: Vec<Value>,
    /// How far the source has been read once these lines are counted.
    pub(crate) place: Option<Place>,
    /// Answered once they are counted.
    pub(crate) done: Option<oneshot::Sender<()>>,
    /// That answer waits until the counts are on disk.
    pub(crate) durable: bool,
    /// How many lines were longer than allowed and lost their end.
    pub(crate) cut: u64,
}

/// How a batch's text is divided into lines.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Each ends in a newline, which is no part of it, nor is a carriage return before it.
    Newlines,
    /// Each ends here, with nothing in between.
    Ends(Vec<u32>),
}

/// How far a source has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a file.
    File(super::files::Mark),
    /// In the journal.
    Cursor(String),
}

impl Batch {
    /// Without lines.
    pub(crate) fn new(source: Arc<Source>) -> Self {
        let lines = Lines::Ends(Vec::new());
        Self { source, text: Vec::new(), lines, extras: Vec::new(), place: None, done: None, durable: false, cut: 0 }
    }

    /// Adds a line, cut at [`LONGEST_LINE`].
    pub(crate) fn push(&mut self, line: &[u8], extra: Option<Value>) {
        let line = self.cut(line);
        self.text.extend_from_slice(line);
        if let Lines::Ends(ends) = &mut self.lines {
            ends.push(self.text.len() as u32);
        }
        self.extras.extend(extra);
    }

    fn cut<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        if line.len() > LONGEST_LINE {
            self.cut += 1;
            &line[..LONGEST_LINE]
        } else {
            line
        }
    }

    /// Whether it holds as much as one message should.
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() >= FULL || matches!(&self.lines, Lines::Ends(ends) if ends.len() >= FULL / 32)
    }

    /// Whether it holds no line.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.lines {
            Lines::Newlines => self.text.is_empty(),
            Lines::Ends(ends) => ends.is_empty(),
        }
    }
}

/// A longer line loses its end, which is counted.
pub(crate) const LONGEST_LINE: usize = 1 << 20;
/// Bytes from which on a batch is sent.
pub(crate) const FULL: usize = 64 << 10;
/// Messages that may wait.
pub(crate) const WAITING: usize = 8;

/// Buffers that go round between readers and the engine's thread.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// An empty buffer.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// Gives one back; one that grew for a long line is not kept.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < WAITING && buffer.capacity() <= 2 * FULL {
            buffer.clear();
            kept.push(buffer);
        }
    }
}

/// What an input counts by itself.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// What could not be read, parsed or taken.
    pub(crate) errors: AtomicU64,
    /// Bodies, windows, datagrams: whatever the peer sends at once.
    pub(crate) requests: AtomicU64,
    /// Peers that are connected now.
    pub(crate) connections: AtomicU64,
    /// Files open now.
    pub(crate) files: AtomicU64,
    /// Files that were renamed or removed while read.
    pub(crate) rotated: AtomicU64,
    /// Files that were emptied or written anew while read.
    pub(crate) truncated: AtomicU64,
}

impl Counters {
    /// One more error.
    pub(crate) fn error(&self) {
        self.errors.fetch_add(1, Ordering::Relaxed);
    }

    /// One more request.
    pub(crate) fn request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// What every input is given.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) tap: Tap,
    pub(crate) pool: Arc<Pool>,
    pub(crate) ids: Arc<AtomicU64>,
}

impl Feed {
    /// A feed and the end that the engine's thread reads.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (tap, messages) = mpsc::channel(WAITING);
        (Self { tap, pool: Arc::default(), ids: Arc::default() }, messages)
    }

    /// A new source.
    pub(crate) fn source(&self, input: &Arc<str>, path: String) -> Arc<Source> {
        Arc::new(Source { id: self.ids.fetch_add(1, Ordering::Relaxed), input: Arc::clone(input), path })
    }

    /// Sends what a batch holds and waits until it is counted, or saved too. `false` where that will not be.
    pub(crate) async fn counted(&self, mut batch: Batch, acknowledge: Acknowledge) -> bool {
        let (done, counted) = oneshot::channel();
        batch.done = Some(done);
        batch.durable = acknowledge == Acknowledge::Saved;
        self.tap.send(Message::Batch(batch)).await.is_ok() && counted.await.is_ok()
    }

    /// Sends a batch without waiting for its count.
    pub(crate) async fn send(&self, batch: Batch) -> bool {
        self.tap.send(Message::Batch(batch)).await.is_ok()
    }
}
