//! Patterns over bytes.

use crate::{Error, SIZE_LIMIT, compile};
use regex_automata::util::{captures, interpolate};
use regex_automata::{Input, meta};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Regex(meta::Regex);

impl Regex {
    /// Compiles a pattern.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        compile(pattern, false, true, SIZE_LIMIT).map(Self)
    }

    /// Whether it matches anywhere.
    pub fn is_match(&self, haystack: &[u8]) -> bool {
        self.0.is_match(haystack)
    }

    /// The first match with its groups.
    pub fn captures<'h>(&self, haystack: &'h [u8]) -> Option<Captures<'h>> {
        let mut groups = self.0.create_captures();
        self.0.captures(haystack, &mut groups);
        groups.is_match().then_some(Captures { haystack, groups })
    }

    /// Room for the places of the groups, to be used again and again.
    pub fn capture_locations(&self) -> CaptureLocations {
        CaptureLocations(self.0.create_captures())
    }

    /// The first match from `start` on, and where its groups are; what stands before `start` is seen by `^` and `\b`.
    pub fn captures_read_at<'h>(
        &self,
        locations: &mut CaptureLocations,
        haystack: &'h [u8],
        start: usize,
    ) -> Option<Match<'h>> {
        self.0.search_captures(&Input::new(haystack).span(start..haystack.len()), &mut locations.0);
        let found = locations.0.get_match()?;
        Some(Match { bytes: &haystack[found.range()], start: found.start() })
    }
}

/// Compiles a pattern with settings of one's own.
#[derive(Clone, Debug)]
pub struct RegexBuilder {
    pattern: String,
    unicode: bool,
    size_limit: usize,
}

impl RegexBuilder {
    /// The usual settings.
    pub fn new(pattern: &str) -> Self {
        Self { pattern: pattern.to_owned(), unicode: true, size_limit: SIZE_LIMIT }
    }

    /// Whether characters are Unicode's, or bytes.
    pub fn unicode(&mut self, yes: bool) -> &mut Self {
        self.unicode = yes;
        self
    }

    /// How many bytes the compiled pattern may take, roughly.
    pub fn size_limit(&mut self, bytes: usize) -> &mut Self {
        self.size_limit = bytes;
        self
    }

    /// Compiles the pattern.
    pub fn build(&self) -> Result<Regex, Error> {
        compile(&self.pattern, false, self.unicode, self.size_limit).map(Regex)
    }
}

/// A match and its groups.
#[derive(Clone, Debug)]
pub struct Captures<'h> {
    haystack: &'h [u8],
    groups: captures::Captures,
}

impl<'h> Captures<'h> {
    /// A group that took part; 0 is the whole match.
    pub fn get(&self, group: usize) -> Option<Match<'h>> {
        let span = self.groups.get_group(group)?;
        Some(Match { bytes: &self.haystack[span.range()], start: span.start })
    }

    /// A named group that took part.
    pub fn name(&self, name: &str) -> Option<Match<'h>> {
        let span = self.groups.get_group_by_name(name)?;
        Some(Match { bytes: &self.haystack[span.range()], start: span.start })
    }

    /// Appends a text with its `$1`, `$name` and `${name}` replaced by the groups, and `$$` by a dollar.
    pub fn expand(&self, with: &[u8], out: &mut Vec<u8>) {
        let append = |group, out: &mut Vec<u8>| {
            if let Some(span) = self.groups.get_group(group) {
                out.extend_from_slice(&self.haystack[span.range()]);
            }
        };
        let known = |name: &str| self.groups.group_info().to_index(self.groups.pattern()?, name);
        interpolate::bytes(with, append, known, out);
    }

    /// How many groups the pattern has, with the whole match.
    #[expect(clippy::len_without_is_empty, reason = "the whole match is always there")]
    pub fn len(&self) -> usize {
        self.groups.group_len()
    }
}

/// Where groups matched.
#[derive(Clone, Debug)]
pub struct CaptureLocations(captures::Captures);

impl CaptureLocations {
    /// Begin and end of a group that took part.
    pub fn get(&self, group: usize) -> Option<(usize, usize)> {
        self.0.get_group(group).map(|span| (span.start, span.end))
    }

    /// How many groups the pattern has, with the whole match.
    #[expect(clippy::len_without_is_empty, reason = "the whole match is always there")]
    pub fn len(&self) -> usize {
        self.0.group_len()
    }
}

/// What matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match<'h> {
    bytes: &'h [u8],
    start: usize,
}

impl<'h> Match<'h> {
    /// The bytes themselves.
    pub fn as_bytes(&self) -> &'h [u8] {
        self.bytes
    }

    /// Where it begins.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where it has ended.
    pub fn end(&self) -> usize {
        self.start + self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_mysql_common_asks() {
        let version = Regex::new(r"^(?:5.5.5-)?(\d{1,2})\.(\d{1,2})\.(\d{1,3})-MariaDB").unwrap();
        let found = version.captures(b"5.5.5-10.11.6-MariaDB-0+deb12u1").unwrap();
        let group = |i| found.get(i).map(|m| m.as_bytes());
        assert_eq!(
            (group(1), group(2), group(3), group(4)),
            (Some(&b"10"[..]), Some(&b"11"[..]), Some(&b"6"[..]), None)
        );
        assert!(version.captures(b"8.0.36").is_none());
        let key = Regex::new("-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----").unwrap();
        let found = key.captures(b"-----BEGIN PUBLIC KEY-----\nQUJD\n-----END PUBLIC KEY-----\n").unwrap();
        assert_eq!(found.get(1).unwrap().as_bytes(), b"\nQUJD\n");
        let named = Regex::new("a(?<after>.)").unwrap();
        assert_eq!(named.captures(b"xab").unwrap().name("after").map(|m| m.start()), Some(2));
        let mut expanded = b"<".to_vec();
        named.captures(b"xab").unwrap().expand(b"$after:${0}:$5:$$>", &mut expanded);
        assert_eq!(expanded, b"<b:ab::$>");
        assert!(Regex::new(r"^[0-8]\d\d:[0-5]\d:[0-5]\d\.\d{1,6}$").unwrap().is_match(b"838:59:59.000001"));
    }

    #[test]
    fn places_are_read_from_a_start() {
        let words = Regex::new(r"\b(\w)(x)?").unwrap();
        let mut places = words.capture_locations();
        let found = words.captures_read_at(&mut places, b"ab cx", 1).unwrap();
        assert_eq!((found.start(), found.end(), found.as_bytes()), (3, 5, &b"cx"[..]));
        assert_eq!((places.len(), places.get(1), places.get(2)), (3, Some((3, 4)), Some((4, 5))));
        assert!(words.captures_read_at(&mut places, b"ab cx", 5).is_none());
        // Bytes that are no UTF-8 match what takes bytes.
        assert!(Regex::new(r"(?-u)\xff$").unwrap().is_match(b"a\xff"));
    }

    #[test]
    #[expect(clippy::invalid_regex, reason = "that is the point")]
    fn what_is_refused_and_why() {
        assert!(Regex::new("a(").unwrap_err().to_string().ends_with("error: unclosed group"));
        let large = RegexBuilder::new("(a{1000}){1000}").size_limit(1 << 20).build().unwrap_err();
        assert_eq!(large.to_string(), "Compiled regex exceeds size limit of 1048576 bytes.");
        assert!(RegexBuilder::new(r"(?i)é\p{Greek}").unicode(false).build().is_err());
    }

    proptest! {
        #[test]
        fn any_pattern_is_answered(pattern in any::<String>(), haystack: Vec<u8>) {
            if let Ok(regex) = RegexBuilder::new(&pattern).size_limit(1 << 16).build() {
                let found = regex.captures(&haystack);
                prop_assert_eq!(regex.is_match(&haystack), found.is_some());
            }
        }
    }
}
