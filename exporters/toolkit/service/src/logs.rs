//! Log lines as Prometheus' promslog writes them, from `tracing` events: time, level, source, msg, then the attributes in
//! the order of the call, as logfmt or JSON on standard error.

mod value;

use std::fmt;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Writes each event of this project's crates as one line on standard error.
#[derive(Debug)]
pub struct Logs {
    format: Format,
    level: Level,
}

impl Logs {
    /// Lines of this level and above.
    pub fn new(format: Format, level: Level) -> Self {
        Self { format, level }
    }

    /// What `--log.level` and `--log.format` ask for.
    pub fn from_flags(flags: &crate::Flags) -> Self {
        let level = match flags.text("log.level") {
            "debug" => Level::DEBUG,
            "warn" => Level::WARN,
            "error" => Level::ERROR,
            _ => Level::INFO,
        };
        let format = if flags.text("log.format") == "json" { Format::Json } else { Format::Logfmt };
        Self::new(format, level)
    }

    /// Sends the events of the whole process here. The first call of a process counts.
    pub fn install(self) {
        let _ = tracing::subscriber::set_global_default(self);
    }

    fn line(&self, event: &Event<'_>, now: Duration) -> String {
        let meta = event.metadata();
        let file = meta.file().unwrap_or("unknown");
        let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let mut line = Line::new(self.format);
        line.push("time", &value::time(now, self.format));
        line.push_text("level", meta.level().as_str());
        line.push_text("source", &format!("{file}:{}", meta.line().unwrap_or(0)));
        let mut fields = Fields { message: String::new(), rest: Line::new(self.format) };
        event.record(&mut fields);
        line.push_text("msg", &fields.message);
        line.finish(&fields.rest)
    }
}

/// Crates whose own events would drown ours at debug level.
const FOREIGN: &[&str] = &[
    "axum",
    "h2",
    "hyper",
    "hyper_util",
    "mio",
    "mysql_async",
    "mysql_common",
    "rustls",
    "tokio",
    "tokio_util",
    "tower",
];

impl Subscriber for Logs {
    fn register_callsite(&self, meta: &'static Metadata<'static>) -> Interest {
        if self.enabled(meta) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, meta: &Metadata<'_>) -> bool {
        let from = meta.target().split("::").next().unwrap_or_default();
        meta.is_event() && *meta.level() <= self.level && !FOREIGN.contains(&from)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::from_level(self.level))
    }

    fn event(&self, event: &Event<'_>) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // A closed standard error is no reason to stop serving.
        let _ = std::io::stderr().lock().write_all(self.line(event, now).as_bytes());
    }

    // Spans are not used: lines carry their own attributes.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// A line under construction.
struct Line {
    format: Format,
    text: String,
}

impl Line {
    fn new(format: Format) -> Self {
        Self { format, text: String::with_capacity(160) }
    }

    /// A value that needs no quotes.
    fn push(&mut self, key: &str, value: &str) {
        self.key(key);
        self.text.push_str(value);
    }

    fn push_text(&mut self, key: &str, text: &str) {
        self.key(key);
        match self.format {
            Format::Logfmt => value::logfmt(&mut self.text, text),
            Format::Json => value::json(&mut self.text, text),
        }
    }

    fn key(&mut self, key: &str) {
        match self.format {
            Format::Logfmt => {
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                value::logfmt(&mut self.text, key);
                self.text.push('=');
            }
            Format::Json => {
                self.text.push(if self.text.is_empty() { '{' } else { ',' });
                value::json(&mut self.text, key);
                self.text.push(':');
            }
        }
    }

    /// This line with the keys of `rest` behind its own.
    fn finish(mut self, rest: &Self) -> String {
        match self.format {
            Format::Logfmt if rest.text.is_empty() => self.text.push('\n'),
            Format::Logfmt => {
                self.text.push(' ');
                self.text.push_str(&rest.text);
                self.text.push('\n');
            }
            Format::Json => {
                if let Some(pairs) = rest.text.strip_prefix('{') {
                    self.text.push(',');
                    self.text.push_str(pairs);
                }
                self.text.push_str("}\n");
            }
        }
        self.text
    }
}

/// The fields of an event: its message, and a line of the others.
struct Fields {
    message: String,
    rest: Line,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, text: &str) {
        match field.name() {
            "message" => text.clone_into(&mut self.message),
            name => self.rest.push_text(name, text),
        }
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &error.to_string());
    }
    fn record_bool(&mut self, field: &Field, on: bool) {
        self.rest.push(field.name(), if on { "true" } else { "false" });
    }
    fn record_u64(&mut self, field: &Field, number: u64) {
        self.rest.push(field.name(), &number.to_string());
    }
    fn record_i64(&mut self, field: &Field, number: i64) {
        self.rest.push(field.name(), &number.to_string());
    }
    fn record_f64(&mut self, field: &Field, number: f64) {
        let text = value::float(number, self.rest.format);
        self.rest.push(field.name(), &text);
    }
}

/// Lets a few lines of a kind through each minute and counts the others: a client that misbehaves a thousand times a
/// second must not fill a disk.
#[derive(Debug)]
pub struct Quota {
    each_minute: u32,
    state: Mutex<QuotaState>,
}

#[derive(Debug)]
struct QuotaState {
    since: Option<Instant>,
    used: u32,
    suppressed: u64,
}

impl Quota {
    /// So many lines a minute.
    pub const fn per_minute(each_minute: u32) -> Self {
        Self { each_minute, state: Mutex::new(QuotaState { since: None, used: 0, suppressed: 0 }) }
    }

    /// `Some` when a line may be written now, with how many were not since the last one.
    pub fn take(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.since.is_none_or(|since| since.elapsed() >= Duration::from_mins(1)) {
            state.since = Some(Instant::now());
            state.used = 0;
        }
        if state.used < self.each_minute {
            state.used += 1;
            return Some(std::mem::take(&mut state.suppressed));
        }
        state.suppressed += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Collects lines instead of writing them.
    struct Kept(Logs, Arc<Mutex<Vec<String>>>);

    impl Subscriber for Kept {
        fn enabled(&self, meta: &Metadata<'_>) -> bool {
            self.0.enabled(meta)
        }
        fn event(&self, event: &Event<'_>) {
            let now = Duration::new(1_795_357_539, 810_020_000);
            self.1.lock().unwrap().push(self.0.line(event, now));
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn lines(format: Format, log: impl FnOnce()) -> Vec<String> {
        let kept = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Kept(Logs::new(format, Level::INFO), Arc::clone(&kept)), log);
        let lines = std::mem::take(&mut *kept.lock().unwrap());
        // Source lines move with every edit.
        let number = |l: &String| regex::Regex::new(r"logs\.rs:\d+").unwrap().replace(l, "logs.rs:1").into_owned();
        lines.iter().map(number).collect()
    }

    fn log_some() {
        tracing::info!(address = "127.0.0.1:19101", "Listening on");
        tracing::warn!(err = %"a \"b\"", n = 5, seconds = 0.000_125_627, on = true, empty = "");
        tracing::debug!("not at this level");
    }

    #[test]
    fn logfmt_lines_are_promslogs() {
        assert_eq!(
            lines(Format::Logfmt, log_some),
            [
                "time=2026-11-22T14:25:39.810Z level=INFO source=logs.rs:1 msg=\"Listening on\" address=127.0.0.1:19101\n",
                "time=2026-11-22T14:25:39.810Z level=WARN source=logs.rs:1 msg=\"\" err=\"a \\\"b\\\"\" n=5 \
                 seconds=0.000125627 on=true empty=\"\"\n",
            ]
        );
    }

    #[test]
    fn json_lines_are_promslogs() {
        assert_eq!(
            lines(Format::Json, log_some),
            [
                "{\"time\":\"2026-11-22T14:25:39.81002Z\",\"level\":\"INFO\",\"source\":\"logs.rs:1\",\
                 \"msg\":\"Listening on\",\"address\":\"127.0.0.1:19101\"}\n",
                "{\"time\":\"2026-11-22T14:25:39.81002Z\",\"level\":\"WARN\",\"source\":\"logs.rs:1\",\"msg\":\"\",\
                 \"err\":\"a \\\"b\\\"\",\"n\":5,\"seconds\":0.000125627,\"on\":true,\"empty\":\"\"}\n",
            ]
        );
    }

    #[test]
    fn a_quota_counts_what_it_holds_back() {
        let quota = Quota::per_minute(2);
        assert_eq!([quota.take(), quota.take(), quota.take(), quota.take()], [Some(0), Some(0), None, None]);
        quota.state.lock().unwrap().since = None;
        assert_eq!(quota.take(), Some(2));
    }
}
