//! The exporter in a folder of its own.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::{Service, get};

/// A folder with a configuration, logs and a state.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
}

/// Counts every line that begins with `line`.
pub(crate) const RULES: &str = "
rules:
  - name: lines
    regex: '^line'
    metrics:
      - {type: counter, name: lines_seen_total, help: Lines.}
";
/// What [`RULES`] count.
pub(crate) const SEEN: &str = "lines_seen_total";

impl Place {
    /// With these inputs and rules; `DIR` in them is the folder.
    pub(crate) fn new(config: &str) -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(place.path("logs")).unwrap();
        place.configure(config);
        place
    }

    /// The usual: all files `logs/*.log` from their start, every line counted.
    pub(crate) fn usual() -> Self {
        Self::new(&format!("inputs:\n  - {{type: file, paths: ['DIR/logs/*.log'], read_from_start: true}}\n{RULES}"))
    }

    pub(crate) fn configure(&self, config: &str) {
        let dir = self.dir.path().display().to_string();
        std::fs::write(self.path("config.yml"), config.replace("DIR", &dir)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join("logs").join(name)
    }

    /// The exporter with a state.
    pub(crate) fn start(&self) -> Service {
        self.start_with(&[format!("--storage.path={}", self.path("state").display())])
    }

    pub(crate) fn start_with(&self, args: &[String]) -> Service {
        let mut all = vec![format!("--config.file={}", self.path("config.yml").display())];
        all.extend_from_slice(args);
        Service::ours("log-exporter", &all)
    }
}

/// Adds text to a file.
pub(crate) fn append(path: &Path, text: &str) {
    open(path).write_all(text.as_bytes()).unwrap();
}

/// A file that is appended to.
pub(crate) fn open(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).unwrap()
}

/// A series' value; `None` where it or the page is not there.
pub(crate) fn value(service: &Service, series: &str) -> Option<f64> {
    let page = get(&service.url("/metrics")).filter(|a| a.status == 200)?.text();
    let line = page.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until a series has this value, and sees that it stays.
#[track_caller]
pub(crate) fn settles(service: &Service, series: &str, expected: f64) {
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let got = value(service, series);
        if got == Some(expected) {
            break;
        }
        assert!(Instant::now() < end, "{series}: {got:?}, expected {expected}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(value(service, series), Some(expected), "{series} does not stay\n{}", service.log());
}
