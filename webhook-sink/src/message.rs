//! What Alertmanager posts: the webhook body, version "4" (0.25 to 0.34), read without copying where possible.
//!
//! Unknown fields are passed over: Alertmanager adds some without changing the version, and the raw body is kept anyway.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, MapAccess, Visitor};

use crate::clock::Nanos;

/// One notification: the state of a whole group, not a difference.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message<'a> {
    /// As sent, that is with Go's `regexp.QuoteMeta` applied.
    #[serde(borrow)]
    pub(crate) receiver: Text<'a>,
    pub(crate) status: Status,
    #[serde(default, deserialize_with = "null_as_empty")]
    pub(crate) alerts: Vec<Alert<'a>>,
    #[serde(default, rename = "notification_reason")]
    pub(crate) reason: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) group_labels: Pairs<'a>,
    #[serde(default)]
    pub(crate) common_labels: Pairs<'a>,
    #[serde(default)]
    pub(crate) common_annotations: Pairs<'a>,
    #[serde(default, rename = "externalURL")]
    pub(crate) external_url: Text<'a>,
    pub(crate) group_key: Text<'a>,
    #[serde(default)]
    pub(crate) truncated_alerts: u64,
}

/// One alert of a message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Alert<'a> {
    pub(crate) status: Status,
    #[serde(borrow)]
    pub(crate) labels: Pairs<'a>,
    #[serde(default)]
    pub(crate) annotations: Pairs<'a>,
    pub(crate) starts_at: Text<'a>,
    #[serde(default)]
    ends_at: Text<'a>,
    #[serde(default, rename = "generatorURL")]
    pub(crate) generator_url: Text<'a>,
    #[serde(default)]
    fingerprint: Text<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Firing,
    Resolved,
}

/// A string borrowed from the body, or owned where it held escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

/// Labels or annotations, in the order sent; `null` is the same as none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pairs<'a>(pub(crate) Vec<(Text<'a>, Text<'a>)>);

/// Why a body was refused; the label of the counter and of the view of refused bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reason {
    Empty,
    NotUtf8,
    NotJson,
    TooDeep,
    NotAMessage,
    TooLarge,
    Encoding,
    Incomplete,
}

/// A refused body: the reason for machines and a sentence for people.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Invalid {
    pub(crate) reason: Reason,
    pub(crate) text: String,
}

impl<'a> Message<'a> {
    /// Reads a body; whatever is wrong with it becomes a reason, never a panic.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Self, Invalid> {
        let text = utf8(body)?;
        let message: Self = serde_json::from_str(text).map_err(|e| explain(&e))?;
        for (i, alert) in message.alerts.iter().enumerate() {
            if Nanos::parse(&alert.starts_at.0).is_none() {
                let text = format!("alerts[{i}].startsAt is not an RFC 3339 time: {:?}", clip(&alert.starts_at.0));
                return Err(Invalid { reason: Reason::NotAMessage, text });
            }
        }
        Ok(message)
    }

    /// The receiver's name as its owner wrote it.
    pub(crate) fn receiver_name(&self) -> String {
        unquote_meta(&self.receiver.0)
    }
}

impl Alert<'_> {
    pub(crate) fn starts(&self) -> Nanos {
        Nanos::parse(&self.starts_at.0).unwrap_or_default()
    }

    /// The end of a resolved alert; Alertmanager writes year 1 for a firing one.
    pub(crate) fn ends(&self) -> Option<Nanos> {
        match self.status {
            Status::Firing => None,
            Status::Resolved => Nanos::parse(&self.ends_at.0).filter(|n| n.0 > i64::MIN),
        }
    }

    /// As sent when it is one, else computed from the labels as Alertmanager does.
    pub(crate) fn fingerprint(&self) -> String {
        let sent = &self.fingerprint.0;
        if sent.len() == 16 && sent.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
            return sent.to_string();
        }
        fingerprint(&self.labels)
    }
}

impl Pairs<'_> {
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.0 == name).map(|(_, v)| &*v.0)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&*n.0, &*v.0))
    }

    /// A JSON object, keys as sent; a value that is too long for any page is clipped. The raw body keeps it whole.
    pub(crate) fn json(&self) -> String {
        let mut map = serde_json::Map::new();
        for (name, value) in self.iter() {
            let mut end = value.len().min(VALUE_MAX);
            while !value.is_char_boundary(end) {
                end -= 1;
            }
            let kept = if end < value.len() { format!("{}…", &value[..end]) } else { value.to_owned() };
            map.insert(name.to_owned(), kept.into());
        }
        serde_json::Value::Object(map).to_string()
    }
}

impl Reason {
    pub(crate) const ALL: [Reason; 8] = [
        Reason::Empty,
        Reason::NotUtf8,
        Reason::NotJson,
        Reason::TooDeep,
        Reason::NotAMessage,
        Reason::TooLarge,
        Reason::Encoding,
        Reason::Incomplete,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Empty => "empty",
            Reason::NotUtf8 => "not_utf8",
            Reason::NotJson => "not_json",
            Reason::TooDeep => "too_deep",
            Reason::NotAMessage => "not_a_message",
            Reason::TooLarge => "too_large",
            Reason::Encoding => "encoding",
            Reason::Incomplete => "incomplete",
        }
    }
}

/// Whether a body is one JSON value of any shape, for `/raw/{source}` and `/events`.
pub(crate) fn check_json(body: &[u8]) -> Result<(), Invalid> {
    serde_json::from_str::<de::IgnoredAny>(utf8(body)?).map_err(|e| explain(&e))?;
    Ok(())
}

/// The inverse of Go's `regexp.QuoteMeta`.
pub(crate) fn unquote_meta(quoted: &str) -> String {
    let mut out = String::with_capacity(quoted.len());
    let mut chars = quoted.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && chars.peek().is_some_and(|next| r"\.+*?()|[]{}^$".contains(*next)) {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}

/// FNV-1a over the sorted label set with 0xff after each name and value: `model.LabelSet.Fingerprint` of Prometheus.
fn fingerprint(labels: &Pairs<'_>) -> String {
    let mut sorted: Vec<(&str, &str)> = labels.iter().collect();
    sorted.sort_unstable();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |text: &str| {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in sorted {
        eat(name);
        eat(value);
    }
    format!("{hash:016x}")
}

fn utf8(body: &[u8]) -> Result<&str, Invalid> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Invalid { reason: Reason::Empty, text: "the body is empty".into() });
    }
    if deepest(body) > DEPTH_MAX {
        let text = format!("the body is nested deeper than {DEPTH_MAX} levels");
        return Err(Invalid { reason: Reason::TooDeep, text });
    }
    std::str::from_utf8(body).map_err(|e| Invalid {
        reason: Reason::NotUtf8,
        text: format!("the body is not UTF-8 (byte {})", e.valid_up_to()),
    })
}

/// How deep arrays and objects are nested, found without recursion. Fields that are passed over count too: what is kept
/// must be readable by others, whose parsers may recurse.
fn deepest(body: &[u8]) -> usize {
    let (mut depth, mut deepest, mut at) = (0_usize, 0, 0);
    while let Some(c) = body.get(at) {
        at += 1;
        match c {
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(c) = body.get(at) {
                    at += 1;
                    match c {
                        b'\\' => at += 1,
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}

fn explain(e: &serde_json::Error) -> Invalid {
    let text = e.to_string();
    if e.is_data() {
        let text = format!(
            "not an Alertmanager notification: {text}; a receiver with its own `payload:` must post to /raw/NAME instead"
        );
        return Invalid { reason: Reason::NotAMessage, text };
    }
    Invalid { reason: Reason::NotJson, text: format!("the body is not JSON: {text}") }
}

fn clip(text: &str) -> String {
    text.chars().take(60).collect()
}

fn null_as_empty<'de, D: de::Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, v: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(v)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(v.to_owned())))
            }
        }
        d.deserialize_str(Borrowing)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: de::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_unit<E>(self) -> Result<Pairs<'de>, E> {
                Ok(Pairs::default())
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    if pairs.len() == PAIRS_MAX {
                        return Err(de::Error::custom(format_args!(
                            "more than {PAIRS_MAX} labels or annotations in one set"
                        )));
                    }
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        d.deserialize_any(InOrder)
    }
}

/// Bytes of one value that are kept in the index.
const VALUE_MAX: usize = 16 << 10;
/// As deep as serde_json itself would go.
const DEPTH_MAX: usize = 128;
/// A body of nothing but six-byte pairs would otherwise take eight times its size in memory.
const PAIRS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reason(body: &[u8]) -> Reason {
        Message::parse(body).expect_err("refused").reason
    }

    #[test]
    fn broken_bodies_are_told_apart() {
        assert_eq!(reason(b""), Reason::Empty);
        assert_eq!(reason(b" \n"), Reason::Empty);
        assert_eq!(reason(b"{\"receiver\":\"\xff\"}"), Reason::NotUtf8);
        assert_eq!(reason(b"{\"receiver\":"), Reason::NotJson);
        assert_eq!(reason("[".repeat(100_000).as_bytes()), Reason::TooDeep);
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(reason(deep.as_bytes()), Reason::TooDeep);
        assert_eq!(reason(b"[]"), Reason::NotAMessage);
        assert_eq!(reason(b"null"), Reason::NotAMessage);
        assert_eq!(reason(br#"{"alerts":{},"receiver":"a","status":"firing","groupKey":"k"}"#), Reason::NotAMessage);
        assert_eq!(reason(br#"{"alerts":[{"status":"firing","labels":[],"startsAt":"x"}],"receiver":"a","status":"firing","groupKey":"k"}"#), Reason::NotAMessage);
        let text = Message::parse(br#"{"alerts":[],"n":1,"text":"x"}"#).expect_err("refused").text;
        assert!(text.contains("`payload:`") && text.contains("/raw/"), "{text}");
    }

    #[test]
    fn a_set_of_too_many_labels_is_refused() {
        let labels: Vec<String> = (0..=PAIRS_MAX).map(|i| format!("\"l{i}\":\"\"")).collect();
        let body =
            format!(r#"{{"receiver":"a","status":"firing","groupKey":"k","groupLabels":{{{}}}}}"#, labels.join(","));
        assert_eq!(reason(body.as_bytes()), Reason::NotAMessage);
    }

    #[test]
    fn receivers_are_unquoted() {
        assert_eq!(unquote_meta(r"team\.a\+b \(ops\)"), "team.a+b (ops)");
        assert_eq!(unquote_meta(r"back\\slash"), r"back\slash");
        assert_eq!(unquote_meta(r"odd\x\"), r"odd\x\");
    }

    #[test]
    fn every_recorded_body_is_read_and_its_fingerprints_agree() {
        let dir = std::env::var("BONGSU_PARITY").unwrap_or_else(|_| "../../shared/parity".into());
        let Ok(files) = std::fs::read_dir(std::path::Path::new(&dir).join("webhook/payloads")) else {
            return println!("skipped: {dir}/webhook/payloads is not there");
        };
        let mut alerts = 0;
        for file in files.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let body = std::fs::read(file.path()).expect("payload");
            if name == "MANIFEST.json" {
                continue;
            }
            if name.starts_with("payload-") {
                assert_eq!(reason(&body), Reason::NotAMessage, "{name}");
                check_json(&body).expect("JSON");
                continue;
            }
            let message = Message::parse(&body).unwrap_or_else(|e| panic!("{name}: {e}"));
            for alert in &message.alerts {
                assert_eq!(fingerprint(&alert.labels), alert.fingerprint(), "{name}");
                assert_eq!(alert.ends().is_some(), alert.status == Status::Resolved, "{name}");
                alerts += 1;
            }
        }
        assert!(alerts > 500, "{alerts} alerts seen");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Message::parse(&body);
        }
        #[test]
        fn any_cut_or_changed_message_is_survived(at in 0_usize..600, byte in any::<u8>(), cut in any::<bool>()) {
            let mut body = br#"{"receiver":"a","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A\u0000"},"annotations":null,"startsAt":"2026-11-22T13:09:50.286Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"x"}],"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"","version":"4","groupKey":"{}:{}","truncatedAlerts":0}"#.to_vec();
            let at = at % body.len();
            if cut { body.truncate(at) } else { body[at] = byte }
            let _ = Message::parse(&body).map(|m| m.alerts.iter().for_each(|a| drop((a.starts(), a.ends(), a.fingerprint()))));
        }
    }
}
