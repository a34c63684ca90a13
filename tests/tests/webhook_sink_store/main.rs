//! The sink on a real PostgreSQL: alone, as two replicas of which one is killed, and when the server goes away.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use server::{PASSWORD, Postgres, ready};
use tests::{Provider, Service, get, parity, post, wait_until};

fn message(group: u64, n: u64) -> String {
    serde_json::json!({
        "receiver": "r", "status": "firing", "groupKey": format!("{{}}:{{g=\"{group}\"}}"), "externalURL": "http://am",
        "alerts": [{
            "status": "firing", "labels": {"alertname": "A", "g": group.to_string(), "n": n.to_string()},
            "annotations": {"summary": "메모리 부족"}, "startsAt": "2026-11-22T13:09:50Z", "endsAt": "0001-01-01T00:00:00Z",
        }],
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "version": "4", "truncatedAlerts": 0,
    })
    .to_string()
}

fn json(sink: &Service, path: &str) -> Value {
    let answer = get(&sink.url(path)).unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

fn indexed(sink: &Service) {
    wait_until("the index", Duration::from_mins(1), || {
        let stats = json(sink, "/api/v1/stats");
        stats["indexed"].as_i64() >= stats["stored"].as_i64()
    });
}

fn check(postgres: &Postgres) -> String {
    let password = format!("--storage.password-file={}", postgres.password_file().display());
    let done =
        Command::new(tests::binary("webhook-sink")).args(["check", &postgres.url(), &password]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[test]
fn every_recorded_body_is_kept_found_and_checked() {
    let (Some(payloads), Some(postgres)) = (parity("webhook/payloads"), Postgres::start(false)) else { return };
    let sink = postgres.sink(&[]);
    let mut bodies = BTreeMap::new();
    for file in std::fs::read_dir(payloads).unwrap().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name == "MANIFEST.json" {
            continue;
        }
        let body = std::fs::read(file.path()).unwrap();
        let path = if name.starts_with("payload-") { "/raw/custom" } else { "/alerts/%00team?x=1" };
        let answer = post(&sink.url(path), &body).unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        bodies.insert(answer.json()["id"].as_i64().unwrap(), body);
    }
    assert!(bodies.len() >= 100);
    for (id, body) in &bodies {
        assert!(get(&sink.url(&format!("/api/v1/deliveries/{id}/raw"))).unwrap().body == *body, "{id} changed");
    }
    indexed(&sink);
    for (asked, least) in [
        ("q=m%C3%BCnchen", 1),
        ("q=MUNCH", 1),
        ("q=%E7%A3%81%E7%9B%98", 1),
        ("state=stale", 1),
        ("state=firing,stale", 2),
        ("state=resolved&from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z", 5),
        ("q=severity%3D%22critical%22", 1),
        ("q=alertname%3D~%22.%2B%22", 100),
    ] {
        let found = json(&sink, &format!("/api/v1/alerts?{asked}"))["alerts"].as_array().unwrap().len();
        assert!(found >= least, "{asked}: {found}");
    }
    // Page by page everything comes, each alert once.
    let (mut seen, mut before) = (BTreeSet::new(), String::new());
    loop {
        let page = json(&sink, &format!("/api/v1/alerts?limit=7&q=alertname%3D~%22.%2B%22{before}"));
        for alert in page["alerts"].as_array().unwrap() {
            assert!(seen.insert(alert["id"].as_i64().unwrap()));
        }
        let Some(next) = page["next_before"].as_i64() else { break };
        before = format!("&before={next}");
    }
    assert_eq!(postgres.sql("SELECT count(*) FROM episodes WHERE alertname <> ''"), [seen.len().to_string()]);
    let exported = get(&sink.url("/api/v1/export?format=ndjson")).unwrap().text();
    assert_eq!(exported.lines().count(), bodies.len());
    let fingerprint = json(&sink, "/api/v1/alerts?limit=1")["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    for path in ["/", "/deliveries", "/delivery/1", "/outbox", "/health", &format!("/alert/{fingerprint}")] {
        assert_eq!(get(&sink.url(path)).unwrap().status, 200, "{path}");
    }
    assert!(check(&postgres).contains(&format!("{} deliveries", bodies.len())));
    assert!(!sink.log().contains(PASSWORD));
    assert!(!postgres.log().contains("ERROR"), "{}", postgres.log());
}

/// Posts over one connection that is kept; the status of the answer.
fn exchange(reader: &mut BufReader<TcpStream>, body: &str) -> Option<u16> {
    let request = format!("POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    reader.get_mut().write_all(request.as_bytes()).ok()?;
    let (mut line, mut status, mut length) = (String::new(), None, 0);
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        if status.is_none() {
            status = Some(line.split(' ').nth(1)?.parse().ok()?);
        } else if line.trim().is_empty() {
            break;
        } else if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().ok()?;
        }
    }
    std::io::Read::read_exact(reader, &mut vec![0; length]).ok()?;
    status
}

fn config(dir: &Path, target: &Provider) -> String {
    let file = dir.join("sink.yml");
    let text = format!(
        "targets: [{{name: t, type: http, url: '{}', rate: 1000}}]\nroutes: [{{targets: [t]}}]\n",
        target.url("/hook")
    );
    std::fs::write(&file, text).unwrap();
    format!("--config.file={}", file.display())
}

#[test]
fn two_replicas_and_one_is_killed_under_load() {
    let Some(postgres) = Postgres::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = Provider::start(|_, _| {
        std::thread::sleep(Duration::from_millis(20));
        (200, "", "ok".into())
    });
    let config = config(dir.path(), &target);
    let (mut first, second) = (postgres.sink(&[&config]), postgres.sink(&[&config]));
    let ports = [first.port, second.port];
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let at_first = Arc::new(AtomicUsize::new(0));
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (stop, acknowledged, at_first) = (Arc::clone(&stop), Arc::clone(&acknowledged), Arc::clone(&at_first));
            std::thread::spawn(move || {
                let mut n = sender * 1_000_000;
                for turn in sender.. {
                    let which = usize::from(turn % 2 == 1);
                    let Ok(stream) = TcpStream::connect(("127.0.0.1", ports[which])) else { continue };
                    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                    let mut reader = BufReader::new(stream);
                    for _ in 0..20 {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        n += 1;
                        match exchange(&mut reader, &message(sender, n)) {
                            Some(200) => {
                                acknowledged.lock().unwrap().push(n);
                                at_first.fetch_add(usize::from(which == 0), Ordering::Relaxed);
                            }
                            Some(503) => {}
                            Some(status) => panic!("{status}"),
                            None => break,
                        }
                    }
                }
            })
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    wait_until("load on both", Duration::from_mins(2), || count() > 1500 && at_first.load(Ordering::Relaxed) > 300);
    first.signal(rustix::process::Signal::KILL);
    first.wait();
    let at_kill = count();
    wait_until("load on the other", Duration::from_mins(2), || count() > at_kill + 700);
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    indexed(&second);
    // The claims of the dead replica run out and are sent by the other.
    wait_until("the outbox to be empty", Duration::from_mins(2), || {
        postgres.sql("SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')") == ["0"]
    });

    let mut kept: BTreeMap<u64, usize> = BTreeMap::new();
    for line in get(&second.url("/api/v1/export?format=ndjson")).unwrap().text().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let n = row["body"]["alerts"][0]["labels"]["n"].as_str().unwrap().parse().unwrap();
        *kept.entry(n).or_default() += 1;
    }
    let acknowledged = acknowledged.lock().unwrap();
    let lost: Vec<&u64> = acknowledged.iter().filter(|n| !kept.contains_key(n)).collect();
    assert!(lost.is_empty(), "{} of {} lost", lost.len(), acknowledged.len());
    assert!(kept.values().all(|times| *times == 1), "stored twice");
    // Each state was sent once, or says that it may be the second time; each group's newest state came last.
    let (mut times, mut again, mut last): (BTreeMap<i64, i32>, i32, BTreeMap<String, i64>) = Default::default();
    for request in target.seen() {
        let note = &request.body;
        let delivery = note["delivery"].as_i64().unwrap();
        let n = times.entry(delivery).or_default();
        if note["again"] == true {
            again += 1;
        } else {
            *n += 1;
        }
        let before = last.insert(note["group_key"].as_str().unwrap().to_owned(), delivery);
        assert!(before.is_none_or(|b| b <= delivery), "an older state came after a newer one");
    }
    assert!(times.values().all(|n| *n <= 1), "sent twice without saying so: {times:?}");
    let newest = postgres.sql("SELECT max(delivery_id) FROM messages GROUP BY group_id ORDER BY 1");
    let mut told: Vec<i64> = last.into_values().collect();
    told.sort_unstable();
    assert_eq!(told.iter().map(i64::to_string).collect::<Vec<_>>(), newest, "a group's newest state was not sent");
    println!(
        "{} acknowledged ({} by the one killed), {} kept, {} notified, {again} of them marked as perhaps repeated",
        acknowledged.len(),
        at_first.load(Ordering::Relaxed),
        kept.len(),
        times.len()
    );
    check(&postgres);
}

#[test]
fn what_a_dead_replica_was_sending_is_sent_by_the_other() {
    let Some(postgres) = Postgres::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = Provider::start(|n, _| {
        if n == 1 {
            std::thread::sleep(Duration::from_mins(2));
        }
        (200, "", "ok".into())
    });
    let config = config(dir.path(), &target);
    let mut first = postgres.sink(&[&config]);
    assert_eq!(post(&first.url("/alerts"), message(1, 1).as_bytes()).unwrap().status, 200);
    target.wait_for(1);
    let second = postgres.sink(&[&config]);
    // A claim that is kept is nobody else's, however long its sending takes.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(target.seen().len(), 1);
    first.signal(rustix::process::Signal::KILL);
    first.wait();
    let seen = target.wait_for(2);
    assert_eq!((seen[0].body["again"].as_bool(), seen[1].body["again"].as_bool()), (Some(false), Some(true)));
    assert_eq!(seen[0].body["delivery"], seen[1].body["delivery"]);
    wait_until("it to be settled", Duration::from_secs(20), || postgres.sql("SELECT state FROM outbox") == ["sent"]);
    let outbox = json(&second, "/api/v1/outbox");
    assert_eq!(outbox["outbox"][0]["attempts"], 2);
}

#[test]
fn a_server_that_goes_away_is_answered_503_until_it_is_back() {
    let Some(mut postgres) = Postgres::start(false) else { return };
    let sink = postgres.sink(&[]);
    assert_eq!(post(&sink.url("/alerts"), message(1, 1).as_bytes()).unwrap().status, 200);
    postgres.down();
    let refused = post(&sink.url("/alerts"), message(1, 2).as_bytes()).unwrap();
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    wait_until("it to say so", Duration::from_secs(20), || get(&sink.url("/-/ready")).unwrap().status == 503);
    assert_eq!(get(&sink.url("/api/v1/alerts")).unwrap().status, 503);
    assert_eq!(get(&sink.url("/-/healthy")).unwrap().status, 200);
    postgres.up();
    ready(&sink);
    assert_eq!(post(&sink.url("/alerts"), message(1, 3).as_bytes()).unwrap().status, 200);
    indexed(&sink);
    assert_eq!(postgres.sql("SELECT count(*) FROM deliveries"), ["2"]);
    // The postmaster that hangs lets nobody in, but serves those who are: nothing is to be noticed.
    postgres.hang(true);
    assert_eq!(post(&sink.url("/alerts"), message(1, 4).as_bytes()).unwrap().status, 200);
    postgres.hang(false);
}

#[test]
fn what_one_replica_receives_the_other_shows_live() {
    let Some(postgres) = Postgres::start(false) else { return };
    let (first, second) = (postgres.sink(&[]), postgres.sink(&[]));
    let mut stream = TcpStream::connect(("127.0.0.1", second.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /api/v1/stream HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert!(lines.by_ref().any(|l| l.unwrap().contains("event: hello")));
    let id = post(&first.url("/alerts"), message(7, 1).as_bytes()).unwrap().json()["id"].as_i64().unwrap();
    let told = lines.by_ref().map(|l| l.unwrap()).find(|l| l.starts_with("data:") && l.contains("\"delivery\""));
    assert!(told.as_deref().unwrap_or_default().contains(&format!("\"delivery\":{id}")), "{told:?}");
}

#[test]
fn a_server_is_believed_only_with_its_certificate() {
    let Some(postgres) = Postgres::start(true) else { return };
    let password = format!("--storage.password-file={}", postgres.password_file().display());
    let known = format!("{}?sslmode=verify-full&sslrootcert={}", postgres.url(), postgres.certificate().display());
    let sink = Service::ours("webhook-sink", &[known.as_str(), password.as_str(), "--print=off"]);
    ready(&sink);
    assert_eq!(post(&sink.url("/alerts"), message(1, 1).as_bytes()).unwrap().status, 200);
    assert_eq!(
        postgres.sql("SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'webhook-sink'"),
        ["t"]
    );
    for (url, why) in [
        (format!("{}?sslmode=require", postgres.url()), "certificate"),
        (format!("{}?sslmode=disable", postgres.url()), "no pg_hba.conf entry"),
    ] {
        let sink = Service::ours("webhook-sink", &[url.as_str(), password.as_str(), "--print=off"]);
        let refused = post(&sink.url("/alerts"), message(1, 2).as_bytes()).unwrap();
        assert_eq!(refused.status, 503);
        wait_until("the reason in the log", Duration::from_secs(20), || sink.log().contains(why));
        assert!(!sink.log().contains(PASSWORD));
    }
}

const SENDERS: u64 = 12;
