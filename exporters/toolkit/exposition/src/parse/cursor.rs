//! A place in a text page, and the tokens that text 0.0.4 and OpenMetrics share.

use super::{ParseError, quote};
use crate::name;

/// Reads bytes one after the other and knows the line for errors.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a [u8],
    pub(super) line: usize,
    /// Whether only the names are taken that need no quotes.
    pub(super) plain_names: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, line: 0, plain_names: false }
    }

    pub(super) fn fail<T>(&self, what: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { line: self.line, what: what.into() })
    }

    /// The next byte, which must exist: also a page's last line ends with a newline.
    pub(super) fn peek(&self) -> Result<u8, ParseError> {
        match self.rest.first() {
            Some(&b) => Ok(b),
            None => self.fail("unexpected end of input stream"),
        }
    }

    pub(super) fn skip(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
    }

    pub(super) fn skip_blanks(&mut self) {
        let blanks = self.rest.iter().take_while(|b| is_blank(**b)).count();
        self.skip(blanks);
    }

    /// Takes the next byte if it is `b`.
    pub(super) fn take(&mut self, b: u8) -> Result<bool, ParseError> {
        let found = self.peek()? == b;
        if found {
            self.skip(1);
        }
        Ok(found)
    }

    /// Up to the next blank or newline, which stays.
    pub(super) fn token(&mut self) -> Result<&'a [u8], ParseError> {
        self.until(|b| is_blank(b) || b == b'\n')
    }

    /// Up to the next newline, which is taken too.
    pub(super) fn rest_of_line(&mut self) -> Result<&'a [u8], ParseError> {
        let line = self.until(|b| b == b'\n')?;
        self.skip(1);
        Ok(line)
    }

    fn until(&mut self, stop: impl Fn(u8) -> bool) -> Result<&'a [u8], ParseError> {
        match self.rest.iter().position(|&b| stop(b)) {
            Some(at) => {
                let (token, rest) = self.rest.split_at(at);
                self.rest = rest;
                Ok(token)
            }
            None => self.fail("unexpected end of input stream"),
        }
    }

    /// A metric name or, without `colon`, a label name; empty if none stands here.
    pub(super) fn name(&mut self, colon: bool) -> Result<String, ParseError> {
        let what = if colon { "metric" } else { "label" };
        let name = if self.peek()? == b'"' {
            self.skip(1);
            self.quoted(&format!("{what} name"))?
        } else {
            let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (colon && b == b':');
            if self.peek()?.is_ascii_digit() {
                return Ok(String::new());
            }
            self.until(|b| !valid(b))?.to_vec()
        };
        match String::from_utf8(name) {
            Ok(name) => Ok(name),
            Err(e) => self.fail(format!("invalid {what} name {}", quote::text(e.as_bytes()))),
        }
    }

    /// Refuses a metric name that is not allowed here.
    pub(super) fn check_metric(&self, name: &str) -> Result<(), ParseError> {
        self.check(!self.plain_names || name::is_plain(name), "metric", name)
    }

    fn check(&self, allowed: bool, what: &str, name: &str) -> Result<(), ParseError> {
        if allowed { Ok(()) } else { self.fail(format!("invalid {what} name {}", quote::text(name.as_bytes()))) }
    }

    /// The text up to the closing quote, which is taken too.
    pub(super) fn quoted(&mut self, what: &str) -> Result<Vec<u8>, ParseError> {
        let mut text = Vec::new();
        loop {
            let plain = self.until(|b| matches!(b, b'"' | b'\\' | b'\n'))?;
            text.extend_from_slice(plain);
            match self.peek()? {
                b'"' => {
                    self.skip(1);
                    return Ok(text);
                }
                b'\n' => return self.fail(format!("{what} {} contains unescaped new-line", quote::text(&text))),
                _ => {
                    self.skip(1);
                    text.push(self.escaped()?);
                }
            }
        }
    }

    /// What stands behind a backslash.
    pub(super) fn escaped(&mut self) -> Result<u8, ParseError> {
        let b = self.peek()?;
        self.skip(1);
        match b {
            b'\\' | b'"' => Ok(b),
            b'n' => Ok(b'\n'),
            _ => self.fail(format!("invalid escape sequence '\\{}'", char::from(b))),
        }
    }

    /// The labels behind `{` up to and with `}`. The metric's name may be among them where `name` is `None`.
    pub(super) fn labels(&mut self, name: &mut Option<String>) -> Result<Vec<(String, String)>, ParseError> {
        let mut labels: Vec<(String, String)> = Vec::new();
        let outside = name.is_some();
        let metric = |name: &Option<String>| quote::text(name.as_deref().unwrap_or_default().as_bytes());
        loop {
            self.skip_blanks();
            if self.take(b'}')? {
                self.skip_blanks();
                return Ok(labels);
            }
            let label = self.name(false)?;
            if label.is_empty() {
                return self.fail(format!("invalid label name for metric {}", metric(name)));
            }
            self.skip_blanks();
            match self.peek()? {
                b'=' => self.skip(1),
                found if outside => {
                    return self.fail(format!("expected '=' after label name, found {}", quote::byte(found)));
                }
                b',' | b'}' if name.is_some() => {
                    return self.fail(format!("multiple metric names for metric {}", metric(name)));
                }
                found @ (b',' | b'}') => {
                    self.check_metric(&label)?;
                    self.skip(usize::from(found == b','));
                    *name = Some(label);
                    continue;
                }
                found => return self.fail(format!("unexpected end of metric name {}", quote::byte(found))),
            }
            if label == "__name__" {
                return self.fail("label name \"__name__\" is reserved");
            }
            self.check(!self.plain_names || name::is_plain_label(&label), "label", &label)?;
            if labels.iter().any(|(n, _)| *n == label) {
                return self.fail(format!("duplicate label names for metric {}", metric(name)));
            }
            self.skip_blanks();
            match self.peek()? {
                b'"' => self.skip(1),
                found => {
                    return self.fail(format!("expected '\"' at start of label value, found {}", quote::byte(found)));
                }
            }
            let value = match String::from_utf8(self.quoted("label value")?) {
                Ok(value) => value,
                Err(e) => return self.fail(format!("invalid label value {}", quote::text(e.as_bytes()))),
            };
            self.skip_blanks();
            match self.peek()? {
                b',' => self.skip(1),
                b'}' => {}
                _ => return self.fail(format!("unexpected end of label value {}", quote::text(value.as_bytes()))),
            }
            labels.push((label, value));
        }
    }
}

/// Takes the label `name` out of `labels` and reads it as the number that it must be.
pub(super) fn take_number(labels: &mut Vec<(String, String)>, name: &str) -> Result<Option<f64>, String> {
    let Some(at) = labels.iter().position(|(n, _)| n == name) else { return Ok(None) };
    let (_, text) = labels.remove(at);
    parse_float(text.as_bytes())
        .map(Some)
        .ok_or_else(|| format!("expected float as value for '{name}' label, got {}", quote::text(text.as_bytes())))
}

/// What Go's `strconv.ParseFloat` takes, less hexadecimal and underscores.
pub(super) fn parse_float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let f: f64 = text.parse().ok()?;
    let unsigned = text.strip_prefix(['+', '-']);
    // Rust knows a signed NaN and gives infinity for what is too large; Go refuses both.
    let refused =
        (f.is_nan() && unsigned.is_some()) || (f.is_infinite() && !unsigned.unwrap_or(text).starts_with(['i', 'I']));
    (!refused).then_some(f)
}

pub(super) fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}
