//! Where user, password and target come from, and what is never shown.

use crate::exporter::value;
use crate::server::{Kind, Server};
use std::process::Command;
use tests::{Service, binary, free_port, get, refused};

/// Everything that breaks parsers, shells and URLs.
const AWKWARD: &str = "a@b:c/d?e%41#f$HOME&g=h;i\"j";

#[test]
fn passwords_may_hold_any_character() {
    let Some(server) = Server::start(Kind::MariaDb, &[]) else { return };
    server.sql(&format!("CREATE USER lab@'%' IDENTIFIED BY '{AWKWARD}'"));
    let port = server.service.port;
    let socket = server.socket().display().to_string();
    let tcp = format!("lab:{AWKWARD}@(127.0.0.1:{port})/");
    for dsn in [
        tcp.clone(),
        format!("\"{tcp}\""),
        format!("lab:{AWKWARD}@tcp(127.0.0.1:{port})/mysql?timeout=5s&sql_mode='ANSI_QUOTES'").replace("/mysql", "/"),
        format!("lab:{AWKWARD}@unix({socket})/"),
    ] {
        let service = with_dsn(&dsn, &[]);
        let page = get(&service.url("/metrics")).unwrap().text();
        assert_eq!(value(&page, "mysql_up"), Some("1"), "{dsn}\n{}", service.log());
        assert!(!service.log().contains("d?e%41") && !page.contains("d?e%41"));
    }
    let my_cnf = tempfile::NamedTempFile::new().unwrap();
    let write = |text: String| std::fs::write(my_cnf.path(), text).unwrap();
    let file = format!("--config.my-cnf={}", my_cnf.path().display());
    for (text, flags) in [
        (format!("[client]\nuser=lab\npassword='{AWKWARD}'\nsocket={socket}\n"), vec![]),
        (
            format!("[client]\npassword={AWKWARD}\nhost=127.0.0.1\nport={port}\n"),
            vec!["--mysqld.username=lab".to_owned()],
        ),
        (format!("[client]\nuser=lab\npassword={AWKWARD}\n"), vec![format!("--mysqld.address=unix://{socket}")]),
    ] {
        write(text);
        let service = Service::ours("mysqld-exporter", &[vec![file.clone()], flags].concat());
        let page = get(&service.url("/metrics")).unwrap().text();
        assert_eq!(value(&page, "mysql_up"), Some("1"), "{}", service.log());
    }
    // From the environment, for the [client] that has none.
    write(format!("[client]\nuser=lab\nhost=127.0.0.1\nport={port}\n"));
    let service = start(Command::new(binary("mysqld-exporter")).arg(&file).env("MYSQLD_EXPORTER_PASSWORD", AWKWARD));
    assert_eq!(value(&get(&service.url("/metrics")).unwrap().text(), "mysql_up"), Some("1"));
}

#[test]
fn targets_and_modules() {
    let Some(server) = Server::start(Kind::MariaDb, &[]) else { return };
    server.sql("CREATE USER lab@'%' IDENTIFIED BY 'one'; CREATE USER other@'%' IDENTIFIED BY 'two'");
    let port = server.service.port;
    let my_cnf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        my_cnf.path(),
        "[client]\nuser=lab\npassword=one\nhost=127.0.0.1\nport=1\n[client.other]\nuser=other\npassword=two\n\
         [client.wrong]\npassword=three\n[mysqld]\nskip-networking\n",
    )
    .unwrap();
    let service = Service::ours("mysqld-exporter", &[format!("--config.my-cnf={}", my_cnf.path().display())]);
    let page = |path: &str| {
        let answer = get(&service.url(path)).unwrap();
        (answer.status, answer.text())
    };
    let up = |path: &str| value(&page(path).1, "mysql_up").map(str::to_owned);
    assert_eq!(up("/metrics").as_deref(), Some("0"));
    assert_eq!(up(&format!("/metrics?target=127.0.0.1:{port}")).as_deref(), Some("1"));
    assert_eq!(up(&format!("/probe?target=127.0.0.1:{port}")).as_deref(), Some("1"));
    assert_eq!(up(&format!("/probe?target=unix://{}", server.socket().display())).as_deref(), Some("1"));
    assert_eq!(up(&format!("/probe?target=127.0.0.1:{port}&auth_module=client.other")).as_deref(), Some("1"));
    assert_eq!(up(&format!("/probe?target=127.0.0.1:{port}&auth_module=client.wrong")).as_deref(), Some("0"));
    for (path, text) in [
        ("/probe", "target is required"),
        ("/probe?target=127.0.0.1", "target is neither"),
        ("/probe?target=127.0.0.1:1&auth_module=nosuch", "no account [nosuch]"),
        ("/probe?target=127.0.0.1:1&auth_module=mysqld", "no account [mysqld]"),
    ] {
        let (status, body) = page(path);
        assert!(status == 400 && body.starts_with(text), "{path}: {status} {body}");
    }
    // Own series on /metrics alone; collect[] picks; a name that none has picks all.
    let (_, probe) = page(&format!("/probe?target=127.0.0.1:{port}&collect[]=global_variables"));
    assert!(!probe.contains("process_cpu") && !probe.contains("build_info"), "{probe}");
    assert!(probe.contains("mysql_version_info") && !probe.contains("mysql_global_status_uptime"));
    let (_, all) = page(&format!("/metrics?target=127.0.0.1:{port}&collect[]=nosuch"));
    assert!(all.contains("mysql_global_status_uptime") && all.contains("mysqld_exporter_build_info"));
    // A file that went bad changes nothing.
    std::fs::write(my_cnf.path(), "[client\npassword=Geheim").unwrap();
    assert_eq!(page("/-/reload"), (200, String::new()));
    assert_eq!(up(&format!("/probe?target=127.0.0.1:{port}")).as_deref(), Some("1"));
    assert!(service.log().contains("line 1") && !service.log().contains("Geheim"), "{}", service.log());
}

#[test]
fn bad_settings_end_the_start_with_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.cnf");
    for (text, flags, expected) in [
        ("[client]\nuser=u\npassword=Geheim\n[broken", &[][..], "line 4"),
        ("[client]\npassword=Geheim\n", &[], "no user to connect as"),
        ("[client]\nuser=u\nport=Geheim\n", &[], "[client]: port"),
        ("[client]\nuser=u\ntls-max-version=TLSv1.1\n", &[], "tls-max-version"),
        ("[client]\nuser=u\n", &["--mysqld.address=localhost"], "--mysqld.address"),
        ("[client]\nuser=u\n", &["--exporter.max_open_connections=0"], "--exporter.max_open_connections"),
    ] {
        std::fs::write(&file, text).unwrap();
        let args: Vec<String> = std::iter::once(format!("--config.my-cnf={}", file.display()))
            .chain(flags.iter().map(|&f| f.to_owned()))
            .collect();
        let output = refused("mysqld-exporter", &args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected) && !stderr.contains("Geheim"), "{expected}: {stderr}");
    }
    let output = Command::new(binary("mysqld-exporter"))
        .args(["--web.listen-address=127.0.0.1:0", "--config.my-cnf=/nonexistent"])
        .env("DATA_SOURCE_NAME", "u:Geheim@tcp(h:1)")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("DATA_SOURCE_NAME") && !stderr.contains("Geheim"), "{stderr}");
}

#[test]
fn tls_is_used_and_checked() {
    // MySQL makes itself a certificate; MariaDB 10.11 has none unless given one.
    let Some(server) = Server::start(Kind::MySql, &[]) else { return };
    server.sql("CREATE USER lab@'%' IDENTIFIED BY 'one' REQUIRE SSL; CREATE USER plain@'%' IDENTIFIED BY 'one'");
    let port = server.service.port;
    let up = |dsn: String| {
        let service = with_dsn(&dsn, &[]);
        let page = get(&service.url("/metrics")).unwrap().text();
        (value(&page, "mysql_up").map(str::to_owned), service.log())
    };
    for (user, tls, expected) in [
        ("lab", "", "0"),
        ("lab", "?tls=skip-verify", "1"),
        ("lab", "?tls=preferred", "1"),
        ("lab", "?tls=true", "0"),
        // Without TLS the password goes encrypted with the server's key.
        ("plain", "", "1"),
    ] {
        let (found, log) = up(format!("{user}:one@(127.0.0.1:{port})/{tls}"));
        assert_eq!(found.as_deref(), Some(expected), "{user} {tls}\n{log}");
    }
    let ca = server.data().join("ca.pem");
    let my_cnf = tempfile::NamedTempFile::new().unwrap();
    for (more, expected) in [
        ("tls-server-name=wrong", "0"),
        ("ssl-skip-verfication", "1"),
        ("ssl-skip-verification=true\ntls-min-version=TLSv1.3", "1"),
    ] {
        let text =
            format!("[client]\nuser=lab\npassword=one\nhost=127.0.0.1\nport={port}\nssl-ca={}\n{more}\n", ca.display());
        std::fs::write(my_cnf.path(), text).unwrap();
        let service = Service::ours("mysqld-exporter", &[format!("--config.my-cnf={}", my_cnf.path().display())]);
        let page = get(&service.url("/metrics")).unwrap().text();
        assert_eq!(value(&page, "mysql_up"), Some(expected), "{more}\n{}", service.log());
    }
}

fn with_dsn(dsn: &str, args: &[&str]) -> Service {
    let mut command = Command::new(binary("mysqld-exporter"));
    start(command.arg("--config.my-cnf=/nonexistent").args(args).env("DATA_SOURCE_NAME", dsn))
}

fn start(command: &mut Command) -> Service {
    let port = free_port();
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let command = std::mem::replace(command, Command::new(""));
    Service::start(command, port)
}
