//! Grok: regular expressions by name, put into each other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::PatternError;

/// Grok definitions by name; a later definition of a name wins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patterns {
    by_name: HashMap<String, String>,
}

/// The names that Logstash knows, with the field names that it has used ever since.
const LEGACY: &str = include_str!("definitions/legacy");
/// Those whose fields are called otherwise in the Elastic Common Schema.
const ECS: &str = include_str!("definitions/ecs");

/// Definitions inside definitions, and the text that comes out.
const MAX_DEPTH: usize = 100;
const MAX_EXPANDED: usize = 1 << 19;

impl Patterns {
    /// The standard definitions of Logstash under their usual names.
    pub(crate) fn builtin() -> Self {
        let mut patterns = Self::empty();
        patterns.add(LEGACY);
        patterns
    }

    /// The standard definitions with the field names of the Elastic Common Schema: `source.address`, not `clientip`.
    pub(crate) fn ecs() -> Self {
        let mut patterns = Self::builtin();
        patterns.add(ECS);
        patterns
    }

    /// No definition at all.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// Takes one line of a pattern file, `NAME regex`; blank lines and comments are nothing.
    pub(crate) fn define(&mut self, line: &str) -> Result<(), PatternError> {
        let line = line.trim_start_matches([' ', '\t']).trim_end_matches(['\n', '\r']);
        if line.trim_end().is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let refuse = || PatternError::Definition { line: line.into() };
        let (name, text) = line.split_once([' ', '\t']).ok_or_else(refuse)?;
        if !is_name(name) {
            return Err(refuse());
        }
        let text = text.trim_start_matches([' ', '\t']);
        self.by_name.insert(name.into(), text.into());
        Ok(())
    }

    /// Reads one pattern file.
    pub(crate) fn file(&mut self, path: &Path) -> Result<(), PatternError> {
        let read = |source| PatternError::Read { path: path.into(), source };
        let text = String::from_utf8_lossy(&std::fs::read(path).map_err(read)?).into_owned();
        for (i, line) in text.lines().enumerate() {
            let place = |source| PatternError::InFile { path: path.into(), number: i + 1, source: Box::new(source) };
            self.define(line).map_err(place)?;
        }
        Ok(())
    }

    /// Reads every file of a folder in the order of their names; a folder inside it is an error.
    pub(crate) fn dir(&mut self, path: &Path) -> Result<(), PatternError> {
        let read = |source| PatternError::Read { path: path.into(), source };
        let entries = std::fs::read_dir(path).map_err(read)?;
        let mut files =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<PathBuf>, _>>().map_err(read)?;
        files.sort();
        for file in files {
            if file.is_dir() {
                return Err(PatternError::Nested { path: file });
            }
            self.file(&file)?;
        }
        Ok(())
    }

    fn add(&mut self, text: &str) {
        for line in text.lines() {
            if let Some((name, text)) = line.split_once(' ').filter(|(name, _)| is_name(name)) {
                self.by_name.insert(name.into(), text.into());
            }
        }
    }

    /// The regular expression that a grok expression stands for.
    pub(super) fn expand(&self, expr: &str) -> Result<String, String> {
        let mut out = String::new();
        self.expand_into(expr, &mut out, 0)?;
        Ok(out)
    }

    fn expand_into(&self, text: &str, out: &mut String, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err("deep recursion while expanding pattern definitions".into());
        }
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            out.push_str(before);
            let Some((reference, after)) =
                after.split_once('}').filter(|(reference, _)| Reference::of(reference).is_some())
            else {
                // No reference: a percent sign and a brace of the regular expression.
                out.push_str("%{");
                rest = after;
                continue;
            };
            let Some(Reference { name, field }) = Reference::of(reference) else { continue };
            let Some(definition) = self.by_name.get(name) else {
                return Err(format!("pattern %{{{name}}} is not defined"));
            };
            match field {
                Some(field) => {
                    out.push_str("(?<");
                    out.push_str(&field);
                    out.push('>');
                }
                None => out.push_str("(?:"),
            }
            self.expand_into(definition, out, depth + 1)?;
            out.push(')');
            if out.len() > MAX_EXPANDED {
                return Err("pattern is too large once its definitions are put in".into());
            }
            rest = after;
        }
        out.push_str(rest);
        Ok(())
    }
}

/// What stands between `%{` and `}`.
struct Reference<'a> {
    name: &'a str,
    field: Option<String>,
}

impl<'a> Reference<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let name = parts.next().filter(|name| is_name(name))?;
        let field = match parts.next() {
            Some(field) => Some(field_name(field)?),
            None => None,
        };
        // The type: values are text here.
        parts.next().is_none_or(is_name).then_some(Self { name, field })
    }
}

/// `field`, or `[source][address]`, which is `source.address`.
fn field_name(text: &str) -> Option<String> {
    let name = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(path) => path.replace("][", "."),
        None => text.to_owned(),
    };
    let fits = |char: char| char.is_alphanumeric() || matches!(char, '_' | '.' | '@' | '-');
    (!name.is_empty() && name.chars().all(fits)).then_some(name)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests;
