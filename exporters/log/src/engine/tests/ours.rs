//! Our own form: what its rules can say beyond grok_exporter's.

use super::*;
use crate::engine::kept::RestoreError;
use proptest::prelude::*;

fn rule(rest: &str) -> String {
    format!("rules:\n  - {}\n", rest.trim().replace('\n', "\n    "))
}

#[test]
fn labels_are_mapped_listed_and_cut() {
    let mut engine = engine(&format!(
        "limits: {{label_bytes: 8, series: 5}}\n{}",
        rule(
            r"
regex: '^(?<a>\S*) (?<b>.*)$'
metrics:
  - {type: counter, name: mapped, help: h, labels: {v: {value: '{{.a}}', map: {'1': one, '2': two}}}}
  - {type: counter, name: defaulted, help: h, labels: {v: {value: '{{.a}}', map: {'1': one}, default: many}}}
  - {type: counter, name: listed, help: h, labels: {v: {value: '{{.a}}', allow: ['1', '2']}}}
  - {type: counter, name: word, help: h, labels: {v: {value: '{{.b}}', word: 2, default: none}}}
  - {type: counter, name: cut, help: h, labels: {v: '{{.b}}'}}
  - {type: counter, name: few, help: h, labels: {v: '{{.b}}'}, limit: 2}
"
        )
    ));
    for line in ["1 x", "2 x  y z", "3 0123456\u{fc}9", "3 0123456\u{fc}8"] {
        assert_eq!(engine.line(line), Outcome::Matched);
    }
    let bytes = Line { bytes: b"3 \xff\xfe", file: "", input: "", extra: None };
    assert_eq!(engine.take(&bytes, at(0)), Outcome::Matched);
    assert_eq!(
        engine.text(),
        "cut{v=\"0123456\"} 2\ncut{v=\"x\"} 1\ncut{v=\"x  y z\"} 1\ncut{v=\"\u{fffd}\u{fffd}\"} 1\n\
         defaulted{v=\"many\"} 4\ndefaulted{v=\"one\"} 1\nfew{v=\"x\"} 1\nfew{v=\"x  y z\"} 1\n\
         listed{v=\"\"} 3\nlisted{v=\"1\"} 1\nlisted{v=\"2\"} 1\n\
         mapped{v=\"3\"} 3\nmapped{v=\"one\"} 1\nmapped{v=\"two\"} 1\nword{v=\"none\"} 4\nword{v=\"y\"} 1\n"
    );
    let own = engine.page(true);
    assert!(own.contains("own_series_dropped_total{metric=\"few\"} 3\n"), "{own}");
    assert!(own.contains("own_series{metric=\"few\"} 2\n"), "{own}");
    assert!(own.contains("own_labels_cut_total{metric=\"cut\"} 2\n"), "{own}");
}

#[test]
fn conditions_choose() {
    let mut engine = engine(&rule(
        r"
regex: '^(?<status>\d+) (?<path>\S+) (?<time>\S+)$'
when: [{field: path, not: /healthz}]
metrics:
  - {type: counter, name: all, help: h}
  - {type: counter, name: errors, help: h, when: [{field: status, regex: '^5'}]}
  - {type: counter, name: fine, help: h, when: [{field: status, not_regex: '^5'}, {field: status, not_in: ['404']}]}
  - {type: counter, name: missing, help: h, when: [{field: status, in: ['404', '410']}]}
  - {type: counter, name: slow, help: h, when: [{text: '{{.time}}', above: 1, below: 60}]}
  - {type: counter, name: home, help: h, when: [{text: '{{.status}}{{.path}}', equals: '200/'}]}
",
    ));
    for (line, outcome) in [
        ("200 / 0.1", Outcome::Matched),
        ("200 /healthz 0.1", Outcome::Skipped),
        ("500 / 2", Outcome::Matched),
        ("404 /x 1", Outcome::Matched),
        ("200 /x -", Outcome::Matched),
        ("what", Outcome::Unmatched),
    ] {
        assert_eq!(engine.line(line), outcome, "{line}");
    }
    assert_eq!(engine.text(), "all 4\nerrors 1\nfine 2\nhome 1\nmissing 1\nslow 1\n");
    // What a condition left out is not unknown.
    assert_eq!(engine.unmatched().count(), 1);
}

#[test]
fn gauges_go_up_and_down_and_tell_times() {
    let mut engine = engine(&rule(
        r"
regex: '^(?<time>\S+ \S+) (?<what>open|close) (?<size>\S+)$'
time: {field: time, layout: '%F %T', zone: '+09:00'}
metrics:
  - {type: gauge, name: open, help: h, operation: inc, when: [{field: what, equals: open}]}
  - {type: gauge, name: open, operation: dec, when: [{field: what, equals: close}], help: h}
  - {type: gauge, name: size, help: h, operation: sub, value: '{{.size}}', unit: KiB}
  - {type: gauge, name: last, help: h, value: '@time'}
  - {type: gauge, name: lag, help: h, value: '@lag'}
",
    ));
    // 1 800 000 000, the time of these tests, is 17:00 in Seoul.
    assert_eq!(engine.line("2027-01-15 16:59:50 open 1.5"), Outcome::Matched);
    assert_eq!(engine.line("2027-01-15 16:59:55 open -"), Outcome::Matched);
    assert_eq!(engine.line("2027-01-15 16:59:58 close 2"), Outcome::Matched);
    assert_eq!(engine.text(), "lag 2\nlast 1.799999998e+09\nopen 1\nsize -3584\n");
    assert_eq!(engine.line("yesterday evening close x"), Outcome::Matched);
    let own = engine.page(true);
    assert!(own.contains("own_rule_lag_seconds{rule=\"rule1\"} 2\n"), "{own}");
    assert!(own.contains("own_rule_time_errors_total{rule=\"rule1\"} 1\n"), "{own}");
    assert!(own.contains("own_line_processing_errors_total{metric=\"last\"} 1\n"), "{own}");
    assert!(own.contains("own_line_processing_errors_total{metric=\"size\"} 1\n"), "{own}");
}

#[test]
fn rules_follow_each_other() {
    let mut engine = engine(
        r"
inputs:
  - {type: file, name: app, paths: [/var/log/app.log]}
  - {type: stdin}
rules:
  - name: first
    inputs: [app]
    regex: '^a'
    last: true
    metrics: [{type: counter, name: first, help: h}]
    otherwise: [{type: counter, name: not_first, help: h}]
  - name: second
    files: ['/var/log/*.log']
    regex: 'a'
    metrics: [{type: counter, name: second, help: h}]
  - name: known
    regex: '^#'
",
    );
    let mut take = |input: &str, file: &str, text: &str| {
        engine.take(&Line { bytes: text.as_bytes(), file, input, extra: None }, at(0))
    };
    assert_eq!(take("app", "/var/log/app.log", "abc"), Outcome::Matched);
    assert_eq!(take("app", "/var/log/app.log", "bac"), Outcome::Matched);
    assert_eq!(take("stdin", "", "abc"), Outcome::Unmatched);
    assert_eq!(take("stdin", "", "# a"), Outcome::Skipped);
    assert_eq!(engine.text(), "first 1\nnot_first 1\nsecond 1\n");
}

#[test]
fn series_are_deleted_and_expire() {
    let mut engine = engine(
        r"
rules:
  - regex: '^login (?<user>\S+) (?<host>\S+)$'
    metrics:
      - {type: gauge, name: sessions, help: h, operation: inc, expire: 1m, labels: {user: '{{.user}}', host: '{{.host}}'}}
  - regex: '^(?<what>logout|reboot) (?<name>\S+)$'
    delete:
      - {metric: sessions, labels: {user: '{{.name}}'}, when: [{field: what, equals: logout}]}
      - {metric: sessions, labels: {host: '{{.name}}'}, when: [{field: what, equals: reboot}]}
",
    );
    for line in ["login a x", "login b x", "login b y", "login c y", "login b y", "logout a", "reboot x"] {
        assert_eq!(engine.line(line), Outcome::Matched, "{line}");
    }
    assert_eq!(engine.text(), "sessions{host=\"y\",user=\"b\"} 2\nsessions{host=\"y\",user=\"c\"} 1\n");
    engine.line_of("", "login c y", 30_000);
    engine.expire(at(60_001));
    assert_eq!(engine.text(), "sessions{host=\"y\",user=\"c\"} 2\n");
}

#[test]
fn json_lines_and_native_histograms() {
    let mut engine = engine(&rule(
        r"
json: true
metrics:
  - {type: counter, name: n, help: h, labels: {level: '{{.level}}'}}
  - {type: histogram, name: d, help: h, value: '{{.took}}', unit: ms, native: {growth: 1.5, max_buckets: 20}}
",
    ));
    assert_eq!(engine.line(r#"{"level": "info", "took": 250}"#), Outcome::Matched);
    assert_eq!(engine.line(r#"{"took": 1000, "level": "warn", "more": [1, {"a": null}]}"#), Outcome::Matched);
    assert_eq!(
        engine.text(),
        "d_bucket{le=\"+Inf\"} 2\nd_sum 1.25\nd_count 2\nn{level=\"info\"} 1\nn{level=\"warn\"} 1\n"
    );
}

const KEPT: &str = r"
rules:
  - regex: '^(?<k>\S+) (?<v>\S+)$'
    metrics:
      - {type: counter, name: c, help: h, value: '{{.v}}', labels: {k: '{{.k}}'}}
      - {type: gauge, name: g, help: h, value: '{{.v}}'}
      - {type: histogram, name: d, help: h, value: '{{.v}}', buckets: [1, 2], labels: {k: '{{.k}}'}, native: {}}
      - {type: summary, name: s, help: h, value: '{{.v}}', labels: {k: '{{.k}}'}}
      - {type: summary, name: t, help: h, value: '{{.v}}', quantiles: {}}
";

#[test]
fn reloading_keeps_what_has_not_changed() {
    let mut engine = engine(KEPT);
    for line in ["a 1", "b 2.5", "a 0"] {
        assert_eq!(engine.line(line), Outcome::Matched);
    }
    let before = engine.text();
    let config = load(KEPT);
    engine.reload(config.rules, config.limits);
    assert_eq!(engine.text(), before);
    // Other buckets are another metric; its neighbours stay.
    let config = load(&KEPT.replace("buckets: [1, 2]", "buckets: [1, 3]").replace("name: g,", "name: g2,"));
    engine.reload(config.rules, config.limits);
    let text = engine.text();
    assert!(!text.contains("d_bucket") && text.contains("g2 0\n") && !text.contains("g 0\n"), "{text}");
    assert!(text.contains("c{k=\"a\"} 1\nc{k=\"b\"} 2.5\n"), "{text}");
    assert_eq!(engine.line("a 1"), Outcome::Matched);
    assert!(engine.text().contains("c{k=\"a\"} 2\n"));
    assert!(engine.page(true).contains("own_lines_total{status=\"matched\"} 4\n"));
}

#[test]
fn saved_series_come_back() {
    let mut before = engine(KEPT);
    for n in 0..1000 {
        assert_eq!(before.line(&format!("{} {}", ["a", "b", "\u{fc}"][n % 3], n as f64 / 100.0)), Outcome::Matched);
    }
    let mut saved = vec![b'x'];
    before.save(&mut saved);
    let saved = &saved[1..];
    let mut after = engine(KEPT);
    after.restore(saved).unwrap();
    assert_eq!(after.text(), before.text());
    let mut again = Vec::new();
    after.save(&mut again);
    assert_eq!(again, saved);
    assert_eq!((before.line("a 7"), after.line("a 7")), (Outcome::Matched, Outcome::Matched));
    assert_eq!(after.text(), before.text());
    // Metrics that are gone or defined otherwise are passed over.
    let mut other = engine(&KEPT.replace("name: g,", "name: g2,").replace("buckets: [1, 2]", "buckets: [1]"));
    other.restore(saved).unwrap();
    let text = other.text();
    assert!(text.contains("g2 0\n") && !text.contains("d_sum") && text.contains("c{k=\"a\"} "), "{text}");
}

#[test]
fn damaged_series_are_refused() {
    let mut engine = engine(KEPT);
    assert_eq!(["a 1", "b 2.5"].map(|line| engine.line(line)), [Outcome::Matched; 2]);
    let mut saved = Vec::new();
    engine.save(&mut saved);
    let text = engine.text();
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(engine.restore(&damaged).is_err(), "byte {at}");
        assert_eq!(engine.restore(&saved[..at]), Err(RestoreError::Damaged), "{at} bytes");
    }
    assert_eq!(engine.restore(b"\x07"), Err(RestoreError::Version(7)));
    assert_eq!(engine.text(), text);
    // Right by its sum, but not what is ever written: a counter below zero, a label too few.
    for (from, to) in [(2.5f64.to_le_bytes(), (-2.5f64).to_le_bytes()), (1f64.to_le_bytes(), f64::NAN.to_le_bytes())] {
        let mut forged = saved[..saved.len() - 8].to_vec();
        let at = forged.windows(8).position(|w| w == from).unwrap();
        forged[at..at + 8].copy_from_slice(&to);
        let mut sum = crate::metric::Checksum::default();
        sum.add(&forged);
        forged.extend_from_slice(&sum.value().to_le_bytes());
        assert_eq!(engine.restore(&forged), Err(RestoreError::Damaged));
    }
}

#[test]
fn trying_tells_what_lines_do() {
    let rules = rule(
        r"
name: r
regex: '^(?<k>\w+) (?<v>\S+)$'
when: [{field: k, not: skip}]
metrics:
  - {type: counter, name: c, help: h, value: '{{.v}}', labels: {k: '{{.k}}'}}
  - {type: gauge, name: g, help: h, value: '{{.v}}'}
",
    );
    let tried = |quiet: bool| {
        let mut out = Vec::new();
        let how = Attempt { quiet, source: None };
        attempt(load(&rules), &mut &b"a 1\r\nb -1\nb -\nskip 1\n?"[..], &mut out, how).unwrap();
        String::from_utf8(out).unwrap()
    };
    let page = "# HELP c h\n# TYPE c counter\nc{k=\"a\"} 1\n# HELP g h\n# TYPE g gauge\ng -1\n";
    assert_eq!(tried(true), page);
    let told = "line 1: matched: \"a 1\"\n  rule r: k=\"a\" v=\"1\"\n    c{k=\"a\"} +1\n    g =1\n\
                line 2: matched: \"b -1\"\n  rule r: k=\"b\" v=\"-1\"\n    c: error: a counter cannot go down\n    g =-1\n\
                line 3: matched: \"b -\"\n  rule r: k=\"b\" v=\"-\"\n    c: nothing to observe\n    g: nothing to observe\n\
                line 4: ignored: fits a pattern, no metric takes it: \"skip 1\"\n  \
                  rule r: fits, but a condition does not hold: k=\"skip\" v=\"1\"\n\
                line 5: ignored: no pattern fits: \"?\"\n\n\
                5 lines: 3 matched, 1 fit without effect, 1 fit nothing\n\n";
    assert_eq!(tried(false), format!("{told}{page}"));

    // As lines of an input that joins them, and of a file that a rule asks for.
    let joined = "inputs: [{type: file, name: php, paths: [/x], multiline: {pattern: '^\\[', negate: true}}]\nrules:\n- files: [/x]\n  \
        regex: '(?<text>\\A[^\\n]*\\n#0)'\n  metrics: [{type: counter, name: traces, help: h}]\n";
    let mut out = Vec::new();
    let how = Attempt { quiet: true, source: Some(("php", "/x")) };
    attempt(load(joined), &mut &b"[a] one\n#0 x\n[b] two\n[c] three\n#0 y\n"[..], &mut out, how).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "# HELP traces h\n# TYPE traces counter\ntraces 2\n");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_line_is_taken(lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..4), likely in "[ -~]{0,3} [0-9.e+-]{0,6}") {
        let sets: Vec<String> = crate::config::SETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        let mut engine = engine(&format!("use: [{}]\n{}", sets.join(", "), KEPT.trim_start()));
        for bytes in lines.iter().map(Vec::as_slice).chain([likely.as_bytes()]) {
            engine.take(&Line { bytes, file: "/x", input: "file", extra: None }, at(0));
        }
        engine.text();
        engine.page(true);
        let mut saved = Vec::new();
        engine.save(&mut saved);
        prop_assert_eq!(engine.restore(&saved), Ok(()));
    }

    #[test]
    fn any_saved_bytes_are_answered(mut content in proptest::collection::vec(any::<u8>(), 0..60), small in any::<bool>()) {
        if small {
            for byte in &mut content {
                *byte %= 3;
            }
        }
        content.insert(0, 1);
        let mut sum = crate::metric::Checksum::default();
        sum.add(&content);
        content.extend_from_slice(&sum.value().to_le_bytes());
        let mut engine = engine(KEPT);
        let _ = engine.restore(&content);
        engine.text();
    }
}
