//! Runs a program over a line: backtracking with a limit, and without it wherever the compiler saw that none is needed.

mod span;

use memchr::memmem::Finder;

use self::span::{expand, holds, last, take};
use super::class::{Class, First, before, is_boundary};
use super::syntax::Assert;
use super::{MatchError, begins};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Program {
    pub(super) insts: Vec<Inst>,
    pub(super) classes: Vec<Class>,
    pub(super) sets: Vec<First>,
    pub(super) tables: Vec<Table>,
    pub(super) slots: usize,
    /// By group: which pair of slots holds it.
    pub(super) pairs: Vec<Option<usize>>,
    pub(super) start: Start,
    /// A text that every match holds.
    pub(super) needed: Option<Finder<'static>>,
}

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Inst {
    Match,
    Fail,
    Byte(u8),
    Literal(Box<[u8]>),
    Class(u32),
    /// As many as there are, none given back.
    Run {
        class: u32,
        min: u32,
        max: u32,
    },
    /// As many as there are, given back one by one; `hint` is the only byte that can come next.
    GreedyRun {
        class: u32,
        min: u32,
        max: u32,
        hint: Option<u8>,
    },
    LazyRun {
        class: u32,
        min: u32,
        max: u32,
        hint: Option<u8>,
    },
    Save(u32),
    Jump(u32),
    /// Tries `first`, then `second`; a set that does not hold the next byte rules its side out.
    Split {
        first: u32,
        second: u32,
        first_set: u32,
        second_set: u32,
    },
    /// Goes where the next byte says.
    Switch(u32),
    Assert(Assert),
    Ahead {
        class: u32,
        negative: bool,
    },
    Behind {
        class: u32,
        negative: bool,
    },
    /// Begins an atomic group or a look-around that must match.
    Barrier,
    /// Ends it: its ways back are forgotten; a look-around also goes back to where it began.
    Commit {
        back: bool,
    },
    /// Begins a look-around that must not match; goes on there.
    Unless(u32),
    /// Its body has matched.
    Refuse,
    StepBack(u32),
    Back {
        pairs: Box<[u32]>,
        fold: bool,
    },
    /// Goes on here if the slot's place is not this one, else past the next instruction.
    Progress(u32),
}

/// Where each byte leads; the first target is that of the line's end.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(super) by_byte: Box<[u8; 256]>,
    pub(super) targets: Vec<u32>,
}

/// Where a match can begin.
#[derive(Debug)]
pub(crate) enum Start {
    Text,
    Line,
    Literal(Box<Finder<'static>>),
    First(First),
    Anywhere,
}

pub(crate) const NO_SET: u32 = u32::MAX;
pub(crate) const UNBOUNDED: u32 = u32::MAX;
pub(crate) const UNSET: usize = usize::MAX;

/// What a search writes to; used again from line to line.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    stack: Vec<Frame>,
    /// Pairs of start and end; the first is the whole match.
    pub(crate) slots: Vec<usize>,
}

/// A way back.
#[derive(Clone, Copy, Debug)]
enum Frame {
    Branch { pc: u32, at: usize },
    Slot { slot: u32, old: usize },
    Give { pc: u32, low: usize, high: usize },
    More { pc: u32, at: usize, count: u32 },
    Barrier { at: usize },
    Unless { pc: u32, at: usize },
}

/// Ways back at one time: six megabytes.
const MAX_FRAMES: usize = 1 << 18;

impl Memory {
    /// Bounds of a pair, if it took part.
    pub(crate) fn pair(&self, pair: usize) -> Option<(usize, usize)> {
        match self.slots.get(pair * 2..pair * 2 + 2) {
            Some(&[start, end]) if start != UNSET && end != UNSET && start <= end => Some((start, end)),
            _ => None,
        }
    }

    fn push(&mut self, frame: Frame) -> Result<(), MatchError> {
        if self.stack.len() >= MAX_FRAMES {
            return Err(MatchError::Limit);
        }
        self.stack.push(frame);
        Ok(())
    }

    /// Gives back what an unusual line has taken.
    fn trim(&mut self) {
        if self.stack.capacity() > 1 << 14 {
            self.stack = Vec::new();
        }
    }
}

impl Program {
    /// Looks for the first match that begins at `from` or later. `steps` is how much work is allowed; what is done is taken off.
    pub(crate) fn search(
        &self,
        line: &[u8],
        from: usize,
        memory: &mut Memory,
        steps: &mut u64,
    ) -> Result<bool, MatchError> {
        memory.slots.resize(self.slots, UNSET);
        let found = self.look_for(line, from, memory, steps);
        memory.trim();
        found
    }

    fn look_for(&self, line: &[u8], from: usize, memory: &mut Memory, steps: &mut u64) -> Result<bool, MatchError> {
        let mut at = from;
        let mut tried = false;
        loop {
            match &self.start {
                Start::Text if tried => return Ok(false),
                Start::Line if tried => match memchr::memchr(b'\n', &line[at - 1..]) {
                    Some(newline) => at += newline,
                    None => return Ok(false),
                },
                Start::Text | Start::Line | Start::Anywhere => {}
                Start::Literal(finder) => match finder.find(&line[at..]) {
                    Some(skip) => at += skip,
                    None => return Ok(false),
                },
                Start::First(first) => match line[at..].iter().position(|byte| first.has(*byte)) {
                    Some(skip) => at += skip,
                    None => return Ok(false),
                },
            }
            if is_boundary(line, at) {
                if self.run(line, at, memory, steps)? {
                    return Ok(true);
                }
                // Only after the first failure: most lines of a log match.
                if !tried
                    && let Some(needed) = &self.needed
                    && needed.find(&line[from..]).is_none()
                {
                    return Ok(false);
                }
                tried = true;
                spend(steps, 1)?;
            }
            at += 1;
            if at > line.len() {
                return Ok(false);
            }
        }
    }

    /// Matches from `start` on.
    fn run(&self, line: &[u8], start: usize, memory: &mut Memory, steps: &mut u64) -> Result<bool, MatchError> {
        memory.stack.clear();
        memory.slots.fill(UNSET);
        memory.slots[0] = start;
        let mut pc = 0;
        let mut at = start;
        loop {
            let went = match &self.insts[pc] {
                Inst::Match => {
                    memory.slots[1] = at;
                    return Ok(true);
                }
                Inst::Fail => false,
                Inst::Byte(byte) => {
                    let same = line.get(at) == Some(byte);
                    at += 1;
                    pc += 1;
                    same
                }
                Inst::Literal(text) => {
                    let same = begins(&line[at..], text);
                    at += text.len();
                    pc += 1;
                    same
                }
                Inst::Class(class) => {
                    pc += 1;
                    let step = self.classes[*class as usize].step(line, at);
                    at += step.unwrap_or(0);
                    step.is_some()
                }
                Inst::Run { class, min, max } => {
                    let class = &self.classes[*class as usize];
                    match take(class, line, at, *min, *max) {
                        Some((_, end)) => {
                            spend(steps, (end - at) as u64 / 8)?;
                            at = end;
                            pc += 1;
                            true
                        }
                        None => false,
                    }
                }
                Inst::GreedyRun { class, min, max, hint } => {
                    let class = &self.classes[*class as usize];
                    match take(class, line, at, *min, *max) {
                        Some((low, end)) => {
                            spend(steps, (end - at) as u64 / 8)?;
                            let high = match hint {
                                Some(hint) if line.get(end) != Some(hint) => last(line, low, end, Some(*hint)),
                                _ => Some(end),
                            };
                            if let Some(high) = high {
                                if high > low {
                                    memory.push(Frame::Give { pc: pc as u32, low, high })?;
                                }
                                at = high;
                                pc += 1;
                            }
                            high.is_some()
                        }
                        None => false,
                    }
                }
                Inst::LazyRun { class, min, max, hint } => {
                    let class = &self.classes[*class as usize];
                    match take(class, line, at, *min, *min) {
                        Some((low, _)) => match expand(class, line, low, *min, *max, *hint) {
                            Some((end, count)) => {
                                spend(steps, (end - at) as u64 / 8)?;
                                memory.push(Frame::More { pc: pc as u32, at: end, count })?;
                                at = end;
                                pc += 1;
                                true
                            }
                            None => false,
                        },
                        None => false,
                    }
                }
                Inst::Save(slot) => {
                    let old = std::mem::replace(&mut memory.slots[*slot as usize], at);
                    if !memory.stack.is_empty() {
                        memory.push(Frame::Slot { slot: *slot, old })?;
                    }
                    pc += 1;
                    true
                }
                Inst::Jump(target) => {
                    // Loops go through here or a split: what they read counts although nothing was tried in vain.
                    spend(steps, 1)?;
                    pc = *target as usize;
                    true
                }
                Inst::Split { first, second, first_set, second_set } => match line.get(at) {
                    _ if *steps == 0 => return Err(MatchError::Limit),
                    Some(byte) if *first_set != NO_SET && !self.sets[*first_set as usize].has(*byte) => {
                        *steps -= 1;
                        pc = *second as usize;
                        true
                    }
                    Some(byte) if *second_set != NO_SET && !self.sets[*second_set as usize].has(*byte) => {
                        *steps -= 1;
                        pc = *first as usize;
                        true
                    }
                    _ => {
                        *steps -= 1;
                        memory.push(Frame::Branch { pc: *second, at })?;
                        pc = *first as usize;
                        true
                    }
                },
                Inst::Switch(table) => {
                    let table = &self.tables[*table as usize];
                    let index = line.get(at).map_or(0, |byte| table.by_byte[usize::from(*byte)]);
                    pc = table.targets[usize::from(index)] as usize;
                    true
                }
                Inst::Assert(assert) => {
                    pc += 1;
                    holds(*assert, line, at)
                }
                Inst::Ahead { class, negative } => {
                    pc += 1;
                    self.classes[*class as usize].step(line, at).is_some() != *negative
                }
                Inst::Behind { class, negative } => {
                    pc += 1;
                    let class = &self.classes[*class as usize];
                    before(line, at).is_some_and(|start| class.step(line, start).is_some()) != *negative
                }
                Inst::Barrier => {
                    memory.push(Frame::Barrier { at })?;
                    pc += 1;
                    true
                }
                Inst::Commit { back } => {
                    let began = commit(&mut memory.stack);
                    if *back {
                        at = began.unwrap_or(at);
                    }
                    pc += 1;
                    true
                }
                Inst::Unless(after) => {
                    memory.push(Frame::Unless { pc: *after, at })?;
                    pc += 1;
                    true
                }
                Inst::Refuse => {
                    while let Some(frame) = memory.stack.pop() {
                        match frame {
                            Frame::Slot { slot, old } => memory.slots[slot as usize] = old,
                            Frame::Unless { .. } => break,
                            _ => {}
                        }
                    }
                    false
                }
                Inst::StepBack(chars) => {
                    let mut start = Some(at);
                    for _ in 0..*chars {
                        start = start.and_then(|start| before(line, start));
                    }
                    at = start.unwrap_or(at);
                    pc += 1;
                    start.is_some()
                }
                Inst::Back { pairs, fold } => {
                    let text = pairs.iter().find_map(|pair| memory.pair(*pair as usize));
                    match text {
                        Some((start, end)) => {
                            let text = &line[start..end];
                            let here = line.get(at..at + text.len());
                            spend(steps, text.len() as u64 / 8)?;
                            at += text.len();
                            pc += 1;
                            here.is_some_and(|here| if *fold { here.eq_ignore_ascii_case(text) } else { here == text })
                        }
                        None => false,
                    }
                }
                Inst::Progress(slot) => {
                    pc += 1;
                    if memory.slots[*slot as usize] != at {
                        pc += 1;
                    }
                    true
                }
            };
            if went {
                continue;
            }
            // The nearest way back.
            loop {
                spend(steps, 1)?;
                match memory.stack.pop() {
                    None => return Ok(false),
                    Some(Frame::Slot { slot, old }) => {
                        memory.slots[slot as usize] = old;
                        continue;
                    }
                    Some(Frame::Barrier { .. }) => continue,
                    Some(Frame::Branch { pc: back, at: place } | Frame::Unless { pc: back, at: place }) => {
                        pc = back as usize;
                        at = place;
                    }
                    Some(Frame::Give { pc: back, low, high }) => {
                        let Inst::GreedyRun { hint, .. } = &self.insts[back as usize] else { continue };
                        let Some(place) = last(line, low, high, *hint) else { continue };
                        spend(steps, (high - place) as u64 / 8)?;
                        if place > low {
                            memory.stack.push(Frame::Give { pc: back, low, high: place });
                        }
                        at = place;
                        pc = back as usize + 1;
                    }
                    Some(Frame::More { pc: back, at: place, count }) => {
                        let Inst::LazyRun { class, max, hint, .. } = &self.insts[back as usize] else { continue };
                        let class = &self.classes[*class as usize];
                        if count >= *max {
                            continue;
                        }
                        let Some(step) = class.step(line, place) else { continue };
                        let Some((end, count)) = expand(class, line, place + step, count + 1, *max, *hint) else {
                            spend(steps, 4)?;
                            continue;
                        };
                        spend(steps, (end - place) as u64 / 8)?;
                        memory.stack.push(Frame::More { pc: back, at: end, count });
                        at = end;
                        pc = back as usize + 1;
                    }
                }
                break;
            }
        }
    }
}

fn spend(steps: &mut u64, cost: u64) -> Result<(), MatchError> {
    *steps = steps.checked_sub(cost).ok_or(MatchError::Limit)?;
    Ok(())
}

/// Forgets the ways back down to the nearest barrier, but not what slots held; says where it stood.
fn commit(stack: &mut Vec<Frame>) -> Option<usize> {
    if let Some(Frame::Barrier { at }) = stack.last() {
        let at = *at;
        stack.pop();
        return Some(at);
    }
    let barrier = stack.iter().rposition(|frame| matches!(frame, Frame::Barrier { .. }))?;
    let began = if let Frame::Barrier { at } = stack[barrier] { Some(at) } else { None };
    let mut kept = barrier;
    for i in barrier + 1..stack.len() {
        if let Frame::Slot { .. } = stack[i] {
            stack[kept] = stack[i];
            kept += 1;
        }
    }
    stack.truncate(kept);
    began
}
