//! What `deploy/` and the pages about it promise: commands that exist, the same in both languages, flags that the
//! programs have, pictures that are there, dashboards that Grafana's provisioning can load.
#![allow(clippy::unwrap_used)] // a test fails by panic

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tests::{binary, repo};

/// Pages that show commands of the lab.
const PAGES: &[&str] = &[
    "README.md",
    "README.ko.md",
    "docs/beyond-one-machine.md",
    "docs/lab-guide.md",
    "docs/lab-guide.ko.md",
    "docs/migration-cadvisor.md",
    "docs/migration-flask-webhook.md",
    "docs/migration-mysqld_exporter.md",
    "docs/migration-node_exporter.md",
    "docs/troubleshooting.md",
];

fn page(name: &str) -> String {
    fs::read_to_string(repo().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The code blocks whose info string begins with `sh`, indentation taken off.
fn shell_blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match &mut open {
            None => {
                let fence = line.trim_start();
                if fence == "```sh" || fence.starts_with("```sh ") {
                    open = Some((indent, String::new()));
                }
            }
            Some(_) if line.trim_start().starts_with("```") => blocks.extend(open.take().map(|(_, block)| block)),
            Some((by, block)) => {
                block.push_str(line.get(*by..).unwrap_or_default());
                block.push('\n');
            }
        }
    }
    blocks
}

/// Without comments, which each language has its own of.
fn commands(name: &str) -> Vec<String> {
    let blocks = shell_blocks(&page(name));
    let lines = blocks.iter().flat_map(|b| b.lines());
    lines
        .map(|l| {
            l.split("  #").next().unwrap_or_default().split(" # ").next().unwrap_or_default().trim_end().to_owned()
        })
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect()
}

fn lab(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(repo().join("lab"))
        .args(arguments)
        .env("BONGSU_LAB_DIR", dir.path().join("lab"))
        .env("BONGSU_LANG", "en")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn both_languages_show_the_same_commands() {
    for name in ["README", "docs/lab-guide"] {
        let english = commands(&format!("{name}.md"));
        assert!(english.len() > 5, "{name}.md shows no commands");
        assert_eq!(english, commands(&format!("{name}.ko.md")), "{name}");
    }
}

#[test]
fn every_command_shown_is_shell() {
    for name in PAGES {
        for block in shell_blocks(&page(name)) {
            let out = Command::new("bash").args(["-n", "-c", &block]).output().unwrap();
            assert!(out.status.success(), "{name}:\n{block}{}", String::from_utf8_lossy(&out.stderr));
        }
    }
}

#[test]
fn every_lab_command_shown_is_one() {
    let help = String::from_utf8(lab(&["help"]).stdout).unwrap();
    let listed = lab(&["chaos"]);
    assert!(listed.status.success());
    let faults = String::from_utf8(listed.stdout).unwrap();
    for name in PAGES {
        let text = page(name);
        // `another ./lab works in …` is what the lab says.
        for (at, _) in text.match_indices("./lab ").filter(|(at, _)| !text[..*at].ends_with("another ")) {
            let mut words =
                text[at..].split(|c: char| c.is_whitespace() || "`;|)".contains(c)).filter(|w| !w.is_empty());
            let command = words.nth(1).unwrap_or_default();
            assert!(help.contains(&format!("./lab {command}")), "{name}: ./lab {command}");
            if command == "chaos" && text[at..].starts_with("./lab chaos ") {
                let fault = words.next().unwrap_or_default();
                if fault.starts_with(|c: char| c.is_ascii_lowercase()) {
                    assert!(faults.contains(&format!("  {fault} ")), "{name}: ./lab chaos {fault}");
                }
            }
        }
    }
}

#[test]
fn every_file_shown_is_there() {
    for name in PAGES {
        let text = page(name);
        let base = repo().join(name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") {
                assert!(base.join(file).exists(), "{name} links to {link}");
            }
        }
        for word in text.split(|c: char| c.is_whitespace() || "`()\"',;".contains(c)) {
            let word = word.trim_end_matches(['.', ':']);
            let inside = ["deploy/", "docs/", "tests/"].iter().any(|f| word.starts_with(f));
            if inside && !word.contains(['*', '…', 'N', '$', '<']) {
                assert!(repo().join(word).exists(), "{name} names {word}");
            }
        }
    }
}

#[test]
fn the_lab_refuses_what_it_does_not_know() {
    for (arguments, code) in
        [(&["nonsense"][..], 2), (&["chaos", "nonsense"], 1), (&["stop", "nonsense"], 1), (&["test", "nonsense"], 1)]
    {
        let out = lab(arguments);
        assert_eq!(out.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        assert!(String::from_utf8_lossy(&out.stderr).contains("nonsense"), "{arguments:?}");
    }
    for script in [
        "setup_prometheus_stack",
        "setup_grafana_dashboard",
        "setup_elk_stack",
        "setup_alerting_test",
        "test_monitoring_system",
    ] {
        let path = repo().join(format!("deploy/lab_scripts/lab1/{script}.sh"));
        let out = Command::new(path).args(["--lang", "fr"]).stdin(Stdio::null()).output().unwrap();
        assert_eq!(out.status.code(), Some(2), "{script}");
    }
}

/// The flags that a migration page says stay the same.
#[test]
fn migration_pages_name_flags_that_the_programs_have() {
    for (name, program) in [
        ("docs/migration-cadvisor.md", "container-exporter"),
        ("docs/migration-mysqld_exporter.md", "mysqld-exporter"),
        ("docs/migration-node_exporter.md", "node-exporter"),
    ] {
        let out = Command::new(binary(program)).arg("--help").output().unwrap();
        let help = [out.stdout, out.stderr].concat();
        let help = String::from_utf8(help).unwrap().replace("[no-]", "");
        let text = page(name);
        let table: String = text.lines().filter(|l| l.starts_with('|')).collect::<Vec<_>>().join("\n");
        let mut seen = 0;
        for flag in table.split('`').filter(|w| w.starts_with("--")) {
            let flag = flag.split(['=', ' ']).next().unwrap().trim_end_matches(".*");
            if flag.starts_with("--no-") || flag == "--collect" {
                continue;
            }
            seen += 1;
            // Taken and without effect: not in the help.
            let taken = || {
                Command::new(binary(program))
                    .args([&format!("{flag}=1s"), "--version"])
                    .output()
                    .unwrap()
                    .status
                    .success()
            };
            assert!(help.contains(flag) || taken(), "{name}: {program} has no {flag}");
        }
        assert!(seen > 0 || name.contains("mysqld"), "{name} names no flag");
    }
}

#[test]
fn dashboards_can_be_provisioned() {
    let folder = repo().join("deploy/grafana/dashboards");
    let sources = page("deploy/grafana/provisioning/datasources/lab.yml");
    let mut uids = BTreeSet::new();
    for file in fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let board: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let uid = board["uid"].as_str().unwrap();
        assert_eq!(format!("{uid}.json"), name, "a file is named for its uid");
        assert!(uids.insert(uid.to_owned()), "{uid} twice");
        assert!(board.get("id").is_none_or(Value::is_null), "{name}: an id belongs to one Grafana");
        assert_eq!(board["links"][0]["tags"][0], "bongsu", "{name} links to the others");
        let panels = board["panels"].as_array().unwrap();
        let mut ids = BTreeSet::new();
        for panel in panels {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{name}: {title}: its id is there twice");
            if panel["type"] != "row" {
                assert!(
                    !panel["description"].as_str().unwrap_or_default().is_empty(),
                    "{name}: {title}: no description"
                );
                for target in panel["targets"].as_array().unwrap_or(&Vec::new()) {
                    let source = target["datasource"]["uid"].as_str().unwrap();
                    assert!(sources.contains(&format!("uid: {source}\n")), "{name}: {title}: data source {source}");
                }
            }
            let at = &panel["gridPos"];
            assert!(
                at["x"].as_u64().unwrap() + at["w"].as_u64().unwrap() <= 24,
                "{name}: {title}: wider than the page"
            );
        }
        for (i, a) in panels.iter().enumerate() {
            for b in &panels[i + 1..] {
                assert!(!overlap(&a["gridPos"], &b["gridPos"]), "{name}: {} lies over {}", a["title"], b["title"]);
            }
        }
    }
    assert!(uids.len() >= 10, "ten dashboards: {uids:?}");
    assert!(uids.contains("bongsu-overview"));
}

fn overlap(a: &Value, b: &Value) -> bool {
    let n = |v: &Value, k: &str| v[k].as_u64().unwrap();
    n(a, "x") < n(b, "x") + n(b, "w")
        && n(b, "x") < n(a, "x") + n(a, "w")
        && n(a, "y") < n(b, "y") + n(b, "h")
        && n(b, "y") < n(a, "y") + n(a, "h")
}

/// Every service that is built as an image has a unit, and the other way round.
#[test]
fn images_and_units_are_of_the_same_services() {
    let images: BTreeSet<String> = page("deploy/Dockerfile")
        .lines()
        .filter_map(|l| l.strip_prefix("FROM scratch AS "))
        .filter(|n| *n != "prebuilt")
        .map(str::to_owned)
        .collect();
    let units: BTreeSet<String> = fs::read_dir(repo().join("deploy/systemd"))
        .unwrap()
        .map(|e| PathBuf::from(e.unwrap().file_name()).file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(images, units);
    let build = page("deploy/debian/build");
    for service in images {
        assert!(build.contains(&format!("  {service}) echo")), "deploy/debian/build does not describe {service}");
    }
}
