//! One file that is read as it grows.

use super::decode::Decoder;
use super::mark::{Identity, Mark, Print, fits, print_at};
use crate::input::Files;
use crate::input::batch::{Batch, Counters, FULL, Feed, LONGEST_LINE, Lines, Message, Place, Source};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A file that is open.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) source: Arc<Source>,
    pub(super) identity: Identity,
    /// Where it was found last.
    pub(super) path: PathBuf,
    /// It may have changed.
    pub(super) dirty: bool,
    /// Since when no pattern finds it any more.
    pub(super) rotated: Option<Instant>,
    /// When something was last read from it.
    pub(super) heard: Instant,
    file: Arc<File>,
    /// Up to where bytes have been taken from the file.
    read_to: u64,
    /// The bytes before `read_to`, at most [`OVERLAP`]: if they are others now, the file was written anew.
    behind: Vec<u8>,
    head: Print,
    /// The beginning of a line whose end is not written yet.
    carry: Vec<u8>,
    /// The rest of the line is dropped: it was longer than allowed.
    skipping: bool,
    /// Nothing of this content was read: zero bytes in front are a hole that a writer left who did not seek back.
    fresh: bool,
    decoder: Decoder,
    settings: Arc<Files>,
    counters: Arc<Counters>,
    /// What an old content left when a new one took its place.
    ended: Option<Ended>,
}

/// A content that is gone from its file, and what was held of it.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) mark: Mark,
    carry: Vec<u8>,
    decoder: Decoder,
}

/// What one look at the file brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// There is more.
    More,
    /// The end, for now.
    End,
    /// Nobody counts any more.
    Closed,
}

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    Beginning,
    End,
    At(Mark),
}

impl Tail {
    /// Opens what stands at a path.
    pub(super) fn open(
        file: File,
        path: PathBuf,
        source: Arc<Source>,
        settings: &Arc<Files>,
        start: Start,
        counters: &Arc<Counters>,
    ) -> io::Result<Self> {
        let meta = file.metadata()?;
        let mut tail = Self {
            source,
            identity: Identity::of(&meta),
            path,
            dirty: true,
            rotated: None,
            heard: Instant::now(),
            head: print_at(&file, 0, meta.len()),
            file: Arc::new(file),
            read_to: 0,
            behind: Vec::new(),
            carry: Vec::new(),
            skipping: false,
            fresh: true,
            decoder: Decoder::new(settings),
            settings: Arc::clone(settings),
            counters: Arc::clone(counters),
            ended: None,
        };
        tail.counters.files.fetch_add(1, Ordering::Relaxed);
        match start {
            Start::Beginning => {}
            Start::End => tail.begin_at_end(meta.len())?,
            Start::At(mark) => {
                tail.read_to = mark.offset;
                tail.skipping = mark.within;
                tail.fresh = mark.offset == 0;
                tail.remember_behind()?;
            }
        }
        Ok(tail)
    }

    /// Behind the last line end: a line that is being written is read whole.
    fn begin_at_end(&mut self, len: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let from = len.saturating_sub(LONGEST_LINE as u64);
        let mut at = len;
        let mut bytes = [0; 4096];
        while at > from {
            let step = (at - from).min(bytes.len() as u64);
            let piece = &mut bytes[..step as usize];
            self.file.read_exact_at(piece, at - step)?;
            if let Some(newline) = memchr::memrchr(b'\n', piece) {
                at = at - step + newline as u64 + 1;
                break;
            }
            at -= step;
        }
        self.read_to = at;
        self.skipping = at == from && from > 0;
        self.fresh = at == 0;
        self.remember_behind()
    }

    fn remember_behind(&mut self) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let len = self.read_to.min(OVERLAP as u64);
        self.behind.resize(len as usize, 0);
        self.file.read_exact_at(&mut self.behind, self.read_to - len)
    }

    /// The place up to which everything is counted, as far as this end knows.
    pub(super) fn place(&self) -> Place {
        let offset = self.decoder.pending().unwrap_or(self.read_to - self.carry.len() as u64);
        let tail_len = offset.min(TAIL as u64);
        Place::File(Mark {
            identity: self.identity,
            offset,
            head: self.head,
            tail: print_at(&self.file, offset - tail_len, tail_len),
            within: self.skipping && self.carry.is_empty(),
        })
    }

    /// Checks that the file still holds what was read; begins anew where it does not.
    pub(super) fn check(&mut self) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        if len < self.read_to || !fits(&self.file, 0, self.head) {
            self.restart();
        } else if usize::from(self.head.len) < Print::MOST && len > u64::from(self.head.len) {
            self.head = print_at(&self.file, 0, len);
        }
        Ok(())
    }

    fn restart(&mut self) {
        let offset = self.read_to;
        let tail = Print::of(&self.behind[self.behind.len().saturating_sub(TAIL)..]);
        let mark = Mark { identity: self.identity, offset, head: self.head, tail, within: self.skipping };
        let decoder = std::mem::replace(&mut self.decoder, Decoder::new(&self.settings));
        self.ended = Some(Ended { mark, carry: std::mem::take(&mut self.carry), decoder });
        self.counters.truncated.fetch_add(1, Ordering::Relaxed);
        tracing::info!(file = self.source.path, offset, "File was emptied or written anew, reading it from its start");
        self.read_to = 0;
        self.behind.clear();
        self.fresh = true;
        self.skipping = false;
        let len = self.file.metadata().map_or(0, |m| m.len());
        self.head = print_at(&self.file, 0, len);
    }

    /// What the content before left, once.
    pub(super) fn take_ended(&mut self) -> Option<Ended> {
        self.ended.take()
    }

    /// Goes on with what was held of a content that was found again in this file.
    pub(super) fn adopt(&mut self, ended: Ended) {
        self.carry = ended.carry;
        self.decoder = ended.decoder;
    }

    /// Sends what was held of a content that is found nowhere: nothing more of it will come.
    pub(super) fn give_up(&self, mut ended: Ended, feed: &Feed) -> bool {
        if ended.carry.is_empty() && !ended.decoder.joins() {
            return true;
        }
        let mut batch = Batch::new(Arc::clone(&self.source));
        if !ended.carry.is_empty() {
            ended.carry.push(b'\n');
            ended.decoder.decode(&ended.carry, 0, &mut batch, &self.counters);
        }
        ended.decoder.flush(&mut batch);
        self.dispatch(batch, feed)
    }

    /// Reads once and sends what it got.
    pub(super) fn read(&mut self, feed: &Feed) -> io::Result<Read> {
        let mut text = feed.pool.take();
        text.extend_from_slice(&self.carry);
        let start = text.len();
        text.resize(start + FULL, 0);
        let mut overlap = [0; OVERLAP];
        let behind = self.behind.len();
        let got = {
            let mut parts = [IoSliceMut::new(&mut overlap[..behind]), IoSliceMut::new(&mut text[start..])];
            loop {
                match rustix::io::preadv(&*self.file, &mut parts, self.read_to - behind as u64) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other?,
                }
            }
        };
        let Some(got) = got.checked_sub(behind).filter(|_| overlap[..behind] == self.behind) else {
            feed.pool.give(text);
            self.dirty = true;
            self.restart();
            return Ok(Read::More);
        };
        if got == 0 {
            feed.pool.give(text);
            return Ok(Read::End);
        }
        text.truncate(start + got);
        self.advance(&text[start..]);
        self.heard = Instant::now();
        let whole = got == FULL;
        if self.fresh {
            // A hole that copytruncate leaves under a writer that does not append.
            let zeros = text[start..].iter().take_while(|b| **b == 0).count();
            if zeros > 0 {
                text.drain(start..start + zeros);
            }
            self.fresh = text.len() == start;
        }
        let sent = self.hand_over(text, start, feed);
        Ok(if !sent {
            Read::Closed
        } else if whole {
            Read::More
        } else {
            Read::End
        })
    }

    fn advance(&mut self, new: &[u8]) {
        self.read_to += new.len() as u64;
        if new.len() >= OVERLAP {
            self.behind.clear();
            self.behind.extend_from_slice(&new[new.len() - OVERLAP..]);
        } else {
            self.behind.extend_from_slice(new);
            let much = self.behind.len().saturating_sub(OVERLAP);
            self.behind.drain(..much);
        }
        if usize::from(self.head.len) < Print::MOST {
            self.head = print_at(&self.file, 0, self.read_to.max(u64::from(self.head.len)));
        }
    }

    /// Sends the whole lines of a text whose bytes from `start` on are new, and keeps the rest.
    fn hand_over(&mut self, mut text: Vec<u8>, start: usize, feed: &Feed) -> bool {
        let mut cut = 0;
        if self.skipping {
            let Some(newline) = memchr::memchr(b'\n', &text) else {
                feed.pool.give(text);
                return self.send(Vec::new(), 0, feed);
            };
            text.drain(..=newline);
            self.skipping = false;
        }
        let start = start.min(text.len());
        let Some(newline) = memchr::memrchr(b'\n', &text[start..]) else {
            if text.len() < LONGEST_LINE {
                self.carry.clear();
                self.carry.extend_from_slice(&text);
                feed.pool.give(text);
                return true;
            }
            text.truncate(LONGEST_LINE);
            text.push(b'\n');
            self.carry = Vec::new();
            self.skipping = true;
            return self.send(text, 1, feed);
        };
        let end = start + newline + 1;
        self.carry.clear();
        self.carry.extend_from_slice(&text[end..]);
        if self.carry.capacity() > 4 * FULL && self.carry.len() < FULL {
            self.carry.shrink_to(FULL);
        }
        text.truncate(end);
        if end > LONGEST_LINE {
            // The carried line may have come to its end in this piece, and be too long.
            let first = memchr::memchr(b'\n', &text).unwrap_or(text.len());
            if first > LONGEST_LINE {
                text.drain(LONGEST_LINE..first);
                cut = 1;
            }
        }
        self.send(text, cut, feed)
    }

    /// Sends whole lines.
    fn send(&mut self, text: Vec<u8>, cut: u64, feed: &Feed) -> bool {
        let from = self.read_to - self.carry.len() as u64 - text.len() as u64;
        let mut batch = Batch::new(Arc::clone(&self.source));
        batch.cut = cut;
        if self.decoder.is_plain() {
            batch.lines = Lines::Newlines;
            batch.text = text;
        } else {
            batch.text = feed.pool.take();
            self.decoder.decode(&text, from, &mut batch, &self.counters);
            feed.pool.give(text);
        }
        self.dispatch(batch, feed)
    }

    fn dispatch(&self, mut batch: Batch, feed: &Feed) -> bool {
        batch.place = Some(self.place());
        feed.tap.blocking_send(Message::Batch(batch)).is_ok()
    }

    /// When a held event is complete by time.
    pub(super) fn due(&self) -> Option<Instant> {
        self.decoder.due()
    }

    /// Sends a held event whose time is over.
    pub(super) fn flush(&mut self, feed: &Feed) -> bool {
        let mut batch = Batch::new(Arc::clone(&self.source));
        self.decoder.flush(&mut batch);
        self.dispatch(batch, feed)
    }

    /// Sends all that is held, an unfinished last line too: nothing more will come.
    pub(super) fn finish(&mut self, feed: &Feed) -> bool {
        let mut rest = std::mem::take(&mut self.carry);
        let mut sent = true;
        if !rest.is_empty() {
            rest.push(b'\n');
            // The newline is not in the file.
            self.read_to += 1;
            sent = self.send(rest, 0, feed);
            self.read_to -= 1;
        }
        sent && (!self.decoder.joins() || self.flush(feed))
    }

    /// The open file, for its size in metrics.
    pub(super) fn handle(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether no name leads to it any more.
    pub(super) fn is_unlinked(&self) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        self.file.metadata().map_or(true, |m| m.nlink() == 0)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.counters.files.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes before the place that every read reads again.
const OVERLAP: usize = 64;
/// Bytes before the place that a mark tells of.
const TAIL: usize = OVERLAP;
