//! The metrics of a rule.

use super::document::{Delete, Kind, Labels, Metric, Operation as Word, Short};
use super::{Builder, conditions};
use crate::config::Form;
use crate::config::grok::{bounds, targets};
use crate::config::scalar::Fields;
use crate::engine::{Action, Deed, Label, Operation, Reading, Text, Unit, Value};
use crate::metric::{Definition, Resolution, Shape, parse_float};
use std::sync::Arc;

impl Builder {
    /// What a rule does to a metric that takes a value.
    pub(super) fn observe(&mut self, metric: &Metric, timed: bool, fields: &mut Fields) -> Result<Action, String> {
        let definition = self.definition(metric)?;
        let operation = match (metric.kind, metric.operation) {
            (Kind::Histogram | Kind::Summary, None) => Operation::Observe,
            (Kind::Gauge, None | Some(Word::Set)) => Operation::Set,
            (Kind::Counter, None) | (Kind::Gauge, Some(Word::Inc | Word::Add)) => Operation::Add,
            (Kind::Gauge, Some(Word::Dec | Word::Sub)) => Operation::Subtract,
            (_, Some(_)) => return Err("operation: is for gauges only".into()),
        };
        let steps = matches!(metric.operation, Some(Word::Inc | Word::Dec));
        let value = match metric.value.as_deref() {
            None if metric.kind == Kind::Counter || steps => {
                if metric.unit.is_some() || metric.list.is_some() {
                    return Err("unit and list need a value".into());
                }
                Value::Constant(1.0)
            }
            None => return Err("value: is required".into()),
            Some(_) if steps => return Err("value: inc and dec have none; use add or sub".into()),
            Some("@time" | "@lag") if !timed => return Err("value: @time and @lag need the rule's time".into()),
            Some("@time") => Value::Time,
            Some("@lag") => Value::Lag,
            Some(template) => {
                let reading = Reading {
                    unit: match metric.unit.as_deref() {
                        None => Unit::Times(1.0),
                        Some(name) => Unit::parse(name).ok_or_else(|| format!("unit: '{name}' is not known"))?,
                    },
                    list: metric.list,
                    dash_is_nothing: true,
                };
                match fields.text(template).map_err(|e| format!("value: {e}"))? {
                    // Known now, so that a typing error is told now.
                    Text::Fixed(text) => match reading.read(&text) {
                        Ok(Some(value)) if parse_float(&text).is_some() => Value::Constant(value),
                        _ => return Err(format!("value: '{template}' is not a number; a field is '{{{{.name}}}}'")),
                    },
                    text @ Text::Template(_) => Value::Text(text, reading),
                }
            }
        };
        let labels = labels(&metric.labels, fields)?;
        let mut action = Action::new(definition, Deed::Observe { value, operation, labels });
        action.when = conditions(&metric.when, fields)?;
        Ok(action)
    }

    /// What a rule does to a metric whose series go.
    pub(super) fn delete(&mut self, delete: &Delete, fields: &mut Fields) -> Result<Action, String> {
        let Some(definition) = self.metrics.get(&delete.metric).cloned() else {
            return Err("metric: no rule up to here has it".into());
        };
        if definition.labels.is_empty() {
            return Err("metric: has no labels".into());
        }
        let mut places = Vec::new();
        for name in delete.labels.keys() {
            let place = definition.labels.iter().position(|label| label == name);
            places.push(place.ok_or_else(|| format!("labels: the metric has no label '{name}'"))?);
        }
        let labels = labels(&delete.labels, fields)?;
        let mut action = Action::new(definition, Deed::Delete { places, labels });
        action.when = conditions(&delete.when, fields)?;
        Ok(action)
    }

    /// The metric, which other rules may have defined alike.
    fn definition(&mut self, metric: &Metric) -> Result<Arc<Definition>, String> {
        let for_histogram = metric.buckets.is_some() || metric.native.is_some();
        if for_histogram && metric.kind != Kind::Histogram {
            return Err("buckets and native are for histograms only".into());
        }
        if (metric.quantiles.is_some() || metric.max_age.is_some()) && metric.kind != Kind::Summary {
            return Err("quantiles and max_age are for summaries only".into());
        }
        let shape = match metric.kind {
            Kind::Counter => Shape::Counter,
            Kind::Gauge => Shape::Gauge,
            Kind::Histogram => {
                let native = metric.native.as_ref().map(native).transpose()?;
                let bounds = match &metric.buckets {
                    // A native histogram needs no others.
                    None if native.is_some() => Vec::new(),
                    buckets => bounds(buckets.as_deref().unwrap_or_default())?,
                };
                Shape::Histogram { bounds, native }
            }
            Kind::Summary => {
                let targets = match &metric.quantiles {
                    None => targets([("0.5", 0.05), ("0.9", 0.01), ("0.99", 0.001)].into_iter())?,
                    Some(given) => targets(given.iter().map(|(q, e)| (&**q, *e)))?,
                };
                let max_age = metric.max_age.map_or(600_000, |age| age.0.as_millis() as u64);
                if max_age == 0 {
                    return Err("max_age: expected a time above 0".into());
                }
                Shape::Summary { targets, max_age }
            }
        };
        let expire = metric.expire.map(|e| e.0);
        if expire.is_some_and(|e| e.is_zero()) {
            return Err("expire: expected a time above 0".into());
        }
        if expire.is_some() && metric.labels.is_empty() {
            return Err("expire: is only for metrics with labels".into());
        }
        if metric.limit == Some(0) {
            return Err("limit: expected a number above 0".into());
        }
        let definition = Definition {
            name: metric.name.clone(),
            help: metric.help.clone(),
            shape,
            labels: metric.labels.keys().cloned().collect(),
            limit: metric.limit,
            expire,
        };
        match self.metrics.get(&metric.name) {
            None if metric.help.is_empty() => Err("help: is required".into()),
            None => self.metrics.add(definition, Form::Rules.prefix()),
            Some(known) => {
                let help = if metric.help.is_empty() { known.help.clone() } else { metric.help.clone() };
                if **known == (Definition { help, ..definition }) {
                    Ok(Arc::clone(known))
                } else {
                    Err("another rule defines this metric otherwise: type, labels and all but the value must be alike"
                        .into())
                }
            }
        }
    }
}

fn native(native: &super::document::Native) -> Result<Resolution, String> {
    if !native.growth.is_finite() || native.growth <= 1.0 {
        return Err("native.growth: expected a number above 1".into());
    }
    if native.max_buckets < 2 {
        return Err("native.max_buckets: expected at least 2".into());
    }
    let mut resolution = Resolution::of_growth(native.growth);
    resolution.max_buckets = native.max_buckets;
    if let Some(threshold) = native.zero_threshold {
        if !threshold.is_finite() || threshold < 0.0 {
            return Err("native.zero_threshold: expected a number from 0".into());
        }
        resolution.zero_threshold = threshold;
    }
    Ok(resolution)
}

fn labels(all: &Labels, fields: &mut Fields) -> Result<Vec<Label>, String> {
    let mut labels = Vec::new();
    for (name, Short(label)) in all {
        let at = |e: String| format!("labels.{name}: {e}");
        if label.word == Some(0) {
            return Err(at("word: counted from 1".into()));
        }
        labels.push(Label {
            text: fields.text(&label.value).map_err(|e| at(e.to_string()))?,
            word: label.word,
            map: label.map.iter().map(|(from, to)| (from.clone().into_bytes(), to.clone().into_bytes())).collect(),
            allow: label.allow.iter().map(|v| v.clone().into_bytes()).collect(),
            default: label.default.as_ref().map(|d| d.clone().into_bytes()),
        });
    }
    Ok(labels)
}
