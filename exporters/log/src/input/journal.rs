//! systemd's journal, through `journalctl --output=export --follow`.

use super::Journal;
use super::batch::{Batch, Counters, Feed, LONGEST_LINE, Place, Source};
use serde_json::{Map, Value};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// Follows the journal until it is aborted; a `journalctl` that ends is started again where it stopped.
pub(super) async fn run(
    settings: Journal,
    mut cursor: Option<String>,
    feed: Feed,
    source: Arc<Source>,
    counters: Arc<Counters>,
) {
    let mut pause = SHORTEST;
    loop {
        match follow(&settings, &mut cursor, &feed, &source, &counters).await {
            Ok(true) => pause = SHORTEST,
            Ok(false) => {}
            Err(e) => {
                counters.error();
                tracing::error!(input = settings.name, err = %e, "The journal cannot be read");
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Whether anything was read before it ended.
async fn follow(
    settings: &Journal,
    cursor: &mut Option<String>,
    feed: &Feed,
    source: &Arc<Source>,
    counters: &Counters,
) -> std::io::Result<bool> {
    let mut command = Command::new("journalctl");
    command.args(["--output=export", "--follow", "--quiet", "--all"]);
    match cursor {
        Some(cursor) => drop(command.arg(format!("--after-cursor={cursor}")).arg("--no-tail")),
        None if settings.read_from_start => drop(command.arg("--no-tail")),
        None => drop(command.arg("--lines=0")),
    }
    command.args(settings.units.iter().map(|u| format!("--unit={u}"))).arg("--").args(&settings.matches);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let Some(mut output) = child.stdout.take() else { return Ok(false) };
    let (mut parser, mut buffer, mut any) = (Parser::default(), Vec::with_capacity(64 << 10), false);
    while output.read_buf(&mut buffer).await? > 0 {
        let mut batch = Batch::new(Arc::clone(source));
        parser.take(&buffer, &mut |entry| {
            if let Some(at) = entry.remove("__CURSOR").and_then(|c| c.as_str().map(str::to_owned)) {
                *cursor = Some(at);
            }
            match entry.get("MESSAGE").and_then(Value::as_str).map(str::to_owned) {
                Some(line) => batch.push(line.as_bytes(), Some(Value::Object(std::mem::take(entry)))),
                None => counters.error(),
            }
        });
        buffer.clear();
        any = true;
        batch.place = cursor.clone().map(Place::Cursor);
        if !batch.is_empty() && !feed.send(batch).await {
            return std::future::pending().await;
        }
    }
    child.wait().await?;
    Ok(any)
}

/// The export format: `NAME=text`, or `NAME`, a length of 64 bits and bytes; an empty line ends an entry.
#[derive(Debug, Default)]
struct Parser {
    held: Vec<u8>,
    entry: Map<String, Value>,
}

impl Parser {
    fn take(&mut self, bytes: &[u8], out: &mut dyn FnMut(&mut Map<String, Value>)) {
        self.held.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(used) = self.field(at, out) {
            at += used;
        }
        self.held.drain(..at);
        if self.held.len() > MOST_HELD {
            // A field that large is none that anybody wants; what follows is found again at an entry's end.
            self.held.clear();
        }
    }

    /// Takes one line or field; `None` where it is not whole.
    fn field(&mut self, at: usize, out: &mut dyn FnMut(&mut Map<String, Value>)) -> Option<usize> {
        let rest = &self.held[at..];
        let end = memchr::memchr(b'\n', rest)?;
        let line = &rest[..end];
        if line.is_empty() {
            if !self.entry.is_empty() {
                out(&mut self.entry);
            }
            self.entry.clear();
            return Some(1);
        }
        let (name, value, used) = if let Some(equals) = memchr::memchr(b'=', line) {
            (&line[..equals], &line[equals + 1..], end + 1)
        } else {
            let (length, bytes) = rest[end + 1..].split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            if length > MOST_HELD {
                // No field: go on behind this line.
                return Some(end + 1);
            }
            let value = bytes.get(..length)?;
            bytes.get(length)?;
            (line, value, end + 1 + 8 + length + 1)
        };
        let value = &value[..value.len().min(LONGEST_LINE)];
        let name = String::from_utf8_lossy(name).into_owned();
        let value = String::from_utf8_lossy(value).into_owned();
        if self.entry.len() < MOST_FIELDS {
            self.entry.insert(name, value.into());
        }
        Some(used)
    }
}

const MOST_HELD: usize = 16 << 20;
const MOST_FIELDS: usize = 1024;
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8], piece: usize) -> Vec<Value> {
        let (mut parser, mut got) = (Parser::default(), Vec::new());
        for piece in bytes.chunks(piece.max(1)) {
            parser.take(piece, &mut |entry| got.push(Value::Object(std::mem::take(entry))));
        }
        got
    }

    #[test]
    fn texts_and_bytes() {
        let mut bytes = b"__CURSOR=s=1;i=2\nMESSAGE=one\n\nMESSAGE\n".to_vec();
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend(b"two\n\xff=3\n_PID=1\n\n");
        for piece in 1..bytes.len() {
            let got = parse(&bytes, piece);
            assert_eq!(got[0], serde_json::json!({"__CURSOR": "s=1;i=2", "MESSAGE": "one"}));
            assert_eq!(got[1], serde_json::json!({"MESSAGE": "two\n\u{fffd}=3", "_PID": "1"}), "{piece}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, likely in "[A\n=\\x00]{0,40}", piece in 1_usize..9) {
            parse(&bytes, piece);
            parse(likely.as_bytes(), piece);
        }
    }
}
