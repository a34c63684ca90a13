//! The public dashboards of containers and nginx (grafana.com 14282, 193, 12708): a real Prometheus scrapes our exporters on a
//! real Docker Engine and a real nginx, and every expression of the dashboards has to find data.
#![allow(clippy::unwrap_used)] // a test fails by panic

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;
use tests::{Docker, Service, free_port, get, parity, peer, program, skip, wait_until};

/// A Prometheus that scrapes targets each second.
struct Prometheus {
    service: Service,
    _dir: tempfile::TempDir,
}

impl Prometheus {
    fn start(jobs: &[(&str, &Service)]) -> Option<Self> {
        let Some(prometheus) = program("prometheus").or_else(|| peer("prometheus")) else {
            skip("prometheus is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let job = |(job, target): &(&str, &Service)| {
            format!("- {{job_name: {job}, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}\n", target.port)
        };
        let jobs: String = jobs.iter().map(job).collect();
        let config = format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}");
        fs::write(dir.path().join("prometheus.yml"), config).unwrap();
        let port = free_port();
        let mut command = Command::new(prometheus);
        command
            .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let service = Service::start(command, port);
        let ready = || get(&service.url("/-/ready")).is_some_and(|a| a.status == 200);
        wait_until("Prometheus to be ready", Duration::from_mins(1), ready);
        Some(Self { service, _dir: dir })
    }

    /// The series that an expression finds now.
    fn query(&self, expression: &str) -> Vec<Value> {
        let escape = |b: u8| {
            if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }
        };
        let query: String = expression.bytes().map(escape).collect();
        let answer = get(&self.service.url(&format!("/api/v1/query?query={query}"))).unwrap();
        let json = answer.json();
        assert_eq!(json["status"], "success", "{expression}: {json}");
        json["data"]["result"].as_array().cloned().unwrap_or_default()
    }
}

/// A line of an `.exprs` file as Prometheus is asked it: every variable at "All".
fn asked(line: &str) -> Option<String> {
    let (kind, text) = line.split_once('\t')?;
    let text = ["$instance", "$host", "$container"].iter().fold(text.to_owned(), |t, v| t.replace(v, ".*"));
    if kind == "expr" {
        return Some(text);
    }
    // A variable's values: label_values(series, label).
    let (series, label) = text.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(',')?;
    Some(format!("count by ({}) ({series})", label.trim()))
}

/// Every expression of a dashboard has data, and all its metrics are there, as many as the originals gave.
fn check(prometheus: &Prometheus, dashboard: &str) {
    let Some(expressions) = parity(&format!("dashboards/{dashboard}.exprs")) else { return };
    let text = fs::read_to_string(&expressions).unwrap();
    let mut empty: Vec<String> = Vec::new();
    for line in text.lines().filter(|l| !l.is_empty()) {
        let expression = asked(line).unwrap_or_else(|| panic!("{dashboard}: {line}"));
        if prometheus.query(&expression).is_empty() {
            empty.push(expression);
        }
    }
    assert!(empty.is_empty(), "{dashboard}: no data for {empty:#?}");

    let metrics = fs::read_to_string(expressions.with_extension("txt")).unwrap();
    let metrics: BTreeSet<&str> =
        metrics.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split('\t').next()).collect();
    let there = metrics.iter().filter(|m| !prometheus.query(&format!("count({m})")).is_empty()).count();
    let baseline = fs::read_to_string(expressions.with_file_name("BASELINE.tsv")).unwrap();
    let row = baseline.lines().find_map(|l| l.strip_prefix(dashboard)?.strip_prefix('\t')).unwrap();
    assert!(there >= row.trim().parse().unwrap(), "{dashboard}: {there} of {} metrics, originals {row}", metrics.len());
}

#[test]
fn container_dashboards_have_data_everywhere() {
    let Some(docker) = Docker::start("dashboards") else { return };
    if !docker.has_network() {
        skip("no right to make a bridge: containers have no network here");
        return;
    }
    docker.container(&["--name=bt-dash", "--memory=64m", "--cpus=.5"], "while :; do sleep .1; done");
    docker.container(&["--name=bt-dash-2"], "dd if=/dev/zero of=/tmp/f bs=1M count=2; sleep 1000");
    let docker_flag = format!("--docker={}", docker.host);
    let exporter = Service::ours("container-exporter", &[&*docker_flag, "--podman=", "--containerd=", "--cri="]);
    let Some(prometheus) = Prometheus::start(&[("cadvisor", &exporter)]) else { return };
    wait_until("three scrapes", Duration::from_mins(1), || {
        let seen = prometheus.query("min(count_over_time(container_last_seen{name=~\"bt-dash.*\"}[1m]))");
        seen.first().is_some_and(|s| s["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 3.0)
    });
    for dashboard in ["14282-cadvisor", "193-docker-monitoring"] {
        check(&prometheus, dashboard);
    }
    // The numbers mean what the panels say they mean.
    let names = prometheus.query("sum(rate(container_cpu_usage_seconds_total{name=~\".+\"}[5m])) by (name) * 100");
    assert!(names.iter().any(|s| s["metric"]["name"] == "bt-dash"), "{names:?}");
    // An end is seen at the next scrape, without the five minutes that explicit times cost.
    docker.run(&["rm", "-f", "bt-dash-2"]);
    wait_until("the series to end", Duration::from_secs(20), || {
        prometheus.query("container_last_seen{name=\"bt-dash-2\"}").is_empty()
    });
}

#[test]
fn the_nginx_dashboard_has_data_everywhere() {
    let Some(nginx) = program("nginx") else {
        skip("nginx is not installed");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (path, port) = (dir.path().display(), free_port());
    let config = format!(
        "daemon off; user root; pid {path}/pid; error_log {path}/error.log; events {{}}
         http {{
           access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
           uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
           server {{ listen 127.0.0.1:{port}; location /stub_status {{ stub_status; }} }}
         }}"
    );
    fs::write(dir.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-c").arg(dir.path().join("nginx.conf"));
    let mut nginx = Service::start(command, port);
    let exporter = Service::ours("nginx-exporter", &[format!("--nginx.scrape-uri={}", nginx.url("/stub_status"))]);
    if let Some(prometheus) = Prometheus::start(&[("nginx", &exporter)]) {
        wait_until("three scrapes", Duration::from_mins(1), || {
            let seen = prometheus.query("count_over_time(nginx_up[1m])");
            seen.first().is_some_and(|s| s["value"][1].as_str().unwrap().parse::<f64>().unwrap() >= 3.0)
        });
        check(&prometheus, "12708-nginx");
    }
    // The master ends its workers; a kill would orphan them.
    nginx.signal(rustix::process::Signal::TERM);
    nginx.wait();
}
