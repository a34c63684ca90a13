//! grok_exporter's configuration, versions 2 and 3.

mod document;
mod input;
mod metric;
mod server;
mod show;

pub(super) use metric::{bounds, globs, targets};
pub(crate) use show::show;

use super::names::Metrics;
use super::{Config, ConfigError, Form, read};
use crate::engine::{Limits, Rule};
use crate::input::glob::Glob;
use crate::pattern::Patterns;
use document::{Document, Import, Metric, text};
use metric::Groups;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Reads a configuration of this form.
pub(super) fn load(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let wrong = |reason: String| ConfigError::new(path, reason);
    let (document, version) = document(path, text)?;
    let mut warnings = Vec::new();
    if version == 2 {
        warnings.push(format!(
            "{}: config_version 2 still works; --showconfig prints the file as version 3",
            path.display()
        ));
    }
    let (input, more) = input::settings(document.input.as_ref(), version).map_err(wrong)?;
    warnings.extend(more);
    let server = server::server(document.server.as_ref()).map_err(wrong)?;
    let library = library(path, &document)?;
    let metrics = metrics(path, &document)?;
    if metrics.is_empty() {
        return Err(wrong("metrics: must not be empty".into()));
    }
    let interval = document.global.as_ref().and_then(|g| g.retention_check_interval).unwrap_or_default().0;
    Ok(Config {
        form: Form::GrokExporter,
        rules: rules(&metrics, version, &library)?,
        inputs: vec![input],
        server,
        retention_check_interval: if interval.is_zero() { Duration::from_secs(53) } else { interval },
        limits: Limits::default(),
        warnings,
    })
}

/// The file as version 3, and the version that it had.
fn document(path: &Path, text: &str) -> Result<(Document, u32), ConfigError> {
    let mut document: Document = service::yaml::from_str_lenient(text).map_err(|e| ConfigError::new(path, e))?;
    let version = document.global.as_ref().and_then(|g| g.config_version.clone()).unwrap_or_default();
    let version = match &*version {
        "2" => 2,
        "3" => 3,
        other => {
            let reason = format!("global.config_version: {other} is not supported; 2 and 3 are");
            return Err(ConfigError::new(path, reason));
        }
    };
    if version == 2 {
        document.upgrade();
    }
    Ok((document, version))
}

/// The pattern definitions: what is built in, then files and folders, then those of the file itself.
fn library(path: &Path, document: &Document) -> Result<Patterns, ConfigError> {
    let mut library = Patterns::builtin();
    for (n, import) in imports(path, document)? {
        if text(import.kind.as_ref()) != Some("grok_patterns") {
            continue;
        }
        let wrong = |e: String| ConfigError::new(path, format!("imports[{n}]: {e}"));
        if let Some(dir) = text(import.dir.as_ref()) {
            library.dir(Path::new(dir)).map_err(|e| wrong(format!("dir: {e}")))?;
        }
        for file in files(import).map_err(wrong)? {
            library.file(&file).map_err(|e| wrong(format!("file: {e}")))?;
        }
    }
    for (n, line) in document.grok_patterns.iter().flat_map(|l| &l.0).enumerate() {
        let line = line.as_deref().unwrap_or_default();
        library.define(line).map_err(|e| ConfigError::new(path, format!("grok_patterns[{n}]: {e}")))?;
    }
    Ok(library)
}

/// A metric with the file and the place it stands at.
struct Placed {
    file: PathBuf,
    place: usize,
    metric: Metric,
}

impl Placed {
    fn wrong(&self, reason: impl std::fmt::Display) -> ConfigError {
        let name = self.metric.name.as_deref().filter(|n| !n.is_empty());
        let name = name.map(|n| format!(" ({n})")).unwrap_or_default();
        ConfigError::new(&self.file, format!("metrics[{}]{name}: {reason}", self.place))
    }
}

/// The metrics of the file, then those it imports with their defaults.
fn metrics(path: &Path, document: &Document) -> Result<Vec<Placed>, ConfigError> {
    let placed = |file: &Path, metrics: Vec<Metric>| {
        let file = file.to_owned();
        metrics.into_iter().enumerate().map(move |(place, metric)| Placed { file: file.clone(), place, metric })
    };
    let own = document.metrics.as_ref().map(|m| m.0.clone()).unwrap_or_default();
    let mut all: Vec<Placed> = placed(path, own).collect();
    for (n, import) in imports(path, document)? {
        if text(import.kind.as_ref()) != Some("metrics") {
            continue;
        }
        let wrong = |e: String| ConfigError::new(path, format!("imports[{n}]: {e}"));
        for file in files(import).map_err(wrong)?.into_iter().chain(entries(import).map_err(wrong)?) {
            let list: Option<super::scalar::List<Metric>> =
                service::yaml::from_str_lenient(&read(&file)?).map_err(|e| ConfigError::new(&file, e))?;
            let mut list = list.map(|l| l.0).unwrap_or_default();
            if let Some(defaults) = &import.defaults {
                for metric in &mut list {
                    metric.apply(defaults);
                }
            }
            all.extend(placed(&file, list));
        }
    }
    Ok(all)
}

impl Metric {
    /// Takes from `defaults` what is not said.
    fn apply(&mut self, defaults: &document::Defaults) {
        let empty = |list: &Option<super::scalar::List<String>>| list.as_ref().is_none_or(|l| l.0.is_empty());
        if text(self.path.as_ref()).is_none() && empty(&self.paths) {
            (self.path, self.paths) = (defaults.path.clone(), defaults.paths.clone());
        }
        if let Some(labels) = &defaults.labels {
            let own = self.labels.get_or_insert_default();
            for (name, value) in labels {
                own.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        self.retention = self.retention.or(defaults.retention);
        match self.kind.as_deref() {
            Some("histogram") if self.buckets.as_ref().is_none_or(|b| b.0.is_empty()) => {
                self.buckets.clone_from(&defaults.buckets);
            }
            Some("summary") => {
                if self.quantiles.as_ref().is_none_or(std::collections::BTreeMap::is_empty) {
                    self.quantiles.clone_from(&defaults.quantiles);
                }
                self.max_age = self.max_age.or(defaults.max_age);
            }
            _ => {}
        }
    }
}

/// The imports, each checked by itself.
fn imports<'a>(path: &Path, document: &'a Document) -> Result<Vec<(usize, &'a Import)>, ConfigError> {
    let all: Vec<(usize, &Import)> = document.imports.iter().flat_map(|l| &l.0).enumerate().collect();
    for (n, import) in &all {
        let reason = match text(import.kind.as_ref()) {
            Some("grok_patterns") if import.defaults.as_ref().is_some_and(|d| *d != document::Defaults::default()) => {
                "defaults: cannot be used for type grok_patterns".to_owned()
            }
            Some("metrics" | "grok_patterns") => match (text(import.dir.as_ref()), text(import.file.as_ref())) {
                (Some(_), Some(_)) => "use either dir or file but not both".to_owned(),
                (None, None) => "one of dir and file is required".to_owned(),
                _ => {
                    let defaults = import.defaults.as_ref();
                    let both = defaults.is_some_and(|d| {
                        text(d.path.as_ref()).is_some() && d.paths.as_ref().is_some_and(|p| !p.0.is_empty())
                    });
                    if !both {
                        continue;
                    }
                    "defaults: use either path or paths but not both".to_owned()
                }
            },
            other => format!("type: '{}' is not supported; metrics and grok_patterns are", other.unwrap_or_default()),
        };
        return Err(ConfigError::new(path, format!("imports[{n}]: {reason}")));
    }
    Ok(all)
}

/// What `file` of an import names; a glob that matches nothing is an error.
fn files(import: &Import) -> Result<Vec<PathBuf>, String> {
    let Some(file) = text(import.file.as_ref()) else { return Ok(Vec::new()) };
    let glob = Glob::parse(file).map_err(|e| format!("file: {e}"))?;
    let found: Vec<PathBuf> = glob.expand().files.into_iter().filter(|f| !f.is_dir()).collect();
    if found.is_empty() {
        return Err(format!("file: {file}: no such file"));
    }
    Ok(found)
}

/// What lies in `dir` of an import.
fn entries(import: &Import) -> Result<Vec<PathBuf>, String> {
    let Some(dir) = text(import.dir.as_ref()) else { return Ok(Vec::new()) };
    let wrong = |e: std::io::Error| format!("dir: {dir}: {e}");
    let mut found = std::fs::read_dir(dir)
        .map_err(wrong)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    found.sort();
    if let Some(folder) = found.iter().find(|f| f.is_dir()) {
        return Err(format!("dir: {}: is a directory", folder.display()));
    }
    if found.is_empty() {
        return Err(format!("dir: {dir}: no file in it"));
    }
    Ok(found)
}

/// Metrics with the same pattern and paths share one rule, so that a line is matched once; what deletes comes after all
/// that observes, which keeps the order that each metric sees.
fn rules(metrics: &[Placed], version: u32, library: &Patterns) -> Result<Vec<Rule>, ConfigError> {
    let mut known = Metrics::default();
    let (mut observes, mut deletes) = (Groups::default(), Groups::default());
    for placed in metrics {
        let definition = metric::definition(&placed.metric, version).map_err(|e| placed.wrong(e))?;
        let definition = known.add(definition, Form::GrokExporter.prefix()).map_err(|e| placed.wrong(e))?;
        let paths = metric::paths(&placed.metric).map_err(|e| placed.wrong(e))?;
        let group = observes.group(text(placed.metric.pattern.as_ref()).unwrap_or_default(), &paths);
        group.observe(placed, &definition, library)?;
        if let Some(pattern) = text(placed.metric.delete_match.as_ref()) {
            deletes.group(pattern, &paths).delete(placed, &definition, library)?;
        }
    }
    known.check().map_err(|e| ConfigError::new(&metrics[0].file, e))?;
    observes.rules(library, true).chain(deletes.rules(library, false)).collect()
}
