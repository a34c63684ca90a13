#![allow(clippy::unwrap_used)] // a test fails by panic

mod grok;
mod ours;
mod pages;

use super::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// A folder with a configuration and what it names.
struct Place(TempDir);

impl Place {
    fn new(yaml: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("c.yml", yaml);
        place
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("c.yml")
    }

    fn load(&self) -> Result<Config, ConfigError> {
        load(&self.path())
    }

    /// What is wrong with the configuration, less the folder's name.
    fn error(&self) -> String {
        let error = self.load().map(drop).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn loaded(yaml: &str) -> Config {
    Place::new(yaml).load().unwrap()
}

#[test]
fn files_that_are_none_are_refused() {
    let place = Place::new("");
    let missing = load(&place.0.path().join("x.yml")).map(drop).unwrap_err().to_string();
    assert!(missing.ends_with("x.yml: reading it: No such file or directory (os error 2)"), "{missing}");
    std::fs::write(place.path(), b"rules: \xff").unwrap();
    assert_eq!(place.error(), "c.yml: is not UTF-8");
    for (yaml, error) in [
        ("", "c.yml: rules: there is none; give rules or use"),
        ("- a", "c.yml: line 1:"),
        ("metrics: [", "c.yml: line 1:"),
        ("match: %{X}", "c.yml: line 1:"),
        ("metrics: []", "c.yml: global.config_version: missing; 2 and 3 are supported"),
        ("global: {}", "c.yml: global.config_version: missing; 2 and 3 are supported"),
    ] {
        let found = Place::new(yaml).error();
        assert!(found.starts_with(error), "{yaml}: {found}");
    }
}
