//! Native histograms: exponential buckets, of which only the used ones are kept.

use exposition::Span;
use std::collections::BTreeMap;

/// How fine the buckets are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resolution {
    /// From -4 to 8: bucket borders grow by 2^(2^-schema).
    pub(crate) schema: i32,
    /// Where a series uses more buckets than that, its neighbours are merged.
    pub(crate) max_buckets: usize,
    /// Width of the zero bucket.
    pub(crate) zero_threshold: f64,
}

impl Resolution {
    /// The finest one whose buckets are not narrower than `growth` says, as the Go client picks it.
    pub(crate) fn of_growth(growth: f64) -> Self {
        let schema = -(growth.log2().log2().floor().clamp(-8.0, 4.0) as i32);
        Self { schema, max_buckets: 160, zero_threshold: 2f64.powi(-128) }
    }
}

/// The native part of one series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Native {
    pub(crate) schema: i32,
    pub(crate) zero: u64,
    pub(crate) positive: BTreeMap<i32, u64>,
    pub(crate) negative: BTreeMap<i32, u64>,
}

impl Native {
    pub(crate) fn new(resolution: &Resolution) -> Self {
        Self { schema: resolution.schema, ..Self::default() }
    }

    /// Counts a value that is a number.
    pub(crate) fn observe(&mut self, value: f64, resolution: &Resolution) {
        if value.abs() <= resolution.zero_threshold {
            self.zero += 1;
            return;
        }
        let key = bucket(value.abs(), self.schema);
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        *side.entry(key).or_insert(0) += 1;
        while self.positive.len() + self.negative.len() > resolution.max_buckets && self.schema > -4 {
            self.schema -= 1;
            for side in [&mut self.positive, &mut self.negative] {
                // Two neighbours become the one whose upper border is that of the higher.
                let halved = std::mem::take(side).into_iter().fold(BTreeMap::new(), |mut halved, (key, count)| {
                    *halved.entry((key + 1) >> 1).or_insert(0) += count;
                    halved
                });
                *side = halved;
            }
        }
    }

    /// As protobuf carries it.
    pub(crate) fn exposed(&self, resolution: &Resolution) -> exposition::Native {
        let (positive_spans, positive_deltas) = spans(&self.positive);
        let (negative_spans, negative_deltas) = spans(&self.negative);
        exposition::Native {
            schema: self.schema,
            zero_threshold: resolution.zero_threshold,
            zero_count: self.zero,
            positive_spans,
            positive_deltas,
            negative_spans,
            negative_deltas,
        }
    }
}

/// The bucket of a value above zero: the least `i` with `value <= 2^(i * 2^-schema)`.
fn bucket(value: f64, schema: i32) -> i32 {
    if value.is_infinite() {
        return bucket(f64::MAX, schema) + 1;
    }
    let (fraction, exponent) = split(value);
    if schema <= 0 {
        // A power of two belongs to the bucket that it ends.
        let exponent = if fraction <= 0.5 { exponent - 1 } else { exponent };
        return (exponent + (1 << -schema) - 1) >> -schema;
    }
    let per_power = 1i32 << schema;
    let border = |i: i32| 0.5 * (f64::from(i) / f64::from(per_power)).exp2();
    // Close by logarithm, exact by comparison with the borders.
    let mut at = ((fraction.log2() + 1.0) * f64::from(per_power)).ceil() as i32;
    while at > 0 && fraction <= border(at - 1) {
        at -= 1;
    }
    while fraction > border(at) {
        at += 1;
    }
    at + (exponent - 1) * per_power
}

/// `value` as a fraction from 0.5 up to 1 and a power of two.
fn split(value: f64) -> (f64, i32) {
    let bits = value.to_bits();
    match (bits >> 52 & 0x7ff) as i32 {
        // Below the normal numbers: lifted into them first.
        0 if value != 0.0 => {
            let (fraction, exponent) = split(value * 2f64.powi(64));
            (fraction, exponent - 64)
        }
        exponent => (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent - 1022),
    }
}

fn spans(side: &BTreeMap<i32, u64>) -> (Vec<Span>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<Span>::new(), Vec::new());
    let (mut next, mut before) = (0, 0i64);
    for (&key, &count) in side {
        match spans.last_mut() {
            Some(last) if key == next => last.length += 1,
            _ => spans.push(Span { offset: key - next, length: 1 }),
        }
        deltas.push(count as i64 - before);
        (next, before) = (key + 1, count as i64);
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_schema_is_the_go_client_s() {
        for (growth, schema) in
            [(1.1, 3), (1.01, 7), (2.0, 0), (1.5, 1), (4.0, -1), (65536.0, -4), (1.000_001, 8), (1e9, -4)]
        {
            assert_eq!(Resolution::of_growth(growth).schema, schema, "{growth}");
        }
    }

    #[test]
    fn values_fall_into_their_buckets() {
        for (value, schema, expected) in [
            (1.0, 0, 0),
            (1.1, 0, 1),
            (2.0, 0, 1),
            (2.1, 0, 2),
            (0.5, 0, -1),
            (1.0, 3, 0),
            (2.0, 3, 8),
            (4.0, -1, 1),
            (4.1, -1, 2),
            (1.0, -4, 0),
            (65536.0, -4, 1),
            (5e-324, 0, -1074),
        ] {
            assert_eq!(bucket(value, schema), expected, "{value} at {schema}");
        }
        assert_eq!(bucket(f64::INFINITY, 0), bucket(f64::MAX, 0) + 1);
    }

    #[test]
    fn runs_become_spans() {
        let resolution = Resolution { schema: 0, max_buckets: 160, zero_threshold: 0.001 };
        let mut native = Native::new(&resolution);
        for value in [0.0, 1.0, 1.5, 1.7, 2.5, 100.0, -1.5, 0.0005] {
            native.observe(value, &resolution);
        }
        let shown = native.exposed(&resolution);
        assert_eq!(shown.zero_count, 2);
        assert_eq!(shown.positive_spans, [Span { offset: 0, length: 3 }, Span { offset: 4, length: 1 }]);
        assert_eq!(shown.positive_deltas, [1, 1, -1, 0]);
        assert_eq!((shown.negative_spans, shown.negative_deltas), (vec![Span { offset: 1, length: 1 }], vec![1]));
    }

    #[test]
    fn too_many_buckets_halve_the_resolution() {
        let resolution = Resolution { max_buckets: 10, ..Resolution::of_growth(1.1) };
        let mut native = Native::new(&resolution);
        (1..=1000).for_each(|i| native.observe(f64::from(i), &resolution));
        assert!(native.positive.len() <= 10 && native.schema == -1 || native.schema == 0, "{native:?}");
        assert_eq!(native.positive.values().sum::<u64>(), 1000);
        let mut direct = Native { schema: native.schema, ..Native::default() };
        (1..=1000).for_each(|i| direct.observe(f64::from(i), &Resolution { max_buckets: 1000, ..resolution.clone() }));
        assert_eq!(direct, native);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_bucket_holds_its_value(bits in any::<u64>(), schema in -4i32..=8) {
            let value = f64::from_bits(bits).abs();
            prop_assume!(!value.is_nan());
            let at = bucket(value.max(5e-324), schema);
            if value.is_normal() {
                let border = |i: i32| (f64::from(i) * (-f64::from(schema)).exp2()).exp2();
                prop_assert!(value <= border(at) * (1.0 + 1e-12), "{} {}", value, at);
                prop_assert!(value > border(at - 1) * (1.0 - 1e-12), "{} {}", value, at);
            }
        }
    }
}
