//! The sink as a whole: what Alertmanager meets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Service, get, parity, post, wait_until};

fn sink(dir: &Path, more: &[&str]) -> Service {
    let storage = format!("--storage.path={}", dir.display());
    let mut args = vec![storage.as_str()];
    args.extend(more);
    Service::ours("webhook-sink", &args)
}

fn body(file: &str) -> Option<Vec<u8>> {
    Some(std::fs::read(parity(&format!("webhook/payloads/{file}"))?).unwrap())
}

fn json(service: &Service, path: &str) -> Value {
    let answer = get(&service.url(path)).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn metric(service: &Service, series: &str) -> f64 {
    let page = get(&service.url("/metrics")).unwrap().text();
    let line = page.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

const MESSAGE: &[u8] = br#"{"receiver":"r","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"},
"startsAt":"2026-11-22T13:09:50Z"}],"groupKey":"{}:{}"}"#;

#[test]
fn a_delivery_is_answered_kept_listed_printed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    let Some(bytes) = body("unicode-am025-1.json") else { return };
    for path in ["/alerts", "/alerts/", "/alerts/team-a?x=1", "/alerts/team-a/"] {
        let answer = post(&sink.url(path), &bytes).unwrap();
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("received")), "{path}");
        let id = answer.json()["id"].as_i64().unwrap();
        let kept = get(&sink.url(&format!("/api/v1/deliveries/{id}/raw"))).unwrap();
        assert!(kept.body == bytes, "{path}: the body came back changed");
    }
    let newest = json(&sink, "/api/v1/deliveries?limit=2");
    assert_eq!(newest["deliveries"][1]["source"], "team-a");
    assert_eq!(newest["deliveries"][1]["query"], "x=1");
    wait_until("the delivery to be indexed", Duration::from_secs(30), || {
        json(&sink, "/api/v1/deliveries?limit=1")["deliveries"][0]["receiver"] == "unicode"
    });
    assert_eq!(get(&sink.url("/alerts")).unwrap().status, 405);
    assert_eq!(metric(&sink, "webhook_sink_deliveries_total{kind=\"alerts\"}").to_bits(), 4.0_f64.to_bits());
    assert!(metric(&sink, "webhook_sink_last_delivery_timestamp_seconds") > 1e9);
    wait_until("the delivery to be printed", Duration::from_secs(30), || {
        let log = sink.log();
        log.contains("] Received alerts:\n{\n  \"receiver\": \"unicode\"") && log.contains("磁盘空间不足")
    });
}

#[test]
fn what_is_no_message_is_refused_with_a_reason_and_stays_visible() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &["--print=off", "--web.max-body=200000"]);
    let deep = format!("{}{}", "[".repeat(100_000 - 10), "]".repeat(100_000 - 10));
    let large = vec![b'x'; 300_000];
    for (body, status, reason) in [
        (&b""[..], 400, "empty"),
        (b"not json", 400, "not_json"),
        (b"[]", 400, "not_a_message"),
        (b"{\"alerts\":\"\xff\"}", 400, "not_utf8"),
        (deep.as_bytes(), 400, "too_deep"),
        (&large, 413, "too_large"),
    ] {
        let answer = post(&sink.url("/alerts"), body).unwrap();
        assert_eq!(answer.status, status, "{reason}: {}", answer.text());
        let counted = metric(&sink, &format!("webhook_sink_invalid_total{{reason=\"{reason}\"}}"));
        assert_eq!(counted.to_bits(), 1.0_f64.to_bits(), "{reason}");
        assert_eq!(json(&sink, "/api/v1/invalid")["invalid"][0]["reason"], reason);
    }
    let kept = get(&sink.url("/api/v1/invalid/2/raw")).unwrap();
    assert_eq!((kept.text().as_str(), kept.header("content-type")), ("not json", Some("application/octet-stream")));
    if let Some(custom) = body("payload-am033-1.json") {
        let answer = post(&sink.url("/alerts"), &custom).unwrap();
        assert!(answer.status == 400 && answer.text().contains("`payload:`"), "{}", answer.text());
        let answer = post(&sink.url("/raw/custom"), &custom).unwrap();
        assert_eq!(answer.status, 200);
        let id = answer.json()["id"].as_i64().unwrap();
        assert!(get(&sink.url(&format!("/api/v1/deliveries/{id}/raw"))).unwrap().body == custom);
    }
    assert_eq!(post(&sink.url("/alerts"), MESSAGE).unwrap().status, 200);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for _ in 0..3 {
        let mut sink = sink(dir.path(), &["--print=off"]);
        for _ in 0..20 {
            acknowledged = post(&sink.url("/alerts"), MESSAGE).unwrap().json()["id"].as_i64().unwrap();
        }
        sink.signal(rustix::process::Signal::KILL);
        sink.wait();
    }
    assert_eq!(acknowledged, 60, "ids go on where they were");
    let sink = sink(dir.path(), &["--print=off"]);
    let all = json(&sink, "/api/v1/deliveries?limit=1000");
    let ids: Vec<i64> = all["deliveries"].as_array().unwrap().iter().map(|d| d["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, (1..=60).rev().collect::<Vec<_>>());
}
