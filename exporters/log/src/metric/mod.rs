//! Metrics that rules make: what each is, and its series.

mod key;
mod native;
mod number;
mod saved;
mod summary;
mod table;

pub(crate) use key::{Key, values};
pub(crate) use native::Resolution;
pub(crate) use number::parse_float;
pub(crate) use saved::{Reader, Saved};
pub(crate) use summary::Target;
pub(crate) use table::Table;

use std::time::Duration;

/// What a metric is: the same for all rules that feed it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) shape: Shape,
    /// Names, in order.
    pub(crate) labels: Vec<String>,
    /// Most series, where not the limit of all metrics counts.
    pub(crate) limit: Option<usize>,
    /// Series that were not touched for so long are removed.
    pub(crate) expire: Option<Duration>,
}

/// The type of a metric and what belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Counter,
    Gauge,
    Histogram {
        /// Upper borders in rising order, without `+Inf`.
        bounds: Vec<f64>,
        native: Option<Resolution>,
    },
    Summary {
        /// In rising order.
        targets: Vec<Target>,
        /// How long an observation counts for the quantiles, in milliseconds.
        max_age: u64,
    },
}

impl Shape {
    /// The type's name.
    pub(crate) fn kind(&self) -> exposition::Kind {
        match self {
            Self::Counter => exposition::Kind::Counter,
            Self::Gauge => exposition::Kind::Gauge,
            Self::Histogram { .. } => exposition::Kind::Histogram,
            Self::Summary { .. } => exposition::Kind::Summary,
        }
    }
}

impl Definition {
    /// Equal exactly for definitions whose series mean the same: saved series are only taken by these.
    pub(crate) fn fingerprint(&self) -> u64 {
        let mut sum = Checksum::default();
        sum.text(&self.name);
        sum.text(self.shape.kind().word());
        self.labels.iter().for_each(|label| sum.text(label));
        let mut number = |n: f64| sum.add(&n.to_bits().to_le_bytes());
        match &self.shape {
            Shape::Counter | Shape::Gauge => {}
            Shape::Histogram { bounds, native } => {
                bounds.iter().copied().for_each(&mut number);
                if let Some(native) = native {
                    let parts = [f64::from(native.schema), native.max_buckets as f64, native.zero_threshold];
                    parts.into_iter().for_each(&mut number);
                }
            }
            Shape::Summary { targets, max_age } => {
                targets.iter().flat_map(|t| [t.quantile, t.error]).for_each(&mut number);
                number(*max_age as f64);
            }
        }
        sum.value()
    }
}

/// What a line does to a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Change {
    Add(f64),
    Set(f64),
    Observe(f64),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    Done,
    /// It would have been a new series, and there are as many as there may be.
    Full,
}

/// A value that a metric of this type cannot take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("a counter cannot go down")]
    Negative,
    #[error("NaN")]
    NotANumber,
}

impl Shape {
    /// Whether a series of this type may be changed so.
    pub(crate) fn check(&self, change: Change) -> Result<(), Refusal> {
        let (Change::Add(value) | Change::Set(value) | Change::Observe(value)) = change;
        match self {
            Self::Gauge => Ok(()),
            // Differs from grok_exporter: NaN would stay in a counter or a sum for ever.
            _ if value.is_nan() => Err(Refusal::NotANumber),
            Self::Counter if value < 0.0 => Err(Refusal::Negative),
            _ => Ok(()),
        }
    }
}

/// FNV-1a, 64 bits: stable from build to build.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checksum(u64);

impl Default for Checksum {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Checksum {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3));
    }

    fn text(&mut self, text: &str) {
        self.add(text.as_bytes());
        self.add(&[0xff]);
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}
