//! What a line must look like and which parts of it are fields: grok, regular expressions, nginx `log_format`, JSON.
#![allow(dead_code, reason = "the engine that uses it is being written")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Grok definitions by name; a later definition of a name wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    by_name: HashMap<String, String>,
}

impl Patterns {
    /// The standard definitions of Logstash under their usual names.
    pub(crate) fn builtin() -> Self {
        let mut patterns = Self::empty();
        for (name, text) in [
            ("WORD", r"\b\w+\b"),
            ("NOTSPACE", r"\S+"),
            ("DATA", ".*?"),
            ("GREEDYDATA", ".*"),
            ("INT", r"(?:[+-]?(?:[0-9]+))"),
        ] {
            patterns.by_name.insert(name.into(), text.into());
        }
        patterns
    }

    /// No definition at all.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// Takes one line of a pattern file, `NAME regex`; blank lines and comments are nothing.
    pub(crate) fn define(&mut self, line: &str) -> Result<(), PatternError> {
        let line = line.trim_start();
        if line.trim_end().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (name, text) =
            line.split_once([' ', '\t']).ok_or_else(|| PatternError::Definition { line: line.into() })?;
        self.by_name.insert(name.into(), text.trim_start().into());
        Ok(())
    }

    /// Reads one pattern file.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(), PatternError> {
        let text = std::fs::read(path).map_err(|source| PatternError::Read { path: path.into(), source })?;
        for line in String::from_utf8_lossy(&text).lines() {
            self.define(line)?;
        }
        Ok(())
    }

    /// Reads every file of a folder; a folder inside it is an error.
    pub(crate) fn dir(&mut self, path: &Path) -> Result<(), PatternError> {
        let read = |source| PatternError::Read { path: path.into(), source };
        let mut files = std::fs::read_dir(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
        files.sort_by_key(std::fs::DirEntry::file_name);
        for file in files {
            self.file(&file.path())?;
        }
        Ok(())
    }
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
    #[error("reading {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A regular expression that does not compile.
    #[error("pattern {expr}: {message}")]
    Syntax {
        /// The pattern as configured.
        expr: String,
        /// What is wrong.
        message: String,
    },
    /// A template uses a field that the pattern does not set.
    #[error("field {field} is not in the pattern {expr}")]
    Missing {
        /// The field.
        field: String,
        /// The pattern as configured.
        expr: String,
    },
    /// A template uses a field that the pattern sets more than once.
    #[error("field {field} is more than once in the pattern {expr}")]
    Twice {
        /// The field.
        field: String,
        /// The pattern as configured.
        expr: String,
    },
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
    regex: regex::bytes::Regex,
    groups: Vec<usize>,
}

impl Matcher {
    /// A grok expression. `wanted` are the fields that templates use: each must be there exactly once.
    pub(crate) fn grok(expr: &str, library: &Patterns, wanted: &[&str]) -> Result<Self, PatternError> {
        let mut text = expr.to_owned();
        for _ in 0..1000 {
            let Some(start) = text.find("%{") else { return Self::regex(&text, wanted) };
            let Some(len) = text[start..].find('}') else { return Self::regex(&text, wanted) };
            let mut parts = text[start + 2..start + len].split(':');
            let name = parts.next().unwrap_or_default();
            let Some(body) = library.by_name.get(name) else {
                return Err(PatternError::Syntax {
                    expr: expr.into(),
                    message: format!("pattern {name} is not defined"),
                });
            };
            let group = parts.next().map_or_else(|| format!("(?:{body})"), |field| format!("(?<{field}>{body})"));
            text.replace_range(start..=start + len, &group);
        }
        Err(PatternError::Syntax { expr: expr.into(), message: "deep recursion".into() })
    }

    /// A regular expression in Ruby's syntax.
    pub(crate) fn regex(expr: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        let regex = regex::bytes::RegexBuilder::new(expr)
            .multi_line(true)
            .build()
            .map_err(|error| PatternError::Syntax { expr: expr.into(), message: error.to_string() })?;
        let groups = wanted
            .iter()
            .map(|name| {
                regex
                    .capture_names()
                    .position(|group| group == Some(name))
                    .ok_or_else(|| PatternError::Missing { field: (*name).into(), expr: expr.into() })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { regex, groups })
    }

    /// An nginx `log_format` string, or the whole directive.
    pub(crate) fn log_format(format: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        let mut regex = String::from("^");
        for (i, part) in format.split('$').enumerate() {
            let name = if i == 0 {
                0
            } else {
                part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len())
            };
            if i > 0 {
                regex.push_str(&format!("(?<{}>.*?)", &part[..name]));
            }
            regex.push_str(&regex::escape(&part[name..]));
        }
        regex.push('$');
        Self::regex(&regex, wanted)
    }

    /// A JSON object; the field `a.b` is member `b` of the object that is member `a`.
    pub(crate) fn json(wanted: &[&str]) -> Result<Self, PatternError> {
        let regex: String = wanted
            .iter()
            .enumerate()
            .map(|(i, name)| format!("(?=.*\"{}\":(?<f{i}>[^,}}]*))", regex::escape(name)))
            .collect();
        Self::regex(&regex, &[])
    }

    /// Looks for the pattern in a line. Captures are those of this line afterwards, if the answer is true.
    pub(crate) fn matches<'l>(
        &self,
        line: &'l [u8],
        captures: &mut Captures<'l>,
        _scratch: &mut Scratch,
    ) -> Result<bool, MatchError> {
        let Some(found) = self.regex.captures(line) else { return Ok(false) };
        captures.line = line;
        captures.spans.clear();
        captures.spans.extend(self.groups.iter().map(|group| {
            found.get(*group).map_or(Span::default(), |m| Span { start: m.start(), end: m.end(), decoded: false })
        }));
        Ok(true)
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

impl<'l> Captures<'l> {
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
        Captures { line: b"", spans: self.spans, decoded: self.decoded }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
    decoded: bool,
}

/// Memory of the matchers, used again from line to line.
#[derive(Debug, Default)]
pub(crate) struct Scratch {}
