//! This machine's own numbers.

use super::Page;
use std::process::Command;
use tests::{Service, get, program, skip};

fn page(args: &[&str], path: &str) -> Page {
    let service = Service::ours("custom-exporter", args);
    let answer = get(&service.url(path)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    Page(answer.text())
}

#[test]
fn the_lab_document_s_two_metrics() {
    let page = page(&["--simulate"], "/metrics");
    let df = Command::new("df").args(["-B1", "--output=used,avail", "/"]).output().unwrap();
    let df = String::from_utf8_lossy(&df.stdout).into_owned();
    let numbers: Vec<f64> = df.lines().last().unwrap().split_whitespace().map(|n| n.parse().unwrap()).collect();
    // psutil.disk_usage('/').percent, but for its rounding; the disk may be written to meanwhile.
    let psutil = numbers[0] / (numbers[0] + numbers[1]) * 100.0;
    let ours: f64 = page.value("system_disk_usage_percent").unwrap().parse().unwrap();
    assert!((ours - psutil).abs() < 0.5, "ours {ours}, psutil's formula {psutil}");
    let celsius: f64 = page.value("system_cpu_temperature_celsius").unwrap().parse().unwrap();
    assert!((0.0..=100.0).contains(&celsius), "{celsius}");
}

#[test]
fn collectors_are_switched_and_chosen() {
    let all = page(&[], "/metrics");
    for family in ["system_cpu_usage_ratio", "system_load1", "system_memory_total_bytes"] {
        assert!(all.value(family).is_some(), "{family}");
    }
    assert!(!all.0.contains("system_process_group"), "the dear one is off");
    let one = page(&[], "/metrics?collect[]=memory");
    assert!(one.0.contains("system_memory_") && !one.0.contains("system_cpu_"));
    let less = page(&["--no-system.cpu"], "/metrics?exclude[]=memory");
    assert!(
        !less.0.contains("system_memory_") && !less.0.contains("system_cpu_usage") && less.0.contains("system_load1")
    );
    let processes = page(&["--system.process", "--system.process.top=3"], "/metrics?collect[]=process");
    let groups = processes.0.lines().filter(|l| l.starts_with("system_process_group_processes{")).count();
    assert!((3..=6).contains(&groups), "{}", processes.0);
}

#[test]
fn promtool_finds_nothing() {
    let Some(promtool) = program("promtool") else {
        skip("promtool is not installed");
        return;
    };
    let page = page(&["--system.process"], "/metrics");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &page.0).unwrap();
    let out = Command::new(promtool).args(["check", "metrics"]).stdin(file.reopen().unwrap()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    // The document's own name; everything else is up to us.
    let rest: Vec<&str> = said.lines().filter(|l| !l.starts_with("system_disk_usage_percent")).collect();
    assert!(rest.is_empty(), "{rest:#?}");
}
