//! The custom exporter whole: real servers, real commands, sources that mean harm, and the tutorial step by step.
#![allow(clippy::unwrap_used)] // a test fails by panic

mod command;
mod config;
mod http;
mod sql;
mod system;
mod tutorial;

use std::path::Path;
use tests::{Service, get_with};

/// A running exporter and its configuration.
struct Exporter {
    service: Service,
    file: tempfile::NamedTempFile,
}

impl Exporter {
    fn start(yaml: &str) -> Self {
        Self::start_with(yaml, &[])
    }

    fn start_with(yaml: &str, args: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let mut all = vec![format!("--config.file={}", file.path().display())];
        all.extend(args.iter().map(|&a| a.to_owned()));
        Self { service: Service::ours("custom-exporter", &all), file }
    }

    /// A scrape as Prometheus does it, with its time-out of 10 s; the page is read strictly.
    fn page(&self) -> Page {
        self.page_of("/metrics")
    }

    fn page_of(&self, path: &str) -> Page {
        let answer = get_with(&self.service.url(path), &[("X-Prometheus-Scrape-Timeout-Seconds", "10")]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        exposition::parse_text(&answer.body).unwrap_or_else(|e| panic!("{e}:\n{}", answer.text()));
        Page(answer.text())
    }
}

/// A page of metrics.
struct Page(String);

impl Page {
    /// The value of a series, as written.
    fn value(&self, series: &str) -> Option<&str> {
        self.0.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '))
    }

    /// Whether a source is up.
    fn up(&self, source: &str) -> bool {
        let series = format!("custom_exporter_source_up{{source=\"{source}\"}}");
        self.value(&series).unwrap_or_else(|| panic!("no {series} in\n{}", self.0)) == "1"
    }

    /// A source's errors of one reason.
    fn errors(&self, source: &str, reason: &str) -> u64 {
        let series = format!("custom_exporter_source_errors_total{{reason=\"{reason}\",source=\"{source}\"}}");
        self.value(&series).unwrap_or_else(|| panic!("no {series} in\n{}", self.0)).parse().unwrap()
    }
}

/// Processes whose command line holds a text.
fn processes_with(text: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let line = |dir: &Path| std::fs::read(dir.join("cmdline")).unwrap_or_default();
    all.filter(|e| String::from_utf8_lossy(&line(&e.path())).replace('\0', " ").contains(text)).count()
}
