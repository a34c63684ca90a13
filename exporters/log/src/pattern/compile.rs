//! From a pattern's tree to a program for the machine.
//!
//! What makes it fast is decided here: a run of one class is one step; it is never given back where what follows cannot
//! begin inside it; a choice looks at the next byte first. None of this changes what is matched.

mod tree;

use std::collections::HashMap;

use memchr::memmem::Finder;

use self::tree::{Follow, Tree, chars, head, needed_literal, references};
use super::class::{Class, First, Set, Stops};
use super::machine::{Inst, NO_SET, Program, Start, Table, UNBOUNDED};
use super::syntax::{Assert, Greed, Node};

/// Compiles a tree. `captured` says which groups are wanted; the answer's `pairs` say where they are.
pub(crate) fn compile(node: &Node, groups: usize, captured: impl Fn(usize) -> bool) -> Result<Program, String> {
    let mut pairs = vec![None; groups.max(1)];
    let mut referenced = Vec::new();
    references(node, &mut referenced);
    let mut count = 1;
    for (group, pair) in pairs.iter_mut().enumerate().skip(1) {
        if captured(group) || referenced.contains(&group) {
            *pair = Some(count);
            count += 1;
        }
    }
    let mut compiler = Compiler { pairs, ..Compiler::default() };
    compiler.slots = count * 2;
    let tree = compiler.lower(node)?;
    let start = compiler.start(&tree, !referenced.is_empty());
    let mut needed = Vec::new();
    needed_literal(&tree, &mut needed);
    compiler.emit(&tree, &Follow::end())?;
    compiler.push(Inst::Match)?;
    Ok(Program {
        insts: compiler.insts,
        classes: compiler.classes,
        sets: compiler.sets,
        tables: compiler.tables,
        slots: compiler.slots,
        pairs: compiler.pairs,
        start,
        needed: (needed.len() > 1).then(|| Finder::new(&needed).into_owned()),
    })
}

#[derive(Default)]
struct Compiler {
    insts: Vec<Inst>,
    classes: Vec<Class>,
    known: HashMap<Set, usize>,
    sets: Vec<First>,
    tables: Vec<Table>,
    pairs: Vec<Option<usize>>,
    slots: usize,
}

/// Instructions of one program: some hundred kilobytes.
const MAX_INSTS: usize = 20_000;
const MAX_TABLES: usize = 400;

impl Compiler {
    fn class(&mut self, set: &Set) -> usize {
        if let Some(index) = self.known.get(set) {
            return *index;
        }
        self.classes.push(Class::of(set));
        self.known.insert(set.clone(), self.classes.len() - 1);
        self.classes.len() - 1
    }

    fn push(&mut self, inst: Inst) -> Result<usize, String> {
        if self.insts.len() >= MAX_INSTS {
            return Err("pattern is too large".into());
        }
        self.insts.push(inst);
        Ok(self.insts.len() - 1)
    }

    /// A filter on the next byte, where it filters anything.
    fn filter(&mut self, follow: &Follow) -> u32 {
        if follow.free || follow.first.is_all() {
            return NO_SET;
        }
        let index = self.sets.iter().position(|set| *set == follow.first).unwrap_or_else(|| {
            self.sets.push(follow.first);
            self.sets.len() - 1
        });
        index as u32
    }

    fn emit(&mut self, tree: &Tree, follow: &Follow) -> Result<(), String> {
        match tree {
            Tree::Empty => {}
            Tree::Literal(text) => {
                self.push(match text[..] {
                    [byte] => Inst::Byte(byte),
                    _ => Inst::Literal(text.clone().into_boxed_slice()),
                })?;
            }
            Tree::Class(class) => {
                self.push(Inst::Class(*class as u32))?;
            }
            Tree::Concat(trees) => {
                let mut follows = vec![*follow; trees.len()];
                for i in (1..trees.len()).rev() {
                    let head = self.first(&trees[i]);
                    let before = follows[i].after(&head);
                    // A part that tests nothing leaves it to what comes after whether the end will do.
                    let at_end = if head.free { follows[i].at_end } else { head.at_end };
                    follows[i - 1] = Follow { at_end, ..before };
                }
                for (tree, follow) in trees.iter().zip(&follows) {
                    self.emit(tree, follow)?;
                }
            }
            Tree::Alternate(trees) => self.alternate(trees, follow)?,
            Tree::Repeat { tree, min, max, greed } => self.repeat(tree, *min, *max, *greed, follow)?,
            Tree::Capture { pair, tree } => {
                self.push(Inst::Save(*pair as u32 * 2))?;
                self.emit(tree, follow)?;
                self.push(Inst::Save(*pair as u32 * 2 + 1))?;
            }
            Tree::Atomic(tree) => {
                self.push(Inst::Barrier)?;
                self.emit(tree, &Follow::end())?;
                self.push(Inst::Commit { back: false })?;
            }
            Tree::Look { ahead, negative, tree } => self.look(*ahead, *negative, tree)?,
            Tree::Assert(assert) => {
                self.push(Inst::Assert(*assert))?;
            }
            Tree::Back { pairs, fold } => {
                let pairs = pairs.iter().map(|pair| *pair as u32).collect();
                self.push(Inst::Back { pairs, fold: *fold })?;
            }
            Tree::Keep => {
                self.push(Inst::Save(0))?;
            }
        }
        Ok(())
    }

    fn look(&mut self, ahead: bool, negative: bool, tree: &Tree) -> Result<(), String> {
        let class = match tree {
            Tree::Class(class) => Some(*class),
            Tree::Literal(text) if text.len() == 1 && text[0] < 0x80 => {
                let char = char::from(text[0]);
                Some(self.class(&Set::of(super::class::Item::Range(char, char))))
            }
            _ => None,
        };
        if let Some(class) = class {
            let class = class as u32;
            self.push(if ahead { Inst::Ahead { class, negative } } else { Inst::Behind { class, negative } })?;
            return Ok(());
        }
        let begin = self.push(if negative { Inst::Unless(0) } else { Inst::Barrier })?;
        if ahead {
            self.emit(tree, &Follow::end())?;
        } else {
            self.behind(tree)?;
        }
        if negative {
            self.push(Inst::Refuse)?;
            self.insts[begin] = Inst::Unless(self.insts.len() as u32);
        } else {
            self.push(Inst::Commit { back: true })?;
        }
        Ok(())
    }

    /// The body of a look-behind: each branch steps back by its own fixed number of characters.
    fn behind(&mut self, tree: &Tree) -> Result<(), String> {
        let branches = if let Tree::Alternate(trees) = tree { &trees[..] } else { std::slice::from_ref(tree) };
        let mut ends = Vec::new();
        for (i, branch) in branches.iter().enumerate() {
            let chars = chars(branch).ok_or("invalid pattern in look-behind")?;
            let last = i + 1 == branches.len();
            let split = if last { None } else { Some(self.push(Inst::Fail)?) };
            self.push(Inst::StepBack(chars))?;
            self.emit(branch, &Follow { sure: false, first: First::all(), ..Follow::end() })?;
            if let Some(split) = split {
                ends.push(self.push(Inst::Fail)?);
                let next = self.insts.len() as u32;
                self.insts[split] =
                    Inst::Split { first: split as u32 + 1, second: next, first_set: NO_SET, second_set: NO_SET };
            }
        }
        let end = self.insts.len() as u32;
        for jump in ends {
            self.insts[jump] = Inst::Jump(end);
        }
        Ok(())
    }

    fn alternate(&mut self, trees: &[Tree], follow: &Follow) -> Result<(), String> {
        let firsts: Vec<Follow> = trees
            .iter()
            .map(|tree| {
                let head = self.first(tree);
                if head.free { follow.after(&head) } else { head }
            })
            .collect();
        let table =
            (trees.len() > 2 && trees.len() <= 64 && self.tables.len() < MAX_TABLES).then(|| masks(&firsts)).flatten();
        let mut ends = Vec::new();
        if let Some((masks, by_byte)) = table {
            let switch = self.push(Inst::Fail)?;
            let mut starts = Vec::new();
            for tree in trees {
                starts.push(self.insts.len() as u32);
                self.emit(tree, follow)?;
                ends.push(self.push(Inst::Fail)?);
            }
            // One way in for every combination of branches that a byte leaves open.
            let mut targets = Vec::new();
            for mask in masks {
                let open: Vec<u32> =
                    starts.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, start)| *start).collect();
                targets.push(match open[..] {
                    [] => self.push(Inst::Fail)? as u32,
                    [only] => only,
                    _ => self.chain(&open)?,
                });
            }
            self.tables.push(Table { by_byte: Box::new(by_byte), targets });
            self.insts[switch] = Inst::Switch((self.tables.len() - 1) as u32);
        } else {
            for (i, tree) in trees.iter().enumerate() {
                if i + 1 == trees.len() {
                    self.emit(tree, follow)?;
                    break;
                }
                let first_set = self.filter(&firsts[i]);
                let rest = firsts[i + 1..].iter().fold(firsts[i + 1], |all, first| all.or(first));
                let second_set = self.filter(&rest);
                let split = self.push(Inst::Fail)?;
                self.emit(tree, follow)?;
                ends.push(self.push(Inst::Fail)?);
                let second = self.insts.len() as u32;
                self.insts[split] = Inst::Split { first: split as u32 + 1, second, first_set, second_set };
            }
        }
        let end = self.insts.len() as u32;
        for jump in ends {
            self.insts[jump] = Inst::Jump(end);
        }
        Ok(())
    }

    /// Tries one target after the other.
    fn chain(&mut self, targets: &[u32]) -> Result<u32, String> {
        let entry = self.insts.len() as u32;
        for (i, target) in targets.iter().enumerate() {
            let next = self.insts.len() as u32 + 1;
            self.push(if i + 1 == targets.len() {
                Inst::Jump(*target)
            } else {
                Inst::Split { first: *target, second: next, first_set: NO_SET, second_set: NO_SET }
            })?;
        }
        Ok(entry)
    }

    fn repeat(&mut self, tree: &Tree, min: u32, max: u32, greed: Greed, follow: &Follow) -> Result<(), String> {
        let class = match tree {
            Tree::Class(class) => Some(*class),
            Tree::Literal(text) if text.len() == 1 && text[0] < 0x80 => {
                let char = char::from(text[0]);
                Some(self.class(&Set::of(super::class::Item::Range(char, char))))
            }
            _ => None,
        };
        if let Some(class) = class {
            let apart = !self.classes[class].first().meets(&follow.first);
            // Given back, the run's own characters come next: what follows must be able to begin with one.
            let kept = match greed {
                Greed::Possessive => true,
                Greed::Greedy => follow.sure || (apart && !follow.free),
                Greed::Lazy => apart && !follow.free,
            };
            let class = class as u32;
            let hint = follow.only();
            self.push(match greed {
                _ if kept => Inst::Run { class, min, max },
                Greed::Lazy => Inst::LazyRun { class, min, max, hint },
                _ => Inst::GreedyRun { class, min, max, hint },
            })?;
            return Ok(());
        }
        if greed == Greed::Possessive {
            self.push(Inst::Barrier)?;
            self.repeat(tree, min, max, Greed::Greedy, &Follow::end())?;
            self.push(Inst::Commit { back: false })?;
            return Ok(());
        }
        let first = self.first(tree);
        let again = follow.or(&first);
        let body_first = if first.free { follow.after(&first) } else { first };
        let body_set = self.filter(&body_first);
        let exit_set = self.filter(follow);
        let split = |body: u32, exit: u32| match greed {
            Greed::Lazy => Inst::Split { first: exit, second: body, first_set: exit_set, second_set: body_set },
            _ => Inst::Split { first: body, second: exit, first_set: body_set, second_set: exit_set },
        };
        if min == 1 && max == UNBOUNDED && !first.free {
            let body = self.insts.len() as u32;
            self.emit(tree, &again)?;
            let exit = self.insts.len() as u32 + 1;
            self.push(split(body, exit))?;
            return Ok(());
        }
        // The copies that must be there.
        for i in 1..=min {
            self.emit(tree, if i < max { &again } else { follow })?;
        }
        if max == UNBOUNDED {
            let entry = self.push(Inst::Fail)?;
            let mark = first.free.then(|| {
                self.slots += 1;
                self.slots as u32 - 1
            });
            if let Some(slot) = mark {
                self.push(Inst::Save(slot))?;
            }
            self.emit(tree, &again)?;
            if let Some(slot) = mark {
                // A round that took nothing is the last one.
                self.push(Inst::Progress(slot))?;
                self.insts.push(Inst::Jump(self.insts.len() as u32 + 2));
            }
            self.push(Inst::Jump(entry as u32))?;
            let exit = self.insts.len() as u32;
            self.insts[entry] = split(entry as u32 + 1, exit);
            return Ok(());
        }
        let mut entries = Vec::new();
        for i in min..max {
            entries.push(self.push(Inst::Fail)?);
            self.emit(tree, if i + 1 < max { &again } else { follow })?;
        }
        let exit = self.insts.len() as u32;
        for entry in entries {
            self.insts[entry] = split(entry as u32 + 1, exit);
        }
        Ok(())
    }

    /// Where a match can begin.
    fn start(&self, tree: &Tree, references: bool) -> Start {
        match head(tree) {
            Tree::Assert(Assert::TextStart) => return Start::Text,
            Tree::Assert(Assert::LineStart) => return Start::Line,
            // `.*` has tried every later place of its line itself.
            Tree::Repeat { tree, min: 0, max: UNBOUNDED, greed: Greed::Greedy | Greed::Lazy } if !references => {
                if let Tree::Class(class) = **tree
                    && self.classes[class].stops == Stops::One(b'\n')
                {
                    return Start::Line;
                }
            }
            Tree::Literal(text) if text.len() > 1 => {
                return Start::Literal(Box::new(Finder::new(text).into_owned()));
            }
            _ => {}
        }
        let first = self.first(tree);
        if first.free || first.at_end || first.first.is_all() { Start::Anywhere } else { Start::First(first.first) }
    }
}

/// For each byte which branches it leaves open: the distinct combinations, the first being that of the line's end.
fn masks(firsts: &[Follow]) -> Option<(Vec<u64>, [u8; 256])> {
    let all = if firsts.len() == 64 { u64::MAX } else { (1 << firsts.len()) - 1 };
    let mut masks = vec![all];
    let mut by_byte = [0; 256];
    for (byte, entry) in (0..=255u8).zip(by_byte.iter_mut()) {
        let mut mask = 0u64;
        for (i, first) in firsts.iter().enumerate() {
            mask |= u64::from(first.free || first.first.has(byte)) << i;
        }
        let index = masks.iter().position(|known| *known == mask).unwrap_or_else(|| {
            masks.push(mask);
            masks.len() - 1
        });
        *entry = u8::try_from(index).ok()?;
    }
    (masks.len() <= 40).then_some((masks, by_byte))
}
