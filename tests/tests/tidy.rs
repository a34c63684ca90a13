//! The invariants of ARCHITECTURE.md, held by reading the source.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tests::repo;

/// A crate folder and what its code may not depend on, with the reason in ARCHITECTURE.md.
const NEVER: &[(&str, &[&str])] = &[
    (
        "exporters/toolkit/exposition",
        &["tokio", "axum", "hyper", "rustix", "libc", "hostfs", "service", "exporter", "tracing", "prometheus-client"],
    ),
    ("exporters/toolkit/hostfs", &["tokio", "axum", "hyper", "exposition", "service", "exporter", "prometheus-client"]),
    ("exporters/toolkit/golayout", &["tokio", "axum", "jiff", "rustix", "service", "exporter"]),
    ("exporters/toolkit/service", &["exposition", "hostfs", "exporter", "prometheus-client"]),
];

/// Crates that each are one program: none may depend on another of them.
const PROGRAMS: &[(&str, &str)] = &[
    ("node-exporter", "exporters/node"),
    ("mysqld-exporter", "exporters/mysqld"),
    ("nginx-exporter", "exporters/nginx"),
    ("container-exporter", "exporters/container"),
    ("log-exporter", "exporters/log"),
    ("custom-exporter", "custom-exporter"),
    ("webhook-sink", "webhook-sink"),
];

/// Crates whose collectors read the host, which they do through `Sources` alone.
const HOST_READERS: &[&str] = &["exporters/node/src", "exporters/container/src"];

/// Places that may do what the rule forbids, a reason each.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("exporters/node/src/sys/btrfs.rs", "host file", "an ioctl needs the folder itself; its path comes from Sources"),
    ("exporters/node/src/sys/nvme.rs", "host file", "an ioctl needs the device node; its path comes from Sources"),
    (
        "exporters/node/src/collectors/supervisord/endpoint.rs",
        "http in a collector",
        "supervisord speaks XML-RPC over HTTP: the source, not the answer",
    ),
    (
        "exporters/toolkit/hostfs/src/netlink/table.rs",
        "mark",
        "started by another test in a network namespace of its own",
    ),
    ("tests/tests/mysqld/bench.rs", "mark", "a measurement, which tests/bench/mysqld starts"),
];

#[test]
fn data_flows_one_way() {
    let mut wrong = Vec::new();
    for (dir, never) in NEVER {
        for name in dependencies(dir) {
            if never.contains(&name.as_str()) {
                wrong.push(format!("{dir} depends on {name}"));
            }
        }
    }
    for (_, dir) in PROGRAMS {
        for name in dependencies(dir) {
            if PROGRAMS.iter().any(|(program, _)| *program == name) {
                wrong.push(format!("{dir} depends on the program {name}"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn host_files_are_opened_through_sources() {
    let banned = ["std::fs::read", "fs::read(", "fs::read_to_string", "fs::read_dir", "File::open", "rustix::fs::open"];
    none(&lines_with("host file", HOST_READERS, |line| banned.iter().any(|b| line.contains(b))));
}

#[test]
fn collectors_know_no_http_and_no_text() {
    let dirs =
        ["exporters/node/src/collectors", "exporters/mysqld/src/collectors", "exporters/container/src/collectors"];
    let banned = ["axum::", "hyper::", ".write_text(", "Content-Type"];
    none(&lines_with("http in a collector", &dirs, |line| banned.iter().any(|b| line.contains(b))));
}

#[test]
fn nothing_is_process_wide() {
    let held = ["OnceLock<", "LazyLock<", "Mutex<", "RwLock<", "Atomic", "OnceCell<"];
    let all = ["exporters", "custom-exporter", "webhook-sink"];
    none(&lines_with("process-wide state", &all, |line| {
        let line = line.trim_start().trim_start_matches("pub ").trim_start_matches("pub(crate) ");
        line.starts_with("static mut ") || (line.starts_with("static ") && held.iter().any(|h| line.contains(h)))
    }));
}

#[test]
fn unsafe_code_stays_in_sys() {
    let mut wrong = Vec::new();
    for file in sources(&["exporters", "custom-exporter", "webhook-sink", "tests"]) {
        let path = shown(&file);
        if path.ends_with("/sys.rs") || path.contains("/sys/") || path.contains("/tests/") || path.contains("/benches/")
        {
            continue;
        }
        let text = code(&file);
        for (number, line) in text.lines().enumerate() {
            let words = line.split("//").next().unwrap_or_default();
            if words.contains("unsafe {") || words.contains("unsafe fn") || words.contains("unsafe impl") {
                wrong.push(format!("{path}:{}: unsafe outside a sys module", number + 1));
            }
        }
    }
    none(&allowed("unsafe", wrong));
}

#[test]
fn mains_are_short_and_files_have_a_noun() {
    let mut wrong = Vec::new();
    for file in sources(&["exporters", "custom-exporter", "webhook-sink", "tests"]) {
        let path = shown(&file);
        let text = fs::read_to_string(&file).unwrap();
        if path.ends_with("src/main.rs") && text.lines().count() > 30 {
            wrong.push(format!("{path}: more than 30 lines"));
        }
        let stem = file.file_stem().unwrap().to_string_lossy().into_owned();
        if ["util", "utils", "helper", "helpers", "common", "misc"].contains(&stem.as_str()) {
            wrong.push(format!("{path}: a name that says nothing"));
        }
        let lines = code(&file).lines().filter(|l| !l.trim().is_empty()).count();
        if !path.contains("/tests/") && lines > MOST_LINES {
            wrong.push(format!("{path}: {lines} lines of code; split it by noun"));
        }
    }
    none(&allowed("length", wrong));
}

#[test]
fn registered_collectors_stand_in_order() {
    // Those of mysqld stand in the order of their full names, which are not those of their modules.
    let file = "exporters/node/src/collectors/mod.rs";
    let text = fs::read_to_string(repo().join(file)).unwrap();
    let (_, slice) = text.split_once("ALL: &[").unwrap();
    let slice = slice.split_once("&[").map_or(slice, |(_, s)| s);
    let slice = slice.split("];").next().unwrap_or_default();
    let names: Vec<&str> = slice.split(',').map(str::trim).filter(|n| !n.is_empty()).collect();
    assert!(names.len() > 50, "{file}: no slice ALL found");
    let sorted = names.iter().zip(names.iter().skip(1)).find(|(a, b)| a > b);
    assert!(sorted.is_none(), "{file}: {sorted:?} out of order");
}

#[test]
fn nothing_unfinished_and_no_path_of_a_machine() {
    let marks = ["todo!(", "unimplemented!(", "#[ignore", "TO\u{44}O", "FIX\u{4d}E", "allow(dead_code)"];
    let mut wrong = Vec::new();
    for file in sources(&["exporters", "custom-exporter", "webhook-sink", "tests"]) {
        if file.ends_with("tidy.rs") {
            continue;
        }
        for (number, line) in fs::read_to_string(&file).unwrap().lines().enumerate() {
            if let Some(mark) = marks.iter().find(|m| line.contains(**m)) {
                wrong.push(format!("{}:{}: {mark}", shown(&file), number + 1));
            }
        }
    }
    none(&allowed("mark", wrong));
}

#[test]
fn each_deliberate_difference_stands_in_the_docs() {
    let docs = fs::read_to_string(repo().join("docs/differences.md")).unwrap();
    let mut wrong = Vec::new();
    for file in sources(&["exporters", "custom-exporter", "webhook-sink"]) {
        let path = shown(&file);
        if fs::read_to_string(&file).unwrap().contains("Differs from") && !docs.contains(&path) {
            wrong.push(format!("{path}: differs from an original; say so in docs/differences.md"));
        }
    }
    none(&wrong);
}

/// The packages that a crate's code (not its tests) depends on.
fn dependencies(dir: &str) -> Vec<String> {
    let manifest = fs::read_to_string(repo().join(dir).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let name = |line: &str| line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned();
    section.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(name).collect()
}

/// All Rust files below some folders.
fn sources(dirs: &[&str]) -> Vec<PathBuf> {
    fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                out.push(path);
            }
        }
    }
    let mut out = Vec::new();
    for dir in dirs {
        walk(&repo().join(dir), &mut out);
    }
    out.sort();
    out
}

/// A file without its unit tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.split("\n#[cfg(test)]\n").next().unwrap_or_default().to_owned()
}

fn shown(file: &Path) -> String {
    file.strip_prefix(repo()).unwrap_or(file).display().to_string()
}

fn lines_with(rule: &str, dirs: &[&str], banned: impl Fn(&str) -> bool) -> Vec<String> {
    let dirs: Vec<&str> = dirs.iter().copied().filter(|d| repo().join(d).is_dir()).collect();
    let mut wrong = Vec::new();
    for file in sources(&dirs) {
        for (number, line) in code(&file).lines().enumerate() {
            if !line.trim_start().starts_with("//") && banned(line) {
                wrong.push(format!("{}:{}: {rule}: {}", shown(&file), number + 1, line.trim()));
            }
        }
    }
    allowed(rule, wrong)
}

/// What is left after the places that may; one that needs its permission no more is reported too.
fn allowed(rule: &str, wrong: Vec<String>) -> Vec<String> {
    let mut used: BTreeMap<&str, bool> =
        ALLOWED.iter().filter(|(_, r, _)| *r == rule).map(|(file, ..)| (*file, false)).collect();
    let mut left: Vec<String> = wrong
        .into_iter()
        .filter(|w| {
            let place = used.keys().copied().find(|file| w.starts_with(*file));
            place.is_none_or(|file| used.insert(file, true).is_none())
        })
        .collect();
    left.extend(
        used.iter().filter(|(_, used)| !**used).map(|(file, _)| format!("{file}: no longer needs to be allowed")),
    );
    left
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Beyond about 400 lines a file asks to be split; some nouns are just long.
const MOST_LINES: usize = 500;
