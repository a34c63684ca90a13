//! A regular expression in Ruby's syntax with the groups that are wanted of it.

use std::sync::OnceLock;

use super::MatchError;
use super::compile::compile;
use super::linear::translate;
use super::machine::{Memory, Program};
use super::syntax::parse;

/// Compiled; finds matches and where the wanted groups stand.
#[derive(Debug)]
pub(crate) struct Regex {
    program: Program,
    /// By group number from 0.
    names: Vec<Option<String>>,
    /// The same for the regex crate, compiled when a line needs it first.
    linear: Option<String>,
    compiled: OnceLock<Option<regex::bytes::Regex>>,
}

/// Work that a pattern may cause on a line before the other engine takes over, and where there is no other.
const STEPS_BEFORE_LINEAR: u64 = 20_000;
const STEPS: u64 = 400_000;
/// The other engine's work is the product of both lengths; this much takes milliseconds.
const MAX_LINEAR: usize = 1 << 24;

impl Regex {
    /// Compiles a pattern; `wanted` says by name which groups are captured, and nameless ones are by `plain`.
    pub(crate) fn new(expr: &str, wanted: impl Fn(&str) -> bool, plain: bool) -> Result<Self, String> {
        if expr.len() > MAX_PATTERN {
            return Err("pattern is too large".into());
        }
        let parsed = parse(expr)?;
        let captured = |group: usize| match parsed.names.get(group) {
            Some(Some(name)) => wanted(name),
            _ => plain,
        };
        let program = compile(&parsed.node, parsed.names.len(), captured)?;
        let linear = translate(&parsed.node, &|group| program.pairs.get(group).copied().flatten().is_some());
        Ok(Self { program, names: parsed.names, linear, compiled: OnceLock::new() })
    }

    /// The groups with this name, by their pair of slots; `None` for one that is not captured.
    pub(crate) fn groups<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Option<usize>> + 'a {
        let named = self.names.iter().enumerate().filter(move |(_, group)| group.as_deref() == Some(name));
        named.map(|(group, _)| self.pair(group))
    }

    /// Where a group is found after a match.
    pub(crate) fn pair(&self, group: usize) -> Option<usize> {
        if group == 0 { Some(0) } else { self.program.pairs.get(group).copied().flatten() }
    }

    /// How many groups there are, the whole match counted.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The last group of this name.
    pub(crate) fn group(&self, name: &str) -> Option<usize> {
        self.names.iter().rposition(|group| group.as_deref() == Some(name))
    }

    /// The work that all searches on a text of this length may cause together.
    pub(crate) fn steps(len: usize) -> u64 {
        STEPS + 16 * len as u64
    }

    /// As [`Self::search`], for searches that share an allowance.
    pub(crate) fn search_within(
        &self,
        line: &[u8],
        from: usize,
        memory: &mut Memory,
        steps: &mut u64,
    ) -> Result<bool, MatchError> {
        self.program.search(line, from, memory, steps)
    }

    /// Looks for a match that begins at `from` or later; `memory` says where afterwards.
    pub(crate) fn search(&self, line: &[u8], from: usize, memory: &mut Memory) -> Result<bool, MatchError> {
        let Some(linear) = &self.linear else {
            return self.program.search(line, from, memory, &mut (STEPS + line.len() as u64));
        };
        let mut steps = STEPS_BEFORE_LINEAR + 4 * line.len() as u64;
        let found = self.program.search(line, from, memory, &mut steps);
        if found.is_ok() || !line.is_ascii() || line.ends_with(b"\n") {
            // A line that the other engine may not see gets the larger allowance.
            return if found.is_ok() { found } else { self.program.search(line, from, memory, &mut { STEPS }) };
        }
        if linear.len().saturating_mul(line.len()) > MAX_LINEAR {
            return Err(MatchError::Limit);
        }
        let build = || {
            let mut builder = regex::bytes::RegexBuilder::new(linear);
            builder.size_limit(1 << 20).build().ok()
        };
        let Some(regex) = self.compiled.get_or_init(build) else { return Err(MatchError::Limit) };
        let mut places = regex.capture_locations();
        if regex.captures_read_at(&mut places, line, from).is_none() {
            return Ok(false);
        }
        for pair in 0..places.len() {
            if let (Some((start, end)), Some([first, last])) = (
                places.get(pair),
                memory.slots.get_mut(pair * 2..pair * 2 + 2).and_then(|pair| pair.as_mut_array::<2>()),
            ) {
                (*first, *last) = (start, end);
            } else if let Some(slots) = memory.slots.get_mut(pair * 2..pair * 2 + 2) {
                slots.fill(super::machine::UNSET);
            }
        }
        Ok(true)
    }
}

/// Expanded, in bytes.
const MAX_PATTERN: usize = 1 << 20;

#[cfg(test)]
mod tests;
