//! Sockets other than a TCP port: Unix sockets, and a refusal for what cannot be bound.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use service::{Address, App, Config, Listener, Stop};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use support::{rest, status};
use tokio::io::AsyncWriteExt;

fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

async fn ask(stream: std::io::Result<UnixStream>) -> String {
    let stream = stream.unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut stream = tokio::net::UnixStream::from_std(stream).unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
    rest(&mut stream).await
}

#[tokio::test]
async fn a_unix_socket_is_served_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let at = address(&format!("unix:{}", path.display()));
    // One that a killed process left behind is in nobody's use.
    drop(UnixListener::bind(&path).unwrap());
    let listener = Listener::bind(&at).unwrap();
    let taken = Listener::bind(&at).unwrap_err().to_string();
    assert!(taken.contains("--web.listen-address") && taken.contains("in use"), "{taken}");
    let (stop, shutdown) = Stop::new();
    let app = App::new(axum::Router::new());
    let served = tokio::spawn(service::serve(vec![listener], app, Config::default(), shutdown));
    assert_eq!(status(&ask(UnixStream::connect(&path)).await), "200");
    stop.stop();
    served.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_file_in_the_sockets_place_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "precious").unwrap();
    let error = Listener::bind(&Address::Unix(path.clone())).unwrap_err().to_string();
    assert!(error.contains("not a socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = Listener::bind(&Address::Unix(Path::new("/nonexistent/s").into())).unwrap_err().to_string();
    assert!(error.contains("unix:/nonexistent/s"), "{error}");
}

#[tokio::test]
async fn an_abstract_socket_is_served() {
    let name = format!("service-test-{}", std::process::id());
    let listener = Listener::bind(&address(&format!("unix:@{name}"))).unwrap();
    let (stop, shutdown) = Stop::new();
    let app = App::new(axum::Router::new());
    let served = tokio::spawn(service::serve(vec![listener], app, Config::default(), shutdown));
    let at = SocketAddr::from_abstract_name(&name).unwrap();
    assert_eq!(status(&ask(UnixStream::connect_addr(&at)).await), "200");
    stop.stop();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_bare_port_takes_both_families() {
    let listener = Listener::bind(&address(":0")).unwrap();
    let port: u16 = listener.address().rsplit_once(':').unwrap().1.parse().unwrap();
    let (_stop, shutdown) = Stop::new();
    tokio::spawn(service::serve(vec![listener], App::new(axum::Router::new()), Config::default(), shutdown));
    for host in ["127.0.0.1", "::1"] {
        let Ok(mut stream) = tokio::net::TcpStream::connect((host, port)).await else {
            assert_eq!(host, "::1", "IPv4 is always there");
            println!("skipped ::1: this machine has no IPv6 loopback");
            continue;
        };
        stream.write_all(b"GET /-/ready HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await.unwrap();
        assert_eq!(status(&rest(&mut stream).await), "200", "{host}");
    }
}

#[test]
fn addresses_are_read_as_go_reads_them() {
    for (text, read) in [
        (":9100", Address::Port(9100)),
        ("127.0.0.1:9100", Address::Tcp("127.0.0.1".into(), 9100)),
        ("[::1]:9100", Address::Tcp("::1".into(), 9100)),
        ("localhost:0", Address::Tcp("localhost".into(), 0)),
        ("unix:/run/x.sock", Address::Unix("/run/x.sock".into())),
        ("unix:///run/x.sock", Address::Unix("/run/x.sock".into())),
        ("unix:@x", Address::Abstract("x".into())),
    ] {
        assert_eq!(address(text), read);
    }
    for (text, why) in [
        ("foo", "missing port in address"),
        ("", "missing port in address"),
        (":99999", "invalid port"),
        (":http", "invalid port"),
        ("::1:9100", "too many colons"),
        ("[::1:9100", "missing ']'"),
        ("[::1]", "missing port in address"),
        ("vsock://:9100", "vsock"),
        ("unix:", "path"),
    ] {
        let error = Address::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("--web.listen-address: ") && error.contains(why), "{text}: {error}");
    }
}
