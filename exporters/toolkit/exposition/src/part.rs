//! What one collector emitted: families and samples in a few flat buffers, so that a scrape allocates by collector and
//! not by sample.

use crate::labels::{LabelSet, LabelSets};
use crate::{Desc, Exemplar, Histogram, Kind, Summary, Value};

/// The output of one collector.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Run-time names and helps, one behind the other.
    names: String,
    pub(crate) families: Vec<Declared>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) labels: LabelSets,
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
    /// Number of samples.
    pub(crate) count: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Text {
    Static(&'static str),
    /// Start and end among the part's names.
    Kept(u32, u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) family: u32,
    /// Id of the label set.
    pub(crate) labels: u32,
    pub(crate) value: Content,
    time: i64,
}

impl Sample {
    pub(crate) fn timestamp_ms(&self) -> Option<i64> {
        (self.time != NO_TIME).then_some(self.time)
    }
}

/// The one time that cannot be told, 292 million years ago.
const NO_TIME: i64 = i64::MIN;

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
        self.names.clear();
        self.families.clear();
        self.samples.clear();
        self.labels.clear();
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
    #[inline]
    pub fn family(&mut self, d: &Desc) -> Family<'_> {
        let index = match self.families.get(self.next) {
            Some(f) if matches!(f.name, Text::Static(n) if std::ptr::eq(n, d.name)) => self.next,
            _ => self.find_or(d.name, |_| (Text::Static(d.name), Text::Static(d.help), d.kind)),
        };
        self.next = index + 1;
        Family { part: self, index: index as u32 }
    }

    /// A family whose name is known only at run time. Names that are no valid metric names are escaped when they are
    /// written, see [`crate::Escaping`]; [`crate::sanitize_name`] makes one valid here.
    pub fn family_named(&mut self, name: &str, help: &str, kind: Kind) -> Family<'_> {
        let index = self.find_or(name, |part| (part.keep(name), part.keep(help), kind));
        self.next = index + 1;
        Family { part: self, index: index as u32 }
    }

    fn find_or(&mut self, name: &str, declare: impl FnOnce(&mut Self) -> (Text, Text, Kind)) -> usize {
        // The next one, the same again, or for the next device the first.
        for i in [self.next, self.next.wrapping_sub(1), 0] {
            if self.families.get(i).is_some_and(|f| self.text(f.name) == name) {
                return i;
            }
        }
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
        let (name, help, kind) = declare(self);
        self.families.push(Declared { name, help, kind, count: 0 });
        let index = self.families.len() - 1;
        self.by_name.entry(key).or_insert(index as u32);
        index
    }

    fn keep(&mut self, text: &str) -> Text {
        let start = self.names.len() as u32;
        self.names.push_str(text);
        Text::Kept(start, self.names.len() as u32)
    }

    pub(crate) fn text(&self, t: Text) -> &str {
        match t {
            Text::Static(s) => s,
            Text::Kept(start, end) => self.names.get(start as usize..end as usize).unwrap_or_default(),
        }
    }

    pub(crate) fn labels(&self, s: &Sample) -> LabelSet<'_> {
        self.labels.get(s.labels)
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
    #[inline]
    pub fn sample(&mut self, labels: &[(&str, &[u8])], value: impl Into<Value>) -> &mut Self {
        self.push(labels, Content::Number(value.into()), None)
    }

    /// Adds a sample with an explicit time.
    pub fn sample_at(&mut self, labels: &[(&str, &[u8])], value: impl Into<Value>, timestamp_ms: i64) -> &mut Self {
        self.push(labels, Content::Number(value.into()), Some(timestamp_ms))
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

    #[inline]
    pub(crate) fn push(&mut self, labels: &[(&str, &[u8])], value: Content, timestamp_ms: Option<i64>) -> &mut Self {
        let labels = self.part.labels.keep(labels, self.index);
        self.part.families[self.index as usize].count += 1;
        self.part.samples.push(Sample { family: self.index, labels, value, time: timestamp_ms.unwrap_or(NO_TIME) });
        self
    }
}

/// FNV-1a: names are short and trusted, the map only needs spread.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// The key is a hash already.
#[derive(Clone, Copy, Debug, Default)]
struct BuildPlain;

impl std::hash::BuildHasher for BuildPlain {
    type Hasher = Plain;
    fn build_hasher(&self) -> Plain {
        Plain(0)
    }
}

#[derive(Debug)]
struct Plain(u64);

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
