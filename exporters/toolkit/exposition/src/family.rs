//! What a family is: name, help, kind and the values it holds.

/// The type of a family, as its `# TYPE` line says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Only ever grows, but for restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count.
    Histogram,
    /// Quantiles, sum and count.
    Summary,
    /// Of unknown type (`untyped` in text 0.0.4, `unknown` in OpenMetrics).
    Untyped,
}

impl Kind {
    /// The word of text format 0.0.4.
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

/// A family known when the program is built: a `const` beside the collector that fills it.
#[derive(Clone, Copy, Debug)]
pub struct Desc {
    /// Full metric name.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Its type.
    pub kind: Kind,
}

impl Desc {
    /// A counter.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Counter }
    }
    /// A gauge.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Gauge }
    }
    /// An untyped family.
    pub const fn untyped(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Untyped }
    }
    /// A histogram.
    pub const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Histogram }
    }
    /// A summary.
    pub const fn summary(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: Kind::Summary }
    }
}

/// A sample's number: an integer stays one until it is written.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// Unsigned integer.
    U64(u64),
    /// Signed integer.
    I64(i64),
    /// Floating point number.
    F64(f64),
}

impl Value {
    /// The number as every Prometheus format means it.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::U64(v) => v as f64,
            Self::I64(v) => v as f64,
            Self::F64(v) => v,
        }
    }
}

macro_rules! value_from {
    ($($t:ty => $variant:ident as $as:ty),*) => {
        $(impl From<$t> for Value {
            fn from(v: $t) -> Self {
                Self::$variant(<$as>::from(v))
            }
        })*
    };
}
value_from!(u8 => U64 as u64, u16 => U64 as u64, u32 => U64 as u64, u64 => U64 as u64, bool => U64 as u64,
    i8 => I64 as i64, i16 => I64 as i64, i32 => I64 as i64, i64 => I64 as i64, f32 => F64 as f64, f64 => F64 as f64);

impl From<usize> for Value {
    fn from(v: usize) -> Self {
        Self::U64(v as u64)
    }
}

/// One cumulative bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Upper bound, inclusive.
    pub le: f64,
    /// Observations at or below `le`.
    pub cumulative: u64,
}

/// A histogram's state. The `+Inf` bucket may be left out: writers add it with `count`.
///
/// Classic histograms are written `Histogram { buckets, sum, count, ..Histogram::default() }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Cumulative buckets in rising order of `le`.
    pub buckets: Vec<Bucket>,
    /// Sum of all observations.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
    /// The exponential buckets, which only protobuf carries.
    pub native: Option<Box<Native>>,
    /// Traced observations; each belongs to the bucket that its value falls into. Text 0.0.4 leaves them out.
    pub exemplars: Vec<Exemplar>,
}

impl Histogram {
    /// The latest exemplar above `below` and up to `le`.
    pub(crate) fn exemplar_between(&self, below: f64, le: f64) -> Option<&Exemplar> {
        let within = self.exemplars.iter().filter(|e| e.value <= le && (e.value > below || below == f64::NEG_INFINITY));
        within.max_by_key(|e| e.timestamp_ms)
    }
}

/// The exponential ("native") buckets of a histogram, as `io.prometheus.client.Histogram` holds them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Native {
    /// Resolution, from -4 to 8: bucket borders grow by 2^(2^-schema).
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// Runs of used buckets above zero.
    pub positive_spans: Vec<Span>,
    /// Each used bucket's count as difference to the bucket before.
    pub positive_deltas: Vec<i64>,
    /// Runs of used buckets below zero.
    pub negative_spans: Vec<Span>,
    /// As `positive_deltas`.
    pub negative_deltas: Vec<i64>,
}

impl Native {
    /// Whether nothing in it would tell a reader of protobuf that the histogram is a native one.
    pub(crate) fn is_blank(&self) -> bool {
        self.zero_threshold == 0.0
            && self.zero_count == 0
            && self.positive_spans.is_empty()
            && self.negative_spans.is_empty()
    }
}

/// A run of neighbouring native buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Gap to the end of the span before, for the first span its index.
    pub offset: i32,
    /// Number of buckets.
    pub length: u32,
}

/// One observation with the trace it came from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// Names and values, such as `trace_id`.
    pub labels: Vec<(String, String)>,
    /// What was observed.
    pub value: f64,
    /// When.
    pub timestamp_ms: Option<i64>,
}

/// One quantile of a summary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantile {
    /// Between 0 and 1 (some peers give other numbers: they are written as they are).
    pub quantile: f64,
    /// The value at it.
    pub value: f64,
}

/// A summary's state.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Quantiles in rising order.
    pub quantiles: Vec<Quantile>,
    /// Sum of all observations.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
}
