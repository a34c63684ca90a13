//! Each delivery on standard output, as the Flask script printed it but in readable UTF-8.
//!
//! The body is laid out anew byte by byte: no tree is built, so a body of 32 MiB costs no more memory than a small one.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use service::{Flag, FlagKind};

use crate::clock::Nanos;

/// `--print`.
pub(crate) const PRINT: Flag = Flag::new(
    "print",
    FlagKind::Choice(&["pretty", "ndjson", "off"]),
    "pretty",
    "How each delivery is printed on standard output.",
);

/// Prints on a thread of its own; a reader of standard output that hangs never holds up a sender.
#[derive(Clone)]
pub(crate) struct Printer {
    queue: Option<SyncSender<(Nanos, Bytes)>>,
    skipped: Arc<AtomicU64>,
    /// Bytes in the queue.
    held: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Pretty,
    Ndjson,
}

impl Printer {
    /// `style` is one of the words of `--print`.
    pub(crate) fn start(style: &str, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (skipped, held) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let style = match style {
            "pretty" => Style::Pretty,
            "ndjson" => Style::Ndjson,
            _ => return Ok(Self { queue: None, skipped, held }),
        };
        let (queue, waiting) = sync_channel::<(Nanos, Bytes)>(WAITING);
        let (missed, taken) = (Arc::clone(&skipped), Arc::clone(&held));
        std::thread::Builder::new().name("print".into()).spawn(move || {
            crate::sys::stand_back();
            let mut out = std::io::BufWriter::with_capacity(16 << 10, out);
            while let Ok(mut next) = waiting.recv() {
                loop {
                    // A closed standard output is no reason to stop receiving.
                    let _ = print(&mut out, style, next.0, &next.1);
                    taken.fetch_sub(next.1.len(), Ordering::Relaxed);
                    match waiting.try_recv() {
                        Ok(more) => next = more,
                        Err(_) => break,
                    }
                }
                let n = missed.swap(0, Ordering::Relaxed);
                if n > 0 && style == Style::Pretty {
                    let _ = writeln!(
                        out,
                        "[{}] {n} deliveries were stored but not printed: standard output is too slow",
                        now()
                    );
                }
                let _ = out.flush();
                // Waking this thread costs a sender more than handing it the text: in a stream one waking does for many.
                std::thread::sleep(GAP);
            }
        })?;
        Ok(Self { queue: Some(queue), skipped, held })
    }

    pub(crate) fn delivery(&self, received: Nanos, body: &Bytes) {
        let Some(queue) = &self.queue else { return };
        let before = self.held.fetch_add(body.len(), Ordering::Relaxed);
        let room = before == 0 || before + body.len() <= WAITING_BYTES;
        if !room || queue.try_send((received, body.clone())).is_err() {
            self.held.fetch_sub(body.len(), Ordering::Relaxed);
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn now() -> String {
    Nanos::now().rfc3339_seconds()
}

fn print(out: &mut impl Write, style: Style, received: Nanos, body: &[u8]) -> std::io::Result<()> {
    if style == Style::Pretty {
        writeln!(out, "[{}] Received alerts:", received.rfc3339_seconds())?;
    }
    lay_out(out, style, body)?;
    out.write_all(b"\n")
}

/// Writes valid JSON indented by two (`Pretty`) or on one line (`Ndjson`), `\u` escapes of printable characters undone,
/// control characters escaped: a body cannot steer the terminal it is printed on.
pub(crate) fn lay_out(out: &mut impl Write, style: Style, json: &[u8]) -> std::io::Result<()> {
    let pretty = style == Style::Pretty;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&c) = json.get(at) {
        at += 1;
        match c {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => at = string(out, json, at)?,
            b'{' | b'[' => {
                out.write_all(&[c])?;
                let after = json[at..].iter().position(|c| !c.is_ascii_whitespace()).map_or(json.len(), |n| at + n);
                if matches!(json.get(after), Some(b'}' | b']')) {
                    out.write_all(&json[after..=after])?;
                    at = after + 1;
                } else {
                    depth += 1;
                    if pretty {
                        newline(out, depth)?;
                    }
                }
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if pretty {
                    newline(out, depth)?;
                }
                out.write_all(&[c])?;
            }
            b',' => {
                out.write_all(b",")?;
                if pretty {
                    newline(out, depth)?;
                }
            }
            b':' => out.write_all(if pretty { b": " } else { b":" })?,
            other => out.write_all(&[other])?,
        }
    }
    Ok(())
}

fn newline(out: &mut impl Write, depth: usize) -> std::io::Result<()> {
    out.write_all(b"\n")?;
    (0..depth).try_for_each(|_| out.write_all(b"  "))
}

/// Copies a string whose opening quote was just read, and answers where it ended.
fn string(out: &mut impl Write, json: &[u8], mut at: usize) -> std::io::Result<usize> {
    out.write_all(b"\"")?;
    loop {
        let rest = &json[at..];
        let plain = rest.iter().position(|c| matches!(c, b'"' | b'\\' | 0x7f | 0xc2)).unwrap_or(rest.len());
        out.write_all(&rest[..plain])?;
        at += plain;
        match json.get(at) {
            None => return Ok(at),
            Some(b'"') => {
                out.write_all(b"\"")?;
                return Ok(at + 1);
            }
            Some(b'\\') if json.get(at + 1) == Some(&b'u') => {
                let (unit, low) = (hex(json, at + 2), hex(json, at + 8));
                let pair = matches!((unit, low), (Some(0xd800..0xdc00), Some(0xdc00..0xe000)))
                    && json.get(at + 6..at + 8) == Some(b"\\u");
                let code = match (unit, low) {
                    (Some(high), Some(low)) if pair => Some(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
                    (one, _) => one,
                };
                let used = if pair { 12 } else { 6 };
                match code.and_then(char::from_u32).filter(|c| !c.is_control() && !matches!(c, '"' | '\\')) {
                    Some(c) => out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?,
                    None => out.write_all(json.get(at..at + used).unwrap_or(&json[at..]))?,
                }
                at = (at + used).min(json.len());
            }
            Some(b'\\') => {
                out.write_all(json.get(at..at + 2).unwrap_or(&json[at..]))?;
                at = (at + 2).min(json.len());
            }
            Some(0x7f) => {
                out.write_all(b"\\u007f")?;
                at += 1;
            }
            // The C1 control characters, which some terminals obey as they do ESC.
            Some(_) => {
                if let Some(second @ 0x80..=0x9f) = json.get(at + 1) {
                    write!(out, "\\u00{second:02x}")?;
                    at += 2;
                } else {
                    out.write_all(b"\xc2")?;
                    at += 1;
                }
            }
        }
    }
}

fn hex(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + 4)?;
    digits.iter().try_fold(0, |n, c| Some(n * 16 + char::from(*c).to_digit(16)?))
}

/// Deliveries that may wait to be printed, and their bytes; one of any size always may.
const WAITING: usize = 512;
const WAITING_BYTES: usize = 16 << 20;
/// How long the thread lets deliveries come in before it looks again.
const GAP: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn laid(style: Style, json: &str) -> String {
        let mut out = Vec::new();
        lay_out(&mut out, style, json.as_bytes()).expect("a Vec takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn it_reads_as_python_would_indent_it_but_in_utf8() {
        let json =
            "{\"a\":{},\"b\":[ ],\"c\":[1,{\"d\":\"\\u0026 \\ud83d\\udea8 \\u001b[31m \\n \\\"q\\\" 디스크\"}]}\n";
        assert_eq!(
            laid(Style::Pretty, json),
            "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"& 🚨 \\u001b[31m \\n \\\"q\\\" 디스크\"\n    }\n  ]\n}"
        );
        assert_eq!(
            laid(Style::Ndjson, json),
            "{\"a\":{},\"b\":[],\"c\":[1,{\"d\":\"& 🚨 \\u001b[31m \\n \\\"q\\\" 디스크\"}]}"
        );
    }

    #[test]
    fn terminals_are_not_steered() {
        assert_eq!(
            laid(Style::Ndjson, "\"\u{9b}31m\u{7f}é\\u009b\\u0022\\ud800x\""),
            "\"\\u009b31m\\u007fé\\u009b\\u0022\\ud800x\""
        );
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                proptest::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn what_is_printed_is_the_same_document(value in json()) {
            for style in [Style::Pretty, Style::Ndjson] {
                let printed = laid(style, &value.to_string());
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&printed).expect("JSON"), &value);
            }
        }
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = lay_out(&mut Vec::new(), Style::Pretty, &bytes);
        }
    }
}
