//! Text format 0.0.4, byte for byte as Go's `expfmt` writes it.

use crate::number::{write_float, write_value};
use crate::page::Page;
use crate::part::{Composite, Content, Labels};

impl Page {
    /// Appends the page in text format 0.0.4.
    pub fn write_text(&self, out: &mut Vec<u8>) {
        for f in &self.families {
            let name = self.family_name(f).as_bytes();
            let help = self.family_help(f).as_bytes();
            out.extend_from_slice(b"# HELP ");
            out.extend_from_slice(name);
            out.push(b' ');
            escape(help, false, out);
            out.extend_from_slice(b"\n# TYPE ");
            out.extend_from_slice(name);
            out.push(b' ');
            out.extend_from_slice(f.kind.word().as_bytes());
            out.push(b'\n');
            for (part, sample) in self.samples(f) {
                let line = Line { name, labels: part.labels(sample), timestamp_ms: sample.timestamp_ms };
                match sample.value {
                    Content::Number(v) => {
                        line.start(b"", None, out);
                        write_value(v, out);
                        line.end(out);
                    }
                    Content::Composite(i) => match &part.composites[i as usize] {
                        Composite::Histogram(h) => {
                            let mut infinite = false;
                            for b in &h.buckets {
                                line.float(b"_bucket", Some(("le", b.le)), b.cumulative as f64, out);
                                infinite |= b.le == f64::INFINITY;
                            }
                            if !infinite {
                                line.float(b"_bucket", Some(("le", f64::INFINITY)), h.count as f64, out);
                            }
                            line.float(b"_sum", None, h.sum, out);
                            line.float(b"_count", None, h.count as f64, out);
                        }
                        Composite::Summary(s) => {
                            for q in &s.quantiles {
                                line.float(b"", Some(("quantile", q.quantile)), q.value, out);
                            }
                            line.float(b"_sum", None, s.sum, out);
                            line.float(b"_count", None, s.count as f64, out);
                        }
                    },
                }
            }
        }
    }
}

/// What the lines of one sample share.
struct Line<'a> {
    name: &'a [u8],
    labels: Labels<'a>,
    timestamp_ms: Option<i64>,
}

impl Line<'_> {
    fn float(&self, suffix: &[u8], extra: Option<(&str, f64)>, value: f64, out: &mut Vec<u8>) {
        self.start(suffix, extra, out);
        write_float(value, out);
        self.end(out);
    }

    fn start(&self, suffix: &[u8], extra: Option<(&str, f64)>, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name);
        out.extend_from_slice(suffix);
        let mut opened = false;
        for (name, value) in self.labels.clone() {
            out.push(if opened { b',' } else { b'{' });
            opened = true;
            out.extend_from_slice(name);
            out.extend_from_slice(b"=\"");
            escape(value, true, out);
            out.push(b'"');
        }
        if let Some((name, value)) = extra {
            out.push(if opened { b',' } else { b'{' });
            opened = true;
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            write_float(value, out);
            out.push(b'"');
        }
        out.extend_from_slice(if opened { b"} " } else { b" " });
    }

    fn end(&self, out: &mut Vec<u8>) {
        if let Some(t) = self.timestamp_ms {
            out.push(b' ');
            out.extend_from_slice(itoa::Buffer::new().format(t).as_bytes());
        }
        out.push(b'\n');
    }
}

/// `\` and newline always, `"` in label values.
pub(crate) fn escape(text: &[u8], quote: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| b == b'\\' || b == b'\n' || (quote && b == b'"')) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
