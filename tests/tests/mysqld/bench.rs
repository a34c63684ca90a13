//! Ours beside the Go exporter in one run: CPU of exporter and server, time, memory. Started by `tests/bench/mysqld`.

use crate::exporter::{Exporter, PASSWORD, USER};
use crate::server::{Kind, Server};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Service, free_port, get_with, peer};

#[test]
#[ignore = "a measurement: tests/bench/mysqld runs it"]
fn cost_beside_the_go_exporter() {
    let Some(go) = peer("prometheus-mysqld-exporter") else { return };
    for kind in [Kind::MySql, Kind::MariaDb] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        let rights = "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO {USER}@'%'";
        server.sql(&rights.replace("{USER}", USER).replace("{PASSWORD}", PASSWORD));
        println!("\n{kind:?} {}", server.sql("SELECT VERSION()").trim());
        println!("{HEADER}");
        for (title, flags, count) in [("default", &[][..], 400), ("with tables", TABLES, 60)] {
            let flags: Vec<String> = flags.iter().map(|f| format!("--collect.{f}")).collect();
            let ours = Exporter::start(&server, &flags);
            let theirs = start_go(&go, &ours, &flags);
            for gzip in [false, true] {
                let title = format!("{title}{}", if gzip { ", gzip" } else { "" });
                // Turns about: what else the machine does meets both.
                let (mut mine, mut other) = (Cost::default(), Cost::default());
                for _ in 0..4 {
                    mine.add(&measure(&ours.service, &server, gzip, count / 4));
                    other.add(&measure(&theirs, &server, gzip, count / 4));
                }
                print_pair(&title, &mine, &other);
            }
            memory(&ours.service, &theirs);
        }
        many_tables(&server, &go);
        bare(&server);
    }
}

/// Peak memory of both when there are ten thousand tables to show.
fn many_tables(server: &Server, go: &std::path::Path) {
    let mut sql = String::from("CREATE DATABASE many; USE many;\n");
    for i in 0..10_000 {
        writeln!(sql, "CREATE TABLE t{i} (id INT AUTO_INCREMENT PRIMARY KEY, v INT) ENGINE=MyISAM;").unwrap();
    }
    let mut client = server.client().stdin(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), sql.as_bytes()).unwrap();
    assert!(client.wait().unwrap().success());
    // Neither shall be the one that meets tables which the server has never opened.
    server.sql("SELECT SUM(LENGTH(TABLE_NAME) + TABLE_ROWS) FROM information_schema.TABLES");
    // The peer's join of ten thousand tables takes minutes: it is left to info_schema.tables here.
    let flags: Vec<String> =
        TABLES.iter().filter(|t| !t.starts_with("auto")).map(|f| format!("--collect.{f}")).collect();
    let ours = Exporter::start(server, &flags);
    let theirs = start_go(go, &ours, &flags);
    for service in [&ours.service, &theirs] {
        // One that takes longer than the client waits has used its memory all the same.
        let answered = (0..3).filter(|_| get_with(&service.url("/metrics"), &[]).is_some()).count();
        println!("{answered} of 3 scrapes answered within 30 s");
    }
    println!("10,000 tables:");
    memory(&ours.service, &theirs);
}

/// The statements of a default scrape over one connection, as the command line client has them.
fn bare(server: &Server) {
    let replication = if server.kind == Kind::MySql { "SHOW REPLICA STATUS" } else { "SHOW ALL SLAVES STATUS" };
    let once = format!(
        "SHOW GLOBAL STATUS; SHOW GLOBAL VARIABLES; {replication}; SELECT * FROM information_schema.INNODB_CMP; \
         SELECT * FROM information_schema.INNODB_CMPMEM;"
    );
    let time = |rounds: usize| {
        let begun = Instant::now();
        server.sql(&once.repeat(rounds));
        begun.elapsed()
    };
    time(2);
    let (few, many) = (time(10), time(110));
    println!("the same statements over one bare connection: {:.2} ms", (many.as_secs_f64() - few.as_secs_f64()) * 10.0);
}

fn start_go(go: &std::path::Path, ours: &Exporter, flags: &[String]) -> Service {
    let port = free_port();
    let mut command = Command::new(go);
    command
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg(format!("--config.my-cnf={}", ours.my_cnf.path().display()))
        .args(flags);
    Service::start(command, port)
}

#[derive(Default)]
struct Cost {
    exporter: Duration,
    server: Duration,
    times: Vec<Duration>,
}

impl Cost {
    fn add(&mut self, other: &Self) {
        self.exporter += other.exporter;
        self.server += other.server;
        self.times.extend(&other.times);
    }

    fn each(&self, whole: Duration) -> f64 {
        whole.as_secs_f64() * 1e3 / self.times.len() as f64
    }

    fn percentile(&self, share: f64) -> f64 {
        let mut times = self.times.clone();
        times.sort();
        times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3
    }
}

fn measure(exporter: &Service, server: &Server, gzip: bool, count: usize) -> Cost {
    for _ in 0..5 {
        scrape(exporter, gzip);
    }
    let (exporter_before, server_before) = (cpu(exporter.pid()), cpu(server.service.pid()));
    let times = (0..count).map(|_| scrape(exporter, gzip)).collect();
    Cost {
        exporter: cpu(exporter.pid()).saturating_sub(exporter_before),
        server: cpu(server.service.pid()).saturating_sub(server_before),
        times,
    }
}

fn scrape(exporter: &Service, gzip: bool) -> Duration {
    let encoding = if gzip { "gzip" } else { "identity" };
    let begun = Instant::now();
    let answer = get_with(&exporter.url("/metrics"), &[("accept-encoding", encoding)]).unwrap();
    let took = begun.elapsed();
    assert_eq!(answer.status, 200);
    assert!(gzip || answer.text().contains("\nmysql_up 1\n"));
    took
}

/// User and system time of a process, threads that have ended included.
fn cpu(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|t| t.parse::<u64>().unwrap()).sum();
    // The kernel shows hundredths of a second, whatever it counts in.
    Duration::from_millis(ticks * 10)
}

fn print_pair(title: &str, ours: &Cost, go: &Cost) {
    let line = |what: &str, a: f64, b: f64| {
        println!("{title:<20} {what:<28} {a:>9.2} {b:>9.2} {:>8}", format!("1/{:.1}", b / a));
    };
    line("exporter CPU, ms a scrape", ours.each(ours.exporter), go.each(go.exporter));
    line("server CPU, ms a scrape", ours.each(ours.server), go.each(go.server));
    line("p50, ms", ours.percentile(0.5), go.percentile(0.5));
    line("p99, ms", ours.percentile(0.99), go.percentile(0.99));
}

fn memory(ours: &Service, go: &Service) {
    for (what, field) in [("resident, MiB", "VmRSS:"), ("peak, MiB", "VmHWM:")] {
        let of = |service: &Service| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", service.pid())).unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix(field)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
        };
        let (a, b) = (of(ours), of(go));
        println!("{:<20} {what:<28} {a:>9.2} {b:>9.2} {:>8}", "", format!("1/{:.1}", b / a));
    }
}

const HEADER: &str = "flags                what                              ours        Go    ratio";
const TABLES: &[&str] = &["info_schema.tables", "auto_increment.columns", "perf_schema.tableiowaits"];
