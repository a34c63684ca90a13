//! One syslog message: RFC 5424, RFC 3164, and what senders make of the latter.

use serde_json::{Map, Value};

/// A message and its parts, empty where it has none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'m> {
    priority: Option<u8>,
    timestamp: &'m [u8],
    hostname: &'m [u8],
    app: &'m [u8],
    process: &'m [u8],
    id: &'m [u8],
    data: &'m [u8],
    /// What the program said.
    pub(super) text: &'m [u8],
}

impl<'m> Message<'m> {
    /// Reads a message; what cannot be understood is text.
    pub(super) fn parse(bytes: &'m [u8]) -> Self {
        let bytes = bytes.trim_ascii_end();
        let Some((priority, rest)) = priority(bytes) else { return Self { text: bytes, ..Self::default() } };
        let message = match rest.strip_prefix(b"1 ") {
            Some(rest) => modern(rest),
            None => None,
        };
        Self { priority: Some(priority), ..message.unwrap_or_else(|| old(rest)) }
    }

    /// The parts, for templates.
    pub(super) fn extra(&self) -> Value {
        let mut extra = Map::new();
        let mut set = |name: &str, value: &[u8]| {
            if !value.is_empty() {
                extra.insert(name.into(), String::from_utf8_lossy(value).into_owned().into());
            }
        };
        set("hostname", self.hostname);
        set("app_name", self.app);
        set("proc_id", self.process);
        set("msg_id", self.id);
        set("timestamp", self.timestamp);
        set("structured_data", self.data);
        if let Some(priority) = self.priority {
            set("severity", SEVERITIES[usize::from(priority & 7)].as_bytes());
            set("facility", FACILITIES.get(usize::from(priority >> 3)).copied().unwrap_or_default().as_bytes());
        }
        Value::Object(extra)
    }
}

fn priority(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|b| *b == b'>')?;
    let number = std::str::from_utf8(&rest[..end]).ok()?.parse::<u8>().ok().filter(|n| *n < 192)?;
    Some((number, &rest[end + 1..]))
}

/// RFC 5424 behind the version: time, host, program, process, kind, data, text.
fn modern(rest: &[u8]) -> Option<Message<'_>> {
    let mut parts = rest.splitn(6, |b| *b == b' ');
    let mut part = || parts.next().map(|p| if p == b"-" { b"" } else { p });
    let (timestamp, hostname, app, process, id) = (part()?, part()?, part()?, part()?, part()?);
    let rest = parts.next()?;
    let (data, text) =
        if let Some(text) = rest.strip_prefix(b"-") { (&b""[..], text) } else { rest.split_at(data_end(rest)?) };
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Some(Message { priority: None, timestamp, hostname, app, process, id, data, text })
}

/// The end of `[id name="value"…]…`, in whose values `"` and `]` are escaped.
fn data_end(bytes: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped, mut open) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if open => quoted = !quoted,
            b'[' if !quoted && !open => open = true,
            b']' if !quoted && open => open = false,
            b' ' if !open && at > 0 => return Some(at),
            _ if !open => return None,
            _ => {}
        }
    }
    (!open && !bytes.is_empty()).then_some(bytes.len())
}

/// RFC 3164: time, host, `tag[pid]:` and text; some leave the host out, some write the time as RFC 3339 does.
fn old(rest: &[u8]) -> Message<'_> {
    let mut message = Message::default();
    let Some((timestamp, rest)) = time(rest) else {
        let (app, process, text) = tag(rest).unwrap_or((b"", b"", rest));
        return Message { app, process, text, ..message };
    };
    message.timestamp = timestamp;
    if let Some((app, process, text)) = tag(rest) {
        return Message { app, process, text, ..message };
    }
    let (hostname, rest) = word(rest);
    let (app, process, text) = tag(rest).unwrap_or((b"", b"", rest));
    Message { hostname, app, process, text, ..message }
}

fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == b' ').unwrap_or(bytes.len());
    (&bytes[..end], bytes.get(end + 1..).unwrap_or_default())
}

/// `Oct 11 22:14:15 ` or `2003-10-11T22:14:15.003Z `.
fn time(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_old = bytes.len() > 15
        && bytes[..3].iter().all(u8::is_ascii_alphabetic)
        && bytes[3] == b' '
        && bytes[9] == b':'
        && bytes[12] == b':'
        && bytes[15] == b' ';
    if is_old {
        return Some((&bytes[..15], &bytes[16..]));
    }
    let (first, rest) = word(bytes);
    let is_new = first.len() > 18 && first[4] == b'-' && first[10] == b'T' && first[..4].iter().all(u8::is_ascii_digit);
    is_new.then_some((first, rest))
}

/// `tag[pid]: text` or `tag: text`.
fn tag(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (first, rest) = word(bytes);
    let first = first.strip_suffix(b":")?;
    if first.is_empty() {
        return None;
    }
    match first.strip_suffix(b"]").and_then(|f| f.iter().position(|b| *b == b'[').map(|at| f.split_at(at))) {
        Some((app, process)) => Some((app, &process[1..], rest)),
        None => Some((first, b"", rest)),
    }
}

const SEVERITIES: [&str; 8] = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> (String, Value) {
        let message = Message::parse(text.as_bytes());
        (String::from_utf8_lossy(message.text).into_owned(), message.extra())
    }

    #[test]
    fn messages_of_both_standards() {
        let modern =
            parse("<165>1 2003-10-11T22:14:15.003Z host app 8710 ID47 [a@1 k=\"v \\\"]\\\" \"][b@1] \u{feff}An event");
        assert_eq!(modern.0, "An event");
        assert_eq!(
            modern.1,
            serde_json::json!({"hostname": "host", "app_name": "app", "proc_id": "8710", "msg_id": "ID47",
                "timestamp": "2003-10-11T22:14:15.003Z", "structured_data": "[a@1 k=\"v \\\"]\\\" \"][b@1]",
                "severity": "notice", "facility": "local4"})
        );
        assert_eq!(parse("<14>1 - - - - - - text").0, "text");
        assert_eq!(parse("<14>1 - - - - - -").0, "");
        let old = parse("<34>Oct 11 22:14:15 mymachine su[12]: 'su root' failed");
        assert_eq!(old.0, "'su root' failed");
        assert_eq!(
            old.1,
            serde_json::json!({"hostname": "mymachine", "app_name": "su", "proc_id": "12",
                "timestamp": "Oct 11 22:14:15", "severity": "crit", "facility": "auth"})
        );
        for (text, line, host, app) in [
            ("<190>Oct  1 22:14:15 nginx: GET / 200", "GET / 200", "", "nginx"),
            (
                "<190>Oct  1 22:14:15 web1 nginx: 1.2.3.4 - - \"GET / HTTP/1.1\"",
                "1.2.3.4 - - \"GET / HTTP/1.1\"",
                "web1",
                "nginx",
            ),
            ("<34>2003-10-11T22:14:15.003Z host app[1]: msg", "msg", "host", "app"),
            ("<34>app: msg", "msg", "", "app"),
            ("<34>just text", "just text", "", ""),
            ("no priority at all", "no priority at all", "", ""),
            ("<999>x", "<999>x", "", ""),
        ] {
            let (got, extra) = parse(text);
            let part = |name: &str| extra.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            assert_eq!(
                (got.as_str(), part("hostname").as_str(), part("app_name").as_str()),
                (line, host, app),
                "{text}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, likely in "<[0-9]{1,3}>1?[ a-zA-Z0-9:\\[\\]\"\\\\.T-]{0,60}") {
            Message::parse(&bytes).extra();
            let message = Message::parse(likely.as_bytes());
            prop_assert!(likely.trim_end().ends_with(&*String::from_utf8_lossy(message.text)));
        }
    }
}
