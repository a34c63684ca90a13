//! Which kind of status page a target has.

use crate::{angie, plus, stub_status, vts};
use serde_json::Value;

/// A kind of status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Told by each answer.
    Auto,
    /// stub_status.
    Stub,
    /// The API of NGINX Plus.
    Plus,
    /// Angie's `/status/`.
    Angie,
    /// nginx-module-vts' `/status/format/json`.
    Vts,
}

impl Format {
    /// The words of the flag.
    pub(crate) const WORDS: &'static [&'static str] = &["auto", "stub", "plus", "angie", "vts"];

    /// From a word of the flag; any other is the default.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "auto" => Self::Auto,
            "plus" => Self::Plus,
            "angie" => Self::Angie,
            "vts" => Self::Vts,
            _ => Self::Stub,
        }
    }

    /// What an answer is.
    pub(crate) fn of(body: &[u8]) -> Option<Self> {
        if stub_status::parse(body).is_some() {
            return Some(Self::Stub);
        }
        if plus::versions(body).is_some() {
            return Some(Self::Plus);
        }
        let answer: Value = serde_json::from_slice(body).ok()?;
        if answer.get("angie").is_some() {
            return angie::Status::of(answer).map(|_| Self::Angie);
        }
        vts::Status::of(answer).map(|_| Self::Vts)
    }

    /// What the answer ought to be, for messages.
    pub(crate) fn page(self) -> &'static str {
        match self {
            Self::Auto | Self::Stub => "stub_status page",
            Self::Plus => "list of API versions of NGINX Plus",
            Self::Angie => "/status/ of Angie",
            Self::Vts => "JSON of nginx-module-vts",
        }
    }

    /// The most that an answer may hold: a stub_status page has 100 bytes, and a proxy may add to it; JSON has some
    /// hundred bytes for each zone and peer.
    pub(crate) fn most_bytes(self) -> usize {
        if self == Self::Stub { 64 << 10 } else { 8 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exporter::Part;
    use proptest::prelude::*;

    #[test]
    fn answers_tell_what_they_are() {
        for (body, format) in [
            (
                "Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n",
                "stub",
            ),
            ("[1,2,3]\n", "plus"),
            (r#"{"angie":{"version":"1"},"connections":{"accepted":1}}"#, "angie"),
            (r#"{"hostName":"a","nginxVersion":"1.27","connections":{"active":1}}"#, "vts"),
        ] {
            assert_eq!(Format::of(body.as_bytes()), Some(Format::from_word(format)), "{body}");
        }
        for body in ["", "<html>", "[]", "{}", "null", r#"{"angie":1}"#, r#"{"nginxVersion":"1"}"#] {
            assert_eq!(Format::of(body.as_bytes()), None, "{body}");
        }
    }

    /// JSON of any shape, its names those that the rules look for.
    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from),
        ];
        let name = prop::sample::select(vec![
            "angie",
            "connections",
            "nginxVersion",
            "http",
            "stream",
            "upstreams",
            "peers",
            "server",
            "responses",
            "codes",
            "serverZones",
            "upstreamZones",
            "requestBuckets",
            "msecs",
            "counters",
            "workers",
            "zone_sync",
            "x\"\\\n",
        ]);
        leaf.prop_recursive(5, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_answer_is_survived(bytes: Vec<u8>, answer in json()) {
            Format::of(&bytes);
            let body = serde_json::to_vec(&answer).unwrap();
            Format::of(&body);
            let mut part = Part::new();
            if let Some(status) = angie::Status::of(answer.clone()) {
                status.emit(&[("zone", b"const")], &mut part);
            }
            if let Some(status) = vts::Status::of(answer.clone()) {
                status.stub();
                status.emit(&[("host", b"const")], &mut part);
            }
            plus::Status::from(answer).emit(&[], &mut part);
            let mut out = Vec::new();
            exposition::Page::merge(vec![part]).0.write_text(&mut out);
            prop_assert!(exposition::parse_text(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
        }
    }
}
