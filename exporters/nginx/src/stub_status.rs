//! `ngx_http_stub_status_module`'s page, and Tengine's with its extra column.

/// The numbers of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StubStatus {
    pub(crate) active: i64,
    pub(crate) accepted: i64,
    pub(crate) handled: i64,
    pub(crate) requests: i64,
    pub(crate) reading: i64,
    pub(crate) writing: i64,
    pub(crate) waiting: i64,
}

/// Reads the page from its start; what follows it is ignored. `None` names no reason because there is only one: this is
/// no such page.
pub(crate) fn parse(page: &[u8]) -> Option<StubStatus> {
    let mut at = Cursor(page);
    at.word("Active connections:")?;
    let active = at.number()?;
    at.word("server accepts handled requests")?;
    // Tengine adds `request_time`, the sum in milliseconds.
    let tengine = at.word("request_time").is_some();
    let (accepted, handled, requests) = (at.number()?, at.number()?, at.number()?);
    if tengine {
        at.number()?;
    }
    at.word("Reading:")?;
    let reading = at.number()?;
    at.word("Writing:")?;
    let writing = at.number()?;
    at.word("Waiting:")?;
    let waiting = at.number()?;
    Some(StubStatus { active, accepted, handled, requests, reading, writing, waiting })
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn word(&mut self, word: &str) -> Option<()> {
        let rest = self.0.trim_ascii_start();
        self.0 = rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    fn number(&mut self) -> Option<i64> {
        let rest = self.0.trim_ascii_start();
        let digits = rest.iter().position(|b| !b.is_ascii_digit() && *b != b'-').unwrap_or(rest.len());
        let (number, rest) = rest.split_at(digits);
        self.0 = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAGE: &str = "Active connections: 291 \nserver accepts handled requests\n 16630948 16630946 31070465 \n\
        Reading: 6 Writing: 179 Waiting: 106 \n";
    const NUMBERS: StubStatus = StubStatus {
        active: 291,
        accepted: 16_630_948,
        handled: 16_630_946,
        requests: 31_070_465,
        reading: 6,
        writing: 179,
        waiting: 106,
    };

    #[test]
    fn pages_that_are_read() {
        let crlf = PAGE.replace('\n', "\r\n");
        let tengine = "Active connections: 291 \nserver accepts handled requests request_time\n 16630948 16630946 31070465 \
            88888\nReading: 6 Writing: 179 Waiting: 106 \n";
        let trailing = format!("{PAGE}<p>more</p>");
        for page in [PAGE, PAGE.trim_end(), &crlf, tengine, &trailing] {
            assert_eq!(parse(page.as_bytes()), Some(NUMBERS), "{page}");
        }
        let negative = PAGE.replace("Reading: 6", "Reading: -1");
        assert_eq!(parse(negative.as_bytes()).unwrap().reading, -1);
    }

    #[test]
    fn pages_that_are_refused() {
        let too_large = PAGE.replace("291", "9223372036854775808");
        for page in ["", "<html>", "Active connections: x", &PAGE[..40], &format!("<p>{PAGE}"), &too_large] {
            assert_eq!(parse(page.as_bytes()), None, "{page}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, cut in 0..PAGE.len()) {
            parse(&bytes);
            let mut page = PAGE.as_bytes()[..cut].to_vec();
            page.extend(bytes);
            parse(&page);
        }
    }
}
