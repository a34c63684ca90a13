//! OpenMetrics 1.0 text, as Go's `expfmt.MetricFamilyToOpenMetrics` writes it.

use crate::labels::LabelSet;
use crate::lines::{Lines, escape, write_exemplar, write_name};
use crate::number::{write_float_dotted, write_value_dotted};
use crate::part::{Composite, Content};
use crate::{Escaping, Exemplar, Histogram, Kind, Page, Value};

impl Page {
    pub(crate) fn write_openmetrics(&self, escaping: Escaping, out: &mut Vec<u8>) {
        for f in &self.families {
            let lines = Lines::new(self.family_name(f), escaping, true);
            // A counter's family goes without the suffix that its samples must have; one whose name lacks it cannot be
            // said to be a counter. Differs from expfmt: nor can it where that name is taken, for names stand for one
            // family.
            let (name, word) = match (f.kind, lines.name().strip_suffix("_total")) {
                (Kind::Counter, Some(short)) if !self.has(short) => (short, "counter"),
                (Kind::Counter | Kind::Untyped, _) => (lines.name(), "unknown"),
                (kind, _) => (lines.name(), kind.word()),
            };
            out.extend_from_slice(b"# HELP ");
            write_name(name, out);
            out.push(b' ');
            escape(self.family_help(f).as_bytes(), true, out);
            out.extend_from_slice(b"\n# TYPE ");
            write_name(name, out);
            out.push(b' ');
            out.extend_from_slice(word.as_bytes());
            out.push(b'\n');
            for (part, sample) in self.samples(f) {
                let line = Line { lines: &lines, labels: part.labels(sample), timestamp_ms: sample.timestamp_ms() };
                match sample.value {
                    Content::Number(v) => line.value(v, None, out),
                    Content::Composite(i) => line.composite(&part.composites[i as usize], out),
                }
            }
        }
        out.extend_from_slice(b"# EOF\n");
    }
}

/// What the lines of one sample share.
struct Line<'a> {
    lines: &'a Lines<'a>,
    labels: LabelSet<'a>,
    timestamp_ms: Option<i64>,
}

impl Line<'_> {
    fn composite(&self, composite: &Composite, out: &mut Vec<u8>) {
        match composite {
            Composite::Histogram(h) => self.histogram(h, out),
            Composite::Summary(s) => {
                for q in &s.quantiles {
                    self.float("", Some(("quantile", q.quantile)), q.value, out);
                }
                self.float("_sum", None, s.sum, out);
                self.count("_count", None, s.count, None, out);
            }
            Composite::Traced(v, exemplar) => self.value(*v, Some(exemplar), out),
        }
    }

    fn histogram(&self, h: &Histogram, out: &mut Vec<u8>) {
        let mut below = f64::NEG_INFINITY;
        let infinite = h.buckets.last().is_some_and(|b| b.le == f64::INFINITY);
        let last = (!infinite).then_some((f64::INFINITY, h.count));
        for (le, cumulative) in h.buckets.iter().map(|b| (b.le, b.cumulative)).chain(last) {
            self.count("_bucket", Some(("le", le)), cumulative, h.exemplar_between(below, le), out);
            below = le;
        }
        self.float("_sum", None, h.sum, out);
        self.count("_count", None, h.count, None, out);
    }

    fn value(&self, value: Value, exemplar: Option<&Exemplar>, out: &mut Vec<u8>) {
        self.lines.start("", self.labels, None, out);
        write_value_dotted(value, out);
        self.end(exemplar, out);
    }

    fn float(&self, suffix: &str, extra: Option<(&str, f64)>, value: f64, out: &mut Vec<u8>) {
        self.lines.start(suffix, self.labels, extra, out);
        write_float_dotted(value, out);
        self.end(None, out);
    }

    fn count(
        &self,
        suffix: &str,
        extra: Option<(&str, f64)>,
        value: u64,
        exemplar: Option<&Exemplar>,
        out: &mut Vec<u8>,
    ) {
        self.lines.start(suffix, self.labels, extra, out);
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.end(exemplar, out);
    }

    fn end(&self, exemplar: Option<&Exemplar>, out: &mut Vec<u8>) {
        if let Some(t) = self.timestamp_ms {
            out.push(b' ');
            write_float_dotted(t as f64 / 1000.0, out);
        }
        if let Some(exemplar) = exemplar {
            write_exemplar(exemplar, self.lines.escaping(), out);
        }
        out.push(b'\n');
    }
}
