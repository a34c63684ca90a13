//! The answer to `getAllProcessInfo`: an XML-RPC array of structs.

use hostfs::scan;

/// What is told of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) group: String,
    /// Unix time.
    pub(super) start: i64,
    pub(super) state: i64,
    pub(super) exit_status: i64,
}

/// The processes, or the text of a fault.
pub(super) fn parse(xml: &[u8]) -> Result<Vec<Process>, String> {
    let mut processes = Vec::new();
    let mut member = String::new();
    let mut text = Vec::new();
    let mut fault = None;
    let (mut is_response, mut in_struct) = (false, false);
    for token in tokens(xml) {
        match token {
            Token::Text(t) => text.extend_from_slice(t),
            Token::Open(tag) => {
                text.clear();
                match tag {
                    b"methodResponse" => is_response = true,
                    b"fault" => fault = Some(String::new()),
                    b"struct" => {
                        in_struct = true;
                        processes.push(Process::default());
                    }
                    _ => {}
                }
            }
            Token::Close(tag) => match tag {
                b"name" => member = unescape(&text),
                b"struct" => in_struct = false,
                // The type's tag is optional: a bare value is a string.
                b"value" if in_struct => {
                    let value = unescape(&text);
                    if let (Some(fault), "faultString") = (&mut fault, member.as_str()) {
                        *fault = value;
                    } else if let Some(process) = processes.last_mut() {
                        set(process, &member, &value);
                    }
                    member.clear();
                }
                _ => {}
            },
        }
    }
    match fault {
        Some(fault) => Err(format!("fault: {fault}")),
        None if is_response => Ok(processes),
        None => Err("the answer is no XML-RPC".into()),
    }
}

fn set(process: &mut Process, member: &str, value: &str) {
    let number = || value.trim().parse().unwrap_or(0);
    match member {
        "name" => value.clone_into(&mut process.name),
        "group" => value.clone_into(&mut process.group),
        "start" => process.start = number(),
        "state" => process.state = number(),
        "exitstatus" => process.exit_status = number(),
        _ => {}
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'x> {
    Open(&'x [u8]),
    Close(&'x [u8]),
    Text(&'x [u8]),
}

/// Tags and the text between them. Declarations, comments and attributes are passed over; `<a/>` opens only.
fn tokens(mut xml: &[u8]) -> impl Iterator<Item = Token<'_>> {
    std::iter::from_fn(move || {
        loop {
            let (first, rest) = xml.split_first()?;
            if *first != b'<' {
                let end = xml.iter().position(|&b| b == b'<').unwrap_or(xml.len());
                let (text, rest) = xml.split_at(end);
                xml = rest;
                return Some(Token::Text(text));
            }
            let end = rest.iter().position(|&b| b == b'>')?;
            let tag = &rest[..end];
            xml = &rest[end + 1..];
            match tag.first() {
                Some(b'?' | b'!') | None => {}
                Some(b'/') => return Some(Token::Close(tag[1..].trim_ascii())),
                Some(_) => {
                    let name = tag.strip_suffix(b"/").unwrap_or(tag);
                    return Some(Token::Open(scan::fields(name).next().unwrap_or_default()));
                }
            }
        }
    })
}

/// Entities undone: the five of XML and characters by number.
fn unescape(text: &[u8]) -> String {
    let text = scan::lossy(text);
    let mut plain = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = rest.find(';').filter(|end| *end <= 10).map(|end| &rest[1..end]);
        if let Some((entity, c)) = entity.and_then(|e| Some((e, character(e)?))) {
            plain.push(c);
            rest = &rest[entity.len() + 2..];
        } else {
            plain.push('&');
            rest = &rest[1..];
        }
    }
    plain + rest
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
        <value><struct>\n<member>\n<name>name</name>\n<value><string>a&amp;b</string></value>\n</member>\n\
        <member>\n<name>group</name>\n<value>bare</value>\n</member>\n\
        <member>\n<name>start</name>\n<value><int>1700000000</int></value>\n</member>\n\
        <member>\n<name>state</name>\n<value><int>20</int></value>\n</member>\n\
        <member>\n<name>spawnerr</name>\n<value><string></string></value>\n</member>\n\
        <member>\n<name>exitstatus</name>\n<value><int>-1</int></value>\n</member>\n\
        </struct></value>\n</data></array></value>\n</param>\n</params>\n</methodResponse>\n";

    #[test]
    fn processes() {
        let expected =
            Process { name: "a&b".into(), group: "bare".into(), start: 1_700_000_000, state: 20, exit_status: -1 };
        assert_eq!(parse(ANSWER), Ok(vec![expected]));
        assert_eq!(parse(b"<methodResponse><params/></methodResponse>"), Ok(vec![]));
    }

    #[test]
    fn a_fault() {
        let fault = b"<methodResponse><fault><value><struct><member><name>faultCode</name><value><int>1</int></value>\
            </member><member><name>faultString</name><value><string>UNKNOWN_METHOD</string></value></member></struct>\
            </value></fault></methodResponse>";
        assert_eq!(parse(fault), Err("fault: UNKNOWN_METHOD".into()));
        assert!(parse(b"<html>login</html>").is_err());
    }

    #[test]
    fn entities() {
        assert_eq!(unescape(b"&lt;&#65;&#x42;&gt;&quot;&apos;&nope;&"), "<AB>\"'&nope;&");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            drop(parse(&bytes));
            unescape(&bytes);
        }

        #[test]
        fn any_cut_answer_is_survived(end in 0..ANSWER.len()) {
            drop(parse(&ANSWER[..end]));
        }
    }
}
