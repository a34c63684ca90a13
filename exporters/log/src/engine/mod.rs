//! Rules × lines: which rules take a line, and what that does to their metrics.
#![allow(dead_code, reason = "the program that uses it is being written")]

mod rule;

pub(crate) use rule::Rule;

use crate::line::Line;
use exposition::{Kind, Part};
use std::time::SystemTime;

/// All rules, and the series they made. One thread owns it.
#[derive(Debug)]
pub(crate) struct Engine {
    rules: Vec<Rule>,
    limits: Limits,
    lines: [u64; 3],
    unmatched: Vec<Unmatched>,
}

/// What attackers may not exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Series of one metric, where the metric does not say otherwise.
    pub(crate) series: usize,
    /// Bytes of one label value.
    pub(crate) label_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 10_000, label_bytes: 1024 }
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// At least one metric took it.
    Matched,
    /// A pattern fits, but no metric took it: a condition, a failed value.
    Skipped,
    /// No pattern fits.
    Unmatched,
}

/// A line that no pattern fits, cut short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unmatched {
    /// Full path of its file; empty where no file is.
    pub(crate) file: String,
    /// Name of its input.
    pub(crate) input: String,
    /// Its first bytes.
    pub(crate) bytes: Vec<u8>,
}

/// Why saved series cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RestoreError {
    /// Not what `save` wrote, or not all of it.
    #[error("the saved series are damaged")]
    Damaged,
    /// Written by another version.
    #[error("the saved series have version {0}")]
    Version(u8),
}

impl Engine {
    /// An engine with empty series; metrics without labels have theirs already.
    pub(crate) fn new(rules: Vec<Rule>, limits: Limits) -> Self {
        Self { rules, limits, lines: [0; 3], unmatched: Vec::new() }
    }

    /// Takes one line.
    pub(crate) fn take(&mut self, line: &Line<'_>, _now: SystemTime) -> Outcome {
        self.lines[Outcome::Unmatched as usize] += 1;
        if self.unmatched.len() < 20 {
            let bytes = line.bytes.iter().copied().take(512).collect();
            self.unmatched.push(Unmatched { file: line.file.into(), input: line.input.into(), bytes });
        }
        Outcome::Unmatched
    }

    /// The metrics of the rules. `now` tells which observations the quantiles of summaries still count.
    pub(crate) fn emit(&self, _now: SystemTime, _out: &mut Part) {}

    /// Lines by outcome, and by metric what was matched, refused, dropped and cut; `prefix` as [`crate::config::Form`]
    /// says. Build info, buffer load and what is by file belong to the program.
    pub(crate) fn emit_own(&self, prefix: &str, out: &mut Part) {
        let name = format!("{prefix}_lines_total");
        let mut family =
            out.family_named(&name, "Total number of log lines processed by this exporter.", Kind::Counter);
        family.sample(&[("status", b"matched")], self.lines[0]);
        family.sample(&[("status", b"ignored")], self.lines[1] + self.lines[2]);
    }

    /// Removes series that have been idle for too long.
    pub(crate) fn expire(&mut self, _now: SystemTime) {}

    /// Other rules; series of unchanged metrics keep their values.
    pub(crate) fn reload(&mut self, rules: Vec<Rule>) {
        self.rules = rules;
    }

    /// Appends all series.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        out.push(0);
    }

    /// Takes series that `save` wrote, those of metrics that are still defined alike. On an error nothing is changed.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        match saved {
            [0] => Ok(()),
            [version, ..] => Err(RestoreError::Version(*version)),
            [] => Err(RestoreError::Damaged),
        }
    }

    /// The latest lines that no pattern fits, oldest first.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &Unmatched> {
        self.unmatched.iter()
    }
}
