//! Joining lines into one event, as Filebeat does it.

use super::batch::LONGEST_LINE;
use super::{Multiline, Side};
use service::Regex;
use std::time::{Duration, Instant};

/// Whether the settings can be used.
pub(crate) fn check(settings: Option<&Multiline>) -> Result<(), String> {
    let Some(settings) = settings else { return Ok(()) };
    if settings.max_lines == 0 {
        return Err("multiline: max_lines: expected a number above 0".into());
    }
    if settings.timeout.is_zero() {
        return Err("multiline: timeout: expected a time above 0".into());
    }
    service::parse_regex(&settings.pattern).map(drop).map_err(|e| format!("multiline: pattern: {e}"))
}

/// Joins the lines of one source.
#[derive(Debug)]
pub(crate) struct Joiner {
    pattern: Regex,
    negate: bool,
    side: Side,
    max_lines: usize,
    timeout: Duration,
    held: Vec<u8>,
    /// Lines in `held`; none when 0.
    count: usize,
    /// When the event is complete if nothing more comes.
    due: Option<Instant>,
    cut: u64,
}

impl Joiner {
    /// `None` where the settings ask for none, or cannot be used, which `check` has said.
    pub(crate) fn new(settings: Option<&Multiline>) -> Option<Self> {
        let settings = settings?;
        let pattern = service::parse_regex(&settings.pattern).ok()?;
        Some(Self {
            pattern,
            negate: settings.negate,
            side: settings.side,
            max_lines: settings.max_lines,
            timeout: settings.timeout,
            held: Vec::new(),
            count: 0,
            due: None,
            cut: 0,
        })
    }

    /// Takes one line and gives the event that it completes, if any, to `out`. Says whether the line began an event
    /// that is still held.
    pub(crate) fn line(&mut self, line: &[u8], now: Instant, out: &mut dyn FnMut(&[u8])) -> bool {
        let joins = self.pattern.is_match(line) != self.negate;
        let begins;
        match self.side {
            Side::After => {
                if !joins {
                    self.flush(out);
                }
                begins = self.count == 0;
                self.append(line);
            }
            Side::Before => {
                begins = self.count == 0;
                self.append(line);
                if !joins {
                    self.flush(out);
                }
            }
        }
        self.due = (self.count > 0).then(|| now + self.timeout);
        begins && self.count > 0
    }

    fn append(&mut self, line: &[u8]) {
        self.count += 1;
        if self.count > self.max_lines {
            self.cut += u64::from(self.count == self.max_lines + 1);
            return;
        }
        if self.count > 1 {
            self.held.push(b'\n');
        }
        let room = LONGEST_LINE.saturating_sub(self.held.len());
        if line.len() > room {
            self.cut += 1;
            self.count = self.max_lines.max(self.count);
        }
        self.held.extend_from_slice(&line[..line.len().min(room)]);
    }

    /// Gives what is held.
    pub(crate) fn flush(&mut self, out: &mut dyn FnMut(&[u8])) {
        if self.count > 0 {
            out(&self.held);
        }
        self.held.clear();
        self.held.shrink_to(4096);
        self.count = 0;
        self.due = None;
    }

    /// When the held event is complete by time.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Events that lost lines or an end since last asked.
    pub(crate) fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings(pattern: &str, negate: bool, side: Side) -> Multiline {
        Multiline { pattern: pattern.into(), negate, side, max_lines: 500, timeout: Duration::from_secs(5) }
    }

    fn join(settings: &Multiline, lines: &[&str]) -> Vec<String> {
        let mut joiner = Joiner::new(Some(settings)).unwrap();
        let mut events = Vec::new();
        let mut out = |e: &[u8]| events.push(String::from_utf8_lossy(e).into_owned());
        for line in lines {
            joiner.line(line.as_bytes(), Instant::now(), &mut out);
        }
        joiner.flush(&mut out);
        events
    }

    #[test]
    fn the_four_cases_of_filebeats_manual() {
        let lines = ["a", "a", "b", "b", "a", "b"];
        // pattern ^b: consecutive lines that match are appended to the one before that does not
        assert_eq!(join(&settings("^b", false, Side::After), &lines), ["a", "a\nb\nb", "a\nb"]);
        // consecutive lines that match are put before the next that does not
        assert_eq!(join(&settings("^b", false, Side::Before), &lines), ["a", "a", "b\nb\na", "b"]);
        // lines that do not match are appended to the one before that does
        assert_eq!(join(&settings("^b", true, Side::After), &lines), ["a\na", "b", "b\na", "b"]);
        // lines that do not match are put before the next that does
        assert_eq!(join(&settings("^b", true, Side::Before), &lines), ["a\na\nb", "b", "a\nb"]);
    }

    #[test]
    fn a_php_trace_is_one_event() {
        let settings = settings(r"^\[\d\d-\w{3}-\d{4}", true, Side::After);
        let lines = ["[01-Jan-2024 x] PHP Fatal error", "Stack trace:", "#0 {main}", "[01-Jan-2024 y] PHP Notice"];
        let trace = "[01-Jan-2024 x] PHP Fatal error\nStack trace:\n#0 {main}";
        assert_eq!(join(&settings, &lines), [trace, "[01-Jan-2024 y] PHP Notice"]);
    }

    #[test]
    fn events_are_bounded_and_time_out() {
        let mut bounded = settings("^x", true, Side::After);
        bounded.max_lines = 2;
        let mut joiner = Joiner::new(Some(&bounded)).unwrap();
        let mut events = Vec::new();
        let now = Instant::now();
        for line in ["x", "1", "2", "3"] {
            joiner.line(line.as_bytes(), now, &mut |e| events.push(e.to_vec()));
        }
        assert_eq!(joiner.due(), Some(now + bounded.timeout));
        let long = vec![b'y'; LONGEST_LINE + 5];
        assert!(!joiner.line(&long, now, &mut |e| events.push(e.to_vec())), "it joins the event");
        joiner.flush(&mut |e| events.push(e.to_vec()));
        assert_eq!((events, joiner.take_cut(), joiner.due()), (vec![b"x\n1".to_vec()], 1, None));
        bounded.max_lines = 100;
        let mut joiner = Joiner::new(Some(&bounded)).unwrap();
        assert!(joiner.line(b"x", now, &mut |_| ()));
        joiner.line(&long, now, &mut |_| ());
        joiner.flush(&mut |e| assert_eq!(e.len(), LONGEST_LINE));
        assert_eq!(joiner.take_cut(), 1);
    }

    #[test]
    fn bad_settings_are_refused() {
        assert!(check(None).is_ok() && check(Some(&settings("^x", true, Side::After))).is_ok());
        assert!(check(Some(&settings("(", true, Side::After))).unwrap_err().contains("pattern"));
        let mut none = settings("x", false, Side::After);
        none.max_lines = 0;
        assert!(check(Some(&none)).unwrap_err().contains("max_lines"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn no_line_is_lost(lines in proptest::collection::vec("[ab]{0,3}", 0..20), negate: bool, after: bool) {
            let side = if after { Side::After } else { Side::Before };
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let events = join(&settings("^a", negate, side), &lines);
            prop_assert_eq!(events.join("\n"), lines.join("\n"));
        }
    }
}
