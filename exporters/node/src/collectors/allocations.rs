//! In its steady state a collector allocates as a collector, not for each sample: on a host ten times as large it allocates
//! as often.

use super::tree::Tree;
use counting::allocations;
use exporter::{Cx, Entry};
use exposition::Part;
use hostfs::Buf;
use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

/// Collectors whose source is one file each, whatever the host's size: they allocate nothing for a device more.
const ONE_FILE: &[&Entry] = &[
    &super::buddyinfo::BUDDYINFO,
    &super::diskstats::DISKSTATS,
    &super::loadavg::LOADAVG,
    &super::meminfo::MEMINFO,
    &super::netdev::NETDEV,
    &super::netstat::NETSTAT,
    &super::schedstat::SCHEDSTAT,
    &super::slabinfo::SLABINFO,
    &super::sockstat::SOCKSTAT,
    &super::softirqs::SOFTIRQS,
    &super::softnet::SOFTNET,
    &super::stat::STAT,
    &super::vmstat::VMSTAT,
    &super::xfrm::XFRM,
    &super::zoneinfo::ZONEINFO,
];

/// Collectors that open files for each device, and that for interrupts, whose rows hold words to be joined: how many
/// allocations a device may cost, whatever its samples (6400 of interrupts here).
const BY_DEVICE: &[(&Entry, usize)] = &[
    (&super::cpufreq::CPUFREQ, 72),
    (&super::hwmon::HWMON, 16),
    (&super::interrupts::INTERRUPTS, 12),
    (&super::netclass::NETCLASS, 68), // by sysfs, as where netlink shows another network than the mounted /sys
    (&super::thermal_zone::THERMAL_ZONE, 8),
];

/// A host with `n` of everything.
fn host(n: usize) -> Tree {
    let lines = |line: &dyn Fn(usize) -> String| (0..n).map(line).collect::<String>();
    let cpus = |word: &str| (0..n).fold(String::new(), |row, i| row + " " + word + &i.to_string());
    let mut files: Vec<(String, String)> = vec![
        ("proc/buddyinfo".into(), lines(&|i| format!("Node {i}, zone   Normal   4381   7   1\n"))),
        (
            "proc/diskstats".into(),
            lines(&|i| {
                format!(
                    "   8 {i} sd{i} 25354637 34367663 1003346126 18492372 28444756 11134226 505697032 63877960 0 9653880 82621804 0 0 0 0 7 8\n"
                )
            }),
        ),
        (
            "proc/interrupts".into(),
            format!("{}\n{}", cpus("CPU"), lines(&|i| format!("{i}: {} IR-IO-APIC 2-edge timer\n", "17 ".repeat(n)))),
        ),
        ("proc/loadavg".into(), "0.21 0.37 0.39 1/719 19737\n".into()),
        (
            "proc/meminfo".into(),
            "MemTotal: 15666184 kB\nMemFree: 440324 kB\nHugePages_Total: 0\nActive(anon): 5 kB\n".into(),
        ),
        (
            "proc/net/dev".into(),
            format!(
                "Inter-|\n face |bytes\n{}",
                lines(&|i| format!("veth{i}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"))
            ),
        ),
        ("proc/net/netstat".into(), "TcpExt: SyncookiesSent SyncookiesRecv\nTcpExt: 1 2\n".into()),
        ("proc/net/snmp".into(), "Udp: InDatagrams OutDatagrams\nUdp: 1 2\n".into()),
        ("proc/net/snmp6".into(), "Ip6InReceives 7\n".into()),
        ("proc/net/sockstat".into(), "sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1\n".into()),
        ("proc/net/softnet_stat".into(), lines(&|i| format!("00358fe3 00006283 0 0 0 0 0 0 0 0 0 0 {i:08x}\n"))),
        ("proc/net/xfrm_stat".into(), "XfrmInError 1\nXfrmInBufferError 2\n".into()),
        (
            "proc/schedstat".into(),
            format!(
                "version 15\ntimestamp 1\n{}",
                lines(&|i| format!("cpu{i} 0 0 0 0 0 0 2045936778163 343796328169361 4767485306\n"))
            ),
        ),
        (
            "proc/slabinfo".into(),
            format!(
                "slabinfo - version: 2.1\n# name\n{}",
                lines(&|i| format!("slab{i} 375 532 576 28 4 : tunables 0 0 0 : slabdata 19 19 0\n"))
            ),
        ),
        ("proc/softirqs".into(), format!("{}\nHI: {}\nTIMER: {}\n", cpus("CPU"), "3 ".repeat(n), "4 ".repeat(n))),
        (
            "proc/stat".into(),
            format!(
                "cpu  301854 612 111922 8979004 3552 2 3944 0 0 0\n{}intr 8885917 17 0 0\nctxt 38014093\nbtime 1418183276\n\
                 processes 26442\nprocs_running 2\nprocs_blocked 1\nsoftirq 5057579 250191\n",
                lines(&|i| format!("cpu{i} 44490 19 21045 1087069 220 1 3410 0 0 0\n"))
            ),
        ),
        ("proc/vmstat".into(), "pgpgin 7344136\noom_kill 0\npgfault 5\n".into()),
        (
            "proc/zoneinfo".into(),
            lines(&|i| {
                format!("Node {i}, zone Normal\n  pages free 2949\n        min 8\n        low 11\n    nr_dirty 5\n")
            }),
        ),
    ];
    for i in 0..n {
        let mut put = |path: String, text: &str| files.push((path, text.to_owned()));
        let cpufreq = format!("sys/devices/system/cpu/cpu{i}/cpufreq");
        for name in ["scaling_cur_freq", "scaling_min_freq", "scaling_max_freq", "cpuinfo_min_freq", "cpuinfo_max_freq"]
        {
            put(format!("{cpufreq}/{name}"), "1219917\n");
        }
        put(format!("{cpufreq}/scaling_governor"), "powersave\n");
        put(format!("{cpufreq}/scaling_available_governors"), "performance powersave\n");
        put(format!("sys/class/hwmon/hwmon{i}/name"), &format!("chip{i}\n"));
        put(format!("sys/class/hwmon/hwmon{i}/temp1_input"), "55000\n");
        put(format!("sys/class/thermal/thermal_zone{i}/type"), "cpu\n");
        put(format!("sys/class/thermal/thermal_zone{i}/temp"), "12376\n");
        for (name, text) in
            [("address", "01:01:01:01:01:01\n"), ("mtu", "1500\n"), ("operstate", "up\n"), ("flags", "0x1303\n")]
        {
            put(format!("sys/class/net/veth{i}/{name}"), text);
        }
    }
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
    Tree::of(&files)
}

/// Allocations and samples of a run that had others before it.
fn steady(entry: &Entry, tree: &Tree) -> (usize, usize) {
    let sources = tree.sources();
    // Netlink would show this machine's interfaces.
    let args: &[&str] = if entry.name == "netdev" { &["--no-collector.netdev.netlink"] } else { &[] };
    let flags = service::Flags::from_args(entry.flags, args).unwrap();
    let collector = (entry.build)(&flags, &sources).unwrap_or_else(|e| panic!("{e}"));
    let (mut buf, mut buf2, mut part) = (Buf::new(), Buf::new(), Part::new());
    let mut spent = 0;
    for _ in 0..4 {
        part.clear();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut cx = Cx { sources: &sources, buf: &mut buf, buf2: &mut buf2, deadline, now: SystemTime::now() };
        let before = allocations();
        let result = collector.collect(&mut cx, &mut part);
        spent = allocations() - before;
        result.unwrap_or_else(|e| panic!("{}: {e}", entry.name));
    }
    (spent, part.len())
}

#[test]
fn allocations_do_not_grow_with_the_host() {
    let (small, large) = (host(SMALL), host(LARGE));
    let (mut table, mut wrong) = (String::new(), Vec::new());
    let all = ONE_FILE.iter().map(|&entry| (entry, 0)).chain(BY_DEVICE.iter().copied());
    for (entry, per_device) in all {
        let ((few, few_samples), (many, many_samples)) = (steady(entry, &small), steady(entry, &large));
        let _ = writeln!(table, "{:14} {few:5} for {few_samples:5} samples, {many:5} for {many_samples:5}", entry.name);
        assert!(few_samples > 0 && many_samples >= few_samples, "{}: {few_samples}, {many_samples}", entry.name);
        if many > few + SLACK + per_device * (LARGE - SMALL) {
            wrong.push(entry.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?} allocate by sample:\n{table}");
}

const SMALL: usize = 8;
const LARGE: usize = 80;
/// A buffer that is made longer once more.
const SLACK: usize = 4;
