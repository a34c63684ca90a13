//! Text and bytes as Go's `%q` prints them.

use std::fmt::Write;

/// A quoted string.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(c, '"', &mut out);
        }
        for b in chunk.invalid() {
            hex('x', 2, u32::from(*b), &mut out);
        }
    }
    out.push('"');
    out
}

/// A quoted byte, taken as the character of that number.
pub(super) fn byte(b: u8) -> String {
    let mut out = String::from("'");
    push(char::from(b), '\'', &mut out);
    out.push('\'');
    out
}

fn push(c: char, quote: char, out: &mut String) {
    match c {
        '\\' => out.push_str("\\\\"),
        c if c == quote => {
            out.push('\\');
            out.push(c);
        }
        '\x07' => out.push_str("\\a"),
        '\x08' => out.push_str("\\b"),
        '\x0c' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\x0b' => out.push_str("\\v"),
        '\0'..='\x1f' | '\x7f' => hex('x', 2, u32::from(c), out),
        c if c.is_control() || (c.is_whitespace() && c != ' ') => hex('u', 4, u32::from(c), out),
        c => out.push(c),
    }
}

fn hex(letter: char, width: usize, n: u32, out: &mut String) {
    // A String takes whatever is written to it.
    let _ = write!(out, "\\{letter}{n:0width$x}");
}
