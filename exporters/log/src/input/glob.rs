//! File name patterns as Go's `filepath.Match` has them: `*` and `?` never cross a slash, `[a-z]`, `[^a]`, `\x`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A path with wildcards in any of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    text: String,
    absolute: bool,
    parts: Vec<Part>,
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{text:?}: invalid file name pattern: {why}")]
pub(crate) struct GlobError {
    text: String,
    why: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Without wildcards, escapes undone.
    Plain(Vec<u8>),
    Wild(Vec<Token>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// One character, in UTF-8.
    Char(char),
    Any,
    Star,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// Reads a pattern.
    pub(crate) fn parse(text: &str) -> Result<Self, GlobError> {
        let wrong = |why| GlobError { text: text.to_owned(), why };
        if text.is_empty() {
            return Err(wrong("is empty"));
        }
        let parts = text.split('/').filter(|p| !p.is_empty() && *p != ".");
        let parts = parts.map(part).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        if parts.is_empty() || text.ends_with('/') {
            return Err(wrong("names no file"));
        }
        Ok(Self { text: text.to_owned(), absolute: text.starts_with('/'), parts })
    }

    /// As written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether a whole path matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut names = path.split('/').filter(|p| !p.is_empty() && *p != ".");
        path.starts_with('/') == self.absolute
            && self.parts.iter().all(|part| names.next().is_some_and(|name| part.matches(name.as_bytes())))
            && names.next().is_none()
    }

    /// What matches now, and every folder where something that matches could appear.
    pub(crate) fn expand(&self) -> Found {
        let mut found = Found::default();
        let root = if self.absolute { PathBuf::from("/") } else { PathBuf::from(".") };
        self.walk(&root, 0, &mut found);
        found
    }

    fn walk(&self, folder: &Path, at: usize, found: &mut Found) {
        let Some(part) = self.parts.get(at) else { return };
        let last = at + 1 == self.parts.len();
        match part {
            Part::Plain(name) => {
                let path = self.join(folder, name);
                if last {
                    found.folders.insert(folder.to_owned());
                    if path.symlink_metadata().is_ok() {
                        found.files.insert(path);
                    }
                } else if path.is_dir() {
                    self.walk(&path, at + 1, found);
                } else {
                    found.missing = true;
                    found.folders.insert(folder.to_owned());
                }
            }
            Part::Wild(_) => {
                found.folders.insert(folder.to_owned());
                let Ok(entries) = std::fs::read_dir(folder) else {
                    found.missing = true;
                    return;
                };
                for entry in entries.flatten() {
                    let name = entry.file_name();
                    if !part.matches(name.as_bytes()) {
                        continue;
                    }
                    let path = self.join(folder, name.as_bytes());
                    if last {
                        found.files.insert(path);
                    } else if path.is_dir() {
                        self.walk(&path, at + 1, found);
                    }
                }
            }
        }
    }

    /// Relative patterns give relative paths without a dot in front.
    fn join(&self, folder: &Path, name: &[u8]) -> PathBuf {
        let name = OsStr::from_bytes(name);
        if !self.absolute && folder == Path::new(".") { PathBuf::from(name) } else { folder.join(name) }
    }
}

/// The outcome of a look at the disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Paths that match, whatever they are.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Folders to watch.
    pub(crate) folders: BTreeSet<PathBuf>,
    /// Whether a folder that the pattern names is not there.
    pub(crate) missing: bool,
}

impl Part {
    fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Plain(own) => own == name,
            Self::Wild(tokens) => wild(tokens, name),
        }
    }
}

/// Greedy with one place to go back to: linear in practice, quadratic at worst.
fn wild(tokens: &[Token], name: &[u8]) -> bool {
    let (mut t, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match tokens.get(t) {
            Some(Token::Star) => {
                back = Some((t, n));
                t += 1;
                continue;
            }
            Some(token) if n < name.len() => {
                let (c, length) = next(&name[n..]);
                if token.takes(c) {
                    t += 1;
                    n += length;
                    continue;
                }
            }
            None if n == name.len() => return true,
            _ => {}
        }
        let Some((star, from)) = back else { return false };
        if from >= name.len() {
            return false;
        }
        let from = from + next(&name[from..]).1;
        back = Some((star, from));
        t = star + 1;
        n = from;
    }
}

/// The first character, or U+FFFD for a byte that is none.
fn next(bytes: &[u8]) -> (char, usize) {
    let upto = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(upto) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&upto[..e.valid_up_to()]).unwrap_or_default(),
    };
    valid.chars().next().map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, c.len_utf8()))
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::Any => true,
            Self::Star => false,
            Self::Class { negated, ranges } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        }
    }
}

fn part(text: &str) -> Result<Part, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next().ok_or("ends in a backslash")?),
            '[' => class(&mut chars)?,
            c => Token::Char(c),
        });
    }
    if tokens.iter().all(|t| matches!(t, Token::Char(_))) {
        let plain: String =
            tokens.iter().filter_map(|t| if let Token::Char(c) = t { Some(*c) } else { None }).collect();
        return Ok(Part::Plain(plain.into_bytes()));
    }
    tokens.dedup_by(|a, b| *a == Token::Star && *b == Token::Star);
    Ok(Part::Wild(tokens))
}

fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let from = class_char(chars)?;
        let to = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { from };
        ranges.push((from, to));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, &'static str> {
    match chars.next() {
        None => Err("[ without ]"),
        Some('-' | ']') => Err("- or ] in a class needs a backslash"),
        Some('\\') => chars.next().ok_or("ends in a backslash"),
        Some(c) => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matches_as_go_does() {
        for (pattern, name, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("*x", "xxx", true),
            ("/var/log/*.log", "/var/log/a.log", true),
            ("/var/log/*.log", "var/log/a.log", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        for pattern in ["", "[]a]", "[-x]", "[x-]", "[", "[^", "[^bc", "a[", "[a-]", "\\", "x/", "/"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn finds_files_and_the_folders_to_watch() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for folder in ["c1", "c2", "other"] {
            std::fs::create_dir(root.join(folder)).unwrap();
        }
        for file in ["c1/a-json.log", "c2/b-json.log", "c2/b.txt", "other/x-json.log"] {
            std::fs::write(root.join(file), "").unwrap();
        }
        let glob = Glob::parse(&format!("{}/c*/*-json.log", root.display())).unwrap();
        let found = glob.expand();
        assert_eq!(found.files, [root.join("c1/a-json.log"), root.join("c2/b-json.log")].into());
        assert_eq!(found.folders, [root.to_owned(), root.join("c1"), root.join("c2")].into());
        assert!(!found.missing);
        let missing = Glob::parse(&format!("{}/not/there.log", root.display())).unwrap().expand();
        assert_eq!((missing.files.len(), missing.missing), (0, true));
        assert_eq!(missing.folders, [root.to_owned()].into());
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_pattern_is_answered(pattern in "[ab*?\\[\\]^\\-\\\\/☺]{0,12}", name in "[ab/☺]{0,12}") {
            if let Ok(glob) = Glob::parse(&pattern) {
                glob.matches(&name);
            }
        }

        #[test]
        fn a_plain_name_matches_itself_alone(name in "[a-z.]{1,8}x", other in "[a-z.]{1,8}x") {
            let glob = Glob::parse(&name).unwrap();
            prop_assert_eq!(glob.matches(&other), name == other);
        }
    }
}
