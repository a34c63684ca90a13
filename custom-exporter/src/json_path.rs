//! JSONPath (RFC 9535) without filters: `$.items[*].price`, `$['a key'][-1]`, `$..id`.
//!
//! A path may hold one `..` at most: the nodes that it visits are then never more than the document has, whatever
//! document and path are.

use serde_json::Value;

/// A path through a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// `.name` or `['name']`.
    Name(String),
    /// `[0]`; from the end if negative.
    Index(i64),
    /// `[*]` or `.*`.
    All,
    /// `..`, before a name, an index or `*`.
    Descend,
}

impl Path {
    /// Reads a path; `$` and `@` both stand for where it begins.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |rest: &str, what: &str| format!("JSONPath {text:?}: {what} at {rest:?}");
        let mut rest = text.strip_prefix(['$', '@']).ok_or_else(|| wrong(text, "expected $ or @"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let here = rest;
            if let Some(after) = rest.strip_prefix("..") {
                if steps.contains(&Step::Descend) {
                    return Err(wrong(here, "a second .."));
                }
                steps.push(Step::Descend);
                rest = after;
            }
            let descends = here.len() != rest.len();
            let step;
            if let Some(inner) = rest.strip_prefix('[') {
                (step, rest) = bracket(inner).ok_or_else(|| wrong(here, "expected ['name'], [number] or [*]"))?;
            } else {
                // After `..` a name follows at once, else a dot stands before it.
                let name = if descends { Some(rest) } else { rest.strip_prefix('.') };
                let name = name.ok_or_else(|| wrong(here, "expected . or ["))?;
                let end = name.find(['.', '[', ']', '\'', '"', ' ']).unwrap_or(name.len());
                step = match &name[..end] {
                    "" => return Err(wrong(here, "expected a name")),
                    "*" => Step::All,
                    name => Step::Name(name.to_owned()),
                };
                rest = &name[end..];
            }
            steps.push(step);
        }
        Ok(Self(steps))
    }

    /// The nodes that it leads to, in the order of the document.
    pub(crate) fn select<'a>(&self, document: &'a Value) -> Vec<&'a Value> {
        let mut nodes = vec![document];
        for step in &self.0 {
            let mut next = Vec::new();
            for node in nodes {
                step.follow(node, &mut next);
            }
            nodes = next;
        }
        nodes
    }
}

impl Step {
    fn follow<'a>(&self, node: &'a Value, out: &mut Vec<&'a Value>) {
        match (self, node) {
            (Self::Name(name), Value::Object(map)) => out.extend(map.get(name)),
            (Self::Index(index), Value::Array(items)) => {
                let from_start = if *index < 0 { index.checked_add_unsigned(items.len() as u64) } else { Some(*index) };
                out.extend(from_start.and_then(|i| items.get(usize::try_from(i).ok()?)));
            }
            (Self::All, Value::Array(items)) => out.extend(items),
            (Self::All, Value::Object(map)) => out.extend(map.values()),
            // The JSON parser refuses what is nested deeper than 128: so deep does this go.
            (Self::Descend, _) => {
                out.push(node);
                match node {
                    Value::Array(items) => items.iter().for_each(|item| self.follow(item, out)),
                    Value::Object(map) => map.values().for_each(|value| self.follow(value, out)),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// What stands after `[`, and the rest after its `]`.
fn bracket(inner: &str) -> Option<(Step, &str)> {
    let quote = inner.chars().next()?;
    if quote != '\'' && quote != '"' {
        let (text, rest) = inner.split_once(']')?;
        let step = if text == "*" { Step::All } else { Step::Index(text.parse().ok()?) };
        return Some((step, rest));
    }
    let mut name = String::new();
    let mut chars = inner[1..].chars();
    loop {
        match chars.next()? {
            '\\' => name.push(chars.next()?),
            c if c == quote => break,
            c => name.push(c),
        }
    }
    Some((Step::Name(name), chars.as_str().strip_prefix(']')?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn select(path: &str, document: &Value) -> String {
        let path = Path::parse(path).unwrap();
        serde_json::to_string(&path.select(document)).unwrap()
    }

    #[test]
    fn paths_lead_where_the_rfc_says() {
        let store = json!({
            "book": [{"price": 8.95, "title": "a"}, {"price": 12.99}],
            "a key's": {"x.y": true},
            "price": 1
        });
        for (path, expected) in [
            ("$.book[*].price", "[8.95,12.99]"),
            ("$.book[0].title", r#"["a"]"#),
            ("$.book[-1].price", "[12.99]"),
            ("$.book[2]", "[]"),
            ("$.book[-3]", "[]"),
            ("$.book[-9223372036854775808]", "[]"),
            ("$..price", "[1,8.95,12.99]"),
            ("$.book..price", "[8.95,12.99]"),
            ("$..[1].price", "[12.99]"),
            (r"$['a key\'s'][\x22x.y\x22]".replace("\\x22", "\"").as_str(), "[true]"),
            ("@.price", "[1]"),
            ("$.*.nothing", "[]"),
            ("$.price.deeper", "[]"),
        ] {
            assert_eq!(select(path, &store), expected, "{path}");
        }
        assert_eq!(select("$", &json!(7)), "[7]");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for bad in ["", "a", "$.", "$a", "$[", "$[]", "$[x]", "$['x", "$['x'", "$..", "$..a..b", "$.a b", "$[1", "$. a"]
        {
            let error = Path::parse(bad).unwrap_err();
            assert!(error.starts_with("JSONPath "), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_answered(text in "[$@.\\[\\]'\"\\\\*0-9a-ö -]{0,20}") {
            if let Ok(path) = Path::parse(&text) {
                path.select(&json!({"a": [1, {"b": [2, 3]}], "ö": {}}));
            }
        }

        #[test]
        fn nodes_are_never_more_than_the_document_has(
            path in "\\$(\\.\\.|\\.)(\\*|a|b)((\\.\\*)|(\\[\\*\\])|(\\.a)){0,4}",
            text in "[\\[\\]{},:\"ab1]{0,60}",
        ) {
            let (Ok(path), Ok(document)) = (Path::parse(&path), serde_json::from_str::<Value>(&text)) else { return Ok(()) };
            prop_assert!(path.select(&document).len() <= text.len());
        }
    }
}
