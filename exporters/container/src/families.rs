//! All families by the switch that shows them, for the documentation.

use crate::emit::{block, cpu, hugetlb, machine, memory, network, pressure, processes, sockets, space, spec};
use crate::page;
use exporter::Desc;
use std::fmt::Write as _;

/// The switch, `-` where there is none, and its families.
pub(crate) const ALL: &[(&str, &[Desc])] = &[
    ("-", spec::FAMILIES),
    ("-", page::FAMILIES),
    ("-", machine::FAMILIES),
    ("advtcp", sockets::ADVANCED_FAMILIES),
    ("cpu", cpu::FAMILIES),
    ("cpuLoad", processes::LOAD_FAMILIES),
    ("cpu_topology", machine::TOPOLOGY_FAMILIES),
    ("cpuset", memory::CPUSET_FAMILIES),
    ("disk", space::FAMILIES),
    ("diskIO", block::FAMILIES),
    ("hugetlb", hugetlb::FAMILIES),
    ("memory", memory::FAMILIES),
    ("memory_numa", memory::NUMA_FAMILIES),
    ("network", network::FAMILIES),
    ("oom_event", memory::OOM_FAMILIES),
    ("pressure", pressure::FAMILIES),
    ("process", processes::FAMILIES),
    ("referenced_memory", processes::REFERENCED_FAMILIES),
    ("sched", processes::SCHED_FAMILIES),
    ("tcp", sockets::TCP_FAMILIES),
    ("udp", sockets::UDP_FAMILIES),
];

/// As a Markdown table.
pub(crate) fn table() -> String {
    let mut rows: Vec<(&str, &Desc)> =
        ALL.iter().flat_map(|(switch, families)| families.iter().map(move |d| (*switch, d))).collect();
    rows.sort_by_key(|(_, d)| d.name);
    let mut out = String::from("| family | type | switch | help |\n|---|---|---|---|\n");
    for (switch, d) in rows {
        let _ = writeln!(out, "| `{}` | {} | {switch} | {} |", d.name, d.kind.word(), d.help);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The contract's table beside ours: same names, types and helps, but for what is said here.
    #[test]
    fn names_types_and_helps_are_the_contracts() {
        let dir = std::env::var_os("BONGSU_PARITY").map_or_else(
            || concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/parity").into(),
            std::path::PathBuf::from,
        );
        let Ok(table) = std::fs::read_to_string(dir.join("container/families.tsv")) else {
            eprintln!("skip: no contract at {}", dir.display());
            return;
        };
        let ours: BTreeMap<&str, (&str, &Desc)> =
            ALL.iter().flat_map(|(s, families)| families.iter().map(|d| (d.name, (*s, d)))).collect();
        let mut absent = Vec::new();
        for line in table.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, kind, _, switch, _, help, ..] = columns[..] else { panic!("{line}") };
            let Some((our_switch, d)) = ours.get(name) else {
                absent.push(name);
                continue;
            };
            assert_eq!(d.kind.word(), kind, "{name}");
            assert!(d.help == help || help.ends_with("..."), "{name}: {} / {help}", d.help);
            assert_eq!(*our_switch, switch, "{name}");
        }
        absent.retain(|name| !ABSENT.iter().any(|prefix| name.starts_with(prefix)));
        assert!(absent.is_empty(), "{absent:?}");
    }

    /// Need a performance monitoring library, Intel RDT, Optane memory or a load daemon.
    const ABSENT: &[&str] =
        &["container_perf_", "container_memory_bandwidth_", "container_llc_", "container_cpu_load_", "machine_nvm_"];
}
