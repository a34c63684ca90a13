//! Patterns of directories as Go's `filepath.Glob` takes them: `*`, `?`, `[a-z]`, `[^a]`, `\*`.

use hostfs::{Sources, scan};
use std::path::{Component, Path, PathBuf};

/// The paths that a pattern matches; itself where it matches none or is malformed.
pub(super) fn expand(sources: &Sources, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from(if pattern.starts_with('/') { "/" } else { "" })];
    if !has_meta(pattern) {
        return vec![pattern.into()];
    }
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        if has_meta(part) {
            let part: Vec<char> = part.chars().collect();
            let mut next = Vec::new();
            for base in &found {
                let folder = if base.as_os_str().is_empty() { Path::new(".") } else { base };
                let Ok(names) = sources.named(folder).entries() else { continue };
                for name in names.iter() {
                    let chars: Vec<char> = scan::lossy(name).chars().collect();
                    if matches(&part, &chars) == Some(true) {
                        next.push(base.join(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(name)));
                    }
                }
            }
            found = next;
        } else {
            for base in &mut found {
                base.push(part);
            }
        }
    }
    found.retain(|path| sources.named(path).exists());
    if found.is_empty() { vec![pattern.into()] } else { found }
}

fn has_meta(pattern: &str) -> bool {
    pattern.contains(['*', '?', '[', '\\'])
}

/// The path as Go's `filepath.Join` writes it: no `.`, no `..` behind a name, no doubled or trailing slash.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            Component::ParentDir if clean.has_root() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Whether the whole text matches; `None` for a malformed pattern.
fn matches(mut pattern: &[char], mut text: &[char]) -> Option<bool> {
    // Where to try again from, with one character more behind the last star.
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        if let [first, rest @ ..] = pattern {
            if *first == '*' {
                star = Some((rest, text));
                pattern = rest;
                continue;
            }
            if let [c, after @ ..] = text {
                let (hit, rest) = one(pattern, *c)?;
                if hit {
                    (pattern, text) = (rest, after);
                    continue;
                }
            }
        } else if text.is_empty() {
            return Some(true);
        }
        match star {
            Some((rest, [_, after @ ..])) => {
                star = Some((rest, after));
                (pattern, text) = (rest, after);
            }
            _ => return Some(false),
        }
    }
}

/// Whether the pattern's first element takes the character, and what follows that element.
fn one(pattern: &[char], c: char) -> Option<(bool, &[char])> {
    match pattern {
        ['?', rest @ ..] => Some((true, rest)),
        ['\\', escaped, rest @ ..] => Some((*escaped == c, rest)),
        ['\\'] | [] => None,
        ['[', rest @ ..] => class(rest, c),
        [literal, rest @ ..] => Some((*literal == c, rest)),
    }
}

fn class(pattern: &[char], c: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match pattern {
        ['^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut hit = false;
    let mut empty = true;
    loop {
        if let [']', after @ ..] = rest
            && !empty
        {
            return Some((hit != negated, after));
        }
        let low = bound(&mut rest)?;
        let high = if let ['-', after @ ..] = rest {
            rest = after;
            bound(&mut rest)?
        } else {
            low
        };
        hit |= (low..=high).contains(&c);
        empty = false;
    }
}

/// One end of a range.
fn bound(rest: &mut &[char]) -> Option<char> {
    let (found, after) = match *rest {
        ['-' | ']', ..] | [] => return None,
        ['\\', c, after @ ..] | [c, after @ ..] => (*c, after),
    };
    *rest = after;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(pattern: &str, text: &str) -> Option<bool> {
        matches(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    }

    #[test]
    fn as_go_matches() {
        for (pattern, text, expected) in [
            ("abc", "abc", Some(true)),
            ("*", "", Some(true)),
            ("*c", "abcc", Some(true)),
            ("a*b*c", "a1b2b3c", Some(true)),
            ("a*b", "abc", Some(false)),
            ("a?c", "abc", Some(true)),
            ("[a-c]x", "bx", Some(true)),
            ("[^a-c]x", "bx", Some(false)),
            ("\\*", "*", Some(true)),
            ("\\*", "a", Some(false)),
            ("[", "a", None),
            ("[]a]", "a", None),
            ("a\\", "a", Some(false)),
        ] {
            assert_eq!(whole(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(clean(Path::new("./a/./b//c/../d/")), Path::new("a/b/d"));
        assert_eq!(clean(Path::new("/../a")), Path::new("/a"));
        assert_eq!(clean(Path::new("../a")), Path::new("../a"));
        let sources = Sources::live();
        assert_eq!(expand(&sources, "/no/such[dir/*"), [PathBuf::from("/no/such[dir/*")]);
    }

    proptest! {
        #[test]
        fn any_pattern_is_survived(pattern: String, text: String) {
            whole(&pattern, &text);
            clean(Path::new(&pattern));
        }

        #[test]
        fn a_star_takes_all(text: String) {
            prop_assert_eq!(whole("*", &text), Some(true));
        }
    }
}
