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
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Cumulative buckets in rising order of `le`.
    pub buckets: Vec<Bucket>,
    /// Sum of all observations.
    pub sum: f64,
    /// Number of observations.
    pub count: u64,
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
