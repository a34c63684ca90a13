//! `log-exporter try`: what rules would do with lines, told line by line.

use super::act::{Effect, Silent, Trace, Verdict};
use super::rule::Rule;
use super::{Engine, Outcome};
use crate::config::Config;
use crate::input::Settings;
use crate::input::multiline::Joiner;
use crate::line::Line;
use crate::metric::{Change, Definition, Key, values};
use crate::pattern::Captures;
use exposition::{Page, Part};
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};
use std::time::{Instant, SystemTime};

/// How rules are tried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attempt<'a> {
    /// Only the metrics at the end.
    pub(crate) quiet: bool,
    /// Input and file that the lines are to come from. Without any, rules take the lines of all sources.
    pub(crate) source: Option<(&'a str, &'a str)>,
}

/// Gives lines to the rules of a configuration and tells what they do, then the metrics. Lines of an input that joins
/// them are joined here too.
pub(crate) fn attempt(
    config: Config,
    lines: &mut dyn BufRead,
    out: &mut dyn Write,
    how: Attempt<'_>,
) -> io::Result<()> {
    let input = how.source.and_then(|(name, _)| config.inputs.iter().find(|i| i.name() == name));
    let mut joiner = Joiner::new(match input {
        Some(Settings::File(files)) => files.multiline.as_ref(),
        Some(Settings::Stdin(stdin)) => stdin.multiline.as_ref(),
        _ => None,
    });
    let mut engine = Engine::new(config.rules, config.limits);
    if how.source.is_none() {
        engine.reach.everything();
    }
    let mut trial = Trial { engine, told: Told::default(), how, out, count: 0, now: SystemTime::now() };
    let started = Instant::now();
    let mut line = |bytes: &[u8]| {
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let Some(joiner) = &mut joiner else { return trial.take(bytes) };
        let mut done = Ok(());
        joiner.line(bytes, started, &mut |event| {
            if done.is_ok() {
                done = trial.take(event);
            }
        });
        done
    };
    // The beginning of a line whose end has not been read.
    let mut begun = Vec::new();
    loop {
        let mut chunk = lines.fill_buf()?;
        let read = chunk.len();
        if read == 0 {
            break;
        }
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            if begun.is_empty() {
                line(&chunk[..end])?;
            } else {
                begun.extend_from_slice(&chunk[..end]);
                line(&begun)?;
                begun.clear();
            }
            chunk = &chunk[end + 1..];
        }
        begun.extend_from_slice(chunk);
        lines.consume(read);
    }
    if !begun.is_empty() {
        line(&begun)?;
    }
    if let Some(joiner) = &mut joiner {
        let mut done = Ok(());
        joiner.flush(&mut |event| done = trial.take(event));
        done?;
    }
    trial.end()
}

/// Rules at work on lines.
struct Trial<'a> {
    engine: Engine,
    told: Told,
    how: Attempt<'a>,
    out: &'a mut dyn Write,
    count: u64,
    now: SystemTime,
}

impl Trial<'_> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (input, file) = self.how.source.unwrap_or(("stdin", ""));
        let line = Line { bytes, file, input, extra: None };
        if !self.how.quiet || self.count.is_multiple_of(256) {
            self.now = SystemTime::now();
        }
        self.count += 1;
        if self.how.quiet {
            self.engine.run(&line, self.now, &mut Silent);
            return Ok(());
        }
        self.told.text.clear();
        let outcome = match self.engine.run(&line, self.now, &mut self.told) {
            Outcome::Matched => "matched",
            Outcome::Skipped => "ignored: fits a pattern, no metric takes it",
            Outcome::Unmatched => "ignored: no pattern fits",
        };
        writeln!(self.out, "line {}: {outcome}: {}", self.count, shown(bytes))?;
        self.out.write_all(self.told.text.as_bytes())
    }

    fn end(self) -> io::Result<()> {
        let mut part = Part::new();
        self.engine.emit(SystemTime::now(), &mut part);
        let mut page = Vec::new();
        Page::merge(vec![part]).0.write_text(&mut page);
        if !self.how.quiet {
            let [matched, skipped, unmatched] = self.engine.lines;
            let all = self.count;
            writeln!(
                self.out,
                "\n{all} lines: {matched} matched, {skipped} fit without effect, {unmatched} fit nothing\n"
            )?;
        }
        self.out.write_all(&page)?;
        self.out.flush()
    }
}

/// What is told about the line at hand.
#[derive(Debug, Default)]
struct Told {
    text: String,
}

impl Trace for Told {
    fn rule(&mut self, rule: &Rule, captures: &Captures<'_>, verdict: Verdict) {
        // A String takes whatever is written to it.
        let _ = match verdict {
            Verdict::Fits => write!(self.text, "  rule {}:", rule.name),
            Verdict::Condition => write!(self.text, "  rule {}: fits, but a condition does not hold:", rule.name),
            Verdict::Otherwise => write!(self.text, "  rule {}: does not fit", rule.name),
            Verdict::Failed(error) => write!(self.text, "  rule {}: {error}", rule.name),
        };
        if matches!(verdict, Verdict::Fits | Verdict::Condition) {
            for (at, field) in rule.fields.iter().enumerate() {
                let _ = write!(self.text, " {field}={}", shown(captures.get(at)));
            }
        }
        self.text.push('\n');
    }

    fn effect(&mut self, definition: &Definition, labels: &Key, effect: Effect<'_>) {
        let _ = write!(self.text, "    {}", definition.name);
        if matches!(effect, Effect::Changed(_) | Effect::Full) && !definition.labels.is_empty() {
            let values = values(labels.bytes(), definition.labels.len());
            let pairs = definition.labels.iter().zip(values);
            let pairs: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", shown(value))).collect();
            let _ = write!(self.text, "{{{}}}", pairs.join(","));
        }
        let _ = match effect {
            Effect::Changed(Change::Add(value)) if value < 0.0 => writeln!(self.text, " -{}", -value),
            Effect::Changed(Change::Add(value)) => writeln!(self.text, " +{value}"),
            Effect::Changed(Change::Set(value)) => writeln!(self.text, " ={value}"),
            Effect::Changed(Change::Observe(value)) => writeln!(self.text, " observes {value}"),
            Effect::Deleted(count) => writeln!(self.text, ": {count} series deleted"),
            Effect::Nothing => writeln!(self.text, ": nothing to observe"),
            Effect::Condition => writeln!(self.text, ": a condition does not hold"),
            Effect::Full => writeln!(self.text, ": dropped, there are as many series as there may be"),
            Effect::Failed(error) => writeln!(self.text, ": error: {error}"),
        };
    }
}

/// Bytes of a line on one line, cut short.
fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..MOST).unwrap_or(bytes);
    let more = if bytes.len() > MOST { "…" } else { "" };
    format!("{:?}{more}", String::from_utf8_lossy(cut))
}

const MOST: usize = 512;
