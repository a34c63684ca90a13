//! Go's `fmt`: `print`, `println` and the verbs of `printf`.

use super::value::Value;

/// Widths and precisions beyond this are taken for mistakes.
const MAX_WIDTH: usize = 1000;

/// Blanks stand between operands of which neither is a text.
pub(super) fn print(values: &[Value<'_>], out: &mut Vec<u8>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 && !value.is_text() && !values[i - 1].is_text() {
            out.push(b' ');
        }
        value.print("<nil>", out);
    }
}

pub(super) fn println(values: &[Value<'_>], out: &mut Vec<u8>) {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        value.print("<nil>", out);
    }
    out.push(b'\n');
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "the flags that a verb can have")]
struct Verb {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

pub(super) fn printf(format: &[u8], values: &[Value<'_>], out: &mut Vec<u8>) {
    let mut values = values.iter();
    let mut rest = format;
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let mut verb = Verb::default();
        while let Some(flag) = rest.first() {
            match flag {
                b'-' => verb.minus = true,
                b'+' => verb.plus = true,
                b'0' => verb.zero = true,
                b' ' => verb.space = true,
                b'#' => verb.sharp = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        verb.width = number(&mut rest, &mut values);
        if let Some(after) = rest.strip_prefix(b".") {
            rest = after;
            verb.precision = Some(number(&mut rest, &mut values).unwrap_or(0));
        }
        let Some((letter, after)) = rest.split_first() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        rest = after;
        if *letter == b'%' {
            out.push(b'%');
            continue;
        }
        if let Some(value) = values.next() {
            verb.write(*letter, value, out);
        } else {
            out.extend_from_slice(b"%!");
            out.push(*letter);
            out.extend_from_slice(b"(MISSING)");
        }
    }
    out.extend_from_slice(rest);
    let mut extra = values.peekable();
    if extra.peek().is_some() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (i, value) in extra.enumerate() {
            if i > 0 {
                out.extend_from_slice(b", ");
            }
            out.extend_from_slice(value.kind().as_bytes());
            out.push(b'=');
            value.print("<nil>", out);
        }
        out.push(b')');
    }
}

/// A width in the format, or `*` and the next value.
fn number<'v, 'a: 'v>(rest: &mut &[u8], values: &mut impl Iterator<Item = &'v Value<'a>>) -> Option<usize> {
    if let Some(after) = rest.strip_prefix(b"*") {
        *rest = after;
        return match values.next() {
            Some(Value::Int(width)) => usize::try_from(*width).ok().map(|width| width.min(MAX_WIDTH)),
            _ => None,
        };
    }
    let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let digits = std::str::from_utf8(&rest[..len]).ok()?;
    *rest = &rest[len..];
    (len > 0).then(|| digits.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH))
}

impl Verb {
    fn write(&self, letter: u8, value: &Value<'_>, out: &mut Vec<u8>) {
        let mut text = Vec::new();
        let numeric = match (letter, value) {
            (b'd' | b'v', Value::Int(int)) => {
                text.extend_from_slice(self.signed(*int < 0, &int.unsigned_abs().to_string()).as_bytes());
                true
            }
            (b'x' | b'X' | b'o' | b'b', Value::Int(int)) => {
                let size = int.unsigned_abs();
                let (prefix, digits) = match letter {
                    b'x' => ("0x", format!("{size:x}")),
                    b'X' => ("0X", format!("{size:X}")),
                    b'o' => ("0", format!("{size:o}")),
                    _ => ("0b", format!("{size:b}")),
                };
                let digits = if self.sharp { format!("{prefix}{digits}") } else { digits };
                text.extend_from_slice(self.signed(*int < 0, &digits).as_bytes());
                true
            }
            (b'c', Value::Int(int)) => {
                let char = u32::try_from(*int).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(char.to_string().as_bytes());
                false
            }
            (b'f' | b'F' | b'e' | b'E' | b'g' | b'G' | b'v', Value::Float(float)) => {
                self.float(letter, *float, &mut text);
                float.is_finite()
            }
            (b's', Value::Text(string)) => {
                text.extend_from_slice(self.cut(string));
                false
            }
            (b'q', Value::Text(string)) => {
                quote(self.cut(string), &mut text);
                false
            }
            (b'x' | b'X', Value::Text(string)) => {
                for byte in &**string {
                    let digits = if letter == b'x' { format!("{byte:02x}") } else { format!("{byte:02X}") };
                    text.extend_from_slice(digits.as_bytes());
                }
                false
            }
            (b't', Value::Bool(_)) | (b'v', _) | (b's' | b'd', Value::Extra(_) | Value::Json(_) | Value::Root) => {
                value.print("<nil>", &mut text);
                false
            }
            (b'T', _) => {
                text.extend_from_slice(if matches!(value, Value::Nil) { b"<nil>" } else { value.kind().as_bytes() });
                false
            }
            _ => {
                text.extend_from_slice(b"%!");
                text.push(letter);
                text.push(b'(');
                if !matches!(value, Value::Nil) {
                    text.extend_from_slice(value.kind().as_bytes());
                    text.push(b'=');
                }
                value.print("<nil>", &mut text);
                text.push(b')');
                return out.append(&mut text);
            }
        };
        self.pad(&text, numeric, out);
    }

    fn signed(&self, negative: bool, digits: &str) -> String {
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        // A precision is the least number of digits.
        let zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        format!("{sign}{}{digits}", "0".repeat(zeros))
    }

    fn float(&self, letter: u8, float: f64, out: &mut Vec<u8>) {
        if float.is_sign_positive() && (self.plus || self.space) {
            out.push(if self.plus { b'+' } else { b' ' });
        }
        if !float.is_finite() {
            let before = out.len();
            super::number::print(float, out);
            if out.get(before) == Some(&b'+') && before > 0 {
                out.remove(before);
            }
            return;
        }
        match (letter, self.precision) {
            (b'f' | b'F', precision) => out.extend_from_slice(format!("{float:.*}", precision.unwrap_or(6)).as_bytes()),
            (b'e' | b'E', precision) => exponential(float, precision.unwrap_or(6), letter, out),
            (_, None) => super::number::print(float, out),
            (_, Some(precision)) => {
                // The exponent decides after rounding; zeros at the end go.
                let precision = precision.max(1);
                let rounded = format!("{float:.*e}", precision - 1);
                let exponent: i32 =
                    rounded.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
                if exponent < -4 || exponent >= precision as i32 {
                    let mut text = Vec::new();
                    exponential(float, precision - 1, b'e', &mut text);
                    let text = String::from_utf8_lossy(&text).into_owned();
                    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
                    out.extend_from_slice(format!("{}e{exponent}", bare(digits)).as_bytes());
                } else {
                    let places = usize::try_from(precision as i32 - 1 - exponent).unwrap_or(0);
                    out.extend_from_slice(bare(&format!("{float:.places$}")).as_bytes());
                }
            }
        }
    }

    /// A text's precision is its longest length, in characters.
    fn cut<'t>(&self, text: &'t [u8]) -> &'t [u8] {
        let Some(precision) = self.precision else { return text };
        let mut end = 0;
        for _ in 0..precision {
            if end >= text.len() {
                break;
            }
            end += crate::pattern::char_len(&text[end..]);
        }
        &text[..end]
    }

    fn pad(&self, text: &[u8], numeric: bool, out: &mut Vec<u8>) {
        let len = String::from_utf8_lossy(text).chars().count();
        let missing = self.width.unwrap_or(0).saturating_sub(len);
        if self.minus {
            out.extend_from_slice(text);
            out.extend(std::iter::repeat_n(b' ', missing));
        } else if self.zero && numeric {
            let sign = usize::from(matches!(text.first(), Some(b'-' | b'+' | b' ')));
            out.extend_from_slice(&text[..sign]);
            out.extend(std::iter::repeat_n(b'0', missing));
            out.extend_from_slice(&text[sign..]);
        } else {
            out.extend(std::iter::repeat_n(b' ', missing));
            out.extend_from_slice(text);
        }
    }
}

fn exponential(float: f64, precision: usize, letter: u8, out: &mut Vec<u8>) {
    let text = format!("{float:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    out.extend_from_slice(digits.as_bytes());
    let start = out.len();
    super::number::push_exponent(exponent.parse().unwrap_or(0), out);
    if letter == b'E' {
        out[start] = b'E';
    }
}

fn bare(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

/// `strconv.Quote`.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
                '\u{7}' => out.extend_from_slice(b"\\a"),
                '\u{8}' => out.extend_from_slice(b"\\b"),
                '\u{c}' => out.extend_from_slice(b"\\f"),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\u{b}' => out.extend_from_slice(b"\\v"),
                char if u32::from(char) < 0x20 || char == '\u{7f}' => {
                    out.extend_from_slice(format!("\\x{:02x}", u32::from(char)).as_bytes());
                }
                char if char.is_control()
                    || matches!(char, '\u{a0}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}') =>
                {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
                }
                char => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
    }
    out.push(b'"');
}
