//! `backup` and `check` beside a store whose sink runs under load, or was killed in the middle of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tests::{Service, binary, get, post, wait_until};

const SENDERS: u64 = 12;

fn sink(data: &Path) -> Service {
    let storage = format!("--storage.path={}", data.display());
    Service::ours("webhook-sink", &[storage.as_str(), "--print=off"])
}

/// Runs one of the commands beside serving.
fn run(command: &str, data: &Path, more: &[&str]) -> Output {
    let storage = format!("--storage.path={}", data.display());
    Command::new(binary("webhook-sink")).arg(command).arg(storage).args(more).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Senders that note what was acknowledged, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<u64>>>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    fn on(sink: &Service) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let senders = (0..SENDERS)
            .map(|sender| {
                let (stop, acknowledged, url) = (Arc::clone(&stop), Arc::clone(&acknowledged), sink.url("/alerts"));
                std::thread::spawn(move || {
                    // Large enough for the journal's files to take turns meanwhile.
                    let pad = "디".repeat(2000);
                    for n in sender * 1_000_000.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        let body = serde_json::json!({
                            "receiver": "r", "status": "firing", "groupKey": n.to_string(), "version": "4",
                            "alerts": [{"status": "firing", "labels": {"alertname": "A", "n": n.to_string()},
                                "annotations": {"pad": pad}, "startsAt": "2026-11-22T13:09:50Z"}],
                        });
                        match post(&url, body.to_string().as_bytes()) {
                            Some(answer) if answer.status == 200 => acknowledged.lock().unwrap().push(n),
                            Some(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                            None => std::thread::sleep(Duration::from_millis(20)),
                        }
                    }
                })
            })
            .collect();
        Self { stop, acknowledged, senders }
    }

    fn wait_for(&self, n: usize) {
        wait_until("acknowledgements", Duration::from_mins(2), || self.acknowledged.lock().unwrap().len() >= n);
    }

    /// What has been acknowledged up to now.
    fn so_far(&self) -> Vec<u64> {
        self.acknowledged.lock().unwrap().clone()
    }

    fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.join().unwrap();
        }
        self.acknowledged.lock().unwrap().clone()
    }
}

/// Starts a sink on the copy and compares what it has with what was acknowledged.
fn restored_has(copy: &Path, acknowledged: &[u64]) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(copy, dir.path().join("sink.db")).unwrap();
    let checked = run("check", dir.path(), &[]);
    assert!(checked.status.success(), "{}", text(&checked));
    let sink = sink(dir.path());
    let mut kept = Vec::new();
    for line in get(&sink.url("/api/v1/export?format=ndjson")).unwrap().text().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        kept.push(row["body"]["alerts"][0]["labels"]["n"].as_str().unwrap().parse::<u64>().unwrap());
    }
    let known: HashSet<&u64> = kept.iter().collect();
    assert_eq!(known.len(), kept.len(), "something is there twice");
    let lost = acknowledged.iter().filter(|n| !known.contains(n)).count();
    assert_eq!(lost, 0, "of {} acknowledged before the backup", acknowledged.len());
    println!("{} acknowledged before, {} in the copy", acknowledged.len(), kept.len());
    wait_until("the index of the copy", Duration::from_mins(2), || {
        get(&sink.url("/-/ready")).is_some_and(|a| a.status == 200)
    });
    // It goes on from there.
    assert_eq!(post(&sink.url("/raw/x"), b"{}").unwrap().json()["id"].as_u64(), Some(kept.len() as u64 + 1));
}

#[test]
fn a_backup_of_a_running_sink_has_all_that_was_acknowledged_before() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let sink = sink(&data);
    let load = Load::on(&sink);
    load.wait_for(500);
    let mut copies = Vec::new();
    for n in 0..3 {
        let copy = dir.path().join(format!("copy{n}"));
        let before = load.so_far();
        let made = run("backup", &data, &[copy.to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made));
        let checked = run("check", &data, &[]);
        assert!(checked.status.success(), "a running sink is not damaged: {}", text(&checked));
        copies.push((copy, before));
    }
    load.end();
    for (copy, before) in copies {
        restored_has(&copy, &before);
    }
}

#[test]
fn a_backup_of_a_killed_sink_has_what_only_the_journal_had() {
    let dir = tempfile::tempdir().unwrap();
    let mut from_journal = 0;
    for round in 0..3 {
        let data = dir.path().join(format!("data{round}"));
        let mut sink = sink(&data);
        let load = Load::on(&sink);
        load.wait_for(300);
        sink.signal(rustix::process::Signal::KILL);
        sink.wait();
        let acknowledged = load.end();
        let checked = run("check", &data, &[]);
        assert!(checked.status.success(), "{}", text(&checked));
        let copy = dir.path().join(format!("copy{round}"));
        let made = run("backup", &data, &[copy.to_str().unwrap()]);
        assert!(made.status.success(), "{}", text(&made));
        let words = text(&made);
        let counted = words.split(", ").find_map(|part| part.split_once(" of them from the journal"));
        let counted: usize = counted.unwrap().0.parse().unwrap();
        assert_eq!(counted > 0, text(&checked).contains("more in the journal"), "{words} {}", text(&checked));
        from_journal += counted;
        restored_has(&copy, &acknowledged);
    }
    println!("{from_journal} of them were in the journal alone");
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_no_half_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (data, copy) = (dir.path().join("data"), dir.path().join("copy"));
    let missing = run("backup", &data, &[copy.to_str().unwrap()]);
    assert!(!missing.status.success() && text(&missing).contains("no database"), "{}", text(&missing));
    assert!(!run("check", &data, &[]).status.success());
    let sink = sink(&data);
    assert_eq!(post(&sink.url("/raw/x"), b"{}").unwrap().status, 200);
    let nowhere = dir.path().join("no/such/folder/copy");
    let failed = run("backup", &data, &[nowhere.to_str().unwrap()]);
    assert!(!failed.status.success(), "{}", text(&failed));
    std::fs::write(&copy, "mine").unwrap();
    let refused = run("backup", &data, &[copy.to_str().unwrap()]);
    assert!(!refused.status.success() && text(&refused).contains("is there already"), "{}", text(&refused));
    assert_eq!(std::fs::read(&copy).unwrap(), b"mine");
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().map(|f| f.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
