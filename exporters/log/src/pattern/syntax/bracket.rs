//! Sets between brackets, POSIX classes and properties.

use super::super::class::{Item, Kind, Set, digit};
use super::escape::Code;
use super::{MAX_DEPTH, Parser};

impl Parser {
    /// What stands after `[`, with its closing bracket.
    pub(super) fn set(&mut self) -> Result<Set, String> {
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

/// A kind of characters by its name in `[:…:]` or `\p{…}`.
pub(super) fn property(name: &str, negated: bool) -> Result<Item, String> {
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
