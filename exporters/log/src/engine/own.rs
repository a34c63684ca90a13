//! What the engine tells about its own work.

use super::{Engine, Metric, Outcome};
use exposition::{Kind, Part};

/// Names that a rule's metric may not have, each behind the form's prefix.
pub(crate) const OWN_NAMES: &[&str] = &[
    "lines_total",
    "lines_matching_total",
    "lines_processing_time_microseconds_total",
    "line_processing_errors_total",
    "series",
    "series_dropped_total",
    "labels_cut_total",
    "rule_last_line_time_seconds",
    "rule_lag_seconds",
    "rule_time_errors_total",
];

impl Engine {
    /// Lines by outcome, and by metric what was matched, refused, dropped and cut; `prefix` as [`crate::config::Form`]
    /// says. Build info, buffer load and what is by file belong to the program.
    pub(crate) fn emit_own(&self, prefix: &str, out: &mut Part) {
        let ignored = self.lines[Outcome::Skipped as usize] + self.lines[Outcome::Unmatched as usize];
        let name = format!("{prefix}_lines_total");
        let mut family = out.family_named(&name, "Log lines, by whether at least one metric took them.", Kind::Counter);
        family.sample(&[("status", b"matched")], self.lines[Outcome::Matched as usize]);
        family.sample(&[("status", b"ignored")], ignored);

        let mut by_metric = |name: &str, help: &str, kind: Kind, value: fn(&Metric) -> f64| {
            let name = format!("{prefix}_{name}");
            let mut family = out.family_named(&name, help, kind);
            for metric in &self.metrics {
                family.sample(&[("metric", metric.definition.name.as_bytes())], value(metric));
            }
        };
        by_metric("lines_matching_total", "Lines that the metric took.", Kind::Counter, |m| m.own.matched as f64);
        by_metric(
            "lines_processing_time_microseconds_total",
            "Time spent on lines that the metric took; after the first 1024 lines each sixteenth is measured.",
            Kind::Counter,
            |m| m.own.spent.as_micros() as f64,
        );
        by_metric(
            "line_processing_errors_total",
            "Lines that fit, but whose value or labels could not be used.",
            Kind::Counter,
            |m| m.own.errors as f64,
        );
        by_metric("series", "Series that the metric has now.", Kind::Gauge, |m| m.table.len() as f64);
        by_metric(
            "series_dropped_total",
            "Observations left out because the metric has as many series as it may.",
            Kind::Counter,
            |m| m.own.dropped as f64,
        );
        by_metric("labels_cut_total", "Label values cut to the longest length.", Kind::Counter, |m| m.own.cut as f64);

        for (rule, time) in self.rules.iter().zip(&self.times).filter(|(rule, _)| rule.time.is_some()) {
            let labels: [(&str, &[u8]); 1] = [("rule", rule.name.as_bytes())];
            let name = format!("{prefix}_rule_time_errors_total");
            let help = "Lines that fit the rule and whose time could not be read.";
            out.family_named(&name, help, Kind::Counter).sample(&labels, time.errors);
            if let Some((seconds, lag)) = time.last {
                let name = format!("{prefix}_rule_last_line_time_seconds");
                let help = "Time in the last line that fit the rule.";
                out.family_named(&name, help, Kind::Gauge).sample(&labels, seconds);
                let name = format!("{prefix}_rule_lag_seconds");
                let help = "From the time in the last line that fit the rule until it was read.";
                out.family_named(&name, help, Kind::Gauge).sample(&labels, lag);
            }
        }
    }
}
