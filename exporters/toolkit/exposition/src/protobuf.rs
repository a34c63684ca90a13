//! `io.prometheus.client.MetricFamily`: length-delimited, and protobuf's two text forms. One walk over a family serves
//! all three through [`Sink`].

use crate::labels::LabelSet;
use crate::page::Merged;
use crate::part::{Composite, Content};
use crate::{Bucket, Escaping, Exemplar, Histogram, Kind, Native, Page, Span, Summary, Value};
use binary::Binary;
use prototext::Prototext;

mod binary;
mod prototext;

impl Page {
    pub(crate) fn write_protobuf(&self, escaping: Escaping, out: &mut Vec<u8>) {
        for f in &self.families {
            let start = out.len();
            self.family(f, escaping, &mut Binary(out));
            binary::prefix_length(start, out);
        }
    }

    pub(crate) fn write_protobuf_text(&self, escaping: Escaping, out: &mut Vec<u8>) {
        for f in &self.families {
            self.family(f, escaping, &mut Prototext::indented(out));
            // Go's encoder prints the text, which ends its last line itself, with one more end of line.
            out.push(b'\n');
        }
    }

    pub(crate) fn write_protobuf_compact(&self, escaping: Escaping, out: &mut Vec<u8>) {
        for f in &self.families {
            self.family(f, escaping, &mut Prototext::compact(out));
            out.push(b'\n');
        }
    }

    fn family(&self, f: &Merged, escaping: Escaping, to: &mut impl Sink) {
        to.string(Field(1, "name"), escaping.apply(self.family_name(f)).as_bytes());
        to.string(Field(2, "help"), self.family_help(f).as_bytes());
        let (number, word) = match f.kind {
            Kind::Counter => (0, "COUNTER"),
            Kind::Gauge => (1, "GAUGE"),
            Kind::Summary => (2, "SUMMARY"),
            Kind::Untyped => (3, "UNTYPED"),
            Kind::Histogram => (4, "HISTOGRAM"),
        };
        to.choice(Field(3, "type"), number, word);
        let number_field = match f.kind {
            Kind::Gauge => Field(2, "gauge"),
            Kind::Counter => Field(3, "counter"),
            _ => Field(5, "untyped"),
        };
        for (part, sample) in self.samples(f) {
            to.message(Field(4, "metric"), |to| {
                labels(part.labels(sample), escaping, to);
                match sample.value {
                    Content::Number(v) => number_message(number_field, v, None, escaping, to),
                    Content::Composite(i) => match &part.composites[i as usize] {
                        Composite::Histogram(h) => {
                            to.message(Field(7, "histogram"), |to| histogram(h, escaping, to));
                        }
                        Composite::Summary(s) => to.message(Field(4, "summary"), |to| summary(s, to)),
                        Composite::Traced(v, e) => {
                            let exemplar = (f.kind == Kind::Counter).then_some(e);
                            number_message(number_field, *v, exemplar, escaping, to);
                        }
                    },
                }
                if let Some(t) = sample.timestamp_ms() {
                    to.int(Field(6, "timestamp_ms"), t);
                }
            });
        }
    }
}

fn labels(labels: LabelSet<'_>, escaping: Escaping, to: &mut impl Sink) {
    let plain = labels.text().is_some() && escaping != Escaping::Dots;
    for (name, value) in labels.iter() {
        if plain {
            label(name, value, to);
        } else {
            label(escaping.apply_label(&String::from_utf8_lossy(name)).as_bytes(), value, to);
        }
    }
}

fn label(name: &[u8], value: &[u8], to: &mut impl Sink) {
    to.message(Field(1, "label"), |to| {
        to.string(Field(1, "name"), name);
        to.string(Field(2, "value"), value);
    });
}

fn number_message(field: Field, v: Value, e: Option<&Exemplar>, escaping: Escaping, to: &mut impl Sink) {
    to.message(field, |to| {
        to.double(Field(1, "value"), v.as_f64());
        if let Some(e) = e {
            exemplar(Field(2, "exemplar"), e, escaping, to);
        }
    });
}

fn exemplar(field: Field, e: &Exemplar, escaping: Escaping, to: &mut impl Sink) {
    to.message(field, |to| {
        for (name, value) in &e.labels {
            label(escaping.apply_label(name).as_bytes(), value.as_bytes(), to);
        }
        to.double(Field(2, "value"), e.value);
        if let Some(t) = e.timestamp_ms {
            to.message(Field(3, "timestamp"), |to| {
                // proto3: zeros are left out.
                let (seconds, nanos) = (t.div_euclid(1000), t.rem_euclid(1000) * 1_000_000);
                if seconds != 0 {
                    to.int(Field(1, "seconds"), seconds);
                }
                if nanos != 0 {
                    to.int(Field(2, "nanos"), nanos);
                }
            });
        }
    });
}

fn summary(s: &Summary, to: &mut impl Sink) {
    to.uint(Field(1, "sample_count"), s.count);
    to.double(Field(2, "sample_sum"), s.sum);
    for q in &s.quantiles {
        to.message(Field(3, "quantile"), |to| {
            to.double(Field(1, "quantile"), q.quantile);
            to.double(Field(2, "value"), q.value);
        });
    }
}

fn histogram(h: &Histogram, escaping: Escaping, to: &mut impl Sink) {
    to.uint(Field(1, "sample_count"), h.count);
    to.double(Field(2, "sample_sum"), h.sum);
    let mut below = f64::NEG_INFINITY;
    for &Bucket { le, cumulative } in &h.buckets {
        to.message(Field(3, "bucket"), |to| {
            to.uint(Field(1, "cumulative_count"), cumulative);
            to.double(Field(2, "upper_bound"), le);
            if let Some(e) = h.exemplar_between(below, le) {
                exemplar(Field(3, "exemplar"), e, escaping, to);
            }
        });
        below = le;
    }
    // As in Go, the last bucket is only there where it has an exemplar to hold.
    if let Some(e) = h.exemplar_between(below, f64::INFINITY).filter(|_| !h.buckets.is_empty() && below.is_finite()) {
        to.message(Field(3, "bucket"), |to| {
            to.uint(Field(1, "cumulative_count"), h.count);
            to.double(Field(2, "upper_bound"), f64::INFINITY);
            exemplar(Field(3, "exemplar"), e, escaping, to);
        });
    }
    if let Some(n) = &h.native {
        native(n, to);
        for e in &h.exemplars {
            // Without a time Prometheus cannot keep it in a native histogram.
            if e.timestamp_ms.is_some() {
                exemplar(Field(16, "exemplars"), e, escaping, to);
            }
        }
    }
}

fn native(n: &Native, to: &mut impl Sink) {
    to.sint(Field(5, "schema"), i64::from(n.schema));
    to.double(Field(6, "zero_threshold"), n.zero_threshold);
    to.uint(Field(7, "zero_count"), n.zero_count);
    spans(Field(9, "negative_span"), &n.negative_spans, to);
    for &d in &n.negative_deltas {
        to.sint(Field(10, "negative_delta"), d);
    }
    if n.is_blank() {
        // A span of nothing tells an empty native histogram from a classic one.
        spans(Field(12, "positive_span"), &[Span::default()], to);
    }
    spans(Field(12, "positive_span"), &n.positive_spans, to);
    for &d in &n.positive_deltas {
        to.sint(Field(13, "positive_delta"), d);
    }
}

fn spans(field: Field, spans: &[Span], to: &mut impl Sink) {
    for s in spans {
        to.message(field, |to| {
            to.sint(Field(1, "offset"), i64::from(s.offset));
            to.uint(Field(2, "length"), u64::from(s.length));
        });
    }
}

/// A field's number and name.
#[derive(Clone, Copy, Debug)]
struct Field(u32, &'static str);

/// Where a message goes, field by field.
trait Sink: Sized {
    fn string(&mut self, field: Field, text: &[u8]);
    fn double(&mut self, field: Field, v: f64);
    fn uint(&mut self, field: Field, v: u64);
    fn int(&mut self, field: Field, v: i64);
    /// Zigzag in binary.
    fn sint(&mut self, field: Field, v: i64);
    fn choice(&mut self, field: Field, number: u64, word: &str);
    fn message(&mut self, field: Field, fill: impl FnOnce(&mut Self));
}
