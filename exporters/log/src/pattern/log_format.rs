//! nginx `log_format`: variables and the text between them, found by looking for that text alone.

use memchr::memmem::Finder;

use super::{Captures, PatternError, begins};

/// A compiled format.
#[derive(Debug)]
pub(super) struct LogFormat {
    lead: Box<[u8]>,
    segments: Vec<Segment>,
    wanted: usize,
}

/// A variable and the text after it.
#[derive(Debug)]
struct Segment {
    kind: Kind,
    end: End,
    /// Which fields come from it.
    fields: Vec<(usize, Piece)>,
}

/// What a variable's value can look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// Digits and points, or `-`.
    Number,
    /// `0.1, 0.2 : 0.3`: one value for each upstream that was asked.
    List,
    /// A string of `escape=json`: backslashes hide quotes.
    Json,
}

/// Where a variable ends.
#[derive(Debug)]
enum End {
    Line,
    Byte(u8),
    Text(Box<Finder<'static>>, usize),
    /// Before a slash: a path follows at once.
    Path,
    /// With its last digit: something that is no number follows at once.
    Digits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Whole,
    Method,
    Uri,
    Path,
    Protocol,
}

/// What `$request` also holds, by the names of nginx and short ones.
const REQUEST: [(&str, Piece); 7] = [
    ("request_method", Piece::Method),
    ("method", Piece::Method),
    ("request_uri", Piece::Uri),
    ("uri", Piece::Uri),
    ("path", Piece::Path),
    ("server_protocol", Piece::Protocol),
    ("protocol", Piece::Protocol),
];

const NUMBERS: [&str; 13] = [
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connections_active",
    "content_length",
    "msec",
    "pid",
    "remote_port",
    "request_length",
    "request_time",
    "server_port",
    "status",
];

const PATHS: [&str; 3] = ["document_uri", "request_uri", "uri"];

impl LogFormat {
    pub(super) fn new(text: &str, wanted: &[&str]) -> Result<Self, PatternError> {
        let refuse = |message: String| PatternError::Syntax { expr: text.into(), message };
        let (format, json) = directive(text).map_err(refuse)?;
        let parts = parts(&format).map_err(refuse)?;
        let names: Vec<&str> = parts
            .iter()
            .filter_map(|part| if let Part::Variable(name) = part { Some(&name[..]) } else { None })
            .collect();
        if names.is_empty() {
            return Err(refuse("a log_format needs a $variable".into()));
        }
        let mut lead = &b""[..];
        let mut segments = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let name = match part {
                Part::Text(text) => {
                    if i == 0 {
                        lead = text.as_bytes();
                    }
                    continue;
                }
                Part::Variable(name) => name,
            };
            let kind = if json && i > 0 && matches!(&parts[i - 1], Part::Text(text) if text.ends_with('"')) {
                Kind::Json
            } else if name.starts_with("upstream_") {
                Kind::List
            } else if NUMBERS.contains(&&name[..]) {
                Kind::Number
            } else {
                Kind::Text
            };
            let end = match parts.get(i + 1) {
                None => End::Line,
                Some(Part::Text(text)) if text.len() == 1 => End::Byte(text.as_bytes()[0]),
                Some(Part::Text(text)) => End::Text(Box::new(Finder::new(text).into_owned()), text.len()),
                Some(Part::Variable(next)) if PATHS.contains(&&next[..]) => End::Path,
                Some(Part::Variable(_)) if kind == Kind::Number => End::Digits,
                Some(Part::Variable(next)) => {
                    return Err(refuse(format!(
                        "nothing stands between ${name} and ${next}: where one ends cannot be known"
                    )));
                }
            };
            segments.push(Segment { kind, end, fields: Vec::new() });
        }
        for (index, field) in wanted.iter().enumerate() {
            let mut places = (0..names.len()).filter(|i| names[*i] == *field).map(|i| (i, Piece::Whole));
            let place = match (places.next(), places.next()) {
                (Some(_), Some(_)) => return Err(PatternError::Twice { field: (*field).into(), expr: text.into() }),
                (Some(place), None) => Some(place),
                (None, _) => {
                    let request = names.iter().position(|name| *name == "request");
                    request.zip(REQUEST.iter().find(|(name, _)| name == field).map(|(_, piece)| *piece))
                }
            };
            let missing = || PatternError::Missing { field: (*field).into(), expr: text.into() };
            let (segment, piece) = place.ok_or_else(missing)?;
            segments[segment].fields.push((index, piece));
        }
        Ok(Self { lead: lead.into(), segments, wanted: wanted.len() })
    }

    pub(super) fn matches<'l>(&self, line: &'l [u8], captures: &mut Captures<'l>) -> bool {
        captures.begin(line, self.wanted);
        if !begins(line, &self.lead) {
            return false;
        }
        let mut at = self.lead.len();
        for segment in &self.segments {
            let Some((len, skip)) = segment.find(&line[at..]) else { return false };
            let value = &line[at..at + len];
            if segment.kind == Kind::Number && !is_number(value) {
                return false;
            }
            for (field, piece) in &segment.fields {
                match piece {
                    Piece::Whole if value == b"-" => {}
                    Piece::Whole if segment.kind == Kind::Json => captures.set_string(*field, at, at + len),
                    Piece::Whole => captures.set(*field, at, at + len),
                    piece => {
                        let (start, end) = split_request(value, *piece);
                        captures.set(*field, at + start, at + end);
                    }
                }
            }
            at += len + skip;
        }
        at == line.len()
    }
}

impl Segment {
    /// How long the value at the start of `rest` is, and the text after it.
    fn find(&self, rest: &[u8]) -> Option<(usize, usize)> {
        match self.kind {
            Kind::Json => {
                let mut at = 0;
                loop {
                    at += memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
                    if rest[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
                let (none, skip) = self.end.find(&rest[at..])?;
                (none == 0).then_some((at, skip))
            }
            Kind::List => {
                let mut from = 0;
                loop {
                    let (len, skip) = self.end.find(&rest[from..])?;
                    let end = from + len;
                    // A comma or a colon says that another upstream follows.
                    let (left, right) = (&rest[..end], &rest[end..]);
                    if skip == 0
                        || !(right.starts_with(b" : ")
                            || (left.ends_with(b",") || left.ends_with(b" :")) && right.starts_with(b" "))
                    {
                        return Some((end, skip));
                    }
                    from = end + if right.starts_with(b" : ") { 3 } else { 1 };
                }
            }
            Kind::Text | Kind::Number => self.end.find(rest),
        }
    }
}

impl End {
    fn find(&self, rest: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Line => Some((rest.len(), 0)),
            Self::Byte(byte) => Some((memchr::memchr(*byte, rest)?, 1)),
            Self::Text(finder, len) => {
                // Mostly the first place where its first byte stands.
                let text = finder.needle();
                let at = memchr::memchr(text[0], rest)?;
                if begins(&rest[at..], text) {
                    return Some((at, *len));
                }
                Some((at + finder.find(&rest[at..])?, *len))
            }
            Self::Path => Some((memchr::memchr(b'/', rest)?, 0)),
            Self::Digits => {
                Some((rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(rest.len()), 0))
            }
        }
    }
}

fn is_number(value: &[u8]) -> bool {
    value.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') || value == b"-"
}

/// `GET /index.html?a=b HTTP/1.1`: where a piece stands. Nothing has a place in what is no request.
fn split_request(request: &[u8], piece: Piece) -> (usize, usize) {
    let Some(method) = memchr::memchr(b' ', request) else { return (0, 0) };
    // The letters that nginx takes for a method.
    if method == 0 || !request[..method].iter().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-')) {
        return (0, 0);
    }
    if piece == Piece::Method {
        return (0, method);
    }
    let last = memchr::memrchr(b' ', request).unwrap_or(method);
    // HTTP/0.9 has no protocol in its request.
    let protocol = if last > method && request[last + 1..].starts_with(b"HTTP/") { last } else { request.len() };
    let start = method + 1;
    match piece {
        Piece::Uri => (start, protocol),
        Piece::Path => (start, start + memchr::memchr(b'?', &request[start..protocol]).unwrap_or(protocol - start)),
        Piece::Protocol => ((protocol + 1).min(request.len()), request.len()),
        Piece::Method | Piece::Whole => (0, request.len()),
    }
}

enum Part {
    Text(String),
    Variable(String),
}

/// The format itself, and whether its values are escaped as JSON. Takes `log_format name escape=json 'a' 'b';`,
/// `escape=json …` and a bare format.
fn directive(text: &str) -> Result<(String, bool), String> {
    let trimmed = text.trim();
    let (rest, whole) = match trimmed.strip_prefix("log_format") {
        Some(rest) if rest.starts_with(char::is_whitespace) => {
            let rest = rest.trim_start();
            (rest.split_once(char::is_whitespace).ok_or("log_format has a name and no format")?.1.trim_start(), true)
        }
        _ => (trimmed, false),
    };
    let (rest, json) = match rest.strip_prefix("escape=") {
        Some(rest) => {
            let (how, rest) = rest.split_once(char::is_whitespace).ok_or("escape= has no format after it")?;
            if !matches!(how, "default" | "json" | "none") {
                return Err(format!("escape={how}: default, json or none is needed"));
            }
            (rest.trim_start(), how == "json")
        }
        None => (rest, false),
    };
    if !whole {
        // A bare format keeps its own blanks.
        return Ok((
            if rest == trimmed { text.trim_end_matches(['\r', '\n']).to_owned() } else { rest.to_owned() },
            json,
        ));
    }
    let mut format = String::new();
    let mut chars = rest.trim_end().trim_end_matches(';').chars().peekable();
    while let Some(char) = chars.next() {
        if char.is_whitespace() {
            continue;
        }
        if char != '\'' && char != '"' {
            format.push(char);
            while let Some(char) = chars.next_if(|char| !char.is_whitespace()) {
                format.push(char);
            }
            continue;
        }
        loop {
            match chars.next() {
                None => return Err("a quote is not closed".into()),
                Some(end) if end == char => break,
                Some('\\') => match chars.next() {
                    Some('t') => format.push('\t'),
                    Some('n') => format.push('\n'),
                    Some('r') => format.push('\r'),
                    Some(quoted @ ('"' | '\'' | '\\')) => format.push(quoted),
                    Some(other) => format.extend(['\\', other]),
                    None => return Err("a quote is not closed".into()),
                },
                Some(char) => format.push(char),
            }
        }
    }
    Ok((format, json))
}

/// Variables and the text between them, which is never empty.
fn parts(format: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = format;
    loop {
        let (text, after) = rest.split_once('$').map_or((rest, None), |(text, after)| (text, Some(after)));
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
        let Some(after) = after else { return Ok(parts) };
        let braced = after.strip_prefix('{');
        let names = braced.unwrap_or(after);
        let len = names.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(names.len());
        if len == 0 {
            return Err("a $ without a variable's name".into());
        }
        parts.push(Part::Variable(names[..len].into()));
        rest = &names[len..];
        if braced.is_some() {
            rest = rest.strip_prefix('}').ok_or_else(|| format!("${{{}: the brace is not closed", &names[..len]))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Captures, Matcher, PatternError, Scratch};

    const COMBINED: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;

    fn read(format: &str, line: &[u8], wanted: &[&str]) -> Option<Vec<String>> {
        let matcher = Matcher::log_format(format, wanted).unwrap_or_else(|error| panic!("{error}"));
        let mut captures = Captures::new();
        let found = matcher.matches(line, &mut captures, &mut Scratch::default()).unwrap();
        found.then(|| (0..wanted.len()).map(|i| String::from_utf8_lossy(captures.get(i)).into_owned()).collect())
    }

    #[test]
    fn a_combined_line() {
        let line = br#"127.0.0.1 - - [22/Nov/2026:13:20:21 +0000] "GET /a?b=c HTTP/1.1" 404 153 "-" "x\x22 y""#;
        let wanted = [
            "remote_addr",
            "remote_user",
            "method",
            "request_uri",
            "path",
            "protocol",
            "status",
            "body_bytes_sent",
            "http_referer",
            "http_user_agent",
            "request",
            "time_local",
        ];
        let want = [
            "127.0.0.1",
            "",
            "GET",
            "/a?b=c",
            "/a",
            "HTTP/1.1",
            "404",
            "153",
            "",
            r"x\x22 y",
            "GET /a?b=c HTTP/1.1",
            "22/Nov/2026:13:20:21 +0000",
        ];
        assert_eq!(read(COMBINED, line, &wanted).unwrap(), want);
    }

    #[test]
    fn what_is_no_request_has_no_pieces() {
        for (request, method, uri, protocol) in [
            (r"\x16\x03\x01", "", "", ""),
            ("", "", "", ""),
            ("GET /", "GET", "/", ""),
            ("GET / x HTTP/1.0", "GET", "/ x", "HTTP/1.0"),
            ("get / HTTP/1.0", "", "", ""),
            ("GET ", "GET", "", ""),
            ("GET  HTTP/1.1", "GET", "", "HTTP/1.1"),
            ("HELLO", "", "", ""),
        ] {
            let line = format!(r#"::1 - u [t] "{request}" 400 0 "" """#);
            let got = read(COMBINED, line.as_bytes(), &["method", "uri", "protocol", "status"]).unwrap();
            assert_eq!(got, [method, uri, protocol, "400"], "{request}");
        }
    }

    #[test]
    fn lines_of_another_form_do_not_match() {
        for line in [
            "",
            "x",
            r#"::1 - u [t] "GET / HTTP/1.1" four 0 "" """#,
            r#"::1 - u [t] "GET / HTTP/1.1" 400 0 """#,
            r#"::1 - u [t] "GET / HTTP/1.1" 400 0 "" "" 5"#,
        ] {
            assert_eq!(read(COMBINED, line.as_bytes(), &["status"]), None, "{line}");
        }
    }

    #[test]
    fn upstream_lists_stay_whole() {
        let format = "$status $upstream_response_time $upstream_addr $request_time";
        let wanted = ["upstream_response_time", "upstream_addr", "request_time"];
        for (times, addrs) in [("0.1, 0.2 : 0.3", "10.0.0.1:80, 10.0.0.2:80 : unix:/x"), ("-", "-"), ("0.5", "a:1")] {
            let none = |text: &str| if text == "-" { String::new() } else { text.to_owned() };
            let line = format!("200 {times} {addrs} 1.5");
            assert_eq!(
                read(format, line.as_bytes(), &wanted).unwrap(),
                [none(times), none(addrs), "1.5".into()],
                "{line}"
            );
        }
    }

    #[test]
    fn the_whole_directive_with_json() {
        let directive = r#"log_format main escape=json '{"uri":"$request_uri","status":$status,'
            '"agent":"$http_user_agent"}';"#;
        let line = br#"{"uri":"/a\"b","status":200,"agent":""}"#;
        assert_eq!(read(directive, line, &["request_uri", "status", "http_user_agent"]).unwrap(), ["/a\"b", "200", ""]);
    }

    #[test]
    fn neighbours_that_can_be_told_apart() {
        let format = "$scheme://$host$request_uri $status${http_x}";
        assert_eq!(
            read(format, b"https://a.b/c?d 200x", &["host", "request_uri", "status", "http_x"]).unwrap(),
            ["a.b", "/c?d", "200", "x"]
        );
        assert!(matches!(Matcher::log_format("$a$b", &[]), Err(PatternError::Syntax { .. })));
        assert!(matches!(Matcher::log_format("plain", &[]), Err(PatternError::Syntax { .. })));
        assert!(matches!(Matcher::log_format("$a $a", &["a"]), Err(PatternError::Twice { .. })));
        assert!(matches!(Matcher::log_format("$a", &["method"]), Err(PatternError::Missing { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn any_bytes_are_survived(line in proptest::collection::vec(any::<u8>(), 0..80), format in "[$a-c_{}\" ,:=;'\\\\]{0,30}") {
            read(COMBINED, &line, &["method", "path", "status"]);
            if let Ok(matcher) = Matcher::log_format(&format, &[]) {
                matcher.matches(&line, &mut Captures::new(), &mut Scratch::default()).unwrap();
            }
        }

        #[test]
        fn values_come_back(addr in "[0-9a-f.:]{1,20}", user in "[a-z]{1,8}", uri in "/[!#-~]{0,30}", status in 100..600u16, agent in "[ !#-~]{1,40}") {
            let line = format!(r#"{addr} - {user} [now] "GET {uri} HTTP/2.0" {status} 5 "r" "{agent}""#);
            let want = [addr, user, uri, status.to_string(), if agent == "-" { String::new() } else { agent }];
            prop_assert_eq!(read(COMBINED, line.as_bytes(), &["remote_addr", "remote_user", "uri", "status", "http_user_agent"]).unwrap(), want);
        }
    }
}
