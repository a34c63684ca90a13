//! From a JSON answer to samples: rules say where in the answer a family's numbers stand.

use exporter::{Desc, Part};
use exposition::Value as Number;
use serde_json::Value;
use std::borrow::Cow;

/// One family and the place of its numbers.
///
/// A path has these parts between its slashes:
///
/// - `key`: that member;
/// - `{label}`: each member, its name in the label; `{label:a|b}`: only these;
/// - `[label=field,other=field]`: each item of an array, labels from its fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    desc: Desc,
    path: &'static str,
    fixed: &'static [(&'static str, &'static str)],
    read: Read,
}

/// How a value becomes a number.
#[derive(Clone, Copy, Debug)]
enum Read {
    Plain,
    /// The same, and 0 where the last member is missing.
    OrZero,
    /// Milliseconds to seconds.
    Seconds,
    /// A word by its place in this list, from 1; any other is 0.
    Word(&'static [&'static str]),
}

impl Rule {
    /// Numbers and booleans as they are.
    pub(crate) const fn new(desc: Desc, path: &'static str) -> Self {
        Self { desc, path, fixed: &[], read: Read::Plain }
    }

    /// With labels that are always the same.
    pub(crate) const fn with(mut self, fixed: &'static [(&'static str, &'static str)]) -> Self {
        self.fixed = fixed;
        self
    }

    /// 0 where the last part of the path is missing.
    pub(crate) const fn or_zero(mut self) -> Self {
        self.read = Read::OrZero;
        self
    }

    /// Milliseconds, shown as seconds.
    pub(crate) const fn seconds(mut self) -> Self {
        self.read = Read::Seconds;
        self
    }

    /// Words, shown by their place in `words`, counted from 1.
    pub(crate) const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.read = Read::Word(words);
        self
    }

    /// The family's name.
    #[cfg(test)]
    pub(crate) fn name(&self) -> &'static str {
        self.desc.name
    }

    fn number(&self, value: &Value) -> Option<Number> {
        match (self.read, value) {
            (Read::Plain | Read::OrZero, Value::Bool(yes)) => Some(Number::U64(u64::from(*yes))),
            (Read::Plain | Read::OrZero, Value::Number(n)) => n
                .as_u64()
                .map(Number::U64)
                .or_else(|| n.as_i64().map(Number::I64))
                .or_else(|| n.as_f64().map(Number::F64)),
            (Read::Seconds, Value::Number(n)) => n.as_f64().map(|ms| Number::F64(ms / 1e3)),
            (Read::Word(words), Value::String(word)) => {
                Some(Number::U64(words.iter().position(|w| w == word).map_or(0, |at| at as u64 + 1)))
            }
            _ => None,
        }
    }
}

/// A label's name, and its value out of the answer.
pub(crate) type Found<'v> = (&'static str, Cow<'v, str>);

/// Emits what the rules find in an answer; each sample gets `labels` too.
pub(crate) fn emit(rules: &[Rule], answer: &Value, labels: &[(&str, &[u8])], out: &mut Part) {
    for rule in rules {
        let missing = matches!(rule.read, Read::OrZero).then_some(&ZERO);
        walk(answer, rule.path, missing, &mut Vec::new(), &mut |found, value| {
            let Some(number) = rule.number(value) else { return };
            let mut all: Vec<(&str, &[u8])> = Vec::with_capacity(labels.len() + found.len() + rule.fixed.len());
            all.extend(found.iter().map(|(name, value)| (*name, value.as_bytes())));
            all.extend(rule.fixed.iter().map(|(name, value)| (*name, value.as_bytes())));
            // A const label gives way to one of the same name that tells series apart.
            let own = all.len();
            for label in labels {
                if all[..own].iter().all(|(name, _)| name != &label.0) {
                    all.push(*label);
                }
            }
            out.family(&rule.desc).sample(&all, number);
        });
    }
}

/// Calls `seen` with each value at a path and the labels that lead to it.
pub(crate) fn each<'v>(answer: &'v Value, path: &'static str, seen: &mut dyn FnMut(&[Found<'v>], &'v Value)) {
    walk(answer, path, None, &mut Vec::new(), seen);
}

/// What stands for a missing number.
static ZERO: Value = Value::Bool(false);

fn walk<'v>(
    value: &'v Value,
    path: &'static str,
    missing: Option<&'static Value>,
    found: &mut Vec<Found<'v>>,
    seen: &mut dyn FnMut(&[Found<'v>], &'v Value),
) {
    if path.is_empty() {
        seen(found, value);
        return;
    }
    let (part, rest) = path.split_once('/').unwrap_or((path, ""));
    let depth = found.len();
    if let Some(label) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        let Value::Object(members) = value else { return };
        let (label, wanted) = label.split_once(':').map_or((label, None), |(l, w)| (l, Some(w)));
        for (name, member) in members {
            if wanted.is_none_or(|w| w.split('|').any(|w| w == name)) {
                found.push((label, Cow::Borrowed(name)));
                walk(member, rest, missing, found, seen);
                found.truncate(depth);
            }
        }
    } else if let Some(labels) = part.strip_prefix('[').and_then(|p| p.strip_suffix(']')) {
        let Value::Array(items) = value else { return };
        for item in items {
            for (label, field) in labels.split(',').filter_map(|l| l.split_once('=')) {
                match item.get(field) {
                    Some(Value::String(text)) => found.push((label, Cow::Borrowed(text))),
                    Some(Value::Number(number)) => found.push((label, Cow::Owned(number.to_string()))),
                    _ => {}
                }
            }
            walk(item, rest, missing, found, seen);
            found.truncate(depth);
        }
    } else if let Some(member) = value.get(part) {
        walk(member, rest, missing, found, seen);
    } else if let Some(zero) = missing.filter(|_| rest.is_empty() && value.is_object()) {
        seen(found, zero);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const A: Desc = Desc::counter("a_total", "A.");
    const B: Desc = Desc::gauge("b", "B.");

    fn page(rules: &[Rule], json: &str) -> Vec<String> {
        let mut part = Part::new();
        emit(rules, &serde_json::from_str(json).unwrap(), &[("env", b"lab")], &mut part);
        let mut out = Vec::new();
        exposition::Page::merge(vec![part]).0.write_text(&mut out);
        String::from_utf8(out).unwrap().lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn members_items_and_words() {
        let rules = [
            Rule::new(A, "zones/{zone}/codes/{code:1xx|2xx}"),
            Rule::new(B, "peers/[peer=server,id=id]/state").words(&["up", "down"]),
            Rule::new(B, "ms").seconds().with(&[("what", "load")]),
            Rule::new(B, "cold").or_zero().with(&[("what", "cold")]),
        ];
        let json = r#"{"zones":{"x\"y":{"codes":{"1xx":0,"2xx":18446744073709551615,"3xx":5,"codes":{}}},"no":7},
            "peers":[{"server":"a:1","id":0,"state":"down"},{"state":"lost"},3],"ms":1500,"cold":true}"#;
        assert_eq!(
            page(&rules, json),
            [
                "a_total{code=\"1xx\",env=\"lab\",zone=\"x\\\"y\"} 0",
                "a_total{code=\"2xx\",env=\"lab\",zone=\"x\\\"y\"} 1.8446744073709552e+19",
                "b{env=\"lab\"} 0",
                "b{env=\"lab\",what=\"cold\"} 1",
                "b{env=\"lab\",what=\"load\"} 1.5",
                "b{env=\"lab\",id=\"0\",peer=\"a:1\"} 2",
            ]
        );
        for other in ["null", "[]", "7", "{\"zones\":[],\"cold\":1}", "{\"peers\":{}}"] {
            assert!(page(&rules, other).len() < 2, "{other}");
        }
        assert_eq!(
            page(&[Rule::new(B, "p/[id=id]/max").or_zero()], r#"{"p":[{"id":4},null]}"#),
            ["b{env=\"lab\",id=\"4\"} 0"]
        );
    }
}
