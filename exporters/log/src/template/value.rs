//! What a template computes with.

use std::borrow::Cow;

use serde_json::Value as Json;

/// A value of Go's kinds that occur here.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// No value: a key that is not there.
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, [u8]>),
    /// The map of all fields.
    Root,
    /// The event of a webhook, which answers to `x` as well.
    Extra(&'a Json),
    Json(&'a Json),
}

/// Kinds that can be compared with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Basic {
    Bool,
    Int,
    Float,
    Text,
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a [u8]) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn string(text: String) -> Self {
        Self::Text(Cow::Owned(text.into_bytes()))
    }

    /// A JSON value as a template sees it; numbers are text, as written.
    pub(super) fn json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Nil,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => Self::string(number.to_string()),
            Json::String(text) => Self::text(text.as_bytes()),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(bool) => *bool,
            Self::Int(int) => *int != 0,
            Self::Float(float) => *float != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Root => true,
            Self::Extra(json) | Self::Json(json) => match json {
                Json::Array(list) => !list.is_empty(),
                Json::Object(map) => !map.is_empty(),
                _ => true,
            },
        }
    }

    /// As `%v` prints it; `nil` is how no value looks.
    pub(super) fn print(&self, nil: &str, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend_from_slice(nil.as_bytes()),
            Self::Bool(bool) => out.extend_from_slice(bool.to_string().as_bytes()),
            Self::Int(int) => out.extend_from_slice(int.to_string().as_bytes()),
            Self::Float(float) => super::number::print(*float, out),
            Self::Text(text) => out.extend_from_slice(text),
            Self::Root => out.extend_from_slice(b"map[]"),
            Self::Extra(json) | Self::Json(json) => print_json(json, 0, out),
        }
    }

    /// Go's name for its type, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Root => "map[string]interface {}",
            Self::Extra(json) | Self::Json(json) => match json {
                Json::Array(_) => "[]interface {}",
                _ => "map[string]interface {}",
            },
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    fn basic(&self) -> Result<Basic, String> {
        match self {
            Self::Bool(_) => Ok(Basic::Bool),
            Self::Int(_) => Ok(Basic::Int),
            Self::Float(_) => Ok(Basic::Float),
            Self::Text(_) => Ok(Basic::Text),
            _ => Err("invalid type for comparison".into()),
        }
    }

    pub(super) fn equals(&self, other: &Self) -> Result<bool, String> {
        // No value is equal to no value, and to nothing else.
        if matches!(self, Self::Nil) || matches!(other, Self::Nil) {
            return Ok(matches!((self, other), (Self::Nil, Self::Nil)));
        }
        if self.basic()? != other.basic()? {
            return Err("incompatible types for comparison".into());
        }
        Ok(match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            #[expect(clippy::float_cmp, reason = "the template asks for exactly this")]
            (Self::Float(a), Self::Float(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            _ => false,
        })
    }

    pub(super) fn less(&self, other: &Self) -> Result<bool, String> {
        if self.basic()? != other.basic()? {
            return Err("incompatible types for comparison".into());
        }
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Ok(a < b),
            (Self::Float(a), Self::Float(b)) => Ok(a < b),
            (Self::Text(a), Self::Text(b)) => Ok(a < b),
            _ => Err("invalid type for comparison".into()),
        }
    }

    /// A number for arithmetic: one, or a text that is one.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Text(text) => super::number::parse(text),
            _ => None,
        }
    }

    /// The value below a key or an index.
    pub(super) fn index(&self, key: &Self) -> Result<Self, String> {
        let at = |len: usize| match key {
            Self::Int(int) => usize::try_from(*int)
                .ok()
                .filter(|index| *index < len)
                .ok_or_else(|| format!("index out of range: {int}")),
            _ => Err(format!("cannot index with type {}", key.kind())),
        };
        match self {
            Self::Extra(json) | Self::Json(json) => match json {
                Json::Object(map) => {
                    let Self::Text(name) = key else {
                        return Err(format!("cannot index a map with type {}", key.kind()));
                    };
                    let found = std::str::from_utf8(name).ok().and_then(|name| map.get(name));
                    Ok(match (found, self) {
                        (Some(json), _) => Self::json(json),
                        // Objects of json_bulk are below `x` in grok_exporter; both ways lead to them here.
                        (None, Self::Extra(json)) if **name == *b"x" => Self::Json(json),
                        _ => Self::Nil,
                    })
                }
                Json::Array(list) => Ok(Self::json(&list[at(list.len())?])),
                _ => Err("cannot index this value".into()),
            },
            Self::Text(text) => Ok(Self::Int(i64::from(text[at(text.len())?]))),
            Self::Nil => Err("index of untyped nil".into()),
            _ => Err(format!("cannot index item of type {}", self.kind())),
        }
    }

    pub(super) fn len(&self) -> Result<i64, String> {
        match self {
            Self::Text(text) => Ok(text.len() as i64),
            Self::Extra(Json::Array(list)) | Self::Json(Json::Array(list)) => Ok(list.len() as i64),
            Self::Extra(Json::Object(map)) | Self::Json(Json::Object(map)) => Ok(map.len() as i64),
            _ => Err(format!("len of type {}", self.kind())),
        }
    }
}

/// Maps and lists print as Go prints them: `map[a:1 b:2]`, sorted, and `[1 2]`.
fn print_json(json: &Json, depth: usize, out: &mut Vec<u8>) {
    if depth > 64 {
        return;
    }
    match json {
        Json::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            out.extend_from_slice(b"map[");
            for (i, (key, value)) in members.into_iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(key.as_bytes());
                out.push(b':');
                print_json(value, depth + 1, out);
            }
            out.push(b']');
        }
        Json::Array(list) => {
            out.push(b'[');
            for (i, value) in list.iter().enumerate() {
                if i > 0 {
                    out.push(b' ');
                }
                print_json(value, depth + 1, out);
            }
            out.push(b']');
        }
        other => Value::json(other).print("<nil>", out),
    }
}
