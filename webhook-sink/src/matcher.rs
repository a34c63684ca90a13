//! Label matchers in Alertmanager's syntax, and the search box's mix of matchers and plain words.

use regex::Regex;

/// `name="value"`, `!=`, `=~` or `!~`; a label that is not there counts as empty, as in Alertmanager.
#[derive(Clone, Debug)]
pub(crate) struct Matcher {
    name: String,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Equal(String),
    NotEqual(String),
    Like(Regex),
    NotLike(Regex),
}

impl Matcher {
    /// Whether a label set passes.
    pub(crate) fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let value = label(&self.name).unwrap_or_default();
        match &self.test {
            Test::Equal(wanted) => value == wanted,
            Test::NotEqual(wanted) => value != wanted,
            Test::Like(regex) => regex.is_match(value),
            Test::NotLike(regex) => !regex.is_match(value),
        }
    }

    /// The value that it asks for, when it asks for one exactly.
    pub(crate) fn exact(&self) -> Option<&str> {
        match &self.test {
            Test::Equal(value) if !value.is_empty() => Some(value),
            _ => None,
        }
    }
}

/// Reads a list such as `{severity="critical", instance=~"db.*"}`; braces and commas may be left out.
pub(crate) fn parse(text: &str) -> Result<Vec<Matcher>, String> {
    let (matchers, words) = search(text)?;
    if words.is_empty() { Ok(matchers) } else { Err(format!("not a matcher: {words}")) }
}

/// Reads what a person typed: matchers, and every other word for the full-text search.
pub(crate) fn search(text: &str) -> Result<(Vec<Matcher>, String), String> {
    let (mut matchers, mut words) = (Vec::new(), Vec::new());
    let mut rest = text.trim().trim_start_matches('{').trim_end_matches('}');
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() {
            break;
        }
        let (name, quoted, after) = token(rest)?;
        let operator = ["=~", "!~", "!=", "="].into_iter().find(|o| after.trim_start().starts_with(o));
        let Some(operator) = operator.filter(|_| quoted || is_name(&name)) else {
            words.push(name);
            rest = after;
            // An operator after what cannot be a name is a word as well.
            if let Some(c) = rest.chars().next().filter(|c| "=!~".contains(*c)) {
                rest = &rest[c.len_utf8()..];
            }
            continue;
        };
        let value = after.trim_start()[operator.len()..].trim_start();
        let (value, _, after) = if value.is_empty() { (String::new(), false, "") } else { token(value)? };
        let regex = |value: &str| {
            Regex::new(&format!("^(?s:{value})$")).map_err(|_| format!("bad regular expression: {value}"))
        };
        let test = match operator {
            "=" => Test::Equal(value),
            "!=" => Test::NotEqual(value),
            "=~" => Test::Like(regex(&value)?),
            _ => Test::NotLike(regex(&value)?),
        };
        matchers.push(Matcher { name, test });
        rest = after;
    }
    Ok((matchers, words.join(" ")))
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || "\"'{}".contains(c))
}

/// A quoted text with Go's escapes, or all up to a blank, comma or operator.
fn token(text: &str) -> Result<(String, bool, &str), String> {
    let Some(inner) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || ",=!~\"".contains(c)).unwrap_or(text.len()).max(1);
        let end = (end..=text.len()).find(|i| text.is_char_boundary(*i)).unwrap_or(text.len());
        return Ok((text[..end].to_owned(), false, &text[end..]));
    };
    let mut out = String::new();
    let mut chars = inner.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((out, true, &inner[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, 't')) => out.push('\t'),
                Some((_, c @ ('"' | '\\'))) => out.push(c),
                // A regular expression's own escape, written without doubling.
                Some((_, c)) => out.extend(['\\', c]),
                None => break,
            },
            c => out.push(c),
        }
    }
    Err(format!("no closing quote: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passes(text: &str, labels: &[(&str, &str)]) -> bool {
        let matchers = parse(text).expect("matchers");
        matchers.iter().all(|m| m.matches(|n| labels.iter().find(|(k, _)| *k == n).map(|(_, v)| *v)))
    }

    #[test]
    fn alertmanagers_syntax() {
        let labels = [("severity", "critical"), ("instance", "db1:9104"), ("dot.name", "a\"b")];
        for (text, wanted) in [
            (r#"{severity="critical", instance=~"db.*"}"#, true),
            ("severity=critical", true),
            (r#"severity=~"crit""#, false),
            (r#"instance=~"db\d:.*""#, true),
            (r#"severity!="critical""#, false),
            (r#"team="" , severity!~"warn.*""#, true),
            (r#""dot.name"="a\"b""#, true),
            ("", true),
        ] {
            assert_eq!(passes(text, &labels), wanted, "{text}");
        }
        assert!(parse("severity=\"x").is_err());
        assert!(parse("severity=~\"(\"").is_err());
        assert!(parse("just words").is_err());
    }

    #[test]
    fn words_and_matchers_mix() {
        let (matchers, words) = search("디스크 severity=\"critical\" full up").expect("parses");
        assert_eq!((matchers.len(), words.as_str()), (1, "디스크 full up"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_text_is_survived(text in any::<String>()) { let _ = search(&text); }
        #[test]
        fn any_mix_of_signs_is_survived(text in "[a=!~\",{}\\\\ é]{0,20}") { let _ = search(&text); }
    }
}
