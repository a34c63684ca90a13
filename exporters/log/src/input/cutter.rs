//! A stream of bytes cut into whole lines.

use super::batch::{FULL, LONGEST_LINE};
use std::io::{self, Read};

/// Keeps the beginning of a line whose end has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    carry: Vec<u8>,
    /// The rest of a line that was too long is dropped. Nothing is carried then.
    skipping: bool,
    cut: u64,
}

impl Cutter {
    /// Reads once and leaves whole lines in `text`, each with its newline; what stands behind the last newline of the
    /// input gets one. `true` at the end.
    pub(crate) fn read(&mut self, input: &mut impl Read, text: &mut Vec<u8>) -> io::Result<bool> {
        text.clear();
        text.append(&mut self.carry);
        let start = text.len();
        text.resize(start + FULL, 0);
        let got = match input.read(&mut text[start..]) {
            Ok(got) => got,
            Err(e) => {
                text.truncate(start);
                self.carry.append(text);
                return Err(e);
            }
        };
        text.truncate(start + got);
        if got == 0 {
            if !text.is_empty() {
                text.push(b'\n');
            }
            return Ok(true);
        }
        if self.skipping {
            let Some(newline) = memchr::memchr(b'\n', text) else {
                text.clear();
                return Ok(false);
            };
            text.drain(..=newline);
            self.skipping = false;
        }
        self.divide(text, start);
        Ok(false)
    }

    fn divide(&mut self, text: &mut Vec<u8>, start: usize) {
        let start = start.min(text.len());
        match memchr::memrchr(b'\n', &text[start..]) {
            Some(newline) => {
                let end = start + newline + 1;
                self.carry.extend_from_slice(&text[end..]);
                text.truncate(end);
                let first = if end > LONGEST_LINE { memchr::memchr(b'\n', text).unwrap_or(end) } else { 0 };
                if first > LONGEST_LINE {
                    text.drain(LONGEST_LINE..first);
                    self.cut += 1;
                }
            }
            None if text.len() < LONGEST_LINE => self.carry.append(text),
            None => {
                text.truncate(LONGEST_LINE);
                text.push(b'\n');
                self.skipping = true;
                self.cut += 1;
            }
        }
    }

    /// Lines that lost their end since last asked.
    pub(crate) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives its bytes in pieces of a size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<u8>>, u64) {
        let (mut cutter, mut input, mut text) = (Cutter::default(), Pieces(bytes, piece), Vec::new());
        let mut lines = Vec::new();
        loop {
            let end = cutter.read(&mut input, &mut text).unwrap();
            assert!(text.is_empty() || text.ends_with(b"\n"));
            lines.extend(text.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec));
            if end {
                return (lines, cutter.take_cut());
            }
        }
    }

    #[test]
    fn a_long_line_loses_its_end() {
        for (long, piece) in [(LONGEST_LINE + 1, 50_000), (3 * LONGEST_LINE, FULL), (LONGEST_LINE + 9, 65_537)] {
            let mut bytes = b"a\n".to_vec();
            bytes.extend(vec![b'x'; long]);
            bytes.extend(b"\nb\n");
            let (lines, cut) = read(&bytes, piece);
            let lengths: Vec<usize> = lines.iter().map(Vec::len).collect();
            assert_eq!((lengths, cut), (vec![2, LONGEST_LINE + 1, 2], 1), "{long} {piece}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn no_byte_is_lost(text in "[ab\n]{0,60}", piece in 1_usize..9) {
            let (lines, cut) = read(text.as_bytes(), piece);
            let mut expected = text.clone();
            if !expected.is_empty() && !expected.ends_with('\n') {
                expected.push('\n');
            }
            prop_assert_eq!((lines.concat(), cut), (expected.into_bytes(), 0));
        }
    }
}
