//! From the lines of a file to the lines of the program that wrote them: Docker's wrapping, joined events.

use super::docker::{Parts, Taken};
use crate::input::batch::{Batch, Counters};
use crate::input::multiline::Joiner;
use crate::input::{FileFormat, Files};
use std::time::Instant;

/// Turns lines of the file into lines of the program.
#[derive(Debug)]
pub(super) struct Decoder {
    parts: Option<Parts>,
    joiner: Option<Joiner>,
    /// What the last line of a joined event came with.
    extra: Option<serde_json::Value>,
    /// Where the first line begins that is held.
    pending: Option<u64>,
    line: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(settings: &Files) -> Self {
        Self {
            parts: (settings.format == FileFormat::Docker).then(Parts::default),
            joiner: Joiner::new(settings.multiline.as_ref()),
            extra: None,
            pending: None,
            line: Vec::new(),
        }
    }

    /// Where the first line begins that is held.
    pub(super) fn pending(&self) -> Option<u64> {
        self.pending
    }

    /// Whether lines are joined into events.
    pub(super) fn joins(&self) -> bool {
        self.joiner.is_some()
    }

    /// When the event that is held is complete by time.
    pub(super) fn due(&self) -> Option<Instant> {
        self.joiner.as_ref().and_then(Joiner::due)
    }

    /// Whether a line of the file is a line of the program.
    pub(super) fn is_plain(&self) -> bool {
        self.parts.is_none() && self.joiner.is_none()
    }

    /// Takes lines that begin at `from` in the file and all end in a newline.
    pub(super) fn decode(&mut self, text: &[u8], from: u64, batch: &mut Batch, counters: &Counters) {
        let now = Instant::now();
        let mut at = from;
        for raw in text.split_inclusive(|b| *b == b'\n') {
            let line = raw.strip_suffix(b"\n").unwrap_or(raw);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let began = at;
            at += raw.len() as u64;
            let mut extra = None;
            let line = match &mut self.parts {
                None => line,
                Some(parts) => match parts.take(line, &mut self.line) {
                    Taken::Line(value, cut) => {
                        extra = Some(value);
                        batch.cut += u64::from(cut);
                        &self.line
                    }
                    Taken::Part => {
                        self.pending.get_or_insert(began);
                        continue;
                    }
                    Taken::Foreign => {
                        counters.error();
                        continue;
                    }
                },
            };
            let parts_wait = self.parts.as_ref().is_some_and(Parts::waiting);
            match &mut self.joiner {
                None => {
                    batch.push(line, extra);
                    if !parts_wait {
                        self.pending = None;
                    }
                }
                Some(joiner) => {
                    let held = self.extra.take();
                    let mut completed = false;
                    let begins = joiner.line(line, now, &mut |event| {
                        batch.push(
                            event,
                            if completed { extra.clone() } else { held.clone().or_else(|| extra.clone()) },
                        );
                        completed = true;
                    });
                    if begins && !parts_wait {
                        self.pending = Some(began);
                    } else if joiner.due().is_none() && !parts_wait {
                        self.pending = None;
                    }
                    self.extra = if joiner.due().is_none() {
                        None
                    } else if begins {
                        extra
                    } else {
                        held.or(extra)
                    };
                    batch.cut += joiner.take_cut();
                }
            }
        }
    }

    /// Gives the event that is held.
    pub(super) fn flush(&mut self, batch: &mut Batch) {
        let extra = self.extra.take();
        if let Some(joiner) = &mut self.joiner {
            joiner.flush(&mut |event| batch.push(event, extra.clone()));
        }
        if !self.parts.as_ref().is_some_and(Parts::waiting) {
            self.pending = None;
        }
    }
}
