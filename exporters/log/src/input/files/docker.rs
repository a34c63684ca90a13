//! Docker's json-file logs: each line is `{"log":"…\n","stream":"stdout","time":"…"}`, and a line of the program that is
//! longer than 16 KiB comes in several, of which only the last has the newline.

use crate::input::batch::LONGEST_LINE;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
}

/// Puts the parts of long lines together, each stream for itself.
#[derive(Debug, Default)]
pub(super) struct Parts {
    streams: [Vec<u8>; 2],
    cut: [bool; 2],
}

/// What a line of the file was.
#[derive(Debug, PartialEq)]
pub(super) enum Taken {
    /// The end of a line, which is in the buffer that was passed; `true` where it lost its own end.
    Line(Value, bool),
    /// A part of a longer one.
    Part,
    /// Not what Docker writes.
    Foreign,
}

impl Parts {
    /// Takes one line of the file; a complete line of the program is put into `out`.
    pub(super) fn take(&mut self, line: &[u8], out: &mut Vec<u8>) -> Taken {
        out.clear();
        let Ok(entry) = serde_json::from_slice::<Entry<'_>>(line) else { return Taken::Foreign };
        let at = usize::from(entry.stream == "stderr");
        let (whole, text) = match entry.log.strip_suffix('\n') {
            Some(text) => (true, text),
            None => (false, &*entry.log),
        };
        let held = &mut self.streams[at];
        let room = LONGEST_LINE.saturating_sub(held.len());
        self.cut[at] |= text.len() > room;
        held.extend_from_slice(&text.as_bytes()[..text.len().min(room)]);
        if !whole {
            return Taken::Part;
        }
        std::mem::swap(out, held);
        held.clear();
        if out.last() == Some(&b'\r') {
            out.pop();
        }
        let mut extra = Map::new();
        extra.insert("stream".into(), entry.stream.into_owned().into());
        extra.insert("time".into(), entry.time.into_owned().into());
        Taken::Line(Value::Object(extra), std::mem::take(&mut self.cut[at]))
    }

    /// Whether a part waits for the rest of its line.
    pub(super) fn waiting(&self) -> bool {
        self.streams.iter().any(|s| !s.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parts_are_joined_by_stream() {
        let mut parts = Parts::default();
        let mut out = Vec::new();
        let mut take = |line: &str| {
            let taken = parts.take(line.as_bytes(), &mut out);
            (taken, String::from_utf8_lossy(&out).into_owned(), parts.waiting())
        };
        let (taken, line, waiting) = take(r#"{"log":"a \"b\"\r\n","stream":"stdout","time":"2024-01-01T00:00:00Z"}"#);
        assert_eq!((line.as_str(), waiting), ("a \"b\"", false));
        let extra = serde_json::json!({"stream": "stdout", "time": "2024-01-01T00:00:00Z"});
        assert_eq!(taken, Taken::Line(extra, false));
        assert_eq!(take(r#"{"log":"one ","stream":"stdout"}"#).0, Taken::Part);
        let (taken, line, waiting) = take(r#"{"log":"err\n","stream":"stderr"}"#);
        assert!(matches!(taken, Taken::Line(..)) && line == "err" && waiting);
        assert_eq!(take(r#"{"log":"two\n","stream":"stdout"}"#).1, "one two");
        for foreign in ["", "x", "{}", r#"{"log":1}"#, "{\"log\":\"x"] {
            assert_eq!(take(foreign).0, Taken::Foreign, "{foreign}");
        }
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut parts = Parts::default();
        let (mut out, part) = (Vec::new(), format!(r#"{{"log":"{}"}}"#, "x".repeat(16 << 10)));
        for _ in 0..70 {
            assert_eq!(parts.take(part.as_bytes(), &mut out), Taken::Part);
        }
        assert!(matches!(parts.take(br#"{"log":"end\n"}"#, &mut out), Taken::Line(_, true)));
        assert_eq!(out.len(), LONGEST_LINE);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(lines: Vec<Vec<u8>>) {
            let (mut parts, mut out) = (Parts::default(), Vec::new());
            for line in lines {
                parts.take(&line, &mut out);
            }
        }

        #[test]
        fn what_was_logged_comes_out(texts in proptest::collection::vec("[^\n\r]{0,20}", 1..5)) {
            let (mut parts, mut out) = (Parts::default(), Vec::new());
            for (i, text) in texts.iter().enumerate() {
                let end = if i + 1 == texts.len() { "\n" } else { "" };
                let line = serde_json::json!({"log": format!("{text}{end}"), "stream": "stdout"}).to_string();
                parts.take(line.as_bytes(), &mut out);
            }
            prop_assert_eq!(String::from_utf8(out).unwrap(), texts.concat());
        }
    }
}
