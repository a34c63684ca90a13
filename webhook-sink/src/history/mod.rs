//! What is asked of the index: alerts, groups, numbers. The API and the pages both ask here.

pub(crate) mod alerts;
pub(crate) mod groups;
pub(crate) mod recorded;
pub(crate) mod stats;

use serde_json::{Map, Value};

/// Labels or annotations as they are kept.
pub(crate) fn object(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).unwrap_or_default()
}

/// A label of such an object.
pub(crate) fn label<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}
