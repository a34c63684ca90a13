//! The wire format.

use super::{Field, Sink};

/// Appends a message's fields.
pub(super) struct Binary<'a>(pub(super) &'a mut Vec<u8>);

impl Binary<'_> {
    fn key(&mut self, field: Field, wire: u64) {
        write_varint(u64::from(field.0) << 3 | wire, self.0);
    }
}

impl Sink for Binary<'_> {
    fn string(&mut self, field: Field, text: &[u8]) {
        self.key(field, LENGTH);
        write_varint(text.len() as u64, self.0);
        self.0.extend_from_slice(text);
    }

    fn double(&mut self, field: Field, v: f64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&v.to_le_bytes());
    }

    fn uint(&mut self, field: Field, v: u64) {
        self.key(field, VARINT);
        write_varint(v, self.0);
    }

    fn int(&mut self, field: Field, v: i64) {
        self.uint(field, v as u64);
    }

    fn sint(&mut self, field: Field, v: i64) {
        self.uint(field, (v << 1 ^ v >> 63) as u64);
    }

    fn choice(&mut self, field: Field, number: u64, _word: &str) {
        self.uint(field, number);
    }

    fn message(&mut self, field: Field, fill: impl FnOnce(&mut Self)) {
        self.key(field, LENGTH);
        let start = self.0.len();
        fill(self);
        prefix_length(start, self.0);
    }
}

/// Puts the length of what stands behind `start` in front of it: one move, short for nearly all messages.
pub(super) fn prefix_length(start: usize, out: &mut Vec<u8>) {
    let end = out.len();
    write_varint((end - start) as u64, out);
    let width = out.len() - end;
    out[start..].rotate_right(width);
}

fn write_varint(mut v: u64, out: &mut Vec<u8>) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub(super) const VARINT: u64 = 0;
pub(super) const FIXED64: u64 = 1;
pub(super) const LENGTH: u64 = 2;
