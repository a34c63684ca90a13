//! What a plain port answers to requests good and bad, as the contract's tables have it.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{any, get, post};
use service::{App, Landing, Limits, Version};
use support::{body, one, rest, serve, status};
use tokio::io::AsyncWriteExt;

fn app() -> App {
    let router = Router::new()
        .route("/metrics", any(async || "page\n"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/boom", get(async || -> &'static str { panic!("on purpose") }));
    App::new(router).landing(Landing::new("Test", "tests", Version::of("1")).link("/metrics", "Metrics", ""))
}

#[tokio::test]
async fn paths_are_answered_as_the_mux_answers_them() {
    let served = serve(app(), Limits::default()).await;
    for (request, want, text) in [
        ("GET /metrics HTTP/1.1\r\nHost: t\r\n", "200", "page\n"),
        ("BREW /metrics HTTP/1.1\r\nHost: t\r\n", "200", "page\n"),
        ("GET http://x/metrics HTTP/1.1\r\nHost: x\r\n", "200", "page\n"),
        ("GET /%6detrics HTTP/1.1\r\nHost: t\r\n", "200", "page\n"),
        ("GET /metrics HTTP/1.0\r\n", "200", "page\n"),
        ("GET /metrics/ HTTP/1.1\r\nHost: t\r\n", "404", "404 page not found\n"),
        ("GET /x HTTP/1.1\r\nHost: t\r\n", "404", "404 page not found\n"),
        ("GET //metrics?a=b HTTP/1.1\r\nHost: t\r\n", "301", "<a href=\"/metrics?a=b\">Moved Permanently</a>.\n\n"),
        ("GET /a/../metrics HTTP/1.1\r\nHost: t\r\n", "301", "<a href=\"/metrics\">Moved Permanently</a>.\n\n"),
        ("POST //metrics HTTP/1.1\r\nHost: t\r\n", "301", ""),
        ("OPTIONS * HTTP/1.1\r\nHost: t\r\n", "200", ""),
        ("GET /-/healthy HTTP/1.1\r\nHost: t\r\n", "200", "Test is healthy.\n"),
        ("GET /-/ready HTTP/1.1\r\nHost: t\r\n", "200", "Test is ready.\n"),
    ] {
        let answer = served.talk(format!("{request}Connection: close\r\n\r\n").as_bytes()).await;
        assert_eq!((status(&answer), body(&answer)), (want, text), "{request}");
    }
    let landing = served.get("/").await;
    assert!(landing.contains("\r\nContent-Type: text/html; charset=UTF-8\r\n"), "{landing}");
    assert!(
        landing.contains("<a href=\"/metrics\">Metrics</a>") && landing.contains("\r\nContent-Length: "),
        "{landing}"
    );
    let missing = served.get("/x").await;
    assert!(missing.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{missing}");
    assert!(served.talk(b"GET /metrics HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 200 "));
    let head = served.talk(b"HEAD /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").await;
    assert!(head.contains("\r\nContent-Length: 5\r\n") && body(&head).is_empty(), "{head}");
}

#[tokio::test]
async fn an_app_that_takes_bodies_serves_the_clean_path_in_place() {
    let served = serve(app().without_redirects(), Limits::default()).await;
    for path in ["//echo", "/./echo", "/a/../echo", "/%2e/echo", "///echo?x=1"] {
        let request = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
        let answer = served.talk(request.as_bytes()).await;
        assert_eq!((status(&answer), body(&answer)), ("200", "body"), "{path}");
    }
    assert!(served.get("/../x").await.starts_with("HTTP/1.1 404 "));
}

#[tokio::test]
async fn broken_requests_are_refused_and_closed() {
    let served = serve(app(), Limits::default()).await;
    let long = "a".repeat(1 << 20);
    for (request, want) in [
        ("GET /metrics HTTP/1.1\r\n\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", "400"),
        ("G@T /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"),
        ("GET /metrics HTTP/3.0\r\nHost: a\r\n\r\n", "505"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ("nonsense\r\n\r\n", "400"),
        (&format!("GET /metrics HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
        (&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "431"),
    ] {
        // `talk` returns only once the server has closed the connection.
        let answer = served.talk(request.as_bytes()).await;
        assert_eq!(status(&answer), want, "{request:.60}: {answer}");
    }
    assert_eq!(status(&served.get("/metrics").await), "200");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_turn() {
    let served = serve(app(), Limits::default()).await;
    let mut stream = served.connect().await;
    let requests = "GET /metrics HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc\
        GET /-/healthy HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n\
        POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nlast";
    stream.write_all(requests.as_bytes()).await.unwrap();
    for text in ["page\n", "Test is healthy.\n", "last"] {
        assert_eq!(body(&one(&mut stream).await), text);
    }
}

#[tokio::test]
async fn a_client_that_has_said_all_still_gets_its_answer() {
    let served = serve(app(), Limits::default()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(body(&rest(&mut stream).await), "page\n");
}

#[tokio::test]
async fn a_panic_costs_one_answer() {
    let served = serve(app(), Limits::default()).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /boom HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let answer = one(&mut stream).await;
    assert_eq!((status(&answer), body(&answer)), ("500", "Internal Server Error\n"));
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    assert_eq!(status(&one(&mut stream).await), "200");
}

#[tokio::test]
async fn readiness_is_the_programs_to_tell() {
    let served = serve(app().ready(|| false), Limits::default()).await;
    let answer = served.get("/-/ready").await;
    assert_eq!((status(&answer), body(&answer)), ("503", "Test is not ready.\n"));
}
