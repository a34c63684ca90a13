//! Rules × lines: which rules take a line, and what that does to their metrics.
//!
//! A line meets the rules in their order; each that fits does its actions in their order. Nothing is allocated for a
//! line whose series exist.

mod act;
mod attempt;
mod kept;
mod own;
mod reach;
mod rule;
mod time;
mod value;

pub(crate) use attempt::{Attempt, attempt};
pub(crate) use own::OWN_NAMES;
pub(crate) use rule::{Action, Condition, Deed, Label, LineTime, Operation, Rule, Sources, Test, Text, Value};
pub(crate) use time::Layout;
pub(crate) use value::{Choice, Reading, Unit};

use crate::line::Line;
use crate::metric::{Definition, Table};
use crate::pattern::{Captures, Scratch};
use act::{Memory, Moment, Silent, Trace, Verdict};
use exposition::Part;
use reach::Reach;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// All rules, and the series they made. One thread owns it.
#[derive(Debug)]
pub(crate) struct Engine {
    rules: Vec<Rule>,
    /// Rules' own numbers, one for each rule.
    times: Vec<RuleTime>,
    metrics: Vec<Metric>,
    limits: Limits,
    reach: Reach,
    /// By outcome.
    lines: [u64; 3],
    unmatched: VecDeque<Unmatched>,
    captures: Captures<'static>,
    scratch: Scratch,
    memory: Memory,
    clock: Clock,
}

/// A time in the forms that lines need; many come in at one time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    time: SystemTime,
    seconds: f64,
    millis: u64,
}

impl Clock {
    fn at(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { time, seconds: since.as_secs_f64(), millis: since.as_millis() as u64 }
    }
}

/// A metric with its series and what happened to it.
#[derive(Debug)]
struct Metric {
    definition: Arc<Definition>,
    table: Table,
    /// Most series.
    most: usize,
    own: Own,
}

/// What is told about a metric.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    matched: u64,
    errors: u64,
    /// Observations that would have made a series too many.
    dropped: u64,
    /// Label values that were too long.
    cut: u64,
    spent: Duration,
}

/// What is told about a rule that knows its lines' times.
#[derive(Clone, Copy, Debug, Default)]
struct RuleTime {
    /// The latest line: seconds since 1970, and how long it took to get here.
    last: Option<(f64, f64)>,
    errors: u64,
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
    /// A pattern fits, but no metric took it: a condition, a failed value, a rule without metrics.
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

impl Engine {
    /// An engine with empty series; metrics without labels have theirs already.
    pub(crate) fn new(rules: Vec<Rule>, limits: Limits) -> Self {
        let mut engine = Self {
            rules: Vec::new(),
            times: Vec::new(),
            metrics: Vec::new(),
            limits,
            reach: Reach::default(),
            lines: [0; 3],
            unmatched: VecDeque::new(),
            captures: Captures::new(),
            scratch: Scratch::default(),
            memory: Memory::default(),
            clock: Clock::at(UNIX_EPOCH),
        };
        engine.reload(rules, limits);
        engine
    }

    /// Other rules; series of unchanged metrics keep their values.
    pub(crate) fn reload(&mut self, mut rules: Vec<Rule>, limits: Limits) {
        let mut old: HashMap<String, Metric> = self.metrics.drain(..).map(|m| (m.definition.name.clone(), m)).collect();
        let mut places: HashMap<String, usize> = HashMap::new();
        for action in rules.iter_mut().flat_map(|r| r.actions.iter_mut().chain(&mut r.otherwise)) {
            let definition = &action.metric;
            action.at = *places.entry(definition.name.clone()).or_insert_with(|| {
                let before = old.remove(&definition.name);
                let own = before.as_ref().map(|m| m.own).unwrap_or_default();
                let same = before.filter(|m| m.definition.fingerprint() == definition.fingerprint());
                let table = same.map_or_else(|| Table::new(definition), |m| m.table);
                let most = definition.limit.unwrap_or(limits.series);
                self.metrics.push(Metric { definition: Arc::clone(definition), table, most, own });
                self.metrics.len() - 1
            });
        }
        self.times = vec![RuleTime::default(); rules.len()];
        self.reach = Reach::of(&rules);
        self.rules = rules;
        self.limits = limits;
    }

    /// Takes one line.
    pub(crate) fn take(&mut self, line: &Line<'_>, now: SystemTime) -> Outcome {
        self.run(line, now, &mut Silent)
    }

    fn run(&mut self, line: &Line<'_>, now: SystemTime, trace: &mut impl Trace) -> Outcome {
        if self.clock.time != now {
            self.clock = Clock::at(now);
        }
        let count: u64 = self.lines.iter().sum();
        // The clock is read for the first lines, then for each sixteenth that stands for all.
        let weight = if count < 1024 { 1 } else { 16 };
        let mut moment = Moment {
            seconds: self.clock.seconds,
            millis: self.clock.millis,
            line: None,
            mark: count.is_multiple_of(weight).then(Instant::now),
            weight: weight as u32,
            label_bytes: self.limits.label_bytes,
        };
        let reach = self.reach.find(&self.rules, line);
        let mut captures = std::mem::take(&mut self.captures).recycle();
        let (mut fits, mut matched) = (false, false);
        for (at, rule) in self.rules.iter().enumerate() {
            if !self.reach.rule(reach, at) {
                continue;
            }
            match rule.matcher.matches(line.bytes, &mut captures, &mut self.scratch) {
                Ok(true) => {}
                Ok(false) => {
                    if !rule.otherwise.is_empty() {
                        trace.rule(rule, &captures, Verdict::Otherwise);
                        let nothing = Captures::new();
                        moment.line = None;
                        for action in &rule.otherwise {
                            let metric = &mut self.metrics[action.at];
                            metric.act(action, &nothing, line, &mut moment, &mut self.memory, trace);
                        }
                    }
                    continue;
                }
                Err(error) => {
                    // Differs from grok_exporter in time only: the limit is reached in milliseconds.
                    fits = true;
                    trace.rule(rule, &captures, Verdict::Failed(error));
                    for action in &rule.actions {
                        self.metrics[action.at].own.errors += 1;
                    }
                    continue;
                }
            }
            fits = true;
            if !rule.when.iter().all(|c| c.holds(&captures, line, &mut self.memory.text)) {
                trace.rule(rule, &captures, Verdict::Condition);
                continue;
            }
            trace.rule(rule, &captures, Verdict::Fits);
            if let Some(time) = &rule.time {
                moment.line = time
                    .text
                    .render(&captures, line, &mut self.memory.text)
                    .ok()
                    .and_then(|text| time.layout.read(text));
                let own = &mut self.times[at];
                match moment.line {
                    Some(seconds) => own.last = Some((seconds, moment.seconds - seconds)),
                    None => own.errors += 1,
                }
            } else {
                moment.line = None;
            }
            for action in &rule.actions {
                let metric = &mut self.metrics[action.at];
                let took = metric.act(action, &captures, line, &mut moment, &mut self.memory, trace);
                matched |= took && rule.counts;
            }
            if rule.last {
                break;
            }
        }
        self.captures = captures.recycle();
        let outcome = match (matched, fits) {
            (true, _) => Outcome::Matched,
            (false, true) => Outcome::Skipped,
            (false, false) => Outcome::Unmatched,
        };
        self.lines[outcome as usize] += 1;
        if outcome == Outcome::Unmatched {
            self.keep_unmatched(line);
        }
        outcome
    }

    /// The metrics of the rules. `now` tells which observations the quantiles of summaries still count.
    pub(crate) fn emit(&self, now: SystemTime, out: &mut Part) {
        let now = millis(now);
        for metric in &self.metrics {
            metric.table.emit(&metric.definition, now, out);
        }
    }

    /// Removes series that have been idle for too long.
    pub(crate) fn expire(&mut self, now: SystemTime) {
        let now = millis(now);
        for metric in &mut self.metrics {
            if let Some(idle) = metric.definition.expire {
                metric.table.expire(now.saturating_sub(idle.as_millis() as u64));
            }
        }
    }

    /// The latest lines that no pattern fits, oldest first.
    pub(crate) fn unmatched(&self) -> impl Iterator<Item = &Unmatched> {
        self.unmatched.iter()
    }

    fn keep_unmatched(&mut self, line: &Line<'_>) {
        let mut kept = match self.unmatched.len() {
            UNMATCHED_LINES.. => self.unmatched.pop_front().unwrap_or_default(),
            _ => Unmatched::default(),
        };
        kept.file.clear();
        kept.file.push_str(line.file);
        kept.input.clear();
        kept.input.push_str(line.input);
        kept.bytes.clear();
        kept.bytes.extend(line.bytes.iter().take(UNMATCHED_BYTES));
        self.unmatched.push_back(kept);
    }
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Unmatched lines that are kept, and how much of each.
const UNMATCHED_LINES: usize = 20;
const UNMATCHED_BYTES: usize = 512;

#[cfg(test)]
mod tests;
