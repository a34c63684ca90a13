//! From a template's text to tokens.

/// What a template consists of before it is parsed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// A token and whether a blank stands before it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) spaced: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Name(String),
    /// `.name`
    Field(String),
    Dot,
    /// `$name`, or `$` alone.
    Variable(String),
    Text(Vec<u8>),
    Int(i64),
    Float(f64),
    Open,
    Close,
    Pipe,
    Comma,
    Declare,
    Assign,
}

/// Cuts a template into text and actions; comments and what trim markers take are gone.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut trim = false;
    loop {
        let Some(at) = rest.find("{{") else {
            let last = if trim { rest.trim_start_matches(BLANKS) } else { rest };
            push_text(last, &mut pieces);
            return Ok(pieces);
        };
        let (before, after) = rest.split_at(at);
        let before = if trim { before.trim_start_matches(BLANKS) } else { before };
        let mut action = &after[2..];
        let trims_left = action.strip_prefix('-').is_some_and(|after| after.starts_with(BLANKS));
        if trims_left {
            action = &action[1..];
        }
        push_text(if trims_left { before.trim_end_matches(BLANKS) } else { before }, &mut pieces);
        let body = action.trim_start_matches(BLANKS);
        if let Some(comment) = body.strip_prefix("/*") {
            let (_, after) = comment.split_once("*/").ok_or("unclosed comment")?;
            (rest, trim) = end(after).ok_or("comment ends before closing delimiter")?;
            continue;
        }
        let mut lexer = Lexer { rest: action, tokens: Vec::new() };
        (rest, trim) = loop {
            if let Some(end) = end(lexer.rest) {
                break end;
            }
            lexer.token()?;
        };
        pieces.push(Piece::Action(lexer.tokens));
    }
}

const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

fn push_text(text: &str, pieces: &mut Vec<Piece>) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

/// What comes after `}}` or ` -}}`, if the action ends here, and whether blanks there are trimmed.
fn end(text: &str) -> Option<(&str, bool)> {
    if let Some(after) = text.strip_prefix("}}") {
        return Some((after, false));
    }
    let marker = text.trim_start_matches(BLANKS);
    if let Some(after) = marker.strip_prefix("}}") {
        return Some((after, false));
    }
    let after = marker.strip_prefix("-}}").filter(|_| marker.len() < text.len())?;
    Some((after, true))
}

struct Lexer<'a> {
    rest: &'a str,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<(), String> {
        let trimmed = self.rest.trim_start_matches(BLANKS);
        let spaced = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        let Some(first) = self.rest.chars().next() else { return Err("unclosed action".into()) };
        let kind = match first {
            '(' => self.one(Kind::Open),
            ')' => self.one(Kind::Close),
            '|' => self.one(Kind::Pipe),
            ',' => self.one(Kind::Comma),
            '=' => self.one(Kind::Assign),
            ':' if self.rest.starts_with(":=") => {
                self.rest = &self.rest[2..];
                Kind::Declare
            }
            '"' => self.quoted()?,
            '`' => {
                let (text, after) = self.rest[1..].split_once('`').ok_or("unterminated raw quoted string")?;
                self.rest = after;
                Kind::Text(text.as_bytes().to_vec())
            }
            '\'' => self.char()?,
            '$' => {
                self.rest = &self.rest[1..];
                Kind::Variable(self.name().to_owned())
            }
            '.' if !self.rest[1..].starts_with(|char: char| char.is_ascii_digit()) => {
                self.rest = &self.rest[1..];
                let name = self.name();
                if name.is_empty() { Kind::Dot } else { Kind::Field(name.into()) }
            }
            '0'..='9' | '.' | '+' | '-' => self.number()?,
            char if char.is_alphabetic() || char == '_' => Kind::Name(self.name().into()),
            char => return Err(format!("unexpected {char:?} in an action")),
        };
        self.tokens.push(Token { kind, spaced });
        Ok(())
    }

    fn one(&mut self, kind: Kind) -> Kind {
        self.rest = &self.rest[1..];
        kind
    }

    fn name(&mut self) -> &str {
        let len = self.rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(len);
        self.rest = rest;
        name
    }

    fn number(&mut self) -> Result<Kind, String> {
        let mut previous = ' ';
        let len = self.rest.find(|char: char| {
            let sign = matches!(char, '+' | '-') && matches!(previous, ' ' | 'e' | 'E' | 'p' | 'P');
            previous = char;
            !(char.is_alphanumeric() || char == '.' || char == '_' || sign)
        });
        let (text, rest) = self.rest.split_at(len.unwrap_or(self.rest.len()));
        self.rest = rest;
        number(text).ok_or_else(|| format!("bad number syntax: {text:?}"))
    }

    fn quoted(&mut self) -> Result<Kind, String> {
        let mut out = Vec::new();
        let mut rest = &self.rest[1..];
        loop {
            let Some(char) = rest.chars().next().filter(|char| *char != '\n') else {
                return Err("unterminated quoted string".into());
            };
            rest = &rest[char.len_utf8()..];
            match char {
                '"' => break,
                '\\' => escape(&mut rest, '"', &mut out)?,
                char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.rest = rest;
        Ok(Kind::Text(out))
    }

    fn char(&mut self) -> Result<Kind, String> {
        let malformed = "malformed character constant";
        let mut rest = &self.rest[1..];
        let char = rest.chars().next().ok_or(malformed)?;
        rest = &rest[char.len_utf8()..];
        let mut out = Vec::new();
        if char == '\\' {
            escape(&mut rest, '\'', &mut out)?;
        } else {
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.rest = rest.strip_prefix('\'').ok_or(malformed)?;
        let code = std::str::from_utf8(&out).ok().and_then(|text| text.chars().next()).map_or(0, u32::from);
        Ok(Kind::Int(i64::from(code)))
    }
}

/// A Go escape after its backslash.
fn escape(rest: &mut &str, quote: char, out: &mut Vec<u8>) -> Result<(), String> {
    let invalid = || "invalid escape in a quoted string".to_owned();
    let char = rest.chars().next().ok_or_else(invalid)?;
    *rest = &rest[char.len_utf8()..];
    let mut code = |digits: usize, radix: u32| {
        let text = rest.get(..digits).ok_or_else(invalid)?;
        let code = u32::from_str_radix(text, radix).map_err(|_| invalid())?;
        *rest = &rest[digits..];
        Ok::<u32, String>(code)
    };
    let byte = match char {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        char if char == quote => quote as u8,
        'x' => code(2, 16)? as u8,
        'u' | 'U' => {
            let code = code(if char == 'u' { 4 } else { 8 }, 16)?;
            let char = char::from_u32(code).ok_or_else(invalid)?;
            out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(());
        }
        '0'..='7' => {
            let high = char.to_digit(8).unwrap_or(0) * 64;
            u8::try_from(high + code(2, 8)?).map_err(|_| invalid())?
        }
        _ => return Err(invalid()),
    };
    out.push(byte);
    Ok(())
}

fn number(text: &str) -> Option<Kind> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    if !digits.starts_with(|char: char| char.is_ascii_digit() || char == '.') {
        return None;
    }
    for (prefixes, radix) in [(["0x", "0X"], 16), (["0b", "0B"], 2), (["0o", "0O"], 8)] {
        if let Some(digits) = prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix)) {
            return i64::from_str_radix(&format!("{sign}{}", digits.replace('_', "")), radix).ok().map(Kind::Int);
        }
    }
    if digits.contains(['.', 'e', 'E']) {
        let plain = format!("{sign}{digits}");
        return super::number::parse(plain.as_bytes()).filter(|number| number.is_finite()).map(Kind::Float);
    }
    let octal = digits.len() > 1 && digits.starts_with('0');
    let digits = digits.replace('_', "");
    i64::from_str_radix(&format!("{sign}{digits}"), if octal { 8 } else { 10 }).ok().map(Kind::Int)
}
