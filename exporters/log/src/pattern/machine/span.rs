//! Runs of one class, and places in a line.

use super::super::class::{Class, Stops, Wide, before, decode, is_boundary, is_word};
use super::super::syntax::Assert;
use super::UNBOUNDED;

/// A greedy run: where its least and its most characters end.
pub(super) fn take(class: &Class, line: &[u8], at: usize, min: u32, max: u32) -> Option<(usize, usize)> {
    if max == UNBOUNDED && min <= 1 && class.is_uniform() {
        let end = at + scan(class, &line[at..]);
        if min == 0 {
            return Some((at, end));
        }
        if end == at {
            return None;
        }
        let low = if line[at] < 0x80 { at + 1 } else { at + decode(&line[at..]).1 };
        return Some((low, end));
    }
    if matches!(class.wide, Wide::None) {
        // One byte is one character here.
        let rest = &line[at..];
        let count = scan(class, &rest[..rest.len().min(max as usize)]);
        return (count >= min as usize).then_some((at + min as usize, at + count));
    }
    let mut low = at;
    let mut end = at;
    let mut count = 0;
    while count < max {
        if count == min {
            low = end;
        }
        // ASCII, which most is, without the call.
        end += match line.get(end) {
            Some(byte @ 0..=0x7f) if class.table[usize::from(*byte)] => 1,
            Some(0x80..) => match class.step(line, end) {
                Some(step) => step,
                None => break,
            },
            _ => break,
        };
        count += 1;
    }
    if count == min {
        low = end;
    }
    (count >= min).then_some((low, end))
}

/// How far a uniform class goes, by bytes.
fn scan(class: &Class, rest: &[u8]) -> usize {
    let end = match class.stops {
        Stops::Never => None,
        Stops::One(a) => memchr::memchr(a, rest),
        Stops::Two(a, b) => memchr::memchr2(a, b, rest),
        Stops::Three(a, b, c) => memchr::memchr3(a, b, c, rest),
        Stops::Many => rest.iter().position(|byte| !class.table[usize::from(*byte)]),
    };
    end.unwrap_or(rest.len())
}

/// The last place before `high`, not before `low`, that a greedy run can be given back to.
pub(super) fn last(line: &[u8], low: usize, high: usize, hint: Option<u8>) -> Option<usize> {
    if let Some(hint) = hint {
        return memchr::memrchr(hint, &line[low..high]).map(|place| low + place);
    }
    let mut place = high.checked_sub(1).filter(|place| *place >= low)?;
    while !is_boundary(line, place) {
        place = place.checked_sub(1).filter(|place| *place >= low)?;
    }
    Some(place)
}

/// The next place from `at` on where a lazy run may end, and how many characters it has by then.
pub(super) fn expand(
    class: &Class,
    line: &[u8],
    mut at: usize,
    mut count: u32,
    max: u32,
    hint: Option<u8>,
) -> Option<(usize, u32)> {
    let Some(hint) = hint else { return Some((at, count)) };
    if max == UNBOUNDED && class.is_uniform() {
        let rest = &line[at..];
        let next = memchr::memchr(hint, rest)?;
        return (scan(class, &rest[..next]) == next).then_some((at + next, count));
    }
    while line.get(at) != Some(&hint) {
        if count >= max {
            return None;
        }
        at += class.step(line, at)?;
        count += 1;
    }
    Some((at, count))
}

pub(super) fn holds(assert: Assert, line: &[u8], at: usize) -> bool {
    let end = at >= line.len();
    match assert {
        Assert::TextStart => at == 0,
        Assert::TextEnd => end,
        // Oniguruma: no line begins, and none ends a second time, after a newline that ends the text.
        Assert::LineStart => at == 0 || (line[at - 1] == b'\n' && !end),
        Assert::LineEnd => {
            if end {
                at == 0 || line[at - 1] != b'\n'
            } else {
                line[at] == b'\n'
            }
        }
        Assert::LastLineEnd => end || (at + 1 == line.len() && line[at] == b'\n'),
        Assert::Word => at_word(line, at),
        Assert::NotWord => !at_word(line, at),
    }
}

fn at_word(line: &[u8], at: usize) -> bool {
    let word = |start: usize| match line.get(start) {
        Some(byte @ 0..=0x7f) => byte.is_ascii_alphanumeric() || *byte == b'_',
        Some(_) => decode(&line[start..]).0.is_some_and(is_word),
        None => false,
    };
    let left = match at.checked_sub(1).map(|start| line[start]) {
        Some(byte @ 0..=0x7f) => byte.is_ascii_alphanumeric() || byte == b'_',
        Some(_) => before(line, at).is_some_and(word),
        None => false,
    };
    left != word(at)
}
