//! JSON over HTTP, from a server that behaves and from one that does not.

use super::Exporter;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Serves one connection after the other, each in a thread; what is asked decides what it does.
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || drop(answer(stream)));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    let path = head.first().and_then(|l| l.split(' ').nth(1)).unwrap_or_default().to_owned();
    let authorized = head.iter().any(|l| l.eq_ignore_ascii_case("authorization: Bearer geheim-4711"));
    let mut reply = |status: &str, extra: &str, body: &[u8]| {
        write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{extra}Content-Length: {}\r\n\r\n", body.len())?;
        stream.write_all(body)
    };
    match path.as_str() {
        "/shop" => {
            reply("200 OK", "", br#"{"open": true, "queues": [{"name": "mail", "ms": 1500}, {"name": "print"}]}"#)
        }
        "/secret" if authorized => reply("200 OK", "", b"1"),
        "/secret" => reply("401 Unauthorized", "", b"no"),
        "/broken" => reply("200 OK", "", b"{\"open\": tru"),
        "/deep" => reply("200 OK", "", "[".repeat(500_000).as_bytes()),
        "/error" => reply("503 Service Unavailable", "", b"{}"),
        "/huge" => {
            // A gigabyte and no end, as fast as it is taken.
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n[")?;
            loop {
                stream.write_all(&[b'1', b','].repeat(32 << 10))?;
            }
        }
        "/drip" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n[")?;
            loop {
                stream.write_all(b"1,")?;
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        _ => {
            std::thread::sleep(Duration::from_mins(1));
            Ok(())
        }
    }
}

#[test]
fn documents_become_metrics_and_harm_stays_small() {
    let port = server();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "Bearer geheim-4711\n").unwrap();
    let mut yaml = String::from(
        r#"
sources:
- name: shop
  http: {url: "http://user:geheim-4712@127.0.0.1:PORT/shop"}
  metrics:
  - {name: shop_open, value: $.open}
  - {name: shop_queue_seconds, each: '$.queues[*]', value: $.ms, scale: 0.001, labels_from: {queue: $.name}}
  - {name: shop_mail_seconds, each: '$.queues[*]', value: $.ms, scale: 0.001, where: {$.name: mail}}
- name: secret
  http: {url: "http://127.0.0.1:PORT/secret", header_files: {Authorization: SECRET}}
  format: number
  metrics: [{name: secret}]
- name: denied
  http: {url: "http://user:geheim-4712@127.0.0.1:PORT/secret"}
  metrics: [{name: denied}]
"#,
    );
    for harm in ["broken", "deep", "error", "huge", "drip", "hang"] {
        let source =
            "- {name: HARM, timeout: 1s, http: {url: 'http://127.0.0.1:PORT/HARM'}, metrics: [{name: never}]}\n";
        yaml.push_str(&source.replace("HARM", harm));
    }
    let yaml = yaml.replace("PORT", &port.to_string()).replace("SECRET", &secret.path().display().to_string());
    let exporter = Exporter::start(&yaml);
    let began = Instant::now();
    let page = exporter.page();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for (series, value) in [
        ("shop_open", "1"),
        ("shop_queue_seconds{queue=\"mail\"}", "1.5"),
        ("shop_mail_seconds", "1.5"),
        ("secret", "1"),
    ] {
        assert_eq!(page.value(series), Some(value), "{series} in\n{}\n{}", page.0, exporter.service.log());
    }
    for (source, reason) in [
        ("denied", "answer"),
        ("broken", "parse"),
        ("deep", "parse"),
        ("error", "answer"),
        ("huge", "limit"),
        ("drip", "timeout"),
        ("hang", "timeout"),
    ] {
        assert_eq!(page.errors(source, reason), 1, "{source}: {}", exporter.service.log());
    }
    assert!(exporter.service.resident_bytes() < 64 << 20, "{}", exporter.service.resident_bytes());
    let landing = tests::get(&exporter.service.url("/")).unwrap().text();
    for text in [exporter.service.log(), page.0, landing] {
        assert!(!text.contains("geheim"), "{text}");
    }
}
