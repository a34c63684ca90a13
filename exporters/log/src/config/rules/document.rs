//! Our own form as it stands in the file: unknown keys are errors.

use crate::config::scalar::Span;
use crate::engine::{Choice, Limits};
use crate::input::Settings;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) inputs: Vec<Settings>,
    #[serde(default)]
    pub(super) patterns: Patterns,
    #[serde(default)]
    pub(super) limits: LimitsDoc,
    /// Ready-made rule sets.
    #[serde(default, rename = "use")]
    pub(super) sets: Vec<Short<Use>>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
}

/// A ready-made rule set.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    pub(super) rules: Vec<Rule>,
}

/// Grok definitions beside those that are built in.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Patterns {
    /// Fields of built-in definitions are called as in the Elastic Common Schema.
    pub(super) ecs: bool,
    pub(super) dirs: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) define: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct LimitsDoc {
    pub(super) series: usize,
    pub(super) label_bytes: usize,
}

impl Default for LimitsDoc {
    fn default() -> Self {
        let Limits { series, label_bytes } = Limits::default();
        Self { series, label_bytes }
    }
}

/// A rule set, by its name alone or with what it is for.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Use {
    pub(super) rules: String,
    #[serde(default)]
    pub(super) inputs: Vec<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) inputs: Vec<String>,
    #[serde(default)]
    pub(super) files: Vec<String>,
    pub(super) grok: Option<String>,
    pub(super) regex: Option<String>,
    pub(super) log_format: Option<String>,
    pub(super) json: Option<bool>,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
    pub(super) time: Option<Time>,
    #[serde(default)]
    pub(super) metrics: Vec<Metric>,
    #[serde(default)]
    pub(super) delete: Vec<Delete>,
    /// For lines that the pattern does not fit.
    #[serde(default)]
    pub(super) otherwise: Vec<Metric>,
    #[serde(default)]
    pub(super) last: bool,
}

/// Tests of one field or text; each that is given must hold.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Condition {
    pub(super) field: Option<String>,
    pub(super) text: Option<String>,
    pub(super) equals: Option<String>,
    pub(super) not: Option<String>,
    #[serde(rename = "in")]
    pub(super) any: Option<Vec<String>>,
    #[serde(rename = "not_in")]
    pub(super) none: Option<Vec<String>>,
    pub(super) regex: Option<String>,
    pub(super) not_regex: Option<String>,
    pub(super) above: Option<f64>,
    pub(super) below: Option<f64>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Time {
    pub(super) field: String,
    pub(super) layout: String,
    pub(super) zone: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metric {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    pub(super) name: String,
    #[serde(default)]
    pub(super) help: String,
    pub(super) value: Option<String>,
    pub(super) unit: Option<String>,
    /// Which number of a list counts.
    pub(super) list: Option<Choice>,
    /// How a gauge is changed.
    pub(super) operation: Option<Operation>,
    pub(super) buckets: Option<Vec<f64>>,
    pub(super) native: Option<Native>,
    pub(super) quantiles: Option<BTreeMap<String, f64>>,
    pub(super) max_age: Option<Span>,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
    pub(super) expire: Option<Span>,
    pub(super) limit: Option<usize>,
}

pub(super) type Labels = BTreeMap<String, Short<Label>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    Set,
    Inc,
    Dec,
    Add,
    Sub,
}

#[derive(Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Native {
    /// Each bucket's border is at most that many times the one below.
    pub(super) growth: f64,
    pub(super) max_buckets: usize,
    pub(super) zero_threshold: Option<f64>,
}

impl Default for Native {
    fn default() -> Self {
        Self { growth: 1.1, max_buckets: 160, zero_threshold: None }
    }
}

/// The value of a label, by its template alone or with what is made of it.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    pub(super) value: String,
    pub(super) word: Option<usize>,
    #[serde(default)]
    pub(super) map: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) allow: Vec<String>,
    pub(super) default: Option<String>,
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    pub(super) metric: String,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) when: Vec<Condition>,
}

/// What may be said in one text, or at length.
#[derive(Debug)]
pub(super) struct Short<T>(pub(super) T);

impl From<&str> for Use {
    fn from(name: &str) -> Self {
        Self { rules: name.to_owned(), inputs: Vec::new(), files: Vec::new() }
    }
}

impl From<&str> for Label {
    fn from(template: &str) -> Self {
        Self { value: template.to_owned(), word: None, map: BTreeMap::new(), allow: Vec::new(), default: None }
    }
}

impl<'de, T: Deserialize<'de> + for<'t> From<&'t str>> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + for<'t> From<&'t str>> Visitor<'de> for Reading<T> {
            type Value = Short<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text (in quotes where YAML would read a number) or keys and values")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Short<T>, E> {
                Ok(Short(T::from(text)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Short<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Short)
            }
        }
        from.deserialize_any(Reading(PhantomData))
    }
}
