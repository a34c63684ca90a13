//! Delimited `io.prometheus.client.MetricFamily` messages.

use super::{ParseError, ParsedFamily, ParsedSample, ParsedValue};
use crate::{Bucket, Exemplar, Histogram, Kind, Native, Quantile, Span, Summary, Value};

/// Parses a page of messages, each after its length. Unknown fields are passed over.
pub fn parse_protobuf(page: &[u8]) -> Result<Vec<ParsedFamily>, ParseError> {
    let mut families = Vec::new();
    let mut rest = page;
    while !rest.is_empty() {
        let message = take_varint(&mut rest).and_then(|len| take(&mut rest, len)).and_then(family);
        match message {
            Some(f) => families.push(f),
            None => {
                return Err(ParseError { line: families.len() + 1, what: "message is cut short or broken".to_owned() });
            }
        }
    }
    Ok(families)
}

fn family(message: &[u8]) -> Option<ParsedFamily> {
    let mut f = ParsedFamily::new(String::new());
    // The type tells which member of a metric counts, and comes before them only by custom.
    let mut kind = Kind::Counter;
    for field in fields(message) {
        match field? {
            (1, Wire::Bytes(b)) => f.name = text(b)?,
            (2, Wire::Bytes(b)) => f.help = Some(text(b)?),
            (3, Wire::Number(n)) => {
                kind = match n {
                    0 => Kind::Counter,
                    1 => Kind::Gauge,
                    2 => Kind::Summary,
                    3 => Kind::Untyped,
                    4 => Kind::Histogram,
                    _ => return None,
                }
            }
            (4, Wire::Bytes(b)) => f.samples.push(metric(b)?),
            _ => {}
        }
    }
    f.kind = kind;
    Some(f)
}

fn metric(message: &[u8]) -> Option<ParsedSample> {
    let mut labels = Vec::new();
    let mut value = None;
    let mut timestamp_ms = None;
    for field in fields(message) {
        match field? {
            (1, Wire::Bytes(b)) => labels.push(label(b)?),
            (2 | 3 | 5, Wire::Bytes(b)) => value = Some(number(b)?),
            (4, Wire::Bytes(b)) => value = Some(ParsedValue::Summary(summary(b)?)),
            (7, Wire::Bytes(b)) => value = Some(ParsedValue::Histogram(histogram(b)?)),
            (6, Wire::Number(t)) => timestamp_ms = Some(t as i64),
            _ => {}
        }
    }
    Some(ParsedSample { labels, value: value?, timestamp_ms })
}

fn label(message: &[u8]) -> Option<(String, String)> {
    let mut label = (String::new(), String::new());
    for field in fields(message) {
        match field? {
            (1, Wire::Bytes(b)) => label.0 = text(b)?,
            (2, Wire::Bytes(b)) => label.1 = text(b)?,
            _ => {}
        }
    }
    Some(label)
}

/// A counter, gauge or untyped value.
fn number(message: &[u8]) -> Option<ParsedValue> {
    let mut value = 0.0;
    let mut traced = None;
    for field in fields(message) {
        match field? {
            (1, Wire::Fixed(v)) => value = v,
            (2, Wire::Bytes(b)) => traced = Some(exemplar(b)?),
            _ => {}
        }
    }
    Some(match traced {
        Some(e) => ParsedValue::Traced(Value::F64(value), e),
        None => ParsedValue::Number(Value::F64(value)),
    })
}

fn exemplar(message: &[u8]) -> Option<Exemplar> {
    let mut e = Exemplar::default();
    for field in fields(message) {
        match field? {
            (1, Wire::Bytes(b)) => e.labels.push(label(b)?),
            (2, Wire::Fixed(v)) => e.value = v,
            (3, Wire::Bytes(b)) => {
                let (mut seconds, mut nanos) = (0i64, 0i64);
                for field in fields(b) {
                    match field? {
                        (1, Wire::Number(n)) => seconds = n as i64,
                        (2, Wire::Number(n)) => nanos = n as i64,
                        _ => {}
                    }
                }
                e.timestamp_ms = Some(seconds.checked_mul(1000)?.checked_add(nanos / 1_000_000)?);
            }
            _ => {}
        }
    }
    Some(e)
}

fn summary(message: &[u8]) -> Option<Summary> {
    let mut s = Summary::default();
    for field in fields(message) {
        match field? {
            (1, Wire::Number(n)) => s.count = n,
            (2, Wire::Fixed(v)) => s.sum = v,
            (3, Wire::Bytes(b)) => {
                let mut q = Quantile { quantile: 0.0, value: 0.0 };
                for field in fields(b) {
                    match field? {
                        (1, Wire::Fixed(v)) => q.quantile = v,
                        (2, Wire::Fixed(v)) => q.value = v,
                        _ => {}
                    }
                }
                s.quantiles.push(q);
            }
            _ => {}
        }
    }
    Some(s)
}

fn histogram(message: &[u8]) -> Option<Histogram> {
    let mut h = Histogram::default();
    let mut n = Native::default();
    let mut native = false;
    for field in fields(message) {
        let (number, wire) = field?;
        native |= (5..=14).contains(&number);
        match (number, wire) {
            (1, Wire::Number(n)) => h.count = n,
            (2, Wire::Fixed(v)) => h.sum = v,
            (3, Wire::Bytes(b)) => {
                let mut bucket = Bucket { le: 0.0, cumulative: 0 };
                for field in fields(b) {
                    match field? {
                        (1, Wire::Number(n)) => bucket.cumulative = n,
                        (2, Wire::Fixed(v)) => bucket.le = v,
                        (3, Wire::Bytes(b)) => h.exemplars.push(exemplar(b)?),
                        _ => {}
                    }
                }
                h.buckets.push(bucket);
            }
            (5, Wire::Number(v)) => n.schema = unzigzag(v) as i32,
            (6, Wire::Fixed(v)) => n.zero_threshold = v,
            (7, Wire::Number(v)) => n.zero_count = v,
            (9, Wire::Bytes(b)) => n.negative_spans.push(span(b)?),
            (10, wire) => deltas(wire, &mut n.negative_deltas)?,
            (12, Wire::Bytes(b)) => n.positive_spans.push(span(b)?),
            (13, wire) => deltas(wire, &mut n.positive_deltas)?,
            (16, Wire::Bytes(b)) => {
                let e = exemplar(b)?;
                if !h.exemplars.contains(&e) {
                    h.exemplars.push(e);
                }
            }
            _ => {}
        }
    }
    h.native = native.then(|| Box::new(n));
    Some(h)
}

/// One by one, or packed.
fn deltas(wire: Wire<'_>, into: &mut Vec<i64>) -> Option<()> {
    match wire {
        Wire::Number(v) => into.push(unzigzag(v)),
        Wire::Bytes(mut packed) => {
            while !packed.is_empty() {
                into.push(unzigzag(take_varint(&mut packed)?));
            }
        }
        Wire::Fixed(_) => return None,
    }
    Some(())
}

fn span(message: &[u8]) -> Option<Span> {
    let mut s = Span::default();
    for field in fields(message) {
        match field? {
            (1, Wire::Number(v)) => s.offset = unzigzag(v) as i32,
            (2, Wire::Number(v)) => s.length = v as u32,
            _ => {}
        }
    }
    Some(s)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn unzigzag(v: u64) -> i64 {
    (v >> 1) as i64 ^ -((v & 1) as i64)
}

#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Fixed(f64),
    Bytes(&'a [u8]),
}

/// A message's fields; `None` once where it is broken.
fn fields(message: &[u8]) -> impl Iterator<Item = Option<(u64, Wire<'_>)>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = take_field(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field)
    })
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = take_varint(rest)?;
    let wire = match key & 7 {
        0 => Wire::Number(take_varint(rest)?),
        1 => Wire::Fixed(f64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
        2 => {
            let len = take_varint(rest)?;
            Wire::Bytes(take(rest, len)?)
        }
        // 32 bits: none of our fields, so the content does not matter.
        5 => Wire::Bytes(take(rest, 4)?),
        _ => return None,
    };
    Some((key >> 3, wire))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut v = 0u64;
    for shift in (0..64).step_by(7) {
        let (&b, tail) = rest.split_first()?;
        *rest = tail;
        v |= u64::from(b & 0x7f) << shift;
        if b < 0x80 {
            return Some(v);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], len: u64) -> Option<&'a [u8]> {
    let (bytes, tail) = rest.split_at_checked(usize::try_from(len).ok()?)?;
    *rest = tail;
    Some(bytes)
}
