//! grok_exporter's form: what it lets pass, and the line that each mistake gets.

use super::*;
use crate::engine::{Deed, Value};
use crate::input::{Files, Http, HttpFormat, Stdin};
use crate::metric::Shape;
use proptest::prelude::*;

fn with(metric: &str) -> String {
    format!("global: {{config_version: 3}}\nmetrics:\n- {metric}\n")
}

const COUNTER: &str = "{type: counter, name: m, help: h, match: x}";

#[test]
fn scalars_are_read_as_go_s_yaml_does() {
    let config = loaded(
        "# the version stands last\nglobal:\n  # a comment\n  retention_check_interval: 1m30s\n  config_version: 3\n  unknown: 1\n\
         unknown: [1]\nbase: &base {type: gauge, help: 404, value: 1.50, cumulative: on}\nmetrics:\n\
         - <<: *base\n  name: m\n  name: n\n  match: (?<a>.)\n  labels: {code: 200, v: 1.10, y: yes, none: , a: '{{.a}}'}\n  more: x\n",
    );
    assert_eq!(config.form, Form::GrokExporter);
    assert_eq!(config.retention_check_interval, Duration::from_secs(90));
    let rule = &config.rules[0];
    let metric = &rule.actions[0].metric;
    assert_eq!((&*metric.name, &*metric.help, &metric.shape), ("n", "404", &Shape::Gauge));
    assert_eq!(metric.labels, ["a", "code", "none", "v", "y"]);
    let Deed::Observe { value: Value::Constant(value), operation, labels } = &rule.actions[0].deed else { panic!() };
    assert_eq!((*value, *operation), (1.5, crate::engine::Operation::Add));
    let texts: Vec<String> = labels[1..].iter().map(|l| format!("{:?}", l.text)).collect();
    let fixed = |text: &str| format!("Fixed({:?})", text.as_bytes());
    assert_eq!(texts, [fixed("200"), fixed(""), fixed("1.10"), fixed("yes")]);
}

#[test]
fn inputs_are_translated() {
    let input = |yaml: &str| {
        let config = loaded(&format!("global: {{config_version: 3}}\n{yaml}\nmetrics: [{COUNTER}]"));
        config.inputs.into_iter().next().unwrap()
    };
    assert_eq!(input(""), Settings::Stdin(Stdin { name: "stdin".into(), exit_at_end: true, multiline: None }));
    assert_eq!(
        input("input: {type: file, path: /x/*.log, readall: true, poll_interval: 5s, fail_on_missing_logfile: F}"),
        Settings::File(Files {
            read_from_start: true,
            poll_interval: Some(Duration::from_secs(5)),
            ..Files::of(vec!["/x/*.log".into()])
        })
    );
    assert_eq!(
        input("input: {type: file, paths: [a.log, b.log], poll_interval: 1000000000}"),
        Settings::File(Files {
            fail_on_missing: true,
            poll_interval: Some(Duration::from_secs(1)),
            ..Files::of(vec!["a.log".into(), "b.log".into()])
        })
    );
    assert_eq!(
        input("input: {type: webhook, webhook_path: /p, webhook_format: json_lines, webhook_json_selector: .a.b}"),
        Settings::Http(Http { path: "/p".into(), selector: ".a.b".into(), ..Http::of(HttpFormat::JsonLines) })
    );
}

#[test]
fn servers_are_translated() {
    let server =
        |yaml: &str| loaded(&format!("global: {{config_version: 3}}\nserver: {yaml}\nmetrics: [{COUNTER}]")).server;
    assert_eq!(server("{}"), Server::default());
    assert_eq!(
        server("{host: 127.0.0.1, port: 1, path: /m}"),
        Server { host: "127.0.0.1".into(), port: 1, path: "/m".into(), tls: None }
    );
    let tls = Tls { cert: "c".into(), key: "k".into(), client_ca: None, client_auth: "NoClientCert" };
    assert_eq!(server("{protocol: https, cert: c, key: k}").tls, Some(tls.clone()));
    let client_ca = Some("a".into());
    assert_eq!(
        server("{protocol: https, cert: c, key: k, client_ca: a}").tls,
        Some(Tls { client_ca: client_ca.clone(), client_auth: "RequireAndVerifyClientCert", ..tls.clone() })
    );
    assert_eq!(
        server("{protocol: https, cert: c, key: k, client_ca: a, client_auth: RequireAnyClientCert}").tls,
        Some(Tls { client_ca, client_auth: "RequireAnyClientCert", ..tls })
    );
}

#[test]
fn version_2_is_taken() {
    let place = Place::new("");
    place.write("patterns/a", "# comment\n\nA  a+\nB b+\n");
    place.write(
        "c.yml",
        &format!(
            "global:\n  config_version: 2\ninput: {{type: file, path: /x.log, poll_interval_seconds: 2}}\n\
             grok:\n  patterns_dir: {}\n  additional_patterns: ['B c+']\nserver: {{client_auth: what}}\nmetrics:\n\
             - {{type: counter, name: m, help: h, match: '%{{A:a}}%{{B:b}}', labels: {{a: '{{{{.a}}}}', b: '{{{{.b}}}}'}}, max_age: 1s}}\n",
            place.0.path().join("patterns").display()
        ),
    );
    let config = place.load().unwrap();
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    let Settings::File(files) = &config.inputs[0] else { panic!() };
    assert_eq!(files.poll_interval, Some(Duration::from_secs(2)));
    let mut engine = crate::engine::Engine::new(config.rules, config.limits);
    let line = crate::line::Line { bytes: b"xaacc", file: "", input: "", extra: None };
    assert_eq!(engine.take(&line, std::time::SystemTime::now()), crate::engine::Outcome::Matched);
}

#[test]
fn patterns_and_metrics_are_imported() {
    let place = Place::new("");
    place.write("p/one", "X a\nY a\n");
    place.write("p/two", "X b\n");
    place.write("more.grok", "Y c\nZ c\n");
    place.write(
        "m/1.yml",
        "- {type: histogram, name: h, help: h, match: x, value: 1, labels: {a: own}}\n- {type: summary, name: s, help: h, match: x, value: 1, path: /own}\n",
    );
    place.write("m/2.yml", "[]");
    let dir = place.0.path().display();
    place.write(
        "c.yml",
        &format!(
            "global: {{config_version: 3}}\nimports:\n- {{type: grok_patterns, dir: {dir}/p}}\n- {{type: grok_patterns, file: '{dir}/*.grok'}}\n\
             - type: metrics\n  dir: {dir}/m\n  defaults: {{path: /d, retention: 2h30m, buckets: [1, 2], quantiles: {{0.5: 0.1}}, max_age: 1m, labels: {{a: x, b: y}}}}\n\
             grok_patterns: ['Z d']\nmetrics:\n- {{type: counter, name: m, help: h, match: '^(?<x>%{{X}})%{{Y}}%{{Z}}$'}}\n"
        ),
    );
    let config = place.load().unwrap();
    let metrics: Vec<_> = config.rules.iter().flat_map(|r| r.actions.iter().map(move |a| (r, &a.metric))).collect();
    let names: Vec<&str> = metrics.iter().map(|m| &*m.1.name).collect();
    assert_eq!(names, ["m", "h", "s"]);
    let (rule, histogram) = metrics[1];
    assert_eq!(histogram.shape, Shape::Histogram { bounds: vec![1.0, 2.0], native: None });
    assert_eq!(
        (&histogram.labels[..], histogram.expire),
        (&["a".into(), "b".into()][..], Some(Duration::from_mins(150)))
    );
    assert!(rule.sources.has("", "/d") && !rule.sources.has("", "/own"));
    let (rule, summary) = metrics[2];
    assert!(rule.sources.has("", "/own") && !rule.sources.has("", "/d"));
    let Shape::Summary { targets, max_age } = &summary.shape else { panic!() };
    assert_eq!((targets.len(), *max_age), (1, 60_000));
    let mut engine = crate::engine::Engine::new(config.rules, config.limits);
    let mut take = |bytes: &[u8]| {
        let line = crate::line::Line { bytes, file: "", input: "", extra: None };
        engine.take(&line, std::time::SystemTime::now())
    };
    // Later definitions win.
    assert_eq!((take(b"bcd"), take(b"aac")), (crate::engine::Outcome::Matched, crate::engine::Outcome::Unmatched));
}

#[test]
fn mistakes_in_metrics_get_a_line_each() {
    for (metric, error) in [
        ("{name: m, help: h, match: x}", "metrics[0] (m): type: must not be empty"),
        ("{type: counter, help: h, match: x}", "metrics[0]: name: must not be empty"),
        ("{type: counter, name: m, match: x}", "metrics[0] (m): help: must not be empty"),
        ("{type: counter, name: m, help: h}", "metrics[0] (m): match: must not be empty"),
        ("{type: counter, name: m, help: h, match: ''}", "metrics[0] (m): match: must not be empty"),
        ("{type: gauge, name: m, help: h, match: x}", "metrics[0] (m): value: must not be empty"),
        ("{type: histogram, name: m, help: h, match: x}", "metrics[0] (m): value: must not be empty"),
        ("{type: summary, name: m, help: h, match: x}", "metrics[0] (m): value: must not be empty"),
        (
            "{type: timer, name: m, help: h, match: x}",
            "metrics[0] (m): type: 'timer' is not supported; counter, gauge, histogram and summary are",
        ),
        (
            "{type: counter, name: m, help: h, match: x, cumulative: true}",
            "metrics[0] (m): cumulative: cannot be used for counter metrics",
        ),
        (
            "{type: gauge, name: m, help: h, match: x, value: 1, buckets: [1]}",
            "metrics[0] (m): buckets: cannot be used for gauge metrics",
        ),
        (
            "{type: histogram, name: m, help: h, match: x, value: 1, quantiles: {0.5: 0.1}}",
            "metrics[0] (m): quantiles: cannot be used for histogram metrics",
        ),
        (
            "{type: counter, name: m, help: h, match: x, max_age: 1s}",
            "metrics[0] (m): max_age: cannot be used for counter metrics",
        ),
        (
            "{type: histogram, name: m, help: h, match: x, value: 1, buckets: [2, 1]}",
            "metrics[0] (m): buckets: must be in rising order",
        ),
        (
            "{type: summary, name: m, help: h, match: x, value: 1, quantiles: {1.5: 0.1}}",
            "metrics[0] (m): quantiles: '1.5' is not between 0 and 1",
        ),
        (
            "{type: counter, name: m, help: h, match: x, path: /a, paths: [/b]}",
            "metrics[0] (m): use either path or paths but not both",
        ),
        ("{type: counter, name: m-n, help: h, match: x}", "metrics[0] (m-n): name: 'm-n' is not a valid metric name"),
        (
            "{type: counter, name: m, help: h, match: x, labels: {a-b: x}}",
            "metrics[0] (m): labels: 'a-b' is not a valid label name",
        ),
        (
            "{type: counter, name: m, help: h, match: x, labels: {__a: x}}",
            "metrics[0] (m): labels: '__a' is not a valid label name",
        ),
        (
            "{type: histogram, name: m, help: h, match: x, value: 1, labels: {le: x}}",
            "metrics[0] (m): labels: a histogram has 'le' already",
        ),
        (
            "{type: summary, name: m, help: h, match: x, value: 1, labels: {quantile: x}}",
            "metrics[0] (m): labels: a summary has 'quantile' already",
        ),
        (
            "{type: counter, name: m, help: h, match: x, delete_match: y}",
            "metrics[0] (m): delete_match: is only supported for metrics with labels",
        ),
        (
            "{type: counter, name: m, help: h, match: x, retention: 1s}",
            "metrics[0] (m): retention: is only supported for metrics with labels",
        ),
        (
            "{type: counter, name: m, help: h, match: x, labels: {a: b}, delete_labels: {a: b}}",
            "metrics[0] (m): delete_labels: can only be used when delete_match is present",
        ),
        (
            "{type: counter, name: m, help: h, match: x, labels: {a: b}, delete_match: y, delete_labels: {c: d}}",
            "metrics[0] (m): delete_labels: the metric has no label 'c'",
        ),
        (
            "{type: counter, name: grok_exporter_lines_total, help: h, match: x}",
            "metrics[0] (grok_exporter_lines_total): name: 'grok_exporter_lines_total' is a metric of this program's own",
        ),
    ] {
        assert_eq!(Place::new(&with(metric)).error(), format!("c.yml: {error}"), "{metric}");
    }
    // Where the words are a matter of the patterns and templates, or of the YAML reader.
    for (metric, error) in [
        ("{type: counter, name: m, help: h, match: '%{NIX}'}", "metrics[0] (m): match: "),
        ("{type: counter, name: m, help: h, match: '('}", "metrics[0] (m): match: "),
        (
            "{type: counter, name: m, help: h, match: x, labels: {a: b}, delete_match: '('}",
            "metrics[0] (m): delete_match: ",
        ),
        ("{type: counter, name: m, help: h, match: x, labels: {a: '{{.b}}'}}", "metrics[0] (m): match: "),
        (
            "{type: counter, name: m, help: h, match: '(?<a>.)(?<a>.)', labels: {a: '{{.a}}'}}",
            "metrics[0] (m): match: ",
        ),
        ("{type: counter, name: m, help: h, match: x, labels: {a: '{{a}}'}}", "metrics[0] (m): labels.a: "),
        ("{type: counter, name: m, help: h, match: x, value: '{{'}", "metrics[0] (m): value: "),
        (
            "{type: counter, name: m, help: h, match: '(?<logfile>.)', labels: {a: '{{.logfile}}'}}",
            "metrics[0] (m): labels.a: the pattern has a field 'logfile'",
        ),
        ("{type: counter, name: m, help: h, match: x, path: '[]a]'}", "metrics[0] (m): paths: "),
        ("{type: counter, name: m, help: h, match: x, labels: [a]}", "line 3: "),
        ("{type: counter, name: m, help: h, match: x, retention: 5}\n- {x: [}", "line 4: "),
        ("{type: counter, name: m, help: h, match: x, retention: '5'}", "line 3: "),
    ] {
        let found = Place::new(&with(metric)).error();
        assert!(found.starts_with(&format!("c.yml: {error}")), "{metric}: {found}");
    }
}

#[test]
fn mistakes_elsewhere_get_a_line_each() {
    let version_2 = "global: {config_version: 2}";
    for (head, error) in [
        ("global: {config_version: 1}", "global.config_version: 1 is not supported; 2 and 3 are"),
        ("global: {config_version: three}", "global.config_version: three is not supported; 2 and 3 are"),
        ("input: {type: tape}", "input.type: 'tape' is not supported; file, stdin and webhook are"),
        ("input: {type: file}", "input: one of path and paths is required"),
        ("input: {type: file, path: a, paths: [b]}", "input: use either path or paths but not both"),
        (
            "input: {type: file, path: a, fail_on_missing_logfile: no}",
            "input.fail_on_missing_logfile: 'no' is not true or false",
        ),
        ("input: {path: a}", "input.path: cannot be used when input.type is stdin"),
        ("input: {type: stdin, readall: true}", "input.readall: cannot be used when input.type is stdin"),
        ("input: {type: webhook, paths: [a]}", "input.paths: cannot be used when input.type is webhook"),
        ("input: {type: webhook, poll_interval: 1s}", "input.poll_interval: cannot be used when input.type is webhook"),
        ("input: {type: webhook, webhook_path: a}", "input.webhook_path: must begin with '/'"),
        (
            "input: {type: webhook, webhook_format: xml}",
            "input.webhook_format: 'xml' is none of text_single, text_bulk, json_single, json_bulk, json_lines",
        ),
        ("input: {type: webhook, webhook_json_selector: a}", "input.webhook_json_selector: must begin with '.'"),
        ("input: {type: kafka}", "input.kafka_brokers: must not be empty"),
        ("input: {type: kafka, kafka_brokers: [a]}", "input.kafka_topics: must not be empty"),
        (
            "input: {type: kafka, kafka_brokers: [a], kafka_topics: [b]}",
            "input.type: kafka is not supported; let Logstash or Vector send the topic to type webhook",
        ),
        ("server: {protocol: ftp}", "server.protocol: 'ftp' is neither http nor https"),
        ("server: {port: -1}", "server.port: '-1' is not a port"),
        ("server: {path: metrics}", "server.path: must begin with '/'"),
        ("server: {cert: a}", "server.cert: can only be used with protocol https"),
        ("server: {client_auth: a}", "server.client_auth: can only be used with protocol https"),
        ("server: {protocol: https}", "server.cert: protocol https needs server.cert and server.key"),
        ("server: {protocol: https, cert: a}", "server.cert: must not be given without server.key"),
        ("server: {protocol: https, key: a}", "server.key: must not be given without server.cert"),
        (
            "server: {protocol: https, cert: a, key: b, client_auth: NoClientCert}",
            "server.client_auth: needs server.client_ca",
        ),
        ("imports: [{dir: a}]", "imports[0]: type: '' is not supported; metrics and grok_patterns are"),
        ("imports: [{type: metrics}]", "imports[0]: one of dir and file is required"),
        ("imports: [{type: metrics, dir: a, file: b}]", "imports[0]: use either dir or file but not both"),
        (
            "imports: [{type: grok_patterns, dir: a, defaults: {retention: 1s}}]",
            "imports[0]: defaults: cannot be used for type grok_patterns",
        ),
        (
            "imports: [{type: metrics, dir: a, defaults: {path: a, paths: [b]}}]",
            "imports[0]: defaults: use either path or paths but not both",
        ),
        ("imports: [{type: metrics, file: '/nonexistent/*'}]", "imports[0]: file: /nonexistent/*: no such file"),
    ] {
        let global = if head.starts_with("global") { "" } else { "global: {config_version: 3}\n" };
        let place = Place::new(&format!("{global}{head}\nmetrics: [{COUNTER}]\n"));
        assert_eq!(place.error(), format!("c.yml: {error}"), "{head}");
    }
    for (yaml, error) in [
        (format!("{version_2}\nmetrics: []"), "metrics: must not be empty"),
        (format!("{version_2}\n"), "metrics: must not be empty"),
        (format!("{version_2}\nmetrics: x"), "line 2: invalid type: string \"x\", expected a list"),
        (
            format!("{version_2}\nmetrics: [{{type: counter, name: m, help: h, match: x, value: 1}}]"),
            "metrics[0] (m): value: cannot be used for counter metrics",
        ),
        (
            format!("{version_2}\ninput: {{type: webhook, webhook_format: json_lines}}\nmetrics: [{COUNTER}]"),
            "input.webhook_format: 'json_lines' is none of text_single, text_bulk, json_single, json_bulk",
        ),
        (format!("{version_2}\nmetrics: [{COUNTER}, {COUNTER}]"), "metrics[1] (m): name: metric 'm' is defined twice"),
        (
            format!(
                "{version_2}\nmetrics: [{COUNTER}, {{type: counter, name: a_sum, help: h, match: x}}, {{type: summary, name: a, help: h, match: x, value: 1}}]"
            ),
            "metric 'a_sum': name: collides with the lines of 'a'",
        ),
        (
            format!("global: {{config_version: 3}}\ngrok_patterns: [NOBLANK]\nmetrics: [{COUNTER}]"),
            "grok_patterns[0]: ",
        ),
        (
            format!(
                "global: {{config_version: 3}}\nimports: [{{type: grok_patterns, dir: /nonexistent}}]\nmetrics: [{COUNTER}]"
            ),
            "imports[0]: dir: ",
        ),
    ] {
        let found = Place::new(&yaml).error();
        assert!(found.starts_with(&format!("c.yml: {error}")), "{yaml}: {found}");
    }
    // Across imports, named by the file that is to blame.
    let place = Place::new("");
    let file = place.write("m.yml", &format!("- {COUNTER}\n"));
    place.write(
        "c.yml",
        &format!(
            "global: {{config_version: 3}}\nimports: [{{type: metrics, file: {}}}]\nmetrics: [{COUNTER}]",
            file.display()
        ),
    );
    assert_eq!(place.error(), "m.yml: metrics[0] (m): name: metric 'm' is defined twice");
}

#[test]
fn what_is_shown_says_the_same() {
    let place = Place::new("");
    place.write("p/a", "A a\n");
    let dir = place.0.path().join("p");
    for yaml in [
        format!(
            "global: {{config_version: 2, retention_check_interval: 10s}}\ninput: {{type: file, path: '/x/*.log', readall: yes, poll_interval_seconds: 90, max_lines_in_buffer: 5}}\n\
             grok: {{patterns_dir: {}, additional_patterns: ['B \"b'': #', 'null n']}}\nmetrics:\n- {{type: counter, name: m, help: 'it''s: a #', match: '%{{A:a}}\\s', labels: {{a: '{{{{.a}}}}', n: , y: no}}, retention: 1h, delete_match: 'x', delete_labels: {{a: y}}}}\n\
             - {{type: summary, name: s, help: \"two\\nlines \\t é\", match: x, value: 1, quantiles: {{0.5: 0.05, 0.99: 1e-3}}}}\n- {{type: histogram, name: h, help: 10, match: null_, value: 1e3, buckets: [1e-3, 1, 2.5]}}\n",
            dir.display()
        ),
        format!(
            "global: {{config_version: 3}}\ninput: {{type: webhook, webhook_format: text_bulk, webhook_text_bulk_separator: \"\\n--\\n\"}}\n\
             server: {{protocol: https, cert: c, key: k, client_ca: a, client_auth: VerifyClientCertIfGiven, host: 127.0.0.1, port: 9999, path: /m}}\nmetrics: [{COUNTER}]"
        ),
    ] {
        place.write("c.yml", &yaml);
        let (config, shown) = (place.load().unwrap(), show(&place.path()).unwrap());
        place.write("c.yml", &shown);
        let again = place.load().unwrap_or_else(|e| panic!("{e}\n{shown}"));
        assert_eq!(show(&place.path()).unwrap(), shown);
        assert!(again.warnings.iter().all(|w| !w.contains("config_version")), "{:?}", again.warnings);
        assert_eq!((again.inputs, again.server), (config.inputs, config.server));
        assert_eq!(again.retention_check_interval, config.retention_check_interval);
        assert_eq!(format!("{:?}", again.rules), format!("{:?}", config.rules), "{shown}");
    }
    place.write("c.yml", &with(COUNTER));
    assert_eq!(
        show(&place.path()).unwrap(),
        "global:\n  config_version: 3\ninput:\n  type: stdin\nmetrics:\n- type: counter\n  name: m\n  help: h\n  match: x\n\
         server:\n  protocol: http\n  port: 9144\n"
    );
    place.write("c.yml", "use: [php]");
    let error = show(&place.path()).unwrap_err().to_string();
    assert!(error.ends_with("--showconfig is for grok_exporter's form, and this file has ours"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_file_is_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let place = Place::new("");
        std::fs::write(place.path(), &bytes).unwrap();
        if let Err(error) = place.load() {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    /// Real files with one piece replaced get further than noise does.
    #[test]
    fn any_spoilt_file_is_answered(at in 0usize..600, length in 0usize..8, piece in r"[ -~\n]{0,6}") {
        let good = "global:\n  config_version: 3\n  retention_check_interval: 1m\ninput:\n  type: file\n  path: /x/*.log\n  readall: true\n\
            imports:\n- {type: metrics, file: /nonexistent, defaults: {buckets: [1]}}\ngrok_patterns:\n- 'A a'\nmetrics:\n\
            - type: histogram\n  name: h\n  help: h\n  match: '%{A:a} (?<b>\\d+)'\n  value: '{{multiply .b 1000}}'\n  buckets: [1, 2.5]\n  \
            labels: {a: '{{.a}}'}\n  delete_match: 'x'\n  delete_labels: {a: 'y'}\n  retention: 1h30m\n\
            - {type: summary, name: s, help: h, match: x, value: 1, quantiles: {0.5: 0.1}}\nserver: {port: 9144}\n";
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
