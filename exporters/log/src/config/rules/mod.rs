//! Our own form: inputs, patterns, rules with several metrics each, ready-made rule sets.

mod document;
mod metric;

use super::names::Metrics;
use super::scalar::Fields;
use super::{Config, ConfigError, Form, Server};
use crate::config::grok::globs;
use crate::engine::{Action, Condition, Layout, Limits, LineTime, Rule, Sources, Test};
use crate::pattern::{Matcher, Patterns};
use document::{Document, Set, Short, Use};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// Ready-made rule sets by name.
pub(crate) const SETS: &[(&str, &str)] = &[
    ("mysql_error", include_str!("../../rulesets/mysql_error.yml")),
    ("mysql_slow", include_str!("../../rulesets/mysql_slow.yml")),
    ("nginx_combined", include_str!("../../rulesets/nginx_combined.yml")),
    ("nginx_error", include_str!("../../rulesets/nginx_error.yml")),
    ("nginx_timed", include_str!("../../rulesets/nginx_timed.yml")),
    ("php", include_str!("../../rulesets/php.yml")),
];

/// Reads a configuration of this form.
pub(super) fn load(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let wrong = |reason: String| ConfigError::new(path, reason);
    let document: Document = service::yaml::from_str(text).map_err(|e| ConfigError::new(path, e))?;
    let mut names = BTreeSet::new();
    for (n, input) in document.inputs.iter().enumerate() {
        let at = |e: String| wrong(format!("inputs[{n}] ({}): {e}", input.name()));
        input.check().map_err(at)?;
        if !names.insert(input.name()) {
            return Err(at("name: another input is named so".into()));
        }
    }
    let mut builder = Builder { patterns: library(&document.patterns).map_err(wrong)?, metrics: Metrics::default() };
    let mut rules = Vec::new();
    for (n, Short(set)) in document.sets.iter().enumerate() {
        let at = |e: String| wrong(format!("use[{n}] ({}): {e}", set.rules));
        known(&names, &set.inputs).map_err(at)?;
        rules.extend(builder.set(set).map_err(at)?);
    }
    for (n, rule) in document.rules.iter().enumerate() {
        let name = if rule.name.is_empty() { format!("rules[{n}]") } else { format!("rules[{n}] ({})", rule.name) };
        let at = |e: String| wrong(format!("{name}: {e}"));
        known(&names, &rule.inputs).map_err(at)?;
        rules.push(builder.rule(rule, n).map_err(at)?);
    }
    if rules.is_empty() {
        return Err(wrong("rules: there is none; give rules or use".into()));
    }
    tell_apart(&mut rules);
    builder.metrics.check().map_err(wrong)?;
    let limits = Limits { series: document.limits.series, label_bytes: document.limits.label_bytes };
    if limits.series == 0 || limits.label_bytes == 0 {
        return Err(wrong("limits: expected numbers above 0".into()));
    }
    Ok(Config {
        form: Form::Rules,
        rules,
        inputs: document.inputs,
        server: Server::default(),
        retention_check_interval: Duration::from_secs(10),
        limits,
        warnings: Vec::new(),
    })
}

/// Rules are told apart by their names: a second `x` is `x_2`.
fn tell_apart(rules: &mut [Rule]) {
    let mut names = BTreeSet::new();
    for rule in rules {
        let mut name = rule.name.clone();
        let mut n = 1;
        while !names.insert(name.clone()) {
            n += 1;
            name = format!("{}_{n}", rule.name);
        }
        rule.name = name;
    }
}

/// Inputs that are named must be there.
fn known(names: &BTreeSet<&str>, inputs: &[String]) -> Result<(), String> {
    match inputs.iter().find(|input| !names.contains(input.as_str())) {
        Some(input) => Err(format!("inputs: there is no input '{input}'")),
        None => Ok(()),
    }
}

fn library(patterns: &document::Patterns) -> Result<Patterns, String> {
    let mut library = if patterns.ecs { Patterns::ecs() } else { Patterns::builtin() };
    for dir in &patterns.dirs {
        library.dir(Path::new(dir)).map_err(|e| format!("patterns.dirs: {e}"))?;
    }
    for file in &patterns.files {
        library.file(Path::new(file)).map_err(|e| format!("patterns.files: {e}"))?;
    }
    for line in &patterns.define {
        library.define(line).map_err(|e| format!("patterns.define: {e}"))?;
    }
    Ok(library)
}

/// Makes rules of what the file says.
struct Builder {
    patterns: Patterns,
    metrics: Metrics,
}

impl Builder {
    /// A ready-made set, for the inputs and files that are named with it.
    fn set(&mut self, set: &Use) -> Result<Vec<Rule>, String> {
        let text = SETS.iter().find(|(name, _)| *name == set.rules).map(|(_, text)| *text);
        let text = text.ok_or_else(|| {
            let names: Vec<&str> = SETS.iter().map(|(name, _)| *name).collect();
            format!("there is no such rule set; there are {}", names.join(", "))
        })?;
        let content: Set = service::yaml::from_str(text).map_err(|e| e.to_string())?;
        let sources =
            Sources { inputs: set.inputs.clone(), files: globs(&set.files).map_err(|e| format!("files: {e}"))? };
        let rules = content.rules.iter().enumerate();
        rules.map(|(n, rule)| Ok(Rule { sources: sources.clone(), ..self.rule(rule, n)? })).collect()
    }

    fn rule(&mut self, rule: &document::Rule, n: usize) -> Result<Rule, String> {
        let mut fields = Fields::default();
        let when = conditions(&rule.when, &mut fields)?;
        let time = rule.time.as_ref().map(|time| {
            let text = field(&time.field, &mut fields).map_err(|e| format!("time.field: {e}"))?;
            let layout = Layout::parse(&time.layout, time.zone.as_deref()).map_err(|e| format!("time: {e}"))?;
            Ok::<_, String>(LineTime { text, layout })
        });
        let time = time.transpose()?;
        let mut actions = Vec::new();
        for (n, metric) in rule.metrics.iter().enumerate() {
            let at = |e: String| format!("metrics[{n}] ({}): {e}", metric.name);
            let action = self.observe(metric, time.is_some(), &mut fields).map_err(at)?;
            actions.push(action);
        }
        for (n, delete) in rule.delete.iter().enumerate() {
            let at = |e: String| format!("delete[{n}] ({}): {e}", delete.metric);
            actions.push(self.delete(delete, &mut fields).map_err(at)?);
        }
        let mut nothing = Fields::default();
        let mut otherwise: Vec<Action> = Vec::new();
        for (n, metric) in rule.otherwise.iter().enumerate() {
            let at = |e: String| format!("otherwise[{n}] ({}): {e}", metric.name);
            otherwise.push(self.observe(metric, false, &mut nothing).map_err(at)?);
            if let Some(field) = nothing.names().first() {
                return Err(at(format!("a line that does not fit has no field '{field}'")));
            }
        }
        let matcher = self.matcher(rule, &fields)?;
        Ok(Rule {
            name: if rule.name.is_empty() { format!("rule{}", n + 1) } else { rule.name.clone() },
            matcher,
            fields: fields.into_names(),
            sources: Sources {
                inputs: rule.inputs.clone(),
                files: globs(&rule.files).map_err(|e| format!("files: {e}"))?,
            },
            when,
            time,
            actions,
            otherwise,
            counts: true,
            last: rule.last,
        })
    }

    fn matcher(&self, rule: &document::Rule, fields: &Fields) -> Result<Matcher, String> {
        let wanted = fields.names();
        match (&rule.grok, &rule.regex, &rule.log_format, rule.json) {
            (Some(grok), None, None, None) => {
                Matcher::grok(grok, &self.patterns, &wanted).map_err(|e| format!("grok: {e}"))
            }
            (None, Some(regex), None, None) => Matcher::regex(regex, &wanted).map_err(|e| format!("regex: {e}")),
            (None, None, Some(format), None) => {
                Matcher::log_format(format, &wanted).map_err(|e| format!("log_format: {e}"))
            }
            (None, None, None, Some(true)) => Matcher::json(&wanted).map_err(|e| format!("json: {e}")),
            _ => Err("one of grok, regex, log_format and 'json: true' is required".into()),
        }
    }
}

/// A field by its name, or a template.
fn field(name: &str, fields: &mut Fields) -> Result<crate::engine::Text, String> {
    let text = if name.contains("{{") { name.to_owned() } else { format!("{{{{.{name}}}}}") };
    fields.text(&text).map_err(|e| e.to_string())
}

fn conditions(all: &[document::Condition], fields: &mut Fields) -> Result<Vec<Condition>, String> {
    let mut conditions = Vec::new();
    for (n, condition) in all.iter().enumerate() {
        let at = |e: String| format!("when[{n}]: {e}");
        let one = |text: &String| Test::In(vec![text.clone().into_bytes()]);
        let list = |list: &Vec<String>| Test::In(list.iter().map(|v| v.clone().into_bytes()).collect());
        let regex = |text: &String| {
            let built = regex::bytes::Regex::new(text);
            built.map(Test::Regex).map_err(|e| at(format!("regex: {e}")))
        };
        let tests = [
            (condition.equals.as_ref().map(one), false),
            (condition.not.as_ref().map(one), true),
            (condition.any.as_ref().map(list), false),
            (condition.none.as_ref().map(list), true),
            (condition.regex.as_ref().map(regex).transpose()?, false),
            (condition.not_regex.as_ref().map(regex).transpose()?, true),
            (condition.above.map(Test::Above), false),
            (condition.below.map(Test::Below), false),
        ];
        let before = conditions.len();
        for (test, not) in tests {
            let Some(test) = test else { continue };
            let text = match (&condition.field, &condition.text) {
                (Some(name), None) => field(name, fields),
                (None, Some(text)) => fields.text(text).map_err(|e| e.to_string()),
                _ => Err("one of field and text is required".into()),
            };
            conditions.push(Condition { text: text.map_err(at)?, test, not });
        }
        if conditions.len() == before {
            return Err(at("no test: equals, not, in, not_in, regex, not_regex, above or below".into()));
        }
    }
    Ok(conditions)
}
