//! What a line must look like and which parts of it are fields: grok, regular expressions, nginx `log_format`, JSON.
//!
//! Grok and regular expressions are Ruby's, as grok_exporter and Logstash have them, but matched on bytes: a byte that is
//! no UTF-8 is a character of its own. One machine runs them all (`machine.rs`); what would make it try too many ways on
//! a line goes to the regex crate's linear engine if that can say the same, and is given up otherwise.

mod class;
mod compile;
mod grok;
mod json;
mod linear;
mod log_format;
mod machine;
mod regex;
mod syntax;

use std::path::PathBuf;

pub(crate) use grok::Patterns;
pub(crate) use machine::Memory;
pub(crate) use regex::Regex;

/// Length of the character at the start of `text`, which is not empty.
pub(crate) fn char_len(text: &[u8]) -> usize {
    class::decode(text).1
}

/// Whether `rest` begins with a short text: calling memcmp would take longer than comparing.
fn begins(rest: &[u8], text: &[u8]) -> bool {
    rest.len() >= text.len() && text.iter().zip(rest).all(|(a, b)| a == b)
}

/// Why a pattern cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatternError {
    /// A line of a pattern file that is no definition.
    #[error("'{line}' is no pattern definition: a name, a blank and a regular expression are needed")]
    Definition {
        /// The line.
        line: String,
    },
    /// A pattern file or folder that cannot be read.
    #[error("reading patterns from {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line of a pattern file that is no definition, and where it stands.
    #[error("{}:{number}: {source}", path.display())]
    InFile {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        number: usize,
        /// Why.
        source: Box<PatternError>,
    },
    /// A folder inside a folder of pattern files.
    #[error("{} is a directory among pattern files: name the directory that holds the files", path.display())]
    Nested {
        /// Which.
        path: PathBuf,
    },
    /// A regular expression that does not compile.
    #[error("pattern '{}': {message}", shorten(expr))]
    Syntax {
        /// The pattern as configured.
        expr: String,
        /// What is wrong.
        message: String,
    },
    /// A template uses a field that the pattern does not set.
    #[error("field '{field}' is not in the pattern '{}'", shorten(expr))]
    Missing {
        /// The field.
        field: String,
        /// The pattern as configured.
        expr: String,
    },
    /// A template uses a field that the pattern sets more than once.
    #[error("field '{field}' is more than once in the pattern '{}'", shorten(expr))]
    Twice {
        /// The field.
        field: String,
        /// The pattern as configured.
        expr: String,
    },
}

fn shorten(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

/// A line that a pattern gave up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MatchError {
    /// The pattern can be matched in too many ways on this line.
    #[error("the pattern's backtracking limit is reached")]
    Limit,
}

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Matcher {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Regex {
        regex: Box<Regex>,
        /// By wanted field: where the machine leaves it.
        pairs: Vec<usize>,
    },
    LogFormat(log_format::LogFormat),
    Json(json::Json),
}

impl Matcher {
    /// A grok expression. `wanted` are the fields that templates use: each must be there exactly once.
    pub(crate) fn grok(expr: &str, library: &Patterns, wanted: &[&str]) -> Result<Self, PatternError> {
        let expanded = library.expand(expr).map_err(|message| PatternError::Syntax { expr: expr.into(), message })?;
        Self::compile(&expanded, expr, wanted)
    }

    /// A regular expression in Ruby's syntax; `(?P<name>…)` is understood as well.
    pub(crate) fn regex(expr: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        Self::compile(&expr.replace("(?P<", "(?<"), expr, wanted)
    }

    fn compile(text: &str, expr: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        let regex = Regex::new(text, |name| wanted.contains(&name), false)
            .map_err(|message| PatternError::Syntax { expr: expr.into(), message })?;
        let mut pairs = Vec::with_capacity(wanted.len());
        for name in wanted {
            let mut groups = regex.groups(name);
            match (groups.next(), groups.next()) {
                (Some(Some(pair)), None) => pairs.push(pair),
                (Some(_), Some(_)) => return Err(PatternError::Twice { field: (*name).into(), expr: expr.into() }),
                _ => return Err(PatternError::Missing { field: (*name).into(), expr: expr.into() }),
            }
        }
        Ok(Self { kind: Kind::Regex { regex: Box::new(regex), pairs } })
    }

    /// An nginx `log_format` string, or the whole directive.
    pub(crate) fn log_format(format: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        Ok(Self { kind: Kind::LogFormat(log_format::LogFormat::new(format, wanted)?) })
    }

    /// A JSON object; the field `a.b` is member `b` of the object that is member `a`. A field that is not there is empty.
    pub(crate) fn json(wanted: &[&str]) -> Result<Self, PatternError> {
        Ok(Self { kind: Kind::Json(json::Json::new(wanted)?) })
    }

    /// Looks for the pattern in a line. Captures are those of this line afterwards, if the answer is true.
    pub(crate) fn matches<'l>(
        &self,
        line: &'l [u8],
        captures: &mut Captures<'l>,
        scratch: &mut Scratch,
    ) -> Result<bool, MatchError> {
        match &self.kind {
            Kind::Regex { regex, pairs } => {
                if !regex.search(line, 0, &mut scratch.memory)? {
                    return Ok(false);
                }
                captures.begin(line, 0);
                captures.spans.extend(pairs.iter().map(|pair| match scratch.memory.pair(*pair) {
                    Some((start, end)) => Span { start, end, decoded: false },
                    None => Span::default(),
                }));
                Ok(true)
            }
            Kind::LogFormat(format) => Ok(format.matches(line, captures)),
            Kind::Json(json) => Ok(json.matches(line, captures, &mut scratch.paths)),
        }
    }
}

/// The wanted fields of one line. Used again from line to line.
#[derive(Debug, Default)]
pub(crate) struct Captures<'l> {
    line: &'l [u8],
    spans: Vec<Span>,
    /// Values that do not stand in the line as they are: strings with escapes.
    decoded: Vec<u8>,
}

impl Captures<'_> {
    /// Empty, to be filled by [`Matcher::matches`].
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The value of `wanted[index]`; empty when its group took no part in the match.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let Some(span) = self.spans.get(index) else { return b"" };
        let from: &[u8] = if span.decoded { &self.decoded } else { self.line };
        from.get(span.start..span.end).unwrap_or_default()
    }

    /// The same memory for a line that lives elsewhere.
    pub(crate) fn recycle<'n>(mut self) -> Captures<'n> {
        self.spans.clear();
        self.decoded.clear();
        // What an unusual line has taken is given back.
        self.decoded.shrink_to(1 << 16);
        Captures { line: b"", spans: self.spans, decoded: self.decoded }
    }
}

impl<'l> Captures<'l> {
    /// Forgets what was there; `count` fields without a value.
    fn begin(&mut self, line: &'l [u8], count: usize) {
        self.line = line;
        self.decoded.clear();
        self.spans.clear();
        self.spans.resize(count, Span::default());
    }

    fn set(&mut self, index: usize, start: usize, end: usize) {
        if let Some(span) = self.spans.get_mut(index) {
            *span = Span { start, end, decoded: false };
        }
    }

    /// A JSON string between its quotes.
    fn set_string(&mut self, index: usize, start: usize, end: usize) {
        let text = &self.line[start..end];
        if memchr::memchr(b'\\', text).is_none() {
            self.set(index, start, end);
            return;
        }
        let from = self.decoded.len();
        json::decode(text, &mut self.decoded);
        if let Some(span) = self.spans.get_mut(index) {
            *span = Span { start: from, end: self.decoded.len(), decoded: true };
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
    /// It is one of `decoded`, not of the line.
    decoded: bool,
}

/// Memory of the matchers, used again from line to line.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    memory: Memory,
    paths: Vec<json::Path>,
}
