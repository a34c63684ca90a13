//! YAML files into types, strictly: whoever writes the types denies unknown fields, and an error names file and line.

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

/// Parses a text with one document.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    parse(text, serde_saphyr::options! { with_snippet: false })
}

/// Parses a text as Go's yaml.v2 does, for files written for a Go program: a key that is given twice counts as its last.
pub fn from_str_lenient<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let last = serde_saphyr::options::DuplicateKeyPolicy::LastWins;
    parse(text, serde_saphyr::options! { with_snippet: false, duplicate_keys: last })
}

fn parse<T: DeserializeOwned>(text: &str, options: serde_saphyr::Options) -> Result<T, YamlError> {
    serde_saphyr::from_str_with_options(text, options).map_err(|e| {
        let error = e.without_snippet();
        let line = error.location().map(|at| at.line());
        let message = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The line stands in front already.
        let message = message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message);
        YamlError { file: None, line, text: crate::program::one_line(message) }
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        number: u32,
        #[serde(default)]
        texts: BTreeMap<String, String>,
    }

    #[test]
    fn errors_are_one_line_with_its_number() {
        for (text, error) in [
            ("number: 1\nnmuber: 2", "line 2: unknown field `nmuber`, expected one of number, texts"),
            ("number: 1\nnumber: 2", "line 2: duplicate mapping key `number` is not allowed here"),
            ("number: swordfish", "line 1: invalid u32"),
            ("swordfish", "line 1: expected mapping start"),
            ("number: 1\n---\nnumber: 2", "line 3: only single YAML document expected but multiple found"),
        ] {
            assert_eq!(from_str::<Sample>(text).unwrap_err().to_string(), error);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display();
        std::fs::write(file.path(), b"\nnumber: []").unwrap();
        let error = parse_file::<Sample>(file.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("{path}: line 2: {}", error.text));
        std::fs::write(file.path(), b"\xff").unwrap();
        assert_eq!(parse_file::<Sample>(file.path()).unwrap_err().to_string(), format!("{path}: is not UTF-8"));
        let missing = parse_file::<Sample>(Path::new("/nonexistent")).unwrap_err().to_string();
        assert_eq!(missing, "/nonexistent: no such file or directory");
    }

    #[test]
    fn the_last_of_two_keys_counts_where_that_is_asked_for() {
        let sample: Sample = from_str_lenient("number: 1\ntexts: {a: 1, a: 2}\nnumber: 2").unwrap();
        assert_eq!((sample.number, &*sample.texts["a"]), (2, "2"));
    }

    #[test]
    fn scalars_are_texts_where_texts_are_asked_for() {
        let sample: Sample = from_str("number: 1\ntexts: {a: 1, b: yes, c: 1.50}").unwrap();
        assert_eq!(sample.number, 1);
        assert_eq!(sample.texts.into_values().collect::<Vec<_>>(), ["1", "yes", "1.50"]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            if let Err(error) = from_str::<Sample>(&text) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
