//! What one rule does with a line.

use super::time::Layout;
use super::value::Reading;
use crate::input::glob::Glob;
use crate::line::Line;
use crate::metric::{Definition, parse_float};
use crate::pattern::{Captures, Matcher};
use crate::template::{Bound, RenderError};
use std::collections::HashMap;
use std::sync::Arc;

/// A pattern and what is made of the lines it fits.
#[derive(Debug)]
pub(crate) struct Rule {
    /// For messages and metrics.
    pub(crate) name: String,
    pub(crate) matcher: Matcher,
    /// The fields that templates use, in the order of the captures.
    pub(crate) fields: Vec<String>,
    /// Lines of other sources are not for this rule.
    pub(crate) sources: Sources,
    /// All must hold, or nothing is done.
    pub(crate) when: Vec<Condition>,
    pub(crate) time: Option<LineTime>,
    /// In this order.
    pub(crate) actions: Vec<Action>,
    /// For lines that the pattern does not fit.
    pub(crate) otherwise: Vec<Action>,
    /// Whether a line counts as matched by this. Not so for lines that only delete, as grok_exporter has it.
    pub(crate) counts: bool,
    /// Whether lines that this took meet no further rule.
    pub(crate) last: bool,
}

/// Which lines a rule is for; without anything all are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    /// Names of inputs.
    pub(crate) inputs: Vec<String>,
    /// Paths of files.
    pub(crate) files: Vec<Glob>,
}

impl Sources {
    pub(crate) fn is_all(&self) -> bool {
        self.inputs.is_empty() && self.files.is_empty()
    }

    pub(crate) fn has(&self, input: &str, file: &str) -> bool {
        (self.inputs.is_empty() || self.inputs.iter().any(|i| i == input))
            && (self.files.is_empty() || self.files.iter().any(|glob| glob.matches(file)))
    }
}

/// What a rule does to one metric.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) metric: Arc<Definition>,
    /// The metric's place in the engine, which sets it.
    pub(super) at: usize,
    pub(crate) when: Vec<Condition>,
    pub(crate) deed: Deed,
}

impl Action {
    pub(crate) fn new(metric: Arc<Definition>, deed: Deed) -> Self {
        Self { metric, at: 0, when: Vec::new(), deed }
    }
}

/// What is done.
#[derive(Debug)]
pub(crate) enum Deed {
    Observe {
        value: Value,
        operation: Operation,
        /// As many as the metric has, in its order.
        labels: Vec<Label>,
    },
    /// Series with these values go: places among the metric's labels, rising, and the value for each.
    Delete { places: Vec<usize>, labels: Vec<Label> },
}

/// How the value changes a gauge; the other types know one way only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Set,
    Add,
    Subtract,
    Observe,
}

/// Where the value comes from.
#[derive(Debug)]
pub(crate) enum Value {
    Constant(f64),
    Text(Text, Reading),
    /// Seconds since 1970 of the time in the line.
    Time,
    /// Seconds from the time in the line until now.
    Lag,
}

/// The time in a line.
#[derive(Debug)]
pub(crate) struct LineTime {
    pub(crate) text: Text,
    pub(crate) layout: Layout,
}

/// A text that a line gives.
#[derive(Debug)]
pub(crate) enum Text {
    Fixed(Vec<u8>),
    Template(Bound),
}

impl Text {
    #[inline]
    pub(crate) fn render<'a>(
        &'a self,
        captures: &'a Captures<'_>,
        line: &'a Line<'_>,
        memory: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], RenderError> {
        match self {
            Self::Fixed(text) => Ok(text),
            Self::Template(template) => template.render(captures, line, memory),
        }
    }
}

/// The value of one label.
#[derive(Debug)]
pub(crate) struct Label {
    pub(crate) text: Text,
    /// Only this word of it, counted from 1.
    pub(crate) word: Option<usize>,
    /// Values in place of others.
    pub(crate) map: HashMap<Vec<u8>, Vec<u8>>,
    /// The only values there may be, with those of the map.
    pub(crate) allow: Vec<Vec<u8>>,
    /// For what is empty, and for what map and list do not know.
    pub(crate) default: Option<Vec<u8>>,
}

impl Label {
    /// Just the text.
    pub(crate) fn plain(text: Text) -> Self {
        Self { text, word: None, map: HashMap::new(), allow: Vec::new(), default: None }
    }

    #[inline]
    pub(crate) fn value<'a>(
        &'a self,
        captures: &'a Captures<'_>,
        line: &'a Line<'_>,
        memory: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], RenderError> {
        let text = self.text.render(captures, line, memory)?;
        let text = match self.word {
            None => text,
            Some(n) => text.split(|b| *b == b' ').filter(|w| !w.is_empty()).nth(n - 1).unwrap_or_default(),
        };
        if self.map.is_empty() && self.allow.is_empty() {
            return Ok(self.default.as_deref().filter(|_| text.is_empty()).unwrap_or(text));
        }
        if let Some(value) = self.map.get(text) {
            return Ok(value);
        }
        if self.allow.iter().any(|allowed| allowed == text) {
            return Ok(text);
        }
        // A map alone leaves alone what it does not know; a list does not.
        let unknown = if self.allow.is_empty() { text } else { b"" };
        Ok(self.default.as_deref().unwrap_or(unknown))
    }
}

/// Something that must hold for a line.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) text: Text,
    pub(crate) test: Test,
    /// Whether the contrary must hold.
    pub(crate) not: bool,
}

/// How a text is tested.
#[derive(Debug)]
pub(crate) enum Test {
    In(Vec<Vec<u8>>),
    Regex(regex::bytes::Regex),
    Above(f64),
    Below(f64),
}

impl Condition {
    /// Whether it holds; a text that cannot be made holds nothing.
    pub(crate) fn holds(&self, captures: &Captures<'_>, line: &Line<'_>, memory: &mut Vec<u8>) -> bool {
        let Ok(text) = self.text.render(captures, line, memory) else { return false };
        let holds = match &self.test {
            Test::In(values) => values.iter().any(|v| v == text),
            Test::Regex(regex) => regex.is_match(text),
            Test::Above(least) => parse_float(text).is_some_and(|n| n > *least),
            Test::Below(most) => parse_float(text).is_some_and(|n| n < *most),
        };
        holds != self.not
    }
}
