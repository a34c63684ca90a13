//! A grok_exporter configuration as its version 3 says it: what `--showconfig` prints.

use super::document::{Defaults, Document, Import, Input, Labels, Metric, Server, text};
use crate::config::scalar::{List, Span};
use crate::config::{ConfigError, Form, form, read};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The file in version 3, without what is the default anyway.
pub(crate) fn show(path: &Path) -> Result<String, ConfigError> {
    let text = read(path)?;
    if form(path, &text)? == Form::Rules {
        return Err(ConfigError::new(path, "--showconfig is for grok_exporter's form, and this file has ours"));
    }
    // What cannot be used is not shown either.
    super::load(path, &text)?;
    let (document, _) = super::document(path, &text)?;
    let mut yaml = Yaml::default();
    yaml.document(&document);
    Ok(yaml.0)
}

/// Lines of YAML.
#[derive(Default)]
struct Yaml(String);

impl Yaml {
    fn document(&mut self, document: &Document) {
        self.key(0, "global");
        self.field(1, "config_version", Some("3"));
        let interval = document.global.as_ref().and_then(|g| g.retention_check_interval);
        self.span(1, "retention_check_interval", interval.filter(|i| i.0 != Duration::from_secs(53)));
        self.key(0, "input");
        self.input(&document.input.clone().unwrap_or_default());
        if let Some(List(imports)) = document.imports.as_ref().filter(|l| !l.0.is_empty()) {
            self.key(0, "imports");
            for import in imports {
                self.item(|yaml| yaml.import(import));
            }
        }
        if let Some(List(patterns)) = document.grok_patterns.as_ref().filter(|l| !l.0.is_empty()) {
            self.key(0, "grok_patterns");
            for pattern in patterns {
                self.entry(0, pattern.as_deref().unwrap_or_default());
            }
        }
        if let Some(List(metrics)) = document.metrics.as_ref().filter(|l| !l.0.is_empty()) {
            self.key(0, "metrics");
            for metric in metrics {
                self.item(|yaml| yaml.metric(metric));
            }
        }
        self.server(document.server.as_ref());
    }

    fn input(&mut self, input: &Input) {
        let kind = text(input.kind.as_ref()).unwrap_or("stdin");
        self.field(1, "type", Some(kind));
        self.paths(1, input.path.as_ref(), input.paths.as_ref());
        let missing = text(input.fail_on_missing_logfile.as_ref()).filter(|m| *m != "true");
        if let Some(missing) = missing.filter(|_| kind == "file") {
            self.line(1, "fail_on_missing_logfile", missing);
        }
        if input.readall == Some(true) {
            self.line(1, "readall", "true");
        }
        self.span(1, "poll_interval", input.poll_interval);
        if let Some(lines) = input.max_lines_in_buffer.filter(|n| *n != 0) {
            self.line(1, "max_lines_in_buffer", &lines.to_string());
        }
        self.field(1, "webhook_path", text(input.webhook_path.as_ref()));
        self.field(1, "webhook_format", text(input.webhook_format.as_ref()));
        self.field(1, "webhook_json_selector", text(input.webhook_json_selector.as_ref()));
        self.field(1, "webhook_text_bulk_separator", text(input.webhook_text_bulk_separator.as_ref()));
    }

    fn import(&mut self, import: &Import) {
        self.field(1, "type", text(import.kind.as_ref()));
        self.field(1, "dir", text(import.dir.as_ref()));
        self.field(1, "file", text(import.file.as_ref()));
        if let Some(defaults) = import.defaults.as_ref().filter(|d| **d != Defaults::default()) {
            self.key(1, "defaults");
            self.paths(2, defaults.path.as_ref(), defaults.paths.as_ref());
            self.span(2, "retention", defaults.retention);
            self.buckets(2, defaults.buckets.as_ref());
            self.quantiles(2, defaults.quantiles.as_ref());
            self.span(2, "max_age", defaults.max_age);
            self.labels(2, "labels", defaults.labels.as_ref());
        }
    }

    fn metric(&mut self, metric: &Metric) {
        self.field(1, "type", text(metric.kind.as_ref()));
        self.field(1, "name", text(metric.name.as_ref()));
        self.field(1, "help", text(metric.help.as_ref()));
        self.paths(1, metric.path.as_ref(), metric.paths.as_ref());
        self.field(1, "match", text(metric.pattern.as_ref()));
        self.span(1, "retention", metric.retention);
        self.field(1, "value", text(metric.value.as_ref()));
        if metric.cumulative == Some(true) {
            self.line(1, "cumulative", "true");
        }
        self.buckets(1, metric.buckets.as_ref());
        self.quantiles(1, metric.quantiles.as_ref());
        self.span(1, "max_age", metric.max_age);
        self.labels(1, "labels", metric.labels.as_ref());
        self.field(1, "delete_match", text(metric.delete_match.as_ref()));
        self.labels(1, "delete_labels", metric.delete_labels.as_ref());
    }

    fn server(&mut self, server: Option<&Server>) {
        let default = Server::default();
        let server = server.unwrap_or(&default);
        self.key(0, "server");
        self.field(1, "protocol", Some(text(server.protocol.as_ref()).unwrap_or("http")));
        self.field(1, "host", text(server.host.as_ref()));
        self.line(1, "port", &server.port.filter(|p| *p != 0).unwrap_or(9144).to_string());
        self.field(1, "path", text(server.path.as_ref()).filter(|p| *p != "/metrics"));
        self.field(1, "cert", text(server.cert.as_ref()));
        self.field(1, "key", text(server.key.as_ref()));
        self.field(1, "client_ca", text(server.client_ca.as_ref()));
        let auth = text(server.client_auth.as_ref()).filter(|a| *a != "RequireAndVerifyClientCert");
        self.field(1, "client_auth", auth);
    }

    /// The lines that `write` makes, as an item of a list: those at depth 1 stand behind the dash.
    fn item(&mut self, write: impl FnOnce(&mut Self)) {
        let start = self.0.len();
        write(self);
        if self.0[start..].starts_with(INDENT) {
            self.0.replace_range(start..start + INDENT.len(), &format!("-{}", &INDENT[1..]));
        }
    }

    fn indent(&mut self, depth: usize) {
        (0..depth).for_each(|_| self.0.push_str(INDENT));
    }

    /// A text in a list.
    fn entry(&mut self, depth: usize, text: &str) {
        self.indent(depth);
        for part in ["- ", &scalar(text), "\n"] {
            self.0.push_str(part);
        }
    }

    fn key(&mut self, depth: usize, name: &str) {
        self.indent(depth);
        self.0.push_str(name);
        self.0.push_str(":\n");
    }

    fn line(&mut self, depth: usize, name: &str, value: &str) {
        self.indent(depth);
        for part in [name, ": ", value, "\n"] {
            self.0.push_str(part);
        }
    }

    fn field(&mut self, depth: usize, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.line(depth, name, &scalar(value));
        }
    }

    fn span(&mut self, depth: usize, name: &str, span: Option<Span>) {
        if let Some(Span(span)) = span.filter(|s| !s.0.is_zero()) {
            self.line(depth, name, &duration(span));
        }
    }

    fn paths(&mut self, depth: usize, path: Option<&String>, paths: Option<&List<String>>) {
        let paths = paths.map(|p| &*p.0).unwrap_or_default();
        match (text(path), paths) {
            (Some(path), _) => self.field(depth, "path", Some(path)),
            (None, []) => {}
            (None, [path]) => self.field(depth, "path", Some(path)),
            (None, paths) => {
                self.key(depth, "paths");
                for path in paths {
                    self.entry(depth, path);
                }
            }
        }
    }

    fn buckets(&mut self, depth: usize, buckets: Option<&List<f64>>) {
        if let Some(List(buckets)) = buckets.filter(|b| !b.0.is_empty()) {
            let numbers: Vec<String> = buckets.iter().map(|b| number(*b)).collect();
            self.line(depth, "buckets", &format!("[{}]", numbers.join(", ")));
        }
    }

    fn quantiles(&mut self, depth: usize, quantiles: Option<&BTreeMap<String, f64>>) {
        if let Some(quantiles) = quantiles.filter(|q| !q.is_empty()) {
            let pairs: Vec<String> = quantiles.iter().map(|(q, e)| format!("{}: {}", scalar(q), number(*e))).collect();
            self.line(depth, "quantiles", &format!("{{{}}}", pairs.join(", ")));
        }
    }

    fn labels(&mut self, depth: usize, name: &str, labels: Option<&Labels>) {
        if let Some(labels) = labels.filter(|l| !l.is_empty()) {
            self.key(depth, name);
            for (label, template) in labels {
                self.line(depth + 1, &scalar(label), &scalar(template.as_deref().unwrap_or_default()));
            }
        }
    }
}

/// As Go writes it where that is short: `1h30m0s`, `500ms`.
fn duration(span: Duration) -> String {
    let seconds = span.as_secs();
    match span.subsec_nanos() {
        0 if seconds >= 3600 => format!("{}h{}m{}s", seconds / 3600, seconds / 60 % 60, seconds % 60),
        0 if seconds >= 60 => format!("{}m{}s", seconds / 60, seconds % 60),
        0 => format!("{seconds}s"),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", span.as_millis()),
        _ => format!("{}ns", span.as_nanos()),
    }
}

/// A number that YAML reads back the same.
fn number(value: f64) -> String {
    match value {
        f64::INFINITY => ".inf".into(),
        f64::NEG_INFINITY => "-.inf".into(),
        value => format!("{value}"),
    }
}

/// A text as a YAML scalar: bare where that is safe, else in quotes.
fn scalar(text: &str) -> String {
    if text.chars().any(|c| c.is_control() || c == '\u{feff}' || ('\u{2028}'..='\u{2029}').contains(&c)) {
        let escaped: String = text
            .chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\t' => "\\t".to_owned(),
                c if c.is_control() || c == '\u{feff}' => format!("\\u{:04x}", u32::from(c)),
                c @ '\u{2028}'..='\u{2029}' => format!("\\u{:04x}", u32::from(c)),
                c => c.to_string(),
            })
            .collect();
        return format!("\"{escaped}\"");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./ ".contains(c);
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let numeric = text.parse::<f64>().is_ok() && text.starts_with(|c: char| c.is_ascii_digit());
    let null = text.eq_ignore_ascii_case("null");
    if numeric || (starts && !null && text.chars().all(plain) && !text.ends_with(' ')) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

const INDENT: &str = "  ";
