//! The sink's metrics as a real Prometheus sees them: every expression of its rules and of its dashboard has an answer.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::{Provider, Service, get, get_with, peer, post, program, repo, skip, wait_until};

/// Traffic that moves every metric: a delivery, a duplicate, a resolution, a refusal, notifications that go and do not.
fn sink(dir: &Path, provider: &Provider, alertmanager: &str) -> Service {
    let config = dir.join("sink.yml");
    let text = format!(
        "targets: [{{name: good, type: http, url: '{}', rate: 100}}, {{name: bad, type: http, url: 'http://127.0.0.1:{}/'}}, \
         {{name: never, type: http, url: '{}'}}]\nroutes: [{{targets: [good, bad, never]}}]\n",
        provider.url("/good"),
        tests::free_port(),
        provider.url("/never"),
    );
    std::fs::write(&config, text).unwrap();
    let args = [
        format!("--storage.path={}", dir.join("data").display()),
        format!("--config.file={}", config.display()),
        format!("--alertmanager.url={alertmanager}"),
        "--alertmanager.interval=500ms".into(),
        "--alertmanager.grace=1s".into(),
        "--print=off".into(),
    ];
    let sink = Service::ours("webhook-sink", &args);
    traffic(&sink);
    sink
}

fn traffic(sink: &Service) {
    let message = |status: &str, name: &str| {
        let end = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T14:00:00Z" };
        format!(
            r#"{{"receiver":"r","status":"{status}","alerts":[{{"status":"{status}","labels":{{"alertname":"{name}","severity":"critical"}},"startsAt":"2026-11-22T13:09:50Z","endsAt":"{end}"}}],"externalURL":"http://am","groupKey":"{name}"}}"#
        )
    };
    for (status, name) in [("firing", "A"), ("firing", "A"), ("resolved", "A"), ("firing", "B"), ("firing", "C")] {
        post(&sink.url("/alerts"), message(status, name).as_bytes()).unwrap();
    }
    post(&sink.url("/alerts"), b"broken").unwrap();
}

/// Every expression with a metric of the sink, and where it stands.
fn expressions() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let rules = std::fs::read_to_string(repo().join("deploy/prometheus/rules/sink.yml")).unwrap();
    let mut lines = rules.lines();
    while let Some(line) = lines.next() {
        if let Some(expr) = line.trim().strip_prefix("expr: ") {
            let expr = if expr == ">-" { lines.next().unwrap().trim() } else { expr };
            found.push(("rules/sink.yml".to_owned(), expr.to_owned()));
        }
    }
    for file in std::fs::read_dir(repo().join("deploy/grafana/dashboards")).unwrap().flatten() {
        let dashboard: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        let name = file.file_name().to_string_lossy().into_owned();
        for panel in dashboard["panels"].as_array().into_iter().flatten() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let expr = target["expr"].as_str().unwrap_or_default();
                if expr.contains("webhook_sink_") && !expr.contains('$') {
                    found.push((format!("{name}, {}", panel["title"]), expr.to_owned()));
                }
            }
        }
    }
    found
}

/// A condition without its comparison: what it watches must be there whether or not it is wrong now.
fn watched(expr: &str) -> &str {
    let cut = [" > ", " == "].iter().filter_map(|op| expr.rfind(op)).max();
    match cut {
        Some(at) if !expr[at..].contains(')') => &expr[..at],
        _ => expr,
    }
}

fn ask(prometheus: &Service, expr: &str) -> Value {
    let query: String = expr
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    get(&prometheus.url(&format!("/api/v1/query?query={query}"))).unwrap().json()
}

fn answers_every_expression(program: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let alertmanager = Provider::start(|_, path| match path {
        "/api/v2/status" => (200, "", r#"{"uptime":"2020-01-01T00:00:00.000Z"}"#.into()),
        // What fires here is not there any more.
        _ => (200, "", r#"[{"fingerprint":"x","startsAt":"2026-11-22T13:09:50Z","status":{"state":"active"}}]"#.into()),
    });
    let provider = Provider::start(|_, path| match path {
        "/never" => (404, "", "gone".into()),
        _ => (200, "", "ok".into()),
    });
    let sink = sink(dir.path(), &provider, &alertmanager.url(""));
    let config = dir.path().join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 500ms}}\nscrape_configs: [{{job_name: webhook-sink, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        sink.port
    );
    std::fs::write(&config, text).unwrap();
    let port = tests::free_port();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let prometheus = Service::start(command, port);
    wait_until("Prometheus", Duration::from_mins(1), || {
        get(&prometheus.url("/-/ready")).is_some_and(|a| a.status == 200)
    });
    wait_until("reconciled alerts", Duration::from_secs(40), || {
        ask(&prometheus, "webhook_sink_reconciled_alerts_total")["data"]["result"][0].is_object()
    });
    // Rates need a series before and after.
    traffic(&sink);
    std::thread::sleep(Duration::from_secs(2));
    let expressions = expressions();
    assert!(expressions.len() > 25, "{expressions:?}");
    let mut wrong = Vec::new();
    for (place, expr) in &expressions {
        let answer = ask(&prometheus, watched(expr));
        let result = answer["data"]["result"].as_array().map_or(0, Vec::len);
        if result == 0 {
            wrong.push(format!("{place}: {expr}: {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // What is scraped is what is meant: no label of an alert's own became one of a series.
    let names = ask(&prometheus, "group by (alertname) ({__name__=~\"webhook_sink_.*\", alertname!=\"\"})");
    assert_eq!(names["data"]["result"], serde_json::json!([]));
}

#[test]
fn debians_prometheus_answers_every_expression() {
    match program("prometheus") {
        Some(path) => answers_every_expression(&path),
        None => skip("no prometheus"),
    }
}

#[test]
fn the_newest_prometheus_answers_every_expression() {
    if let Some(path) = peer("prometheus") {
        answers_every_expression(&path);
    }
}

#[test]
fn every_metric_has_a_type_a_help_and_the_same_names_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", dir.path().display());
    let sink = Service::ours("webhook-sink", &[storage.as_str(), "--print=off", "--metrics.alertnames=A,Other"]);
    traffic(&sink);
    let named = "webhook_sink_named_firing_alerts{alertname=\"A\"}";
    wait_until("the named series", Duration::from_secs(30), || {
        get(&sink.url("/metrics")).unwrap().text().contains(named)
    });
    let text = get(&sink.url("/metrics")).unwrap().text();
    // B and C fire too, and nobody asked for them by name.
    assert!(!text.contains("alertname=\"B\"") && text.contains("alertname=\"Other\"} 0"), "{text}");
    let families: BTreeSet<&str> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE webhook_sink_")?.split(' ').next()).collect();
    assert!(families.len() >= 20, "{families:?}");
    for family in &families {
        assert!(text.contains(&format!("# HELP webhook_sink_{family} ")), "{family} has no help");
    }
    let accept =
        [("accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")];
    let packed = get_with(&sink.url("/metrics"), &accept).unwrap();
    let packed = String::from_utf8_lossy(&packed.body).into_owned();
    for family in &families {
        assert!(packed.contains(&format!("webhook_sink_{family}")), "{family} is not in the protobuf");
    }
}
