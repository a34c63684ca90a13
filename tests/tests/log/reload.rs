//! Reloading: by signal and by request, good and bad.

use crate::exporter::{Place, RULES, SEEN, append, settles, value};
use rustix::process::Signal;
use tests::{free_port, get, post};

const GOOD: &str = "log_exporter_config_last_reload_successful";

#[test]
fn counts_stay_and_what_is_wrong_changes_nothing() {
    let inputs = "inputs:\n  - {type: file, paths: ['DIR/logs/*.log'], read_from_start: true}\n";
    let place = Place::usual();
    append(&place.log("app.log"), "line one\nother two\n");
    let service = place.start();
    settles(&service, SEEN, 1.0);
    assert_eq!(get(&service.url("/-/reload")).unwrap().status, 405);

    let more = "  - {name: others, regex: '^other', metrics: [{type: counter, name: others_total, help: Others.}]}\n";
    place.configure(&format!("{inputs}{RULES}{more}"));
    assert_eq!(post(&service.url("/-/reload"), b"").unwrap().status, 200);
    append(&place.log("app.log"), "line three\nother four\n");
    settles(&service, SEEN, 2.0);
    settles(&service, "others_total", 1.0);

    for (wrong, why) in [
        ("rules: [".to_owned(), "config.yml"),
        (format!("{inputs}rules:\n  - {{regex: '('}}\n"), "config.yml"),
        (format!("inputs:\n  - {{type: syslog, listen: 'tcp://127.0.0.1:{}'}}\n{RULES}", service.port), "listen"),
        (format!("inputs:\n  - {{type: http, path: /metrics}}\n{RULES}"), "/metrics"),
    ] {
        place.configure(&wrong);
        let answer = post(&service.url("/-/reload"), b"").unwrap();
        assert!(answer.status == 500 && answer.text().contains(why), "{wrong}: {}", answer.text());
        assert_eq!(value(&service, GOOD), Some(0.0));
    }
    append(&place.log("app.log"), "line five\n");
    settles(&service, SEEN, 3.0);

    place.configure(&format!("{inputs}{RULES}"));
    service.signal(Signal::HUP);
    tests::wait_until("a reload", std::time::Duration::from_secs(10), || value(&service, GOOD) == Some(1.0));
    append(&place.log("app.log"), "line six\n");
    settles(&service, SEEN, 4.0);
    assert_eq!(value(&service, "others_total"), None);
    assert_eq!(value(&service, "log_exporter_config_reloads_total{outcome=\"refused\"}"), Some(4.0));
}

#[test]
fn inputs_come_and_go() {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\n");
    let service = place.start();
    settles(&service, SEEN, 1.0);
    let port = free_port();
    for _ in 0..2 {
        // Listening on the same address again and again, with other options.
        for name in ["first", "second"] {
            place.configure(&format!(
                "inputs:\n  - {{type: syslog, name: {name}, listen: 'tcp://127.0.0.1:{port}'}}\n  - {{type: http, path: /{name}}}\n{RULES}"
            ));
            let answer = post(&service.url("/-/reload"), b"").unwrap();
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(post(&service.url(&format!("/{name}")), b"line").unwrap().status, 200);
            assert_eq!(post(&service.url("/nosuch"), b"line").unwrap().status, 404);
        }
    }
    settles(&service, SEEN, 5.0);
    // The file is read on where it was left.
    append(&place.log("app.log"), "line two\n");
    place.configure(&format!("inputs:\n  - {{type: file, paths: ['DIR/logs/app.log']}}\n{RULES}"));
    assert_eq!(post(&service.url("/-/reload"), b"").unwrap().status, 200);
    append(&place.log("app.log"), "line three\n");
    tests::wait_until("the file", std::time::Duration::from_secs(10), || {
        value(&service, SEEN).is_some_and(|n| n >= 6.0)
    });
}

#[test]
fn grok_exporters_flags_and_form() {
    let place = Place::new(
        "global: {config_version: 3}
input: {type: file, path: 'DIR/logs/app.log', readall: true}
imports: []
grok_patterns: ['WORD \\w+']
metrics:
  - {type: counter, name: words_total, help: Words., match: '^line %{WORD:word}', labels: {word: '{{.word}}'}}
server: {host: 127.0.0.1, port: 1, path: /other}
",
    );
    append(&place.log("app.log"), "line one\nline two\nnothing\n");
    let port = free_port();
    let mut command = std::process::Command::new(tests::binary("log-exporter"));
    // The flag wins over the file's port.
    command.arg("-config").arg(place.path("config.yml")).args(["-disable-exporter-metrics"]);
    command.arg(format!("-web.listen-address=127.0.0.1:{port}"));
    let service = tests::Service::start(command, port);
    let other = || get(&service.url("/other")).unwrap().text();
    tests::wait_until("the lines", std::time::Duration::from_secs(10), || {
        other().contains("words_total{word=\"two\"} 1")
    });
    let page = other();
    for line in [
        "grok_exporter_lines_total{status=\"matched\"} 2",
        "grok_exporter_lines_total{status=\"ignored\"} 1",
        "grok_exporter_lines_matching_total{metric=\"words_total\"} 2",
        "grok_exporter_line_buffer_load{interval=\"1m\",value=\"max\"}",
    ] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    assert!(page.contains("grok_exporter_build_info{") && !page.contains("promhttp"), "{page}");
    let run = |flag: &str| {
        let mut command = std::process::Command::new(tests::binary("log-exporter"));
        command.args([flag, "-config"]).arg(place.path("config.yml")).output().unwrap()
    };
    let shown = run("-showconfig");
    assert!(shown.status.success());
    assert!(String::from_utf8_lossy(&shown.stdout).contains("config_version: 3"));
    assert!(String::from_utf8_lossy(&run("-version").stdout).contains("log_exporter, version"));
}

#[test]
fn grok_exporters_https_with_client_certificates() {
    let (Some(curl), Some(openssl)) = (tests::program("curl"), tests::program("openssl")) else {
        tests::skip("curl or openssl is not installed");
        return;
    };
    let port = free_port();
    let place = Place::new(&format!(
        "global: {{config_version: 3}}
input: {{type: webhook, webhook_path: /lines, webhook_format: json_bulk}}
metrics:
  - type: counter
    name: lines_seen_total
    help: Lines.
    match: '^line'
    labels: {{plain: '{{{{index .extra \"user\"}}}}', nested: '{{{{index .extra \"x\" \"user\"}}}}'}}
server: {{protocol: https, host: 127.0.0.1, port: {port}, cert: DIR/cert, key: DIR/key, client_ca: DIR/cert}}
"
    ));
    let made = std::process::Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(place.path("key"))
        .arg("-out")
        .arg(place.path("cert"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let mut command = std::process::Command::new(tests::binary("log-exporter"));
    command.arg("-config").arg(place.path("config.yml"));
    let _service = tests::Service::start(command, port);
    let ask = |path: &str, with: &[&str]| {
        let mut command = std::process::Command::new(&curl);
        command.args(["-s", "--max-time", "20", "--cacert"]).arg(place.path("cert")).args(with);
        let out = command.arg(format!("https://localhost:{port}{path}")).output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned())
    };
    let (cert, key) = (place.path("cert").display().to_string(), place.path("key").display().to_string());
    let known = ["--cert", &*cert, "--key", &*key];
    let body = r#"[{"message":"line","user":"a"}]"#;
    assert!(ask("/lines", &[&known[..], &["-f", "-d", body]].concat()).0);
    let (good, page) = ask("/metrics", &known);
    assert!(good && page.contains("lines_seen_total{nested=\"a\",plain=\"a\"} 1"), "{page}");
    assert!(!ask("/metrics", &[]).0, "nobody gets in without a certificate");
}
