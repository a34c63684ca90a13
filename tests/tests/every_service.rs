//! What every service has alike: health, readiness, version, help, metrics, a graceful end.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tests::{Service, binary, free_port, get, peer, program, skip};

/// Each program with what it needs to start here.
fn services() -> Vec<(&'static str, Vec<String>, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", dir.path().display());
    let rules = dir.path().join("rules.yml");
    std::fs::write(&rules, "rules: [{regex: ., metrics: [{type: counter, name: lines_total, help: Lines.}]}]").unwrap();
    let rules = format!("--config.file={}", rules.display());
    vec![
        ("container-exporter", Vec::new(), None),
        ("custom-exporter", Vec::new(), None),
        ("log-exporter", vec![rules], None),
        ("mysqld-exporter", vec!["--mysqld.username=nobody".into(), "--config.my-cnf=/nonexistent".into()], None),
        ("nginx-exporter", Vec::new(), None),
        ("node-exporter", Vec::new(), None),
        ("webhook-sink", vec![storage, "--print=off".into()], Some(dir)),
    ]
}

#[test]
fn health_readiness_and_a_graceful_end() {
    for (name, args, _dir) in services() {
        let mut service = Service::ours(name, &args);
        tests::wait_until(&format!("{name} is ready"), Duration::from_secs(20), || {
            get(&service.url("/-/ready")).is_some_and(|a| a.status == 200)
        });
        assert_eq!(get(&service.url("/-/healthy")).unwrap().status, 200, "{name}");
        assert_eq!(get(&service.url("/nosuch")).unwrap().status, 404, "{name}");
        let asked = |port: u16| {
            let address = format!("--web.listen-address=127.0.0.1:{port}");
            Command::new(binary(name)).args(["healthcheck", &address]).output().unwrap()
        };
        let healthy = asked(service.port);
        assert!(healthy.status.success(), "{name}: {}", String::from_utf8_lossy(&healthy.stderr));
        assert!(!asked(free_port()).status.success(), "{name} finds health where nobody listens");
        service.signal(rustix::process::Signal::TERM);
        assert_eq!(service.wait(), Some(0), "{name}: {}", service.log());
    }
}

#[test]
fn version_and_help_go_to_standard_output() {
    for (name, ..) in services() {
        for flag in ["--version", "--help"] {
            let out = Command::new(binary(name)).arg(flag).output().unwrap();
            assert!(out.status.success() && !out.stdout.is_empty() && out.stderr.is_empty(), "{name} {flag}");
        }
    }
}

/// promtool's findings on a page, one a line, each beginning with the metric it speaks of.
fn lint(promtool: &Path, page: &[u8]) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), page).unwrap();
    let out = Command::new(promtool).args(["check", "metrics"]).stdin(file.reopen().unwrap()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    // 1 is a page that cannot be read; 3 is advice on names.
    assert_ne!(out.status.code(), Some(1), "{text}");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn promtool_has_nothing_but_what_it_says_of_the_originals() {
    let Some(promtool) = program("promtool") else {
        skip("promtool is not installed");
        return;
    };
    for (name, args, _dir) in services() {
        let service = Service::ours(name, &args);
        let page = get(&service.url("/metrics")).unwrap();
        assert_eq!(page.status, 200, "{name}");
        let found = lint(&promtool, &page.body);
        let original = match name {
            "node-exporter" => "prometheus-node-exporter",
            "nginx-exporter" => "prometheus-nginx-exporter",
            // Names and units are the originals' by contract; their servers are not here.
            "mysqld-exporter" | "container-exporter" => continue,
            // So grok_exporter names it, which is not here.
            "log-exporter" => {
                let new: Vec<_> = found.iter().filter(|l| !l.contains("lines_processing_time_microseconds")).collect();
                assert!(new.is_empty(), "{name}: {new:#?}");
                continue;
            }
            _ => {
                assert_eq!(found, Vec::<String>::new(), "{name}");
                continue;
            }
        };
        let Some(original) = peer(original) else { continue };
        let port = free_port();
        let mut command = Command::new(original);
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let original = Service::start(command, port);
        let known = lint(&promtool, &get(&original.url("/metrics")).unwrap().body);
        let new: Vec<&String> = found.iter().filter(|line| !known.contains(line)).collect();
        assert!(new.is_empty(), "{name}: {new:#?}");
    }
}

/// Debian's Prometheus and, where it was fetched, a newer one.
fn prometheuses() -> Vec<PathBuf> {
    let found: Vec<PathBuf> = program("prometheus").into_iter().chain(peer("prometheus")).collect();
    if found.is_empty() {
        skip("prometheus is not installed");
    }
    found
}

#[test]
fn prometheus_scrapes_every_service_without_a_warning() {
    for prometheus in prometheuses() {
        // The old one asks for protobuf only with this feature on; the new one ignores it or has it on.
        for features in ["", "native-histograms"] {
            let running: Vec<_> = services().into_iter().map(|(n, a, dir)| (Service::ours(n, &a), dir)).collect();
            let ports: Vec<String> = running.iter().map(|(s, _)| format!("\"127.0.0.1:{}\"", s.port)).collect();
            let dir = tempfile::tempdir().unwrap();
            let config = dir.path().join("prometheus.yml");
            let jobs = format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
                 scrape_configs: [{{job_name: all, static_configs: [{{targets: [{}]}}]}}]\n",
                ports.join(", ")
            );
            std::fs::write(&config, jobs).unwrap();
            let port = free_port();
            let mut command = Command::new(&prometheus);
            command
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"));
            if !features.is_empty() {
                command.arg(format!("--enable-feature={features}"));
            }
            let server = Service::start(command, port);
            // Each target several times: a clash with the scrape before shows at the second one.
            let query = server
                .url("/api/v1/query?query=count(min_over_time(up[10s])==1%20and%20count_over_time(up[10s])%3E=4)");
            let want = format!(",\"{}\"]", running.len());
            tests::wait_until(&format!("{} to scrape all", prometheus.display()), Duration::from_mins(1), || {
                get(&query).is_some_and(|a| String::from_utf8_lossy(&a.body).contains(&want))
            });
            let log = server.log();
            let complaints: Vec<&str> = log
                .lines()
                .filter(|l| ["level=warn", "level=error", "level=WARN", "level=ERROR"].iter().any(|w| l.contains(w)))
                .filter(|l| l.contains("scrape") || l.contains("append") || l.contains("ingest"))
                .collect();
            assert!(complaints.is_empty(), "{} {features}: {complaints:#?}", prometheus.display());
        }
    }
}
