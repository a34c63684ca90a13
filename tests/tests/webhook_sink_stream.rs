//! What goes on without being asked again: the stream after a connection that was lost, and the links in messages.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Provider, Service, get, post, wait_until};

fn message(name: &str, alerts: usize) -> Vec<u8> {
    let alerts: Vec<Value> = (0..alerts)
        .map(|n| json!({"status": "firing", "labels": {"alertname": name, "n": n.to_string()}, "startsAt": "2026-11-22T13:09:50Z"}))
        .collect();
    json!({"receiver": "r", "status": "firing", "alerts": alerts, "groupKey": name}).to_string().into_bytes()
}

/// The stream from an event on: the kinds and ids of the next `n` events.
fn events(sink: &Service, last: Option<i64>, n: usize) -> Vec<(String, i64)> {
    let mut stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let last = last.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n{last}\r\n").as_bytes()).unwrap();
    let (mut found, mut kind, mut id) = (Vec::new(), String::new(), 0);
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut kind);
        } else if let Some(text) = line.strip_prefix("id: ") {
            id = text.parse().unwrap();
        } else if line.is_empty() && !kind.is_empty() {
            found.push((std::mem::take(&mut kind), id));
            if found.len() == n {
                break;
            }
        }
    }
    found
}

#[test]
fn a_stream_that_was_lost_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", dir.path().join("data").display());
    let sink = Service::ours("webhook-sink", &[storage.as_str(), "--print=off"]);
    let send = |name: String| post(&sink.url("/alerts"), &message(&name, 1)).unwrap().json()["id"].as_i64().unwrap();
    let indexed = |id: i64| {
        wait_until("the index", Duration::from_mins(1), || {
            get(&sink.url("/api/v1/stats")).unwrap().json()["indexed"].as_i64() >= Some(id)
        });
    };
    let ids: Vec<i64> = (0..5).map(|n| send(format!("A{n}"))).collect();
    indexed(ids[4]);
    let told = |kind: &str, id: i64| (kind.to_owned(), id);
    // Whoever comes anew hears of what is new; who was there hears of what was missed, each once and in order.
    assert_eq!(events(&sink, None, 1), [told("hello", ids[4])]);
    assert_eq!(
        events(&sink, Some(ids[1]), 4),
        [told("hello", ids[1]), told("message", ids[2]), told("message", ids[3]), told("message", ids[4])]
    );
    // Too much to tell one by one: the page is to be loaded anew.
    let last = (0..520).fold(0, |_, n| send(format!("B{n}")));
    indexed(last);
    assert_eq!(events(&sink, Some(ids[0]), 2), [told("hello", ids[0]), told("reset", last)]);
}

#[test]
fn messages_link_to_the_sinks_own_pages() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", "ok".into()));
    let file = dir.path().join("sink.yml");
    let text = format!(
        "targets:\n- {{name: s, type: slack, url: '{}', rate: 100}}\n- {{name: h, type: http, url: '{}', rate: 100}}\nroutes: [{{targets: [s, h]}}]\n",
        provider.url("/slack"),
        provider.url("/http")
    );
    std::fs::write(&file, text).unwrap();
    let storage = format!("--storage.path={}", dir.path().join("data").display());
    let config = format!("--config.file={}", file.display());
    let args = [storage.as_str(), config.as_str(), "--print=off", "--web.external-url=https://sink.example/"];
    let sink = Service::ours("webhook-sink", &args);
    post(&sink.url("/alerts"), &message("One", 1)).unwrap();
    let one = provider.wait_for(2);
    let page = one.iter().find(|r| r.path == "/http").unwrap().body["page"].as_str().unwrap().to_owned();
    let path = page.strip_prefix("https://sink.example").unwrap();
    assert!(path.starts_with("/alert/"), "{page}");
    assert_eq!(get(&sink.url(path)).unwrap().status, 200);
    let slack = one.iter().find(|r| r.path == "/slack").unwrap().body.to_string();
    assert!(slack.contains(&page), "{slack}");
    post(&sink.url("/alerts"), &message("Two", 2)).unwrap();
    let two = provider.wait_for(4);
    let note = &two.iter().rfind(|r| r.path == "/http").unwrap().body;
    assert_eq!(note["page"], "https://sink.example/delivery/2");
    assert!(note["alerts"][1]["page"].as_str().unwrap().starts_with("https://sink.example/alert/"), "{note}");
    let refused = tests::refused("webhook-sink", &[storage.as_str(), "--web.external-url=sink.example"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("--web.external-url"), "{text}");
}
