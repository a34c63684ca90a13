//! The same pattern for the regex crate, whose time grows with the line alone: where backtracking would take too long.
//!
//! Only for lines of ASCII without a newline at the end, where both say the same, and only without look-around,
//! back-references and atomic groups.

use super::class::{Class, Set};
use super::syntax::{Assert, Greed, Node};

/// The pattern with a group for each that `captured` names, in their order; `None` where it cannot be said.
pub(crate) fn translate(node: &Node, captured: &impl Fn(usize) -> bool) -> Option<String> {
    let mut out = String::from("(?-u)");
    write(node, captured, &mut out)?;
    Some(out)
}

fn write(node: &Node, captured: &impl Fn(usize) -> bool, out: &mut String) -> Option<()> {
    match node {
        Node::Empty => {}
        Node::Byte(byte) => push_byte(*byte, out),
        Node::Char { char, fold: false } => {
            char.to_string().bytes().for_each(|byte| push_byte(byte, out));
        }
        Node::Char { char, fold: true } => {
            let item = super::class::Item::Range(*char, *char);
            write_set(&Set { fold: true, ..Set::of(item) }, out);
        }
        Node::Set(set) => write_set(set, out),
        Node::Concat(nodes) => {
            for node in nodes {
                write(node, captured, out)?;
            }
        }
        Node::Alternate(nodes) => {
            out.push_str("(?:");
            for (i, node) in nodes.iter().enumerate() {
                if i > 0 {
                    out.push('|');
                }
                write(node, captured, out)?;
            }
            out.push(')');
        }
        Node::Repeat { node, min, max, greed } => {
            // A round that takes nothing ends a loop at different places in both.
            if max.is_none() && can_be_empty(node) {
                return None;
            }
            out.push_str("(?:");
            write(node, captured, out)?;
            out.push(')');
            out.push('{');
            out.push_str(&min.to_string());
            out.push(',');
            if let Some(max) = max {
                out.push_str(&max.to_string());
            }
            out.push('}');
            match greed {
                Greed::Greedy => {}
                Greed::Lazy => out.push('?'),
                Greed::Possessive => return None,
            }
        }
        Node::Group { index, node } => {
            out.push_str(if captured(*index) { "(" } else { "(?:" });
            write(node, captured, out)?;
            out.push(')');
        }
        Node::Assert(assert) => out.push_str(match assert {
            Assert::LineStart => "(?m:^)",
            Assert::LineEnd => "(?m:$)",
            Assert::TextStart => r"\A",
            Assert::TextEnd | Assert::LastLineEnd => r"\z",
            Assert::Word => r"\b",
            Assert::NotWord => r"\B",
        }),
        Node::Atomic(_) | Node::Look { .. } | Node::Back { .. } | Node::Keep => return None,
    }
    Some(())
}

fn push_byte(byte: u8, out: &mut String) {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
    out.extend(['\\', 'x', digit(byte >> 4), digit(byte)]);
}

/// The set's ASCII members.
fn write_set(set: &Set, out: &mut String) {
    let class = Class::of(set);
    out.push_str("[[a&&b]");
    for byte in 0..128u8 {
        if class.table[usize::from(byte)] {
            push_byte(byte, out);
        }
    }
    out.push(']');
}

fn can_be_empty(node: &Node) -> bool {
    match node {
        Node::Empty | Node::Assert(_) | Node::Look { .. } | Node::Back { .. } | Node::Keep => true,
        Node::Byte(_) | Node::Char { .. } | Node::Set(_) => false,
        Node::Concat(nodes) => nodes.iter().all(can_be_empty),
        Node::Alternate(nodes) => nodes.iter().any(can_be_empty),
        Node::Repeat { node, min, .. } => *min == 0 || can_be_empty(node),
        Node::Group { node, .. } | Node::Atomic(node) => can_be_empty(node),
    }
}
