//! What one collector emitted: families and samples in a few flat buffers, so that a scrape allocates by collector and
//! not by sample.

use crate::{Desc, Exemplar, Histogram, Kind, Summary, Value};

/// The output of one collector.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Run-time names and helps, label names and values, one behind the other.
    pub(crate) arena: Vec<u8>,
    pub(crate) families: Vec<Declared>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) composites: Vec<Composite>,
    /// Where the family after the one asked for last stands: collectors emit theirs in the same order for each device.
    next: usize,
    by_name: std::collections::HashMap<u64, u32, BuildPlain>,
}

#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: Text,
    pub(crate) help: Text,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    Static(&'static str),
    /// Start and length in the arena; UTF-8 because only `&str` goes in.
    Arena(u32, u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) family: u32,
    /// Start of the encoded labels in the arena.
    pub(crate) labels: u32,
    pub(crate) label_count: u16,
    pub(crate) value: Content,
    pub(crate) timestamp_ms: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Number(Value),
    /// Index into `composites`.
    Composite(u32),
}

#[derive(Clone, Debug)]
pub(crate) enum Composite {
    Histogram(Histogram),
    Summary(Summary),
    /// A counter's value with the exemplar of its last increase.
    Traced(Value, Exemplar),
}

impl Part {
    /// An empty part.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.families.clear();
        self.samples.clear();
        self.composites.clear();
        self.by_name.clear();
        self.next = 0;
    }

    /// Whether no sample is in it.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// The family `d`, declared if this part does not have it yet.
    pub fn family(&mut self, d: &Desc) -> Family<'_> {
        let at = self.next;
        let index = match self.families.get(at) {
            Some(f) if matches!(f.name, Text::Static(n) if std::ptr::eq(n, d.name)) => at,
            _ => self.find_or(d.name, |_| Declared {
                name: Text::Static(d.name),
                help: Text::Static(d.help),
                kind: d.kind,
            }),
        };
        self.next = index + 1;
        Family { part: self, index: index as u32 }
    }

    /// A family whose name is known only at run time. The name must be a valid metric name: see [`crate::sanitize_name`].
    pub fn family_named(&mut self, name: &str, help: &str, kind: Kind) -> Family<'_> {
        let index = self.find_or(name, |part| Declared { name: part.keep(name), help: part.keep(help), kind });
        self.next = index + 1;
        Family { part: self, index: index as u32 }
    }

    fn find_or(&mut self, name: &str, declare: impl FnOnce(&mut Self) -> Declared) -> usize {
        let key = hash(name.as_bytes());
        if let Some(&i) = self.by_name.get(&key) {
            if self.text(self.families[i as usize].name) == name {
                return i as usize;
            }
            // Two names with one hash: rare enough to search.
            if let Some(i) = self.families.iter().position(|f| self.text(f.name) == name) {
                return i;
            }
        }
        let declared = declare(self);
        self.families.push(declared);
        let index = self.families.len() - 1;
        self.by_name.entry(key).or_insert(index as u32);
        index
    }

    fn keep(&mut self, text: &str) -> Text {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(text.as_bytes());
        Text::Arena(start, text.len() as u32)
    }

    pub(crate) fn text(&self, t: Text) -> &str {
        match t {
            Text::Static(s) => s,
            Text::Arena(start, len) => {
                let bytes = &self.arena[start as usize..(start + len) as usize];
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    /// The labels of a sample in order of their names.
    pub(crate) fn labels(&self, s: &Sample) -> Labels<'_> {
        Labels { rest: &self.arena[s.labels as usize..], left: s.label_count }
    }

    /// Encodes labels sorted by name; a name given twice keeps its first value; bytes that are no UTF-8 become U+FFFD.
    fn keep_labels(&mut self, labels: &[(&str, &[u8])]) -> (u32, u16) {
        let start = self.arena.len() as u32;
        let mut count = 0;
        if labels.windows(2).all(|w| w[0].0 < w[1].0) {
            for &(name, value) in labels {
                self.keep_label(name, value);
            }
            count = labels.len() as u16;
        } else {
            let mut last: Option<&str> = None;
            // Selection by rising name: label sets are small, and no order array is needed.
            while let Some(&(name, value)) =
                labels.iter().filter(|(n, _)| last.is_none_or(|l| *n > l)).min_by(|a, b| a.0.cmp(b.0))
            {
                self.keep_label(name, value);
                last = Some(name);
                count += 1;
            }
        }
        (start, count)
    }

    fn keep_label(&mut self, name: &str, value: &[u8]) {
        self.arena.extend_from_slice(&(name.len() as u32).to_le_bytes());
        self.arena.extend_from_slice(name.as_bytes());
        if std::str::from_utf8(value).is_ok() {
            self.arena.extend_from_slice(&(value.len() as u32).to_le_bytes());
            self.arena.extend_from_slice(value);
        } else {
            let lossy = String::from_utf8_lossy(value);
            self.arena.extend_from_slice(&(lossy.len() as u32).to_le_bytes());
            self.arena.extend_from_slice(lossy.as_bytes());
        }
    }
}

/// A family of a [`Part`], to which samples are added.
#[derive(Debug)]
pub struct Family<'a> {
    part: &'a mut Part,
    index: u32,
}

impl Family<'_> {
    /// Adds a sample. Labels come in any order; values are raw bytes.
    pub fn sample(&mut self, labels: &[(&str, &[u8])], value: impl Into<Value>) -> &mut Self {
        self.number(labels, value.into(), None)
    }

    /// Adds a sample with an explicit time.
    pub fn sample_at(&mut self, labels: &[(&str, &[u8])], value: impl Into<Value>, timestamp_ms: i64) -> &mut Self {
        self.number(labels, value.into(), Some(timestamp_ms))
    }

    /// Adds a histogram.
    pub fn histogram(&mut self, labels: &[(&str, &[u8])], histogram: Histogram) -> &mut Self {
        self.composite(labels, Composite::Histogram(histogram), None)
    }

    /// Adds a summary.
    pub fn summary(&mut self, labels: &[(&str, &[u8])], summary: Summary) -> &mut Self {
        self.composite(labels, Composite::Summary(summary), None)
    }

    /// Adds a counter's sample with an exemplar, which OpenMetrics and protobuf carry.
    pub fn sample_traced(
        &mut self,
        labels: &[(&str, &[u8])],
        value: impl Into<Value>,
        exemplar: Exemplar,
    ) -> &mut Self {
        self.composite(labels, Composite::Traced(value.into(), exemplar), None)
    }

    pub(crate) fn composite(
        &mut self,
        labels: &[(&str, &[u8])],
        composite: Composite,
        timestamp_ms: Option<i64>,
    ) -> &mut Self {
        let at = self.part.composites.len() as u32;
        self.part.composites.push(composite);
        self.push(labels, Content::Composite(at), timestamp_ms)
    }

    pub(crate) fn number(&mut self, labels: &[(&str, &[u8])], v: Value, timestamp_ms: Option<i64>) -> &mut Self {
        self.push(labels, Content::Number(v), timestamp_ms)
    }

    fn push(&mut self, labels: &[(&str, &[u8])], value: Content, timestamp_ms: Option<i64>) -> &mut Self {
        let (start, label_count) = self.part.keep_labels(labels);
        self.part.samples.push(Sample { family: self.index, labels: start, label_count, value, timestamp_ms });
        self
    }
}

/// Label names and values of one sample.
#[derive(Clone)]
pub(crate) struct Labels<'a> {
    rest: &'a [u8],
    left: u16,
}

impl<'a> Labels<'a> {
    fn take(&mut self) -> &'a [u8] {
        let (len, rest) = self.rest.split_at(4);
        let len = len.iter().rev().fold(0usize, |n, &b| n << 8 | usize::from(b));
        let (text, rest) = rest.split_at(len);
        self.rest = rest;
        text
    }
}

impl<'a> Iterator for Labels<'a> {
    type Item = (&'a str, &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((std::str::from_utf8(self.take()).unwrap_or_default(), self.take()))
    }
}

/// FNV-1a: names are short and trusted, the map only needs spread.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The key is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BuildPlain;

impl std::hash::BuildHasher for BuildPlain {
    type Hasher = Plain;
    fn build_hasher(&self) -> Plain {
        Plain(0)
    }
}

#[derive(Debug)]
pub(crate) struct Plain(u64);

impl std::hash::Hasher for Plain {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash(bytes);
    }
    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}
