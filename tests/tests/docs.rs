//! The tables of `docs/reference/` are what the programs and the source say; `BONGSU_BLESS=1` writes them anew.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::{binary, repo};

/// Programs with their source folders.
const PROGRAMS: &[(&str, &str)] = &[
    ("container-exporter", "exporters/container/src"),
    ("custom-exporter", "custom-exporter/src"),
    ("log-exporter", "exporters/log/src"),
    ("mysqld-exporter", "exporters/mysqld/src"),
    ("nginx-exporter", "exporters/nginx/src"),
    ("node-exporter", "exporters/node/src"),
    ("webhook-sink", "webhook-sink/src"),
];

#[test]
fn the_reference_is_what_the_programs_say() {
    let mut stale = Vec::new();
    for (program, source) in PROGRAMS {
        let out = Command::new(binary(program)).arg("docs").output().unwrap();
        assert!(out.status.success(), "{program} docs: {}", String::from_utf8_lossy(&out.stderr));
        let mut text = format!(
            "# {program}: reference\n\nMade from the program by `cargo test -p tests --test docs` with `BONGSU_BLESS=1`.\n\n{}",
            String::from_utf8(out.stdout).unwrap()
        );
        let mut metrics = metrics(&repo().join(source));
        // The sink has nothing but instruments of its own.
        if *program == "webhook-sink" {
            metrics = registered(&repo().join(source).join("metrics.rs"));
        }
        let _ = write!(
            text,
            "\n## Metrics\n\nFamilies with a fixed name; those named at run time stand on the service's page.\n\n"
        );
        text.push_str("| family | type | help |\n|---|---|---|\n");
        for (name, kind, help) in metrics {
            let _ = writeln!(text, "| `{name}` | {kind} | {} |", help.replace('|', "\\|"));
        }
        let path = repo().join("docs/reference").join(format!("{program}.md"));
        if std::env::var_os("BONGSU_BLESS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != text {
            stale.push(path.display().to_string());
        }
    }
    assert!(stale.is_empty(), "stale, run with BONGSU_BLESS=1: {stale:?}");
}

/// Every `Desc::KIND("name", "help")` of a folder, sorted by name.
fn metrics(dir: &Path) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for file in files(dir) {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("\n#[cfg(test)]\n").next().unwrap();
        for (at, _) in code.match_indices("Desc::") {
            let rest = &code[at + "Desc::".len()..];
            let Some((kind, rest)) = rest.split_once('(') else { continue };
            if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
                continue;
            }
            let Some((name, rest)) = literal(rest) else { continue };
            let Some((help, _)) = rest.trim_start().strip_prefix(',').and_then(literal) else { continue };
            found.push((name, kind.to_owned(), help));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Every `registry.register("name", "help", this.field.clone())` of a file, sorted by name.
fn registered(file: &Path) -> Vec<(String, String, String)> {
    let text = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    for call in text.split("registry.register(").skip(1) {
        let Some((name, rest)) = literal(call) else { continue };
        let Some((help, rest)) = rest.trim_start().strip_prefix(',').and_then(literal) else { continue };
        let field = rest.split("this.").nth(1).and_then(|r| r.split('.').next()).unwrap_or_default();
        let kind = text
            .lines()
            .find_map(|l| l.trim().trim_start_matches("pub(crate) ").strip_prefix(field)?.strip_prefix(": "));
        let (name, kind) = match kind.unwrap_or_else(|| panic!("{name}: no field {field}")) {
            k if k.contains("Counter") => (format!("{name}_total"), "counter"),
            k if k.contains("Histogram") => (name, "histogram"),
            _ => (name, "gauge"),
        };
        found.push((name, kind.to_owned(), help));
    }
    found.sort();
    found
}

/// A string literal at the start of some source, with its escapes undone as far as help texts use them.
fn literal(source: &str) -> Option<(String, &str)> {
    let mut rest = source.trim_start().strip_prefix('"')?;
    let mut text = String::new();
    loop {
        let at = rest.find(['"', '\\'])?;
        text.push_str(&rest[..at]);
        if rest.as_bytes()[at] == b'"' {
            return Some((text, &rest[at + 1..]));
        }
        let escaped = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + escaped.len_utf8()..];
        match escaped {
            // A line that goes on swallows the blanks at the start of the next.
            '\n' => rest = rest.trim_start(),
            'n' => text.push(' '),
            other => text.push(other),
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            out.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
    out.sort();
    out
}
