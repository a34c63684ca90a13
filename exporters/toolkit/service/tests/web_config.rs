//! The web config file of a running service: TLS, client certificates, logins, and what a change of it does.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "support/certs.rs"]
mod certs;
mod support;

use axum::Router;
use axum::routing::get;
use certs::{Authority, Client, Pair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use service::{App, Limits};
use std::fs;
use std::path::PathBuf;
use support::{Served, body, one, rest, serve_configured, status};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

/// A folder with a web config file and what it names.
struct Folder(TempDir);

impl Folder {
    fn new(config: &str, files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder.write("web.yml", config);
        folder
    }

    fn with_tls(more: &str) -> (Self, Pair) {
        let pair = certs::server();
        let config = format!("tls_server_config: {{cert_file: s.crt, key_file: s.key{more}}}");
        (Self::new(&config, &[("s.crt", &pair.cert), ("s.key", &pair.key)]), pair)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// As Kubernetes and careful editors do it.
    fn swap(&self, name: &str, text: &str) {
        self.write("new", text);
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    async fn serve(&self) -> Served {
        self.serve_with(Limits::default()).await
    }

    async fn serve_with(&self, limits: Limits) -> Served {
        let router = Router::new().route("/", get(async || "in\n"));
        serve_configured(App::new(router), &self.path("web.yml"), limits).await
    }
}

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

/// Status of a request over TLS, or `refused` when no answer came.
async fn ask(served: &Served, client: &Client) -> String {
    let Ok(mut stream) = client.connect(served.at).await else { return "refused".to_owned() };
    let _ = stream.write_all(REQUEST).await;
    let answer = rest(&mut stream).await;
    if answer.is_empty() { "refused".to_owned() } else { status(&answer).to_owned() }
}

fn der(pair: &Pair) -> Vec<u8> {
    CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn plain_http_on_a_tls_port_is_told_so() {
    let (folder, _) = Folder::with_tls("");
    let served = folder.serve().await;
    // Many times: what arrives first, connection or request, is a matter of luck.
    for _ in 0..200 {
        let answer = served.talk(REQUEST).await;
        assert!(answer.starts_with("HTTP/1.0 400 "), "{answer}");
        assert_eq!(body(&answer), "Client sent an HTTP request to an HTTPS server.\n");
    }
    assert_eq!(ask(&served, &Client::new(None, &[])).await, "200");
}

#[tokio::test]
async fn http2_is_spoken_where_both_want_it() {
    let (folder, _) = Folder::with_tls("");
    let served = folder.serve().await;
    let stream = Client::new(None, &[b"h2", b"http/1.1"]).connect(served.at).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let io = hyper_util::rt::TokioIo::new(stream);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    for (path, want) in [("/", 200), ("//", 301), ("/x", 404), ("/-/healthy", 200)] {
        let uri = format!("https://localhost{path}");
        let request = axum::http::Request::builder().uri(uri).body(axum::body::Body::empty()).unwrap();
        assert_eq!(sender.send_request(request).await.unwrap().status(), want, "{path}");
    }
    let (folder, _) = Folder::with_tls("");
    folder.write(
        "web.yml",
        &(fs::read_to_string(folder.path("web.yml")).unwrap() + "\nhttp_server_config: {http2: false}"),
    );
    let served = folder.serve().await;
    let stream = Client::new(None, &[b"h2", b"http/1.1"]).connect(served.at).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_new_certificate_counts_from_the_next_connection_on() {
    let (folder, first) = Folder::with_tls("");
    let served = folder.serve().await;
    let client = Client::new(None, &[]);
    let mut kept = client.connect(served.at).await.unwrap();
    assert_eq!(client.seen(), der(&first));
    let second = certs::server();
    folder.swap("s.crt", &second.cert);
    assert_eq!(ask(&served, &client).await, "refused", "certificate and key do not belong together");
    folder.write("s.key", &second.key);
    assert_eq!(ask(&served, &client).await, "200");
    assert_eq!(client.seen(), der(&second));
    kept.write_all(REQUEST).await.unwrap();
    assert_eq!(status(&rest(&mut kept).await), "200", "open connections live on");
}

#[tokio::test]
async fn a_broken_file_is_told_and_mended_without_a_restart() {
    let (folder, _) = Folder::with_tls("");
    let good = fs::read_to_string(folder.path("web.yml")).unwrap();
    let served = folder.serve().await;
    let client = Client::new(None, &[]);
    let mut kept = client.connect(served.at).await.unwrap();
    let keep_alive = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n";
    for (broken, want) in [("tls_server_config: {cert_filse: x}", "500"), (&good, "200"), ("", "200"), (&good, "200")] {
        folder.swap("web.yml", broken);
        kept.write_all(keep_alive).await.unwrap();
        assert_eq!(status(&one(&mut kept).await), want, "{broken}");
        // Without a TLS section a server that speaks TLS refuses, and never falls back to plain.
        let expect = if *broken == *good { "200" } else { "refused" };
        assert_eq!(ask(&served, &client).await, expect, "{broken}");
    }
    fs::remove_file(folder.path("web.yml")).unwrap();
    kept.write_all(keep_alive).await.unwrap();
    let answer = one(&mut kept).await;
    assert_eq!((status(&answer), body(&answer)), ("500", "Internal Server Error\n"));
    assert_eq!(ask(&served, &client).await, "refused");
    folder.write("web.yml", &good);
    assert_eq!(ask(&served, &client).await, "200");
}

#[tokio::test]
async fn each_policy_takes_what_go_takes() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (known, unknown) = (ours.client(&["known"]), foreign.client(&["known"]));
    let stolen = Pair { cert: known.cert.clone(), key: unknown.key.clone() };
    for (policy, none, known_one, unknown_one) in [
        ("NoClientCert", "200", "200", "200"),
        ("RequestClientCert", "200", "200", "200"),
        ("RequireClientCert", "refused", "200", "200"),
        ("RequireAnyClientCert", "refused", "200", "200"),
        ("VerifyClientCertIfGiven", "200", "200", "refused"),
        ("RequireAndVerifyClientCert", "refused", "200", "refused"),
    ] {
        let ca = if policy == "NoClientCert" { "" } else { ", client_ca_file: ca.crt" };
        let (folder, _) = Folder::with_tls(&format!(", client_auth_type: {policy}{ca}"));
        folder.write("ca.crt", &ours.pem());
        let served = folder.serve().await;
        for (shows, want) in [(None, none), (Some(&known), known_one), (Some(&unknown), unknown_one)] {
            assert_eq!(ask(&served, &Client::new(shows, &[])).await, want, "{policy}");
        }
        if policy != "NoClientCert" {
            assert_eq!(ask(&served, &Client::new(Some(&stolen), &[])).await, "refused", "{policy}: not its key");
        }
    }
}

#[tokio::test]
async fn a_list_of_names_asks_for_a_name() {
    let ours = Authority::new();
    for (policy, names, shown, want) in [
        ("RequireAndVerifyClientCert", "[a.example, b.example]", Some("b.example"), "200"),
        ("RequireAndVerifyClientCert", "[a.example]", Some("A.example"), "refused"),
        ("RequireAndVerifyClientCert", "[authority]", Some("b.example"), "refused"),
        ("RequireAndVerifyClientCert", "[]", Some("a.example"), "refused"),
        ("RequireAnyClientCert", "[\"::1\"]", Some("::1"), "200"),
        ("RequireAnyClientCert", "[a@b.example]", Some("a@b.example"), "200"),
        ("RequireAnyClientCert", "[\"spiffe://x/y\"]", Some("spiffe://x/y"), "200"),
        ("RequireAnyClientCert", "[\"spiffe://x/y\"]", Some("spiffe://x/z"), "refused"),
        ("RequestClientCert", "[a.example]", None, "refused"),
        ("VerifyClientCertIfGiven", "[a.example]", None, "refused"),
        ("NoClientCert", "[a.example]", None, "200"),
    ] {
        let ca = if policy.contains("Verify") { ", client_ca_file: ca.crt" } else { "" };
        let (folder, _) = Folder::with_tls(&format!(", client_auth_type: {policy}, client_allowed_sans: {names}{ca}"));
        folder.write("ca.crt", &ours.pem());
        let served = folder.serve().await;
        let pair = shown.map(|name| ours.client(&[name]));
        assert_eq!(ask(&served, &Client::new(pair.as_ref(), &[])).await, want, "{policy} {names} {shown:?}");
    }
}

#[tokio::test]
async fn a_resumed_session_does_not_outlive_its_settings() {
    let (before, after) = (Authority::new(), Authority::new());
    let (folder, _) = Folder::with_tls(", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt");
    folder.write("ca.crt", &before.pem());
    let served = folder.serve().await;
    let client = Client::new(Some(&before.client(&[])), &[]);
    // The same client, so that it would offer to resume.
    assert_eq!(ask(&served, &client).await, "200");
    assert_eq!(ask(&served, &client).await, "200");
    folder.swap("ca.crt", &after.pem());
    assert_eq!(ask(&served, &client).await, "refused");
    assert_eq!(ask(&served, &Client::new(Some(&after.client(&[])), &[])).await, "200");
}

fn login(user_and_password_in_base64: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: t\r\nAuthorization: Basic {user_and_password_in_base64}\r\n\r\n")
}

#[tokio::test]
async fn users_are_looked_up_again_on_open_connections() {
    let hash = |password| bcrypt::hash(password, 4).unwrap();
    let config = |user: &str, hash: &str| {
        format!("http_server_config: {{headers: {{X-Frame-Options: deny}}}}\nbasic_auth_users: {{{user}: '{hash}'}}")
    };
    let (ann_pw, bob_pw) = (login("YW5uOnB3"), login("Ym9iOnB3"));
    let folder = Folder::new(&config("ann", &hash("pw")), &[]);
    let served = folder.serve().await;
    let mut kept = served.connect().await;
    for (change, ann, bob) in [
        (None, "200", "401"),
        (Some(config("bob", &hash("pw"))), "401", "200"),
        (Some(config("ann", &hash("other"))), "401", "401"),
        (Some(config("ann", &hash("pw"))), "200", "401"),
    ] {
        if let Some(text) = change {
            folder.write("web.yml", &text);
        }
        for (request, want) in [(&ann_pw, ann), (&bob_pw, bob)] {
            kept.write_all(request.as_bytes()).await.unwrap();
            let answer = one(&mut kept).await;
            assert_eq!(status(&answer), want);
            assert!(answer.contains("\r\nX-Frame-Options: deny\r\n"), "{answer}");
            assert_eq!(answer.contains("\r\nWww-Authenticate: Basic\r\n"), want == "401", "{answer}");
        }
    }
}

#[tokio::test]
async fn a_rate_limit_counts_all_clients_together() {
    let folder = Folder::new("rate_limit: {interval: 1h, burst: 2}", &[]);
    let served = folder.serve().await;
    let (one_answer, two, three) = (served.get("/").await, served.get("/-/healthy").await, served.get("/").await);
    assert_eq!([status(&one_answer), status(&two), status(&three)], ["200", "200", "429"]);
    assert_eq!(body(&three), "Too Many Requests\n");
}

#[tokio::test]
async fn an_answer_that_http2_never_takes_is_given_up() {
    let (folder, _) = Folder::with_tls("");
    let short = std::time::Duration::from_millis(300);
    let limits = Limits { write_stall: short, body: short, ..Limits::default() };
    let served = folder.serve_with(limits).await;
    let stream = Client::new(None, &[b"h2"]).connect(served.at).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = axum::http::Request::builder().uri("https://localhost/").body(axum::body::Body::empty()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let ended = tokio::time::timeout(short * 30, connection).await;
    assert!(ended.is_ok(), "still open though nothing is taken");
}
