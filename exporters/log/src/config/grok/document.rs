//! grok_exporter's configuration as it stands in the file: unknown keys are ignored, texts may be numbers.

use crate::config::scalar::{List, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Document {
    pub(super) global: Option<Global>,
    pub(super) input: Option<Input>,
    pub(super) imports: Option<List<Import>>,
    /// Version 2.
    pub(super) grok: Option<Grok>,
    /// Version 3.
    pub(super) grok_patterns: Option<List<Option<String>>>,
    pub(super) metrics: Option<List<Metric>>,
    pub(super) server: Option<Server>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Global {
    pub(super) config_version: Option<String>,
    pub(super) retention_check_interval: Option<Span>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) path: Option<String>,
    pub(super) paths: Option<List<String>>,
    pub(super) readall: Option<bool>,
    pub(super) fail_on_missing_logfile: Option<String>,
    /// Version 3.
    pub(super) poll_interval: Option<Span>,
    /// Version 2.
    pub(super) poll_interval_seconds: Option<u64>,
    pub(super) max_lines_in_buffer: Option<i64>,
    pub(super) webhook_path: Option<String>,
    pub(super) webhook_format: Option<String>,
    pub(super) webhook_json_selector: Option<String>,
    pub(super) webhook_text_bulk_separator: Option<String>,
    pub(super) kafka_version: Option<String>,
    pub(super) kafka_brokers: Option<List<String>>,
    pub(super) kafka_topics: Option<List<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Import {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) dir: Option<String>,
    pub(super) file: Option<String>,
    pub(super) defaults: Option<Defaults>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Defaults {
    pub(super) path: Option<String>,
    pub(super) paths: Option<List<String>>,
    pub(super) retention: Option<Span>,
    pub(super) buckets: Option<List<f64>>,
    pub(super) quantiles: Option<BTreeMap<String, f64>>,
    pub(super) max_age: Option<Span>,
    pub(super) labels: Option<Labels>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Grok {
    pub(super) patterns_dir: Option<String>,
    pub(super) additional_patterns: Option<List<Option<String>>>,
}

/// No value is the empty template.
pub(super) type Labels = BTreeMap<String, Option<String>>;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metric {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) help: Option<String>,
    pub(super) path: Option<String>,
    pub(super) paths: Option<List<String>>,
    #[serde(rename = "match")]
    pub(super) pattern: Option<String>,
    pub(super) retention: Option<Span>,
    pub(super) value: Option<String>,
    pub(super) cumulative: Option<bool>,
    pub(super) buckets: Option<List<f64>>,
    pub(super) quantiles: Option<BTreeMap<String, f64>>,
    pub(super) max_age: Option<Span>,
    pub(super) labels: Option<Labels>,
    pub(super) delete_match: Option<String>,
    pub(super) delete_labels: Option<Labels>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Server {
    pub(super) protocol: Option<String>,
    pub(super) host: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) path: Option<String>,
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_auth: Option<String>,
}

impl Document {
    /// The same configuration as version 3 says it.
    pub(super) fn upgrade(&mut self) {
        let grok = self.grok.take().unwrap_or_default();
        self.imports = text(grok.patterns_dir.as_ref()).map(|dir| {
            List(vec![Import { kind: Some("grok_patterns".into()), dir: Some(dir.into()), ..Import::default() }])
        });
        self.grok_patterns = grok.additional_patterns;
        if let Some(input) = &mut self.input {
            input.poll_interval = input
                .poll_interval_seconds
                .take()
                .filter(|seconds| *seconds > 0)
                .map(|seconds| Span(std::time::Duration::from_secs(seconds)));
        }
        // Keys that version 2 does not know are ignored, as any unknown key.
        if let Some(server) = &mut self.server {
            (server.client_ca, server.client_auth) = (None, None);
        }
        for metric in self.metrics.iter_mut().flat_map(|m| &mut m.0) {
            metric.max_age = None;
        }
        self.global.get_or_insert_default().config_version = Some("3".into());
    }
}

/// A text that is there: an empty one is as good as none.
pub(super) fn text(field: Option<&String>) -> Option<&str> {
    field.map(String::as_str).filter(|t| !t.is_empty())
}
