//! Ruby's regular expressions, as Oniguruma reads them, into a tree.

use super::class::{Item, Kind, Set, digit};

/// What a pattern consists of.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Empty,
    Byte(u8),
    Char {
        char: char,
        fold: bool,
    },
    Set(Set),
    Concat(Vec<Node>),
    Alternate(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: u32,
        max: Option<u32>,
        greed: Greed,
    },
    /// A group that captures, by its number from 1.
    Group {
        index: usize,
        node: Box<Node>,
    },
    Atomic(Box<Node>),
    Look {
        ahead: bool,
        negative: bool,
        node: Box<Node>,
    },
    Assert(Assert),
    /// Any of these groups, the last first.
    Back {
        groups: Vec<usize>,
        fold: bool,
    },
    /// `\K`: the match begins here.
    Keep,
}

/// In which order a repetition is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Greed {
    Greedy,
    Lazy,
    Possessive,
}

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assert {
    LineStart,
    LineEnd,
    TextStart,
    TextEnd,
    /// The end, or before the newline at the end.
    LastLineEnd,
    Word,
    NotWord,
}

/// A pattern's tree and the names of its groups.
#[derive(Clone, Debug)]
pub(crate) struct Parsed {
    pub(crate) node: Node,
    /// By group number; 0 is the whole match.
    pub(crate) names: Vec<Option<String>>,
}

/// Reads a pattern.
pub(crate) fn parse(text: &str) -> Result<Parsed, String> {
    let chars: Vec<char> = text.chars().collect();
    let named = names(&chars);
    let has_names = !named.is_empty();
    let mut parser =
        Parser { chars, at: 0, depth: 0, has_names, names: vec![None], groups: named, options: Options::default() };
    let node = parser.alternation()?;
    if parser.at < parser.chars.len() {
        return Err("unmatched close parenthesis".into());
    }
    Ok(Parsed { node, names: parser.names })
}

#[derive(Clone, Copy, Default)]
struct Options {
    fold: bool,
    dot_all: bool,
    extended: bool,
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    has_names: bool,
    names: Vec<Option<String>>,
    /// All named groups in order, found beforehand: references may come first.
    groups: Vec<String>,
    options: Options,
}

const MAX_DEPTH: usize = 250;
const MAX_STACKED: usize = 20;
const MAX_REPEAT: u32 = 100_000;

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn take(&mut self, text: &str) -> bool {
        let len = text.chars().count();
        let here = self.chars.get(self.at..self.at + len);
        let same = here.is_some_and(|here| here.iter().copied().eq(text.chars()));
        if same {
            self.at += len;
        }
        same
    }

    /// Up to `end`, which is eaten.
    fn until(&mut self, end: char) -> Option<String> {
        let len = self.chars[self.at..].iter().position(|char| *char == end)?;
        let text = self.chars[self.at..self.at + len].iter().collect();
        self.at += len + 1;
        Some(text)
    }

    fn alternation(&mut self) -> Result<Node, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("groups are nested too deeply".into());
        }
        let mut branches = vec![self.concat()?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.concat()?);
        }
        self.depth -= 1;
        Ok(if branches.len() == 1 { branches.remove(0) } else { Node::Alternate(branches) })
    }

    fn concat(&mut self) -> Result<Node, String> {
        let mut nodes = Vec::new();
        while let Some(char) = self.peek() {
            if matches!(char, '|' | ')') {
                break;
            }
            if self.options.extended && (char.is_ascii_whitespace() || char == '#') {
                self.at += 1;
                while char == '#' && self.next().is_some_and(|char| char != '\n') {}
                continue;
            }
            let Some(atom) = self.atom()? else { continue };
            nodes.push(self.repeats(atom)?);
        }
        Ok(match nodes.len() {
            0 => Node::Empty,
            1 => nodes.remove(0),
            _ => Node::Concat(nodes),
        })
    }

    /// Quantifiers after an atom; more than one may follow.
    fn repeats(&mut self, mut node: Node) -> Result<Node, String> {
        let mut stacked = 0;
        loop {
            while self.options.extended && self.peek().is_some_and(|char| char.is_ascii_whitespace()) {
                self.at += 1;
            }
            let (min, max, braces) = match self.peek() {
                Some('*') => (0, None, false),
                Some('+') => (1, None, false),
                Some('?') => (0, Some(1), false),
                Some('{') => match self.interval()? {
                    Some((min, max)) => (min, max, true),
                    None => return Ok(node),
                },
                _ => return Ok(node),
            };
            if !braces {
                self.at += 1;
            }
            let mut greed = Greed::Greedy;
            // Ruby: `a{3}?` is an optional `a{3}`, and `+` after braces is one more repetition.
            if self.peek() == Some('?') && !(braces && max == Some(min)) {
                self.at += 1;
                greed = Greed::Lazy;
            } else if self.peek() == Some('+') && !braces {
                self.at += 1;
                greed = Greed::Possessive;
            }
            stacked += 1;
            if stacked > MAX_STACKED {
                return Err("too many quantifiers on one another".into());
            }
            node = match node {
                // `(?:a*)*` and the like of bare quantifiers: one is enough.
                Node::Repeat { node: inner, min: 0 | 1, max: None, greed: Greed::Greedy }
                    if max.is_none() && min <= 1 && greed == Greed::Greedy && inner.is_single() =>
                {
                    Node::Repeat { node: inner, min: 0, max: None, greed }
                }
                Node::Assert(_) | Node::Look { .. } | Node::Empty if min == 0 => Node::Empty,
                Node::Assert(_) | Node::Look { .. } | Node::Empty => node,
                _ => Node::Repeat { node: Box::new(node), min, max, greed },
            };
        }
    }

    /// `{n,m}` and its forms; anything else is a plain brace, which is left.
    fn interval(&mut self) -> Result<Option<(u32, Option<u32>)>, String> {
        let start = self.at;
        self.at += 1;
        let low = self.number();
        let (low, high) = if self.take(",") {
            let high = self.number();
            if low.is_none() && high.is_none() {
                self.at = start;
                return Ok(None);
            }
            (low.unwrap_or(0), high)
        } else {
            let Some(low) = low else {
                self.at = start;
                return Ok(None);
            };
            (low, Some(low))
        };
        if !self.take("}") {
            self.at = start;
            return Ok(None);
        }
        if low > MAX_REPEAT || high.is_some_and(|high| high > MAX_REPEAT) {
            return Err("too big number in a repeat range".into());
        }
        // Oniguruma turns the bounds of `{5,2}` round.
        Ok(Some(match high {
            Some(high) if high < low => (high, Some(low)),
            high => (low, high),
        }))
    }

    fn number(&mut self) -> Option<u32> {
        let start = self.at;
        let mut number = 0u32;
        while let Some(digit) = self.peek().and_then(|char| char.to_digit(10)) {
            number = number.saturating_mul(10).saturating_add(digit);
            self.at += 1;
        }
        (self.at > start).then_some(number)
    }

    /// One thing that a quantifier may follow; `None` for a comment.
    fn atom(&mut self) -> Result<Option<Node>, String> {
        let Some(char) = self.next() else { return Ok(None) };
        Ok(Some(match char {
            '(' => return self.group(),
            '[' => Node::Set(self.set()?),
            '.' => Node::Set(Set::dot(self.options.dot_all)),
            '^' => Node::Assert(Assert::LineStart),
            '$' => Node::Assert(Assert::LineEnd),
            '\\' => self.escape()?,
            '*' | '+' | '?' => return Err("target of repeat operator is not specified".into()),
            '{' => {
                self.at -= 1;
                if self.interval()?.is_some() {
                    return Err("target of repeat operator is not specified".into());
                }
                self.at += 1;
                self.char('{')
            }
            char => self.char(char),
        }))
    }

    fn char(&self, char: char) -> Node {
        Node::Char { char, fold: self.options.fold && super::class::other_cases(char).next().is_some() }
    }

    fn group(&mut self) -> Result<Option<Node>, String> {
        let outer = self.options;
        let node = if !self.take("?") {
            let index = (!self.has_names).then(|| self.number_group(None));
            let node = Box::new(self.alternation()?);
            match index {
                Some(index) => Node::Group { index, node },
                None => *node,
            }
        } else if self.take("#") {
            self.until(')').ok_or("end pattern in group")?;
            return Ok(None);
        } else if self.take(":") {
            self.alternation()?
        } else if self.take(">") {
            Node::Atomic(Box::new(self.alternation()?))
        } else if self.take("=") {
            self.look(true, false)?
        } else if self.take("!") {
            self.look(true, true)?
        } else if self.take("<=") {
            self.look(false, false)?
        } else if self.take("<!") {
            self.look(false, true)?
        } else if self.take("<") {
            self.named('>')?
        } else if self.take("'") {
            self.named('\'')?
        } else {
            return self.set_options(outer).map(Some);
        };
        self.options = outer;
        if !self.take(")") {
            return Err("end pattern with unmatched parenthesis".into());
        }
        Ok(Some(node))
    }

    fn look(&mut self, ahead: bool, negative: bool) -> Result<Node, String> {
        Ok(Node::Look { ahead, negative, node: Box::new(self.alternation()?) })
    }

    fn named(&mut self, end: char) -> Result<Node, String> {
        let name = self.until(end).ok_or("end pattern in group name")?;
        if name.is_empty() || name.contains([')', '(']) {
            return Err(format!("invalid group name <{name}>"));
        }
        let index = self.number_group(Some(name));
        Ok(Node::Group { index, node: Box::new(self.alternation()?) })
    }

    fn number_group(&mut self, name: Option<String>) -> usize {
        self.names.push(name);
        self.names.len() - 1
    }

    /// `(?i)` to the end of the group around it, or `(?i:…)`.
    fn set_options(&mut self, outer: Options) -> Result<Node, String> {
        let mut on = true;
        loop {
            match self.next() {
                Some('-') => on = false,
                Some('i') => self.options.fold = on,
                Some('m') => self.options.dot_all = on,
                Some('x') => self.options.extended = on,
                Some(':') => break,
                // Ruby: what follows, alternatives too, is a group of its own.
                Some(')') => {
                    let node = self.alternation()?;
                    self.options = outer;
                    return Ok(node);
                }
                None => return Err("end pattern in group".into()),
                _ => return Err("undefined group option".into()),
            }
        }
        let node = self.alternation()?;
        self.options = outer;
        if !self.take(")") {
            return Err("end pattern with unmatched parenthesis".into());
        }
        Ok(node)
    }

    fn escape(&mut self) -> Result<Node, String> {
        let Some(char) = self.peek() else { return Err("end pattern at escape".into()) };
        if let Some(item) = self.shorthand()? {
            return Ok(Node::Set(Set::of(item)));
        }
        self.at += 1;
        Ok(match char {
            'A' => Node::Assert(Assert::TextStart),
            'z' => Node::Assert(Assert::TextEnd),
            'Z' => Node::Assert(Assert::LastLineEnd),
            'b' => Node::Assert(Assert::Word),
            'B' => Node::Assert(Assert::NotWord),
            'K' => Node::Keep,
            'R' => Node::Atomic(Box::new(Node::Alternate(vec![
                Node::Concat(vec![Node::Byte(b'\r'), Node::Byte(b'\n')]),
                Node::Set(Set {
                    items: vec![
                        Item::Range('\n', '\r'),
                        Item::Range('\u{85}', '\u{85}'),
                        Item::Range('\u{2028}', '\u{2029}'),
                    ],
                    ..Set::default()
                }),
            ]))),
            'k' => self.back_reference()?,
            'g' => return Err("subexpression calls (\\g) are not supported".into()),
            'G' | 'X' => return Err(format!("\\{char} is not supported")),
            '1'..='9' => {
                self.at -= 1;
                let start = self.at;
                let number = self.number().unwrap_or(0) as usize;
                if self.has_names {
                    return Err("numbered backref/call is not allowed. (use name)".into());
                }
                if number > 9 && number > self.plain_groups() {
                    self.at = start;
                    return self.octal(char);
                }
                self.numbered(number)?
            }
            _ => {
                self.at -= 1;
                match self.code()? {
                    Code::Char(char) => self.char(char),
                    Code::Byte(byte) => Node::Byte(byte),
                }
            }
        })
    }

    fn octal(&mut self, first: char) -> Result<Node, String> {
        if first.to_digit(8).is_none() {
            return Err("invalid backref number".into());
        }
        let mut value = 0;
        for _ in 0..3 {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(8)) else { break };
            value = value * 8 + digit;
            self.at += 1;
        }
        Ok(Node::Byte(value as u8))
    }

    fn plain_groups(&self) -> usize {
        self.chars.windows(2).filter(|pair| pair[0] == '(' && pair[1] != '?').count()
    }

    fn numbered(&self, number: usize) -> Result<Node, String> {
        if number == 0 || number > self.plain_groups() {
            return Err("invalid backref number/name".into());
        }
        Ok(Node::Back { groups: vec![number], fold: self.options.fold })
    }

    fn back_reference(&mut self) -> Result<Node, String> {
        let end = match self.next() {
            Some('<') => '>',
            Some('\'') => '\'',
            _ => return Err("invalid backref number/name".into()),
        };
        let name = self.until(end).ok_or("invalid backref number/name")?;
        if let Ok(number) = name.parse::<i64>() {
            if self.has_names {
                return Err("numbered backref/call is not allowed. (use name)".into());
            }
            let number = if number < 0 { self.names.len() as i64 + number } else { number };
            return self.numbered(usize::try_from(number).unwrap_or(0));
        }
        let groups: Vec<usize> =
            self.groups.iter().enumerate().filter(|(_, group)| **group == name).map(|(i, _)| i + 1).collect();
        if groups.is_empty() {
            return Err(format!("undefined name <{name}> reference"));
        }
        Ok(Node::Back { groups, fold: self.options.fold })
    }

    /// `\d` and its kin, in and out of brackets. Nothing is eaten if it is none of them.
    fn shorthand(&mut self) -> Result<Option<Item>, String> {
        let Some(char) = self.peek() else { return Ok(None) };
        let item = match char {
            'd' | 'D' => digit(char == 'D'),
            's' | 'S' => Item::Kind(Kind::Space, char == 'S'),
            'w' | 'W' => Item::Kind(Kind::Word, char == 'W'),
            'h' | 'H' => Item::Kind(Kind::XDigit, char == 'H'),
            'p' | 'P' if self.chars.get(self.at + 1) == Some(&'{') => {
                self.at += 2;
                let name = self.until('}').ok_or("invalid character property name")?;
                let (name, inverted) = name.strip_prefix('^').map_or((&name[..], false), |name| (name, true));
                return property(name, (char == 'P') != inverted).map(Some);
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(item))
    }

    /// A character written as an escape.
    fn code(&mut self) -> Result<Code, String> {
        let Some(char) = self.next() else { return Err("end pattern at escape".into()) };
        Ok(Code::Char(match char {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\u{c}',
            'v' => '\u{b}',
            'a' => '\u{7}',
            'e' => '\u{1b}',
            'x' if self.take("{") => {
                let hex = self.until('}').ok_or("invalid code point value")?;
                let code = u32::from_str_radix(hex.trim(), 16).map_err(|_| "invalid code point value")?;
                char::from_u32(code).ok_or("invalid code point value")?
            }
            'x' => match self.hex(2) {
                Some(code) if code >= 0x80 => return Ok(Code::Byte(code as u8)),
                code => char::from(code.unwrap_or(0) as u8),
            },
            'u' => {
                let start = self.at;
                let code = self.hex(4).filter(|_| self.at == start + 4).ok_or("too short digits")?;
                char::from_u32(code).ok_or("invalid code point value")?
            }
            'c' => control(self.next().ok_or("end pattern at control")?),
            'C' if self.take("-") => control(self.next().ok_or("end pattern at control")?),
            'M' => return Err("\\M- is not supported".into()),
            '0'..='7' => {
                self.at -= 1;
                let mut value = 0;
                for _ in 0..3 {
                    let Some(digit) = self.peek().and_then(|char| char.to_digit(8)) else { break };
                    value = value * 8 + digit;
                    self.at += 1;
                }
                match value {
                    0..=0x7f => char::from(value as u8),
                    0x80..=0xff => return Ok(Code::Byte(value as u8)),
                    _ => return Err("too big number".into()),
                }
            }
            char => char,
        }))
    }

    fn hex(&mut self, most: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(16)) else { break };
            value = Some(value.unwrap_or(0) * 16 + digit);
            self.at += 1;
        }
        value
    }

    /// What stands after `[`, with its closing bracket.
    fn set(&mut self) -> Result<Set, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("brackets are nested too deeply".into());
        }
        let negated = self.take("^");
        let mut items = Vec::new();
        let mut parts: Vec<Set> = Vec::new();
        // A bracket at the start is a plain one if another one follows.
        if self.peek() == Some(']') {
            if !self.chars[self.at + 1..].contains(&']') {
                return Err("empty char-class".into());
            }
            self.at += 1;
            self.range(Code::Char(']'), &mut items)?;
        }
        loop {
            match self.next() {
                None => return Err("premature end of char-class".into()),
                Some(']') => break,
                Some('[') => {
                    if let Some(item) = self.posix()? {
                        items.push(item);
                    } else {
                        items.push(Item::Set(self.set()?));
                    }
                }
                Some('&') if self.take("&") => {
                    parts.push(Set { items: std::mem::take(&mut items), fold: self.options.fold, ..Set::default() });
                }
                Some('\\') => {
                    if let Some(item) = self.shorthand()? {
                        items.push(item);
                    } else if self.take("b") {
                        self.range(Code::Char('\u{8}'), &mut items)?;
                    } else {
                        let code = self.code()?;
                        self.range(code, &mut items)?;
                    }
                }
                Some(char) => self.range(Code::Char(char), &mut items)?,
            }
        }
        self.depth -= 1;
        Ok(Set { items, negated, and: parts, fold: self.options.fold })
    }

    /// A character of a set, or a range that begins with it.
    fn range(&mut self, low: Code, items: &mut Vec<Item>) -> Result<(), String> {
        let Code::Char(low) = low else {
            return Err("a byte above \\x7f in brackets is not supported: write the character".into());
        };
        let ahead = self.chars.get(self.at + 1).copied();
        if self.peek() != Some('-') || matches!(ahead, None | Some(']' | '[')) {
            items.push(Item::Range(low, low));
            return Ok(());
        }
        self.at += 1;
        let high = if self.take("\\") {
            if let Some(item) = self.shorthand()? {
                items.extend([Item::Range(low, low), Item::Range('-', '-'), item]);
                return Ok(());
            }
            match self.code()? {
                Code::Char(char) => char,
                Code::Byte(_) => return self.range(Code::Byte(0), items),
            }
        } else if ahead == Some('&') && self.chars.get(self.at + 1) == Some(&'&') {
            items.extend([Item::Range(low, low), Item::Range('-', '-')]);
            return Ok(());
        } else {
            self.at += 1;
            ahead.unwrap_or('-')
        };
        if high < low {
            return Err("empty range in char class".into());
        }
        items.push(Item::Range(low, high));
        Ok(())
    }

    /// `[:alpha:]` after its first bracket.
    fn posix(&mut self) -> Result<Option<Item>, String> {
        if self.peek() != Some(':') {
            return Ok(None);
        }
        let rest = &self.chars[self.at + 1..];
        let Some(len) = rest.windows(2).take(20).position(|pair| pair == [':', ']']) else { return Ok(None) };
        let name: String = rest[..len].iter().collect();
        let (name, inverted) = name.strip_prefix('^').map_or((&name[..], false), |name| (name, true));
        if !name.chars().all(|char| char.is_ascii_alphabetic()) {
            return Ok(None);
        }
        let item = property(name, inverted)?;
        self.at += len + 3;
        Ok(Some(item))
    }
}

impl Node {
    /// Whether it matches exactly one character.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self, Self::Set(_) | Self::Char { .. })
    }
}

#[derive(Clone, Copy)]
enum Code {
    Char(char),
    /// A byte that is part of no character.
    Byte(u8),
}

fn control(char: char) -> char {
    char::from(char as u8 & 0x1f)
}

fn property(name: &str, negated: bool) -> Result<Item, String> {
    let plain: String = name.chars().filter(|char| !matches!(char, ' ' | '_' | '-')).collect();
    let kind = match plain.to_ascii_lowercase().as_str() {
        "alnum" => Kind::Alnum,
        "alpha" | "alphabetic" | "l" | "letter" => Kind::Alpha,
        "any" => Kind::Any,
        "ascii" => Kind::Ascii,
        "blank" => Kind::Blank,
        "cntrl" | "cc" => Kind::Cntrl,
        "digit" | "nd" => return Ok(digit(negated)),
        "graph" => Kind::Graph,
        "lower" | "ll" | "lowercase" => Kind::Lower,
        "n" | "number" => Kind::Number,
        "print" => Kind::Print,
        "punct" | "p" | "punctuation" => Kind::Punct,
        "space" | "whitespace" => Kind::Space,
        "upper" | "lu" | "uppercase" => Kind::Upper,
        "word" => Kind::Word,
        "xdigit" => Kind::XDigit,
        _ => return Err(format!("invalid character property name {{{name}}}")),
    };
    Ok(Item::Kind(kind, negated))
}

/// Names of the groups in order, found without parsing: whether there is one decides what plain parentheses mean.
fn names(chars: &[char]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0usize;
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 1,
            '[' => {
                depth += 1;
                // A bracket right at the start is a member.
                let first = at + 1 + usize::from(chars.get(at + 1) == Some(&'^'));
                if chars.get(first) == Some(&']') && chars[first + 1..].contains(&']') {
                    at = first;
                }
            }
            ']' => depth = depth.saturating_sub(1),
            '(' if depth == 0 && chars.get(at + 1) == Some(&'?') => {
                let end = match (chars.get(at + 2), chars.get(at + 3)) {
                    (Some('<'), Some('=' | '!')) => None,
                    (Some('<'), _) => Some('>'),
                    (Some('\''), _) => Some('\''),
                    _ => None,
                };
                if let Some(end) = end {
                    names.push(chars[at + 3..].iter().take_while(|char| **char != end).collect());
                }
            }
            _ => {}
        }
        at += 1;
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ruby_refuses() {
        for bad in [
            "(",
            ")",
            "a)",
            "[",
            "[]",
            "[a",
            "*",
            "a|*",
            "(?P<n>a)",
            r"\k<n>",
            r"(?<n>a)(b)\2",
            r"\3",
            "[z-a]",
            "(?<n",
            "(?<>a)",
            r"\p{Klingon}",
            r"\",
            "(?q)",
            "{2}",
            "a{100001}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_ruby_takes() {
        for good in [
            "",
            "{",
            "a{",
            "a{,",
            "a{x}",
            "[]a]",
            "[^]a]",
            "[a-]",
            "[-a]",
            "[a&&[^b]]",
            "[[:alpha:]_]",
            r"[\]]",
            r"[\w-]",
            "(?#c)a",
            "(?i)a|b",
            "(?mix-i:a)",
            r"\x41\u0042\101",
            r"(a)\1",
            r"(?<n>a)\k<n>",
            "a{,3}",
            "a{3}?",
            "a++b?+",
            r"\h\H\R",
        ] {
            assert!(parse(good).is_ok(), "{good}: {:?}", parse(good).err());
        }
    }

    #[test]
    fn plain_groups_count_only_without_named_ones() {
        assert_eq!(parse("(a)(b)").unwrap().names.len(), 3);
        assert_eq!(parse("(a)(?<n>b)(c)").unwrap().names, [None, Some("n".to_owned())]);
        assert_eq!(parse("[(?<x>]()").unwrap().names.len(), 2);
    }
}
