//! Our own form: the line that each mistake gets.

use super::*;
use crate::engine::Limits;
use crate::metric::Shape;
use proptest::prelude::*;

#[test]
fn ready_made_sets_are_whole() {
    for (name, _) in super::super::SETS {
        let config = loaded(&format!("use: [{name}]"));
        assert!(!config.rules.is_empty() && config.form == Form::Rules);
    }
    // Two sets may feed one metric, each from its own input.
    let config = loaded(
        "inputs: [{type: file, name: a, paths: [/a]}, {type: file, name: b, paths: [/b]}]\n\
         limits: {series: 100, label_bytes: 64}\n\
         use:\n- {rules: nginx_combined, inputs: [a]}\n- {rules: nginx_timed, files: ['/b']}\n",
    );
    assert_eq!(config.limits, Limits { series: 100, label_bytes: 64 });
    assert!(config.rules[0].sources.has("a", "/b") && !config.rules[0].sources.has("b", "/b"));
    assert!(config.rules[1].sources.has("a", "/b") && !config.rules[1].sources.has("b", "/a"));
    let names: Vec<&str> = config.rules.iter().map(|r| &*r.name).collect();
    assert_eq!(names, ["nginx_access", "nginx_access_2"]);
}

#[test]
fn defaults_are_filled_in() {
    let config = loaded(
        "rules:\n- regex: x\n  metrics:\n  - {type: histogram, name: a, help: h, value: 1}\n  - {type: histogram, name: b, help: h, value: 1, native: {}}\n  \
         - {type: summary, name: c, help: h, value: 1, max_age: 1m}\n  - {type: counter, name: d, help: h, limit: 5, labels: {l: x}, expire: 1h}\n",
    );
    let metrics: Vec<_> = config.rules[0].actions.iter().map(|a| &a.metric).collect();
    let Shape::Histogram { bounds, native: None } = &metrics[0].shape else { panic!() };
    assert_eq!(bounds.len(), 11);
    let Shape::Histogram { bounds, native: Some(native) } = &metrics[1].shape else { panic!() };
    assert_eq!((bounds.len(), native.schema, native.max_buckets), (0, 3, 160));
    let Shape::Summary { targets, max_age } = &metrics[2].shape else { panic!() };
    assert_eq!((targets.len(), *max_age), (3, 60_000));
    assert_eq!((metrics[3].limit, metrics[3].expire), (Some(5), Some(Duration::from_hours(1))));
}

#[test]
fn built_in_patterns_have_the_fields_of_ecs_if_asked() {
    let metric = "{type: counter, name: m, help: h, labels: {status: '{{.http.response.status_code}}'}}";
    let rules = format!("rules: [{{grok: '%{{COMBINEDAPACHELOG}}', metrics: [{metric}]}}]");
    assert!(Place::new(&rules).error().contains("http.response.status_code"));
    let config = loaded(&format!("patterns: {{ecs: true}}\n{rules}"));
    assert_eq!(config.rules[0].fields, ["http.response.status_code"]);
}

#[test]
fn mistakes_get_a_line_each() {
    let rule = |rest: &str| format!("rules: [{{regex: '(?<f>.)', {rest}}}]");
    let metric = |rest: &str| rule(&format!("metrics: [{{{rest}}}]"));
    let at = |rest: &str| format!("rules[0]: metrics[0] (m): {rest}");
    for (yaml, error) in [
        ("rules: []".into(), "rules: there is none; give rules or use".into()),
        ("rules: [{metrics: []}]".into(), "rules[0]: one of grok, regex, log_format and 'json: true' is required".into()),
        (rule("json: true"), "rules[0]: one of grok, regex, log_format and 'json: true' is required".into()),
        (rule("name: x, inputs: [y]"), "rules[0] (x): inputs: there is no input 'y'".into()),
        (
            "use: [apache]".into(),
            "use[0] (apache): there is no such rule set; there are mysql_error, mysql_slow, nginx_combined, nginx_error, nginx_timed, php".into(),
        ),
        (
            "inputs: [{type: stdin}, {type: stdin}]\nuse: [php]".into(),
            "inputs[1] (stdin): name: another input is named so".into(),
        ),
        ("limits: {series: 0}\nuse: [php]".into(), "limits: expected numbers above 0".into()),
        (metric("type: counter, name: m"), at("help: is required")),
        (metric("type: gauge, name: m, help: h"), at("value: is required")),
        (metric("type: counter, name: m, help: h, value: f"), at("value: 'f' is not a number; a field is '{{.name}}'")),
        (metric("type: counter, name: m, help: h, unit: ms"), at("unit and list need a value")),
        (metric("type: gauge, name: m, help: h, value: 1, unit: mm"), at("unit: 'mm' is not known")),
        (metric("type: gauge, name: m, help: h, value: '@time'"), at("value: @time and @lag need the rule's time")),
        (metric("type: gauge, name: m, help: h, value: 1, operation: inc"), at("value: inc and dec have none; use add or sub")),
        (metric("type: counter, name: m, help: h, operation: inc"), at("operation: is for gauges only")),
        (metric("type: gauge, name: m, help: h, value: 1, buckets: [1]"), at("buckets and native are for histograms only")),
        (metric("type: gauge, name: m, help: h, value: 1, max_age: 1s"), at("quantiles and max_age are for summaries only")),
        (metric("type: histogram, name: m, help: h, value: 1, buckets: [2, 1]"), at("buckets: must be in rising order")),
        (metric("type: histogram, name: m, help: h, value: 1, native: {growth: 1}"), at("native.growth: expected a number above 1")),
        (metric("type: counter, name: m, help: h, expire: 1s"), at("expire: is only for metrics with labels")),
        (metric("type: counter, name: m, help: h, limit: 0"), at("limit: expected a number above 0")),
        (metric("type: counter, name: m, help: h, labels: {1a: x}"), at("labels: '1a' is not a valid label name")),
        (metric("type: counter, name: m, help: h, labels: {a: {value: x, word: 0}}"), at("labels.a: word: counted from 1")),
        (metric("type: counter, name: m, help: h, when: [{field: f}]"), at("when[0]: no test: equals, not, in, not_in, regex, not_regex, above or below")),
        (metric("type: counter, name: m, help: h, when: [{equals: f}]"), at("when[0]: one of field and text is required")),
        (
            metric("type: counter, name: log_exporter_x, help: h"),
            "rules[0]: metrics[0] (log_exporter_x): name: 'log_exporter_x' is a metric of this program's own".into(),
        ),
        (
            rule("metrics: [{type: counter, name: m, help: h}, {type: counter, name: m, help: h, labels: {a: b}}]"),
            "rules[0]: metrics[1] (m): another rule defines this metric otherwise: type, labels and all but the value must be alike".into(),
        ),
        (rule("delete: [{metric: x}]"), "rules[0]: delete[0] (x): metric: no rule up to here has it".into()),
        (
            rule("metrics: [{type: counter, name: m, help: h}], delete: [{metric: m}]"),
            "rules[0]: delete[0] (m): metric: has no labels".into(),
        ),
        (
            rule("otherwise: [{type: counter, name: m, help: h, labels: {a: '{{.f}}'}}]"),
            "rules[0]: otherwise[0] (m): a line that does not fit has no field 'f'".into(),
        ),
        (rule("time: {field: f, layout: '%H'}"), "rules[0]: time: a time layout needs a date: %Y, %m and %d, or what says the same".into()),
        (rule("files: ['[']"), "rules[0]: files: ".into()),
        (rule("when: [{field: f, regex: '('}]"), "rules[0]: when[0]: regex: ".into()),
        (metric("type: counter, name: m, help: h, labels: {a: '{{.g}}'}"), "rules[0]: regex: ".into()),
        (metric("type: counter, name: m, help: h, labels: {a: '{{g}}'}"), at("labels.a: ")),
        (metric("type: counter, name: m, help: h, labels: {a: 5}"), "line 1: ".into()),
        (metric("type: counter, name: m, help: h, colour: red"), "line 1: unknown field `colour`".into()),
        (metric("type: counter, type: gauge"), "line 1: duplicate mapping key `type`".into()),
        ("patterns: {dirs: [/nonexistent]}\nuse: [php]".into(), "patterns.dirs: ".into()),
        ("inputs: [{type: file, paths: []}]\nuse: [php]".into(), "inputs[0] (file): paths".into()),
    ] {
        let found = Place::new(&yaml).error();
        assert!(found.starts_with(&format!("c.yml: {error}")), "{yaml}: {found}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_spoilt_file_is_answered(at in 0usize..900, length in 0usize..8, piece in r"[ -~\n]{0,6}") {
        let good = "inputs:\n  - {type: file, name: a, paths: [/a], multiline: {pattern: x}}\npatterns: {define: ['A a']}\nlimits: {series: 10}\n\
            use: [php, {rules: nginx_timed, inputs: [a]}]\nrules:\n  - name: r\n    grok: '%{A:a} (?<b>\\d+) (?<t>\\S+)'\n    inputs: [a]\n    \
            when: [{field: a, in: [x, y], not_regex: '^z'}]\n    time: {field: t, layout: '%FT%T', zone: '+09:00'}\n    metrics:\n      \
            - {type: histogram, name: h, help: h, value: '{{.b}}', unit: ms, buckets: [1, 2.5], native: {growth: 1.2}, labels: {a: {value: '{{.a}}', map: {x: y}}}}\n      \
            - {type: summary, name: s, help: h, value: '@lag', quantiles: {0.5: 0.1}, max_age: 1m}\n    \
            delete: [{metric: h, labels: {a: x}}]\n    otherwise: [{type: counter, name: o, help: h}]\n    last: true\n";
        let mut bytes = good.as_bytes().to_vec();
        let at = at.min(bytes.len());
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, piece.bytes());
        let place = Place::new("");
        std::fs::write(place.path(), &bytes).unwrap();
        if let Err(error) = place.load() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
