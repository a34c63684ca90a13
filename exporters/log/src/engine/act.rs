//! One action of one rule on one line.

use super::Metric;
use super::rule::{Action, Deed, Operation, Rule, Value};
use super::value::NoNumber;
use crate::line::Line;
use crate::metric::{Applied, Change, Definition, Key, Refusal};
use crate::pattern::{Captures, MatchError};
use crate::template::RenderError;
use std::time::Instant;

/// Used again from line to line.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) text: Vec<u8>,
    key: Key,
}

/// What an action needs to know beside the line.
#[derive(Debug)]
pub(super) struct Moment {
    /// Now, since 1970.
    pub(super) seconds: f64,
    /// The same.
    pub(super) millis: u64,
    /// The time in the line.
    pub(super) line: Option<f64>,
    /// Since when the next metric's work is counted; only on lines whose time is taken.
    pub(super) mark: Option<Instant>,
    /// Lines that this one stands for.
    pub(super) weight: u32,
    /// Longest label value.
    pub(super) label_bytes: usize,
}

/// Watches what rules do; the engine at work is not watched.
pub(super) trait Trace {
    fn rule(&mut self, rule: &Rule, captures: &Captures<'_>, verdict: Verdict);
    fn effect(&mut self, definition: &Definition, labels: &Key, effect: Effect<'_>);
}

/// Nobody watches.
#[derive(Debug)]
pub(super) struct Silent;

impl Trace for Silent {
    #[inline]
    fn rule(&mut self, _: &Rule, _: &Captures<'_>, _: Verdict) {}
    #[inline]
    fn effect(&mut self, _: &Definition, _: &Key, _: Effect<'_>) {}
}

/// What a rule says to a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Its actions are done.
    Fits,
    /// The pattern fits, a condition does not hold.
    Condition,
    /// The pattern does not fit, and the rule has something to do then.
    Otherwise,
    /// The pattern gave up.
    Failed(MatchError),
}

/// What an action did.
#[derive(Debug)]
pub(super) enum Effect<'a> {
    Changed(Change),
    Deleted(usize),
    /// There was nothing to observe.
    Nothing,
    /// A condition of the metric does not hold.
    Condition,
    /// There are as many series as there may be.
    Full,
    Failed(&'a ActError),
}

/// Why a metric did not take a line.
#[derive(Debug, thiserror::Error)]
pub(super) enum ActError {
    #[error("{0}")]
    Render(#[from] RenderError),
    #[error("{0}")]
    NoNumber(#[from] NoNumber),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("the line's time cannot be read")]
    NoTime,
}

impl Metric {
    /// Does one action; answers whether the metric took the line.
    #[inline]
    pub(super) fn act(
        &mut self,
        action: &Action,
        captures: &Captures<'_>,
        line: &Line<'_>,
        moment: &mut Moment,
        memory: &mut Memory,
        trace: &mut impl Trace,
    ) -> bool {
        if !action.when.iter().all(|c| c.holds(captures, line, &mut memory.text)) {
            trace.effect(&self.definition, &memory.key, Effect::Condition);
            return false;
        }
        let done = self.try_act(action, captures, line, moment, memory, trace);
        match &done {
            Err(error) => {
                self.own.errors += 1;
                trace.effect(&self.definition, &memory.key, Effect::Failed(error));
            }
            Ok(false) => {}
            Ok(true) => {
                self.own.matched += 1;
                if let Some(mark) = &mut moment.mark {
                    let now = Instant::now();
                    self.own.spent += now.duration_since(*mark) * moment.weight;
                    *mark = now;
                }
            }
        }
        done.is_ok()
    }

    /// Answers whether there was something to observe.
    fn try_act(
        &mut self,
        action: &Action,
        captures: &Captures<'_>,
        line: &Line<'_>,
        moment: &Moment,
        Memory { text, key }: &mut Memory,
        trace: &mut impl Trace,
    ) -> Result<bool, ActError> {
        match &action.deed {
            Deed::Observe { value, operation, labels } => {
                let value = match value {
                    Value::Constant(value) => *value,
                    Value::Text(value, reading) => {
                        let Some(value) = reading.read(value.render(captures, line, text)?)? else {
                            key.begin(0);
                            trace.effect(&self.definition, key, Effect::Nothing);
                            return Ok(false);
                        };
                        value
                    }
                    Value::Time => moment.line.ok_or(ActError::NoTime)?,
                    Value::Lag => moment.seconds - moment.line.ok_or(ActError::NoTime)?,
                };
                let change = match operation {
                    Operation::Set => Change::Set(value),
                    Operation::Add => Change::Add(value),
                    Operation::Subtract => Change::Add(-value),
                    Operation::Observe => Change::Observe(value),
                };
                self.definition.shape.check(change)?;
                key.begin(labels.len());
                for label in labels {
                    let cut = key.push(label.value(captures, line, text)?, moment.label_bytes);
                    self.own.cut += u64::from(cut);
                }
                match self.table.apply(&self.definition, key.bytes(), change, moment.millis, self.most) {
                    Applied::Done => trace.effect(&self.definition, key, Effect::Changed(change)),
                    Applied::Full => {
                        self.own.dropped += 1;
                        trace.effect(&self.definition, key, Effect::Full);
                    }
                }
                Ok(true)
            }
            Deed::Delete { places, labels } => {
                key.begin(labels.len());
                for label in labels {
                    key.push(label.value(captures, line, text)?, moment.label_bytes);
                }
                let gone = self.table.delete(self.definition.labels.len(), places, key.bytes());
                key.begin(0);
                trace.effect(&self.definition, key, Effect::Deleted(gone));
                Ok(false)
            }
        }
    }
}
