//! The nginx exporter on a real nginx.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Service, free_port, get, peer, program, refused, skip};

/// A real nginx with stub_status in every form that the exporter can be asked to read.
struct Nginx {
    service: Service,
    dir: tempfile::TempDir,
    proxy_port: u16,
    tls_port: u16,
}

impl Nginx {
    fn start() -> Option<Self> {
        let Some(nginx) = program("nginx") else {
            skip("nginx is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let (port, proxy_port, tls_port) = (free_port(), free_port(), free_port());
        let path = dir.path().display();
        let key = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(dir.path().join("key.pem"))
            .arg("-out")
            .arg(dir.path().join("cert.pem"))
            .output()
            .unwrap();
        assert!(key.status.success(), "{}", String::from_utf8_lossy(&key.stderr));
        std::fs::write(dir.path().join("users"), "lab:{PLAIN}p@ss=w/rd\n").unwrap();
        let config = format!(
            "daemon off; user root; pid {path}/pid; error_log {path}/error.log; events {{}}
             http {{
               access_log {path}/access.log; client_body_temp_path {path}/a; proxy_temp_path {path}/b;
               fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
               server {{
                 listen 127.0.0.1:{port}; listen unix:{path}/socket;
                 location /stub_status {{ stub_status; }}
                 location /secret {{ auth_basic x; auth_basic_user_file {path}/users; stub_status; }}
                 location /moved {{ return 302 /stub_status; }}
                 location /round {{ return 302 /round; }}
                 location /created {{ return 201; }}
                 location /words {{ return 200 'Active connections: many'; }}
                 location /packed {{ gzip on; gzip_types *; gzip_min_length 1; stub_status; }}
               }}
               server {{ listen 127.0.0.1:{proxy_port} proxy_protocol; location / {{ stub_status; }} }}
               server {{
                 listen 127.0.0.1:{tls_port} ssl; ssl_certificate {path}/cert.pem; ssl_certificate_key {path}/key.pem;
                 location / {{ stub_status; }}
               }}
             }}"
        );
        std::fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(nginx);
        command.arg("-c").arg(dir.path().join("nginx.conf"));
        Some(Self { service: Service::start(command, port), dir, proxy_port, tls_port })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn uri(&self, path: &str) -> String {
        format!("--nginx.scrape-uri={}", self.service.url(path))
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its workers; a kill would orphan them.
        self.service.signal(rustix::process::Signal::TERM);
        self.service.wait();
    }
}

fn exporter(args: &[String]) -> Service {
    Service::ours("nginx-exporter", args)
}

/// The page's lines of `nginx_*` but for build info.
fn lines(service: &Service) -> Vec<String> {
    let page = get(&service.url("/metrics")).unwrap();
    assert_eq!(page.status, 200);
    let text = page.text();
    let ours = |l: &&str| l.starts_with("nginx_") && !l.contains("_build_info");
    text.lines().filter(ours).map(str::to_owned).collect()
}

fn up(service: &Service) -> bool {
    match lines(service).iter().find(|l| l.starts_with("nginx_up")).map(|l| l.rsplit(' ').next().unwrap().to_owned()) {
        Some(value) => value == "1",
        None => panic!("no nginx_up: {:?}", lines(service)),
    }
}

#[test]
fn every_way_to_stub_status() {
    let Some(nginx) = Nginx::start() else { return };
    let socket = nginx.path("socket").display().to_string();
    let ca = format!("--nginx.ssl-ca-cert={}", nginx.path("cert.pem").display());
    let tls = format!("--nginx.scrape-uri=https://localhost:{}/", nginx.tls_port);
    let proxied = format!("--nginx.scrape-uri=http://127.0.0.1:{}/", nginx.proxy_port);
    let secret = format!("--nginx.scrape-uri=http://lab:p%40ss=w%2Frd@127.0.0.1:{}/secret", nginx.service.port);
    let wrong = format!("--nginx.scrape-uri=http://lab:no@127.0.0.1:{}/secret", nginx.service.port);
    for (args, expected) in [
        (vec![nginx.uri("/stub_status")], true),
        (vec![nginx.uri("/packed")], true),
        (vec![nginx.uri("/moved")], true),
        (vec![nginx.uri("/round")], false),
        (vec![nginx.uri("/created")], false),
        (vec![nginx.uri("/words")], false),
        (vec![nginx.uri("/nothing")], false),
        (vec![format!("--nginx.scrape-uri=unix:{socket}:/stub_status")], true),
        (vec![secret], true),
        (vec![wrong], false),
        (vec![proxied.clone(), "--nginx.proxy-protocol".into()], true),
        (vec![proxied], false),
        (vec![tls.clone()], true),
        (vec![tls.clone(), "--nginx.ssl-verify".into()], false),
        (vec![tls, "--nginx.ssl-verify".into(), ca], true),
    ] {
        let service = exporter(&args);
        assert_eq!(up(&service), expected, "{args:?}\n{}", service.log());
        assert!(!service.log().contains("p@ss") && !service.log().contains("p%40ss"), "{}", service.log());
        if !expected {
            assert_eq!(lines(&service).len(), 1, "{args:?}");
        }
    }
}

#[test]
fn several_targets_side_by_side() {
    let Some(nginx) = Nginx::start() else { return };
    // One that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_uri = format!("http://{}/", silent.local_addr().unwrap());
    let tcp = nginx.service.url("/stub_status");
    let unix = format!("unix:{}:/stub_status", nginx.path("socket").display());
    let service = exporter(&[
        format!("--nginx.scrape-uri={tcp}"),
        format!("--nginx.scrape-uri={unix}"),
        format!("--nginx.scrape-uri={silent_uri}"),
        "--nginx.timeout=1s".into(),
        "--prometheus.const-label=env=lab=1".into(),
    ]);
    let start = Instant::now();
    let lines = lines(&service);
    let took = start.elapsed();
    assert!((900..5000).contains(&took.as_millis()), "the silent one costs its time-out: {took:?}");
    for expected in [
        format!("nginx_up{{addr=\"{tcp}\",env=\"lab=1\"}} 1"),
        format!("nginx_up{{addr=\"{unix}\",env=\"lab=1\"}} 1"),
        format!("nginx_up{{addr=\"{silent_uri}\",env=\"lab=1\"}} 0"),
    ] {
        assert!(lines.contains(&expected), "{expected}\n{lines:#?}");
    }
    assert_eq!(lines.len(), 3 + 2 * 7);
}

#[test]
fn one_connection_is_kept_and_a_restart_is_survived() {
    let Some(nginx) = Nginx::start() else { return };
    let service = exporter(&[nginx.uri("/stub_status")]);
    let value = |name: &str| -> f64 {
        let lines = lines(&service);
        let line = lines.iter().find(|l| l.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{lines:?}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let (accepted, requests) = (value("nginx_connections_accepted"), value("nginx_http_requests_total"));
    for _ in 0..10 {
        assert!(up(&service));
    }
    assert!(value("nginx_connections_accepted") - accepted < 1.5, "a connection per scrape");
    assert!(value("nginx_http_requests_total") - requests >= 11.0);
    drop(nginx);
    assert!(!up(&service));
}

#[test]
fn a_flood_is_cut() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("--nginx.scrape-uri=http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n");
            let block = vec![b'x'; 1 << 20];
            for _ in 0..64 {
                if stream.write_all(&block).is_err() {
                    break;
                }
            }
        }
    });
    let service = exporter(&[uri]);
    assert!(!up(&service));
    assert!(service.resident_bytes() < 32 << 20, "{} bytes", service.resident_bytes());
}

#[test]
fn bad_flags_are_refused_on_one_line() {
    for (args, words) in [
        (&["--nginx.timeout=-1s"][..], "nginx.timeout"),
        (&["--nginx.timeout=soon"], "nginx.timeout"),
        (&["--nginx.scrape-uri=ftp://x/"], "nginx.scrape-uri"),
        (&["--nginx.scrape-uri=http://a/", "--nginx.scrape-uri=http://a/"], "given twice"),
        (&["--nginx.ssl-ca-cert=/nonexistent.pem"], "/nonexistent.pem"),
        (&["--prometheus.const-label=novalue"], "const-label"),
        (&["--nosuch"], "unknown long flag '--nosuch'"),
    ] {
        let out = refused("nginx-exporter", args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
        let errors: Vec<&str> = text.lines().filter(|l| !l.contains("level=INFO")).collect();
        assert!(errors.len() == 1 && errors[0].contains(words), "{args:?}: {text}");
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn the_go_exporter_says_the_same() {
    let Some(go) = peer("prometheus-nginx-exporter") else { return };
    let Some(nginx) = Nginx::start() else { return };
    let port = free_port();
    let mut command = Command::new(go);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).arg(nginx.uri("/stub_status"));
    let theirs = Service::start(command, port);
    let ours = exporter(&[nginx.uri("/stub_status")]);
    let described = |service: &Service| -> Vec<String> {
        let text = get(&service.url("/metrics")).unwrap().text();
        let all = text.lines().filter(|l| l.contains("nginx_") && !l.contains("build_info"));
        // Counters move with each look: names, types and help are compared, values only of what stands still.
        all.map(|l| if l.starts_with('#') { l.to_owned() } else { l.split(' ').next().unwrap().to_owned() }).collect()
    };
    assert_eq!(described(&ours), described(&theirs));
}

#[test]
fn logs_go_to_standard_error_in_the_chosen_format() {
    let service = exporter(&["--log.format=json".to_owned()]);
    assert!(!up(&service));
    let log = service.log();
    tests::wait_until("an error line", Duration::from_secs(5), || service.log().contains("ERROR"));
    for line in log.lines() {
        assert!(line.starts_with("{\"time\":\"") && line.ends_with('}'), "{line}");
    }
}
