//! Clients that take their time, or never come to the point, and many of them.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use service::{App, Limits};
use std::time::{Duration, Instant};
use support::{Served, body, one, rest, serve, status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(300);
/// Far from any limit that a test does not shorten, and enough for a machine that is busy with other things.
const PATIENT: Duration = Duration::from_secs(8);

fn app() -> App {
    let router = Router::new()
        .route("/", get(async || "here\n"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/large", get(async || vec![b'x'; 64 << 20]))
        .route("/stuck", get(async || tokio::time::sleep(Duration::from_mins(10)).await))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_secs(2)).await;
                "done\n"
            }),
        );
    App::new(router)
}

async fn request(stream: &mut TcpStream, path: &str) {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes()).await.unwrap();
}

/// How long it takes until the server closes, while `drip` is sent again and again.
async fn closed_after(served: &Served, first: &[u8], drip: &[u8]) -> Duration {
    let start = Instant::now();
    let mut stream = served.connect().await;
    stream.write_all(first).await.unwrap();
    let mut sink = [0; 1024];
    loop {
        assert!(start.elapsed() < PATIENT * 2, "still open");
        match tokio::time::timeout(Duration::from_millis(20), stream.read(&mut sink)).await {
            Ok(Ok(1..)) => {}
            Ok(_) => return start.elapsed(),
            Err(_) => {
                let _ = stream.write_all(drip).await;
            }
        }
    }
}

#[tokio::test]
async fn half_open_dripping_and_idle_connections_are_closed() {
    let limits = Limits { header: SHORT, idle: SHORT, ..Limits::default() };
    let served = serve(app(), limits).await;
    for (what, first, drip) in [
        ("half-open", &b""[..], &b""[..]),
        ("dripping header", b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        ("idle", b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", b""),
    ] {
        let took = closed_after(&served, first, drip).await;
        assert!(took >= SHORT && took < PATIENT, "{what}: closed after {took:?}");
    }
    assert_eq!(body(&served.get("/").await), "here\n");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let served = serve(app(), Limits { body: SHORT, ..Limits::default() }).await;
    let start = Instant::now();
    let mut stream = served.connect().await;
    stream.write_all(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
    let answer = rest(&mut stream).await;
    assert_eq!(status(&answer), "400", "{answer}");
    assert!(start.elapsed() >= SHORT && start.elapsed() < PATIENT);
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_closed() {
    let served = serve(app(), Limits { write_stall: SHORT * 4, ..Limits::default() }).await;
    let mut stream = served.connect().await;
    request(&mut stream, "/large").await;
    tokio::time::sleep(SHORT * 10).await;
    // What the kernel had buffered arrives, and then not the rest.
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.unwrap();
    assert!(read.is_err() || all.len() < 64 << 20, "got all {} bytes", all.len());
    // One that reads slowly, but reads, gets all of it.
    let mut stream = served.connect().await;
    request(&mut stream, "/large").await;
    let mut got = 0;
    let mut buffer = vec![0; 4 << 20];
    while got < 64 << 20 {
        got += stream.read(&mut buffer).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_flood_of_half_open_connections_keeps_nobody_out() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let served = serve(app(), Limits::default()).await;
    let mut kept = served.connect().await;
    request(&mut kept, "/").await;
    assert_eq!(status(&one(&mut kept).await), "200");
    let mut flood = Vec::new();
    for n in 0..2500 {
        let mut stream = served.connect().await;
        if n % 2 == 0 {
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nX: ").await;
        }
        flood.push(stream);
    }
    let start = Instant::now();
    assert_eq!(body(&served.get("/").await), "here\n");
    assert!(start.elapsed() < PATIENT, "a newcomer waited {:?}", start.elapsed());
    request(&mut kept, "/").await;
    assert_eq!(body(&one(&mut kept).await), "here\n", "a scraper's own connection survives");
    // The longest waiting ones made room.
    let mut first = flood.swap_remove(0);
    let gone = tokio::time::timeout(PATIENT, first.read(&mut [0; 1])).await;
    assert!(matches!(gone, Ok(Ok(0) | Err(_))), "{gone:?}");
}

#[tokio::test]
async fn answers_under_way_are_not_given_up_for_newcomers() {
    let served = serve(app(), Limits { connections: 2, ..Limits::default() }).await;
    let (mut one_client, mut other) = (served.connect().await, served.connect().await);
    request(&mut one_client, "/slow").await;
    request(&mut other, "/slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let refused = served.get("/").await;
    assert_eq!(refused, "", "a third is refused while both are busy");
    assert_eq!(body(&one(&mut one_client).await), "done\n");
    assert_eq!(body(&one(&mut other).await), "done\n");
    assert_eq!(body(&served.get("/").await), "here\n", "and let in once they are done");
}

#[tokio::test]
async fn a_stop_finishes_what_is_under_way() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let app = app().after_serving(async { told.send(()).unwrap() });
    let served = serve(app, Limits::default()).await;
    let mut idle = served.connect().await;
    request(&mut idle, "/").await;
    one(&mut idle).await;
    let silent = served.connect().await;
    let mut busy = served.connect().await;
    request(&mut busy, "/slow").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    served.stop.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(TcpStream::connect(served.at).await.is_err(), "no longer listening");
    assert_eq!(body(&one(&mut busy).await), "done\n");
    assert_eq!(rest(&mut idle).await, "", "idle connections are closed");
    served.ended.await.unwrap().unwrap();
    heard.await.unwrap();
    assert!(start.elapsed() < PATIENT, "took {:?}", start.elapsed());
    drop(silent);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let served = serve(app(), Limits { drain: Duration::from_millis(100), ..Limits::default() }).await;
    let mut busy = served.connect().await;
    request(&mut busy, "/stuck").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    served.stop.stop();
    let start = Instant::now();
    served.ended.await.unwrap().unwrap();
    assert!(start.elapsed() < PATIENT, "took {:?}", start.elapsed());
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test]
async fn clients_that_take_their_time_make_room_for_others() {
    let served = serve(app(), Limits { connections: 4, header: SHORT, ..Limits::default() }).await;
    let mut slow = Vec::new();
    for n in 0..4 {
        let mut stream = served.connect().await;
        if n % 2 == 0 {
            request(&mut stream, "/large").await;
        } else {
            stream.write_all(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\nabc").await.unwrap();
        }
        slow.push(stream);
    }
    tokio::time::sleep(SHORT * 2).await;
    assert_eq!(body(&served.get("/").await), "here\n");
}
