//! The configuration file in either form: grok_exporter's, or our own.

mod grok;
mod names;
mod rules;
mod scalar;

pub(crate) use grok::show;
#[cfg(test)]
pub(crate) use rules::SETS;

use crate::engine::{Limits, Rule};
use crate::input::Settings;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// All that a configuration file says.
#[derive(Debug)]
pub(crate) struct Config {
    /// Which form the file has: own metrics are named after it.
    pub(crate) form: Form,
    /// In the order in which lines meet them.
    pub(crate) rules: Vec<Rule>,
    /// Where lines come from.
    pub(crate) inputs: Vec<Settings>,
    /// The listener as grok_exporter's form knows it; all default in ours.
    pub(crate) server: Server,
    /// How often idle series are looked for.
    pub(crate) retention_check_interval: Duration,
    /// What attackers may not exceed.
    pub(crate) limits: Limits,
    /// What an operator should know though the file is taken: one line each, for standard error.
    pub(crate) warnings: Vec<String>,
}

/// The form of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `global.config_version: 2` or `3`; own metrics are named `grok_exporter_…`.
    GrokExporter,
    /// `rules:` and `use:`; own metrics are named `log_exporter_…`.
    Rules,
}

impl Form {
    /// What the names of own metrics begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::GrokExporter => "grok_exporter",
            Self::Rules => "log_exporter",
        }
    }
}

/// The part `server`. A flag for the listening address wins over host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Interface to listen on; empty for all.
    pub(crate) host: String,
    /// Port to listen on.
    pub(crate) port: u16,
    /// Path of the metrics page.
    pub(crate) path: String,
    /// Only with `protocol: https`.
    pub(crate) tls: Option<Tls>,
}

/// What HTTPS needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// PEM file with the certificate chain.
    pub(crate) cert: PathBuf,
    /// PEM file with the key.
    pub(crate) key: PathBuf,
    /// PEM file with the authorities of clients.
    pub(crate) client_ca: Option<PathBuf>,
    /// One of Go's five words, such as `RequireAndVerifyClientCert`; `NoClientCert` without `client_ca`.
    pub(crate) client_auth: &'static str,
}

impl Default for Server {
    fn default() -> Self {
        Self { host: String::new(), port: 9144, path: "/metrics".into(), tls: None }
    }
}

/// Why a configuration is refused, in one line that names file and field.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub(crate) struct ConfigError {
    /// The file as given, or the one that it imports.
    pub(crate) file: PathBuf,
    /// What is wrong with which field.
    pub(crate) reason: String,
}

impl ConfigError {
    fn new(file: &Path, reason: impl std::fmt::Display) -> Self {
        // Whatever it quotes: one line.
        let reason = reason.to_string().replace(['\n', '\r'], " ");
        Self { file: file.to_owned(), reason }
    }
}

/// Reads a configuration file. `global.config_version` makes it one of grok_exporter's, else it is one of ours.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = read(path)?;
    match form(path, &text)? {
        Form::GrokExporter => grok::load(path, &text),
        Form::Rules => rules::load(path, &text),
    }
}

/// The form of a file, by the keys it has.
fn form(path: &Path, text: &str) -> Result<Form, ConfigError> {
    let keys: Keys = service::yaml::from_str_lenient(text).map_err(|e| ConfigError::new(path, e))?;
    if keys.rules.is_some() || keys.sets.is_some() {
        return Ok(Form::Rules);
    }
    let grok = [&keys.input, &keys.imports, &keys.grok, &keys.grok_patterns, &keys.metrics, &keys.server];
    match keys.global {
        Some(Global { config_version: Some(_) }) => Ok(Form::GrokExporter),
        None if grok.into_iter().all(Option::is_none) => Ok(Form::Rules),
        _ => Err(ConfigError::new(path, "global.config_version: missing; 2 and 3 are supported")),
    }
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Keys {
    global: Option<Global>,
    input: Option<IgnoredAny>,
    imports: Option<IgnoredAny>,
    grok: Option<IgnoredAny>,
    grok_patterns: Option<IgnoredAny>,
    metrics: Option<IgnoredAny>,
    server: Option<IgnoredAny>,
    rules: Option<IgnoredAny>,
    #[serde(rename = "use")]
    sets: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Global {
    config_version: Option<IgnoredAny>,
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path).map_err(|e| ConfigError::new(path, format!("reading it: {e}")))?;
    String::from_utf8(bytes).map_err(|_| ConfigError::new(path, "is not UTF-8"))
}

#[cfg(test)]
mod tests;
