//! `gsub`: every match replaced, as in Ruby.

use crate::pattern::{Memory, Regex};

/// A compiled regular expression to replace by.
#[derive(Debug)]
pub(super) struct Gsub {
    regex: Regex,
}

/// What a replacement consists of.
enum Piece<'a> {
    Text(&'a [u8]),
    Group(usize),
}

/// A result may be longer than the line by so much.
const MAX_LENGTH: usize = 1 << 22;

impl Gsub {
    pub(super) fn new(regex: &str) -> Result<Self, String> {
        let regex = Regex::new(regex, |_| true, true).map_err(|message| format!("gsub: regex {regex:?}: {message}"))?;
        Ok(Self { regex })
    }

    /// Checks a replacement that is known beforehand.
    pub(super) fn check(&self, replacement: &[u8]) -> Result<(), String> {
        self.pieces(replacement).map(|_| ())
    }

    /// Appends `text` with every match replaced.
    pub(super) fn replace(&self, text: &[u8], replacement: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let pieces = self.pieces(replacement)?;
        let mut memory = Memory::default();
        let mut steps = Regex::steps(text.len());
        let mut at = 0;
        let limit = out.len() + text.len() + MAX_LENGTH;
        while at <= text.len() {
            let found = self.regex.search_within(text, at, &mut memory, &mut steps);
            let Some((start, end)) = found.map_err(|error| format!("gsub: {error}"))?.then(|| memory.pair(0)).flatten()
            else {
                break;
            };
            let start = start.max(at);
            out.extend_from_slice(&text[at..start]);
            for piece in &pieces {
                match piece {
                    Piece::Text(text) => out.extend_from_slice(text),
                    Piece::Group(group) => {
                        if let Some((start, end)) = self.regex.pair(*group).and_then(|pair| memory.pair(pair)) {
                            out.extend_from_slice(&text[start..end]);
                        }
                    }
                }
            }
            if out.len() > limit {
                return Err("gsub: the result is too long".into());
            }
            at = end.max(start);
            if end <= start {
                // After an empty match the next character stays as it is.
                let Some(next) = text.get(at..).filter(|rest| !rest.is_empty()) else { return Ok(()) };
                let len = crate::pattern::char_len(next);
                out.extend_from_slice(&next[..len]);
                at += len;
            }
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
        Ok(())
    }

    fn pieces<'a>(&self, replacement: &'a [u8]) -> Result<Vec<Piece<'a>>, String> {
        let mut pieces = Vec::new();
        let mut rest = replacement;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            pieces.push(Piece::Text(&rest[..at]));
            rest = &rest[at + 1..];
            match rest.first() {
                Some(b'\\') => {
                    pieces.push(Piece::Text(&rest[..1]));
                    rest = &rest[1..];
                }
                Some(b'0'..=b'9') => {
                    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    let number = std::str::from_utf8(&rest[..len]).ok().and_then(|digits| digits.parse().ok());
                    let group = number.filter(|group| *group < self.regex.len());
                    let text = String::from_utf8_lossy(&rest[..len]);
                    pieces.push(Piece::Group(group.ok_or_else(|| format!("gsub: no group \\{text} in the regex"))?));
                    rest = &rest[len..];
                }
                Some(b'k') if rest.get(1) == Some(&b'<') => {
                    let end = memchr::memchr(b'>', rest).ok_or("gsub: \\k<name> is not closed")?;
                    let name = String::from_utf8_lossy(&rest[2..end]);
                    let group =
                        self.regex.group(&name).ok_or_else(|| format!("gsub: no group <{name}> in the regex"))?;
                    pieces.push(Piece::Group(group));
                    rest = &rest[end + 1..];
                }
                _ => return Err("gsub: invalid escape in the replacement: \\1, \\k<name> or \\\\ is needed".into()),
            }
        }
        pieces.push(Piece::Text(rest));
        Ok(pieces)
    }
}
