//! Text format 0.0.4: takes what the `TextParser` of Go's `expfmt` takes, and refuses what it refuses.

use super::cursor::{Cursor, is_blank, parse_float, take_number};
use super::{Index, ParseError, ParsedFamily, ParsedSample, ParsedValue, Role, quote};
use crate::{Bucket, Kind, Quantile, Value};
use std::collections::HashMap;

/// Parses a page. Families without samples are left out, the others stand in order of their first line.
pub fn parse_text(page: &[u8]) -> Result<Vec<ParsedFamily>, ParseError> {
    parse(Cursor::new(page))
}

/// As [`parse_text`], but refuses metric and label names outside `[a-zA-Z0-9_:]`, as Go does under its legacy
/// validation: the node exporter's textfile collector among others.
pub fn parse_text_legacy(page: &[u8]) -> Result<Vec<ParsedFamily>, ParseError> {
    parse(Cursor { plain_names: true, ..Cursor::new(page) })
}

fn parse(at: Cursor<'_>) -> Result<Vec<ParsedFamily>, ParseError> {
    let mut parser =
        Parser { at, families: Vec::new(), typed: Vec::new(), by_name: HashMap::new(), composites: Index::new() };
    loop {
        parser.at.line += 1;
        parser.at.skip_blanks();
        match parser.at.rest.first() {
            None => break,
            Some(b'\n') => parser.at.skip(1),
            Some(b'#') => parser.comment()?,
            Some(_) => parser.sample()?,
        }
    }
    let mut families = parser.families;
    families.retain(|f| !f.samples.is_empty());
    families.iter_mut().for_each(ParsedFamily::finish);
    Ok(families)
}

struct Parser<'a> {
    at: Cursor<'a>,
    families: Vec<ParsedFamily>,
    /// Whether a family's type is settled, by a TYPE line or a sample.
    typed: Vec<bool>,
    by_name: HashMap<String, usize>,
    composites: Index,
}

impl Parser<'_> {
    fn comment(&mut self) -> Result<(), ParseError> {
        self.at.skip(1);
        self.at.skip_blanks();
        let keyword = self.at.token()?;
        if !matches!(keyword, b"HELP" | b"TYPE") {
            return self.at.rest_of_line().map(drop);
        }
        self.at.skip_blanks();
        if self.at.take(b'\n')? {
            return Ok(());
        }
        let name = self.at.name(true)?;
        if self.at.take(b'\n')? {
            return Ok(());
        }
        if name.is_empty() || !is_blank(self.at.peek()?) {
            return self.at.fail("invalid metric name in comment");
        }
        self.at.check_metric(&name)?;
        let (family, _) = self.family(name);
        self.at.skip_blanks();
        if self.at.take(b'\n')? {
            return Ok(());
        }
        if keyword == b"HELP" { self.help(family) } else { self.kind(family) }
    }

    fn help(&mut self, family: usize) -> Result<(), ParseError> {
        let f = &mut self.families[family];
        if f.help.is_some() {
            return self.at.fail(format!("second HELP line for metric name {}", quote::text(f.name.as_bytes())));
        }
        let mut help = Vec::new();
        loop {
            let b = self.at.peek()?;
            self.at.skip(1);
            match b {
                b'\n' => break,
                b'\\' => help.push(self.at.escaped()?),
                _ => help.push(b),
            }
        }
        f.help = Some(String::from_utf8_lossy(&help).into_owned());
        Ok(())
    }

    fn kind(&mut self, family: usize) -> Result<(), ParseError> {
        let f = &mut self.families[family];
        if self.typed[family] {
            let name = quote::text(f.name.as_bytes());
            return self.at.fail(format!("second TYPE line for metric name {name}, or TYPE reported after samples"));
        }
        let word = self.at.rest_of_line()?;
        f.kind = match word.to_ascii_lowercase().as_slice() {
            b"counter" => Kind::Counter,
            b"gauge" => Kind::Gauge,
            b"histogram" => Kind::Histogram,
            b"summary" => Kind::Summary,
            b"untyped" => Kind::Untyped,
            _ => return self.at.fail(format!("unknown metric type {}", quote::text(word))),
        };
        self.typed[family] = true;
        Ok(())
    }

    fn sample(&mut self) -> Result<(), ParseError> {
        let mut name = None;
        if self.at.peek()? != b'{' {
            let outside = self.at.name(true)?;
            if outside.is_empty() {
                return self.at.fail("invalid metric name");
            }
            self.at.check_metric(&outside)?;
            name = Some(outside);
            self.at.skip_blanks();
        }
        let mut labels = if self.at.take(b'{')? { self.at.labels(&mut name)? } else { Vec::new() };
        let Some(name) = name else { return self.at.fail("invalid metric name") };
        let (family, role) = self.family(name);
        self.typed[family] = true;
        let kind = self.families[family].kind;
        let element = match kind {
            Kind::Histogram => take_number(&mut labels, "le"),
            Kind::Summary => take_number(&mut labels, "quantile"),
            _ => Ok(None),
        };
        let element = element.or_else(|what| self.at.fail(what))?;

        let token = self.at.token()?;
        let Some(value) = parse_float(token) else {
            return self.at.fail(format!("expected float as value, got {}", quote::text(token)));
        };
        if kind == Kind::Histogram
            && value < 0.0
            && (role == Role::Count || (role == Role::Element && element.is_some()))
        {
            let what = if role == Role::Count { "count" } else { "bucket population" };
            let name = quote::text(self.families[family].name.as_bytes());
            return self.at.fail(format!("negative {what} for histogram {name}"));
        }
        let timestamp_ms = self.timestamp()?;

        let f = &mut self.families[family];
        if !matches!(kind, Kind::Histogram | Kind::Summary) {
            f.samples.push(ParsedSample { labels, value: ParsedValue::Number(Value::F64(value)), timestamp_ms });
            return Ok(());
        }
        let sample = f.composite(labels, &mut self.composites, family);
        sample.timestamp_ms = timestamp_ms.or(sample.timestamp_ms);
        add(&mut sample.value, role, element.filter(|e| !e.is_nan()), value);
        Ok(())
    }

    /// The end of a sample's line. As in Go, nothing may stand there but an integer: no blank either.
    fn timestamp(&mut self) -> Result<Option<i64>, ParseError> {
        if self.at.take(b'\n')? {
            return Ok(None);
        }
        self.at.skip_blanks();
        let token = self.at.token()?;
        let Some(t) = std::str::from_utf8(token).ok().and_then(|t| t.parse().ok()) else {
            return self.at.fail(format!("expected integer as timestamp, got {}", quote::text(token)));
        };
        let spurious = self.at.rest_of_line()?;
        if !spurious.is_empty() {
            return self.at.fail(format!("spurious string after timestamp: {}", quote::text(spurious)));
        }
        Ok(Some(t))
    }

    /// The family that a line's name belongs to: its own, or that of the histogram or summary of which it is a part.
    fn family(&mut self, name: String) -> (usize, Role) {
        if let Some(&i) = self.by_name.get(&name) {
            return (i, Role::Element);
        }
        for (suffix, role) in [("_count", Role::Count), ("_sum", Role::Sum), ("_bucket", Role::Element)] {
            let Some(base) = name.strip_suffix(suffix).filter(|b| !b.is_empty()) else { continue };
            let Some(&i) = self.by_name.get(base) else { continue };
            match self.families[i].kind {
                Kind::Histogram => return (i, role),
                Kind::Summary if role != Role::Element => return (i, role),
                _ => {}
            }
        }
        let i = self.families.len();
        self.families.push(ParsedFamily::new(name.clone()));
        self.typed.push(false);
        self.by_name.insert(name, i);
        (i, Role::Element)
    }
}

/// Adds a line's number to the histogram or summary that it is a part of; one that is no part is dropped, as in Go.
pub(super) fn add(to: &mut ParsedValue, role: Role, element: Option<f64>, value: f64) {
    match (to, role) {
        (ParsedValue::Histogram(h), Role::Count) => h.count = value as u64,
        (ParsedValue::Histogram(h), Role::Sum) => h.sum = value,
        (ParsedValue::Histogram(h), Role::Element) => {
            h.buckets.extend(element.map(|le| Bucket { le, cumulative: value as u64 }));
        }
        (ParsedValue::Summary(s), Role::Count) => s.count = value as u64,
        (ParsedValue::Summary(s), Role::Sum) => s.sum = value,
        (ParsedValue::Summary(s), Role::Element) => {
            s.quantiles.extend(element.map(|quantile| Quantile { quantile, value }));
        }
        (ParsedValue::Number(_) | ParsedValue::Traced(..), _) => {}
    }
}
