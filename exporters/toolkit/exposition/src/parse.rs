//! What the parsers give: families as they stand in a page, to be looked at, changed or emitted again.

use crate::part::{Composite, Content};
use crate::{Exemplar, Histogram, Kind, Part, Summary, Value};

mod cursor;
mod openmetrics;
mod protobuf;
mod quote;
mod text;

pub use openmetrics::{parse_openmetrics, parse_openmetrics_into};
pub use protobuf::parse_protobuf;
pub use text::{parse_text, parse_text_legacy};

/// Why a page was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text format parsing error in line {line}: {what}")]
pub struct ParseError {
    /// Line, from 1 (in protobuf: number of the message).
    pub line: usize,
    /// What was found, in the words of Go's parser.
    pub what: String,
}

/// A family with its samples, in the order of the input.
#[derive(Clone, Debug)]
pub struct ParsedFamily {
    /// Metric name; a counter's ends in `_total` where its samples do.
    pub name: String,
    /// Help, if there was any.
    pub help: Option<String>,
    /// Type, untyped if none was given.
    pub kind: Kind,
    /// Samples; the lines of a histogram or summary are one.
    pub samples: Vec<ParsedSample>,
}

/// One sample of a [`ParsedFamily`].
#[derive(Clone, Debug)]
pub struct ParsedSample {
    /// Label names and values in the order of the input, without `le` and `quantile` where these are part of the value.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: ParsedValue,
    /// Its time, if it came with one.
    pub timestamp_ms: Option<i64>,
}

/// The value of a [`ParsedSample`].
#[derive(Clone, Debug)]
pub enum ParsedValue {
    /// A number.
    Number(Value),
    /// A counter's number with its exemplar.
    Traced(Value, Exemplar),
    /// A histogram, buckets in rising order.
    Histogram(Histogram),
    /// A summary, quantiles in rising order.
    Summary(Summary),
}

impl ParsedFamily {
    fn new(name: String) -> Self {
        Self { name, help: None, kind: Kind::Untyped, samples: Vec::new() }
    }

    /// Adds the family to a part; without help it is declared with an empty one.
    pub fn emit(&self, part: &mut Part) {
        let mut family = part.family_named(&self.name, self.help.as_deref().unwrap_or_default(), self.kind);
        let mut labels: Vec<(&str, &[u8])> = Vec::new();
        for s in &self.samples {
            labels.clear();
            labels.extend(s.labels.iter().map(|(n, v)| (n.as_str(), v.as_bytes())));
            match &s.value {
                ParsedValue::Number(v) => family.push(&labels, Content::Number(*v), s.timestamp_ms),
                ParsedValue::Traced(v, e) => {
                    family.composite(&labels, Composite::Traced(*v, e.clone()), s.timestamp_ms)
                }
                ParsedValue::Histogram(h) => family.composite(&labels, Composite::Histogram(h.clone()), s.timestamp_ms),
                ParsedValue::Summary(x) => family.composite(&labels, Composite::Summary(x.clone()), s.timestamp_ms),
            };
        }
    }

    /// The histogram or summary of these labels, a new one if the family has none yet.
    fn composite(&mut self, labels: Vec<(String, String)>, index: &mut Index, at: usize) -> &mut ParsedSample {
        // The lines of one stand together in nearly every page.
        let last = self.samples.len().checked_sub(1);
        let found = if let Some(i) = last.filter(|&i| self.samples[i].labels == labels) {
            i
        } else {
            let mut key = labels.clone();
            key.sort_unstable();
            *index.entry((at, key)).or_insert(self.samples.len())
        };
        if found == self.samples.len() {
            let value = if self.kind == Kind::Summary {
                ParsedValue::Summary(Summary::default())
            } else {
                ParsedValue::Histogram(Histogram::default())
            };
            self.samples.push(ParsedSample { labels, value, timestamp_ms: None });
        }
        &mut self.samples[found]
    }

    /// Sorts buckets and quantiles, of equal ones the last stays: as Go's constant histograms and summaries do.
    fn finish(&mut self) {
        for s in &mut self.samples {
            match &mut s.value {
                ParsedValue::Histogram(h) => {
                    h.buckets.reverse();
                    h.buckets.sort_by(|a, b| a.le.total_cmp(&b.le));
                    h.buckets.dedup_by(|a, b| a.le.total_cmp(&b.le).is_eq());
                }
                ParsedValue::Summary(s) => {
                    s.quantiles.reverse();
                    s.quantiles.sort_by(|a, b| a.quantile.total_cmp(&b.quantile));
                    s.quantiles.dedup_by(|a, b| a.quantile.total_cmp(&b.quantile).is_eq());
                }
                ParsedValue::Number(_) | ParsedValue::Traced(..) => {}
            }
        }
    }
}

/// Histograms and summaries by family and sorted labels.
type Index = std::collections::HashMap<(usize, Vec<(String, String)>), usize>;

/// What the suffix of a line's name says about a histogram or summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Bucket or quantile, by its label.
    Element,
    Sum,
    Count,
}
