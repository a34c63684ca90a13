//! The API against its own description: every path, every method, every documented status, and no other.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Provider, Service, get, get_with, post, post_with, wait_until};

const MESSAGE: &[u8] = br#"{"receiver":"r","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"A"},
"startsAt":"2026-11-22T13:09:50Z"}],"groupKey":"{}:{}"}"#;

fn sink(dir: &Path, more: &[String]) -> Service {
    let mut args = vec![format!("--storage.path={}", dir.join("data").display()), "--print=off".to_owned()];
    args.extend_from_slice(more);
    Service::ours("webhook-sink", &args)
}

/// Calls that were made, as (path of the description, method, status).
struct Tried {
    described: Value,
    seen: BTreeSet<(String, String, String)>,
}

impl Tried {
    /// `$ref` followed.
    fn response(&self, path: &str, method: &str, status: &str) -> Option<&Value> {
        let response = self.described["paths"][path][method]["responses"].get(status)?;
        match response["$ref"].as_str() {
            Some(name) => self.described.pointer(name.strip_prefix('#').unwrap()),
            None => Some(response),
        }
    }

    fn check(&mut self, path: &str, method: &str, asked: &str, answer: &tests::Answer, wanted: u16) {
        let status = answer.status.to_string();
        assert_eq!(answer.status, wanted, "{method} {asked}: {}", answer.text());
        let Some(response) = self.response(path, method, &status) else {
            panic!("{method} {path} answers {status}, which is not described: {}", answer.text());
        };
        let required = response["content"]["application/json"]["schema"]["required"].as_array();
        for field in required.into_iter().flatten() {
            assert!(answer.json().get(field.as_str().unwrap()).is_some(), "{method} {asked}: no {field}");
        }
        if wanted == 503 {
            assert!(answer.header("retry-after").is_some(), "{method} {asked}: no Retry-After");
        }
        self.seen.insert((path.to_owned(), method.to_owned(), status));
    }

    fn get(&mut self, sink: &Service, path: &str, asked: &str, wanted: u16) -> tests::Answer {
        let answer = get(&sink.url(asked)).unwrap();
        self.check(path, "get", asked, &answer, wanted);
        answer
    }

    fn get_with(&mut self, sink: &Service, path: &str, headers: &[(&str, &str)], wanted: u16) {
        let answer = get_with(&sink.url(path), headers).unwrap();
        self.check(path, "get", path, &answer, wanted);
    }

    fn post(&mut self, sink: &Service, path: &str, asked: &str, headers: &[(&str, &str)], body: &[u8], wanted: u16) {
        let answer = post_with(&sink.url(asked), headers, body).unwrap();
        self.check(path, "post", asked, &answer, wanted);
    }
}

#[test]
fn every_documented_answer_is_given_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (404, "", "gone".into()));
    let config = dir.path().join("sink.yml");
    let good = format!(
        "targets: [{{name: t, type: http, url: '{}', rate: 100}}]\nroutes: [{{targets: [t]}}]\n",
        provider.url("/")
    );
    std::fs::write(&config, &good).unwrap();
    let sink = sink(dir.path(), &[format!("--config.file={}", config.display()), "--web.max-body=100000".into()]);
    let described = get(&sink.url("/api/v1/openapi.json")).unwrap().json();
    let mut tried = Tried { described, seen: BTreeSet::new() };
    let json = [("content-type", "application/json")];
    let foreign = [("origin", "http://evil.example")];

    // Receiving.
    let doors = [
        ("/alerts", "/alerts"),
        ("/alerts/{source}", "/alerts/a"),
        ("/events", "/events"),
        ("/raw/{source}", "/raw/a"),
    ];
    for (path, asked) in doors {
        tried.post(&sink, path, asked, &json, MESSAGE, 200);
        tried.post(&sink, path, asked, &json, b"{", 400);
        tried.post(&sink, path, asked, &json, &vec![b' '; 100_001], 413);
        tried.post(&sink, path, asked, &[("content-encoding", "br")], MESSAGE, 415);
    }
    {
        let other = tempfile::tempdir().unwrap();
        let token = other.path().join("token");
        std::fs::write(&token, "t").unwrap();
        let guarded = self::sink(other.path(), &[format!("--web.receive-token-file={}", token.display())]);
        for (path, asked) in doors {
            tried.post(&guarded, path, asked, &json, MESSAGE, 401);
        }
        std::fs::remove_file(&token).unwrap();
        let bearer = [("authorization", "Bearer t")];
        wait_until("the loss to be noticed", Duration::from_secs(10), || {
            post_with(&guarded.url("/alerts"), &bearer, MESSAGE).unwrap().status == 503
        });
        for (path, asked) in doors {
            tried.post(&guarded, path, asked, &bearer, MESSAGE, 503);
        }
    }
    wait_until("a dead letter", Duration::from_secs(30), || {
        get(&sink.url("/api/v1/outbox?state=dead")).unwrap().json()["outbox"][0]["id"].is_i64()
    });

    // Reading.
    let alerts =
        tried.get(&sink, "/api/v1/alerts", "/api/v1/alerts?state=firing&q=A&from=2020-01-01T00:00:00Z", 200).json();
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    for query in ["state=odd", "q=%22", "from=yesterday", "limit=x", "before=x"] {
        tried.get(&sink, "/api/v1/alerts", &format!("/api/v1/alerts?{query}"), 400);
    }
    tried.get(&sink, "/api/v1/alerts/{fingerprint}", &format!("/api/v1/alerts/{fingerprint}"), 200);
    tried.get(&sink, "/api/v1/alerts/{fingerprint}", "/api/v1/alerts/0000000000000000", 404);
    tried.get(&sink, "/api/v1/groups", "/api/v1/groups?all=true", 200);
    tried.get(&sink, "/api/v1/groups", "/api/v1/groups?limit=x", 400);
    tried.get(&sink, "/api/v1/labels", "/api/v1/labels?name=alertname", 200);
    tried.get(&sink, "/api/v1/stats", "/api/v1/stats", 200);
    tried.get(&sink, "/api/v1/stats", "/api/v1/stats?from=x", 400);
    tried.get(&sink, "/api/v1/outbox", "/api/v1/outbox", 200);
    tried.get(&sink, "/api/v1/outbox", "/api/v1/outbox?limit=x", 400);
    for (path, of) in [
        ("/api/v1/deliveries", "/api/v1/deliveries/{id}"),
        ("/api/v1/deliveries", "/api/v1/deliveries/{id}/raw"),
        ("/api/v1/invalid", "/api/v1/invalid/{id}/raw"),
    ] {
        tried.get(&sink, path, path, 200);
        tried.get(&sink, path, &format!("{path}?before=x"), 400);
        tried.get(&sink, of, &of.replace("{id}", "1"), 200);
        tried.get(&sink, of, &of.replace("{id}", "x"), 400);
        tried.get(&sink, of, &of.replace("{id}", "999999"), 404);
    }
    let lines = tried.get(&sink, "/api/v1/export", "/api/v1/export?format=ndjson", 200).text();
    assert_eq!(lines.lines().count(), 4, "{lines}");
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["body"]["receiver"]), (&1.into(), &"r".into()), "{first}");
    tried.get(&sink, "/api/v1/export", "/api/v1/export?format=csv", 400);
    tried.get(&sink, "/api/v1/openapi.json", "/api/v1/openapi.json", 200);

    // Live: as many as there are places, then no more.
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut head = [0; 400];
        let n = stream.read(&mut head).unwrap();
        let head = String::from_utf8_lossy(&head[..n]).into_owned();
        if head.starts_with("HTTP/1.1 503") {
            break;
        }
        assert!(head.starts_with("HTTP/1.1 200") && head.to_ascii_lowercase().contains("text/event-stream"), "{head}");
        tried.seen.insert(("/api/v1/stream".into(), "get".into(), "200".into()));
        streams.push(stream);
    }
    assert_eq!(streams.len(), 128);
    tried.get(&sink, "/api/v1/stream", "/api/v1/stream", 503);
    drop(streams);

    // Changing.
    let dead = get(&sink.url("/api/v1/outbox?state=dead")).unwrap().json()["outbox"][0]["id"].clone();
    for action in ["retry", "drop"] {
        let path = format!("/api/v1/outbox/{{id}}/{action}");
        let asked = path.replace("{id}", &dead.to_string());
        tried.post(&sink, &path, &asked, &foreign, b"", 403);
        tried.post(&sink, &path, &asked, &[], b"", 200);
        wait_until("the retry to fail", Duration::from_secs(30), || {
            !get(&sink.url("/api/v1/outbox?state=pending")).unwrap().json()["outbox"][0]["id"].is_i64()
        });
        tried.post(&sink, &path, &path.replace("{id}", "x"), &[], b"", 400);
        tried.post(&sink, &path, &path.replace("{id}", "999999"), &[], b"", 404);
    }
    let one = "/api/v1/deliveries/{id}/replay";
    tried.post(&sink, one, "/api/v1/deliveries/1/replay?target=t", &[], b"", 200);
    tried.post(&sink, one, "/api/v1/deliveries/1/replay?target=x", &[], b"", 400);
    tried.post(&sink, one, "/api/v1/deliveries/1/replay?target=t", &foreign, b"", 403);
    tried.post(&sink, one, "/api/v1/deliveries/999999/replay?target=t", &[], b"", 404);
    let range = "/api/v1/replay";
    let asked = |query: &str| format!("{range}?target=t&{query}");
    let owed = || get(&sink.url("/api/v1/outbox?limit=1000")).unwrap().json()["outbox"].as_array().unwrap().len();
    let before = owed();
    let dry = post(&sink.url(&asked("from=2020-01-01T00:00:00Z&dry_run=true")), b"").unwrap().json();
    assert_eq!((&dry["dry_run"], dry["messages"].as_i64().unwrap() > 0), (&true.into(), true), "{dry}");
    assert_eq!(owed(), before, "a dry run owes nothing");
    tried.post(&sink, range, &asked("from=2020-01-01T00:00:00Z"), &[], b"", 200);
    assert_eq!(owed() as i64, before as i64 + dry["messages"].as_i64().unwrap());
    let past = post(&sink.url(&asked("from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")), b"").unwrap().json();
    assert_eq!(past["messages"], 0, "the range is kept");
    tried.post(&sink, range, &asked(""), &[], b"", 400);
    tried.post(&sink, range, &asked("from=2020-01-01T00:00:00Z"), &foreign, b"", 403);
    for method in ["post", "put"] {
        let call = |headers: &[(&str, &str)]| match method {
            "post" => post_with(&sink.url("/-/reload"), headers, b"").unwrap(),
            _ => put(&sink, "/-/reload", headers),
        };
        tried.check("/-/reload", method, "/-/reload", &call(&[]), 200);
        tried.check("/-/reload", method, "/-/reload", &call(&foreign), 403);
        std::fs::write(&config, "targets: 7\n").unwrap();
        tried.check("/-/reload", method, "/-/reload", &call(&[]), 500);
        std::fs::write(&config, &good).unwrap();
    }
    tried.get(&sink, "/api/v1/audit", "/api/v1/audit", 200);
    tried.get(&sink, "/api/v1/deliveries", "/api/v1/deliveries?kind=mail", 400);
    tried.get(&sink, "/api/v1/replicas", "/api/v1/replicas", 200);
    tried.get_with(&sink, "/api/v1/audit", &foreign, 403);
    let log = get(&sink.url("/api/v1/audit")).unwrap().json();
    let actions: BTreeSet<&str> =
        log["audit"].as_array().unwrap().iter().map(|r| r["action"].as_str().unwrap()).collect();
    assert_eq!(actions, BTreeSet::from(["drop", "reload", "replay", "retry"]), "every change is written down");

    // Without the admin token.
    let other = tempfile::tempdir().unwrap();
    let token = other.path().join("token");
    std::fs::write(&token, "t").unwrap();
    let guarded = self::sink(other.path(), &[format!("--web.admin-token-file={}", token.display())]);
    for path in ["/api/v1/outbox/{id}/retry", "/api/v1/outbox/{id}/drop", one, range, "/-/reload"] {
        tried.post(&guarded, path, &path.replace("{id}", "1"), &[], b"", 401);
    }
    tried.check("/-/reload", "put", "/-/reload", &put(&guarded, "/-/reload", &[]), 401);
    tried.get(&guarded, "/api/v1/audit", "/api/v1/audit", 401);
    assert_eq!(post(&guarded.url("/alerts"), MESSAGE).unwrap().status, 200, "senders need no admin token");

    let mut missing = Vec::new();
    for (path, methods) in tried.described["paths"].as_object().unwrap() {
        for (method, call) in methods.as_object().unwrap() {
            for status in call["responses"].as_object().unwrap().keys() {
                if !tried.seen.contains(&(path.clone(), method.clone(), status.clone())) {
                    missing.push(format!("{method} {path} {status}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "described and never seen: {missing:#?}");
    assert_eq!(get(&sink.url("/api/v1/nothing")).unwrap().status, 404);
}

fn put(sink: &Service, path: &str, headers: &[(&str, &str)]) -> tests::Answer {
    let mut stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
    let mut head = format!("PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    tests::Answer { status, headers: Vec::new(), body: body.as_bytes().to_vec() }
}
