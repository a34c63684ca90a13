//! Where the line stands in a JSON event: `.message`, `.a.b`, `.tx.messages[1].text`.

use serde_json::Value;

/// A path into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Selector {
    /// Reads a selector.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?}: expected a dot and names, such as .message or .a.b[0].c");
        let mut steps = Vec::new();
        for part in text.strip_prefix('.').ok_or_else(wrong)?.split('.') {
            let (key, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
            if key.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            while !rest.is_empty() {
                let (index, more) = rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or_else(wrong)?;
                steps.push(Step::Index(index.parse().map_err(|_| wrong())?));
                rest = more;
            }
        }
        Ok(Self(steps))
    }

    /// The text at this place; `None` where there is none.
    pub(crate) fn find<'v>(&self, event: &'v Value) -> Option<&'v str> {
        let mut at = event;
        for step in &self.0 {
            at = match step {
                Step::Key(key) => at.get(key.as_str())?,
                Step::Index(index) => at.get(index)?,
            };
        }
        at.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn finds_texts() {
        let event: Value =
            serde_json::from_str(r#"{"message": "m", "n": 1, "tx": {"messages": [{"text": "a"}, {"text": "b"}]}}"#)
                .unwrap();
        let find = |text: &str| Selector::parse(text).unwrap().find(&event).map(str::to_owned);
        assert_eq!(find(".message").as_deref(), Some("m"));
        assert_eq!(find(".tx.messages[1].text").as_deref(), Some("b"));
        for nothing in [".n", ".tx", ".tx.messages[2].text", ".message.x", ".nosuch[0]"] {
            assert_eq!(find(nothing), None, "{nothing}");
        }
        for wrong in ["", "message", ".", "..a", ".a[", ".a[x]", ".a[1]b", ".[1]"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_text_is_answered(text in "[.a\\[\\]0-9é]{0,10}") {
            if let Ok(selector) = Selector::parse(&text) {
                selector.find(&serde_json::json!({"a": [{"a": "x"}]}));
            }
        }
    }
}
