//! The store with the recorded bodies.

use std::path::PathBuf;
use std::time::Duration;

use super::sql::StoreError;
use super::{Delivery, Kind, Place, Store, Watch};
use crate::clock::Nanos;
use crate::index::Indexer;

struct Nobody;
impl Watch for Nobody {
    fn committed(&self, _: usize, _: Duration) {}
}

fn open(dir: &std::path::Path) -> Store {
    Store::open(&Place::Directory(dir.to_owned()), Indexer::new(Vec::new()), Box::new(Nobody)).expect("opens")
}

fn delivery(at: Nanos, body: Vec<u8>) -> Delivery {
    Delivery {
        received: at,
        kind: Kind::Alerts,
        source: String::new(),
        query: String::new(),
        remote: "127.0.0.1:1".into(),
        agent: "Alertmanager/0.25.0".into(),
        body: body.into(),
    }
}

/// The recorded bodies of one scenario in their order, or of all; none when the recordings are not there.
fn payloads(scenario: &str) -> Vec<(String, Vec<u8>)> {
    let parity = std::env::var("BONGSU_PARITY").map_or_else(|_| PathBuf::from("../../shared/parity"), PathBuf::from);
    let dir = parity.join("webhook/payloads");
    let Ok(files) = std::fs::read_dir(&dir) else {
        println!("skipped: {} is not there", dir.display());
        return Vec::new();
    };
    let mut found: Vec<(String, Vec<u8>)> = files
        .flatten()
        .map(|f| (f.file_name().to_string_lossy().into_owned(), f.path()))
        .filter(|(name, _)| name.starts_with(scenario) && name != "MANIFEST.json" && !name.starts_with("payload-"))
        .map(|(name, path)| (name, std::fs::read(path).expect("payload")))
        .collect();
    found.sort();
    found
}

async fn settle(store: &Store) {
    let mut indexed = store.indexed();
    indexed.wait_for(|n| *n >= store.stored()).await.expect("indexing goes on");
}

async fn numbers(store: &Store, sql: &'static str) -> Vec<i64> {
    store.read(move |db| db.all(sql, &[], |row| row.int(0))).await.expect("reads")
}

async fn texts(store: &Store, sql: &'static str) -> Vec<String> {
    store.read(move |db| db.all(sql, &[], |row| row.text(0))).await.expect("reads")
}

#[tokio::test]
async fn every_recorded_body_is_kept_byte_for_byte_and_indexed_once() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let bodies = payloads("");
    if bodies.is_empty() {
        return;
    }
    let store = open(dir.path());
    let mut ids = Vec::new();
    for (_, body) in &bodies {
        ids.push(store.receive(delivery(Nanos::now(), body.clone())).await.expect("stored"));
    }
    settle(&store).await;
    for (id, (name, body)) in ids.iter().zip(&bodies) {
        let id = *id;
        let kept: Vec<u8> = store
            .read(move |db| {
                let mut kept = Vec::new();
                db.query("SELECT body FROM deliveries WHERE id = ?1", super::sql::args![id], &mut |row| {
                    row.blob(0, &mut |b| kept = b.to_vec())
                })?;
                Ok::<_, StoreError>(kept)
            })
            .await
            .expect("read");
        assert!(kept == *body, "{name} came back changed");
    }
    assert_eq!(numbers(&store, "SELECT count(*) FROM messages").await, [bodies.len() as i64]);
    let before = texts(&store, "SELECT fingerprint || starts_ns || state || labels FROM episodes ORDER BY 1").await;
    assert!(before.len() > 500);
    // From nothing again: the index holds nothing that the raw bodies do not.
    store
        .write(|db| {
            for table in ["messages", "groups", "episodes", "members", "touches", "counts", "label_values", "search"] {
                db.execute(&format!("DELETE FROM {table}"), &[])?;
            }
            super::schema::put(db, "indexed", 0)
        })
        .await
        .expect("emptied");
    drop(store);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let store = open(dir.path());
    settle(&store).await;
    assert_eq!(
        texts(&store, "SELECT fingerprint || starts_ns || state || labels FROM episodes ORDER BY 1").await,
        before
    );
}

async fn play(scenario: &str, gap: Duration) -> Option<(Store, tempfile::TempDir)> {
    let dir = tempfile::tempdir().expect("temporary directory");
    let bodies = payloads(scenario);
    if bodies.is_empty() {
        return None;
    }
    let store = open(dir.path());
    let start = Nanos::now();
    for (i, (_, body)) in bodies.iter().enumerate() {
        store.receive(delivery(start.after(gap * i as u32), body.clone())).await.expect("stored");
    }
    settle(&store).await;
    Some((store, dir))
}

const FIVE_MINUTES: Duration = Duration::from_mins(5);

#[tokio::test]
async fn a_silenced_alert_turns_stale() {
    let Some((store, _dir)) = play("silenced-", FIVE_MINUTES).await else { return };
    let states = numbers(&store, "SELECT state FROM episodes ORDER BY labels").await;
    assert!(states.contains(&2), "{states:?}: vm1 was silenced and must be stale, not firing for ever");
    assert!(!states.contains(&0), "{states:?}: nothing fires in the end");
}

#[tokio::test]
async fn a_resolved_alert_is_resolved_and_one_that_fires_again_is_a_new_episode() {
    let Some((store, _dir)) = play("refire-", FIVE_MINUTES).await else { return };
    let episodes = texts(&store, "SELECT fingerprint FROM episodes").await;
    let one: std::collections::HashSet<&String> = episodes.iter().collect();
    assert!(episodes.len() > one.len(), "the same alert has several episodes");
}

#[tokio::test]
async fn a_pair_of_alertmanagers_makes_one_group_and_duplicates() {
    let Some((store, _dir)) = play("ha-", Duration::from_secs(15)).await else { return };
    assert_eq!(numbers(&store, "SELECT count(*) FROM groups").await, [1]);
    let kinds = texts(&store, "SELECT kind FROM messages ORDER BY delivery_id").await;
    assert_eq!(kinds[0], "first");
    assert!(kinds.iter().any(|k| k == "duplicate"), "{kinds:?}");
    assert_eq!(numbers(&store, "SELECT count(*) FROM episodes WHERE state = 0").await, [0], "late news reopened it");
}

#[tokio::test]
async fn a_lost_answer_makes_a_duplicate_and_a_repeat_is_told_from_it() {
    let Some((_, body)) = payloads("single-").into_iter().next() else { return };
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path());
    let start = Nanos::now();
    for seconds in [0, 5, 4 * 3600] {
        store.receive(delivery(start.after(Duration::from_secs(seconds)), body.clone())).await.expect("stored");
    }
    settle(&store).await;
    assert_eq!(texts(&store, "SELECT kind FROM messages ORDER BY delivery_id").await, ["first", "duplicate", "repeat"]);
}

#[tokio::test]
async fn what_the_cut_hid_is_not_taken_for_gone() {
    let body = |alerts: &[u32], truncated: u32| {
        let alerts: Vec<String> = alerts
            .iter()
            .map(|i| {
                format!(
                    r#"{{"status":"firing","labels":{{"alertname":"A","i":"{i}"}},"startsAt":"2026-11-22T13:09:50Z"}}"#
                )
            })
            .collect();
        format!(
            r#"{{"receiver":"r","status":"firing","alerts":[{}],"groupKey":"k","truncatedAlerts":{truncated}}}"#,
            alerts.join(",")
        )
        .into_bytes()
    };
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path());
    store.receive(delivery(Nanos::now(), body(&[1, 2, 3], 0))).await.expect("stored");
    store.receive(delivery(Nanos::now().after(FIVE_MINUTES), body(&[0, 1], 2))).await.expect("stored");
    settle(&store).await;
    assert_eq!(numbers(&store, "SELECT count(*) FROM episodes WHERE state = 0").await, [4]);
    store.receive(delivery(Nanos::now().after(FIVE_MINUTES * 2), body(&[0, 1], 0))).await.expect("stored");
    settle(&store).await;
    assert_eq!(numbers(&store, "SELECT count(*) FROM episodes WHERE state = 2").await, [2]);
    assert_eq!(numbers(&store, "SELECT firing FROM groups").await, [2]);
}

#[tokio::test]
async fn words_are_found_by_their_beginning_in_any_script() {
    let Some((store, _dir)) = play("unicode-", FIVE_MINUTES).await else { return };
    for text in ["磁盘", "münchen", "équipe réseau", "Диск поч", "日本語"] {
        let found = store
            .read(move |db| {
                let filter = crate::history::alerts::Filter { words: text.into(), limit: 10, ..Default::default() };
                Ok(crate::history::alerts::find(db, &filter)?.alerts)
            })
            .await
            .expect("searches");
        assert!(!found.is_empty(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_that_come_alone_and_in_crowds_share_one_row_of_numbers() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = open(dir.path());
    let body = |n: i64| format!("{{\"n\":{n}}}").into_bytes();
    let raw = |n: i64| Delivery { kind: Kind::Raw, ..delivery(Nanos(n), body(n)) };
    let mut given = Vec::new();
    for round in 0..20 {
        let first = round * 100;
        given.push((store.receive(raw(first)).await.expect("stored"), first));
        let crowd = (1..=round).map(|n| {
            let (store, delivery) = (store.clone(), raw(first + n));
            tokio::spawn(async move { (store.receive(delivery).await.expect("stored"), first + n) })
        });
        for one in crowd.collect::<Vec<_>>() {
            given.push(one.await.expect("ends"));
        }
    }
    given.sort_unstable();
    let expected: Vec<i64> = (1..=given.len() as i64).collect();
    assert_eq!(given.iter().map(|(id, _)| *id).collect::<Vec<_>>(), expected, "each number once");
    let kept = numbers(&store, "SELECT received_ns FROM deliveries ORDER BY id").await;
    assert_eq!(kept, given.iter().map(|(_, n)| *n).collect::<Vec<_>>(), "each under its own number");
}
