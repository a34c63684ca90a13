//! Frames of lumberjack version 2, all numbers big-endian:
//! `2W` count, `2J` sequence length JSON, `2C` length zlib(frames); the answer is `2A` sequence.

use flate2::{Decompress, FlushDecompress, Status};

/// What a peer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// So many events follow, then an acknowledgement is waited for.
    Window(u32),
    /// One event, with its number in the window.
    Event(u32, Vec<u8>),
}

/// Why a peer cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("no frame of lumberjack version 2")]
    Foreign,
    #[error("a frame is longer than allowed")]
    TooLong,
    #[error("a packed frame unpacks to more than allowed")]
    Bomb,
    #[error("a packed frame is damaged")]
    Packed,
    #[error("a packed frame within a packed frame")]
    Nested,
}

/// Puts frames together from what arrives.
pub(super) struct Decoder {
    plain: Frames,
    /// Frames out of the packed one that is being read.
    unpacked: Option<Unpacked>,
}

struct Unpacked {
    frames: Frames,
    inflate: Decompress,
    /// Packed bytes still to come.
    left: usize,
    /// Unpacked bytes so far.
    made: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { plain: Frames::default(), unpacked: None }
    }

    /// Takes bytes and gives the frames that they complete. Nothing can be understood after an error.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<Frame>) -> Result<(), FrameError> {
        self.plain.held.extend_from_slice(bytes);
        loop {
            if let Some(unpacked) = &mut self.unpacked {
                let piece = unpacked.left.min(self.plain.rest().len());
                let packed = &self.plain.held[self.plain.at..self.plain.at + piece];
                unpacked.take(packed, out)?;
                self.plain.at += piece;
                unpacked.left -= piece;
                if unpacked.left > 0 {
                    break;
                }
                if !unpacked.frames.rest().is_empty() {
                    return Err(FrameError::Packed);
                }
                self.unpacked = None;
            }
            match self.plain.next()? {
                Next::Frame(frame) => out.push(frame),
                Next::Packed(left) => {
                    let inflate = Decompress::new(true);
                    self.unpacked = Some(Unpacked { frames: Frames::default(), inflate, left, made: 0 });
                }
                Next::Wait => break,
            }
        }
        self.plain.compact();
        Ok(())
    }

    /// Whether it stands between two frames.
    pub(super) fn is_between(&self) -> bool {
        self.unpacked.is_none() && self.plain.rest().is_empty()
    }
}

impl Unpacked {
    fn take(&mut self, mut packed: &[u8], out: &mut Vec<Frame>) -> Result<(), FrameError> {
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            let before = self.inflate.total_in();
            let status = self.inflate.decompress_vec(packed, &mut piece, FlushDecompress::None);
            let status = status.map_err(|_| FrameError::Packed)?;
            let used = (self.inflate.total_in() - before) as usize;
            packed = &packed[used.min(packed.len())..];
            self.made += piece.len();
            if self.made > MOST_UNPACKED {
                return Err(FrameError::Bomb);
            }
            self.frames.held.extend_from_slice(&piece);
            loop {
                match self.frames.next()? {
                    Next::Frame(frame) => out.push(frame),
                    Next::Packed(_) => return Err(FrameError::Nested),
                    Next::Wait => break,
                }
            }
            self.frames.compact();
            if status == Status::StreamEnd {
                // What follows the stream within the frame means nothing.
                return Ok(());
            }
            if piece.is_empty() && used == 0 {
                return Ok(());
            }
        }
    }
}

/// Bytes that have come, and up to where they are understood.
#[derive(Default)]
struct Frames {
    held: Vec<u8>,
    at: usize,
}

enum Next {
    Frame(Frame),
    /// So many packed bytes follow.
    Packed(usize),
    Wait,
}

impl Frames {
    fn rest(&self) -> &[u8] {
        &self.held[self.at..]
    }

    fn next(&mut self) -> Result<Next, FrameError> {
        let rest = self.rest();
        let Some((kind, body)) = rest.split_first_chunk::<2>() else {
            return if rest.first().is_some_and(|b| *b != b'2') { Err(FrameError::Foreign) } else { Ok(Next::Wait) };
        };
        let number = |at: usize| body.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
        match kind {
            b"2W" => {
                let Some(count) = number(0) else { return Ok(Next::Wait) };
                self.at += 6;
                Ok(Next::Frame(Frame::Window(count)))
            }
            b"2C" => {
                let Some(length) = number(0) else { return Ok(Next::Wait) };
                if length as usize > MOST_PACKED {
                    return Err(FrameError::TooLong);
                }
                self.at += 6;
                Ok(Next::Packed(length as usize))
            }
            b"2J" => {
                let (Some(sequence), Some(length)) = (number(0), number(4)) else { return Ok(Next::Wait) };
                if length as usize > MOST_EVENT {
                    return Err(FrameError::TooLong);
                }
                let Some(json) = body.get(8..8 + length as usize) else { return Ok(Next::Wait) };
                let event = Frame::Event(sequence, json.to_vec());
                self.at += 10 + length as usize;
                Ok(Next::Frame(event))
            }
            _ => Err(FrameError::Foreign),
        }
    }

    /// Forgets what is understood.
    fn compact(&mut self) {
        self.held.drain(..self.at);
        self.at = 0;
        if self.held.is_empty() {
            self.held.shrink_to(64 << 10);
        }
    }
}

/// The frame that acknowledges events up to this one.
pub(super) fn acknowledge(sequence: u32) -> [u8; 6] {
    let [a, b, c, d] = sequence.to_be_bytes();
    [b'2', b'A', a, b, c, d]
}

/// The most JSON of one event: what Filebeat sends at most.
const MOST_EVENT: usize = 10 << 20;
/// The most packed bytes of one frame.
const MOST_PACKED: usize = 32 << 20;
/// The most that one packed frame may become.
const MOST_UNPACKED: usize = 128 << 20;
/// Unpacked at once.
const PIECE: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn window(count: u32) -> Vec<u8> {
        [b"2W".as_slice(), &count.to_be_bytes()].concat()
    }

    fn event(sequence: u32, json: &[u8]) -> Vec<u8> {
        [b"2J".as_slice(), &sequence.to_be_bytes(), &(json.len() as u32).to_be_bytes(), json].concat()
    }

    fn packed(frames: &[u8]) -> Vec<u8> {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(frames).unwrap();
        let zlib = zlib.finish().unwrap();
        [b"2C".as_slice(), &(zlib.len() as u32).to_be_bytes(), &zlib].concat()
    }

    fn decode(bytes: &[u8], piece: usize) -> Result<Vec<Frame>, FrameError> {
        let (mut decoder, mut out) = (Decoder::new(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            decoder.take(piece, &mut out)?;
        }
        Ok(out)
    }

    #[test]
    fn a_window_in_any_pieces() {
        let mut bytes = window(3);
        bytes.extend(packed(&[event(1, b"{}"), event(2, br#"{"message":"b"}"#)].concat()));
        bytes.extend(event(3, b"[]"));
        bytes.extend(window(0));
        let expected = vec![
            Frame::Window(3),
            Frame::Event(1, b"{}".to_vec()),
            Frame::Event(2, br#"{"message":"b"}"#.to_vec()),
            Frame::Event(3, b"[]".to_vec()),
            Frame::Window(0),
        ];
        for piece in 1..bytes.len() {
            assert_eq!(decode(&bytes, piece).as_ref(), Ok(&expected), "{piece}");
        }
        assert_eq!(acknowledge(3), *b"2A\0\0\0\x03");
    }

    #[test]
    fn what_is_hostile_is_refused() {
        assert_eq!(decode(b"GET / HTTP/1.1", 3), Err(FrameError::Foreign));
        assert_eq!(decode(b"1W\0\0\0\x01", 1), Err(FrameError::Foreign));
        assert_eq!(decode(b"2J\0\0\0\x01\xff\xff\xff\xff", 4), Err(FrameError::TooLong));
        assert_eq!(decode(b"2C\xff\xff\xff\xff", 4), Err(FrameError::TooLong));
        assert_eq!(decode(b"2C\0\0\0\x05hello", 4), Err(FrameError::Packed));
        assert_eq!(decode(&packed(&packed(&window(1))), 9), Err(FrameError::Nested));
        assert_eq!(decode(&packed(b"2J\0\0"), 9), Err(FrameError::Packed), "a frame cut off");
        let bomb = packed(&event(1, &vec![b' '; MOST_EVENT]).repeat(14));
        assert!(bomb.len() < 2 << 20);
        assert_eq!(decode(&bomb, 8192).map(|f| f.len()), Err(FrameError::Bomb));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, likely in proptest::collection::vec(
            prop_oneof![Just(b'2'), Just(b'W'), Just(b'J'), Just(b'C'), Just(0_u8), 0_u8..20], 0..60), piece in 1_usize..20) {
            let _ = decode(&bytes, piece);
            let _ = decode(&likely, piece);
            let mut framed = b"2C\0\0\0".to_vec();
            framed.push(bytes.len() as u8);
            framed.extend(&bytes);
            let _ = decode(&framed, piece);
        }

        #[test]
        fn what_is_sent_comes_out(events in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()), 0..8), piece in 1_usize..50) {
            let mut bytes = window(events.len() as u32);
            let mut expected = vec![Frame::Window(events.len() as u32)];
            for (sequence, json, pack) in events {
                let frame = event(sequence, &json);
                bytes.extend(if pack { packed(&frame) } else { frame });
                expected.push(Frame::Event(sequence, json));
            }
            prop_assert_eq!(decode(&bytes, piece), Ok(expected));
        }
    }
}
