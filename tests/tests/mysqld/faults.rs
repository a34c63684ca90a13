//! Servers that are down, hang, refuse, or show what no table should hold.

use crate::exporter::{Exporter, PASSWORD, USER, success, value};
use crate::server::{Kind, Server};
use rustix::process::Signal;
use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use tests::{free_port, wait_until};

/// A MariaDB with the tests' account, as the documentation grants it.
fn server(options: &[&str]) -> Option<Server> {
    let server = Server::start(Kind::MariaDb, options)?;
    server.sql(&format!(
        "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 3;
         GRANT PROCESS, SLAVE MONITOR, BINLOG MONITOR, SELECT ON *.* TO {USER}@'%'"
    ));
    Some(server)
}

/// Connections of the tests' account that the server has, by id and command.
fn connections(server: &Server) -> Vec<String> {
    let rows = server.sql(&format!("SELECT ID, COMMAND, INFO FROM information_schema.PROCESSLIST WHERE USER='{USER}'"));
    rows.lines().map(str::to_owned).collect()
}

/// A statement that runs in the background until dropped.
struct Background(Child);

impl Background {
    fn run(server: &Server, sql: &str) -> Self {
        Self(server.client().args(["-e", sql]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_may_be_down_at_the_start_and_later() {
    let Some(first) = server(&[]) else { return };
    let exporter = Exporter::start(&first, &["--exporter.connection_max_age=1h"]);
    assert_eq!(value(&exporter.scrape("/metrics", 10.0), "mysql_up"), Some("1"));
    // Its kept connection is dead now: the scrape says so at once, not at its deadline.
    drop(first);
    let begun = Instant::now();
    let page = exporter.scrape("/metrics", 10.0);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_eq!(value(&page, "mysql_up"), Some("0"));
    let others: Vec<_> = page.lines().filter(|l| l.starts_with("mysql_") && !l.starts_with("mysql_up")).collect();
    assert!(others.is_empty(), "{others:?}");
    let log = exporter.service.log();
    assert!(log.contains("level=ERROR") && !log.contains(PASSWORD), "{log}");
}

#[test]
fn a_stopped_server_costs_no_more_than_the_scrapes_time() {
    let Some(server) = server(&[]) else { return };
    let exporter = Exporter::start(&server, &["--exporter.connection_max_age=1h"]);
    assert_eq!(value(&exporter.scrape("/metrics", 5.0), "mysql_up"), Some("1"));
    server.service.signal(Signal::STOP);
    for _ in 0..3 {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..5 {
                scope.spawn(|| {
                    assert_eq!(value(&exporter.scrape("/metrics", 1.5), "mysql_up"), Some("0"));
                    assert!(begun.elapsed() < Duration::from_millis(1900), "{:?}", begun.elapsed());
                });
            }
        });
    }
    let open = |target: u16| {
        let sockets = std::fs::read_dir(format!("/proc/{}/fd", exporter.service.pid())).unwrap();
        let all: Vec<_> = sockets.filter_map(|f| std::fs::read_link(f.ok()?.path()).ok()).collect();
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let of_target = |inode: &str| {
            table.lines().any(|l| {
                let fields: Vec<_> = l.split_whitespace().collect();
                fields.get(9) == Some(&inode) && fields[2].ends_with(&format!(":{target:04X}"))
            })
        };
        let inode = |link: &std::path::Path| {
            link.to_str().and_then(|t| Some(t.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        };
        all.iter().filter_map(|l| inode(l)).filter(|i| of_target(i)).count()
    };
    let left = open(server.service.port);
    assert!(left <= 2, "{left} connections to a server that hangs");
    server.service.signal(Signal::CONT);
    wait_until("the server to be scraped again", Duration::from_secs(20), || {
        value(&exporter.scrape("/metrics", 5.0), "mysql_up") == Some("1")
    });
    wait_until("old connections to be gone", Duration::from_secs(20), || connections(&server).len() <= 2);
}

#[test]
fn many_scrapes_share_three_connections() {
    let Some(server) = server(&[]) else { return };
    let exporter = Exporter::start(&server, &["--exporter.connection_max_age=0s"]);
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let page = exporter.scrape("/metrics", 10.0);
                    assert_eq!(value(&page, "mysql_up"), Some("1"), "{}", exporter.service.log());
                    assert_eq!(success(&page, "global_status"), Some("1"));
                    assert!(value(&page, "mysql_global_status_uptime").is_some());
                });
            }
        });
    }
    let log = exporter.service.log();
    assert!(!log.contains("level=ERROR"), "{log}");
}

#[test]
fn a_full_server_is_down_for_new_connections_only() {
    let Some(server) = server(&["--max-connections=12"]) else { return };
    let kept = Exporter::start(&server, &["--exporter.connection_max_age=1h"]);
    assert_eq!(value(&kept.scrape("/metrics", 5.0), "mysql_up"), Some("1"));
    server.sql("CREATE USER hog@'%' IDENTIFIED BY 'x'");
    let port = server.service.port.to_string();
    let hog = || {
        let mut command = server.client();
        let args = ["--protocol=tcp", "-h127.0.0.1", "-uhog", "-px", "-P", &port, "-e", "SELECT SLEEP(60)"];
        Background(command.args(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    let mut hogs: Vec<_> = (0..12).map(|_| hog()).collect();
    let new = Exporter::start(&server, &["--exporter.connection_max_age=0s"]);
    wait_until("the server to be full", Duration::from_secs(40), || {
        // One that was refused while an exporter held the place comes again.
        for place in &mut hogs {
            if place.0.try_wait().unwrap().is_some() {
                *place = hog();
            }
        }
        value(&new.scrape("/metrics", 5.0), "mysql_up") == Some("0")
    });
    assert!(new.service.log().contains("error 1040"), "{}", new.service.log());
    assert_eq!(value(&kept.scrape("/metrics", 5.0), "mysql_up"), Some("1"));
    drop(hogs);
    server.sql("SELECT 1");
    wait_until("connections to be free", Duration::from_secs(20), || {
        value(&new.scrape("/metrics", 5.0), "mysql_up") == Some("1")
    });
}

#[test]
fn an_account_without_grants_gets_what_it_may() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        server.sql("CREATE USER wpuser@'%' IDENTIFIED BY 'wppassword'");
        let exporter = Exporter::start_as(&server, "wpuser", "wppassword", &[""; 0]);
        for _ in 0..2 {
            let page = exporter.scrape("/metrics", 10.0);
            assert_eq!(value(&page, "mysql_up"), Some("1"));
            for (collector, expected) in [
                ("global_status", "1"),
                ("global_variables", "1"),
                ("slave_status", "0"),
                ("info_schema.innodb_cmp", "0"),
                ("info_schema.innodb_cmpmem", "0"),
                ("info_schema.query_response_time", "1"),
            ] {
                assert_eq!(
                    success(&page, collector),
                    Some(expected),
                    "{kind:?} {collector}\n{}",
                    exporter.service.log()
                );
            }
        }
        let doctor = std::process::Command::new(tests::binary("mysqld-exporter"))
            .arg("doctor")
            .arg(format!("--config.my-cnf={}", exporter.my_cnf.path().display()))
            .output()
            .unwrap();
        let text = String::from_utf8(doctor.stdout).unwrap();
        assert!(!doctor.status.success() && text.contains("'wpuser'@'%'"), "{text}");
        // What it prints is all that is needed.
        for grant in text.lines().filter_map(|l| l.trim().strip_prefix("GRANT ")) {
            server.sql(&format!("GRANT {grant}"));
        }
        let page = Exporter::start_as(&server, "wpuser", "wppassword", &[""; 0]).scrape("/metrics", 10.0);
        for collector in ["slave_status", "info_schema.innodb_cmp", "info_schema.innodb_cmpmem"] {
            assert_eq!(success(&page, collector), Some("1"), "{kind:?} {collector}\n{text}");
        }
    }
}

#[test]
fn a_statement_past_the_deadline_ends_on_the_server_too() {
    let Some(server) = server(&[]) else { return };
    server.sql("CREATE DATABASE slow; CREATE TABLE slow.t (a INT)");
    // The view that the heartbeat collector reads sleeps, and the server's own limit does not count inside SLEEP alone.
    server.sql(
        "CREATE DATABASE heartbeat; CREATE VIEW heartbeat.heartbeat AS \
         SELECT SLEEP(30) AS ts, 1 AS server_id",
    );
    let exporter = Exporter::start(&server, &["--collect.heartbeat"]);
    let begun = Instant::now();
    let page = exporter.scrape("/metrics", 2.0);
    assert!(begun.elapsed() < Duration::from_millis(2500), "{:?}", begun.elapsed());
    assert_eq!(value(&page, "mysql_up"), Some("1"));
    assert_eq!(success(&page, "heartbeat"), Some("0"));
    assert_eq!(success(&page, "global_status"), Some("1"));
    wait_until("the statement to be gone", Duration::from_secs(4), || {
        !connections(&server).iter().any(|c| c.contains("SLEEP") || c.contains("heartbeat"))
    });
    // Those that it cost their turn have it again soon.
    for _ in 0..3 {
        exporter.scrape("/metrics", 1.5);
    }
    let page = exporter.scrape("/metrics", 1.5);
    for collector in ["global_variables", "slave_status", "info_schema.innodb_cmp"] {
        assert_eq!(success(&page, collector), Some("1"), "{collector}: {page}");
    }
    // A statement of the exporter's own limit: the others are not touched.
    let limited = Exporter::start(&server, &["--collect.heartbeat", "--exporter.query_timeout=1"]);
    let page = limited.scrape("/metrics", 10.0);
    assert_eq!(success(&page, "heartbeat"), Some("0"), "{page}");
    assert_eq!(success(&page, "slave_status"), Some("1"), "{page}");
}

#[test]
fn a_killed_connection_leaves_no_half_results() {
    let Some(server) = server(&[]) else { return };
    // Rows that come slowly: one every 50 ms.
    server.sql(
        "CREATE DATABASE heartbeat; CREATE VIEW heartbeat.heartbeat AS \
         SELECT FROM_UNIXTIME(1000000000+seq+SLEEP(0.05)) AS ts, seq AS server_id FROM \
         (SELECT a.n+10*b.n AS seq FROM (SELECT 0 n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION \
         SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9) a, (SELECT 0 n UNION SELECT 1 UNION \
         SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7) b) s",
    );
    let exporter = Exporter::start(&server, &["--collect.heartbeat"]);
    for statement in ["KILL", "KILL QUERY"] {
        std::thread::scope(|scope| {
            let page = scope.spawn(|| exporter.scrape("/metrics", 20.0));
            let mut id = None;
            wait_until("the statement to run", Duration::from_secs(10), || {
                id = connections(&server).iter().find(|c| c.contains("heartbeat")).cloned();
                id.is_some()
            });
            std::thread::sleep(Duration::from_millis(800));
            server.sql(&format!("{statement} {}", id.unwrap().split('\t').next().unwrap()));
            let page = page.join().unwrap();
            assert_eq!(success(&page, "heartbeat"), Some("0"), "{page}");
            assert!(!page.contains("mysql_heartbeat_now"), "{page}");
            assert_eq!(success(&page, "global_status"), Some("1"), "{statement}: {page}");
        });
    }
    let page = exporter.scrape("/metrics", 20.0);
    assert_eq!(success(&page, "heartbeat"), Some("1"));
    assert_eq!(page.lines().filter(|l| l.starts_with("mysql_heartbeat_now")).count(), 80);
}

#[test]
fn a_locked_table_does_not_hold_the_scrape() {
    let Some(server) = server(&[]) else { return };
    server.sql("CREATE DATABASE heartbeat; CREATE TABLE heartbeat.heartbeat (ts VARCHAR(26), server_id INT)");
    let exporter = Exporter::start(&server, &["--collect.heartbeat", "--collect.info_schema.tables"]);
    let lock = Background::run(&server, "LOCK TABLES heartbeat.heartbeat WRITE; SELECT SLEEP(5)");
    wait_until("the table to be locked", Duration::from_secs(10), || {
        server.sql("SHOW OPEN TABLES FROM heartbeat WHERE In_use>0").contains("heartbeat")
    });
    let begun = Instant::now();
    let page = exporter.scrape("/metrics", 10.0);
    let took = begun.elapsed();
    // lock_wait_timeout is 2 s, waited for once.
    assert!(took > Duration::from_secs(1) && took < Duration::from_millis(3500), "{took:?}");
    assert_eq!(success(&page, "heartbeat"), Some("0"));
    for collector in ["global_status", "info_schema.tables", "slave_status"] {
        assert_eq!(success(&page, collector), Some("1"), "{collector}");
    }
    drop(lock);
}

#[test]
fn odd_cells_and_other_character_sets_are_survived() {
    // init_connect does not run for those who may do everything: this account is no such.
    let Some(server) = server(&["--init-connect=SET NAMES latin1", "--character-set-server=latin1"]) else { return };
    server.sql(
        "CREATE DATABASE `käse-名前` CHARACTER SET utf8mb4; CREATE TABLE `käse-名前`.`täble`(`id 名` INT AUTO_INCREMENT PRIMARY KEY);
         CREATE DATABASE heartbeat; CREATE TABLE heartbeat.heartbeat (ts VARCHAR(40), server_id VARBINARY(40));
         INSERT INTO heartbeat.heartbeat VALUES ('2026-11-22T15:00:00', '1'), ('2026-11-22T15:00:00', '1'),
           (NULL, '2'), ('no date', '3'), ('2026-11-22T15:00:00', X'FF41')",
    );
    let exporter = Exporter::start(
        &server,
        &["--collect.heartbeat", "--collect.auto_increment.columns", "--collect.info_schema.tables"],
    );
    let page = exporter.scrape("/metrics", 10.0);
    assert_eq!(success(&page, "heartbeat"), Some("1"), "{}", exporter.service.log());
    let labels = "{column=\"id 名\",schema=\"käse-名前\",table=\"täble";
    assert!(page.contains(&format!("mysql_info_schema_auto_increment_column{labels}")), "{page}");
    let stored: Vec<_> = page.lines().filter(|l| l.starts_with("mysql_heartbeat_stored")).collect();
    assert_eq!(stored.len(), 2, "{stored:?}");
    // Two rows are odd, one is a duplicate (of two series).
    let page = exporter.scrape("/metrics", 10.0);
    let odd: f64 = value(&page, "mysqld_exporter_rows_left_out_total").unwrap().parse().unwrap();
    assert!(odd >= 2.0, "{odd}");
    let gathering = value(&page, "promhttp_metric_handler_errors_total{cause=\"gathering\"}").unwrap();
    assert!(gathering.parse::<f64>().unwrap() >= 2.0, "{gathering}");
}

#[test]
fn ten_thousand_tables_and_two_thousand_users() {
    let Some(server) = server(&["--innodb-file-per-table=0"]) else { return };
    let mut sql = String::from("CREATE DATABASE many; USE many;\n");
    for i in 0..10_000 {
        writeln!(sql, "CREATE TABLE t{i} (id INT AUTO_INCREMENT PRIMARY KEY) ENGINE=MyISAM;").unwrap();
    }
    for i in 0..2_000 {
        writeln!(sql, "CREATE USER user{i}@'10.%';").unwrap();
    }
    let mut client = server.client().stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), sql.as_bytes()).unwrap();
    assert!(client.wait().unwrap().success());
    let flags = [
        "--collect.info_schema.tables",
        "--collect.auto_increment.columns",
        "--collect.mysql.user",
        "--collect.mysql.user.privileges",
    ];
    let exporter = Exporter::start(&server, &flags);
    let begun = Instant::now();
    // One after the other: on a loaded machine all together take longer than a client waits.
    let page: String = ["info_schema.tables", "auto_increment.columns", "mysql.user"]
        .map(|collector| exporter.scrape(&format!("/metrics?collect[]={collector}"), 29.0))
        .concat();
    let took = begun.elapsed();
    let of_schema =
        |family: &str| page.lines().filter(|l| l.starts_with(family) && l.contains("schema=\"many\"")).count();
    assert_eq!(of_schema("mysql_info_schema_table_rows{"), 10_000);
    assert_eq!(of_schema("mysql_info_schema_auto_increment_column{"), 10_000);
    assert!(page.matches("mysql_mysql_select_priv{").count() >= 2_000);
    let megabytes = exporter.service.resident_bytes() >> 20;
    println!("10,000 tables, 2,000 users: {took:?}, {} bytes, {megabytes} MiB resident after it", page.len());
    assert!(megabytes < 220, "{megabytes} MiB");
}

#[test]
fn a_changed_password_shows_within_a_minute() {
    let Some(server) = server(&[]) else { return };
    let exporter = Exporter::start(&server, &[""; 0]);
    assert_eq!(value(&exporter.scrape("/metrics", 5.0), "mysql_up"), Some("1"));
    server.sql(&format!("ALTER USER {USER}@'%' IDENTIFIED BY 'another'"));
    let took = wait_until("the password to be missed", Duration::from_mins(1), || {
        std::thread::sleep(Duration::from_secs(1));
        value(&exporter.scrape("/metrics", 5.0), "mysql_up") == Some("0")
    });
    println!("a changed password showed after {took:?}");
    std::fs::write(
        exporter.my_cnf.path(),
        format!("[client]\nuser={USER}\npassword=another\nhost=127.0.0.1\nport={}\n", server.service.port),
    )
    .unwrap();
    let answer = tests::post(&exporter.service.url("/-/reload"), b"").unwrap();
    assert_eq!(answer.text(), "ok");
    assert_eq!(value(&exporter.scrape("/metrics", 5.0), "mysql_up"), Some("1"));
    let log = exporter.service.log();
    assert!(!log.contains(PASSWORD) && !log.contains("another"), "{log}");
}

#[test]
fn nobody_listens() {
    let port = free_port();
    let my_cnf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(my_cnf.path(), format!("[client]\nuser=u\npassword=Geheim\nport={port}\nhost=127.0.0.1\n")).unwrap();
    let service = tests::Service::ours("mysqld-exporter", &[format!("--config.my-cnf={}", my_cnf.path().display())]);
    let page = tests::get(&service.url("/metrics")).unwrap();
    assert_eq!((page.status, value(&page.text(), "mysql_up")), (200, Some("0")));
    assert!(!service.log().contains("Geheim"));
}
