//! What the sink promises: nothing lost over kills, durable before it answers, alive under attack and on a full disk.
//! With `BONGSU_SOAK=1` the long forms run: `./lab soak sink`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tests::{Provider, Service, get, parity, peer, post, program, skip, wait_until};

fn soak() -> bool {
    std::env::var_os("BONGSU_SOAK").is_some_and(|v| v == "1")
}

/// A size of the long forms, from the environment.
fn asked(name: &str, short: usize, long: usize) -> usize {
    let given = std::env::var(name).ok().and_then(|v| v.parse().ok());
    given.unwrap_or(if soak() { long } else { short })
}

fn command(dir: &Path, port: u16, more: &[&str]) -> Command {
    let mut command = Command::new(tests::binary("webhook-sink"));
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--storage.path={}", dir.display()))
        .arg("--print=off")
        .args(more);
    command
}

fn sink(dir: &Path, more: &[&str]) -> Service {
    let port = tests::free_port();
    Service::start(command(dir, port, more), port)
}

fn message(n: u64) -> String {
    format!(
        r#"{{"receiver":"r","status":"firing","alerts":[{{"status":"firing","labels":{{"alertname":"A","n":"{n}"}},"annotations":{{}},"startsAt":"2026-11-22T13:09:50Z","endsAt":"0001-01-01T00:00:00Z"}}],"groupLabels":{{}},"commonLabels":{{}},"commonAnnotations":{{}},"externalURL":"","version":"4","groupKey":"{{}}:{{n=\"{n}\"}}","truncatedAlerts":0}}"#
    )
}

/// One request over a connection that is kept; the status and body of its answer.
fn exchange(stream: &mut TcpStream, path: &str, body: &[u8]) -> Option<(u16, String)> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&answer).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length: usize = head.split("content-length:").nth(1)?.split("\r\n").next()?.trim().parse().ok()?;
            if rest.len() >= length {
                return Some((head.split(' ').nth(1)?.parse().ok()?, rest.to_owned()));
            }
        }
        match stream.read(&mut buffer) {
            Ok(n) if n > 0 => answer.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
}

/// The numbers in `n` of all deliveries kept, each with how often it is there.
fn kept(sink: &Service) -> HashMap<u64, usize> {
    let mut kept = HashMap::new();
    for line in get(&sink.url("/api/v1/export?format=ndjson")).unwrap().text().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let n = row["body"]["alerts"][0]["labels"]["n"].as_str().unwrap().parse().unwrap();
        *kept.entry(n).or_default() += 1;
    }
    kept
}

#[test]
fn nothing_acknowledged_is_lost_over_kills() {
    let dir = tempfile::tempdir().unwrap();
    let (kills, wanted) = (asked("BONGSU_SOAK_KILLS", 4, 50), asked("BONGSU_SOAK_PAYLOADS", 2_000, 100_000));
    let port = tests::free_port();
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let senders: Vec<_> = (0..32_u64)
        .map(|sender| {
            let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || {
                let mut n = sender * 1_000_000_000;
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
                    while !stop.load(Ordering::Relaxed) {
                        n += 1;
                        match exchange(&mut stream, "/alerts", message(n).as_bytes()) {
                            Some((200, _)) => acknowledged.lock().unwrap().push(n),
                            Some((503, _)) => {}
                            Some((status, text)) => panic!("{status}: {text}"),
                            None => break,
                        }
                    }
                }
            })
        })
        .collect();
    for kill in 0..kills {
        let mut sink = Service::start(command(dir.path(), port, &[]), port);
        let goal = wanted * (kill + 1) / kills;
        wait_until("acknowledgements", Duration::from_mins(5), || acknowledged.lock().unwrap().len() >= goal);
        sink.signal(rustix::process::Signal::KILL);
        sink.wait();
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    let sink = self::sink(dir.path(), &[]);
    let kept = kept(&sink);
    let acknowledged = acknowledged.lock().unwrap();
    println!("{} acknowledged over {kills} kills, {} kept", acknowledged.len(), kept.len());
    let lost: Vec<&u64> = acknowledged.iter().filter(|n| !kept.contains_key(n)).collect();
    assert!(lost.is_empty(), "{} of {} lost: {lost:?}", lost.len(), acknowledged.len());
    let twice: Vec<_> = kept.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "stored twice: {twice:?}");
    wait_until("the index", Duration::from_mins(2), || get(&sink.url("/-/ready")).is_some_and(|a| a.status == 200));
    drop(sink);
    let checked = Command::new(tests::binary("webhook-sink"))
        .args(["check", &format!("--storage.path={}", dir.path().display())])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

/// A number that stands nowhere else.
const MARK: u64 = 918_273_000;

#[test]
fn the_disk_has_it_before_the_sender_hears() {
    let Some(strace) = program("strace") else { return skip("no strace") };
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    post(&sink.url("/alerts"), message(0).as_bytes()).unwrap();
    wait_until("the index", Duration::from_secs(30), || get(&sink.url("/-/ready")).is_some_and(|a| a.status == 200));
    let trace = dir.path().join("trace");
    let mut tracer = Command::new(strace)
        .args(["-f", "-s", "4200", "-e", "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg", "-o"])
        .args([trace.as_os_str(), "-p".as_ref(), sink.pid().to_string().as_ref()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It says so once it has every thread.
    let mut said = [0; 64];
    if tracer.stderr.as_mut().unwrap().read(&mut said).unwrap_or(0) == 0 || tracer.try_wait().unwrap().is_some() {
        return skip("strace may not attach here");
    }
    std::thread::sleep(Duration::from_millis(300));
    for n in 1..=3 {
        assert_eq!(post(&sink.url("/alerts"), message(MARK + n).as_bytes()).unwrap().status, 200);
    }
    std::thread::sleep(Duration::from_millis(300));
    let pid = rustix::process::Pid::from_child(&tracer);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    tracer.wait().unwrap();
    let trace = std::fs::read_to_string(&trace).unwrap();
    // The index writes as well, in between; what counts is the page that holds the body.
    let (mut synced, mut answers) = (None, 0);
    for line in trace.lines() {
        if line.contains("pwrite64(") && line.contains(&(MARK + answers + 1).to_string()) && synced.is_none() {
            synced = Some(false);
        } else if synced.is_some() && (line.contains("sync(") || line.contains("sync resumed")) && line.contains("= 0")
        {
            synced = Some(true);
        } else if line.contains("\\\"status\\\":\\\"received\\\"") {
            assert_eq!(synced.take(), Some(true), "answered before the fsync:\n{trace}");
            answers += 1;
        }
    }
    assert_eq!(answers, 3, "{trace}");
}

#[test]
fn a_full_disk_is_answered_503_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let disk = dir.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&disk).output().unwrap();
    if !mounted.status.success() {
        return skip("a small file system cannot be mounted here");
    }
    let result = std::panic::catch_unwind(|| {
        let sink = sink(&disk.join("data"), &[]);
        assert_eq!(post(&sink.url("/alerts"), message(1).as_bytes()).unwrap().status, 200);
        let ballast = disk.join("ballast");
        let full = std::fs::write(&ballast, vec![0; 6 << 20]);
        assert!(full.is_err(), "the disk was to be full");
        let large =
            message(2).replace("\"annotations\":{}", &format!("\"annotations\":{{\"x\":\"{}\"}}", "x".repeat(300_000)));
        let mut refused = None;
        for _ in 0..50 {
            let answer = post(&sink.url("/alerts"), large.as_bytes()).unwrap();
            if answer.status != 200 {
                refused = Some(answer);
                break;
            }
        }
        let refused = refused.expect("a full disk must be noticed");
        assert_eq!(refused.status, 503, "{}", refused.text());
        assert!(refused.header("retry-after").is_some());
        assert_eq!(get(&sink.url("/-/ready")).unwrap().status, 503);
        std::fs::remove_file(&ballast).unwrap();
        wait_until("it to recover by itself", Duration::from_mins(1), || {
            get(&sink.url("/-/ready")).is_some_and(|a| a.status == 200)
        });
        assert_eq!(post(&sink.url("/alerts"), message(3).as_bytes()).unwrap().status, 200);
    });
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn half_open_connections_do_not_keep_an_alert_out() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    let many = if soak() { 10_000 } else { 2_000 };
    let mut open = Vec::new();
    for _ in 0..many {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", sink.port)) else { break };
        let _ = stream.write_all(b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Le");
        open.push(stream);
    }
    println!("{} half-open connections", open.len());
    let answer = post(&sink.url("/alerts"), message(1).as_bytes()).expect("an answer in spite of them");
    assert_eq!(answer.status, 200);
    assert!(sink.resident_bytes() < 64 << 20, "{} bytes", sink.resident_bytes());
}

fn peak(sink: &Service) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sink.pid())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn large_bodies_and_bombs_stay_within_the_memory() {
    let Some(prlimit) = program("prlimit") else { return skip("no prlimit") };
    let dir = tempfile::tempdir().unwrap();
    let port = tests::free_port();
    let inner = command(dir.path(), port, &[]);
    // What it writes to in memory may not grow beyond 256 MiB: more would end it.
    let mut limited = Command::new(prlimit);
    limited.arg("--data=268435456").arg(inner.get_program()).args(inner.get_args());
    let mut sink = Service::start(limited, port);
    let each = if soak() { 16 } else { 4 };
    let text = "x".repeat((32 << 20) - 1000);
    let large = Arc::new(message(1).replace("\"annotations\":{}", &format!("\"annotations\":{{\"x\":\"{text}\"}}")));
    let senders: Vec<_> = (0..each)
        .map(|_| {
            let (large, port) = (Arc::clone(&large), sink.port);
            std::thread::spawn(move || {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                exchange(&mut stream, "/alerts", large.as_bytes()).map(|(status, _)| status)
            })
        })
        .collect();
    let answers: Vec<_> = senders.into_iter().map(|s| s.join().unwrap()).collect();
    // A refusal may come before the body was taken, and then break the connection under its sender.
    assert!(answers.iter().all(|a| matches!(a, Some(200 | 503) | None)), "{answers:?}");
    assert!(answers.contains(&Some(200)), "{answers:?}");
    // 1 GiB of blanks in about 1 MiB.
    let packed = Command::new("sh")
        .args(["-c", "head -c 1073741824 /dev/zero | tr '\\0' ' ' | gzip -1"])
        .output()
        .unwrap()
        .stdout;
    let mut stream = TcpStream::connect(("127.0.0.1", sink.port)).unwrap();
    write!(
        stream,
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    )
    .unwrap();
    let _ = stream.write_all(&packed);
    let mut answer = [0; 64];
    let n = stream.read(&mut answer).unwrap();
    assert!(answer[..n].starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer[..n]));
    println!("{each} bodies of 32 MiB: {answers:?}, peak {} MiB", peak(&sink) >> 20);
    assert!(peak(&sink) < 256 << 20, "{} MiB", peak(&sink) >> 20);
    assert_eq!(post(&sink.url("/alerts"), message(9).as_bytes()).unwrap().status, 200, "it lives on");
    sink.signal(rustix::process::Signal::TERM);
    assert_eq!(sink.wait(), Some(0));
}

/// Moves the outbox into the past, as if that much time had gone by since.
fn pass(data: &Path, minutes: u64) {
    let by = minutes * 60 * 1_000_000_000;
    let sql = format!(
        "PRAGMA busy_timeout=10000; UPDATE outbox SET created_ns = created_ns - {by}, \
         next_ns = CASE WHEN next_ns > {by} THEN next_ns - {by} ELSE 0 END; UPDATE attempts SET at_ns = at_ns - {by};"
    );
    let done = Command::new("sqlite3").arg(data.join("sink.db")).arg(sql).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn after_an_hour_of_outage_each_groups_newest_state_arrives_once() {
    if program("sqlite3").is_none() {
        return skip("no sqlite3");
    }
    let dir = tempfile::tempdir().unwrap();
    let (data, file) = (dir.path().join("data"), dir.path().join("sink.yml"));
    let (port, target) = (tests::free_port(), tests::free_port());
    let config = format!(
        "targets: [{{name: t, type: http, url: 'http://127.0.0.1:{target}/', rate: 1000}}]\nroutes: [{{targets: [t]}}]\n"
    );
    std::fs::write(&file, config).unwrap();
    let start = || Service::start(command(&data, port, &[&format!("--config.file={}", file.display())]), port);
    let (groups, rounds) = (5, if soak() { 60 } else { 6 });
    for round in 1..=rounds {
        let mut sink = start();
        for group in 0..groups {
            // Each round a group has one alert more, and the last group ends.
            let ends = group == groups - 1 && round == rounds;
            let mut body =
                message(group).replace("\"annotations\":{}", &format!("\"annotations\":{{\"round\":\"{round}\"}}"));
            body = body
                .replace("2026-11-22T13:09:50Z", &format!("2026-11-22T{:02}:{:02}:50Z", 13 + round / 60, round % 60));
            if ends {
                body = body.replace("firing", "resolved").replace("0001-01-01T00:00:00Z", "2026-11-22T15:00:00Z");
            }
            assert_eq!(post(&sink.url("/alerts"), body.as_bytes()).unwrap().status, 200);
        }
        wait_until("every group's newest state to have failed", Duration::from_mins(1), || {
            let rows = get(&sink.url("/api/v1/outbox?limit=1000")).unwrap().json();
            let rows = rows["outbox"].as_array().unwrap();
            let failed = rows.iter().filter(|r| r["attempts"].as_i64() > Some(0) && r["state"] != "overtaken");
            rows.len() as u64 == groups * round && failed.count() as u64 >= groups
        });
        sink.signal(rustix::process::Signal::KILL);
        sink.wait();
        pass(&data, 60 / rounds);
    }
    let provider = Provider::start_on(target, |_, _| (200, "", "ok".into()));
    let sink = start();
    wait_until("nothing to wait", Duration::from_mins(1), || {
        let rows = get(&sink.url("/api/v1/outbox?limit=1000")).unwrap().json();
        rows["outbox"].as_array().unwrap().iter().all(|r| r["state"] == "sent" || r["state"] == "overtaken")
    });
    std::thread::sleep(Duration::from_secs(1));
    let seen = provider.seen();
    assert_eq!(seen.len() as u64, groups, "{:?}", seen.iter().map(|r| &r.body).collect::<Vec<_>>());
    let last = (groups - 1).to_string();
    for request in seen {
        let alert = &request.body["alerts"][0];
        let ends = alert["labels"]["n"].as_str() == Some(&last);
        assert_eq!(alert["annotations"]["round"], rounds.to_string(), "the newest state");
        assert_eq!(alert["status"], if ends { "resolved" } else { "firing" });
    }
}

/// Starts an Alertmanager that sends to the sink, fires an alert and ends it.
fn with_alertmanager(alertmanager: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(&dir.path().join("data"), &[]);
    let config = dir.path().join("am.yml");
    std::fs::write(
        &config,
        format!(
            "route: {{receiver: 'a.b (c)', group_wait: 1s, group_interval: 1s, group_by: [alertname]}}\nreceivers: [{{name: 'a.b (c)', webhook_configs: [{{url: '{}'}}]}}]\n",
            sink.url("/alerts/lab")
        ),
    )
    .unwrap();
    let port = tests::free_port();
    let mut command = Command::new(alertmanager);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.path().join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let am = Service::start(command, port);
    wait_until("Alertmanager", Duration::from_mins(1), || get(&am.url("/-/ready")).is_some_and(|a| a.status == 200));
    let alert = |more: &str| {
        let body = format!(
            r#"[{{"labels":{{"alertname":"Real","severity":"critical"}},"annotations":{{"summary":"디스크"}}{more}}}]"#
        );
        assert_eq!(post(&am.url("/api/v2/alerts"), body.as_bytes()).unwrap().status, 200);
    };
    let state = |wanted: &str| {
        let found = get(&sink.url("/api/v1/alerts?q=alertname%3D%22Real%22")).unwrap().json();
        found["alerts"][0]["state"] == wanted
    };
    alert("");
    wait_until("the alert to fire in the sink", Duration::from_secs(30), || state("firing"));
    alert(r#","endsAt":"2020-01-01T00:00:00Z""#);
    // The end must lie after the start, or Alertmanager takes it for invalid: fire again with an end right now.
    wait_until("the alert to be resolved in the sink", Duration::from_mins(1), || state("resolved"));
    let delivery = get(&sink.url("/api/v1/deliveries?limit=1")).unwrap().json()["deliveries"][0].clone();
    assert_eq!(delivery["receiver"], "a.b (c)");
    assert_eq!(delivery["source"], "lab");
}

#[test]
fn debians_alertmanager_delivers() {
    match program("prometheus-alertmanager") {
        Some(path) => with_alertmanager(&path),
        None => skip("no prometheus-alertmanager"),
    }
}

#[test]
fn the_newest_alertmanager_delivers() {
    if let Some(path) = peer("prometheus-alertmanager") {
        with_alertmanager(&path);
    }
}

#[test]
fn every_recorded_body_comes_back_byte_for_byte() {
    let Some(payloads) = parity("webhook/payloads") else { return };
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    let mut n = 0;
    for file in std::fs::read_dir(payloads).unwrap().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name == "MANIFEST.json" {
            continue;
        }
        let body = std::fs::read(file.path()).unwrap();
        let path = if name.starts_with("payload-") { "/raw/custom" } else { "/alerts" };
        let answer = post(&sink.url(path), &body).unwrap();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let id = answer.json()["id"].clone();
        assert!(get(&sink.url(&format!("/api/v1/deliveries/{id}/raw"))).unwrap().body == body, "{name} changed");
        n += 1;
    }
    assert!(n >= 100, "{n} bodies");
}
