//! The YAML file: what may stand in it, and what of it is wrong at which line.

use crate::json_path::Path as JsonPath;
use crate::metric::{Label, Metric};
use crate::source::{Ask, Command, File, HttpText, Server, Spec, Sql};
use crate::table::{Field, Format};
use exposition::Kind;
use serde::{Deserialize, Deserializer, de};
use service::yaml::{Spanned, YamlError};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

/// Reads and checks a file. The error names file, line and field.
pub(crate) fn load(path: &Path) -> Result<Vec<Spec>, YamlError> {
    let wrong = |line, text| YamlError { file: Some(path.to_owned()), line, text };
    let bytes = std::fs::read(path).map_err(|e| wrong(None, format!("cannot be read: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(None, "is not UTF-8".to_owned()))?;
    parse(&text).map_err(|e| wrong(e.line, e.text))
}

fn parse(text: &str) -> Result<Vec<Spec>, YamlError> {
    let field = |error: YamlError| {
        // The library knows the line, the line knows the field.
        let line = error.line.and_then(|n| text.lines().nth(usize::try_from(n).ok()?.checked_sub(1)?));
        let key = line.and_then(|l| l.trim_start_matches([' ', '-']).split_once(':')).map(|(key, _)| key);
        match key.filter(|k| k.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !error.text.contains(*k)) {
            Some(key) => YamlError { text: format!("{key}: {}", error.text), ..error },
            None => error,
        }
    };
    let file: Document = service::yaml::from_str(text).map_err(field)?;
    file.check()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    servers: HashMap<String, Server>,
    sources: Vec<SourceText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceText {
    name: Spanned<String>,
    sql: Option<SqlText>,
    http: Option<Spanned<HttpText>>,
    command: Option<Command>,
    file: Option<File>,
    format: Option<Format>,
    #[serde(default, deserialize_with = "duration")]
    interval: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    cache: Option<Duration>,
    #[serde(default, deserialize_with = "duration")]
    timeout: Option<Duration>,
    #[serde(default = "max_rows")]
    max_rows: usize,
    #[serde(default = "max_bytes")]
    max_bytes: usize,
    #[serde(default)]
    metrics: Vec<MetricText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SqlText {
    server: Spanned<String>,
    database: Option<String>,
    query: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MetricText {
    name: Spanned<String>,
    #[serde(default)]
    help: String,
    #[serde(default)]
    r#type: Type,
    each: Option<Spanned<String>>,
    value: Option<Spanned<String>>,
    #[serde(default)]
    r#where: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    labels_from: BTreeMap<String, Spanned<String>>,
    scale: Option<Spanned<f64>>,
    #[serde(default)]
    values: BTreeMap<String, f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Counter,
    #[default]
    Gauge,
    Untyped,
}

impl Document {
    /// What the types alone cannot say: names that are taken, fields that belong to another kind of source.
    fn check(self) -> Result<Vec<Spec>, YamlError> {
        let mut names = BTreeSet::new();
        let mut families: HashMap<String, (Kind, String)> = HashMap::new();
        let mut specs = Vec::new();
        for source in self.sources {
            let name = source.name.clone();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || b == b'.';
            ensure(!name.value.is_empty() && name.value.bytes().all(plain), &name, || {
                format!("name: {:?} may hold letters, digits, `_`, `-` and `.` only", name.value)
            })?;
            ensure(names.insert(name.value.clone()), &name, || format!("name: a second source {:?}", name.value))?;
            ensure(!crate::system::ALL.iter().any(|entry| entry.name == name.value), &name, || {
                format!("name: {:?} is a collector of this machine", name.value)
            })?;
            ensure(specs.len() < MOST_SOURCES, &name, || format!("sources: more than {MOST_SOURCES}"))?;
            let spec = source.check(&self.servers)?;
            for metric in &spec.metrics {
                let kept = families.entry(metric.name.clone()).or_insert_with(|| (metric.kind, metric.help.clone()));
                ensure(*kept == (metric.kind, metric.help.clone()), &name, || {
                    format!("metrics: {} has another type or help in another place", metric.name)
                })?;
            }
            specs.push(spec);
        }
        Ok(specs)
    }
}

impl SourceText {
    fn check(self, servers: &HashMap<String, Server>) -> Result<Spec, YamlError> {
        let at = &self.name;
        let mut asks = Vec::new();
        if let Some(sql) = self.sql {
            let server = servers.get(&sql.server.value).ok_or_else(|| {
                error(&sql.server, format!("server: no {:?} among the servers above", sql.server.value))
            })?;
            asks.push(Ask::Sql(Sql { server: server.clone(), database: sql.database, query: sql.query }));
        }
        if let Some(http) = self.http {
            let Spanned { value, line } = http;
            let built = value.build(self.max_bytes).map_err(|what| error(&Spanned { value: (), line }, what))?;
            asks.push(Ask::Http(Box::new(built)));
        }
        asks.extend(self.command.map(Ask::Command));
        asks.extend(self.file.map(Ask::File));
        let one = asks.len() == 1;
        let ask = asks.pop().filter(|_| one);
        let ask = ask
            .ok_or_else(|| error(at, format!("source {:?}: expected one of sql, http, command and file", at.value)))?;
        ensure(self.interval.is_none() || self.cache.is_none(), at, || {
            format!("source {:?}: with an interval there is nothing to cache; give one of them", at.value)
        })?;
        ensure((1..=MOST_ROWS).contains(&self.max_rows), at, || format!("max_rows: expected 1 to {MOST_ROWS}"))?;
        ensure((1..=MOST_BYTES).contains(&self.max_bytes), at, || format!("max_bytes: expected 1 to {MOST_BYTES}"))?;
        let format = match (&ask, self.format) {
            (Ask::Sql(_), Some(_)) => {
                return Err(error(at, format!("format: an answer in SQL has none (source {:?})", at.value)));
            }
            (_, Some(format)) => format,
            (Ask::Http(_), None) => Format::Json,
            (_, None) => Format::Number,
        };
        if let Ask::Command(command) = &ask {
            ensure(command.run.first().is_some_and(|program| !program.is_empty()), at, || {
                format!("run: expected a program and its arguments (source {:?})", at.value)
            })?;
        }
        let page = format == Format::Exposition && !matches!(ask, Ask::Sql(_));
        ensure(page == self.metrics.is_empty(), at, || {
            let what = if page { "a page in exposition format brings its own" } else { "expected at least one" };
            format!("metrics: {what} (source {:?})", at.value)
        })?;
        let json = format == Format::Json && !matches!(ask, Ask::Sql(_));
        let metrics = self.metrics.into_iter().map(|m| m.check(json)).collect::<Result<_, _>>()?;
        Ok(Spec {
            name: at.value.clone(),
            ask,
            format,
            interval: self.interval,
            cache: self.cache.unwrap_or_default(),
            timeout: self.timeout.unwrap_or(TIMEOUT),
            max_rows: self.max_rows,
            max_bytes: self.max_bytes,
            metrics,
        })
    }
}

impl MetricText {
    fn check(self, json: bool) -> Result<Metric, YamlError> {
        let name = &self.name;
        ensure(is_name(&name.value, true), name, || format!("name: {:?} is no metric name", name.value))?;
        ensure(!RESERVED.iter().any(|prefix| name.value.starts_with(prefix)), name, || {
            format!("name: {} begins as the exporter's own metrics do", name.value)
        })?;
        let path = |key: &str, text: &Spanned<String>| {
            JsonPath::parse(&text.value).map_err(|what| error(text, format!("{key}: {what}")))
        };
        let field = |key: &str, text: &Spanned<String>| {
            if json { path(key, text).map(Field::Path) } else { Ok(Field::Column(text.value.clone())) }
        };
        ensure(json || self.each.is_none(), name, || "each: only a JSON document has rows to be chosen".to_owned())?;
        let default = if json { "$" } else { "value" };
        let default = Spanned { value: default.to_owned(), line: name.line };
        let mut labels = Vec::new();
        for (label, text) in &self.labels {
            labels.push((label.clone(), Label::Constant(text.value.clone())));
        }
        for (label, text) in &self.labels_from {
            ensure(!self.labels.contains_key(label), text, || format!("labels_from: {label} stands in labels too"))?;
            labels.push((label.clone(), Label::From(field("labels_from", text)?)));
        }
        for (label, text) in self.labels.iter().chain(&self.labels_from) {
            ensure(is_name(label, false) && !label.starts_with("__"), text, || {
                format!("labels: {label:?} is no label name")
            })?;
        }
        let mut only = Vec::new();
        for (key, text) in &self.r#where {
            let key = Spanned { value: key.clone(), line: text.line };
            only.push((field("where", &key)?, text.value.clone()));
        }
        let scale = self.scale.as_ref().map_or(1.0, |scale| scale.value);
        if let Some(at) = self.scale.as_ref().filter(|scale| !scale.value.is_finite()) {
            return Err(error(at, "scale: expected a finite number".to_owned()));
        }
        Ok(Metric {
            name: name.value.clone(),
            help: self.help.split_whitespace().collect::<Vec<_>>().join(" "),
            kind: match self.r#type {
                Type::Counter => Kind::Counter,
                Type::Gauge => Kind::Gauge,
                Type::Untyped => Kind::Untyped,
            },
            each: self.each.as_ref().map(|text| path("each", text)).transpose()?,
            value: field("value", self.value.as_ref().unwrap_or(&default))?,
            only,
            labels,
            scale,
            values: self.values,
        })
    }
}

fn ensure<T>(good: bool, at: &Spanned<T>, text: impl FnOnce() -> String) -> Result<(), YamlError> {
    if good { Ok(()) } else { Err(error(at, text())) }
}

fn error<T>(at: &Spanned<T>, text: String) -> YamlError {
    YamlError { file: None, line: Some(at.line), text }
}

fn is_name(name: &str, colon: bool) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || (colon && b == b':');
    name.bytes().next().is_some_and(letter) && name.bytes().all(|b| letter(b) || b.is_ascii_digit())
}

/// `1m30s`, as Go and Prometheus write it.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = service::parse_duration(&text).map_err(de::Error::custom)?;
    if !(SHORTEST..=LONGEST).contains(&duration) {
        return Err(de::Error::custom(format!("{text} is not between 10ms and 24h")));
    }
    Ok(Some(duration))
}

fn max_rows() -> usize {
    1000
}

fn max_bytes() -> usize {
    1 << 20
}

/// Names that a configured metric may not begin with.
const RESERVED: [&str; 3] = ["custom_exporter_", "process_", "promhttp_"];
const TIMEOUT: Duration = Duration::from_secs(5);
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_hours(24);
/// All of them may be asked at once.
const MOST_SOURCES: usize = 200;
const MOST_ROWS: usize = 100_000;
const MOST_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "\
servers:
  shop: {address: 'db:3306', user: metrics, password_file: /run/secret}
sources:
- name: orders
  sql:
    server: shop
    query: SELECT status, COUNT(*) AS orders FROM wp_wc_orders GROUP BY status
  interval: 1m
  metrics:
  - name: shop_orders
    help: Orders by status
    value: orders
    labels_from: {status: status}
- name: weather
  http: {url: 'http://127.0.0.1:1/now'}
  cache: 30s
  timeout: 2s
  metrics:
  - {name: weather_celsius, value: $.main.temp, scale: 0.1, labels: {city: Seoul}}
";

    fn error_of(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_good_file_is_taken() {
        let specs = parse(GOOD).unwrap();
        assert_eq!(specs.len(), 2);
        assert_eq!(specs[0].interval, Some(Duration::from_mins(1)));
        assert_eq!((specs[1].cache, specs[1].timeout), (Duration::from_secs(30), Duration::from_secs(2)));
        assert_eq!(specs[1].format, Format::Json);
    }

    #[test]
    fn a_fault_names_line_and_field() {
        for (good, bad, error) in [
            ("interval: 1m", "intervall: 1m", "line 8: unknown field `intervall`"),
            ("interval: 1m", "interval: soon", "line 8: interval: invalid duration \"soon\""),
            ("interval: 1m", "interval: 9999h", "line 8: interval: 9999h is not between 10ms and 24h"),
            ("interval: 1m", "interval: 1m\n  cache: 1m", "line 4: source \"orders\": with an interval"),
            ("server: shop", "server: shpo", "line 6: server: no \"shpo\" among the servers above"),
            ("name: weather\n", "name: orders\n", "line 14: name: a second source \"orders\""),
            ("name: weather\n", "name: cpu\n", "line 14: name: \"cpu\" is a collector of this machine"),
            ("name: weather\n", "name: a b\n", "line 14: name: \"a b\" may hold"),
            ("name: shop_orders", "name: shop-orders", "line 10: name: \"shop-orders\" is no metric name"),
            ("name: shop_orders", "name: process_x", "line 10: name: process_x begins as"),
            ("value: $.main.temp", "value: main.temp", "line 19: value: JSONPath \"main.temp\": expected $ or @"),
            ("scale: 0.1", "scale: much", "line 19: "),
            ("scale: 0.1", "scale: .inf", "line 19: scale: expected a finite number"),
            ("{status: status}", "{1status: status}", "line 13: labels: \"1status\" is no label name"),
            ("timeout: 2s", "timeout: 2s\n  file: {path: /x}", "line 14: source \"weather\": expected one of"),
            ("timeout: 2s", "timeout: 2s\n  max_rows: 0", "line 14: max_rows: expected 1 to 100000"),
            ("  interval: 1m", "  format: json", "line 4: format: an answer in SQL has none"),
            ("timeout: 2s", "timeout: 2s\n  format: exposition", "line 14: metrics: a page in exposition format"),
            ("url: 'http://127.0.0.1:1/now'", "url: 'now'", "line 15: "),
            ("address: 'db:3306'", "address: db", "line 2: "),
        ] {
            assert_eq!(GOOD.matches(good).count(), 1, "{good}");
            let error_there = error_of(&GOOD.replace(good, bad));
            assert!(error_there.starts_with(error), "{bad}: {error_there}");
        }
        let twice = GOOD.replace("weather_celsius", "shop_orders");
        assert_eq!(error_of(&twice), "line 14: metrics: shop_orders has another type or help in another place");
    }

    #[test]
    fn the_file_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sources: 7").unwrap();
        let error = load(file.path()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: line 1: sources: ", file.path().display())), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_answered(text in any::<String>(), at in 0..GOOD.len(), cut in 0..40usize) {
            drop(parse(&text));
            // A good file with a hole and something in it.
            let end = (at + cut).min(GOOD.len());
            drop(parse(&format!("{}{text}{}", &GOOD[..at], &GOOD[end..])));
        }
    }
}
