//! The syntax that text 0.0.4 and OpenMetrics share: comment lines, names, labels.

use crate::labels::LabelSet;
use crate::number::{write_float, write_float_dotted};
use crate::{Escaping, Exemplar, name};
use std::borrow::Cow;

/// How one family's lines are written.
pub(crate) struct Lines<'a> {
    /// Escaped already.
    name: Cow<'a, str>,
    plain: bool,
    escaping: Escaping,
    /// Whether floats are written with a point, as OpenMetrics has them.
    dotted: bool,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(name: &'a str, escaping: Escaping, dotted: bool) -> Self {
        let name = escaping.apply(name);
        Self { plain: name::is_plain(&name), name, escaping, dotted }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn escaping(&self) -> Escaping {
        self.escaping
    }

    /// Everything up to the value: name, labels and a blank.
    #[inline]
    pub(crate) fn start(&self, suffix: &str, labels: LabelSet<'_>, extra: Option<(&str, f64)>, out: &mut Vec<u8>) {
        let mut next = b'{';
        if self.plain {
            out.extend_from_slice(self.name.as_bytes());
            out.extend_from_slice(suffix.as_bytes());
        } else {
            out.extend_from_slice(b"{\"");
            escape(self.name.as_bytes(), true, out);
            out.extend_from_slice(suffix.as_bytes());
            out.push(b'"');
            next = b',';
        }
        match labels.text() {
            Some(text) if self.escaping != Escaping::Dots => {
                if !text.is_empty() {
                    out.push(next);
                    next = b',';
                    out.extend_from_slice(text);
                }
            }
            _ => self.labels(labels, &mut next, out),
        }
        if let Some((name, value)) = extra {
            out.push(next);
            next = b',';
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b"=\"");
            if self.dotted {
                write_float_dotted(value, out);
            } else {
                write_float(value, out);
            }
            out.push(b'"');
        }
        out.extend_from_slice(if next == b',' { b"} " } else { b" " });
    }

    /// Labels of which some need an escape.
    fn labels(&self, labels: LabelSet<'_>, next: &mut u8, out: &mut Vec<u8>) {
        for (name, value) in labels.iter() {
            out.push(*next);
            *next = b',';
            write_label_name(&self.escaping.apply_label(&String::from_utf8_lossy(name)), out);
            out.extend_from_slice(b"=\"");
            escape(value, true, out);
            out.push(b'"');
        }
    }
}

/// Appends ` # {labels} value timestamp`.
pub(crate) fn write_exemplar(exemplar: &Exemplar, escaping: Escaping, out: &mut Vec<u8>) {
    out.extend_from_slice(b" # {");
    for (i, (name, value)) in exemplar.labels.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_label_name(&escaping.apply_label(name), out);
        out.extend_from_slice(b"=\"");
        escape(value.as_bytes(), true, out);
        out.push(b'"');
    }
    out.extend_from_slice(b"} ");
    write_float_dotted(exemplar.value, out);
    if let Some(t) = exemplar.timestamp_ms {
        out.push(b' ');
        write_float_dotted(t as f64 / 1000.0, out);
    }
}

/// Appends a metric name, in quotes if it is not plain.
pub(crate) fn write_name(name: &str, out: &mut Vec<u8>) {
    write_quoted(name, name::is_plain(name), out);
}

fn write_label_name(name: &str, out: &mut Vec<u8>) {
    write_quoted(name, name::is_plain_label(name), out);
}

fn write_quoted(name: &str, plain: bool, out: &mut Vec<u8>) {
    if plain {
        out.extend_from_slice(name.as_bytes());
    } else {
        out.push(b'"');
        escape(name.as_bytes(), true, out);
        out.push(b'"');
    }
}

/// `\` and newline always, `"` where the text stands in quotes.
pub(crate) fn escape(text: &[u8], quoted: bool, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|&b| b == b'\\' || b == b'\n' || (quoted && b == b'"')) {
        out.extend_from_slice(&rest[..at]);
        out.push(b'\\');
        out.push(if rest[at] == b'\n' { b'n' } else { rest[at] });
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}
