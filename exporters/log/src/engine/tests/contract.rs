//! The examples of grok_exporter's contract: configuration and lines in, series out.

use super::*;

const USERS: [&str; 4] = [
    "30.07.2016 14:37:03 alice 1.5",
    "30.07.2016 14:37:33 alice 2.5",
    "30.07.2016 14:43:02 bob 2.5",
    "30.07.2016 14:45:59 alice 2.5",
];

/// A metric `m` over the lines of `USERS`.
fn of_users(rest: &str) -> String {
    grok(&format!(
        "- name: m\n  help: h\n  match: '%{{DATE}} %{{TIME}} %{{USER:user}} %{{NUMBER:val}}'\n  labels: {{user: '{{{{.user}}}}'}}\n  {rest}\n"
    ))
}

#[test]
fn each_type_counts_the_users() {
    for (rest, expected) in [
        ("type: counter", "m{user=\"alice\"} 3\nm{user=\"bob\"} 1\n"),
        ("type: counter\n  value: '{{.val}}'", "m{user=\"alice\"} 6.5\nm{user=\"bob\"} 2.5\n"),
        ("type: gauge\n  value: '{{.val}}'", "m{user=\"alice\"} 2.5\nm{user=\"bob\"} 2.5\n"),
        ("type: gauge\n  value: '{{.val}}'\n  cumulative: yes", "m{user=\"alice\"} 6.5\nm{user=\"bob\"} 2.5\n"),
        (
            "type: histogram\n  value: '{{.val}}'\n  buckets: [1, 2, 3]",
            "m_bucket{user=\"alice\",le=\"1\"} 0\nm_bucket{user=\"alice\",le=\"2\"} 1\nm_bucket{user=\"alice\",le=\"3\"} 3\n\
             m_bucket{user=\"alice\",le=\"+Inf\"} 3\nm_sum{user=\"alice\"} 6.5\nm_count{user=\"alice\"} 3\n\
             m_bucket{user=\"bob\",le=\"1\"} 0\nm_bucket{user=\"bob\",le=\"2\"} 0\nm_bucket{user=\"bob\",le=\"3\"} 1\n\
             m_bucket{user=\"bob\",le=\"+Inf\"} 1\nm_sum{user=\"bob\"} 2.5\nm_count{user=\"bob\"} 1\n",
        ),
        (
            "type: summary\n  value: '{{.val}}'\n  quantiles: {0.5: 0.05, 0.9: 0.01, 0.99: 0.001}",
            "m{user=\"alice\",quantile=\"0.5\"} 2.5\nm{user=\"alice\",quantile=\"0.9\"} 2.5\n\
             m{user=\"alice\",quantile=\"0.99\"} 2.5\nm_sum{user=\"alice\"} 6.5\nm_count{user=\"alice\"} 3\n\
             m{user=\"bob\",quantile=\"0.5\"} 2.5\nm{user=\"bob\",quantile=\"0.9\"} 2.5\n\
             m{user=\"bob\",quantile=\"0.99\"} 2.5\nm_sum{user=\"bob\"} 2.5\nm_count{user=\"bob\"} 1\n",
        ),
        (
            "type: summary\n  value: '{{.val}}'",
            "m_sum{user=\"alice\"} 6.5\nm_count{user=\"alice\"} 3\nm_sum{user=\"bob\"} 2.5\nm_count{user=\"bob\"} 1\n",
        ),
    ] {
        let mut engine = engine(&of_users(rest));
        for line in USERS {
            assert_eq!(engine.line(line), Outcome::Matched);
        }
        assert_eq!(engine.text(), expected, "{rest}");
    }
}

#[test]
fn values_come_from_fields() {
    let mut rain = engine(&grok(
        "- {type: counter, name: rain, help: h, match: 'Rainfall in %{WORD:city}: %{INT:rainfall}', value: '{{.rainfall}}'}\n\
         - {type: gauge, name: t, help: h, match: 'Temperature in %{WORD:city}: %{INT:t}', value: '{{.t}}', labels: {city: '{{.city}}'}}\n",
    ));
    for line in [
        "Rainfall in Berlin: 32",
        "Rainfall in Berlin: 5",
        "Temperature in Berlin: 32",
        "Temperature in Moscow: -5",
        "Temperature in Berlin: 31",
    ] {
        assert_eq!(rain.line(line), Outcome::Matched, "{line}");
    }
    assert_eq!(rain.text(), "rain 37\nt{city=\"Berlin\"} 31\nt{city=\"Moscow\"} -5\n");
}

#[test]
fn lines_are_counted_by_message_and_file() {
    let metric = |label: &str| {
        grok(&format!(
            "- type: counter\n  name: exim\n  help: h\n  match: '%{{DATE}} %{{TIME}} .*rejected RCPT .*: %{{GREEDYDATA:message}}'\n  labels: {{{label}}}\n"
        ))
    };
    let lines = [
        "2016-04-18 09:33:27 H=(85.214.241.101) rejected RCPT <a@b>: relay not permitted",
        "2016-04-18 12:28:04 H=(x) rejected RCPT <a@b>: relay not permitted",
        "2016-04-18 19:16:30 H=(x) rejected RCPT <a@b>: Unrouteable address",
        "2016-04-18 19:16:30 something else",
    ];
    let mut by_message = engine(&metric("error_message: '{{.message}}'"));
    let mut by_file = engine(&metric("error_message: '{{.message}}', file: '{{.logfile}}'"));
    for (n, line) in lines.iter().enumerate() {
        let expected = if n < 3 { Outcome::Matched } else { Outcome::Unmatched };
        assert_eq!(by_message.line(line), expected);
        assert_eq!(by_file.line_of(["/var/log/a", "/var/log/b"][n % 2], line, 0), expected);
    }
    assert_eq!(
        by_message.text(),
        "exim{error_message=\"Unrouteable address\"} 1\nexim{error_message=\"relay not permitted\"} 2\n"
    );
    assert!(
        by_message
            .page(true)
            .contains("own_lines_total{status=\"ignored\"} 1\nown_lines_total{status=\"matched\"} 3\n")
    );
    assert_eq!(
        by_file.text(),
        "exim{error_message=\"Unrouteable address\",file=\"/var/log/a\"} 1\n\
         exim{error_message=\"relay not permitted\",file=\"/var/log/a\"} 1\n\
         exim{error_message=\"relay not permitted\",file=\"/var/log/b\"} 1\n"
    );
    let kept: Vec<&[u8]> = by_message.unmatched().map(|u| &*u.bytes).collect();
    assert_eq!(kept, [lines[3].as_bytes()]);
}

#[test]
fn eleven_metrics_see_each_line() {
    let metric =
        |n| format!("- {{type: counter, name: m{n}, help: h, match: 'x %{{INT:n}}', labels: {{n: '{{{{.n}}}}'}}}}\n");
    let metrics: Vec<String> = (0..11).map(metric).collect();
    let metrics = metrics.concat();
    let mut engine = engine(&grok(&metrics));
    (0..5).for_each(|n| assert_eq!(engine.line(&format!("x {n}")), Outcome::Matched));
    assert_eq!(engine.line("y"), Outcome::Unmatched);
    let own = engine.page(true);
    assert!(own.contains("own_lines_total{status=\"ignored\"} 1\nown_lines_total{status=\"matched\"} 5\n"), "{own}");
    for n in 0..11 {
        assert!(own.contains(&format!("own_lines_matching_total{{metric=\"m{n}\"}} 5\n")), "{own}");
    }
    // One pattern, one rule: the line is matched once.
    assert_eq!(engine.rules.len(), 1);
}

#[test]
fn series_are_deleted_by_their_labels() {
    let metric = |delete_labels: &str| {
        grok(&format!(
            "- type: gauge\n  name: logins\n  help: h\n  match: '%{{WORD:user}} logged in to %{{NOTSPACE:service}}'\n  value: 1\n  cumulative: true\n  \
             labels: {{user: '{{{{.user}}}}', service: '{{{{.service}}}}'}}\n  delete_match: '%{{NOTSPACE:service}} shutdown'\n{delete_labels}"
        ))
    };
    let all = "logins{service=\"service_a\",user=\"alice\"} 1\nlogins{service=\"service_a\",user=\"bob\"} 1\n";
    for (delete_labels, left) in [("  delete_labels: {service: '{{.service}}'}\n", all), ("", "")] {
        let mut engine = engine(&metric(delete_labels));
        for line in [
            "alice logged in to service_a",
            "alice logged in to service_b",
            "bob logged in to service_a",
            "bob logged in to service_b",
        ] {
            assert_eq!(engine.line(line), Outcome::Matched);
        }
        // A line that only deletes is none that a metric took.
        assert_eq!(engine.line("service_b shutdown"), Outcome::Skipped);
        assert_eq!(engine.text(), left);
        assert_eq!(engine.unmatched().count(), 0);
        // What was deleted begins anew.
        engine.line("bob logged in to service_b");
        assert!(engine.text().contains("logins{service=\"service_b\",user=\"bob\"} 1\n"));
    }
    // A line that fits both adds, then deletes.
    let mut both = engine(&grok(
        "- type: counter\n  name: m\n  help: h\n  match: '%{WORD:w}'\n  labels: {w: '{{.w}}'}\n  delete_match: 'b'\n",
    ));
    assert_eq!((both.line("a"), both.line("b")), (Outcome::Matched, Outcome::Matched));
    assert_eq!(both.text(), "");
}

#[test]
fn idle_series_go() {
    let mut engine = engine(&of_users("type: counter\n  retention: 1s"));
    let line = |user: &str| format!("30.07.2016 14:37:03 {user} 1");
    engine.line_of("", &line("alice"), 0);
    for millis in [0, 400, 800] {
        engine.line_of("", &line("bob"), millis);
        engine.expire(at(millis));
    }
    assert_eq!(engine.text(), "m{user=\"alice\"} 1\nm{user=\"bob\"} 3\n");
    engine.expire(at(1100));
    assert_eq!(engine.text(), "m{user=\"bob\"} 3\n");
    engine.line_of("", &line("alice"), 1200);
    assert_eq!(engine.text(), "m{user=\"alice\"} 1\nm{user=\"bob\"} 3\n");
}

#[test]
fn groups_that_take_no_part_are_empty() {
    let mut engine = engine(
        "global: {config_version: 3}\ngrok_patterns: ['FOO foo', 'BAR bar', 'FOOBAR %{FOO:foo}%{BAR:bar}?']\nmetrics:\n\
         - {type: counter, name: m, help: h, match: '%{FOOBAR}', labels: {foo: '{{.foo}}', bar: '{{.bar}}'}}\n",
    );
    let outcomes = ["foobar", "foobaz", "foo", "bar"].map(|line| engine.line(line));
    assert_eq!(outcomes, [Outcome::Matched, Outcome::Matched, Outcome::Matched, Outcome::Unmatched]);
    assert_eq!(engine.text(), "m{bar=\"\",foo=\"foo\"} 2\nm{bar=\"bar\",foo=\"foo\"} 1\n");
}

#[test]
fn values_that_cannot_be_used_are_counted() {
    use Outcome::{Matched, Skipped};
    let mut engine = engine(&grok(
        "- {type: counter, name: c, help: h, match: 'c (?<v>.*)', value: '{{.v}}'}\n\
         - {type: gauge, name: g, help: h, match: 'c (?<v>.*)', value: '{{.v}}'}\n",
    ));
    let outcomes = ["c 1.5", "c -1", "c NaN", "c x", "c ", "c 1,5", "c +1e2"].map(|line| engine.line(line));
    assert_eq!(outcomes, [Matched, Matched, Matched, Skipped, Skipped, Skipped, Matched]);
    assert_eq!(engine.text(), "c 101.5\ng 100\n");
    let own = engine.page(true);
    assert!(own.contains("own_line_processing_errors_total{metric=\"c\"} 5\n"), "{own}");
    assert!(own.contains("own_line_processing_errors_total{metric=\"g\"} 3\n"), "{own}");
}

#[test]
fn metrics_without_labels_are_there_from_the_start() {
    let engine = engine(&grok(
        "- {type: counter, name: c, help: h, match: 'x'}\n- {type: histogram, name: d, help: h, match: 'x', value: 1, buckets: [1]}\n\
         - {type: summary, name: e, help: h, match: 'x', value: 1, quantiles: {0.5: 0.05}}\n\
         - {type: gauge, name: f, help: h, match: 'x', value: 1, labels: {a: }}\n",
    ));
    assert_eq!(
        engine.text(),
        "c 0\nd_bucket{le=\"1\"} 0\nd_bucket{le=\"+Inf\"} 0\nd_sum 0\nd_count 0\ne{quantile=\"0.5\"} NaN\ne_sum 0\ne_count 0\n"
    );
    assert!(
        engine.page(true).contains("own_lines_total{status=\"ignored\"} 0\nown_lines_total{status=\"matched\"} 0\n")
    );
}

#[test]
fn paths_choose_the_metric() {
    let mut engine = engine(&grok(
        "- {type: counter, name: a, help: h, match: 'x', path: '/var/log/a*.log'}\n\
         - {type: counter, name: b, help: h, match: 'x', paths: [/var/log/b.log, /srv/*]}\n\
         - {type: counter, name: c, help: h, match: 'x'}\n",
    ));
    for file in ["/var/log/a1.log", "/var/log/b.log", "/srv/x", "/srv/x/y", ""] {
        assert_eq!(engine.line_of(file, "x", 0), Outcome::Matched);
    }
    assert_eq!(engine.text(), "a 1\nb 2\nc 5\n");
}

#[test]
fn hostile_lines_cost_little() {
    let mut engine = engine(&grok(
        "- {type: counter, name: m, help: h, match: '^(?<q>(?:a|aa)+)+\\k<q>!$'}\n- {type: counter, name: n, help: h, match: 'next'}\n",
    ));
    let started = Instant::now();
    for _ in 0..3 {
        assert_ne!(engine.line(&"a".repeat(40)), Outcome::Matched);
    }
    assert_eq!(engine.line("next"), Outcome::Matched);
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}
