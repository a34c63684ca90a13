//! A service on port 0, and raw sockets to talk to it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use service::{App, Config, Limits, Listener, Shutdown, StartError, Stop, WebConfig};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A running service; it stops when dropped.
pub struct Served {
    pub at: SocketAddr,
    pub stop: Stop,
    pub ended: JoinHandle<Result<(), StartError>>,
}

/// Serves `app` on a free port of the loopback.
pub async fn serve(app: App, limits: Limits) -> Served {
    serve_with(app, limits, None).await
}

/// [`serve`] with a web config file.
pub async fn serve_configured(app: App, config: &Path, limits: Limits) -> Served {
    let web = WebConfig::open(config).unwrap();
    serve_with(app, limits, Some(Arc::new(web))).await
}

async fn serve_with(app: App, limits: Limits, web: Option<Arc<WebConfig>>) -> Served {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = socket.local_addr().unwrap();
    let (stop, shutdown): (Stop, Shutdown) = Stop::new();
    let config = Config { name: "Test".to_owned(), limits, web };
    let ended = tokio::spawn(service::serve(vec![Listener::from_tcp(socket).unwrap()], app, config, shutdown));
    Served { at, stop, ended }
}

impl Served {
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends these bytes on a connection of their own and returns all that comes back until the server closes.
    pub async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // A server that refuses early closes while we still send.
        let _ = stream.write_all(bytes).await;
        rest(&mut stream).await
    }

    pub async fn get(&self, path: &str) -> String {
        self.talk(format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").as_bytes()).await
    }
}

/// All that comes until the end; what a reset connection gave before it counts.
pub async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut out = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut out)).await;
    assert!(read.is_ok(), "still open after 20 s, got {:?}", String::from_utf8_lossy(&out));
    String::from_utf8_lossy(&out).into_owned()
}

/// One answer with its counted body, from a connection that stays open.
pub async fn one(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut out = Vec::new();
    let mut byte = [0; 1];
    while !out.ends_with(b"\r\n\r\n") {
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "closed after {:?}", String::from_utf8_lossy(&out));
        out.push(byte[0]);
    }
    let head = String::from_utf8(out).unwrap();
    let length = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    head + &String::from_utf8(body).unwrap()
}

pub fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("no answer")
}

pub fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
