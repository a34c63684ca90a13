//! Alertmanager's event recorder: what the webhook never tells is seen in an alert's history.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)] // tests fail by panic

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Service, free_port, get, peer, post, wait_until};

/// A sink, and an Alertmanager that tells it everything.
fn started() -> Option<(tempfile::TempDir, Service, Service)> {
    let alertmanager = peer("prometheus-alertmanager")?;
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", dir.path().join("data").display());
    let sink = Service::ours("webhook-sink", &[storage.as_str(), "--print=off"]);
    let config = dir.path().join("am.yml");
    let text = format!(
        "route: {{receiver: r, group_wait: 1s, group_interval: 1s, repeat_interval: 1s, group_by: [alertname]}}\n\
         receivers: [{{name: r, webhook_configs: [{{url: '{}'}}]}}]\n\
         event_recorder: {{webhook_outputs: [{{url: '{}'}}]}}\n",
        sink.url("/alerts"),
        sink.url("/events")
    );
    std::fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new(alertmanager);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.path().join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .args(["--cluster.listen-address=", "--enable-feature=event-recorder"]);
    let am = Service::start(command, port);
    wait_until("Alertmanager", Duration::from_mins(1), || get(&am.url("/-/ready")).is_some_and(|a| a.status == 200));
    Some((dir, sink, am))
}

/// Silences whatever is called `Real`, and answers the silence's id.
fn silence(am: &Service) -> String {
    let silence = json!({
        "matchers": [{"name": "alertname", "value": "Real", "isRegex": false, "isEqual": true}],
        "startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "ops", "comment": "known",
    });
    let made = post(&am.url("/api/v2/silences"), silence.to_string().as_bytes()).unwrap();
    assert_eq!(made.status, 200, "{}", made.text());
    made.json()["silenceID"].as_str().unwrap().to_owned()
}

#[test]
fn an_alert_that_was_silenced_from_its_start_has_a_page() {
    let Some((_dir, sink, am)) = started() else { return };
    let id = silence(&am);
    let fire = json!([{"labels": {"alertname": "Real", "team": "<b>db</b>"}, "annotations": {"summary": "디스크"}}]);
    assert_eq!(post(&am.url("/api/v2/alerts"), fire.to_string().as_bytes()).unwrap().status, 200);
    // Where it is found: the delivery of the recorder that tells of it.
    let links = || {
        let deliveries = get(&sink.url("/api/v1/deliveries")).unwrap().json();
        let ids = deliveries["deliveries"].as_array().unwrap().iter().filter_map(|d| d["id"].as_i64());
        let mut pages = ids.map(|id| get(&sink.url(&format!("/delivery/{id}"))).unwrap().text());
        let link = |page: &str| Some(page.split_once("<a href=\"/alert/")?.1.split_once('"')?.0.to_owned());
        pages.find_map(|page| link(&page))
    };
    wait_until("the recorder", Duration::from_mins(1), || links().is_some());
    let fingerprint = links().unwrap();
    let history = || get(&sink.url(&format!("/api/v1/alerts/{fingerprint}"))).unwrap();
    wait_until("the silence to be told", Duration::from_mins(1), || history().text().contains(&id));
    let told = history().json();
    assert_eq!((told["episodes"].as_array().unwrap().len(), &told["labels"]["team"]), (0, &json!("<b>db</b>")));
    assert_eq!(told["annotations"]["summary"], "디스크");
    let page = get(&sink.url(&format!("/alert/{fingerprint}"))).unwrap();
    let text = page.text();
    assert_eq!(page.status, 200);
    for wanted in ["<h1>Real</h1>", "디스크", "No message to this sink has told", "ops: known"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("<b>db</b>"), "{text}");
    assert_eq!(get(&sink.url("/alert/0000000000000000")).unwrap().status, 404);
    assert_eq!(get(&sink.url("/api/v1/alerts/0000000000000000")).unwrap().status, 404);
}

#[test]
fn a_silence_is_seen_as_it_begins_and_as_it_ends() {
    let Some((_dir, sink, am)) = started() else { return };
    let ask = |path: &str, body: &Value| post(&am.url(path), body.to_string().as_bytes()).unwrap();
    let fire = json!([{"labels": {"alertname": "Real"}, "annotations": {"summary": "디스크"}}]);
    assert_eq!(ask("/api/v2/alerts", &fire).status, 200);

    let newest = || get(&sink.url("/api/v1/alerts?q=alertname%3D%22Real%22")).unwrap().json()["alerts"][0].clone();
    wait_until("the alert to fire", Duration::from_mins(1), || newest()["state"] == "firing");
    let fingerprint = newest()["fingerprint"].as_str().unwrap().to_owned();
    let history = || get(&sink.url(&format!("/api/v1/alerts/{fingerprint}"))).unwrap().json();
    let id = silence(&am);

    wait_until("the silence to be known", Duration::from_mins(1), || {
        let history = history();
        history["episodes"][0]["state"] == "stale" && history["episodes"][0]["alertmanager"]["says"] == "silenced"
    });
    wait_until("it to be told of again", Duration::from_mins(1), || {
        history()["events"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e["event"] == "silenced" && e["times"].as_i64() > Some(1))
    });
    let told = history();
    let events = told["events"].as_array().unwrap();
    let silenced: Vec<_> = events.iter().filter(|e| e["event"] == "silenced").collect();
    assert_eq!(silenced.len(), 1, "one row however often it is told: {events:?}");
    assert_eq!((silenced[0]["by"].as_str(), silenced[0]["detail"].as_str()), (Some(id.as_str()), Some("ops: known")));
    for kind in ["created", "grouped", "notified"] {
        assert!(events.iter().any(|e| e["event"] == kind), "{kind}: {events:?}");
    }
    let page = get(&sink.url(&format!("/alert/{fingerprint}"))).unwrap().text();
    assert!(page.contains("What Alertmanager recorded") && page.contains("ops: known"), "{page}");

    let expired = ureq::delete(am.url(&format!("/api/v2/silence/{id}"))).call().unwrap();
    assert_eq!(expired.status(), 200);
    wait_until("the alert to fire again", Duration::from_mins(1), || {
        let episode = history()["episodes"][0].clone();
        episode["state"] == "firing" && episode["alertmanager"].is_null()
    });
}
