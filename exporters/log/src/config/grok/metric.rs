//! The metrics of a grok_exporter configuration: what each may say, and the rules made of them.

use super::Placed;
use super::document::{Labels, Metric, text};
use crate::config::ConfigError;
use crate::config::scalar::Fields;
use crate::engine::{Action, Deed, Label, Operation, Reading, Rule, Sources, Text, Value};
use crate::input::glob::Glob;
use crate::metric::{Definition, Shape, Target, parse_float};
use crate::pattern::{Matcher, Patterns};
use std::sync::Arc;

/// What a metric is, with all that its type allows and needs.
pub(super) fn definition(metric: &Metric, version: u32) -> Result<Definition, String> {
    let needed = |field: &Option<String>, name: &str| {
        text(field.as_ref()).map(str::to_owned).ok_or_else(|| format!("{name}: must not be empty"))
    };
    let kind = needed(&metric.kind, "type")?;
    let name = needed(&metric.name, "name")?;
    let help = needed(&metric.help, "help")?;
    needed(&metric.pattern, "match")?;
    let buckets = metric.buckets.as_ref().map(|b| &*b.0).unwrap_or_default();
    let quantiles = metric.quantiles.as_ref().filter(|q| !q.is_empty());
    let max_age = metric.max_age.filter(|age| !age.0.is_zero());
    for (key, given, allowed) in [
        ("cumulative", metric.cumulative == Some(true), kind == "gauge"),
        ("buckets", !buckets.is_empty(), kind == "histogram"),
        ("quantiles", quantiles.is_some(), kind == "summary"),
        ("max_age", max_age.is_some(), kind == "summary"),
        ("value", version == 2 && text(metric.value.as_ref()).is_some(), kind != "counter"),
    ] {
        if given && !allowed && matches!(&*kind, "counter" | "gauge" | "histogram" | "summary") {
            return Err(format!("{key}: cannot be used for {kind} metrics"));
        }
    }
    let shape = match &*kind {
        "counter" => Shape::Counter,
        "gauge" => Shape::Gauge,
        "histogram" => Shape::Histogram { bounds: bounds(buckets)?, native: None },
        "summary" => {
            let targets = targets(quantiles.into_iter().flatten().map(|(q, e)| (&**q, *e)))?;
            let max_age = max_age.map_or(600_000, |age| age.0.as_millis() as u64);
            Shape::Summary { targets, max_age }
        }
        other => {
            return Err(format!("type: '{other}' is not supported; counter, gauge, histogram and summary are"));
        }
    };
    if kind != "counter" {
        needed(&metric.value, "value")?;
    }
    let labels: Vec<String> = metric.labels.iter().flat_map(|l| l.keys().cloned()).collect();
    let deletes = text(metric.delete_match.as_ref()).is_some();
    let expire = metric.retention.filter(|r| !r.0.is_zero()).map(|r| r.0);
    if labels.is_empty() && deletes {
        return Err("delete_match: is only supported for metrics with labels".into());
    }
    if labels.is_empty() && expire.is_some() {
        return Err("retention: is only supported for metrics with labels".into());
    }
    for label in metric.delete_labels.iter().flat_map(|l| l.keys()) {
        if !deletes {
            return Err("delete_labels: can only be used when delete_match is present".into());
        }
        if !labels.contains(label) {
            return Err(format!("delete_labels: the metric has no label '{label}'"));
        }
    }
    Ok(Definition { name, help, shape, labels, limit: None, expire })
}

/// Upper borders as the Go client takes them.
pub(in crate::config) fn bounds(buckets: &[f64]) -> Result<Vec<f64>, String> {
    if buckets.is_empty() {
        return Ok(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]);
    }
    let rises = |pair: &[f64]| pair[0] < pair[1];
    if buckets.iter().any(|b| b.is_nan()) || !buckets.windows(2).all(rises) {
        return Err("buckets: must be in rising order".into());
    }
    // The one above all others is always there.
    Ok(buckets.iter().copied().filter(|b| *b < f64::INFINITY).collect())
}

/// Quantiles with their errors, in rising order.
pub(in crate::config) fn targets<'a>(quantiles: impl Iterator<Item = (&'a str, f64)>) -> Result<Vec<Target>, String> {
    let mut targets = Vec::new();
    for (name, error) in quantiles {
        let quantile = parse_float(name.as_bytes()).filter(|q| (0.0..=1.0).contains(q));
        let quantile = quantile.ok_or_else(|| format!("quantiles: '{name}' is not between 0 and 1"))?;
        if !(0.0..=1.0).contains(&error) {
            return Err(format!("quantiles: {name}: the error {error} is not between 0 and 1"));
        }
        targets.push(Target { quantile, error });
    }
    targets.sort_by(|a, b| a.quantile.total_cmp(&b.quantile));
    Ok(targets)
}

/// The paths that a metric is for; all without any.
pub(super) fn paths(metric: &Metric) -> Result<Vec<String>, String> {
    let paths = metric.paths.as_ref().map(|p| p.0.clone()).unwrap_or_default();
    match text(metric.path.as_ref()) {
        Some(_) if !paths.is_empty() => Err("use either path or paths but not both".into()),
        Some(path) => Ok(vec![path.to_owned()]),
        None => Ok(paths),
    }
}

/// Globs for files: a relative path is relative to the working directory, as it is for inputs.
pub(in crate::config) fn globs(paths: &[String]) -> Result<Vec<Glob>, String> {
    let mut globs = Vec::new();
    for path in paths {
        globs.push(Glob::parse(path).map_err(|e| e.to_string())?);
        if let (false, Ok(here)) = (path.starts_with('/'), std::env::current_dir()) {
            let here: String = here
                .to_string_lossy()
                .chars()
                .flat_map(|c| "*?[\\".contains(c).then_some('\\').into_iter().chain([c]))
                .collect();
            globs.push(Glob::parse(&format!("{here}/{path}")).map_err(|e| e.to_string())?);
        }
    }
    Ok(globs)
}

/// Rules on their way, in the order of their first metric.
#[derive(Default)]
pub(super) struct Groups<'a>(Vec<Group<'a>>);

impl<'a> Groups<'a> {
    pub(super) fn group(&mut self, pattern: &str, paths: &[String]) -> &mut Group<'a> {
        let found = self.0.iter().position(|g| g.pattern == pattern && g.paths == paths);
        let at = found.unwrap_or_else(|| {
            self.0.push(Group {
                pattern: pattern.to_owned(),
                paths: paths.to_owned(),
                fields: Fields::default(),
                actions: Vec::new(),
                members: Vec::new(),
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    pub(super) fn rules(
        self,
        library: &Patterns,
        counts: bool,
    ) -> impl Iterator<Item = Result<Rule, ConfigError>> + use<'a, '_> {
        self.0.into_iter().map(move |group| group.rule(library, counts))
    }
}

/// Metrics with one pattern.
pub(super) struct Group<'a> {
    pattern: String,
    paths: Vec<String>,
    fields: Fields,
    actions: Vec<Action>,
    /// Each with the fields that it uses itself.
    members: Vec<(&'a Placed, Fields)>,
}

impl<'a> Group<'a> {
    pub(super) fn observe(
        &mut self,
        placed: &'a Placed,
        definition: &Arc<Definition>,
        library: &Patterns,
    ) -> Result<(), ConfigError> {
        let metric = &placed.metric;
        let mut own = Fields::default();
        let labels = self.labels(metric.labels.as_ref(), "labels", placed, &mut own, library)?;
        let value = match text(metric.value.as_ref()) {
            None => Value::Constant(1.0),
            Some(template) => match self.template(template, "value", placed, &mut own, library)? {
                Text::Fixed(text) if parse_float(&text).is_some_and(f64::is_finite) => {
                    Value::Constant(parse_float(&text).unwrap_or(1.0))
                }
                text => Value::Text(text, Reading::PLAIN),
            },
        };
        let operation = match &definition.shape {
            Shape::Counter => Operation::Add,
            Shape::Gauge if metric.cumulative == Some(true) => Operation::Add,
            Shape::Gauge => Operation::Set,
            Shape::Histogram { .. } | Shape::Summary { .. } => Operation::Observe,
        };
        self.actions.push(Action::new(Arc::clone(definition), Deed::Observe { value, operation, labels }));
        self.members.push((placed, own));
        Ok(())
    }

    pub(super) fn delete(
        &mut self,
        placed: &'a Placed,
        definition: &Arc<Definition>,
        library: &Patterns,
    ) -> Result<(), ConfigError> {
        let mut own = Fields::default();
        let wanted = placed.metric.delete_labels.as_ref();
        let labels = self.labels(wanted, "delete_labels", placed, &mut own, library)?;
        // Both are in order of the names.
        let place = |name: &String| definition.labels.iter().position(|label| label == name);
        let places = wanted.iter().flat_map(|l| l.keys()).filter_map(place).collect();
        self.actions.push(Action::new(Arc::clone(definition), Deed::Delete { places, labels }));
        self.members.push((placed, own));
        Ok(())
    }

    fn labels(
        &mut self,
        labels: Option<&Labels>,
        key: &str,
        placed: &Placed,
        own: &mut Fields,
        library: &Patterns,
    ) -> Result<Vec<Label>, ConfigError> {
        let labels = labels.into_iter().flatten();
        labels
            .map(|(name, template)| {
                let template = template.as_deref().unwrap_or_default();
                let text = self.template(template, &format!("{key}.{name}"), placed, own, library)?;
                Ok(Label::plain(text))
            })
            .collect()
    }

    fn template(
        &mut self,
        template: &str,
        key: &str,
        placed: &Placed,
        own: &mut Fields,
        library: &Patterns,
    ) -> Result<Text, ConfigError> {
        let wrong = |e: &dyn std::fmt::Display| placed.wrong(format!("{key}: {e}"));
        own.text(template).map_err(|e| wrong(&e))?;
        for reserved in ["logfile", "extra"] {
            let used = template.contains("{{") && template.contains(&format!(".{reserved}"));
            if used && Matcher::grok(&self.pattern, library, &[reserved]).is_ok() {
                return Err(wrong(&format!("the pattern has a field '{reserved}', which is a name of its own")));
            }
        }
        self.fields.text(template).map_err(|e| wrong(&e))
    }

    fn rule(self, library: &Patterns, counts: bool) -> Result<Rule, ConfigError> {
        let key = if counts { "match" } else { "delete_match" };
        let build = |fields: &Fields| Matcher::grok(&self.pattern, library, &fields.names());
        let matcher = match build(&self.fields) {
            Ok(matcher) => matcher,
            Err(error) => {
                // Told of the metric that uses what is missing.
                let guilty = self.members.iter().find_map(|(placed, own)| Some((placed, build(own).err()?)));
                let (placed, error) = guilty.unwrap_or((&self.members[0].0, error));
                return Err(placed.wrong(format!("{key}: {error}")));
            }
        };
        let placed = self.members[0].0;
        let files = globs(&self.paths).map_err(|e| placed.wrong(format!("paths: {e}")))?;
        Ok(Rule {
            name: placed.metric.name.clone().unwrap_or_default(),
            matcher,
            fields: self.fields.into_names(),
            sources: Sources { inputs: Vec::new(), files },
            when: Vec::new(),
            time: None,
            actions: self.actions,
            otherwise: Vec::new(),
            counts,
            last: false,
        })
    }
}
