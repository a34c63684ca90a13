//! Flags are data: parser, `--help`, documentation tables and shell completion all come from slices of [`Flag`].

use crate::duration::parse_duration;
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagKind {
    /// A switch: `--name` and `--no-name`, never a value.
    Bool,
    /// One text; empty is allowed.
    Text,
    /// A text that may be given several times; all are kept.
    Texts,
    /// A regular expression in Go's (RE2) syntax, checked while flags are parsed; empty means "not given".
    Regex,
    /// A Go duration such as `5s` or `1m30s`.
    Duration,
    /// A whole number.
    Integer,
    /// A decimal number.
    Float,
    /// One of a fixed set of words.
    Choice(&'static [&'static str]),
}

/// One flag, declared as a `const` beside the code that reads it.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Long name without dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: FlagKind,
    /// The default as the user would write it; `"true"`/`"false"` for switches.
    pub default: &'static str,
    /// One sentence for `--help` and the docs.
    pub help: &'static str,
    /// Environment variable that stands in when the flag is absent.
    pub env: Option<&'static str>,
    /// Left out of `--help` and docs (deprecated spellings).
    pub hidden: bool,
    /// This is a deprecated spelling of that flag: its value is stored there.
    pub alias_of: Option<&'static str>,
}

impl Flag {
    /// A flag of any kind.
    pub const fn new(name: &'static str, kind: FlagKind, default: &'static str, help: &'static str) -> Self {
        Self { name, kind, default, help, env: None, hidden: false, alias_of: None }
    }
    /// A switch, off unless given.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, FlagKind::Bool, "false", help)
    }
    /// A switch that is on unless `--no-name` is given.
    pub const fn switch_on(name: &'static str, help: &'static str) -> Self {
        Self::new(name, FlagKind::Bool, "true", help)
    }
    /// One text.
    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, FlagKind::Text, default, help)
    }
    /// A regular expression.
    pub const fn regex(name: &'static str, default: &'static str, help: &'static str) -> Self {
        Self::new(name, FlagKind::Regex, default, help)
    }
    /// The same flag, readable from an environment variable too.
    #[must_use]
    pub const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }
    /// The same flag as a hidden, deprecated spelling of `target`.
    #[must_use]
    pub const fn alias(mut self, target: &'static str) -> Self {
        self.hidden = true;
        self.alias_of = Some(target);
        self
    }
}

/// The values that one start of a program has, by flag name.
///
/// Asking for a name that no declared flag has is a mistake of the program, caught by its first test run: the accessors
/// answer with the kind's empty value then and `debug_assert!`.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    values: BTreeMap<&'static str, Held>,
    notices: Vec<String>,
}

#[derive(Clone, Debug)]
struct Held {
    kind: FlagKind,
    /// As written, one for each time it was given; the default when never.
    texts: Vec<String>,
    given: bool,
}

impl Flags {
    /// Whether this program has a flag of that name at all: for code that looks at another part's flag.
    pub fn declares(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }
    /// Whether the user (or the environment) gave it.
    pub fn given(&self, name: &str) -> bool {
        self.held(name).is_some_and(|h| h.given)
    }
    /// A switch's state.
    pub fn on(&self, name: &str) -> bool {
        self.text(name) == "true"
    }
    /// A text, a choice, a regular expression's source, or any other flag as written.
    pub fn text(&self, name: &str) -> &str {
        self.held(name).and_then(|h| h.texts.last()).map_or("", String::as_str)
    }
    /// All texts of a repeatable flag.
    pub fn texts(&self, name: &str) -> &[String] {
        self.held(name).map_or(&[], |h| &h.texts)
    }
    /// A duration.
    pub fn duration(&self, name: &str) -> Duration {
        parse_duration(self.text(name)).unwrap_or_default()
    }
    /// A whole number.
    pub fn integer(&self, name: &str) -> i64 {
        whole(self.text(name)).unwrap_or_default()
    }
    /// A decimal number.
    pub fn float(&self, name: &str) -> f64 {
        self.text(name).parse().unwrap_or_default()
    }
    /// A compiled regular expression, unanchored as written, matching bytes; `None` when empty.
    pub fn regex(&self, name: &str) -> Option<Regex> {
        let source = self.text(name);
        if source.is_empty() { None } else { parse_regex(source).ok() }
    }

    fn held(&self, name: &str) -> Option<&Held> {
        let held = self.values.get(name);
        debug_assert!(held.is_some(), "no flag --{name} is declared");
        held
    }
}

/// Filling: the command line and the tests.
impl Flags {
    /// Every flag at its default, as if nothing had been given.
    pub fn defaults<'a>(declared: impl IntoIterator<Item = &'a Flag>) -> Self {
        let mut flags = Self::default();
        declared.into_iter().for_each(|flag| flags.declare(flag));
        flags
    }

    /// Adds a flag at its default; the first declaration of a name stays.
    pub(crate) fn declare(&mut self, flag: &Flag) {
        let texts = match flag.kind {
            FlagKind::Texts if flag.default.is_empty() => Vec::new(),
            _ => vec![flag.default.to_owned()],
        };
        self.values.entry(flag.name).or_insert(Held { kind: flag.kind, texts, given: false });
    }

    /// Parses `args` (without a program's name) against `declared` alone; for tests and tools.
    pub fn from_args<'a>(declared: impl IntoIterator<Item = &'a Flag>, args: &[&str]) -> Result<Self, String> {
        let declared: Vec<&Flag> = declared.into_iter().collect();
        crate::command_line::parse_flags(&declared, args)
    }

    /// What the user should hear about the flags given, such as a deprecated spelling; one sentence each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Stores one value of `flag`, and under the name it stands in for.
    pub(crate) fn give(&mut self, flag: &Flag, text: &str) -> Result<(), String> {
        check(flag, text)?;
        if let Some(target) = flag.alias_of {
            self.notices.push(format!("--{} is deprecated, use --{target} instead", flag.name));
            self.store(target, flag, text)?;
        }
        self.store(flag.name, flag, text)
    }

    /// Says something to the user at start.
    pub fn notice(&mut self, text: String) {
        self.notices.push(text);
    }

    /// Sets a declared flag from others, as if the user had given it.
    pub fn settle(&mut self, name: &str, texts: Vec<String>) {
        let held = self.values.get_mut(name);
        debug_assert!(held.is_some(), "no flag --{name} is declared");
        if let Some(held) = held {
            held.texts = texts;
            held.given = true;
        }
    }

    fn store(&mut self, name: &'static str, flag: &Flag, text: &str) -> Result<(), String> {
        let held = self.values.entry(name).or_insert(Held { kind: flag.kind, texts: Vec::new(), given: false });
        let repeatable = held.kind == FlagKind::Texts;
        if held.given && !repeatable {
            return Err(format!("flag '{}' cannot be repeated", flag.name));
        }
        if !held.given {
            held.texts.clear();
        }
        held.given = true;
        held.texts.push(text.to_owned());
        Ok(())
    }
}

/// Whether `text` is a value that `flag` takes.
fn check(flag: &Flag, text: &str) -> Result<(), String> {
    let name = flag.name;
    match flag.kind {
        FlagKind::Bool | FlagKind::Text | FlagKind::Texts => Ok(()),
        FlagKind::Regex => {
            parse_regex(text).map(drop).map_err(|e| format!("flag '--{name}': bad regular expression {text:?}: {e}"))
        }
        FlagKind::Duration => parse_duration(text).map(drop).map_err(|e| format!("flag '--{name}': {e}")),
        FlagKind::Integer => whole(text).map(drop).ok_or_else(|| not_a_number(name, text)),
        FlagKind::Float => text.parse::<f64>().map(drop).map_err(|_| not_a_number(name, text)),
        FlagKind::Choice(words) if words.contains(&text) => Ok(()),
        FlagKind::Choice(_) if name == "log.level" => Err(format!("unrecognized log level {text}")),
        FlagKind::Choice(_) if name == "log.format" => Err(format!("unrecognized log format {text}")),
        FlagKind::Choice(words) => Err(format!("flag '--{name}': must be one of {}, got '{text}'", words.join(", "))),
    }
}

/// kingpin reads whole numbers as decimal ones and cuts them.
fn whole(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n as i64))
}

fn not_a_number(name: &str, text: &str) -> String {
    format!("flag '--{name}': parsing {text:?}: invalid syntax")
}

/// Compiles a regular expression, unanchored, matching bytes; the error is one line.
pub fn parse_regex(source: &str) -> Result<Regex, String> {
    // Case folding of all alphabets is left out of our binaries: `(?i)` then folds ASCII, which is what names consist of.
    let compiled = Regex::new(source).or_else(|e| RegexBuilder::new(source).unicode(false).build().map_err(|_| e));
    compiled.map_err(|e| {
        // The crate draws its errors over several lines, the reason being the last one.
        let text = e.to_string();
        let line = text.lines().last().unwrap_or_default();
        line.strip_prefix("error: ").unwrap_or(line).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_expressions_that_users_have_compile() {
        for (source, text, matches) in [
            ("^(dm-|sr)", "sr0", true),
            ("(?i)^ETH", "eth0", true),
            ("^[é]$", "é", true),
            (r"^\d+$", "12", true),
            ("^.$", "한", true),
            ("a", "b", false),
        ] {
            assert_eq!(parse_regex(source).unwrap().is_match(text.as_bytes()), matches, "{source}");
        }
        assert_eq!(parse_regex("a(").unwrap_err(), "unclosed group");
        assert!(!parse_regex("(?i)[").unwrap_err().contains('\n'));
    }
}
