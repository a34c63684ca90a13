//! Which rules are for the lines of which input and file, worked out once for each.

use super::rule::Rule;
use crate::line::Line;

/// The answers so far.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Whether any rule is for some lines only.
    filtered: bool,
    known: Vec<Known>,
    /// The one asked for last: lines of a file come in runs.
    last: usize,
}

#[derive(Debug)]
struct Known {
    input: String,
    file: String,
    /// One for each rule.
    rules: Vec<bool>,
}

impl Reach {
    pub(super) fn of(rules: &[Rule]) -> Self {
        Self { filtered: !rules.iter().all(|r| r.sources.is_all()), ..Self::default() }
    }

    /// Takes every line for every rule, as if none were for some only.
    pub(super) fn everything(&mut self) {
        self.filtered = false;
    }

    /// The place of the answers for this line's source.
    #[inline]
    pub(super) fn find(&mut self, rules: &[Rule], line: &Line<'_>) -> usize {
        let same = |known: &Known| known.file == line.file && known.input == line.input;
        if !self.filtered || self.known.get(self.last).is_some_and(same) {
            return self.last;
        }
        self.last = self.known.iter().position(same).unwrap_or_else(|| self.learn(rules, line));
        self.last
    }

    fn learn(&mut self, rules: &[Rule], line: &Line<'_>) -> usize {
        // Rotated files leave their names behind.
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let rules = rules.iter().map(|r| r.sources.has(line.input, line.file)).collect();
        self.known.push(Known { input: line.input.into(), file: line.file.into(), rules });
        self.known.len() - 1
    }

    #[inline]
    pub(super) fn rule(&self, place: usize, rule: usize) -> bool {
        !self.filtered || self.known.get(place).and_then(|k| k.rules.get(rule)).is_some_and(|reached| *reached)
    }
}

/// Sources that are kept in mind.
const MOST: usize = 1024;
