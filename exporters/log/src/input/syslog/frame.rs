//! Messages on a TCP stream (RFC 6587): with their length in front, or each ended by a newline or a zero.

use crate::input::batch::LONGEST_LINE;

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Frames {
    held: Vec<u8>,
    state: State,
    cut: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the first byte of a message, which tells how it is framed.
    #[default]
    Start,
    /// Digits of a length.
    Length(usize),
    /// So many bytes are missing.
    Counted(usize),
    /// Until a newline.
    Line,
    /// The rest of a line that is too long.
    Skip,
}

impl Frames {
    /// Takes what came and gives whole messages. An error ends the connection: nobody knows where the next one begins.
    pub(super) fn take(&mut self, mut bytes: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<(), &'static str> {
        while let Some(&first) = bytes.first() {
            match self.state {
                State::Start => match first {
                    b'1'..=b'9' => self.state = State::Length(0),
                    b'\n' | b'\r' | 0 | b' ' => bytes = &bytes[1..],
                    _ => self.state = State::Line,
                },
                State::Length(so_far) => {
                    bytes = &bytes[1..];
                    self.state = match first {
                        b'0'..=b'9' => {
                            let length = so_far * 10 + usize::from(first - b'0');
                            if length > LONGEST_LINE {
                                return Err("a message is longer than allowed");
                            }
                            State::Length(length)
                        }
                        b' ' => State::Counted(so_far),
                        _ => return Err("a length is expected before a message"),
                    };
                }
                State::Counted(missing) => {
                    let (now, rest) = bytes.split_at(missing.min(bytes.len()));
                    bytes = rest;
                    self.held.extend_from_slice(now);
                    self.state = State::Counted(missing - now.len());
                    if missing == now.len() {
                        self.give(out);
                    }
                }
                State::Line => {
                    if let Some(end) = memchr::memchr2(b'\n', 0, bytes) {
                        self.hold(&bytes[..end]);
                        bytes = &bytes[end + 1..];
                        self.give(out);
                    } else {
                        self.hold(bytes);
                        bytes = &[];
                        if self.held.len() == LONGEST_LINE {
                            self.give(out);
                            self.state = State::Skip;
                        }
                    }
                }
                State::Skip => {
                    let end = memchr::memchr2(b'\n', 0, bytes);
                    bytes = end.map_or(&[], |end| &bytes[end + 1..]);
                    if end.is_some() {
                        self.state = State::Start;
                    }
                }
            }
        }
        Ok(())
    }

    fn hold(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE - self.held.len();
        if bytes.len() > room || (bytes.len() == room && !bytes.is_empty()) {
            self.cut += 1;
        }
        self.held.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn give(&mut self, out: &mut dyn FnMut(&[u8])) {
        let message = self.held.trim_ascii_end();
        if !message.is_empty() {
            out(message);
        }
        self.held.clear();
        self.held.shrink_to(64 << 10);
        self.state = State::Start;
    }

    /// Gives an unfinished line: the sender has hung up.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(&[u8])) {
        if self.state == State::Line {
            self.give(out);
        }
    }

    /// Messages that lost their end since last asked.
    pub(super) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8], piece: usize) -> (Vec<String>, bool) {
        let (mut frames, mut got) = (Frames::default(), Vec::new());
        let mut out = |f: &[u8]| got.push(String::from_utf8_lossy(f).into_owned());
        for piece in bytes.chunks(piece) {
            if frames.take(piece, &mut out).is_err() {
                return (got, false);
            }
        }
        frames.finish(&mut out);
        (got, true)
    }

    #[test]
    fn both_framings() {
        let bytes = b"<1>one\n5 <1>two7 <1>a\nb\n\n<1>three\0<1>end";
        for piece in 1..bytes.len() {
            let (got, good) = read(bytes, piece);
            assert_eq!(got, ["<1>one", "<1>tw", "o7 <1>a", "b", "<1>three", "<1>end"], "{piece}");
            assert!(good);
        }
        assert_eq!(read(b"6 <1>two7 <1>a\nb\n<2>x\n", 3).0, ["<1>two", "<1>a\nb", "<2>x"]);
        for wrong in [&b"99999999 x"[..], b"12x"] {
            assert!(!read(wrong, 1).1);
        }
    }

    #[test]
    fn a_long_line_is_cut() {
        let mut bytes = vec![b'<'; LONGEST_LINE + 100];
        bytes.extend(b"\n<1>next\n");
        let (mut frames, mut lengths) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(5000) {
            frames.take(piece, &mut |f| lengths.push(f.len())).unwrap();
        }
        assert_eq!((lengths, frames.take_cut()), (vec![LONGEST_LINE, 7], 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, piece in 1_usize..9) {
            read(&bytes, piece);
        }

        #[test]
        fn what_is_framed_comes_out(messages in proptest::collection::vec(("<[a-z]{1,9}", any::<bool>()), 0..6), piece in 1_usize..9) {
            let mut bytes = Vec::new();
            for (message, counted) in &messages {
                if *counted {
                    bytes.extend(format!("{} {message}", message.len()).bytes());
                } else {
                    bytes.extend(format!("{message}\n").bytes());
                }
            }
            let expected: Vec<String> = messages.into_iter().map(|(m, _)| m).collect();
            prop_assert_eq!(read(&bytes, piece), (expected, true));
        }
    }
}
