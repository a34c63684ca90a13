//! OpenMetrics 1.0 text, as this crate and prometheus-client write it.

use super::cursor::{Cursor, parse_float, take_number};
use super::text::add;
use super::{Index, ParseError, ParsedFamily, ParsedSample, ParsedValue, Role, quote};
use crate::{Exemplar, Kind, Part, Value};
use std::collections::HashMap;

/// Adds every family of an OpenMetrics page to a part; on an error nothing is added.
///
/// So the instruments of a `prometheus_client::registry::Registry` come out of this crate's writers, counters under
/// their full name with `_total`.
pub fn parse_openmetrics_into(page: &[u8], part: &mut Part) -> Result<(), ParseError> {
    for family in parse_openmetrics(page)? {
        family.emit(part);
    }
    Ok(())
}

/// Parses a page, which must end with `# EOF`.
///
/// Families get the names and kinds that their series have in Prometheus: a counter's ends in `_total`, an info becomes
/// a gauge `…_info`, a stateset a gauge. `_created` lines and units are left out, gauge histograms refused.
pub fn parse_openmetrics(page: &[u8]) -> Result<Vec<ParsedFamily>, ParseError> {
    let mut parser = Parser {
        at: Cursor::new(page),
        families: Vec::new(),
        suffixes: Vec::new(),
        by_name: HashMap::new(),
        composites: Index::new(),
    };
    loop {
        parser.at.line += 1;
        match parser.at.rest.first() {
            None => return parser.at.fail("data does not end with # EOF"),
            Some(b'#') => {
                if parser.comment()? {
                    break;
                }
            }
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
    /// What the names of each family's lines may end with.
    suffixes: Vec<&'static [(&'static str, Line)]>,
    /// By the name of the TYPE line.
    by_name: HashMap<String, usize>,
    composites: Index,
}

/// What a line is to its family.
#[derive(Clone, Copy)]
enum Line {
    Number,
    Part(Role),
    /// The time when it was created, which no other format shows.
    Created,
}

impl Parser<'_> {
    /// Whether it was the end of the page.
    fn comment(&mut self) -> Result<bool, ParseError> {
        if matches!(self.at.rest, b"# EOF" | b"# EOF\n") {
            return Ok(true);
        }
        self.at.skip(1);
        if !self.at.take(b' ')? {
            return self.at.fail("expected a blank after '#'");
        }
        let keyword = self.at.token()?;
        if !matches!(keyword, b"HELP" | b"TYPE" | b"UNIT") {
            return self.at.fail(format!("unknown keyword {}", quote::text(keyword)));
        }
        self.at.skip_blanks();
        let name = self.at.name(true)?;
        if name.is_empty() || !self.at.take(b' ')? {
            return self.at.fail("invalid metric name in comment");
        }
        let rest = self.at.rest_of_line()?;
        let family = match self.by_name.get(&name) {
            Some(&i) => i,
            None => self.declare(name, UNKNOWN),
        };
        match keyword {
            b"HELP" => {
                if self.families[family].help.is_some() {
                    return self.at.fail("second HELP line for this family");
                }
                self.families[family].help = Some(unescape(rest));
            }
            b"TYPE" => self.kind(family, rest)?,
            _ => {}
        }
        Ok(false)
    }

    fn kind(&mut self, family: usize, word: &[u8]) -> Result<(), ParseError> {
        let f = &mut self.families[family];
        if !f.samples.is_empty() || f.kind != Kind::Untyped {
            return self.at.fail(format!("second TYPE line for {}, or after samples", quote::text(f.name.as_bytes())));
        }
        let (kind, suffixes) = match word {
            b"counter" => (Kind::Counter, COUNTER),
            b"gauge" | b"stateset" => (Kind::Gauge, UNKNOWN),
            b"info" => (Kind::Gauge, INFO),
            b"histogram" => (Kind::Histogram, HISTOGRAM),
            b"summary" => (Kind::Summary, SUMMARY),
            b"unknown" => (Kind::Untyped, UNKNOWN),
            _ => return self.at.fail(format!("unknown metric type {}", quote::text(word))),
        };
        f.kind = kind;
        f.name.push_str(match word {
            b"counter" => "_total",
            b"info" => "_info",
            _ => "",
        });
        self.suffixes[family] = suffixes;
        Ok(())
    }

    fn sample(&mut self) -> Result<(), ParseError> {
        let mut name = None;
        if self.at.peek()? != b'{' {
            let outside = self.at.name(true)?;
            if outside.is_empty() {
                return self.at.fail("invalid metric name");
            }
            name = Some(outside);
        }
        let mut labels = if self.at.take(b'{')? {
            self.at.labels(&mut name)?
        } else {
            if !self.at.take(b' ')? {
                return self.at.fail("expected a blank behind the metric name");
            }
            Vec::new()
        };
        let Some(name) = name else { return self.at.fail("invalid metric name") };
        let (family, line) = self.family(name);
        let element = match self.families[family].kind {
            Kind::Histogram => take_number(&mut labels, "le"),
            Kind::Summary => take_number(&mut labels, "quantile"),
            _ => Ok(None),
        };
        let element = element.or_else(|what| self.at.fail(what))?;

        let token = self.at.token()?;
        let Some(value) = number(token) else {
            return self.at.fail(format!("expected float as value, got {}", quote::text(token)));
        };
        let (timestamp_ms, exemplar) = self.end()?;
        let f = &mut self.families[family];
        match line {
            Line::Created => {}
            Line::Number => {
                let value = match exemplar.filter(|_| f.kind == Kind::Counter) {
                    Some(exemplar) => ParsedValue::Traced(value, exemplar),
                    None => ParsedValue::Number(value),
                };
                f.samples.push(ParsedSample { labels, value, timestamp_ms });
            }
            Line::Part(role) => {
                let sample = f.composite(labels, &mut self.composites, family);
                sample.timestamp_ms = timestamp_ms.or(sample.timestamp_ms);
                add(&mut sample.value, role, element.filter(|e| !e.is_nan()), value.as_f64());
                if let ParsedValue::Histogram(h) = &mut sample.value {
                    h.exemplars.extend(exemplar);
                }
            }
        }
        Ok(())
    }

    /// What stands behind the value: a time, an exemplar, the end of the line.
    fn end(&mut self) -> Result<(Option<i64>, Option<Exemplar>), ParseError> {
        let mut timestamp_ms = None;
        if !self.at.take(b'\n')? {
            self.at.skip_blanks();
            if self.at.peek()? != b'#' {
                timestamp_ms = Some(self.time()?);
                self.at.skip_blanks();
            }
            if self.at.take(b'#')? {
                self.at.skip_blanks();
                if !self.at.take(b'{')? {
                    return self.at.fail("expected '{' at start of exemplar");
                }
                let labels = self.at.labels(&mut Some(String::new()))?;
                let token = self.at.token()?;
                let Some(value) = parse_float(token) else {
                    return self.at.fail(format!("expected float as exemplar, got {}", quote::text(token)));
                };
                self.at.skip_blanks();
                let at = if self.at.peek()? == b'\n' { None } else { Some(self.time()?) };
                self.newline()?;
                return Ok((timestamp_ms, Some(Exemplar { labels, value, timestamp_ms: at })));
            }
            self.newline()?;
        }
        Ok((timestamp_ms, None))
    }

    fn newline(&mut self) -> Result<(), ParseError> {
        let spurious = self.at.rest_of_line()?;
        if spurious.is_empty() {
            Ok(())
        } else {
            self.at.fail(format!("spurious string after sample: {}", quote::text(spurious)))
        }
    }

    /// A time in seconds.
    fn time(&mut self) -> Result<i64, ParseError> {
        let token = self.at.token()?;
        match parse_float(token).filter(|t| t.is_finite()) {
            Some(seconds) => Ok((seconds * 1000.0).round() as i64),
            None => self.at.fail(format!("expected float as timestamp, got {}", quote::text(token))),
        }
    }

    /// The family of a line; one that nothing was said about is of unknown type.
    fn family(&mut self, name: String) -> (usize, Line) {
        let line_of = |i: usize, base: &str| {
            let suffix = name.strip_prefix(base)?;
            self.suffixes[i].iter().find(|(s, _)| *s == suffix).map(|(_, line)| (i, *line))
        };
        // Longest base first: the name itself, then what is left without one suffix.
        let bases = [name.as_str()].into_iter().chain(
            ["_total", "_info", "_created", "_bucket", "_count", "_sum"].iter().filter_map(|s| name.strip_suffix(s)),
        );
        let found = bases.into_iter().find_map(|base| line_of(*self.by_name.get(base)?, base));
        found.unwrap_or_else(|| (self.declare(name, UNKNOWN), Line::Number))
    }

    fn declare(&mut self, name: String, suffixes: &'static [(&'static str, Line)]) -> usize {
        let i = self.families.len();
        self.families.push(ParsedFamily::new(name.clone()));
        self.suffixes.push(suffixes);
        self.by_name.insert(name, i);
        i
    }
}

/// An integer stays one where its 64 bits hold it.
fn number(token: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(token).ok()?;
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(n) if digits => Some(Value::U64(n)),
        _ => parse_float(token).map(Value::F64),
    }
}

/// Help may hold a backslash that escapes nothing: prometheus-client does not escape help.
fn unescape(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&b) = rest.next() {
        match (b, rest.as_slice().first()) {
            (b'\\', Some(&next @ (b'\\' | b'"' | b'n'))) => {
                out.push(if next == b'n' { b'\n' } else { next });
                rest.next();
            }
            _ => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

const UNKNOWN: &[(&str, Line)] = &[("", Line::Number)];
const INFO: &[(&str, Line)] = &[("_info", Line::Number)];
const COUNTER: &[(&str, Line)] = &[("_total", Line::Number), ("_created", Line::Created)];
const HISTOGRAM: &[(&str, Line)] = &[
    ("_bucket", Line::Part(Role::Element)),
    ("_count", Line::Part(Role::Count)),
    ("_sum", Line::Part(Role::Sum)),
    ("_created", Line::Created),
];
const SUMMARY: &[(&str, Line)] = &[
    ("", Line::Part(Role::Element)),
    ("_count", Line::Part(Role::Count)),
    ("_sum", Line::Part(Role::Sum)),
    ("_created", Line::Created),
];
