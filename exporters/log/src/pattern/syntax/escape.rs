//! What a backslash begins.

use super::super::class::{Item, Kind, Set, digit};
use super::bracket::property;
use super::{Assert, Node, Parser};

impl Parser {
    pub(super) fn escape(&mut self) -> Result<Node, String> {
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
    pub(super) fn shorthand(&mut self) -> Result<Option<Item>, String> {
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
    pub(super) fn code(&mut self) -> Result<Code, String> {
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

    pub(super) fn hex(&mut self, most: usize) -> Option<u32> {
        let mut value = None;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(16)) else { break };
            value = Some(value.unwrap_or(0) * 16 + digit);
            self.at += 1;
        }
        value
    }
}

#[derive(Clone, Copy)]
pub(super) enum Code {
    Char(char),
    /// A byte that is part of no character.
    Byte(u8),
}

fn control(char: char) -> char {
    char::from(char as u8 & 0x1f)
}
