//! Inputs over the network, with clients that speak as Logstash, Filebeat and syslog daemons do.

use crate::exporter::{Place, RULES, SEEN, append, settles, value};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::{Service, free_port, get_with, post};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// POSTs a body as it is; gives the status.
fn send(service: &Service, path: &str, headers: &str, body: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A refusal may come before all of it is sent.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn logstash_http_output() {
    let place = Place::new(
        "inputs:
  - {type: http, name: batch, path: /batch, format: json_batch}
  - {type: http, name: single, path: /json, format: json}
  - {type: http, name: message, path: /message}
rules:
  - name: lines
    regex: '^line'
    metrics:
      - {type: counter, name: lines_seen_total, help: Lines.}
      - {type: counter, name: by_user_total, help: By user., labels: {user: '{{index .extra \"user\"}}'}}
",
    );
    let service = place.start();
    let batch =
        br#"[{"@timestamp":"2024-01-01T00:00:00Z","message":"line 1","user":"a"},{"message":"line 2","user":"b"}]"#;
    assert_eq!(post(&service.url("/batch"), batch).unwrap().status, 200);
    // Counted before it was acknowledged.
    assert_eq!(value(&service, SEEN), Some(2.0));
    assert_eq!(value(&service, "by_user_total{user=\"b\"}"), Some(1.0));
    assert_eq!(send(&service, "/batch", "Content-Encoding: gzip\r\n", &gzip(batch)), 200);
    assert_eq!(post(&service.url("/json"), br#"{"message":"line 5"}"#).unwrap().status, 200);
    assert_eq!(post(&service.url("/message"), b"line 6\nstill line 6\n").unwrap().status, 200);
    assert_eq!(value(&service, SEEN), Some(6.0));

    assert_eq!(post(&service.url("/batch"), b"{\"message\":\"line\"}").unwrap().status, 400);
    assert_eq!(send(&service, "/batch", "Content-Encoding: gzip\r\n", b"no gzip"), 400);
    assert_eq!(send(&service, "/batch", "Content-Encoding: br\r\n", b"x"), 415);
    assert_eq!(send(&service, "/batch", "Content-Encoding: gzip\r\n", &gzip(&vec![b' '; 51 << 20])), 413);
    assert_eq!(send(&service, "/batch", "", &vec![b' '; 51 << 20]), 413);
    assert_eq!(get_with(&service.url("/batch"), &[]).unwrap().status, 405);
    assert_eq!(value(&service, SEEN), Some(6.0));
    assert_eq!(value(&service, "log_exporter_input_errors_total{input=\"batch\"}"), Some(5.0));
    assert!(service.resident_bytes() < 200 << 20);
}

fn event(sequence: u32, json: &str) -> Vec<u8> {
    [b"2J".as_slice(), &sequence.to_be_bytes(), &(json.len() as u32).to_be_bytes(), json.as_bytes()].concat()
}

fn window(count: u32) -> Vec<u8> {
    [b"2W".as_slice(), &count.to_be_bytes()].concat()
}

fn packed(frames: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(frames).unwrap();
    let bytes = packer.finish().unwrap();
    [b"2C".as_slice(), &(bytes.len() as u32).to_be_bytes(), &bytes].concat()
}

/// The sequence number that is acknowledged next, signs of life left out.
fn acknowledged(stream: &mut impl Read) -> u32 {
    loop {
        let mut frame = [0; 6];
        stream.read_exact(&mut frame).unwrap();
        assert_eq!(&frame[..2], b"2A");
        let sequence = u32::from_be_bytes(frame[2..].try_into().unwrap());
        if sequence > 0 {
            return sequence;
        }
    }
}

#[test]
fn filebeat_over_lumberjack() {
    let port = free_port();
    let place = Place::new(&format!("inputs:\n  - {{type: lumberjack, listen: '127.0.0.1:{port}'}}\n{RULES}"));
    let service = place.start();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    for round in 0..20_u32 {
        let events: Vec<u8> = (1..=2048)
            .flat_map(|n| {
                event(n, &format!(r#"{{"@timestamp":"x","message":"line {n}","agent":{{"type":"filebeat"}}}}"#))
            })
            .collect();
        stream.write_all(&window(2048)).unwrap();
        stream.write_all(&packed(&events)).unwrap();
        assert_eq!(acknowledged(&mut stream), 2048);
        assert_eq!(value(&service, SEEN), Some(2048.0 * f64::from(round + 1)), "counted before it is acknowledged");
    }
    let connections = "log_exporter_input_connections{input=\"lumberjack\"}";
    assert_eq!(value(&service, connections), Some(1.0));
    // An event without a line and one that is no JSON are received all the same.
    stream.write_all(&window(2)).unwrap();
    stream.write_all(&event(1, "{}")).unwrap();
    stream.write_all(&event(2, "no json")).unwrap();
    assert_eq!(acknowledged(&mut stream), 2);
    drop(stream);
    settles(&service, connections, 0.0);

    for hostile in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"2J\0\0\0\x01\xff\xff\xff\xff", b"2C\0\0\0\x03abc"] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(hostile).unwrap();
        let mut answer = Vec::new();
        // A reset is an answer too.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty());
    }
    settles(&service, connections, 0.0);
    assert_eq!(value(&service, "log_exporter_input_errors_total{input=\"lumberjack\"}"), Some(5.0));
    assert!(service.resident_bytes() < 100 << 20, "{} bytes", service.resident_bytes());
}

#[test]
fn what_is_acknowledged_is_on_disk_where_that_is_asked_for() {
    let port = free_port();
    let config = format!(
        "inputs:
  - {{type: lumberjack, listen: '127.0.0.1:{port}', acknowledge: saved}}
  - {{type: http, path: /lines, format: text_bulk, acknowledge: saved}}
{RULES}"
    );
    let place = Place::new(&config);
    let mut service = place.start();
    for round in 1..=5_u32 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&[window(1), event(1, r#"{"message":"line"}"#)].concat()).unwrap();
        assert_eq!(acknowledged(&mut stream), 1);
        assert_eq!(post(&service.url("/lines"), b"line\n\nline").unwrap().status, 200);
        service.signal(rustix::process::Signal::KILL);
        service.wait();
        service = place.start();
        settles(&service, SEEN, f64::from(round * 3));
    }
    drop(service);
    let args = [format!("--config.file={}", place.path("config.yml").display())];
    let out = tests::refused("log-exporter", &args);
    assert!(String::from_utf8_lossy(&out.stderr).contains("acknowledge: saved needs --storage.path"));
}

#[test]
fn lumberjack_over_tls() {
    let (Some(socat), Some(openssl)) = (tests::program("socat"), tests::program("openssl")) else {
        tests::skip("socat or openssl is not installed");
        return;
    };
    let port = free_port();
    let place = Place::new(&format!(
        "inputs:\n  - {{type: lumberjack, listen: '127.0.0.1:{port}', tls: {{cert_file: DIR/cert, key_file: DIR/key, client_ca_file: DIR/cert}}}}\n{RULES}"
    ));
    let made = Command::new(openssl)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost"])
        .arg("-keyout")
        .arg(place.path("key"))
        .arg("-out")
        .arg(place.path("cert"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let service = place.start();
    let client = |extra: String| {
        Command::new(&socat)
            .args(["-t5", "-", &format!("OPENSSL:localhost:{port},cafile={}{extra}", place.path("cert").display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut known = client(format!(",cert={},key={}", place.path("cert").display(), place.path("key").display()));
    let mut input = known.stdin.take().unwrap();
    input
        .write_all(&[window(2), event(1, r#"{"message":"line"}"#), event(2, r#"{"message":"line"}"#)].concat())
        .unwrap();
    assert_eq!(acknowledged(known.stdout.as_mut().unwrap()), 2);
    drop(input);
    known.wait().unwrap();
    settles(&service, SEEN, 2.0);
    // Without a certificate of its own nobody gets in.
    let mut unknown = client(String::new());
    let _ = unknown.stdin.take().unwrap().write_all(&[window(1), event(1, r#"{"message":"line"}"#)].concat());
    let mut answer = Vec::new();
    unknown.stdout.take().unwrap().read_to_end(&mut answer).unwrap();
    unknown.wait().unwrap();
    assert!(answer.is_empty());
    settles(&service, SEEN, 2.0);
}

#[test]
fn syslog_over_both_transports() {
    let (tcp, udp) = (free_port(), free_port());
    let place = Place::new(&format!(
        "inputs:
  - {{type: syslog, name: tcp, listen: 'tcp://127.0.0.1:{tcp}'}}
  - {{type: syslog, name: udp, listen: 'udp://127.0.0.1:{udp}'}}
rules:
  - name: lines
    regex: '^line'
    metrics:
      - {{type: counter, name: lines_seen_total, help: Lines.}}
      - {{type: counter, name: by_app_total, help: By app., labels: {{app: '{{{{index .extra \"app_name\"}}}}', severity: '{{{{index .extra \"severity\"}}}}'}}}}
"
    ));
    let service = place.start();
    let mut stream = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
    stream.write_all(b"<14>1 2024-01-01T00:00:00Z host app 1 - - line new\n").unwrap();
    let message = "<190>Oct 11 22:14:15 web nginx: line old\nof two";
    stream.write_all(format!("{} {message}", message.len()).as_bytes()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for n in 0..100 {
        socket.send_to(format!("<11>Oct 11 22:14:15 web su[1]: line {n}").as_bytes(), ("127.0.0.1", udp)).unwrap();
    }
    settles(&service, SEEN, 102.0);
    assert_eq!(value(&service, "by_app_total{app=\"nginx\",severity=\"info\"}"), Some(1.0));
    assert_eq!(value(&service, "by_app_total{app=\"su\",severity=\"err\"}"), Some(100.0));
    // A real sender, where there is one.
    if let Some(logger) = tests::program("logger") {
        let port = tcp.to_string();
        let args = ["--server", "127.0.0.1", "--tcp", "--port", &port, "--rfc5424", "--octet-count", "line of logger"];
        assert!(Command::new(logger).args(args).status().unwrap().success());
        settles(&service, SEEN, 103.0);
    }
}

#[test]
fn a_large_backlog_stays_within_bounds() {
    let place = Place::usual();
    let service = place.start();
    let text = "line of some length, as many have it\n".repeat(300_000);
    append(&place.log("app.log"), &text);
    settles(&service, SEEN, 300_000.0);
    assert!(service.resident_bytes() < 40 << 20, "{} bytes", service.resident_bytes());
}
