//! Series as bytes, for the time between two runs: little-endian numbers, texts behind their lengths.

use super::key::is_valid;
use super::native::Native;
use super::summary::{AGES, Kept, Sketch, Window};
use super::table::{Buckets, Quantiles, Series, State};
use super::{Definition, Shape, Table};

/// Bytes to write to.
#[derive(Debug)]
pub(crate) struct Saved<'a>(pub(crate) &'a mut Vec<u8>);

impl Saved<'_> {
    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn f64(&mut self, value: f64) {
        self.u64(value.to_bits());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.u64(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn native(&mut self, native: &Native) {
        self.u64(native.schema as u64);
        self.u64(native.zero);
        for side in [&native.positive, &native.negative] {
            self.u64(side.len() as u64);
            for (key, count) in side {
                self.u64(*key as u64);
                self.u64(*count);
            }
        }
    }

    fn window(&mut self, window: &Window) {
        let (head, end, ages) = window.parts();
        self.u64(head as u64);
        self.u64(end);
        for age in ages {
            let (kept, fresh) = age.parts();
            self.u64(kept.len() as u64);
            kept.iter().flat_map(|k| [k.value, k.width, k.slack]).for_each(|n| self.f64(n));
            self.u64(fresh.len() as u64);
            for value in fresh {
                self.f64(*value);
            }
        }
    }
}

/// Bytes to read from. Whatever they are, reading ends with a value or `None`.
#[derive(Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    fn number(&mut self) -> Option<f64> {
        self.f64().filter(|n| !n.is_nan())
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        self.take(length)
    }

    /// A number of things of at least `size` bytes each: never more than there can be, so that memory can be reserved.
    pub(crate) fn count(&mut self, size: usize) -> Option<usize> {
        usize::try_from(self.u64()?).ok().filter(|count| *count <= self.0.len() / size)
    }

    fn native(&mut self) -> Option<Native> {
        let schema = self.u64()? as i64;
        let mut native = Native { schema: i32::try_from(schema).ok()?, zero: self.u64()?, ..Native::default() };
        if !(-4..=8).contains(&native.schema) {
            return None;
        }
        for side in [&mut native.positive, &mut native.negative] {
            for _ in 0..self.count(16)? {
                // 2^8 buckets for each of 2098 powers of two.
                let key = i32::try_from(self.u64()? as i64).ok().filter(|k| k.abs() < 1 << 20)?;
                // Deltas of counts stay numbers.
                side.insert(key, self.u64().filter(|n| i64::try_from(*n).is_ok())?);
            }
        }
        Some(native)
    }

    fn window(&mut self) -> Option<Window> {
        let (head, end) = (usize::try_from(self.u64()?).ok()?, self.u64()?);
        let mut ages: [Sketch; AGES] = Default::default();
        for age in &mut ages {
            let mut kept = Vec::new();
            for _ in 0..self.count(24)? {
                kept.push(Kept { value: self.number()?, width: self.number()?, slack: self.number()? });
            }
            let mut fresh = Vec::new();
            for _ in 0..self.count(8)? {
                fresh.push(self.number()?);
            }
            *age = Sketch::from_parts(kept, fresh)?;
        }
        Window::from_parts(head, end, ages)
    }
}

impl Table {
    /// Appends all series.
    pub(crate) fn save(&self, out: &mut Saved<'_>) {
        out.u64(self.series().len() as u64);
        for series in self.series() {
            out.bytes(&series.key);
            out.u64(series.seen);
            match &series.state {
                State::Number(number) => out.f64(*number),
                State::Histogram(buckets) => {
                    buckets.counts.iter().for_each(|count| out.u64(*count));
                    out.f64(buckets.sum);
                    if let Some(native) = &buckets.native {
                        out.native(native);
                    }
                }
                State::Summary(summary) => {
                    out.f64(summary.sum);
                    out.u64(summary.count);
                    if let Some(window) = &summary.window {
                        out.window(window);
                    }
                }
            }
        }
    }

    /// Reads what `save` wrote for a metric that is defined alike.
    pub(crate) fn restore(definition: &Definition, saved: &mut Reader<'_>) -> Option<Self> {
        let mut table = Self::default();
        for _ in 0..saved.count(16)? {
            let key = saved.bytes().filter(|key| is_valid(key, definition.labels.len()))?;
            let seen = saved.u64()?;
            let state = state(&definition.shape, saved)?;
            if table.contains(key) {
                return None;
            }
            table.insert(Series { key: key.into(), seen, state });
        }
        // The one series of a metric without labels is always there.
        (!definition.labels.is_empty() || table.len() == 1).then_some(table)
    }
}

fn state(shape: &Shape, saved: &mut Reader<'_>) -> Option<State> {
    Some(match shape {
        Shape::Gauge => State::Number(saved.f64()?),
        Shape::Counter => State::Number(saved.number().filter(|n| *n >= 0.0)?),
        Shape::Histogram { bounds, native } => {
            let mut counts = Vec::with_capacity(bounds.len() + 1);
            for _ in 0..=bounds.len() {
                // Their sum stays a number.
                counts.push(saved.u64().filter(|n| *n < 1 << 53)?);
            }
            let sum = saved.f64()?;
            let native = native.as_ref().map(|_| saved.native());
            State::Histogram(Box::new(Buckets {
                counts: counts.into(),
                sum,
                native: native.map_or(Some(None), |n| n.map(Some))?,
            }))
        }
        Shape::Summary { targets, .. } => {
            let (sum, count) = (saved.f64()?, saved.u64().filter(|n| *n < 1 << 53)?);
            let window = if targets.is_empty() { None } else { Some(saved.window()?) };
            State::Summary(Box::new(Quantiles { sum, count, window }))
        }
    })
}
