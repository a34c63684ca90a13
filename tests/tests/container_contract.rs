//! Every family of cAdvisor's: the same name, type, switch, HELP and labels here, or a reason why not.
#![allow(clippy::unwrap_used)] // a test fails by panic

use exposition::parse_text;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;
use tests::{Docker, Service, binary, get, parity};

/// What is not shown, as docs/container-exporter.md says: it needs a library, a processor or sampling between scrapes.
const ABSENT: &[&str] = &[
    "container_cpu_load_average_10s",
    "container_cpu_load_d_average_10s",
    "container_llc_occupancy_bytes",
    "container_memory_bandwidth_bytes",
    "container_memory_bandwidth_local_bytes",
    "container_perf_events_scaling_ratio",
    "container_perf_events_total",
    "container_perf_uncore_events_scaling_ratio",
    "container_perf_uncore_events_total",
    "machine_nvm_avg_power_budget_watts",
    "machine_nvm_capacity",
];

/// The contract's columns by name of the family.
fn contract() -> Option<BTreeMap<String, Vec<String>>> {
    let text = fs::read_to_string(parity("container/families.tsv")?).unwrap();
    let rows = text.lines().skip(1).map(|l| l.split('\t').map(str::to_owned).collect::<Vec<String>>());
    Some(rows.map(|row| (row[0].clone(), row)).collect())
}

#[test]
fn names_types_switches_and_help_are_the_contracts() {
    let Some(contract) = contract() else { return };
    let output = Command::new(binary("container-exporter")).arg("families").output().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let ours: BTreeMap<&str, Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|l| l.trim_matches('|').splitn(4, '|').map(str::trim).collect::<Vec<&str>>())
        .map(|row| (row[0].trim_matches('`'), row))
        .collect();
    let absent: Vec<&str> = contract.keys().map(String::as_str).filter(|n| !ours.contains_key(n)).collect();
    assert_eq!(absent, ABSENT);
    for (name, row) in &ours {
        let Some(theirs) = contract.get(*name) else { continue };
        assert_eq!((row[1], row[2]), (&*theirs[1], &*theirs[3]), "{name}");
        // The contract shortens one.
        let help = theirs[5].trim_end_matches("...");
        assert!(row[3].starts_with(help) && (row[3] == theirs[5] || help != theirs[5]), "{name}: {} / {help}", row[3]);
    }
}

#[test]
fn labels_are_the_contracts() {
    let (Some(contract), Some(docker)) = (contract(), Docker::start("contract")) else { return };
    docker.container(&["--name=bt-contract", "--memory=64m", "--cpus=.5", "--label=team=blue"], "sleep 1000");
    let docker_flag = format!("--docker={}", docker.host);
    // The switch replaces the list of what is off: all is on.
    let all = ["--disable_metrics=app", "--enable_load_reader", "--podman=", "--containerd=", "--cri=", &docker_flag];
    let service = Service::ours("container-exporter", &all);
    get(&service.url("/metrics")).unwrap();
    let families = parse_text(&get(&service.url("/metrics")).unwrap().body).unwrap();
    let mut seen = 0;
    for family in families.iter().filter(|f| f.name.starts_with("container_") || f.name.starts_with("machine_")) {
        let Some(row) = contract.get(&family.name) else { continue };
        seen += 1;
        let expected: BTreeSet<&str> =
            row[2].split([' ', ',']).filter(|l| !l.is_empty() && !row[2].starts_with("(none")).collect();
        for sample in &family.samples {
            let own = sample.labels.iter().map(|(name, _)| name.as_str());
            let base = |name: &&str| {
                !["id", "name", "image"].contains(name)
                    && !name.starts_with("container_label_")
                    && !name.starts_with("container_env_")
            };
            let own: BTreeSet<&str> = own.filter(|n| family.name.starts_with("machine_") || base(n)).collect();
            // An empty label is left out, which is the same to Prometheus.
            assert!(own.is_subset(&expected), "{}: {own:?}, expected {expected:?}", family.name);
            let missing: Vec<&&str> = expected.difference(&own).collect();
            assert!(
                missing.is_empty()
                    || missing
                        .iter()
                        .all(|l| ["machine_id", "system_uuid", "boot_id", "device", "core_id"].contains(l)),
                "{}: {missing:?} of {:?}",
                family.name,
                sample.labels
            );
        }
    }
    assert!(seen > 80, "{seen} families of the contract");
}
