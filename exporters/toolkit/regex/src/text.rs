//! Patterns over texts.

use crate::{Error, SIZE_LIMIT, compile};
use regex_automata::meta;
use regex_automata::util::{captures, interpolate};
use std::borrow::Cow;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regex(meta::Regex);

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        compile(pattern, true, true, SIZE_LIMIT).map(Self)
    }

    /// Whether it matches anywhere.
    pub fn is_match(&self, haystack: &str) -> bool {
        self.0.is_match(haystack)
    }

    /// The first match with its groups.
    pub fn captures<'h>(&self, haystack: &'h str) -> Option<Captures<'h>> {
        let mut groups = self.0.create_captures();
        self.0.captures(haystack, &mut groups);
        groups.is_match().then_some(Captures { haystack, groups })
    }

    /// The text with the first match replaced; `$1`, `$name` and `${name}` stand for groups, `$$` for a dollar.
    pub fn replace<'h>(&self, haystack: &'h str, with: &str) -> Cow<'h, str> {
        self.replaced(haystack, with, 1)
    }

    /// The text with all matches replaced, as by [`Regex::replace`].
    pub fn replace_all<'h>(&self, haystack: &'h str, with: &str) -> Cow<'h, str> {
        self.replaced(haystack, with, usize::MAX)
    }

    fn replaced<'h>(&self, haystack: &'h str, with: &str, most: usize) -> Cow<'h, str> {
        let (mut out, mut copied) = (String::new(), 0);
        let mut any = false;
        for groups in self.0.captures_iter(haystack).take(most) {
            let Some(whole) = groups.get_match() else { break };
            out.push_str(&haystack[copied..whole.start()]);
            copied = whole.end();
            any = true;
            let append = |group, out: &mut String| {
                if let Some(span) = groups.get_group(group) {
                    out.push_str(&haystack[span.range()]);
                }
            };
            interpolate::string(with, append, |name| groups.group_info().to_index(whole.pattern(), name), &mut out);
        }
        if !any {
            return Cow::Borrowed(haystack);
        }
        out.push_str(&haystack[copied..]);
        Cow::Owned(out)
    }
}

/// A match and its groups.
#[derive(Clone, Debug)]
pub struct Captures<'h> {
    haystack: &'h str,
    groups: captures::Captures,
}

impl<'h> Captures<'h> {
    /// A group that took part; 0 is the whole match.
    pub fn get(&self, group: usize) -> Option<Match<'h>> {
        self.groups.get_group(group).map(|span| Match(&self.haystack[span.range()]))
    }

    /// How many groups the pattern has, with the whole match.
    #[expect(clippy::len_without_is_empty, reason = "the whole match is always there")]
    pub fn len(&self) -> usize {
        self.groups.group_len()
    }
}

/// What matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'h>(&'h str);

impl<'h> Match<'h> {
    /// The text itself.
    pub fn as_str(&self) -> &'h str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn groups_and_replacements() {
        let pair = Regex::new(r"(?P<key>\w+)=(\d+)").unwrap();
        let found = pair.captures("é=1, b=22").unwrap();
        assert_eq!((found.len(), found.get(0).unwrap().as_str(), found.get(1).unwrap().as_str()), (3, "é=1", "é"));
        assert_eq!(pair.replace("a=1, b=2", "$2:${key}$$"), "1:a$, b=2");
        assert_eq!(pair.replace_all("a=1, b=2.", "$2:$key"), "1:a, 2:b.");
        assert_eq!(pair.replace_all("nothing", "x"), "nothing");
        assert_eq!(Regex::new("x*").unwrap().replace_all("é", "-"), "-é-");
        assert!(pair.is_match("x=5") && pair.captures("x").is_none());
    }

    proptest! {
        #[test]
        fn any_text_is_replaced(pattern in "[a-c.*+?()|^$\\\\b]{0,8}", text in any::<String>(), with in any::<String>()) {
            if let Ok(regex) = Regex::new(&pattern) {
                let replaced = regex.replace_all(&text, &with);
                prop_assert!(regex.is_match(&text) || replaced == text);
            }
        }
    }
}
