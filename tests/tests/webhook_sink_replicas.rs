//! Pages, API, watchdogs and reconciliation on PostgreSQL with two replicas.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

#[expect(dead_code, reason = "the store's own tests use the rest")]
#[path = "webhook_sink_store/server.rs"]
mod server;

use std::time::Duration;

use server::Postgres;
use tests::{Provider, get, post, wait_until};

fn message(name: &str, status: &str) -> Vec<u8> {
    let end = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T14:00:00Z" };
    format!(
        r#"{{"receiver":"r","status":"{status}","alerts":[{{"status":"{status}","labels":{{"alertname":"{name}","severity":"critical"}},"annotations":{{"summary":"메모리 부족"}},"startsAt":"2026-11-22T13:09:50Z","endsAt":"{end}"}}],"commonLabels":{{"alertname":"{name}"}},"externalURL":"http://am","groupKey":"{name}"}}"#
    )
    .into_bytes()
}

#[test]
fn a_reload_reaches_every_replica_and_files_that_differ_show() {
    let Some(postgres) = Postgres::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = Provider::start(|_, _| (200, "", "ok".into()));
    let files = [dir.path().join("first.yml"), dir.path().join("second.yml")];
    let write = |which: usize, path: &str| {
        let url = target.url(path);
        let text =
            format!("targets: [{{name: t, type: http, url: '{url}', rate: 1000}}]\nroutes: [{{targets: [t]}}]\n");
        std::fs::write(&files[which], text).unwrap();
    };
    write(0, "/old");
    write(1, "/old");
    let [first, second] = [0, 1].map(|which: usize| {
        // Nothing but the word of the other one makes it look.
        postgres.sink(&[&format!("--config.file={}", files[which].display()), "--config.auto-reload-interval=0s"])
    });
    let replicas = |sink: &tests::Service| get(&sink.url("/api/v1/replicas")).unwrap().json()["replicas"].clone();
    let same = |sink: &tests::Service, wanted: usize| {
        let all = replicas(sink);
        let all = all.as_array().unwrap();
        all.len() == 2 && all.iter().filter(|r| r["same_config"] == true).count() == wanted
    };
    wait_until("both to be there", Duration::from_secs(30), || same(&first, 2) && same(&second, 2));

    write(0, "/new");
    write(1, "/new");
    assert_eq!(post(&second.url("/-/reload"), b"").unwrap().status, 200);
    let audit = |sink: &tests::Service| get(&sink.url("/api/v1/audit")).unwrap().text();
    wait_until("the other one to follow", Duration::from_secs(30), || audit(&first).contains("another replica"));
    wait_until("both to say so", Duration::from_secs(30), || same(&first, 2) && same(&second, 2));
    std::thread::sleep(Duration::from_secs(5));
    let reloads = postgres.sql("SELECT count(*) FROM audit WHERE action = 'reload'");
    assert_eq!(reloads, ["2"], "one each, and nobody answers an answer");
    post(&first.url("/alerts"), &message("A", "firing")).unwrap();
    post(&second.url("/alerts"), &message("B", "firing")).unwrap();
    assert!(target.wait_for(2).iter().all(|r| r.path == "/new"));

    // A change that reached one of them only.
    write(0, "/other");
    assert_eq!(post(&first.url("/-/reload"), b"").unwrap().status, 200);
    wait_until("the difference to show", Duration::from_secs(30), || same(&first, 1) && same(&second, 1));
    let metrics = |sink: &tests::Service| get(&sink.url("/metrics")).unwrap().text();
    wait_until("the metric", Duration::from_secs(30), || {
        [&first, &second].iter().all(|s| metrics(s).contains("webhook_sink_differing_replicas 1"))
    });
    assert!(get(&first.url("/health")).unwrap().text().contains("another one than here"));
    // One that ends takes itself off the list.
    let mut second = second;
    second.signal(rustix::process::Signal::TERM);
    second.wait();
    assert_eq!(replicas(&first).as_array().unwrap().len(), 1);
}

#[test]
fn every_page_and_call_works_on_postgresql_and_two_replicas_tell_once() {
    let Some(postgres) = Postgres::start(false) else { return };
    let dir = tempfile::tempdir().unwrap();
    let target = Provider::start(|_, _| (200, "", "ok".into()));
    // What fires in the sink has ended in this Alertmanager, but for what is silenced.
    let silenced = std::sync::Arc::new(std::sync::Mutex::new(String::from("[]")));
    let shown = std::sync::Arc::clone(&silenced);
    let alertmanager = Provider::start(move |_, path| match path {
        "/api/v2/status" => (200, "", r#"{"uptime":"2020-01-01T00:00:00.000Z"}"#.into()),
        _ => (200, "", shown.lock().unwrap().clone()),
    });
    let file = dir.path().join("sink.yml");
    let text = format!(
        "targets: [{{name: t, type: http, url: '{}', rate: 1000}}]\nroutes: [{{targets: [t]}}]\n\
         watchdogs: [{{name: prom, matchers: ['alertname=\"Watchdog\"'], after: 5s, targets: [t]}}]\n",
        target.url("/")
    );
    std::fs::write(&file, text).unwrap();
    let args = [
        format!("--config.file={}", file.display()),
        format!("--alertmanager.url={}", alertmanager.url("")),
        "--alertmanager.interval=500ms".into(),
        "--alertmanager.grace=1h".into(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (first, second) = (postgres.sink(&args), postgres.sink(&args));
    for (sink, name, status) in
        [(&first, "A", "firing"), (&second, "B", "firing"), (&first, "B", "resolved"), (&second, "C", "firing")]
    {
        assert_eq!(post(&sink.url("/alerts"), &message(name, status)).unwrap().status, 200, "{name}");
    }
    post(&first.url("/alerts"), b"broken").unwrap();
    let count = |sql: &str| postgres.sql(sql)[0].parse::<i64>().unwrap();
    wait_until("the watchdog's alert", Duration::from_mins(1), || {
        count("SELECT count(*) FROM deliveries WHERE source = 'webhook-sink'") > 0
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        count("SELECT count(*) FROM deliveries WHERE source = 'webhook-sink'"),
        1,
        "told by both replicas: {:?}",
        postgres.sql("SELECT received_ns || convert_from(body, 'UTF8') FROM deliveries WHERE source = 'webhook-sink'")
    );
    let told: Vec<_> = target.seen().into_iter().filter(|r| r.body["title"] == "WatchdogMissing").collect();
    assert_eq!(told.len(), 1, "{told:?}");

    let alerts = get(&second.url("/api/v1/alerts?q=alertname%3D%22A%22")).unwrap().json();
    let fingerprint = alerts["alerts"][0]["fingerprint"].as_str().unwrap().to_owned();
    *silenced.lock().unwrap() = format!(
        r#"[{{"fingerprint":"{fingerprint}","startsAt":"2026-11-22T13:09:50.000Z","status":{{"state":"suppressed","silencedBy":["s1"]}}}}]"#
    );
    let history = format!("/api/v1/alerts/{fingerprint}");
    wait_until("the silence to be seen", Duration::from_secs(30), || {
        let episode = get(&second.url(&history)).unwrap().json()["episodes"][0].clone();
        episode["state"] == "stale" && episode["alertmanager"]["says"] == "silenced"
    });

    let alert = format!("/alert/{fingerprint}");
    for sink in [&first, &second] {
        for path in [
            "/",
            "/?q=severity%3D%22critical%22",
            "/?q=%EB%A9%94%EB%AA%A8%EB%A6%AC",
            "/?state=stale",
            &alert,
            "/deliveries",
            "/delivery/1",
            "/outbox",
            "/health",
            &history,
            "/api/v1/groups?all=true",
            "/api/v1/stats",
            "/api/v1/labels?prefix=al",
            "/api/v1/labels?name=alertname",
            "/api/v1/deliveries",
            "/api/v1/outbox?state=sent&target=t",
            "/api/v1/audit",
            "/api/v1/invalid",
            "/api/v1/export?format=ndjson",
            "/metrics",
            "/api/v1/alerts?from=2020-01-01T00:00:00Z&to=2099-01-01T00:00:00Z",
        ] {
            let answer = get(&sink.url(path)).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
    }
    for (path, wanted) in [
        ("/-/reload", 200),
        ("/api/v1/deliveries/1/replay?target=t", 200),
        ("/api/v1/replay?target=t&from=2020-01-01T00:00:00Z&dry_run=true", 200),
        ("/api/v1/replay?target=t&from=2020-01-01T00:00:00Z", 200),
        ("/api/v1/outbox/999999/drop", 404),
    ] {
        let answer = post(&second.url(path), b"").unwrap();
        assert_eq!(answer.status, wanted, "{path}: {}", answer.text());
    }
    assert!(get(&first.url("/api/v1/audit")).unwrap().text().contains("replay"), "what one writes the other shows");
    // The watchdog comes back: one word of that as well.
    post(&first.url("/alerts"), &message("Watchdog", "firing")).unwrap();
    wait_until("the end to be told", Duration::from_mins(1), || {
        count("SELECT count(*) FROM deliveries WHERE source = 'webhook-sink'") > 1
    });
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(count("SELECT count(*) FROM deliveries WHERE source = 'webhook-sink'"), 2);
}
