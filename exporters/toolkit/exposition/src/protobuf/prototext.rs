//! Protobuf's text form as Go's `prototext` prints it, without the blanks that it strews in at random.

use super::{Field, Sink};
use crate::number::write_float;

/// Appends a message's fields as text.
pub(super) struct Prototext<'a> {
    out: &'a mut Vec<u8>,
    /// Depth of the indented form; the compact one has none.
    depth: Option<usize>,
    /// Where this message's fields start.
    start: usize,
}

impl<'a> Prototext<'a> {
    pub(super) fn indented(out: &'a mut Vec<u8>) -> Self {
        Self { start: out.len(), out, depth: Some(0) }
    }

    pub(super) fn compact(out: &'a mut Vec<u8>) -> Self {
        Self { start: out.len(), out, depth: None }
    }

    fn name(&mut self, field: Field) {
        match self.depth {
            Some(depth) => self.indent(depth),
            None if self.out.len() > self.start => self.out.push(b' '),
            None => {}
        }
        self.out.extend_from_slice(field.1.as_bytes());
        self.out.push(b':');
        if self.depth.is_some() {
            self.out.push(b' ');
        }
    }

    fn indent(&mut self, depth: usize) {
        self.out.extend(std::iter::repeat_n(b' ', 2 * depth));
    }

    fn end(&mut self) {
        if self.depth.is_some() {
            self.out.push(b'\n');
        }
    }

    fn number(&mut self, field: Field, v: impl itoa::Integer) {
        self.name(field);
        self.out.extend_from_slice(itoa::Buffer::new().format(v).as_bytes());
        self.end();
    }
}

impl Sink for Prototext<'_> {
    fn string(&mut self, field: Field, text: &[u8]) {
        self.name(field);
        self.out.push(b'"');
        for c in String::from_utf8_lossy(text).chars() {
            match c {
                '"' => self.out.extend_from_slice(b"\\\""),
                '\\' => self.out.extend_from_slice(b"\\\\"),
                '\n' => self.out.extend_from_slice(b"\\n"),
                '\r' => self.out.extend_from_slice(b"\\r"),
                '\t' => self.out.extend_from_slice(b"\\t"),
                '\0'..='\x1f' | '\x7f' => {
                    self.out.extend_from_slice(format!("\\x{:02x}", u32::from(c)).as_bytes());
                }
                '\u{80}'..='\u{9f}' => self.out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
                c => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.out.push(b'"');
        self.end();
    }

    fn double(&mut self, field: Field, v: f64) {
        self.name(field);
        if v.is_nan() {
            self.out.extend_from_slice(b"nan");
        } else if v.is_infinite() {
            self.out.extend_from_slice(if v > 0.0 { b"inf" } else { b"-inf" });
        } else {
            if v == 0.0 && v.is_sign_negative() {
                self.out.push(b'-');
            }
            write_float(v, self.out);
        }
        self.end();
    }

    fn uint(&mut self, field: Field, v: u64) {
        self.number(field, v);
    }

    fn int(&mut self, field: Field, v: i64) {
        self.number(field, v);
    }

    fn sint(&mut self, field: Field, v: i64) {
        self.number(field, v);
    }

    fn choice(&mut self, field: Field, _number: u64, word: &str) {
        self.name(field);
        self.out.extend_from_slice(word.as_bytes());
        self.end();
    }

    fn message(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        self.name(field);
        self.out.push(b'{');
        if let Some(depth) = self.depth {
            self.out.push(b'\n');
            self.depth = Some(depth + 1);
            fill(self);
            self.depth = Some(depth);
            self.indent(depth);
        } else {
            let outer = std::mem::replace(&mut self.start, self.out.len());
            fill(self);
            self.start = outer;
        }
        self.out.push(b'}');
        self.end();
    }
}
