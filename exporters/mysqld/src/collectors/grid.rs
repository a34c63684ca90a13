//! Collectors whose statement gives label columns first and one number a column after them: most are of this shape.

use super::{Collect, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Kind, Part, Value};
use std::borrow::Cow;

/// A statement whose first columns are labels and whose others are metrics.
pub(crate) struct Grid {
    pub(crate) sql: &'static str,
    /// In the order of the columns, and of their names: writing them needs no sorting then.
    pub(crate) labels: &'static [&'static str],
    pub(crate) metrics: &'static [Metric],
}

/// One column's family, and what its numbers are divided by.
pub(crate) struct Metric(pub(crate) Desc, pub(crate) f64);

/// The divisor of columns in picoseconds.
pub(crate) const PICO: f64 = 1e12;

impl Collect for Grid {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(GridRun { grid: self, asked: false })
    }
}

struct GridRun<'a> {
    grid: &'a Grid,
    asked: bool,
}

impl Run for GridRun<'_> {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        (!std::mem::replace(&mut self.asked, true)).then_some(Cow::Borrowed(self.grid.sql))
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let mut labels: [(&str, &[u8]); MOST_LABELS] = [("", b""); MOST_LABELS];
        for (i, (label, &name)) in labels.iter_mut().zip(self.grid.labels).enumerate() {
            *label = (name, cells.text(i));
        }
        emit(cells, &labels[..self.grid.labels.len()], self.grid.labels.len(), self.grid.metrics, out)
    }
}

/// Emits the numbers of a row from column `first` on: all of them or, if one is not as it should be, none.
pub(crate) fn emit(
    cells: Cells<'_>,
    labels: &[(&str, &[u8])],
    first: usize,
    metrics: &[Metric],
    out: &mut Part,
) -> Result<(), Odd> {
    let mut values = [Value::U64(0); MOST_METRICS];
    let values = &mut values[..metrics.len().min(MOST_METRICS)];
    for (i, (value, Metric(desc, divisor))) in values.iter_mut().zip(metrics).enumerate() {
        *value = match desc.kind {
            Kind::Counter => cells.count(first + i)?,
            _ => cells.number(first + i)?,
        };
        #[expect(clippy::float_cmp, reason = "one is exactly one")]
        if *divisor != 1.0 {
            *value = Value::F64(value.as_f64() / divisor);
        }
    }
    for (value, Metric(desc, _)) in values.iter().zip(metrics) {
        out.family(desc).sample(labels, *value);
    }
    Ok(())
}

const MOST_LABELS: usize = 4;
const MOST_METRICS: usize = 24;
