//! What the webhook never says, asked of real Alertmanagers: silenced, inhibited, ended unseen.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tests::{Service, get, peer, post, program, skip, wait_until};

fn alertmanager(program: &Path, dir: &Path, sink_port: u16) -> Service {
    let config = dir.join("am.yml");
    // One message when a group begins, and then none for an hour: what happens after it, only the API tells.
    let text = format!(
        "route: {{receiver: sink, group_wait: 1s, group_interval: 1h, group_by: [alertname]}}\n\
         receivers: [{{name: sink, webhook_configs: [{{url: 'http://127.0.0.1:{sink_port}/alerts'}}]}}]\n\
         inhibit_rules: [{{source_matchers: ['role=\"source\"'], target_matchers: ['role=\"target\"'], equal: [host]}}]\n"
    );
    std::fs::write(&config, text).unwrap();
    let port = tests::free_port();
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", dir.join("am").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    let am = Service::start(command, port);
    wait_until("Alertmanager", Duration::from_mins(1), || get(&am.url("/-/ready")).is_some_and(|a| a.status == 200));
    am
}

fn alert(am: &Service, name: &str, role: &str, ended: bool) {
    let mut alert = json!({
        "labels": {"alertname": name, "role": role, "host": "h1"}, "annotations": {},
        "startsAt": "2026-01-01T00:00:00.987654321Z", "endsAt": "2099-01-01T00:00:00Z",
    });
    if ended {
        let now = Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap().stdout;
        alert["endsAt"] = String::from_utf8(now).unwrap().trim().into();
    }
    let answer = post(&am.url("/api/v2/alerts"), json!([alert]).to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn silence(am: &Service, name: &str) -> String {
    let silence = json!({
        "matchers": [{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}],
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z", "createdBy": "test", "comment": "test",
    });
    let answer = post(&am.url("/api/v2/silences"), silence.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["silenceID"].as_str().unwrap().to_owned()
}

fn expire(am: &Service, id: &str) {
    let done =
        Command::new("curl").args(["-fsS", "-X", "DELETE"]).arg(am.url(&format!("/api/v2/silence/{id}"))).status();
    assert!(done.unwrap().success());
}

/// The newest episode of an alert, with what Alertmanager says of it.
fn episode(sink: &Service, name: &str) -> Value {
    let list = get(&sink.url(&format!("/api/v1/alerts?q=alertname%3D%22{name}%22"))).unwrap().json();
    let Some(fingerprint) = list["alerts"][0]["fingerprint"].as_str() else { return Value::Null };
    get(&sink.url(&format!("/api/v1/alerts/{fingerprint}"))).unwrap().json()["episodes"][0].clone()
}

fn wait_for(sink: &Service, name: &str, state: &str, says: &str) -> Value {
    wait_until(&format!("{name} to be {state}, {says}"), Duration::from_secs(40), || {
        let found = episode(sink, name);
        found["state"] == state && (says.is_empty() || found["alertmanager"]["says"] == says)
    });
    episode(sink, name)
}

fn follows(program: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let port = tests::free_port();
    let am = alertmanager(program, dir.path(), port);
    let mut command = Command::new(tests::binary("webhook-sink"));
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--storage.path={}", dir.path().join("data").display()))
        .arg(format!("--alertmanager.url={}/", am.url("")))
        .args(["--alertmanager.interval=300ms", "--alertmanager.grace=4s", "--print=off"]);
    let sink = Service::start(command, port);
    for (name, role) in [("Silenced", "x"), ("Inhibited", "target"), ("Ended", "x"), ("Steady", "x")] {
        alert(&am, name, role, false);
        wait_for(&sink, name, "firing", "");
    }
    let id = silence(&am, "Silenced");
    let found = wait_for(&sink, "Silenced", "stale", "silenced");
    assert_eq!(found["alertmanager"]["by"], id.as_str());
    alert(&am, "Inhibitor", "source", false);
    let found = wait_for(&sink, "Inhibited", "stale", "inhibited");
    let source = wait_for(&sink, "Inhibitor", "firing", "");
    assert_eq!(found["alertmanager"]["by"], source["fingerprint"]);
    // The alert's own page says so too.
    let page = get(&sink.url(&format!("/alert/{}", found["fingerprint"].as_str().unwrap()))).unwrap().text();
    assert!(page.contains("Alertmanager: inhibited"), "{page}");
    let groups = get(&sink.url("/api/v1/groups")).unwrap().json();
    let count = |what: &str| groups["groups"].as_array().unwrap().iter().filter(|g| g[what] == 1).count();
    assert_eq!((count("firing"), count("stale")), (3, 2), "{groups}");

    expire(&am, &id);
    wait_for(&sink, "Silenced", "firing", "firing");
    // Ended without a word: its own message would come in an hour.
    alert(&am, "Ended", "x", true);
    let found = wait_for(&sink, "Ended", "resolved", "ended");
    assert!(found["ends_at"].as_str().unwrap() > "2026", "{found}");
    // A silenced one that ends does so at once.
    silence(&am, "Silenced");
    wait_for(&sink, "Silenced", "stale", "silenced");
    alert(&am, "Silenced", "x", true);
    wait_for(&sink, "Silenced", "resolved", "ended");
    let steady = wait_for(&sink, "Steady", "firing", "firing");
    assert_eq!(steady["starts_at_raw"], "2026-01-01T00:00:00.987654321Z");
    // An Alertmanager that is gone, or just came back and knows nothing yet, ends nothing.
    drop(am);
    std::thread::sleep(Duration::from_secs(2));
    wait_for(&sink, "Steady", "firing", "");
    let metrics = get(&sink.url("/metrics")).unwrap().text();
    let reachable = metrics.lines().find(|l| l.starts_with("webhook_sink_alertmanager_reachable{")).unwrap();
    assert!(reachable.ends_with(" 0"), "{reachable}");
    for to in ["silenced", "inhibited", "ended", "firing"] {
        assert!(metrics.contains(&format!("webhook_sink_reconciled_alerts_total{{to=\"{to}\"}}")), "{to}: {metrics}");
    }
}

#[test]
fn debians_alertmanager_is_followed() {
    match program("prometheus-alertmanager") {
        Some(path) => follows(&path),
        None => skip("no prometheus-alertmanager"),
    }
}

#[test]
fn the_newest_alertmanager_is_followed() {
    if let Some(path) = peer("prometheus-alertmanager") {
        follows(&path);
    }
}

#[test]
fn a_password_in_the_address_and_a_bad_address_are_refused() {
    for (flag, text) in [
        ("--alertmanager.url=http://u:p@127.0.0.1:1", "use --alertmanager.authorization-file"),
        ("--alertmanager.url=ftp://x", "--alertmanager.url"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let storage = format!("--storage.path={}", dir.path().display());
        let done = tests::refused("webhook-sink", &[flag, &storage]);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains(text) && !said.contains("u:p"), "{said}");
    }
}

fn openssl(dir: &Path, args: &str) {
    let done = Command::new("openssl").args(args.split(' ')).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Over TLS (and so HTTP/2), with a client certificate and the token of a file: as Alertmanager itself does it.
fn delivers_over_tls(program: &Path) {
    if tests::program("openssl").is_none() {
        return skip("no openssl");
    }
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let new = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(dir.path(), &format!("req -x509 {new} -keyout ca.key -out ca.pem -subj /CN=ca"));
    std::fs::write(at("san"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\n").unwrap();
    for name in ["server", "client"] {
        openssl(dir.path(), &format!("req {new} -keyout {name}.key -out {name}.csr -subj /CN=localhost"));
        openssl(
            dir.path(),
            &format!(
                "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out {name}.pem"
            ),
        );
    }
    std::fs::write(at("token"), "s3cret\n").unwrap();
    let web = format!(
        "tls_server_config: {{cert_file: {}, key_file: {}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: {}}}\n",
        at("server.pem"),
        at("server.key"),
        at("ca.pem")
    );
    std::fs::write(at("web.yml"), web).unwrap();
    let args = [
        format!("--storage.path={}", at("data")),
        format!("--web.config.file={}", at("web.yml")),
        format!("--web.receive-token-file={}", at("token")),
        "--print=off".to_owned(),
    ];
    let sink = Service::ours("webhook-sink", &args);
    let config = format!(
        "route: {{receiver: sink, group_wait: 1s, group_by: [alertname]}}\nreceivers:\n- name: sink\n  webhook_configs:\n  - url: 'https://localhost:{}//alerts/tls'\n    \
         http_config: {{authorization: {{credentials_file: {}}}, tls_config: {{ca_file: {}, cert_file: {}, key_file: {}}}}}\n",
        sink.port,
        at("token"),
        at("ca.pem"),
        at("client.pem"),
        at("client.key")
    );
    std::fs::write(at("am.yml"), config).unwrap();
    let port = tests::free_port();
    let mut command = Command::new(program);
    command
        .args([format!("--config.file={}", at("am.yml")), format!("--storage.path={}", at("am"))])
        .args([format!("--web.listen-address=127.0.0.1:{port}"), "--cluster.listen-address=".into()]);
    let am = Service::start(command, port);
    wait_until("Alertmanager", Duration::from_mins(1), || get(&am.url("/-/ready")).is_some_and(|a| a.status == 200));
    alert(&am, "OverTls", "x", false);
    let curl = |more: &[&str]| {
        let url = format!("https://localhost:{}/api/v1/deliveries?limit=1", sink.port);
        let done = Command::new("curl").args(["-sS", "--cacert", &at("ca.pem"), &url]).args(more).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let (cert, key) = (at("client.pem"), at("client.key"));
    let with = ["--cert", cert.as_str(), "--key", key.as_str()];
    wait_until("the delivery", Duration::from_mins(1), || curl(&with).contains("\"source\":\"tls\""));
    let delivery: Value = serde_json::from_str(&curl(&with)).unwrap();
    assert!(delivery["deliveries"][0]["user_agent"].as_str().unwrap().starts_with("Alertmanager/"), "{delivery}");
    assert_eq!(curl(&[]), "", "nobody without a certificate");
    assert!(!am.log().contains("level=warn component=dispatcher"), "{}", am.log());
}

#[test]
fn debians_alertmanager_delivers_over_tls_with_certificate_and_token() {
    match program("prometheus-alertmanager") {
        Some(path) => delivers_over_tls(&path),
        None => skip("no prometheus-alertmanager"),
    }
}

#[test]
fn the_newest_alertmanager_delivers_over_tls_with_certificate_and_token() {
    if let Some(path) = peer("prometheus-alertmanager") {
        delivers_over_tls(&path);
    }
}
