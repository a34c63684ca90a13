//! Beside Debian's build of the Go exporter, on this machine, both with default flags.

use std::collections::BTreeSet;
use std::process::Command;
use tests::{Service, free_port, get, peer};

/// Debian changes three defaults: which mount points are left out, the systemd collector, a folder of text files.
const EVEN: [&str; 1] =
    ["--collector.filesystem.mount-points-exclude=^/(dev|proc|sys|mnt|media|run|var/lib/docker/.+)($|/)"];
const EVEN_DEBIAN: [&str; 2] = ["--no-collector.systemd", "--collector.textfile.directory="];

/// Each exporter's metrics of itself.
const OWN: [&str; 4] = ["go_", "process_", "promhttp_", "node_exporter_build_info"];

/// Collectors of upstream 1.12 that Debian's 1.11 does not have.
const NEWER: [&str; 1] = ["collector=\"dmmultipath\""];

fn series(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !OWN.iter().any(|own| line.starts_with(own)))
        .filter(|line| !NEWER.iter().any(|newer| line.contains(newer)))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

fn comments(page: &str) -> BTreeSet<&str> {
    page.lines().filter(|line| line.starts_with("# ") && !OWN.iter().any(|own| line[7..].starts_with(own))).collect()
}

#[test]
fn the_same_series_types_and_helps() {
    let Some(go) = peer("prometheus-node-exporter") else { return };
    let port = free_port();
    let mut command = Command::new(go);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(EVEN_DEBIAN).args(EVEN);
    let theirs = Service::start(command, port);
    let ours = Service::ours("node-exporter", &EVEN);
    // A machine changes while it is looked at (a container's interface, a mount): the same at one of some looks will do.
    let mut differences = Vec::new();
    for _ in 0..5 {
        let (theirs, ours) = (get(&theirs.url("/metrics")).unwrap().text(), get(&ours.url("/metrics")).unwrap().text());
        assert!(series(&ours).len() > 200, "{ours}");
        differences = series(&theirs)
            .symmetric_difference(&series(&ours))
            .cloned()
            .chain(comments(&theirs).symmetric_difference(&comments(&ours)).map(|line| (*line).to_owned()))
            .collect();
        if differences.is_empty() {
            return;
        }
    }
    panic!("in one of the two only:\n{}", differences.join("\n"));
}
