//! Text format 0.0.4, byte for byte as Go's `expfmt` writes it.

use crate::labels::LabelSet;
use crate::lines::{Lines, escape, write_name};
use crate::number::{write_float, write_value};
use crate::part::{Composite, Content};
use crate::{Escaping, Page, Value};

impl Page {
    /// Appends the page in text format 0.0.4.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        self.write_text_escaped(Escaping::Underscores, out);
    }

    pub(crate) fn write_text_escaped(&self, escaping: Escaping, out: &mut Vec<u8>) {
        for f in &self.families {
            let lines = Lines::new(self.family_name(f), escaping, false);
            out.extend_from_slice(b"# HELP ");
            write_name(lines.name(), out);
            out.push(b' ');
            escape(self.family_help(f).as_bytes(), false, out);
            out.extend_from_slice(b"\n# TYPE ");
            write_name(lines.name(), out);
            out.push(b' ');
            out.extend_from_slice(f.kind.word().as_bytes());
            out.push(b'\n');
            for (part, sample) in self.samples(f) {
                let line = Line { lines: &lines, labels: part.labels(sample), timestamp_ms: sample.timestamp_ms() };
                match sample.value {
                    Content::Number(v) => line.value(v, out),
                    Content::Composite(i) => line.composite(&part.composites[i as usize], out),
                }
            }
        }
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
            Composite::Histogram(h) => {
                let mut infinite = false;
                for b in &h.buckets {
                    self.float("_bucket", Some(("le", b.le)), b.cumulative as f64, out);
                    infinite |= b.le == f64::INFINITY;
                }
                if !infinite {
                    self.float("_bucket", Some(("le", f64::INFINITY)), h.count as f64, out);
                }
                self.float("_sum", None, h.sum, out);
                self.float("_count", None, h.count as f64, out);
            }
            Composite::Summary(s) => {
                for q in &s.quantiles {
                    self.float("", Some(("quantile", q.quantile)), q.value, out);
                }
                self.float("_sum", None, s.sum, out);
                self.float("_count", None, s.count as f64, out);
            }
            Composite::Traced(v, _) => self.value(*v, out),
        }
    }

    fn value(&self, value: Value, out: &mut Vec<u8>) {
        self.lines.start("", self.labels, None, out);
        write_value(value, out);
        self.end(out);
    }

    fn float(&self, suffix: &str, extra: Option<(&str, f64)>, value: f64, out: &mut Vec<u8>) {
        self.lines.start(suffix, self.labels, extra, out);
        write_float(value, out);
        self.end(out);
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Some(t) = self.timestamp_ms {
            out.push(b' ');
            out.extend_from_slice(itoa::Buffer::new().format(t).as_bytes());
        }
        out.push(b'\n');
    }
}
