//! Real logs: exact figures, counted beforehand by other means.

use super::*;

const MTAIL_METRICS: &str = r"
    metrics:
      - {type: counter, name: nginx_http_requests_total, help: h, labels: {method: '{{.method}}', status: '{{.status}}'}}
      - {type: counter, name: nginx_http_response_bytes_total, help: h, value: '{{.bytes}}', labels: {status: '{{.status}}'}}
      - type: histogram
        name: nginx_http_response_size_bytes
        help: h
        value: '{{.bytes}}'
        buckets: [100, 1000, 10000, 100000]
        labels: {method: '{{.method}}'}
    otherwise:
      - {type: counter, name: nginx_log_unparsed_total, help: h}
";

/// The four metrics of mtail's program, by each kind of pattern, equal to what mtail made of the sample.
#[test]
fn mtail_s_metrics_come_out_the_same() {
    let (Some(log), Some(expected)) =
        (sample("samples/nginx_access_combined.log"), sample("mtail/nginx_combined.expected-sample.prom"))
    else {
        return;
    };
    let expected: String = String::from_utf8(expected)
        .unwrap()
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| {
            let l = l.replace("prog=\"nginx_combined.mtail\",", "").replace(",prog=\"nginx_combined.mtail\"", "");
            l.replace("{prog=\"nginx_combined.mtail\"}", "") + "\n"
        })
        .collect();
    for matcher in [
        r#"regex: '^(?<remote_addr>\S+) - (?<remote_user>[^\[]*) \[(?<time_local>[^\]]+)\] "(?<method>[A-Z]+) (?<uri>\S+) HTTP\/(?<proto>[0-9.]+)" (?<status>\d{3}) (?<bytes>\d+) "(?<referer>[^"]*)" "(?<ua>[^"]*)"'"#,
        r#"grok: '^%{NOTSPACE:remote_addr} - (?<remote_user>[^\[]*) \[(?<time_local>[^\]]+)\] "(?<method>[A-Z]+) %{NOTSPACE:uri} HTTP/(?<proto>[0-9.]+)" (?<status>\d{3}) (?<bytes>\d+) "(?<referer>[^"]*)" "(?<ua>[^"]*)"'"#,
        r#"log_format: '$remote_addr - $remote_user [$time_local] "$method $uri HTTP/$proto" $status $bytes "$referer" "$ua"'"#,
    ] {
        let mut engine = engine(&format!("rules:\n  - name: access\n    {matcher}{MTAIL_METRICS}"));
        engine.lines_of_file(&log);
        assert_eq!(engine.text(), expected, "{matcher}");
        let own = engine.page(true);
        assert!(
            own.contains("own_lines_total{status=\"ignored\"} 30\nown_lines_total{status=\"matched\"} 4120\n"),
            "{own}"
        );
        assert_eq!(engine.unmatched().count(), 20);
    }
}

#[test]
fn logstash_s_pattern_matches_every_line() {
    let Some(log) = sample("samples/nginx_access_combined.log") else { return };
    let mut engine = engine(&grok(
        "- {type: counter, name: n, help: h, match: '%{COMBINEDAPACHELOG}', labels: {verb: '{{.verb}}', response: '{{.response}}'}}\n\
         - type: histogram\n  name: s\n  help: h\n  match: '%{COMBINEDAPACHELOG}'\n  value: '{{if .bytes}}{{.bytes}}{{else}}0{{end}}'\n  buckets: [100, 1000, 10000]\n",
    ));
    engine.lines_of_file(&log);
    let expected: String = [
        ("", "400", 30),
        ("GET", "200", 1778),
        ("HEAD", "200", 20),
        ("GET", "302", 221),
        ("POST", "302", 39),
        ("PUT", "302", 25),
        ("GET", "400", 30),
        ("GET", "403", 226),
        ("POST", "403", 30),
        ("PUT", "403", 39),
        ("GET", "404", 616),
        ("POST", "404", 122),
        ("PUT", "404", 121),
        ("POST", "405", 291),
        ("PUT", "405", 283),
        ("GET", "500", 218),
        ("POST", "500", 30),
        ("PUT", "500", 31),
    ]
    .map(|(verb, response, n)| (response, verb, format!("n{{response=\"{response}\",verb=\"{verb}\"}} {n}\n")))
    .into_iter()
    .collect::<std::collections::BTreeSet<_>>()
    .into_iter()
    .map(|(_, _, line)| line)
    .collect();
    let histogram = "s_bucket{le=\"100\"} 1569\ns_bucket{le=\"1000\"} 3921\ns_bucket{le=\"10000\"} 4150\n\
                     s_bucket{le=\"+Inf\"} 4150\ns_sum 1.822964e+06\ns_count 4150\n";
    assert_eq!(engine.text(), expected + histogram);
    assert!(engine.page(true).contains("own_lines_total{status=\"matched\"} 4150\n"));
}

fn ready_made(set: &str, name: &str) -> Option<(Engine, String)> {
    let mut engine = engine(&format!("use: [{set}]\n"));
    engine.lines_of_file(&sample(&format!("samples/{name}"))?);
    let text = engine.text();
    Some((engine, text))
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|l| l == *line), "{line} is not in\n{text}");
    }
}

#[test]
fn nginx_combined() {
    let Some((engine, text)) = ready_made("nginx_combined", "nginx_access_combined.log") else { return };
    has(
        &text,
        &[
            "nginx_http_response_count_total{method=\"GET\",status=\"200\"} 1778",
            "nginx_http_response_count_total{method=\"PUT\",status=\"500\"} 31",
            "nginx_http_response_count_total{method=\"other\",status=\"400\"} 30",
            "nginx_parse_errors_total 0",
        ],
    );
    let sum = |name: &str| -> f64 {
        let lines = text.lines().filter(|l| l.starts_with(name));
        lines.map(|l| l.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!((sum("nginx_http_response_count_total"), sum("nginx_http_response_size_bytes")), (4150.0, 1_822_964.0));
    assert!(engine.page(true).contains("own_rule_last_line_time_seconds{rule=\"nginx_access\"} 1.79535"));
}

#[test]
fn nginx_timed() {
    let Some((mut engine, text)) = ready_made("nginx_timed", "nginx_access_with_request_time.log") else { return };
    has(
        &text,
        &[
            "nginx_http_response_count_total{method=\"GET\",status=\"404\"} 269",
            "nginx_http_response_count_total{method=\"other\",status=\"400\"} 30",
            "nginx_http_response_time_seconds_hist_count{method=\"GET\",status=\"200\"} 658",
            "nginx_http_response_time_seconds_count{method=\"HEAD\",status=\"200\"} 5",
            "nginx_http_response_time_seconds{method=\"HEAD\",status=\"200\",quantile=\"0.99\"} 0",
            "nginx_parse_errors_total 0",
        ],
    );
    // `-` is no observation: no series at all.
    assert!(!text.contains("upstream"), "{text}");
    let line = |upstream: &str| {
        format!("1.2.3.4 - - [22/Nov/2026:13:20:21 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"-\" 0.700 {upstream}")
    };
    assert_eq!(engine.line(&line("0.1, 0.2 : 0.3")), Outcome::Matched);
    assert_eq!(engine.line(&line("-")), Outcome::Matched);
    has(
        &engine.text(),
        &[
            "nginx_http_upstream_time_seconds_hist_bucket{method=\"GET\",status=\"200\",le=\"0.5\"} 0",
            "nginx_http_upstream_time_seconds_hist_bucket{method=\"GET\",status=\"200\",le=\"1\"} 1",
            "nginx_http_upstream_time_seconds_count{method=\"GET\",status=\"200\"} 1",
        ],
    );
    // The other format is counted as what it is here: unreadable.
    assert_eq!(
        engine.line("1.2.3.4 - - [22/Nov/2026:13:20:21 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"-\""),
        Outcome::Unmatched
    );
    has(&engine.text(), &["nginx_parse_errors_total 1"]);
}

#[test]
fn nginx_error() {
    let Some((engine, text)) = ready_made("nginx_error", "nginx_error.log") else { return };
    assert_eq!(
        text,
        "nginx_error_log_file_errors_total 7\nnginx_error_log_limited_total 2\n\
         nginx_error_log_messages_total{level=\"error\"} 12\nnginx_error_log_messages_total{level=\"notice\"} 25\n\
         nginx_error_log_parse_errors_total 0\nnginx_error_log_upstream_failures_total 3\n"
    );
    assert!(engine.page(true).contains("own_rule_time_errors_total{rule=\"nginx_error\"} 0\n"));
}

#[test]
fn mysql_error() {
    let Some((mut engine, text)) = ready_made("mysql_error", "mariadb_error.log") else { return };
    assert_eq!(
        text,
        "mysql_error_log_aborted_connections_total 4\nmysql_error_log_access_denied_total 4\n\
         mysql_error_log_deadlocks_total 1\nmysql_error_log_messages_total{level=\"error\"} 2\n\
         mysql_error_log_messages_total{level=\"note\"} 39\nmysql_error_log_messages_total{level=\"warning\"} 9\n\
         mysql_error_log_starts_total 1\n"
    );
    let own = engine.page(true);
    assert!(own.contains("own_lines_total{status=\"ignored\"} 48\nown_lines_total{status=\"matched\"} 50\n"), "{own}");
    assert_eq!(engine.unmatched().count(), 0);
    // MySQL 8's form.
    for line in [
        "2026-11-22T16:11:27.662123Z 8 [Warning] [MY-010055] [Server] IP address could not be resolved",
        "2026-11-22T16:11:27.662123Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections. Version: '8.4'",
    ] {
        assert_eq!(engine.line(line), Outcome::Matched);
    }
    has(&engine.text(), &["mysql_error_log_messages_total{level=\"system\"} 1", "mysql_error_log_starts_total 2"]);
    assert!(engine.page(true).contains("own_rule_time_errors_total{rule=\"mysql_error\"} 0\n"));
}

#[test]
fn mysql_slow() {
    let Some((mut engine, text)) = ready_made("mysql_slow", "mariadb_slow.log") else { return };
    has(
        &text,
        &[
            "mysql_slow_log_query_seconds_bucket{le=\"0.01\"} 0",
            "mysql_slow_log_query_seconds_bucket{le=\"0.1\"} 9",
            "mysql_slow_log_query_seconds_bucket{le=\"0.5\"} 14",
            "mysql_slow_log_query_seconds_bucket{le=\"2.5\"} 30",
            "mysql_slow_log_query_seconds_bucket{le=\"10\"} 31",
            "mysql_slow_log_query_seconds_count 31",
            "mysql_slow_log_queries_total{user=\"root\"} 31",
            "mysql_slow_log_rows_examined_total 200001",
            "mysql_slow_log_rows_sent_total 23",
            "mysql_slow_log_full_scans_total 7",
            "mysql_slow_log_full_joins_total 3",
            "mysql_slow_log_disk_tables_total 0",
        ],
    );
    let sum = text.lines().find_map(|l| l.strip_prefix("mysql_slow_log_query_seconds_sum ")).unwrap();
    assert!((sum.parse::<f64>().unwrap() - 24.128_085).abs() < 1e-9, "{sum}");
    // MySQL 8's form, with and without log_slow_extra.
    for rest in ["", " Thread_id: 8 Errno: 0 Killed: 0 Bytes_received: 0"] {
        let line = format!("# Query_time: 2.000123  Lock_time: 0.000001 Rows_sent: 1  Rows_examined: 7{rest}");
        assert_eq!(engine.line(&line), Outcome::Matched);
    }
    assert_eq!(engine.line("# User@Host: wp[wp] @ localhost []  Id:     8"), Outcome::Matched);
    has(&engine.text(), &["mysql_slow_log_rows_examined_total 200015", "mysql_slow_log_queries_total{user=\"wp\"} 1"]);
}

#[test]
fn php() {
    let Some((engine, text)) = ready_made("php", "wordpress_debug.log") else { return };
    assert_eq!(
        text,
        "php_log_messages_total{level=\"deprecated\"} 3\nphp_log_messages_total{level=\"fatal\"} 3\n\
         php_log_messages_total{level=\"notice\"} 3\nphp_log_messages_total{level=\"other\"} 12\n\
         php_log_messages_total{level=\"warning\"} 6\nphp_log_uncaught_exceptions_total 3\n\
         wordpress_cron_errors_total 3\nwordpress_database_errors_total 3\n"
    );
    let own = engine.page(true);
    assert!(own.contains("own_lines_total{status=\"ignored\"} 33\nown_lines_total{status=\"matched\"} 27\n"), "{own}");
}
