//! What a configuration says of its inputs, in our form; grok_exporter's form is translated into the same.

use serde::{Deserialize, Deserializer};
use std::path::PathBuf;
use std::time::Duration;

/// One input as configured.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Settings {
    /// Files by glob.
    File(Files),
    /// Standard input.
    Stdin(Stdin),
    /// Syslog over TCP or UDP.
    Syslog(Syslog),
    /// Lines that are sent to a path of our own HTTP server.
    Http(Http),
    /// Beats, Logstash's lumberjack and beats outputs.
    Lumberjack(Lumberjack),
    /// systemd's journal.
    Journal(Journal),
}

impl Settings {
    /// Its name, for logs and metrics.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::File(s) => &s.name,
            Self::Stdin(s) => &s.name,
            Self::Syslog(s) => &s.name,
            Self::Http(s) => &s.name,
            Self::Lumberjack(s) => &s.name,
            Self::Journal(s) => &s.name,
        }
    }

    /// Whether its senders wait for the disk.
    pub(crate) fn waits_for_disk(&self) -> bool {
        match self {
            Self::Http(s) => s.acknowledge == Acknowledge::Saved,
            Self::Lumberjack(s) => s.acknowledge == Acknowledge::Saved,
            _ => false,
        }
    }

    /// What cannot be right, in one line without the input's name.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Self::File(s) => s.check(),
            Self::Stdin(s) => super::multiline::check(s.multiline.as_ref()),
            Self::Syslog(s) => super::listen::Address::parse(&s.listen).map(drop),
            Self::Http(s) => s.check(),
            Self::Lumberjack(s) => s.check(),
            Self::Journal(_) => Ok(()),
        }
    }
}

/// `type: file`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Files {
    /// For logs and metrics.
    #[serde(default = "file_name")]
    pub(crate) name: String,
    /// Globs, `*` and the like in any part.
    pub(crate) paths: Vec<String>,
    /// Whether files that are there at the first start are read from their start, not from their end.
    #[serde(default)]
    pub(crate) read_from_start: bool,
    /// Whether a path that matches nothing at the start is an error.
    #[serde(default)]
    pub(crate) fail_on_missing: bool,
    /// Look so often, without inotify: for file systems that do not tell (NFS, some container mounts).
    #[serde(default, deserialize_with = "optional_duration")]
    pub(crate) poll_interval: Option<Duration>,
    /// How lines are joined.
    #[serde(default)]
    pub(crate) multiline: Option<Multiline>,
    /// What stands in a line.
    #[serde(default)]
    pub(crate) format: FileFormat,
    /// No more files than that are read at once.
    #[serde(default = "max_files", rename = "max_files")]
    pub(crate) most: usize,
}

impl Files {
    /// As our form has it where a key is not given.
    pub(crate) fn of(paths: Vec<String>) -> Self {
        Self {
            name: file_name(),
            paths,
            read_from_start: false,
            fail_on_missing: false,
            poll_interval: None,
            multiline: None,
            format: FileFormat::Plain,
            most: max_files(),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.paths.is_empty() {
            return Err("paths: at least one is needed".into());
        }
        for path in &self.paths {
            super::glob::Glob::parse(path).map_err(|e| e.to_string())?;
        }
        if self.poll_interval == Some(Duration::ZERO) {
            return Err("poll_interval: expected a time above 0".into());
        }
        super::multiline::check(self.multiline.as_ref())
    }
}

/// What stands in a file's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FileFormat {
    /// The line itself.
    #[default]
    Plain,
    /// Docker's json-file driver: a line in JSON, long ones in several parts.
    Docker,
}

/// `type: stdin`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stdin {
    /// For logs and metrics.
    #[serde(default = "stdin_name")]
    pub(crate) name: String,
    /// Whether the exporter ends with its input, as grok_exporter does.
    #[serde(default)]
    pub(crate) exit_at_end: bool,
    /// How lines are joined.
    #[serde(default)]
    pub(crate) multiline: Option<Multiline>,
}

/// `type: syslog`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Syslog {
    /// For logs and metrics.
    #[serde(default = "syslog_name")]
    pub(crate) name: String,
    /// `udp://HOST:PORT` or `tcp://HOST:PORT`.
    pub(crate) listen: String,
}

/// `type: http`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    /// For logs and metrics.
    #[serde(default = "http_name")]
    pub(crate) name: String,
    /// On the server that serves the metrics.
    #[serde(default = "webhook")]
    pub(crate) path: String,
    /// What a body is.
    #[serde(default)]
    pub(crate) format: HttpFormat,
    /// Where the line stands in a JSON event.
    #[serde(default = "message")]
    pub(crate) selector: String,
    /// What stands between two lines of `text_bulk`.
    #[serde(default = "blank_line")]
    pub(crate) separator: String,
    /// When senders are told that their lines have been taken.
    #[serde(default)]
    pub(crate) acknowledge: Acknowledge,
    /// Events are found below `x` in templates too, where grok_exporter has those of `json_bulk` by mistake.
    #[serde(skip)]
    pub(crate) nested: bool,
}

impl Http {
    /// As our form has it where a key is not given.
    pub(crate) fn of(format: HttpFormat) -> Self {
        Self {
            name: http_name(),
            path: webhook(),
            format,
            selector: message(),
            separator: blank_line(),
            acknowledge: Acknowledge::Counted,
            nested: false,
        }
    }

    fn check(&self) -> Result<(), String> {
        if !self.path.starts_with('/') || self.path.contains(['{', '}', '*', '?', '#']) {
            return Err(format!("path: {:?}: expected a path that starts with /", self.path));
        }
        if self.separator.is_empty() {
            return Err("separator: is empty".into());
        }
        super::selector::Selector::parse(&self.selector).map(drop).map_err(|e| format!("selector: {e}"))
    }
}

/// What a body holds; the names are grok_exporter's. Logstash's http output sends `json_bulk` where its format is
/// `json_batch`, `json_single` where it is `json`, `text_single` where it is `message`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HttpFormat {
    /// One line, which may have inner newlines.
    #[default]
    TextSingle,
    /// Lines with a separator between them.
    TextBulk,
    /// One JSON event.
    #[serde(alias = "json")]
    JsonSingle,
    /// An array of JSON events.
    #[serde(alias = "json_batch")]
    JsonBulk,
    /// A JSON event on each line.
    JsonLines,
}

/// `type: lumberjack`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lumberjack {
    /// For logs and metrics.
    #[serde(default = "lumberjack_name")]
    pub(crate) name: String,
    /// `HOST:PORT`, such as `:5044`.
    pub(crate) listen: String,
    /// Where the line stands in an event.
    #[serde(default = "message")]
    pub(crate) selector: String,
    /// When senders are told that their events have been taken.
    #[serde(default)]
    pub(crate) acknowledge: Acknowledge,
    /// Plain TCP without it.
    #[serde(default)]
    pub(crate) tls: Option<Tls>,
}

impl Lumberjack {
    fn check(&self) -> Result<(), String> {
        super::listen::Address::parse_tcp(&self.listen)?;
        super::selector::Selector::parse(&self.selector).map(drop).map_err(|e| format!("selector: {e}"))
    }
}

/// When a sender is told that its lines have been taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acknowledge {
    /// When they are counted, in memory.
    #[default]
    Counted,
    /// When the counters that hold them are on disk.
    Saved,
}

/// The certificate of a listener.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file.
    #[serde(rename = "cert_file")]
    pub(crate) cert: PathBuf,
    /// PEM file.
    #[serde(rename = "key_file")]
    pub(crate) key: PathBuf,
    /// PEM file; with it clients must show a certificate that it signed.
    #[serde(default, rename = "client_ca_file")]
    pub(crate) client_ca: Option<PathBuf>,
}

/// `type: journal`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Journal {
    /// For logs and metrics.
    #[serde(default = "journal_name")]
    pub(crate) name: String,
    /// Units whose lines are read; all without any.
    #[serde(default)]
    pub(crate) units: Vec<String>,
    /// Fields as `journalctl` takes them, such as `SYSLOG_IDENTIFIER=sshd`.
    #[serde(default)]
    pub(crate) matches: Vec<String>,
    /// Whether a journal that was never read is read from its start.
    #[serde(default)]
    pub(crate) read_from_start: bool,
}

/// How lines are joined into one, as Filebeat does it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Multiline {
    /// A regular expression, looked for anywhere in a line.
    pub(crate) pattern: String,
    /// Whether lines that do not match are the ones to join.
    #[serde(default)]
    pub(crate) negate: bool,
    /// Whether they join the line before (`after`) or the line behind them (`before`).
    #[serde(default, rename = "match")]
    pub(crate) side: Side,
    /// More lines than that are left out of the event.
    #[serde(default = "max_lines")]
    pub(crate) max_lines: usize,
    /// An event that nothing was added to for so long is complete.
    #[serde(default = "multiline_timeout", deserialize_with = "duration")]
    pub(crate) timeout: Duration,
}

/// Where lines are joined to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    /// To the line before them.
    #[default]
    After,
    /// To the line behind them.
    Before,
}

/// A duration in Go's form.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    service::parse_duration(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn optional_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|t| service::parse_duration(&t)).transpose().map_err(serde::de::Error::custom)
}

fn file_name() -> String {
    "file".into()
}
fn stdin_name() -> String {
    "stdin".into()
}
fn syslog_name() -> String {
    "syslog".into()
}
fn http_name() -> String {
    "http".into()
}
fn lumberjack_name() -> String {
    "lumberjack".into()
}
fn journal_name() -> String {
    "journal".into()
}
fn webhook() -> String {
    "/webhook".into()
}
fn message() -> String {
    ".message".into()
}
fn blank_line() -> String {
    "\n\n".into()
}
fn max_lines() -> usize {
    500
}
fn multiline_timeout() -> Duration {
    Duration::from_secs(5)
}
fn max_files() -> usize {
    4096
}
