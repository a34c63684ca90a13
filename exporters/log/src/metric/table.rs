//! The series of one metric, found by a hash of their label values.

use super::native::Native;
use super::summary::Window;
use super::{Applied, Change, Definition, Shape, key};
use exposition::{Bucket, Histogram, Part, Quantile, Summary};
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::{BuildHasher as _, Hasher as _};

/// The series of one metric.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Places in `series`.
    index: HashTable<u32>,
    series: Vec<Series>,
    /// Seeded at random: label values come from strangers.
    hasher: RandomState,
}

/// One series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) key: Box<[u8]>,
    /// When a line touched it last, in milliseconds since 1970.
    pub(super) seen: u64,
    pub(super) state: State,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    Number(f64),
    Histogram(Box<Buckets>),
    Summary(Box<Quantiles>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Buckets {
    /// By bucket, not yet added up; the last is `+Inf`.
    pub(super) counts: Box<[u64]>,
    pub(super) sum: f64,
    pub(super) native: Option<Native>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantiles {
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Only where quantiles are asked for.
    pub(super) window: Option<Window>,
}

impl State {
    fn new(shape: &Shape, now: u64) -> Self {
        match shape {
            Shape::Counter | Shape::Gauge => Self::Number(0.0),
            Shape::Histogram { bounds, native } => Self::Histogram(Box::new(Buckets {
                counts: vec![0; bounds.len() + 1].into(),
                sum: 0.0,
                native: native.as_ref().map(Native::new),
            })),
            Shape::Summary { targets, max_age } => Self::Summary(Box::new(Quantiles {
                sum: 0.0,
                count: 0,
                window: (!targets.is_empty()).then(|| Window::new(now, *max_age)),
            })),
        }
    }

    fn change(&mut self, shape: &Shape, change: Change, now: u64) {
        match (self, shape, change) {
            (Self::Number(number), _, Change::Add(value) | Change::Observe(value)) => *number += value,
            (Self::Number(number), _, Change::Set(value)) => *number = value,
            (
                Self::Histogram(buckets),
                Shape::Histogram { bounds, native },
                Change::Add(value) | Change::Set(value) | Change::Observe(value),
            ) => {
                let at = bounds.iter().position(|le| value <= *le).unwrap_or(bounds.len());
                if let Some(count) = buckets.counts.get_mut(at) {
                    *count += 1;
                }
                buckets.sum += value;
                if let (Some(own), Some(resolution)) = (&mut buckets.native, native) {
                    own.observe(value, resolution);
                }
            }
            (
                Self::Summary(summary),
                Shape::Summary { targets, max_age },
                Change::Add(value) | Change::Set(value) | Change::Observe(value),
            ) => {
                summary.sum += value;
                summary.count += 1;
                if let Some(window) = &mut summary.window {
                    window.observe(value, now, *max_age, targets);
                }
            }
            // A table holds states of its own metric's shape only.
            (Self::Histogram(_) | Self::Summary(_), ..) => {}
        }
    }
}

impl Table {
    /// The table of a metric; the one series of a metric without labels is there from the start.
    pub(crate) fn new(definition: &Definition) -> Self {
        let mut table = Self::default();
        if definition.labels.is_empty() {
            table.insert(Series { key: Box::default(), seen: 0, state: State::new(&definition.shape, 0) });
        }
        table
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Changes the series of this key, which is made if there are less than `most`.
    #[inline]
    pub(crate) fn apply(
        &mut self,
        definition: &Definition,
        key: &[u8],
        change: Change,
        now: u64,
        most: usize,
    ) -> Applied {
        let hash = self.hash(key);
        let series = &self.series;
        let at = match self.index.find(hash, |at| key::same(&series[*at as usize].key, key)) {
            Some(at) => *at as usize,
            None if self.series.len() >= most => return Applied::Full,
            None => {
                let state = State::new(&definition.shape, now);
                self.insert(Series { key: key.into(), seen: now, state });
                self.series.len() - 1
            }
        };
        let series = &mut self.series[at];
        series.seen = now;
        match &mut series.state {
            State::Number(number) => match change {
                Change::Set(value) => *number = value,
                Change::Add(value) | Change::Observe(value) => *number += value,
            },
            state => state.change(&definition.shape, change, now),
        }
        Applied::Done
    }

    /// Adds a series whose key is not there yet.
    pub(super) fn insert(&mut self, series: Series) {
        let hash = self.hash(&series.key);
        let at = self.series.len() as u32;
        self.series.push(series);
        let (all, hasher) = (&self.series, &self.hasher);
        self.index.insert_unique(hash, at, |at| hash_of(hasher, &all[*at as usize].key));
    }

    /// Whether a series has this key.
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        self.index.find(self.hash(key), |at| key::same(&self.series[*at as usize].key, key)).is_some()
    }

    /// Removes the series whose labels at `places`, which rise, have the values of `key`; answers how many.
    pub(crate) fn delete(&mut self, labels: usize, places: &[usize], key: &[u8]) -> usize {
        if places.len() == labels {
            return usize::from(self.delete_one(key));
        }
        self.remove(|series| {
            let mut wanted = key::values(key, places.len()).zip(places);
            !wanted.all(|(wanted, place)| key::values(&series.key, labels).nth(*place) == Some(wanted))
        })
    }

    fn delete_one(&mut self, key: &[u8]) -> bool {
        let hash = self.hash(key);
        let all = &self.series;
        let Ok(entry) = self.index.find_entry(hash, |at| key::same(&all[*at as usize].key, key)) else { return false };
        let (at, _) = entry.remove();
        self.series.swap_remove(at as usize);
        if let Some(moved) = self.series.get(at as usize) {
            let last = self.series.len() as u32;
            if let Some(place) = self.index.find_mut(hash_of(&self.hasher, &moved.key), |place| *place == last) {
                *place = at;
            }
        }
        true
    }

    /// Removes the series that were touched last before `oldest`.
    pub(crate) fn expire(&mut self, oldest: u64) -> usize {
        self.remove(|series| series.seen >= oldest)
    }

    fn remove(&mut self, keep: impl FnMut(&Series) -> bool) -> usize {
        let before = self.series.len();
        self.series.retain(keep);
        if self.series.len() < before {
            // Places have changed: the index is made again, in the memory that it has.
            let hasher = &self.hasher;
            let all = &self.series;
            self.index.clear();
            for (at, series) in all.iter().enumerate() {
                let hash = hash_of(hasher, &series.key);
                self.index.insert_unique(hash, at as u32, |at| hash_of(hasher, &all[*at as usize].key));
            }
            self.series.shrink_to(before / 2);
        }
        before - self.series.len()
    }

    /// All series, in the order in which they came.
    pub(super) fn series(&self) -> &[Series] {
        &self.series
    }

    /// Emits all series.
    pub(crate) fn emit(&self, definition: &Definition, now: u64, out: &mut Part) {
        let mut family = out.family_named(&definition.name, &definition.help, definition.shape.kind());
        let mut labels: Vec<(&str, &[u8])> = Vec::with_capacity(definition.labels.len());
        for series in &self.series {
            labels.clear();
            let values = key::values(&series.key, definition.labels.len());
            labels.extend(definition.labels.iter().map(String::as_str).zip(values));
            match (&series.state, &definition.shape) {
                (State::Number(number), _) => {
                    family.sample(&labels, *number);
                }
                (State::Histogram(buckets), Shape::Histogram { bounds, native }) => {
                    family.histogram(&labels, exposed(buckets, bounds, native.as_ref()));
                }
                (State::Summary(summary), Shape::Summary { targets, max_age }) => {
                    let mut quantiles: Vec<Quantile> = Vec::with_capacity(targets.len());
                    if let Some(window) = &summary.window {
                        window.quantiles(now, *max_age, targets, &mut quantiles);
                    }
                    family.summary(&labels, Summary { quantiles, sum: summary.sum, count: summary.count });
                }
                // A table holds states of its own metric's shape only.
                (State::Histogram(_) | State::Summary(_), _) => {}
            }
        }
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        hash_of(&self.hasher, key)
    }
}

fn exposed(buckets: &Buckets, bounds: &[f64], native: Option<&super::Resolution>) -> Histogram {
    let mut cumulative = 0;
    let shown = bounds.iter().zip(&buckets.counts);
    let shown = shown.map(|(le, count)| {
        cumulative += count;
        Bucket { le: *le, cumulative }
    });
    let shown: Vec<Bucket> = shown.collect();
    let native = native.zip(buckets.native.as_ref()).map(|(resolution, own)| Box::new(own.exposed(resolution)));
    Histogram { buckets: shown, sum: buckets.sum, count: buckets.counts.iter().sum(), native, exemplars: Vec::new() }
}

#[inline]
fn hash_of(hasher: &RandomState, key: &[u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    hasher.write(key);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Key, Refusal, Resolution, Target};
    use std::time::Duration;

    fn definition(shape: Shape, labels: &[&str]) -> Definition {
        Definition {
            name: "m".into(),
            help: "h".into(),
            shape,
            labels: labels.iter().map(|l| (*l).to_owned()).collect(),
            limit: None,
            expire: Some(Duration::from_secs(1)),
        }
    }

    fn key(values: &[&str]) -> Vec<u8> {
        let mut key = Key::default();
        key.begin(values.len());
        for value in values {
            assert!(!key.push(value.as_bytes(), 100));
        }
        key.bytes().to_vec()
    }

    fn text(table: &Table, definition: &Definition, now: u64) -> String {
        let mut part = Part::new();
        table.emit(definition, now, &mut part);
        let mut out = Vec::new();
        exposition::Page::merge(vec![part]).0.write_text(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.split_inclusive('\n').skip(2).collect()
    }

    #[test]
    fn series_are_found_deleted_and_forgotten() {
        let counter = definition(Shape::Counter, &["service", "user"]);
        let mut table = Table::new(&counter);
        let mut now = 0;
        for (user, service) in [("alice", "a"), ("bob", "a"), ("alice", "b"), ("alice", "a"), ("carol", "")] {
            now += 1000;
            let key = key(&[service, user]);
            assert_eq!(table.apply(&counter, &key, Change::Add(1.0), now, 4), Applied::Done);
        }
        assert_eq!(table.apply(&counter, &key(&["x", "x"]), Change::Add(1.0), now, 4), Applied::Full);
        assert_eq!(
            text(&table, &counter, 0),
            "m{service=\"\",user=\"carol\"} 1\nm{service=\"a\",user=\"alice\"} 2\nm{service=\"a\",user=\"bob\"} 1\n\
             m{service=\"b\",user=\"alice\"} 1\n"
        );
        assert_eq!(table.delete(2, &[0, 1], &key(&["b", "bob"])), 0);
        assert_eq!(table.delete(2, &[0], &key(&["b"])), 1);
        assert_eq!(table.expire(3000), 1);
        assert_eq!(table.apply(&counter, &key(&["a", "alice"]), Change::Add(1.0), now, 4), Applied::Done);
        assert_eq!(text(&table, &counter, 0), "m{service=\"\",user=\"carol\"} 1\nm{service=\"a\",user=\"alice\"} 3\n");
        assert_eq!(table.delete(2, &[0, 1], &key(&["", "carol"])), 1);
        assert_eq!(text(&table, &counter, 0), "m{service=\"a\",user=\"alice\"} 3\n");
        assert_eq!(table.apply(&counter, &key(&["b", "bob"]), Change::Add(1.0), now, 4), Applied::Done);
        assert_eq!((table.delete(2, &[], b""), table.len()), (2, 0));
        assert_eq!(table.apply(&counter, &key(&["a", "alice"]), Change::Add(1.0), now, 4), Applied::Done);
        assert_eq!(text(&table, &counter, 0), "m{service=\"a\",user=\"alice\"} 1\n");
    }

    #[test]
    fn a_metric_without_labels_is_there_at_once() {
        let histogram = definition(Shape::Histogram { bounds: vec![1.0, 2.0], native: None }, &[]);
        let mut table = Table::new(&histogram);
        assert!(text(&table, &histogram, 0).starts_with("m_bucket{le=\"1\"} 0\n"));
        for value in [1.0, 1.5, 2.0, 2.5] {
            table.apply(&histogram, b"", Change::Observe(value), 0, 0);
        }
        assert_eq!(
            text(&table, &histogram, 0),
            "m_bucket{le=\"1\"} 1\nm_bucket{le=\"2\"} 3\nm_bucket{le=\"+Inf\"} 4\nm_sum 7\nm_count 4\n"
        );
    }

    #[test]
    fn summaries_without_quantiles_have_sum_and_count() {
        let mut summary = definition(Shape::Summary { targets: Vec::new(), max_age: 600_000 }, &[]);
        let mut table = Table::new(&summary);
        table.apply(&summary, b"", Change::Observe(2.5), 0, 1);
        assert_eq!(text(&table, &summary, 0), "m_sum 2.5\nm_count 1\n");
        summary.shape = Shape::Summary { targets: vec![Target { quantile: 0.5, error: 0.05 }], max_age: 600_000 };
        let mut table = Table::new(&summary);
        assert_eq!(text(&table, &summary, 0), "m{quantile=\"0.5\"} NaN\nm_sum 0\nm_count 0\n");
        table.apply(&summary, b"", Change::Observe(2.5), 1_000_000_000_000, 1);
        assert_eq!(text(&table, &summary, 1_000_000_000_000), "m{quantile=\"0.5\"} 2.5\nm_sum 2.5\nm_count 1\n");
        assert_eq!(text(&table, &summary, 1_000_000_600_000), "m{quantile=\"0.5\"} NaN\nm_sum 2.5\nm_count 1\n");
    }

    #[test]
    fn native_buckets_reach_protobuf() {
        let native = Some(Resolution::of_growth(1.1));
        let histogram = definition(Shape::Histogram { bounds: Vec::new(), native }, &["a"]);
        let mut table = Table::new(&histogram);
        for value in [0.0, 0.5, 1.0, 100.0] {
            table.apply(&histogram, &key(&["x"]), Change::Observe(value), 0, 1);
        }
        let mut part = Part::new();
        table.emit(&histogram, 0, &mut part);
        let mut out = Vec::new();
        exposition::Page::merge(vec![part])
            .0
            .write(exposition::Format::Protobuf(exposition::Escaping::AllowUtf8), &mut out);
        let families = exposition::parse_protobuf(&out).unwrap();
        let exposition::ParsedValue::Histogram(parsed) = &families[0].samples[0].value else { panic!("{families:?}") };
        let native = parsed.native.as_ref().unwrap();
        assert_eq!((native.schema, native.zero_count, native.positive_spans.len(), parsed.count), (3, 1, 3, 4));
    }

    #[test]
    fn types_refuse_what_they_cannot_hold() {
        let summary = Shape::Summary { targets: Vec::new(), max_age: 1 };
        for (shape, change, expected) in [
            (Shape::Counter, Change::Add(-0.5), Err(Refusal::Negative)),
            (Shape::Counter, Change::Add(f64::NAN), Err(Refusal::NotANumber)),
            (Shape::Counter, Change::Add(0.0), Ok(())),
            (Shape::Gauge, Change::Set(f64::NAN), Ok(())),
            (Shape::Gauge, Change::Add(-1.0), Ok(())),
            (summary, Change::Observe(f64::NAN), Err(Refusal::NotANumber)),
        ] {
            assert_eq!(shape.check(change), expected, "{shape:?} {change:?}");
        }
    }
}
