//! Steering the sink: the configuration while it runs, tokens, the audit log, redirects that must not be.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::format_push_string)] // tests fail by panic

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tests::{Provider, Service, get, get_with, post, post_with, wait_until};

fn sink(dir: &Path, more: &[&str]) -> Service {
    let storage = format!("--storage.path={}", dir.join("data").display());
    let mut args = vec![storage.as_str(), "--print=off"];
    args.extend(more);
    Service::ours("webhook-sink", &args)
}

fn metric(sink: &Service, series: &str) -> f64 {
    let page = get(&sink.url("/metrics")).unwrap().text();
    let line = page.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {series} in\n{page}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn message(name: &str) -> Vec<u8> {
    format!(
        r#"{{"receiver":"r","status":"firing","alerts":[{{"status":"firing","labels":{{"alertname":"{name}"}},"startsAt":"2026-11-22T13:09:50Z"}}],"commonLabels":{{"alertname":"{name}"}},"groupKey":"{name}"}}"#
    )
    .into_bytes()
}

fn audit(sink: &Service) -> Vec<(String, String, String)> {
    let log = get(&sink.url("/api/v1/audit")).unwrap().json();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = log["audit"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "action"), text(row, "detail"), text(row, "remote"))).collect()
}

const RELOADED: &str = "webhook_sink_config_last_reload_successful";

#[test]
fn a_reload_takes_effect_and_a_bad_file_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", "ok".into()));
    let file = dir.path().join("sink.yml");
    let write = |targets: &[(&str, &str)], to: &str| {
        let mut text = String::from("targets:\n");
        for (name, path) in targets {
            text += &format!("- {{name: {name}, type: http, url: '{}', rate: 100}}\n", provider.url(path));
        }
        text += &format!("routes: [{{targets: [{to}]}}]\n");
        std::fs::write(&file, text).unwrap();
    };
    write(&[("a", "/first")], "a");
    let sink = sink(dir.path(), &[&format!("--config.file={}", file.display())]);
    post(&sink.url("/alerts"), &message("One")).unwrap();
    assert_eq!(provider.wait_for(1)[0].path, "/first");

    // Another address for the same target, and a new one beside it.
    write(&[("a", "/second"), ("b", "/third")], "a, b");
    let answer = post(&sink.url("/-/reload"), b"").unwrap();
    assert_eq!((answer.status, answer.json()["targets"].clone()), (200, 2.into()), "{}", answer.text());
    post(&sink.url("/alerts"), &message("Two")).unwrap();
    let mut paths: Vec<String> = provider.wait_for(3)[1..].iter().map(|r| r.path.clone()).collect();
    paths.sort();
    assert_eq!(paths, ["/second", "/third"]);
    assert_eq!(metric(&sink, RELOADED).to_bits(), 1.0_f64.to_bits());

    std::fs::write(&file, "targets: [{name: a, type: slack, colour: red}]\n").unwrap();
    let answer = post(&sink.url("/-/reload"), b"").unwrap();
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("colour") && answer.text().contains("sink.yml"), "{}", answer.text());
    assert_eq!(metric(&sink, RELOADED).to_bits(), 0.0_f64.to_bits());
    post(&sink.url("/alerts"), &message("Three")).unwrap();
    assert_eq!(provider.wait_for(5).len(), 5, "the old configuration stays in force");

    // A target that is gone gets nothing more, and comes back.
    write(&[("b", "/third")], "b");
    sink.signal(rustix::process::Signal::HUP);
    wait_until("the reload by signal", Duration::from_secs(30), || metric(&sink, RELOADED) > 0.0);
    assert_eq!(post(&sink.url("/api/v1/deliveries/1/replay?target=a"), b"").unwrap().status, 400);
    post(&sink.url("/alerts"), &message("Four")).unwrap();
    assert_eq!(provider.wait_for(6)[5].path, "/third");
    write(&[("a", "/fourth")], "a");
    assert_eq!(post(&sink.url("/-/reload"), b"").unwrap().status, 200);
    post(&sink.url("/alerts"), &message("Five")).unwrap();
    assert_eq!(provider.wait_for(7)[6].path, "/fourth");

    let reloads: Vec<_> = audit(&sink).into_iter().filter(|(action, ..)| action == "reload").collect();
    assert_eq!(reloads.len(), 4, "{reloads:?}");
    assert_eq!(reloads[1].2, "SIGHUP");
    assert!(reloads[2].1.contains("colour"), "{reloads:?}");
    assert!(reloads[3].2.starts_with("127.0.0.1:"), "{reloads:?}");
    assert_eq!(get(&sink.url("/-/reload")).unwrap().status, 405);
}

#[test]
fn a_file_that_changed_is_gone_by_without_being_told() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, _| (200, "", "ok".into()));
    // As Kubernetes mounts it: a link to a folder that is swapped for another.
    let write = |version: &str, text: &str| {
        let folder = dir.path().join(version);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("sink.yml"), text).unwrap();
        std::os::unix::fs::symlink(version, dir.path().join("next")).unwrap();
        std::fs::rename(dir.path().join("next"), dir.path().join("data")).unwrap();
    };
    let config = |path: &str| {
        format!(
            "targets: [{{name: a, type: http, url: '{}', rate: 100}}]\nroutes: [{{targets: [a]}}]\n",
            provider.url(path)
        )
    };
    write("v1", &config("/first"));
    let file = format!("--config.file={}", dir.path().join("data/sink.yml").display());
    let storage = format!("--storage.path={}", dir.path().join("store").display());
    let sink = Service::ours(
        "webhook-sink",
        &[storage.as_str(), file.as_str(), "--print=off", "--config.auto-reload-interval=200ms"],
    );
    std::thread::sleep(Duration::from_secs(2));
    assert!(audit(&sink).is_empty(), "nothing has changed yet: {:?}", audit(&sink));
    write("v2", &config("/second"));
    wait_until("the change to be seen", Duration::from_secs(30), || !audit(&sink).is_empty());
    assert_eq!((audit(&sink)[0].0.as_str(), audit(&sink)[0].2.as_str()), ("reload", "file change"));
    post(&sink.url("/alerts"), &message("One")).unwrap();
    assert_eq!(provider.wait_for(1)[0].path, "/second");
    // A bad one is told of once and changes nothing.
    write("v3", "targets: [{name: a, type: slack, colour: red}]\n");
    wait_until("the fault to be seen", Duration::from_secs(30), || metric(&sink, RELOADED) == 0.0);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(audit(&sink).len(), 2);
    post(&sink.url("/alerts"), &message("Two")).unwrap();
    assert_eq!(provider.wait_for(2)[1].path, "/second");
}

#[test]
fn a_message_that_waits_goes_to_the_corrected_address_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let provider = Provider::start(|_, path| match path {
        "/wrong" => (503, "Retry-After: 3600\r\n", "later".into()),
        _ => (200, "", "ok".into()),
    });
    let file = dir.path().join("sink.yml");
    let write = |path: &str| {
        let url = provider.url(path);
        std::fs::write(
            &file,
            format!("targets: [{{name: a, type: http, url: '{url}'}}]\nroutes: [{{targets: [a]}}]\n"),
        )
        .unwrap();
    };
    write("/wrong");
    let sink = sink(dir.path(), &[&format!("--config.file={}", file.display())]);
    post(&sink.url("/alerts"), &message("One")).unwrap();
    provider.wait_for(1);
    write("/right");
    assert_eq!(post(&sink.url("/-/reload"), b"").unwrap().status, 200);
    assert_eq!(provider.wait_for(2)[1].path, "/right");
}

#[test]
fn a_hangup_without_a_configuration_does_not_end_the_sink() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    sink.signal(rustix::process::Signal::HUP);
    wait_until("the audit log", Duration::from_secs(30), || !audit(&sink).is_empty());
    assert_eq!(post(&sink.url("/alerts"), &message("One")).unwrap().status, 200);
    assert!(post(&sink.url("/-/reload"), b"").unwrap().text().contains("no --config.file"));
}

#[test]
fn senders_show_their_token_and_a_new_one_is_read_from_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let sink = sink(dir.path(), &[&format!("--web.receive-token-file={}", file.display())]);
    let send = |path: &str, token: &str| {
        let token = format!("Bearer {token}");
        post_with(&sink.url(path), &[("authorization", &token)], &message("One")).unwrap()
    };
    for path in ["/alerts", "/alerts/", "/alerts/x", "/events", "/raw/x", "//alerts"] {
        let without = post(&sink.url(path), &message("One")).unwrap();
        assert_eq!((without.status, without.header("www-authenticate")), (401, Some("Bearer")), "{path}");
        assert_eq!(send(path, "wrong").status, 401, "{path}");
        assert_eq!(send(path, "first").status, 200, "{path}");
    }
    assert_eq!(metric(&sink, "webhook_sink_unauthorized_total").to_bits(), 12.0_f64.to_bits());
    assert_eq!(get(&sink.url("/")).unwrap().status, 200, "reading is not what the token is for");
    std::fs::write(&file, "second\n").unwrap();
    wait_until("the new token", Duration::from_secs(10), || send("/alerts", "second").status == 200);
    assert_eq!(send("/alerts", "first").status, 401);
    // Nobody can know now: the sender is to come again, not to give up.
    std::fs::remove_file(&file).unwrap();
    wait_until("the lost file", Duration::from_secs(10), || send("/alerts", "second").status == 503);
    assert!(send("/alerts", "second").header("retry-after").is_some());
    std::fs::write(&file, "third\n").unwrap();
    wait_until("the file to be back", Duration::from_secs(10), || send("/alerts", "third").status == 200);
    for secret in ["first", "second", "third"] {
        assert!(!sink.log().contains(secret), "{}", sink.log());
    }
    let refused = tests::refused("webhook-sink", &["--web.receive-token-file=/nowhere/token".to_owned()]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--web.receive-token-file: cannot read /nowhere/token"));
}

#[test]
fn writing_calls_need_the_admin_token_in_any_of_its_forms() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "t&k =%").unwrap();
    let sink = sink(dir.path(), &[&format!("--web.admin-token-file={}", file.display())]);
    let calls =
        ["/-/reload", "/api/v1/outbox/1/retry", "/api/v1/replay?target=x", "/outbox/1/drop", "/delivery/1/replay"];
    for path in calls {
        assert_eq!(post(&sink.url(path), b"").unwrap().status, 401, "{path}");
        let wrong = [("authorization", "Bearer x"), ("x-admin-token", "x"), ("cookie", "admin=x")];
        assert!(wrong.iter().all(|h| post_with(&sink.url(path), &[*h], b"").unwrap().status == 401), "{path}");
    }
    assert_eq!(get(&sink.url("/api/v1/audit")).unwrap().status, 401);
    assert_eq!(get_with(&sink.url("/api/v1/audit"), &[("authorization", "Bearer t&k =%")]).unwrap().status, 200);
    assert_eq!(get_with(&sink.url("/api/v1/audit"), &[("x-admin-token", "t&k =%")]).unwrap().status, 200);
    // By the page's form.
    assert!(get(&sink.url("/outbox")).unwrap().text().contains("action=\"/login\""));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(post_with(&sink.url("/login"), &form, b"token=x&back=/outbox").unwrap().status, 401);
    let login = post_with(&sink.url("/login"), &form, b"token=t%26k+%3D%25&back=//evil.example").unwrap();
    assert_eq!((login.status, login.header("location")), (303, Some("/")), "no other site to go back to");
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    assert_eq!(get_with(&sink.url("/api/v1/audit"), &[("cookie", cookie)]).unwrap().status, 200);
    let page = get_with(&sink.url("/outbox"), &[("cookie", cookie)]).unwrap().text();
    assert!(!page.contains("action=\"/login\""));
    // With the token, but from another site's page.
    for foreign in [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = post_with(&sink.url("/-/reload"), &[("cookie", cookie), foreign], b"").unwrap();
        assert_eq!(answer.status, 403, "{foreign:?}");
    }
    assert!(!sink.log().contains("t&k"), "{}", sink.log());
}

#[test]
fn no_form_of_the_receive_paths_is_a_redirect() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &[]);
    for path in
        ["//alerts", "/alerts//", "//alerts//team", "/./alerts", "/x/../alerts", "/%61lerts", "//raw//x", "//events"]
    {
        let answer = post(&sink.url(path), &message("One")).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
}

#[test]
fn the_example_and_the_documented_configuration_are_good() {
    let dir = tempfile::tempdir().unwrap();
    let docs = std::fs::read_to_string(tests::repo().join("docs/webhook-sink.md")).unwrap();
    let documented = docs.split("```yaml\n").find(|block| block.starts_with("targets:")).unwrap();
    let file = dir.path().join("documented.yml");
    std::fs::write(&file, documented.split("```").next().unwrap()).unwrap();
    for file in [file, tests::repo().join("deploy/webhook-sink/sink.example.yml")] {
        let done = std::process::Command::new(tests::binary("webhook-sink"))
            .args([format!("--config.file={}", file.display()), "--config.check".into()])
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .output()
            .unwrap();
        assert!(done.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&done.stderr));
    }
    assert!(!dir.path().join("data").exists(), "a check touches nothing");
}
