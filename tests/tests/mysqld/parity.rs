//! Ours beside the Go exporter on the same server, collector by collector.

use crate::exporter::{COLLECTORS, Exporter, PASSWORD, USER};
use crate::server::{Kind, Server};
use exposition::{Kind as MetricKind, ParsedFamily, parse_text};
use std::collections::BTreeMap;
use std::process::Command;
use tests::{Service, free_port, get, peer};

/// What one scrape of one collector shows: type and help by family, value by series.
struct Shown {
    families: BTreeMap<String, (MetricKind, String)>,
    series: BTreeMap<String, String>,
}

#[test]
fn mariadb_of_the_distribution_reads_as_the_go_exporter_reads_it() {
    compare(Kind::MariaDb);
}

#[test]
fn the_newest_mariadb_reads_as_the_go_exporter_reads_it() {
    compare(Kind::NewMariaDb);
}

#[test]
fn mysql_reads_as_the_go_exporter_reads_it() {
    compare(Kind::MySql);
}

fn compare(kind: Kind) {
    let Some(go) = peer("prometheus-mysqld-exporter") else { return };
    let Some(primary) = Server::start(kind, &["--report-host=127.0.0.1"]) else { return };
    fill(&primary);
    let Some(replica) = Server::start(kind, &["--report-host=127.0.0.1"]) else { return };
    replica.replicate(&primary);
    compare_on(&format!("{kind:?} primary"), &primary, &go);
    compare_on(&format!("{kind:?} replica"), &replica, &go);
}

fn compare_on(title: &str, server: &Server, go: &std::path::Path) {
    if server.kind == Kind::MariaDb {
        server.sql("INSTALL SONAME 'query_response_time'; SET GLOBAL query_response_time_stats=1");
    }
    if server.kind != Kind::MySql {
        server.sql("SET GLOBAL userstat=1");
    }
    let options = ["--collect.mysql.user.privileges"];
    // A kept connection would stand in the process list that the other exporter sees.
    let unkept = vec!["--exporter.connection_max_age=0s".to_owned()];
    let flags: Vec<String> = COLLECTORS.iter().map(|c| format!("--collect.{c}")).collect();
    let ours = Exporter::start(server, &[flags.clone(), options.map(str::to_owned).to_vec(), unkept].concat());
    let theirs = {
        let port = free_port();
        let mut command = Command::new(go);
        command
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--config.my-cnf={}", ours.my_cnf.path().display()))
            .args(&flags)
            .args(options);
        Service::start(command, port)
    };
    // Tables that only a first look opens are open then.
    for _ in 0..2 {
        get(&theirs.url("/metrics")).unwrap();
        ours.scrape("/metrics", 20.0);
    }
    println!("\n{title}, {}", server.sql("SELECT VERSION()").trim());
    println!("{:<50} {:>8} {:>7} {:>7} {:>7}", "collector", "families", "series", "values", "moving");
    let mut faults = Vec::new();
    for collector in COLLECTORS {
        let path = format!("/metrics?collect[]={collector}");
        let before = shown(&theirs, &path);
        let mine = shown(&ours.service, &path);
        let after = shown(&theirs, &path);
        faults.extend(check(collector, &before, &mine, &after));
    }
    assert!(faults.is_empty(), "{title}: {} faults\n{}", faults.len(), faults.join("\n"));
}

/// A series counts as moving if the Go exporter itself sees it differ within these moments.
fn check(collector: &str, before: &Shown, mine: &Shown, after: &Shown) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, declared) in &before.families {
        match mine.families.get(name) {
            None if after.families.contains_key(name) => faults.push(format!("{collector}: no family {name}")),
            Some(found) if found != declared => {
                faults.push(format!("{collector}: {name}: {found:?}, not {declared:?}"));
            }
            _ => {}
        }
    }
    for name in mine.families.keys() {
        if !before.families.contains_key(name) && !after.families.contains_key(name) {
            faults.push(format!("{collector}: family {name} too many"));
        }
    }
    let (mut equal, mut moving) = (0, 0);
    for (series, value) in &mine.series {
        match (before.series.get(series), after.series.get(series)) {
            // What the exporters themselves do shows there: other statements, other connections.
            (None, None) if OWN_TRACES.contains(&collector) => moving += 1,
            (None, None) => faults.push(format!("{collector}: series too many: {series}")),
            (Some(a), Some(b)) if a == b && a == value => equal += 1,
            (Some(a), Some(b)) if a == b && !MOVING.iter().any(|m| series.starts_with(m)) => {
                faults.push(format!("{collector}: {series} is {value}, not {a}"));
            }
            _ => moving += 1,
        }
    }
    for series in before.series.keys().filter(|s| after.series.contains_key(*s) && !mine.series.contains_key(*s)) {
        if !OWN_TRACES.contains(&collector) {
            faults.push(format!("{collector}: no series {series}"));
        }
    }
    println!("{collector:<50} {:>8} {:>7} {equal:>7} {moving:>7}", mine.families.len(), mine.series.len());
    faults
}

fn shown(service: &Service, path: &str) -> Shown {
    let answer = get(&service.url(path)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let families: Vec<ParsedFamily> = parse_text(&answer.body).unwrap();
    let mut shown = Shown { families: BTreeMap::new(), series: BTreeMap::new() };
    for family in families.into_iter().filter(|f| f.name.starts_with("mysql_")) {
        for sample in &family.samples {
            let mut labels = sample.labels.clone();
            labels.sort();
            shown.series.insert(format!("{}{labels:?}", family.name), format!("{:?}", sample.value));
        }
        shown.families.insert(family.name, (family.kind, family.help.unwrap_or_default()));
    }
    shown
}

/// Something for each collector to show.
fn fill(server: &Server) {
    server.sql(
        "CREATE DATABASE shop; USE shop;
         CREATE TABLE small (id TINYINT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20), KEY(v)) ROW_FORMAT=DYNAMIC;
         CREATE TABLE big (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v INT);
         CREATE TABLE plain (a INT, b TEXT) COMMENT='x';
         CREATE TABLE `naïve-名前` (id SMALLINT UNSIGNED AUTO_INCREMENT PRIMARY KEY);
         CREATE VIEW seen AS SELECT * FROM small;
         INSERT INTO small (v) VALUES ('a'),('b'),('c'); INSERT INTO big (v) VALUES (1),(2);
         UPDATE small SET v='z' WHERE id=1; DELETE FROM small WHERE id=2; SELECT COUNT(*) FROM plain;
         CREATE DATABASE heartbeat;
         CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26) NOT NULL, server_id INT UNSIGNED NOT NULL PRIMARY KEY);
         INSERT INTO heartbeat.heartbeat VALUES ('2026-11-22T15:00:00.123456', 7)",
    );
    server.sql(&format!("CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO '{USER}'@'%'"));
}

/// Collectors in which the exporters see one another.
const OWN_TRACES: [&str; 6] = [
    "info_schema.processlist",
    "info_schema.tablestats",
    "perf_schema.file_instances",
    "perf_schema.indexiowaits",
    "perf_schema.tableiowaits",
    "perf_schema.memory_events",
];
/// Values that move between any two looks, or that this look itself moves.
const MOVING: [&str; 8] = [
    "mysql_exporter_collector_duration_seconds",
    "mysql_global_status_",
    "mysql_perf_schema_",
    "mysql_info_schema_innodb_metrics_",
    "mysql_info_schema_user_statistics_",
    "mysql_info_schema_client_statistics_",
    "mysql_sys_",
    "mysql_heartbeat_now_timestamp_seconds",
];
