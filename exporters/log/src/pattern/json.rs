//! Fields of a JSON object, straight from the line.

use super::{Captures, PatternError};

/// Which members are wanted.
#[derive(Debug)]
pub(super) struct Json {
    wanted: Vec<Box<[u8]>>,
}

/// A wanted field and how much of its path leads to the object at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    field: usize,
    walked: usize,
}

/// Brackets inside brackets.
const MAX_DEPTH: usize = 512;

impl Json {
    pub(super) fn new(wanted: &[&str]) -> Result<Self, PatternError> {
        for (i, name) in wanted.iter().enumerate() {
            if wanted[..i].contains(name) {
                return Err(PatternError::Twice { field: (*name).into(), expr: "json".into() });
            }
        }
        Ok(Self { wanted: wanted.iter().map(|name| name.as_bytes().into()).collect() })
    }

    /// Whether the line is one JSON object; its members are captured.
    pub(super) fn matches<'l>(&self, line: &'l [u8], captures: &mut Captures<'l>, paths: &mut Vec<Path>) -> bool {
        captures.begin(line, self.wanted.len());
        paths.clear();
        paths.extend((0..self.wanted.len()).map(|field| Path { field, walked: 0 }));
        let mut scan = Scan { json: self, line, at: 0, captures, paths };
        scan.blanks();
        scan.peek() == Some(b'{') && scan.members(0).is_some() && {
            scan.blanks();
            scan.at == line.len()
        }
    }
}

struct Scan<'s, 'l> {
    json: &'s Json,
    line: &'l [u8],
    at: usize,
    captures: &'s mut Captures<'l>,
    paths: &'s mut Vec<Path>,
}

impl Scan<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// An object at whose brace we stand, whose paths are those from `active` on; or an array, by index.
    fn members(&mut self, active: usize) -> Option<()> {
        let list = self.peek()? == b'[';
        let close = if list { b']' } else { b'}' };
        self.at += 1;
        self.blanks();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        let mut index = 0usize;
        let mut number = itoa(0);
        loop {
            let inner = self.paths.len();
            if list {
                self.narrow(active, inner, number.as_bytes());
                index += 1;
                number = itoa(index);
            } else {
                self.blanks();
                let (start, end) = self.string()?;
                let key = &self.line[start..end];
                if memchr::memchr(b'\\', key).is_some() {
                    let mut plain = Vec::new();
                    decode(key, &mut plain);
                    self.narrow(active, inner, &plain);
                } else {
                    self.narrow(active, inner, key);
                }
                self.take(b':')?;
            }
            self.blanks();
            self.value(inner)?;
            self.paths.truncate(inner);
            self.blanks();
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// Adds the paths that go on below this key.
    fn narrow(&mut self, active: usize, until: usize, key: &[u8]) {
        for i in active..until {
            let Path { field, walked } = self.paths[i];
            let Some(rest) = self.json.wanted[field][walked..].strip_prefix(key) else { continue };
            match rest.first() {
                None => self.paths.push(Path { field, walked: walked + key.len() }),
                Some(b'.') => self.paths.push(Path { field, walked: walked + key.len() + 1 }),
                Some(_) => {}
            }
        }
    }

    /// A value, captured for the paths that end here and searched for the others.
    fn value(&mut self, active: usize) -> Option<()> {
        let start = self.at;
        let deeper = (active..self.paths.len()).any(|i| self.walked(i) < self.json.wanted[self.paths[i].field].len());
        if deeper && matches!(self.peek()?, b'{' | b'[') {
            self.members(active)?;
        } else {
            self.skip()?;
        }
        let end = self.at;
        for i in active..self.paths.len() {
            let Path { field, .. } = self.paths[i];
            if self.walked(i) != self.json.wanted[field].len() {
                continue;
            }
            match self.line[start] {
                b'"' => self.captures.set_string(field, start + 1, end - 1),
                b'n' => self.captures.set(field, start, start),
                _ => self.captures.set(field, start, end),
            }
        }
        Some(())
    }

    fn walked(&self, path: usize) -> usize {
        self.paths[path].walked
    }

    /// A string's bounds between its quotes.
    fn string(&mut self) -> Option<(usize, usize)> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            at += memchr::memchr2(b'"', b'\\', self.line.get(at..)?)?;
            if self.line[at] == b'"' {
                self.at = at + 1;
                return Some((start, at));
            }
            at += 2;
        }
    }

    /// Any value, without recursion.
    fn skip(&mut self) -> Option<()> {
        let mut open = [0u64; MAX_DEPTH / 64];
        let mut depth = 0usize;
        loop {
            self.blanks();
            match self.peek()? {
                b'"' => {
                    self.string()?;
                }
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    if depth == MAX_DEPTH {
                        return None;
                    }
                    let bit = 1 << (depth % 64);
                    open[depth / 64] = if bracket == b'{' { open[depth / 64] | bit } else { open[depth / 64] & !bit };
                    depth += 1;
                    self.blanks();
                    if self.peek()? == if bracket == b'{' { b'}' } else { b']' } {
                        self.at += 1;
                        depth -= 1;
                    } else {
                        if bracket == b'{' {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'-' | b'0'..=b'9' => {
                    let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                    self.at += self.line[self.at..].iter().take_while(|byte| digits(byte)).count();
                }
                _ => {
                    let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                    self.at += words.iter().find(|word| self.line[self.at..].starts_with(word))?.len();
                }
            }
            // After a value: out of the brackets that end here, then on to the next value.
            loop {
                if depth == 0 {
                    return Some(());
                }
                self.blanks();
                let object = open[(depth - 1) / 64] >> ((depth - 1) % 64) & 1 == 1;
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if object {
                            self.blanks();
                            self.key()?;
                        }
                        break;
                    }
                    close if close == if object { b'}' } else { b']' } => {
                        self.at += 1;
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    fn key(&mut self) -> Option<()> {
        self.string()?;
        self.take(b':')
    }
}

/// An index as it is written in a path.
fn itoa(index: usize) -> String {
    index.to_string()
}

/// A JSON string's text, from between its quotes.
pub(super) fn decode(mut text: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', text) {
        out.extend_from_slice(&text[..at]);
        let Some(escape) = text.get(at + 1) else { return };
        text = &text[at + 2..];
        let plain = match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let mut code = hex(text);
                text = text.get(4..).unwrap_or_default();
                // Beyond the first plane a character is two escapes.
                if let (Some(high @ 0xd800..0xdc00), true) = (code, text.starts_with(b"\\u"))
                    && let Some(low @ 0xdc00..0xe000) = hex(&text[2..])
                {
                    code = Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
                    text = text.get(6..).unwrap_or_default();
                }
                let char = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            other => *other,
        };
        out.push(plain);
    }
    out.extend_from_slice(text);
}

fn hex(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Captures, Matcher, Scratch};

    fn read(line: &[u8], wanted: &[&str]) -> Option<Vec<String>> {
        let mut captures = Captures::new();
        let found = Matcher::json(wanted).unwrap().matches(line, &mut captures, &mut Scratch::default()).unwrap();
        found.then(|| (0..wanted.len()).map(|i| String::from_utf8_lossy(captures.get(i)).into_owned()).collect())
    }

    #[test]
    fn members_by_path() {
        let line =
            br#" {"a":"x","n":10000001,"t":true,"z":null,"o":{"b":{"c":-1.50e3},"d":[{"e":"f"},7]},"dot.ted":"y"} "#;
        let wanted = ["a", "n", "t", "z", "o.b.c", "o.d.0.e", "o.d.1", "dot.ted", "gone", "o.b"];
        let want = ["x", "10000001", "true", "", "-1.50e3", "f", "7", "y", "", r#"{"c":-1.50e3}"#];
        assert_eq!(read(line, &wanted).unwrap(), want);
    }

    #[test]
    fn escapes_are_text() {
        let line = br#"{"a":"q\"\\\/\n\u00e9\ud83d\ude00\ud800x","k\u0065y":"v"}"#;
        assert_eq!(read(line, &["a", "key"]).unwrap(), ["q\"\\/\né😀\u{fffd}x", "v"]);
    }

    #[test]
    fn what_is_no_object_does_not_match() {
        for bad in [
            "",
            "1",
            "[]",
            "{",
            r#"{"a":1"#,
            r#"{"a" 1}"#,
            r#"{"a":1}x"#,
            r#"{"a":tru}"#,
            r#"{"a":[1}]}"#,
            r#"{"a":{"b":1]}"#,
            r#"{"a":"x}"#,
            r#"{"a":1,}"#,
            "{a:1}",
        ] {
            assert_eq!(read(bad.as_bytes(), &["a"]), None, "{bad}");
        }
    }

    #[test]
    fn hostile_nesting_is_refused_without_recursion() {
        let deep = [b"{\"a\":".as_slice(), &b"[".repeat(1 << 20)].concat();
        assert_eq!(read(&deep, &["a", "a.0.0"]), None);
        assert_eq!(read(&deep, &["b"]), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..60), text in "[{}\\[\\]\":,a1\\\\u. ]{0,40}") {
            read(&line, &["a", "a.a", "1.a"]);
            read(text.as_bytes(), &["a", "a.a", "1.a"]);
        }

        #[test]
        fn values_are_those_of_serde(a in "\\PC{0,20}", b in any::<i64>(), c in proptest::collection::vec(any::<bool>(), 0..4)) {
            let value = serde_json::json!({"x": c, "a": a, "o": {"b": b, "l": c}});
            let got = read(value.to_string().as_bytes(), &["a", "o.b", "o.l.0", "x"]).unwrap();
            prop_assert_eq!(&got[0], &a);
            prop_assert_eq!(&got[1], &b.to_string());
            prop_assert_eq!(&got[2], &c.first().map(bool::to_string).unwrap_or_default());
            prop_assert_eq!(&got[3], &value["x"].to_string());
        }
    }
}
