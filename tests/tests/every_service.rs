//! What every service has alike: health, readiness, version, help, metrics, a graceful end.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::process::Command;
use tests::{Service, binary, get, program, skip};

/// Each program with what it needs to start here.
fn services() -> Vec<(&'static str, Vec<String>, Option<tempfile::TempDir>)> {
    let dir = tempfile::tempdir().unwrap();
    let storage = format!("--storage.path={}", dir.path().display());
    vec![
        ("container-exporter", Vec::new(), None),
        ("custom-exporter", Vec::new(), None),
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
        tests::wait_until(&format!("{name} is ready"), std::time::Duration::from_secs(20), || {
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
        assert!(!asked(tests::free_port()).status.success(), "{name} finds health where nobody listens");
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

#[test]
fn promtool_reads_every_page() {
    let Some(promtool) = program("promtool") else {
        skip("promtool is not installed");
        return;
    };
    for (name, args, _dir) in services() {
        let service = Service::ours(name, &args);
        let page = get(&service.url("/metrics")).unwrap();
        assert_eq!(page.status, 200, "{name}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &page.body).unwrap();
        let out = Command::new(&promtool).args(["check", "metrics"]).stdin(file.reopen().unwrap()).output().unwrap();
        // 1 is a page that cannot be read; 3 is advice on names, which are the originals'.
        assert_ne!(out.status.code(), Some(1), "{name}: {}", String::from_utf8_lossy(&out.stderr));
    }
}
