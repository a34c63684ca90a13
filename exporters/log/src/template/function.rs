//! The functions that a template can call.

use std::borrow::Cow;
use std::sync::Arc;

use super::gsub::Gsub;
use super::layout::Layout;
use super::printf;
use super::value::Value;

/// A function, with what is known of it before any line comes.
#[derive(Clone, Debug)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Len,
    Index,
    Slice,
    Print,
    Printf,
    Println,
    Html,
    Js,
    UrlQuery,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Gsub(Arc<Gsub>),
    Base,
    Add,
    Subtract,
    Multiply,
    Divide,
    Timestamp(Arc<Layout>),
}

impl Function {
    /// The function of this name, its number of arguments and literal ones checked: `None` is one that only a line brings.
    pub(super) fn new(name: &str, literals: &[Option<Value<'static>>]) -> Result<Self, String> {
        let count = literals.len();
        let need = |least: usize, most: usize| {
            if (least..=most).contains(&count) {
                return Ok(());
            }
            let want = if least == most { least.to_string() } else { format!("at least {least}") };
            Err(format!("wrong number of args for {name}: want {want} got {count}"))
        };
        let any = usize::MAX;
        let function = match name {
            "and" => need(1, any).map(|()| Self::And)?,
            "or" => need(1, any).map(|()| Self::Or)?,
            "not" => need(1, 1).map(|()| Self::Not)?,
            "len" => need(1, 1).map(|()| Self::Len)?,
            "index" => need(1, any).map(|()| Self::Index)?,
            "slice" => need(1, 4).map(|()| Self::Slice)?,
            "print" => Self::Print,
            "printf" => need(1, any).map(|()| Self::Printf)?,
            "println" => Self::Println,
            "html" => Self::Html,
            "js" => Self::Js,
            "urlquery" => Self::UrlQuery,
            "eq" => need(2, any).map(|()| Self::Eq)?,
            "ne" => need(2, 2).map(|()| Self::Ne)?,
            "lt" => need(2, 2).map(|()| Self::Lt)?,
            "le" => need(2, 2).map(|()| Self::Le)?,
            "gt" => need(2, 2).map(|()| Self::Gt)?,
            "ge" => need(2, 2).map(|()| Self::Ge)?,
            "base" => need(1, 1).map(|()| Self::Base)?,
            "gsub" => {
                need(3, 3)?;
                let Some(Value::Text(regex)) = &literals[1] else {
                    return Err("gsub: the second argument must be a string with a regex".into());
                };
                let regex = std::str::from_utf8(regex).map_err(|_| "gsub: the regex is no UTF-8")?;
                let gsub = Gsub::new(regex)?;
                if let Some(Value::Text(replacement)) = &literals[2] {
                    gsub.check(replacement)?;
                }
                Self::Gsub(Arc::new(gsub))
            }
            "timestamp" => {
                need(2, 2)?;
                let Some(Value::Text(layout)) = &literals[0] else {
                    return Err("timestamp: the first argument must be a string with a time layout".into());
                };
                Self::Timestamp(Arc::new(Layout::new(&String::from_utf8_lossy(layout))?))
            }
            "add" | "subtract" | "multiply" | "divide" => {
                need(2, 2)?;
                for literal in literals.iter().flatten() {
                    if literal.number().is_none() {
                        return Err(format!("{name}: an argument is no number"));
                    }
                }
                match name {
                    "add" => Self::Add,
                    "subtract" => Self::Subtract,
                    "multiply" => Self::Multiply,
                    _ => Self::Divide,
                }
            }
            _ => return Err(format!("function {name:?} not defined")),
        };
        Ok(function)
    }

    /// Whether a name is that of a function.
    pub(super) fn is_known(name: &str) -> bool {
        !matches!(Self::new(name, &[]), Err(message) if message.ends_with("not defined"))
    }

    pub(super) fn call<'a>(&self, args: &[Value<'a>]) -> Result<Value<'a>, String> {
        let [first, rest @ ..] = args else {
            // Only the printing functions can be called without any.
            return Ok(Value::string(if matches!(self, Self::Println) { "\n".into() } else { String::new() }));
        };
        let second = rest.first().unwrap_or(&Value::Nil);
        Ok(match self {
            Self::And => args.iter().find(|value| !value.truth()).or(args.last()).cloned().unwrap_or(Value::Nil),
            Self::Or => args.iter().find(|value| value.truth()).or(args.last()).cloned().unwrap_or(Value::Nil),
            Self::Not => Value::Bool(!first.truth()),
            Self::Len => Value::Int(first.len()?),
            Self::Index => {
                let mut value = first.clone();
                for key in rest {
                    value = value.index(key)?;
                }
                value
            }
            Self::Slice => slice(first, rest)?,
            Self::Print | Self::Println | Self::Printf => {
                let mut out = Vec::new();
                match (self, first) {
                    (Self::Print, _) => printf::print(args, &mut out),
                    (Self::Println, _) => printf::println(args, &mut out),
                    (_, Value::Text(format)) => printf::printf(format, rest, &mut out),
                    _ => return Err(format!("printf: wrong type of format: {}", first.kind())),
                }
                Value::Text(Cow::Owned(out))
            }
            Self::Html => escape(args, html),
            Self::Js => escape(args, js),
            Self::UrlQuery => escape(args, url),
            Self::Eq => {
                for other in rest {
                    if first.equals(other)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Value::Bool(false)
            }
            Self::Ne => Value::Bool(!first.equals(second)?),
            Self::Lt => Value::Bool(first.less(second)?),
            Self::Le => Value::Bool(first.less(second)? || first.equals(second)?),
            Self::Gt => Value::Bool(!(first.less(second)? || first.equals(second)?)),
            Self::Ge => Value::Bool(!first.less(second)?),
            Self::Gsub(gsub) => {
                let (Value::Text(text), [_, Value::Text(replacement)]) = (first, rest) else {
                    return Err("gsub: wrong type of argument: three strings are needed".into());
                };
                let mut out = Vec::new();
                gsub.replace(text, replacement, &mut out)?;
                Value::Text(Cow::Owned(out))
            }
            Self::Base => match first {
                Value::Text(path) => base(path),
                _ => return Err(format!("base: wrong type of argument: {}", first.kind())),
            },
            Self::Add | Self::Subtract | Self::Multiply | Self::Divide => self.compute(first, second)?,
            Self::Timestamp(layout) => match second {
                Value::Text(text) => Value::Float(layout.unix(text).map_err(|error| format!("timestamp: {error}"))?),
                _ => return Err(format!("timestamp: wrong type of argument: {}", second.kind())),
            },
        })
    }

    fn compute(&self, first: &Value<'_>, second: &Value<'_>) -> Result<Value<'static>, String> {
        let number = |value: &Value<'_>| {
            value.number().ok_or_else(|| {
                let mut text = Vec::new();
                value.print("<nil>", &mut text);
                format!("{:?} is no number", String::from_utf8_lossy(&text))
            })
        };
        let (a, b) = (number(first)?, number(second)?);
        Ok(Value::Float(match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            _ if b == 0.0 => return Err("division by zero".into()),
            _ => a / b,
        }))
    }
}

/// Go's `filepath.Base`.
fn base<'a>(path: &[u8]) -> Value<'a> {
    let trimmed = path.iter().rposition(|byte| *byte != b'/').map_or(&b""[..], |last| &path[..=last]);
    let name = trimmed.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    Value::Text(Cow::Owned(match (path.is_empty(), trimmed.is_empty()) {
        (true, _) => b".".to_vec(),
        (_, true) => b"/".to_vec(),
        _ => name.to_vec(),
    }))
}

fn slice<'a>(value: &Value<'a>, bounds: &[Value<'_>]) -> Result<Value<'a>, String> {
    let Value::Text(text) = value else { return Err(format!("cannot slice item of type {}", value.kind())) };
    if bounds.len() > 2 {
        return Err("cannot 3-index slice a string".into());
    }
    let mut ends = [0, text.len()];
    for (end, bound) in ends.iter_mut().zip(bounds) {
        let Value::Int(int) = bound else { return Err(format!("cannot index slice with type {}", bound.kind())) };
        let index = usize::try_from(*int).ok().filter(|index| *index <= text.len());
        *end = index.ok_or_else(|| format!("index out of range: {int}"))?;
    }
    let part = text.get(ends[0]..ends[1]).ok_or_else(|| format!("invalid slice index: {} > {}", ends[0], ends[1]))?;
    Ok(Value::Text(Cow::Owned(part.to_vec())))
}

fn escape<'a>(args: &[Value<'_>], write: fn(char, &mut Vec<u8>)) -> Value<'a> {
    let mut text = Vec::new();
    printf::print(args, &mut text);
    let mut out = Vec::with_capacity(text.len());
    String::from_utf8_lossy(&text).chars().for_each(|char| write(char, &mut out));
    Value::Text(Cow::Owned(out))
}

fn push(char: char, out: &mut Vec<u8>) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn html(char: char, out: &mut Vec<u8>) {
    match char {
        '"' => out.extend_from_slice(b"&#34;"),
        '\'' => out.extend_from_slice(b"&#39;"),
        '&' => out.extend_from_slice(b"&amp;"),
        '<' => out.extend_from_slice(b"&lt;"),
        '>' => out.extend_from_slice(b"&gt;"),
        '\0' => push(char::REPLACEMENT_CHARACTER, out),
        char => push(char, out),
    }
}

fn js(char: char, out: &mut Vec<u8>) {
    match char {
        '\\' => out.extend_from_slice(br"\\"),
        '\'' => out.extend_from_slice(br"\'"),
        '"' => out.extend_from_slice(br#"\""#),
        '<' | '>' | '&' | '=' => out.extend_from_slice(format!("\\u{:04X}", u32::from(char)).as_bytes()),
        char if char.is_control() => out.extend_from_slice(format!("\\u{:04X}", u32::from(char)).as_bytes()),
        char => push(char, out),
    }
}

fn url(char: char, out: &mut Vec<u8>) {
    match char {
        ' ' => out.push(b'+'),
        char if char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.' | '~') => push(char, out),
        char => {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                out.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }
}
