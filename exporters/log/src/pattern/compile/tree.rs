//! What is compiled: the pattern without what nobody asks for, and what can be said of its parts.

use super::super::class::{First, Item, Set, Wide};
use super::super::machine::UNBOUNDED;
use super::super::syntax::{Assert, Greed, Node};
use super::Compiler;

/// The tree with captures that nobody wants taken out and neighbours joined.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    Empty,
    Literal(Vec<u8>),
    Class(usize),
    Concat(Vec<Tree>),
    Alternate(Vec<Tree>),
    Repeat { tree: Box<Tree>, min: u32, max: u32, greed: Greed },
    Capture { pair: usize, tree: Box<Tree> },
    Atomic(Box<Tree>),
    Look { ahead: bool, negative: bool, tree: Box<Tree> },
    Assert(Assert),
    Back { pairs: Vec<usize>, fold: bool },
    Keep,
}

/// What comes after a place in the pattern.
#[derive(Clone, Copy)]
pub(super) struct Follow {
    /// The bytes that can come next, asserted or consumed.
    pub(super) first: First,
    /// It may succeed without looking at the next byte.
    pub(super) free: bool,
    /// It may succeed at the end of the line.
    pub(super) at_end: bool,
    /// It is the end of the pattern or of an assertion: it succeeds always.
    pub(super) sure: bool,
}

impl Follow {
    pub(super) fn end() -> Self {
        Self { first: First::none(), free: true, at_end: true, sure: true }
    }

    /// What follows a place when `head` comes before `self`.
    pub(super) fn after(&self, head: &Self) -> Self {
        if !head.free {
            return Self { sure: false, ..*head };
        }
        let mut first = head.first;
        first.join(&self.first);
        Self { first, free: self.free, at_end: self.at_end || head.at_end, sure: false }
    }

    /// One of both.
    pub(super) fn or(&self, other: &Self) -> Self {
        let mut first = self.first;
        first.join(&other.first);
        Self { first, free: self.free || other.free, at_end: self.at_end || other.at_end, sure: false }
    }

    /// The only byte that can come next.
    pub(super) fn only(&self) -> Option<u8> {
        if self.free || self.at_end {
            return None;
        }
        let mut bytes = (0..=255u8).filter(|byte| self.first.has(*byte));
        match (bytes.next(), bytes.next()) {
            // A continuation byte could be found inside a character.
            (Some(byte), None) if !(0x80..0xc0).contains(&byte) => Some(byte),
            _ => None,
        }
    }
}

impl Compiler {
    /// Takes captures that nobody wants out and joins neighbours.
    pub(super) fn lower(&mut self, node: &Node) -> Result<Tree, String> {
        Ok(match node {
            Node::Empty => Tree::Empty,
            Node::Byte(byte) => Tree::Literal(vec![*byte]),
            Node::Char { char, fold: false } => Tree::Literal(char.to_string().into_bytes()),
            Node::Char { char, fold: true } => {
                let item = Item::Range(*char, *char);
                Tree::Class(self.class(&Set { fold: true, ..Set::of(item) }))
            }
            Node::Set(set) => {
                let index = self.class(set);
                let class = &self.classes[index];
                let mut members = (0..128u8).filter(|byte| class.table[usize::from(*byte)]);
                match (&class.wide, members.next(), members.next()) {
                    (Wide::None, Some(only), None) => Tree::Literal(vec![only]),
                    _ => Tree::Class(index),
                }
            }
            Node::Concat(nodes) => {
                let mut trees: Vec<Tree> = Vec::new();
                for node in nodes {
                    let tree = self.lower(node)?;
                    let parts = if let Tree::Concat(parts) = tree { parts } else { vec![tree] };
                    for part in parts {
                        match (trees.last_mut(), part) {
                            (_, Tree::Empty) => {}
                            (Some(Tree::Literal(text)), Tree::Literal(more)) => text.extend(more),
                            (_, part) => trees.push(part),
                        }
                    }
                }
                match trees.len() {
                    0 => Tree::Empty,
                    1 => trees.remove(0),
                    _ => Tree::Concat(trees),
                }
            }
            Node::Alternate(nodes) => {
                let mut trees = Vec::new();
                for node in nodes {
                    match self.lower(node)? {
                        Tree::Alternate(inner) => trees.extend(inner),
                        tree => trees.push(tree),
                    }
                }
                Tree::Alternate(trees)
            }
            Node::Repeat { node, min, max, greed } => {
                let tree = self.lower(node)?;
                let max = max.unwrap_or(UNBOUNDED);
                match (&tree, min, max) {
                    (Tree::Empty, ..) | (_, _, 0) => Tree::Empty,
                    (_, 1, 1) => tree,
                    _ => Tree::Repeat { tree: Box::new(tree), min: *min, max, greed: *greed },
                }
            }
            Node::Group { index, node } => {
                let tree = self.lower(node)?;
                match self.pairs.get(*index).copied().flatten() {
                    Some(pair) => Tree::Capture { pair, tree: Box::new(tree) },
                    None => tree,
                }
            }
            Node::Atomic(node) => match self.lower(node)? {
                tree @ (Tree::Empty | Tree::Literal(_) | Tree::Class(_) | Tree::Assert(_)) => tree,
                tree => Tree::Atomic(Box::new(tree)),
            },
            Node::Look { ahead, negative, node } => {
                Tree::Look { ahead: *ahead, negative: *negative, tree: Box::new(self.lower(node)?) }
            }
            Node::Assert(assert) => Tree::Assert(*assert),
            Node::Back { groups, fold } => Tree::Back {
                pairs: groups.iter().rev().filter_map(|group| self.pairs.get(*group).copied().flatten()).collect(),
                fold: *fold,
            },
            Node::Keep => Tree::Keep,
        })
    }

    /// What a tree can begin with.
    pub(super) fn first(&self, tree: &Tree) -> Follow {
        let nothing = Follow { first: First::none(), free: true, at_end: true, sure: false };
        let tests = |first, at_end| Follow { first, free: false, at_end, sure: false };
        match tree {
            Tree::Literal(text) => {
                let mut first = First::none();
                if let Some(byte) = text.first() {
                    first.insert(*byte);
                }
                tests(first, false)
            }
            Tree::Class(class) => tests(self.classes[*class].first(), false),
            Tree::Concat(trees) => {
                // From the left: parts after the first one that must look at a byte do not matter.
                let mut all = nothing;
                for tree in trees {
                    let first = self.first(tree);
                    let at_end = all.at_end && first.at_end;
                    all = first.after(&all);
                    all.at_end = at_end;
                    if !all.free {
                        break;
                    }
                }
                if !all.free {
                    // The rest may still forbid the end; to say that it allows it is the safe side.
                    return all;
                }
                all
            }
            Tree::Alternate(trees) => {
                let mut all = Follow { first: First::none(), free: false, at_end: false, sure: false };
                for tree in trees {
                    all = all.or(&self.first(tree));
                }
                all
            }
            Tree::Repeat { tree, min, .. } => {
                let first = self.first(tree);
                if *min == 0 { nothing.or(&first) } else { first }
            }
            Tree::Capture { tree, .. } | Tree::Atomic(tree) => self.first(tree),
            Tree::Assert(Assert::LineEnd | Assert::LastLineEnd) => {
                let mut first = First::none();
                first.insert(b'\n');
                tests(first, true)
            }
            Tree::Assert(Assert::TextEnd) => tests(First::none(), true),
            Tree::Empty | Tree::Keep | Tree::Look { .. } | Tree::Assert(_) => nothing,
            Tree::Back { .. } => Follow { first: First::all(), ..nothing },
        }
    }
}

/// How many characters a tree takes, if that is fixed.
pub(super) fn chars(tree: &Tree) -> Option<u32> {
    match tree {
        Tree::Empty | Tree::Assert(_) | Tree::Look { .. } | Tree::Keep => Some(0),
        Tree::Literal(text) => Some(std::str::from_utf8(text).ok()?.chars().count() as u32),
        Tree::Class(_) => Some(1),
        Tree::Concat(trees) => trees.iter().try_fold(0u32, |sum, tree| sum.checked_add(chars(tree)?)),
        Tree::Alternate(trees) => {
            let mut lengths = trees.iter().map(chars);
            let first = lengths.next()??;
            lengths.all(|length| length == Some(first)).then_some(first)
        }
        Tree::Repeat { tree, min, max, .. } if min == max => chars(tree)?.checked_mul(*min),
        Tree::Capture { tree, .. } | Tree::Atomic(tree) => chars(tree),
        Tree::Repeat { .. } | Tree::Back { .. } => None,
    }
}

/// The first thing that a tree does.
pub(super) fn head(tree: &Tree) -> &Tree {
    match tree {
        Tree::Concat(trees) => trees.first().map_or(tree, head),
        Tree::Capture { tree, .. } => head(tree),
        tree => tree,
    }
}

/// The longest text that every match holds.
pub(super) fn needed_literal(tree: &Tree, longest: &mut Vec<u8>) {
    match tree {
        Tree::Literal(text) if text.len() > longest.len() => longest.clone_from(text),
        Tree::Concat(trees) => trees.iter().for_each(|tree| needed_literal(tree, longest)),
        Tree::Capture { tree, .. } | Tree::Atomic(tree) | Tree::Repeat { tree, min: 1.., .. } => {
            needed_literal(tree, longest);
        }
        _ => {}
    }
}

pub(super) fn references(node: &Node, groups: &mut Vec<usize>) {
    match node {
        Node::Back { groups: back, .. } => groups.extend(back),
        Node::Concat(nodes) | Node::Alternate(nodes) => nodes.iter().for_each(|node| references(node, groups)),
        Node::Repeat { node, .. } | Node::Group { node, .. } | Node::Atomic(node) | Node::Look { node, .. } => {
            references(node, groups);
        }
        _ => {}
    }
}
