//! Passing on: stand-ins that answer as the providers document, outages, kills and hostile labels.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::format_push_string)] // tests fail by panic

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Provider, Service, get, post, wait_until};

fn sink(dir: &Path, config: &str) -> Service {
    let file = dir.join("sink.yml");
    std::fs::write(&file, config).unwrap();
    let storage = format!("--storage.path={}", dir.join("data").display());
    let config = format!("--config.file={}", file.display());
    Service::ours("webhook-sink", &[storage.as_str(), config.as_str(), "--print=off"])
}

fn message(group: &str, status: &str, instances: &[&str]) -> Vec<u8> {
    let end = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T14:00:00Z" };
    let alerts: Vec<Value> = instances
        .iter()
        .map(|i| {
            serde_json::json!({
                "status": status, "labels": {"alertname": group, "severity": "critical", "instance": i},
                "annotations": {"summary": format!("{i} <!channel> @everyone <b>x</b>")},
                "startsAt": "2026-11-22T13:00:00Z", "endsAt": end, "generatorURL": "",
            })
        })
        .collect();
    serde_json::json!({
        "receiver": "ops", "status": status, "alerts": alerts, "groupKey": format!("{{}}:{{alertname=\"{group}\"}}"),
        "groupLabels": {"alertname": group}, "commonLabels": {"alertname": group}, "commonAnnotations": {},
        "externalURL": "http://am.example", "version": "4", "truncatedAlerts": 0,
    })
    .to_string()
    .into_bytes()
}

fn send(sink: &Service, body: &[u8]) -> i64 {
    let answer = post(&sink.url("/alerts"), body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["id"].as_i64().unwrap()
}

fn states(sink: &Service) -> Vec<String> {
    let rows = get(&sink.url("/api/v1/outbox")).unwrap().json();
    let rows = rows["outbox"].as_array().unwrap().clone();
    rows.iter().rev().map(|r| r["state"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn each_provider_gets_its_own_form_and_nobody_is_mentioned() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, path| match path {
        p if p.starts_with("/bot") => (200, "", r#"{"ok":true,"result":{"message_id":1}}"#.into()),
        "/discord" => (204, "", String::new()),
        "/teams" => (202, "", String::new()),
        _ => (200, "", "ok".into()),
    });
    std::fs::write(dir.path().join("token"), "123:abc\n").unwrap();
    let token = dir.path().join("token").display().to_string();
    let kinds = ["slack", "teams", "discord", "google_chat", "mattermost", "http"];
    let mut config = String::from("targets:\n");
    for kind in kinds {
        config += &format!("- {{name: {kind}, type: {kind}, url: '{}'}}\n", provider.url(&format!("/{kind}")));
    }
    config += &format!(
        "- {{name: telegram, type: telegram, url: '{}', token_file: {token}, channel: '-100'}}\n",
        provider.url("")
    );
    config +=
        &format!("routes:\n- {{matchers: ['severity=\"critical\"'], targets: [{}, telegram]}}\n", kinds.join(", "));
    let sink = sink(dir.path(), &config);
    send(&sink, &message("NginxDown", "firing", &["web1"]));
    let seen = provider.wait_for(7);
    for tests::Request { path, body, .. } in &seen {
        let text = body.to_string();
        match path.as_str() {
            "/http" => assert_eq!(body["alerts"][0]["labels"]["instance"], "web1"),
            "/slack" => assert_eq!(body["attachments"][0]["color"], "#b4161b"),
            "/teams" => assert_eq!(body["attachments"][0]["contentType"], "application/vnd.microsoft.card.adaptive"),
            "/discord" => assert_eq!(body["allowed_mentions"]["parse"], serde_json::json!([])),
            p if p.starts_with("/google_chat?messageReplyOption") => assert!(body["thread"]["threadKey"].is_string()),
            "/bot123:abc/sendMessage" => assert_eq!(body["parse_mode"], "HTML"),
            "/mattermost" => {}
            other => panic!("{other}"),
        }
        if path != "/http" {
            assert!(text.contains("NginxDown") && text.contains("web1"), "{path}: {text}");
            assert!(!text.contains("<!channel>") && !text.contains("<b>x</b>"), "{path}: {text}");
        }
        if ["/mattermost", "/discord", "/teams"].contains(&path.as_str()) {
            assert!(!text.contains("@everyone"), "{path}: {text}");
        }
    }
    wait_until("all to be sent", Duration::from_secs(30), || states(&sink).iter().all(|s| s == "sent"));
    assert!(!sink.log().contains("123:abc"), "a secret is in the log");
    assert!(!get(&sink.url("/metrics")).unwrap().text().contains("123:abc"));
}

#[test]
fn slacks_bot_keeps_one_message_a_round_and_puts_details_into_its_thread() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", r#"{"ok":true,"channel":"C1","ts":"17.5"}"#.into()));
    std::fs::write(dir.path().join("token"), "xoxb-1").unwrap();
    let config = format!(
        "targets: [{{name: s, type: slack_bot, url: '{}', token_file: {}, channel: ops, rate: 50}}]\nroutes: [{{targets: [s]}}]\n",
        provider.url("/api"),
        dir.path().join("token").display()
    );
    let sink = sink(dir.path(), &config);
    send(&sink, &message("A", "firing", &["a"]));
    provider.wait_for(1);
    wait_until("the first to be written down", Duration::from_secs(30), || states(&sink) == ["sent"]);
    send(&sink, &message("A", "resolved", &["a"]));
    let seen = provider.wait_for(3);
    assert_eq!(seen[0].path, "/api/chat.postMessage");
    assert_eq!(
        (seen[1].path.as_str(), &seen[1].body["ts"], &seen[1].body["channel"]),
        ("/api/chat.update", &"17.5".into(), &"C1".into())
    );
    assert_eq!((seen[2].path.as_str(), &seen[2].body["thread_ts"]), ("/api/chat.postMessage", &"17.5".into()));
}

#[test]
fn an_outage_and_a_kill_end_with_each_groups_newest_state_once() {
    let dir = tempfile::tempdir().unwrap();
    let port = tests::free_port();
    let config = format!(
        "targets: [{{name: t, type: http, url: 'http://127.0.0.1:{port}/', rate: 100}}]\nroutes: [{{targets: [t]}}]\n"
    );
    let mut first = sink(dir.path(), &config);
    let groups = ["A", "B", "C"];
    for group in groups {
        send(&first, &message(group, "firing", &["a"]));
        send(&first, &message(group, "firing", &["a", "b"]));
    }
    wait_until("attempts to fail", Duration::from_secs(30), || {
        get(&first.url("/metrics")).unwrap().text().contains("outcome=\"later\",target=\"t\"")
    });
    first.signal(rustix::process::Signal::KILL);
    first.wait();
    let sink = sink(dir.path(), &config);
    for group in groups {
        send(&sink, &message(group, "resolved", &["a", "b"]));
    }
    // The target comes back.
    let provider = Provider::start_on(port, |_, _| (200, "", "ok".into()));
    wait_until("the newest states", Duration::from_secs(30), || {
        states(&sink).iter().filter(|s| *s == "sent").count() >= 3 && !states(&sink).iter().any(|s| s == "pending")
    });
    let seen = provider.seen();
    for group in groups {
        let of: Vec<&Value> = seen.iter().map(|r| &r.body).filter(|b| b["title"] == group).collect();
        assert_eq!(of.iter().filter(|b| b["status"] == "resolved").count(), 1, "{group}: {of:?}");
        assert_eq!(of.last().unwrap()["status"], "resolved");
    }
}

#[test]
fn retry_after_is_kept_a_refusal_is_a_dead_letter_and_can_be_retried() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|n, _| match n {
        1 => (429, "Retry-After: 2\r\n", "{\"retry_after\": 2}".into()),
        2 => (404, "", "no_team".into()),
        _ => (200, "", "ok".into()),
    });
    let config = format!(
        "targets: [{{name: s, type: slack, url: '{}'}}]\nroutes: [{{targets: [s]}}]\n",
        provider.url("/services/T0/B0/secret-part")
    );
    let sink = sink(dir.path(), &config);
    let start = std::time::Instant::now();
    send(&sink, &message("A", "firing", &["a"]));
    provider.wait_for(2);
    assert!(start.elapsed() >= Duration::from_secs(2), "Retry-After was not kept: {:?}", start.elapsed());
    wait_until("the dead letter", Duration::from_secs(30), || states(&sink) == ["dead"]);
    assert!(!sink.log().contains("secret-part"), "{}", sink.log());
    let answer = get(&sink.url("/api/v1/outbox")).unwrap().json()["outbox"][0].clone();
    assert!(answer["answer"].as_str().unwrap().contains("no_team"));
    let retried = post(&sink.url(&format!("/api/v1/outbox/{}/retry", answer["id"])), b"").unwrap();
    assert_eq!(retried.status, 200, "{}", retried.text());
    wait_until("the retry", Duration::from_secs(30), || states(&sink) == ["sent"]);
    assert!(get(&sink.url("/api/v1/audit")).unwrap().text().contains("retry"));
    // Only names that the configuration has: no address comes from a request.
    let replay = post(&sink.url("/api/v1/deliveries/1/replay?target=http://169.254.169.254/"), b"").unwrap();
    assert_eq!(replay.status, 400);
    let replay = post(&sink.url("/api/v1/deliveries/1/replay?target=s"), b"").unwrap();
    assert_eq!(replay.status, 200, "{}", replay.text());
    provider.wait_for(4);
}

#[test]
fn a_redirect_leads_nowhere_and_no_template_or_replay_names_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let inside = Provider::start(|_, _| (200, "", "secret".into()));
    let location: &'static str =
        Box::leak(format!("Location: {}\r\n", inside.url("/latest/meta-data")).into_boxed_str());
    let provider = Provider::start(move |n, _| ([301, 302, 307, 308][(n - 1) % 4], location, String::new()));
    let config = format!(
        "targets: [{{name: s, type: http, url: '{}', template: t, rate: 100}}]\nroutes: [{{targets: [s]}}]\n\
         templates: {{t: \"{{{{ alerts[0].generator_url }}}}\"}}\n",
        provider.url("/hook")
    );
    let sink = sink(dir.path(), &config);
    for group in ["A", "B", "C", "D"] {
        let body = String::from_utf8(message(group, "firing", &["a"])).unwrap();
        send(
            &sink,
            body.replace("\"generatorURL\":\"\"", &format!("\"generatorURL\":\"{}\"", inside.url("/x"))).as_bytes(),
        );
    }
    provider.wait_for(4);
    wait_until("dead letters", Duration::from_secs(30), || states(&sink) == ["dead"; 4]);
    for target in [inside.url("/"), "file:///etc/passwd".into(), "s/../x".into(), String::new()] {
        let replay = post(&sink.url(&format!("/api/v1/deliveries/1/replay?target={target}")), b"").unwrap();
        assert_eq!(replay.status, 400, "{target}");
    }
    assert!(inside.seen().is_empty(), "{:?}", inside.seen());
}

#[test]
fn a_message_that_somebody_deleted_at_slack_is_posted_anew() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|n, path| {
        if path.ends_with("chat.update") {
            return (200, "", r#"{"ok":false,"error":"message_not_found"}"#.into());
        }
        (200, "", format!(r#"{{"ok":true,"channel":"C1","ts":"17.{n}"}}"#))
    });
    std::fs::write(dir.path().join("token"), "xoxb-1").unwrap();
    let config = format!(
        "targets: [{{name: s, type: slack_bot, url: '{}', token_file: {}, channel: ops, rate: 50}}]\nroutes: [{{targets: [s]}}]\n",
        provider.url("/api"),
        dir.path().join("token").display()
    );
    let sink = sink(dir.path(), &config);
    send(&sink, &message("A", "firing", &["a"]));
    provider.wait_for(1);
    wait_until("the first to be written down", Duration::from_secs(30), || states(&sink) == ["sent"]);
    send(&sink, &message("A", "firing", &["a", "b"]));
    let seen = provider.wait_for(3);
    assert_eq!((seen[1].path.as_str(), seen[2].path.as_str()), ("/api/chat.update", "/api/chat.postMessage"));
    assert_eq!(seen[2].header("authorization"), Some("Bearer xoxb-1"));
    wait_until("the second to be written down", Duration::from_secs(30), || states(&sink) == ["sent", "sent"]);
}

#[test]
fn what_was_being_sent_at_a_kill_is_sent_once_more_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|n, _| {
        if n == 1 {
            std::thread::sleep(Duration::from_secs(30));
        }
        (200, "", "ok".into())
    });
    let config = format!(
        "targets: [{{name: t, type: http, url: '{}', timeout: 60s}}]\nroutes: [{{targets: [t]}}]\n",
        provider.url("/")
    );
    let mut first = sink(dir.path(), &config);
    send(&first, &message("A", "firing", &["a"]));
    assert_eq!(provider.wait_for(1)[0].body["again"], false);
    first.signal(rustix::process::Signal::KILL);
    first.wait();
    let sink = sink(dir.path(), &config);
    let seen = provider.wait_for(2);
    assert_eq!(seen[1].body["again"], true);
    assert_eq!(seen[0].header("idempotency-key"), seen[1].header("idempotency-key"));
    wait_until("it to be written down", Duration::from_secs(30), || states(&sink) == ["sent"]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(provider.seen().len(), 2);
}

#[test]
fn a_watchdog_that_falls_silent_raises_an_alert_and_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", "ok".into()));
    let config = format!(
        "targets: [{{name: t, type: http, url: '{}', rate: 100}}]\nwatchdogs: [{{name: prom, matchers: ['alertname=\"Watchdog\"'], after: 6s, targets: [t]}}]\n",
        provider.url("/")
    );
    let mut sink = sink(dir.path(), &config);
    let watchdog = |n: u32| {
        let body = message("Watchdog", "firing", &["prom"]);
        String::from_utf8(body).unwrap().replace("13:00:00", &format!("13:00:{n:02}")).into_bytes()
    };
    send(&sink, &watchdog(1));
    let seen = provider.wait_for(1);
    assert_eq!(
        (seen[0].body["title"].as_str(), seen[0].body["status"].as_str()),
        (Some("WatchdogMissing"), Some("firing"))
    );
    // A start is no sign of life of the watchdog.
    sink.signal(rustix::process::Signal::TERM);
    sink.wait();
    let sink = self::sink(dir.path(), &config);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(provider.seen().len(), 1, "{:?}", provider.seen().iter().map(|r| &r.body).collect::<Vec<_>>());
    send(&sink, &watchdog(2));
    let seen = provider.wait_for(2);
    assert_eq!(
        (seen[1].body["title"].as_str(), seen[1].body["status"].as_str()),
        (Some("WatchdogMissing"), Some("resolved"))
    );
}

#[test]
fn a_target_that_keeps_failing_is_told_of_elsewhere_until_it_takes_messages_again() {
    let dir = tempfile::tempdir().unwrap();
    let port = tests::free_port();
    let other = Provider::start(|_, _| (200, "", "ok".into()));
    let config = format!(
        "targets: [{{name: down, type: http, url: 'http://127.0.0.1:{port}/', rate: 100}}, {{name: other, type: http, url: '{}', rate: 100}}]\n\
         routes: [{{targets: [down]}}]\nfailing_targets: {{after: 3s, targets: [other]}}\n",
        other.url("/")
    );
    let sink = sink(dir.path(), &config);
    send(&sink, &message("A", "firing", &["a"]));
    let told = other.wait_for(1)[0].body.clone();
    assert_eq!((&told["title"], &told["status"]), (&"TargetFailing".into(), &"firing".into()));
    assert_eq!(told["alerts"][0]["labels"]["target"], "down");
    let back = Provider::start_on(port, |_, _| (200, "", "ok".into()));
    assert_eq!(back.wait_for(1)[0].body["title"], "A", "what waited is sent");
    let told = other.wait_for(2)[1].body.clone();
    assert_eq!((&told["title"], &told["status"]), (&"TargetFailing".into(), &"resolved".into()));
    // What the configuration no longer watches ends as well.
    let text = std::fs::read_to_string(dir.path().join("sink.yml")).unwrap();
    let watched = "watchdogs: [{name: w, matchers: ['alertname=\"None\"'], after: 1s, targets: [other]}]\n";
    std::fs::write(dir.path().join("sink.yml"), format!("{text}{watched}")).unwrap();
    assert_eq!(post(&sink.url("/-/reload"), b"").unwrap().status, 200);
    assert_eq!(other.wait_for(3)[2].body["title"], "WatchdogMissing");
    std::fs::write(dir.path().join("sink.yml"), &text).unwrap();
    assert_eq!(post(&sink.url("/-/reload"), b"").unwrap().status, 200);
    wait_until("the end of what nobody watches", Duration::from_mins(1), || {
        let list = get(&sink.url("/api/v1/alerts?q=alertname%3D%22WatchdogMissing%22")).unwrap().json();
        list["alerts"][0]["state"] == "resolved"
    });
}

#[test]
fn a_command_gets_the_note_on_its_standard_input() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.json");
    let config = format!(
        "targets: [{{name: c, type: command, command: [/bin/sh, -c, 'cat > {}']}}]\nroutes: [{{targets: [c]}}]\n",
        out.display()
    );
    let sink = sink(dir.path(), &config);
    send(&sink, &message("A", "firing", &["a"]));
    wait_until("the command", Duration::from_secs(30), || states(&sink) == ["sent"]);
    let note: Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(note["title"], "A");
}

#[test]
fn a_template_that_fails_sends_the_built_in_words_and_a_mistyped_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", "ok".into()));
    let config = |template: &str| {
        let url = provider.url("/");
        format!(
            "targets: [{{name: t, type: slack, url: '{url}', rate: 100, template: x}}]\nroutes: [{{targets: [t]}}]\ntemplates: {{x: '{template}'}}\n"
        )
    };
    // Good for groups of two alerts and more.
    let sink = sink(dir.path(), &config("{{ alerts[1].labels.instance }} is the second"));
    send(&sink, &message("one", "firing", &["a"]));
    let text = provider.wait_for(1)[0].body.to_string();
    assert!(text.contains("(template x: ") && !text.contains("is the second"), "{text}");
    send(&sink, &message("two", "firing", &["a", "b"]));
    let text = provider.wait_for(2)[1].body.to_string();
    assert!(text.contains("b is the second") && !text.contains("(template x: "), "{text}");
    std::fs::write(dir.path().join("bad.yml"), config("{{ title|toUper }}")).unwrap();
    let bad = format!("--config.file={}", dir.path().join("bad.yml").display());
    let refused = tests::refused("webhook-sink", &[bad.as_str(), "--config.check"]);
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("template x") && text.contains("toUper"), "{text}");
}

#[test]
fn a_bad_configuration_ends_the_start_with_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sink.yml");
    std::fs::write(&file, "targets:\n- name: a\n  type: slack\n  colour: red\n").unwrap();
    let done = std::process::Command::new(tests::binary("webhook-sink"))
        .args([format!("--config.file={}", file.display()), format!("--storage.path={}", dir.path().display())])
        .arg("--web.listen-address=127.0.0.1:0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1));
    let error = text.lines().last().unwrap();
    assert!(error.contains("config.file") && error.contains("sink.yml") && error.contains("colour"), "{error}");
}
