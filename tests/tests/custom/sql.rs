//! SQL on real servers: WordPress' numbers, and statements that mean harm.

use super::Exporter;
use std::time::{Duration, Instant};
use tests::database::{Kind, Server};
use tests::{repo, wait_until};

const PASSWORD: &str = "Geheim-4711";

/// A server with the lab's tables and an account that may read them.
fn server(kind: Kind) -> Option<Server> {
    let server = Server::start(kind, &[])?;
    let schema = std::fs::read_to_string(repo().join("deploy/mariadb/schema.sql")).unwrap();
    server.sql(&format!(
        "CREATE DATABASE wordpress CHARACTER SET utf8mb4; USE wordpress; {schema}
         CREATE USER custom@'127.0.0.1' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 20;
         GRANT SELECT, INSERT ON wordpress.* TO custom@'127.0.0.1'"
    ));
    Some(server)
}

/// The file of the lab, pointed at the test's server.
fn wordpress(server: &Server, password: &std::path::Path) -> String {
    let yaml = std::fs::read_to_string(repo().join("deploy/custom-exporter/wordpress.yml")).unwrap();
    yaml.replace("mysql-wordpress:3306", &format!("127.0.0.1:{}", server.service.port))
        .replace("/secrets/custom.password", &password.display().to_string())
}

fn password_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("{PASSWORD}\n")).unwrap();
    file
}

#[test]
fn wordpress_in_numbers() {
    let Some(server) = server(Kind::MariaDb) else { return };
    let password = password_file();
    let exporter = Exporter::start(&wordpress(&server, password.path()).replace("interval: 30s", "interval: 300ms"));
    let series = "wordpress_orders{currency=\"KRW\",status=\"completed\"}";
    wait_until("the first run", Duration::from_secs(20), || exporter.page().value(series).is_some());
    let page = exporter.page();
    for (series, value) in [
        ("wordpress_posts{status=\"publish\",type=\"post\"}", "2"),
        ("wordpress_posts{status=\"publish\",type=\"product\"}", "1"),
        ("wordpress_comments{status=\"approved\"}", "2"),
        ("wordpress_users", "3"),
        (series, "1"),
        ("wordpress_orders{currency=\"KRW\",status=\"processing\"}", "1"),
        ("wordpress_orders_amount{currency=\"KRW\",status=\"processing\"}", "78000"),
    ] {
        assert_eq!(page.value(series), Some(value), "{series} in\n{}", page.0);
    }
    // Told by the database, shown at the next run.
    server.sql("INSERT INTO wordpress.wp_wc_orders (status, total_amount) VALUES ('wc-completed', 1000.5)");
    wait_until("the order to show", Duration::from_secs(10), || exporter.page().value(series) == Some("2"));
    let amount = "wordpress_orders_amount{currency=\"KRW\",status=\"completed\"}";
    assert_eq!(exporter.page().value(amount), Some("40000.5"));
    // A password that is changed on both sides counts without a reload; a wrong one is an error, not a log of secrets.
    server.sql("ALTER USER custom@'127.0.0.1' IDENTIFIED BY 'Neues-4712'");
    wait_until("the old password to fail", Duration::from_secs(10), || !exporter.page().up("wordpress_users"));
    assert!(exporter.page().value("wordpress_users").is_none(), "numbers of yesterday");
    std::fs::write(password.path(), "Neues-4712").unwrap();
    wait_until("the new password to count", Duration::from_secs(10), || exporter.page().up("wordpress_users"));
    let log = exporter.service.log();
    assert!(log.contains("error 1045") && !log.contains("4711") && !log.contains("4712"), "{log}");
}

#[test]
fn harm_costs_its_own_metric_only() {
    for kind in [Kind::MariaDb, Kind::MySql] {
        let Some(server) = server(kind) else { continue };
        harm(&server);
    }
}

fn harm(server: &Server) {
    let kind = server.kind;
    server.sql("CREATE TABLE wordpress.many AS SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3");
    let password = password_file();
    let source = |name: &str, query: &str| {
        format!(
            "- name: {name}\n  timeout: 2s\n  max_rows: 100\n  sql: {{server: db, database: wordpress, query: \"{query}\"}}\n  \
             metrics: [{{name: {name}, value: n}}]\n"
        )
    };
    let cross = (0..9).map(|i| format!("information_schema.columns c{i}")).collect::<Vec<_>>().join(", ");
    let mut yaml = format!(
        "servers: {{db: {{address: '127.0.0.1:{}', user: custom, password_file: {}}}}}\nsources:\n",
        server.service.port,
        password.path().display()
    );
    for (name, query) in [
        ("good", "SELECT COUNT(*) AS n FROM wp_users"),
        ("optional", "SELECT NULL AS n UNION ALL SELECT 7"),
        ("join", &format!("SELECT COUNT(*) AS n FROM {cross}")),
        ("sleep", "DO SLEEP(1000)"),
        ("rows", "SELECT a.n AS n FROM many a, many b, many c, many d, many e, many f"),
        ("cell", "SELECT REPEAT('x', 8000000) AS n"),
        ("text", "SELECT user_login AS n FROM wp_users"),
        ("column", "SELECT 1 AS m"),
        ("syntax", "SELEKT 1"),
        ("write", "INSERT INTO wp_users (user_login) VALUES ('mallory')"),
        ("table", "SELECT 1 AS n FROM wp_nothing"),
    ] {
        yaml.push_str(&source(name, query));
    }
    // A password file that nobody ever writes to must not hold the others up.
    let pipe = password.path().with_extension("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    yaml.push_str(&source("pipe", "SELECT 1 AS n").replace("server: db", "server: piped"));
    let piped =
        format!("servers: {{piped: {{address: '127.0.0.1:1', user: u, password_file: {}}}, db:", pipe.display());
    yaml = yaml.replace("servers: {db:", &piped);
    yaml.push_str(&source("away", "SELECT 1 AS n").replace("server: db", "server: away"));
    yaml = yaml.replace("servers: {piped:", "servers: {away: {address: '127.0.0.1:1', user: u}, piped:");
    let exporter = Exporter::start(&yaml);
    let began = Instant::now();
    let page = exporter.page();
    assert!(began.elapsed() < Duration::from_secs(7), "{kind:?}: {:?}", began.elapsed());
    let log = exporter.service.log();
    assert_eq!((page.value("good"), page.value("optional")), (Some("3"), Some("7")), "{kind:?}: {log}");
    for (name, reason) in [
        ("join", "timeout"),
        ("rows", "limit"),
        ("cell", "limit"),
        ("text", "parse"),
        ("column", "parse"),
        ("syntax", "answer"),
        ("write", "answer"),
        ("table", "answer"),
        ("away", "connect"),
        ("pipe", "connect"),
    ] {
        assert_eq!(page.errors(name, reason), 1, "{kind:?} {name}: {log}");
    }
    // MariaDB interrupts it at its own limit, MySQL has none for it and is told to.
    std::fs::remove_file(&pipe).unwrap();
    assert!(!page.up("sleep"), "{kind:?}: {log}");
    assert!(!log.contains(PASSWORD), "{log}");
    assert_eq!(server.sql("SELECT COUNT(*) FROM wordpress.wp_users").trim(), "3", "nothing was written");
    // What was cut off does not run on.
    wait_until("the server to be idle", Duration::from_secs(10), || {
        let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'custom'";
        server.sql(running).trim() == "0"
    });
    assert!(exporter.service.resident_bytes() < 64 << 20, "{}", exporter.service.resident_bytes());
}

#[test]
fn a_server_that_hangs_is_left() {
    // Accepts and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let exporter = Exporter::start(&format!(
        "servers: {{db: {{address: '127.0.0.1:{port}', user: u}}}}\nsources:\n- {{name: hung, timeout: 500ms, \
         sql: {{server: db, query: SELECT 1 AS n}}, metrics: [{{name: n, value: n}}]}}\n"
    ));
    for run in 1..=3 {
        let began = Instant::now();
        assert_eq!(exporter.page().errors("hung", "timeout"), run);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    }
    let task = format!("/proc/{}/fd", exporter.service.pid());
    let sockets = || {
        let all = std::fs::read_dir(&task).unwrap().flatten();
        all.filter(|e| std::fs::read_link(e.path()).is_ok_and(|to| to.display().to_string().starts_with("socket:")))
            .count()
    };
    // Its own listener and nothing that waits for the server.
    wait_until("its connections to be closed", Duration::from_secs(5), || sockets() <= 4);
    drop(listener);
}
