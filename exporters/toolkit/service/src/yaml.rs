//! YAML files into types, strictly: whoever writes the types denies unknown fields, and an error names file and line.
//!
//! The syntax is granit-parser's. What its events become is done here, by way of a tree: serde-saphyr, which does the same,
//! is made anew for each type that is read, half a megabyte of code for the few of a web configuration. A test holds both
//! to the same answers.

mod bind;
mod scalar;
mod spanned;
mod tree;

pub use spanned::Spanned;

use serde::de::DeserializeOwned;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a YAML text was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// The file, where there was one.
    pub file: Option<PathBuf>,
    /// The line, counted from 1, where one is to blame.
    pub line: Option<u64>,
    /// What is wrong, in one line.
    pub text: String,
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for YamlError {}

impl serde::de::Error for YamlError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(&message.to_string())
    }
}

impl YamlError {
    /// One that has no place yet. Its text is one line, whatever the file had in it.
    fn new(text: &str) -> Self {
        let line = crate::program::one_line(text);
        let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        Self { file: None, line: None, text: line.chars().map(shown).collect() }
    }

    /// With this line, if it has none yet: the innermost one is to blame.
    fn at(self, line: u64) -> Self {
        Self { line: self.line.or(Some(line)), ..self }
    }
}

/// What a key is that a mapping has twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Duplicates {
    Refused,
    LastWins,
}

/// Parses a text with one document.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    bind::bind(&tree::read(text, Duplicates::Refused)?)
}

/// Parses a text as Go's yaml.v2 does, for files written for a Go program: a key that is given twice counts as its last.
pub fn from_str_lenient<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    bind::bind(&tree::read(text, Duplicates::LastWins)?)
}

/// Reads and parses a file with one document.
pub fn parse_file<T: DeserializeOwned>(path: &Path) -> Result<T, YamlError> {
    let wrong = |text| YamlError { file: Some(path.to_owned()), line: None, text };
    let bytes = std::fs::read(path).map_err(|e| wrong(reason(&e)))?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    from_str(text).map_err(|e| YamlError { file: Some(path.to_owned()), ..e })
}

/// What the kernel said, without Rust's number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Names a [`Spanned`] to `bind`.
const SPANNED: &str = "service::yaml::Spanned";

#[cfg(test)]
mod tests;
