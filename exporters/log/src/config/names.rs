//! Names that Prometheus takes, each metric's once.

use crate::engine::OWN_NAMES;
use crate::metric::{Definition, Shape};
use std::collections::HashMap;
use std::sync::Arc;

/// The metrics of a configuration by name.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    by_name: HashMap<String, Arc<Definition>>,
    order: Vec<String>,
}

impl Metrics {
    /// The metric that is named so.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        self.by_name.get(name)
    }

    /// Adds a metric whose name is new.
    pub(super) fn add(&mut self, definition: Definition, prefix: &str) -> Result<Arc<Definition>, String> {
        let name = definition.name.clone();
        if !is_metric_name(&name) {
            return Err(format!("name: '{name}' is not a valid metric name"));
        }
        let own = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_'));
        if name.starts_with("log_exporter_") || own.is_some_and(|own| OWN_NAMES.contains(&own)) {
            return Err(format!("name: '{name}' is a metric of this program's own"));
        }
        for label in &definition.labels {
            let reserved = match definition.shape {
                Shape::Histogram { .. } => label == "le",
                Shape::Summary { .. } => label == "quantile",
                Shape::Counter | Shape::Gauge => false,
            };
            if reserved {
                let word = definition.shape.kind().word();
                return Err(format!("labels: a {word} has '{label}' already"));
            }
            if !is_label_name(label) {
                return Err(format!("labels: '{label}' is not a valid label name"));
            }
        }
        if self.by_name.contains_key(&name) {
            return Err(format!("name: metric '{name}' is defined twice"));
        }
        let definition = Arc::new(definition);
        self.order.push(name.clone());
        self.by_name.insert(name, Arc::clone(&definition));
        Ok(definition)
    }

    /// No metric may be named like a line of another: no reader could tell them apart.
    pub(super) fn check(&self) -> Result<(), String> {
        for name in &self.order {
            for suffix in ["_bucket", "_sum", "_count"] {
                let of = name.strip_suffix(suffix).and_then(|base| self.by_name.get(base));
                let collides = of.is_some_and(|of| match of.shape {
                    Shape::Histogram { .. } => true,
                    Shape::Summary { .. } => suffix != "_bucket",
                    Shape::Counter | Shape::Gauge => false,
                });
                if collides {
                    let base = name.strip_suffix(suffix).unwrap_or_default();
                    return Err(format!("metric '{name}': name: collides with the lines of '{base}'"));
                }
            }
        }
        Ok(())
    }
}

fn is_metric_name(name: &str) -> bool {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    name.chars().all(valid) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty()
}

fn is_label_name(name: &str) -> bool {
    is_metric_name(name) && !name.contains(':') && !name.starts_with("__")
}
