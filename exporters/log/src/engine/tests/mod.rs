#![allow(clippy::unwrap_used)] // a test fails by panic

mod allocations;
mod contract;
mod ours;
mod samples;

use super::*;
use crate::config;
use exposition::Page;
use std::path::PathBuf;

/// A configuration as a file.
pub(super) fn load(yaml: &str) -> config::Config {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), yaml).unwrap();
    config::load(file.path()).unwrap()
}

pub(super) fn engine(yaml: &str) -> Engine {
    let config = load(yaml);
    Engine::new(config.rules, config.limits)
}

/// A grok_exporter configuration with these metrics.
pub(super) fn grok(metrics: &str) -> String {
    format!("global:\n  config_version: 3\nmetrics:\n{metrics}")
}

pub(super) fn at(millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_hours(500_000) + Duration::from_millis(millis)
}

impl Engine {
    pub(super) fn line(&mut self, text: &str) -> Outcome {
        self.line_of("", text, 0)
    }

    pub(super) fn line_of(&mut self, file: &str, text: &str, millis: u64) -> Outcome {
        let line = Line { bytes: text.as_bytes(), file, input: "file", extra: None };
        self.take(&line, at(millis))
    }

    pub(super) fn lines_of_file(&mut self, bytes: &[u8]) {
        for bytes in bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|b| *b == b'\n') {
            self.take(&Line { bytes, file: "", input: "file", extra: None }, at(0));
        }
    }

    /// The metrics as a page says them, without help and type.
    pub(super) fn text(&self) -> String {
        self.page(false)
    }

    /// The metrics and what the engine tells of itself.
    pub(super) fn page(&self, own: bool) -> String {
        let mut part = Part::new();
        if own {
            self.emit_own("own", &mut part);
        } else {
            self.emit(at(0), &mut part);
        }
        let mut out = Vec::new();
        let (page, conflicts) = Page::merge(vec![part]);
        assert_eq!(conflicts, []);
        page.write_text(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.split_inclusive('\n').filter(|l| !l.starts_with('#')).collect()
    }
}

/// A real log of the contract; `None`, said aloud, where the contract is not at hand.
pub(super) fn sample(name: &str) -> Option<Vec<u8>> {
    let root = std::env::var_os("BONGSU_PARITY")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/parity")), PathBuf::from);
    let path = root.join("log").join(name);
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        eprintln!("skipped: {} is not there", path.display());
    }
    bytes
}
