//! Sets of characters, tested on bytes: what stands between brackets, `\w` and its kin.

use regex_syntax::hir::{Class as HirClass, HirKind};

/// A set of characters, ready to be tested.
#[derive(Clone, Debug)]
pub(crate) struct Class {
    /// By byte: ASCII is decided here, other bytes when `wide` says the same of all of them.
    pub(crate) table: Box<[bool; 256]>,
    pub(crate) wide: Wide,
    /// All bytes that are not in, when they are at most three ASCII ones: then memchr finds the end of a run.
    pub(crate) stops: Stops,
}

/// What holds for characters beyond ASCII and for bytes that are no UTF-8.
#[derive(Clone, Debug)]
pub(crate) enum Wide {
    None,
    All,
    Some(Box<Set>),
}

/// The few bytes that end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stops {
    Many,
    Never,
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
}

impl Class {
    pub(crate) fn of(set: &Set) -> Self {
        let wide = match set.uniform() {
            Some(false) => Wide::None,
            Some(true) => Wide::All,
            None => Wide::Some(Box::new(set.clone())),
        };
        let mut table = Box::new([matches!(wide, Wide::All); 256]);
        for (byte, member) in (0u8..128).zip(table.iter_mut()) {
            *member = set.contains(Some(char::from(byte)));
        }
        let stops: Vec<u8> = (0..=255u8).filter(|byte| !table[usize::from(*byte)]).take(4).collect();
        let stops = match (&wide, &stops[..]) {
            (Wide::All, []) => Stops::Never,
            (Wide::All, [a]) => Stops::One(*a),
            (Wide::All, [a, b]) => Stops::Two(*a, *b),
            (Wide::All, [a, b, c]) => Stops::Three(*a, *b, *c),
            _ => Stops::Many,
        };
        Self { table, wide, stops }
    }

    /// Whether every character beyond ASCII is treated alike, so that runs can go by bytes.
    pub(crate) fn is_uniform(&self) -> bool {
        !matches!(self.wide, Wide::Some(_))
    }

    /// Length of the character at `at` if it is in the set.
    pub(crate) fn step(&self, line: &[u8], at: usize) -> Option<usize> {
        let byte = *line.get(at)?;
        if byte < 0x80 {
            return self.table[usize::from(byte)].then_some(1);
        }
        let (char, len) = decode(&line[at..]);
        match &self.wide {
            Wide::None => None,
            Wide::All => Some(len),
            Wide::Some(set) => set.contains(char).then_some(len),
        }
    }

    /// The bytes that a member can begin with.
    pub(crate) fn first(&self) -> First {
        let mut first = First::none();
        for byte in 0..=255u8 {
            let member = if byte < 0x80 { self.table[usize::from(byte)] } else { !matches!(self.wide, Wide::None) };
            if member {
                first.insert(byte);
            }
        }
        first
    }
}

/// A set as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Set {
    pub(crate) items: Vec<Item>,
    pub(crate) negated: bool,
    /// What stands after `&&`.
    pub(crate) and: Vec<Set>,
    /// Upper and lower case are the same.
    pub(crate) fold: bool,
}

/// Part of a set.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Item {
    Range(char, char),
    Kind(Kind, bool),
    /// Sorted ranges, and whether they are left out.
    Ranges(Vec<(char, char)>, bool),
    Set(Set),
}

/// Named kinds of characters, of POSIX brackets and `\p{…}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Alnum,
    Alpha,
    Any,
    Ascii,
    Blank,
    Cntrl,
    Graph,
    Lower,
    Number,
    Print,
    Punct,
    Space,
    Upper,
    Word,
    XDigit,
}

/// `\d`: every script's digits.
pub(crate) fn digit(negated: bool) -> Item {
    let ranges = regex_syntax::parse(r"\d").ok().and_then(|hir| match hir.into_kind() {
        HirKind::Class(HirClass::Unicode(class)) => {
            Some(class.ranges().iter().map(|range| (range.start(), range.end())).collect())
        }
        _ => None,
    });
    Item::Ranges(ranges.unwrap_or_default(), negated)
}

/// Whether `\w` holds the character.
pub(crate) fn is_word(char: char) -> bool {
    regex_syntax::try_is_word_character(char).unwrap_or_else(|_| char.is_alphanumeric())
}

impl Set {
    pub(crate) fn of(item: Item) -> Self {
        Self { items: vec![item], ..Self::default() }
    }

    /// Everything but the newline.
    pub(crate) fn dot(newline: bool) -> Self {
        if newline {
            return Self::of(Item::Kind(Kind::Any, false));
        }
        Self { negated: true, ..Self::of(Item::Range('\n', '\n')) }
    }

    /// Whether a character is in; `None` is a byte that belongs to no character, which only negated sets hold.
    pub(crate) fn contains(&self, char: Option<char>) -> bool {
        let within = self.items.iter().any(|item| item.contains(char, self.fold))
            && self.and.iter().all(|set| set.contains(char));
        within != self.negated
    }

    /// The answer for all that is not ASCII, if it is one.
    fn uniform(&self) -> Option<bool> {
        let mut own = Some(false);
        for item in &self.items {
            own = match (own, item.uniform(self.fold)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        for set in &self.and {
            own = match (own, set.uniform()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        own.map(|own| own != self.negated)
    }
}

impl Item {
    fn contains(&self, char: Option<char>, fold: bool) -> bool {
        if self.has(char) {
            return true;
        }
        let Some(char) = char.filter(|_| fold) else { return false };
        other_cases(char).any(|other| self.has(Some(other)))
    }

    fn has(&self, char: Option<char>) -> bool {
        match self {
            Self::Range(low, high) => char.is_some_and(|char| (*low..=*high).contains(&char)),
            Self::Kind(Kind::Any, negated) => !negated,
            Self::Kind(kind, negated) => char.is_some_and(|char| kind.has(char)) != *negated,
            Self::Ranges(ranges, negated) => {
                let within = char.is_some_and(|char| {
                    let after = ranges.partition_point(|range| range.1 < char);
                    ranges.get(after).is_some_and(|range| range.0 <= char)
                });
                within != *negated
            }
            Self::Set(set) => set.contains(char),
        }
    }

    fn uniform(&self, fold: bool) -> Option<bool> {
        match self {
            // Case folding reaches beyond ASCII: the Kelvin sign is a K.
            Self::Range(_, high) if high.is_ascii() => (!fold).then_some(false),
            Self::Kind(Kind::Any, negated) => Some(!negated),
            Self::Kind(Kind::Ascii | Kind::XDigit, negated) => Some(*negated),
            Self::Range(..) | Self::Kind(..) | Self::Ranges(..) => None,
            Self::Set(set) => set.uniform(),
        }
    }
}

impl Kind {
    fn has(self, char: char) -> bool {
        match self {
            Self::Alnum => char.is_alphanumeric(),
            Self::Alpha => char.is_alphabetic(),
            Self::Any => true,
            Self::Ascii => char.is_ascii(),
            Self::Blank => matches!(
                char,
                ' ' | '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
            ),
            Self::Cntrl => char.is_control(),
            Self::Graph => !char.is_whitespace() && !char.is_control(),
            Self::Lower => char.is_lowercase(),
            Self::Number => char.is_numeric(),
            Self::Print => !char.is_control() && !matches!(char, '\u{2028}' | '\u{2029}'),
            Self::Punct => {
                char.is_ascii_punctuation()
                    || matches!(char, '\u{a1}' | '\u{a7}' | '\u{ab}' | '\u{b6}' | '\u{b7}' | '\u{bb}' | '\u{bf}' | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}')
            }
            Self::Space => char.is_whitespace(),
            Self::Upper => char.is_uppercase(),
            Self::Word => is_word(char),
            Self::XDigit => char.is_ascii_hexdigit(),
        }
    }
}

/// The same letter in other cases.
pub(crate) fn other_cases(char: char) -> impl Iterator<Item = char> {
    let single = |mut cases: Box<dyn Iterator<Item = char>>| match (cases.next(), cases.next()) {
        (Some(other), None) if other != char => Some(other),
        _ => None,
    };
    let lower = single(Box::new(char.to_lowercase()));
    let upper = single(Box::new(char.to_uppercase()));
    let more = match char {
        'k' | 'K' => Some('\u{212a}'),
        's' | 'S' => Some('\u{17f}'),
        _ => None,
    };
    lower.into_iter().chain(upper).chain(more)
}

/// The character at the start of `bytes`, which are not empty, and its length; a byte that is none counts as one.
pub(crate) fn decode(bytes: &[u8]) -> (Option<char>, usize) {
    let Some(&lead) = bytes.first() else { return (None, 0) };
    let len = match lead {
        0..=0x7f => return (Some(char::from(lead)), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (None, 1),
    };
    match bytes.get(..len).and_then(|char| std::str::from_utf8(char).ok()).and_then(|char| char.chars().next()) {
        Some(char) => (Some(char), len),
        None => (None, 1),
    }
}

/// Whether a character begins at `at`, read from the start of the line.
pub(crate) fn is_boundary(line: &[u8], at: usize) -> bool {
    let Some(0x80..=0xbf) = line.get(at) else { return true };
    // A continuation byte is inside a character only if one of the three bytes before begins one that is long enough.
    (1..=3.min(at)).all(|back| decode(&line[at - back..]).1 <= back)
}

/// The start of the character before `at`.
pub(crate) fn before(line: &[u8], at: usize) -> Option<usize> {
    let mut start = at.checked_sub(1)?;
    while !is_boundary(line, start) {
        start -= 1;
    }
    Some(start)
}

/// A set of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First([u64; 4]);

impl First {
    pub(crate) fn none() -> Self {
        Self([0; 4])
    }

    pub(crate) fn all() -> Self {
        Self([u64::MAX; 4])
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own |= other;
        }
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(own, other)| own & other != 0)
    }

    pub(crate) fn is_all(&self) -> bool {
        self.0 == [u64::MAX; 4]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn perl(kind: Kind, negated: bool) -> Class {
        Class::of(&Set::of(Item::Kind(kind, negated)))
    }

    #[test]
    fn characters_beyond_ascii_are_known() {
        let word = perl(Kind::Word, false);
        assert_eq!(word.step("é".as_bytes(), 0), Some(2));
        assert_eq!(word.step("한".as_bytes(), 0), Some(3));
        assert_eq!(word.step("–".as_bytes(), 0), None);
        assert_eq!(word.step(b"\xe9t", 0), None);
        let space = perl(Kind::Space, true);
        assert_eq!(space.step(b"\xe9t", 0), Some(1), "a byte that is no character is no space");
        assert_eq!(space.step("\u{a0}".as_bytes(), 0), None);
    }

    #[test]
    fn runs_end_at_few_bytes_where_they_can() {
        assert_eq!(Class::of(&Set::dot(false)).stops, Stops::One(b'\n'));
        assert_eq!(Class::of(&Set::dot(true)).stops, Stops::Never);
        let quoted =
            Set { items: vec![Item::Range('"', '"'), Item::Range('\\', '\\')], negated: true, ..Set::default() };
        assert_eq!(Class::of(&quoted).stops, Stops::Two(b'"', b'\\'));
        assert_eq!(perl(Kind::Word, false).stops, Stops::Many);
    }

    #[test]
    fn boundaries_are_those_of_reading_from_the_start() {
        for line in [
            &b"a\xc3\xa9b"[..],
            b"\xe2\x82\xac\x80\x80",
            b"\xff\x80\xc3",
            b"\xf0\x9f\x98\x80\xe2\x82",
            "한글".as_bytes(),
        ] {
            let mut starts = vec![];
            let mut at = 0;
            while at < line.len() {
                starts.push(at);
                at += decode(&line[at..]).1;
            }
            for at in 0..line.len() {
                assert_eq!(is_boundary(line, at), starts.contains(&at), "{line:?} at {at}");
            }
        }
    }
}
