//! Asking another server: HTTP/1.1 over TCP or a Unix socket, with TLS, a bounded body and a deadline.
//!
//! One [`Client`] is one target: it keeps its connection between requests and shares nothing with others.

mod connect;
mod tls;

use crate::compress;
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, HOST, LOCATION, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use bytes::Bytes;
use connect::Connector;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How a target is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Value of `User-Agent`.
    pub user_agent: String,
    /// Unix socket to connect to, whatever host the address names.
    pub unix: Option<PathBuf>,
    /// Whether a connection starts with a PROXY protocol v2 header.
    pub proxy_protocol: bool,
    /// How TLS is done for `https`.
    pub tls: Tls,
    /// Most bytes of a body, packed and unpacked.
    pub max_body: usize,
    /// Most redirects that are followed; none if 0.
    pub redirects: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            user_agent: "Bongsu".to_owned(),
            unix: None,
            proxy_protocol: false,
            tls: Tls { verify: true, ca: None, identity: None },
            max_body: 1 << 20,
            redirects: 10,
        }
    }
}

/// TLS towards a target.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files of a client certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// The same for a client of another protocol.
    pub fn rustls(&self) -> Result<rustls::ClientConfig, ClientError> {
        tls::config(self)
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, unpacked.
    pub body: Bytes,
}

/// Why there is no answer. Addresses are shown without user and password.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file or address of the options cannot be used.
    #[error("{0}")]
    Options(String),
    /// The address is none.
    #[error("address {address}: {what}")]
    Address {
        /// As given, without credentials.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// The peer could not be reached, or broke off.
    #[error("{address}: {source}")]
    Peer {
        /// Whom was asked.
        address: String,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{address}: no answer within {seconds:.1} s")]
    Timeout {
        /// Whom was asked.
        address: String,
        /// How long was waited.
        seconds: f64,
    },
    /// The body is larger than allowed.
    #[error("{address}: answer larger than {limit} bytes")]
    TooLarge {
        /// Whom was asked.
        address: String,
        /// What is allowed.
        limit: usize,
    },
    /// One redirect too many.
    #[error("{address}: more than {limit} redirects")]
    Redirects {
        /// Whom was asked first.
        address: String,
        /// What is allowed.
        limit: usize,
    },
}

/// A target and the connection that is kept to it.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    user_agent: HeaderValue,
    max_body: usize,
    redirects: usize,
}

impl Client {
    /// Reads the certificates that the options name; connects nowhere.
    pub fn new(options: Options) -> Result<Self, ClientError> {
        let user_agent = HeaderValue::from_str(&options.user_agent)
            .map_err(|_| ClientError::Options(format!("user agent {:?} is no header value", options.user_agent)))?;
        let (max_body, redirects) = (options.max_body, options.redirects);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(KEPT)
            .pool_max_idle_per_host(1)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .http1_max_buf_size(HEAD_LIMIT)
            .build(Connector::new(options)?);
        Ok(Self { inner, user_agent, max_body, redirects })
    }

    /// GETs an address; user and password in it become Basic authentication.
    pub async fn get(&self, address: &str, deadline: Instant) -> Result<Reply, ClientError> {
        self.send(Method::GET, address, HeaderMap::new(), Bytes::new(), deadline).await
    }

    /// Sends a request and reads the whole answer.
    pub async fn send(
        &self,
        method: Method,
        address: &str,
        headers: HeaderMap,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Reply, ClientError> {
        let started = Instant::now();
        let work = self.follow(method, address, headers, body);
        match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(ClientError::Timeout {
                address: without_credentials(address),
                seconds: started.elapsed().as_secs_f64(),
            }),
        }
    }

    async fn follow(
        &self,
        mut method: Method,
        address: &str,
        mut headers: HeaderMap,
        mut body: Bytes,
    ) -> Result<Reply, ClientError> {
        let mut uri = parse(address)?;
        for _ in 0..=self.redirects {
            let reply = self.once(&method, &uri, &headers, &body).await?;
            let target = match reply.status.as_u16() {
                301 | 302 | 303 | 307 | 308 if self.redirects > 0 => {
                    reply.headers.get(LOCATION).and_then(|l| l.to_str().ok()).and_then(|l| resolve(&uri, l))
                }
                _ => None,
            };
            let Some(target) = target else { return Ok(reply) };
            if matches!(reply.status.as_u16(), 301..=303) && method != Method::HEAD {
                method = Method::GET;
                body = Bytes::new();
            }
            // What was meant for one host is not shown to another.
            if target.authority() != uri.authority() {
                headers.remove(AUTHORIZATION);
            }
            uri = target;
        }
        Err(ClientError::Redirects { address: without_credentials(address), limit: self.redirects })
    }

    async fn once(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &Bytes) -> Result<Reply, ClientError> {
        let shown = || without_credentials(&uri.to_string());
        let bad = |what: String| ClientError::Address { address: shown(), what };
        let (bare, authorization) = split_credentials(uri).map_err(bad)?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers.clone();
        let fields = request.headers_mut();
        fields.entry(USER_AGENT).or_insert_with(|| self.user_agent.clone());
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if let Some(value) = authorization {
            fields.entry(AUTHORIZATION).or_insert(value);
        }
        if let Some(host) = bare.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok()) {
            fields.entry(HOST).or_insert(host);
        }
        *request.uri_mut() = bare;
        let peer = |e: Box<dyn std::error::Error + Send + Sync>| ClientError::Peer { address: shown(), source: e };
        let response = self.inner.request(request).await.map_err(|e| peer(root_cause(&e).into()))?;
        let (head, incoming) = response.into_parts();
        let too_large = || ClientError::TooLarge { address: shown(), limit: self.max_body };
        let collected = Limited::new(incoming, self.max_body).collect().await;
        let mut body = match collected {
            Ok(collected) => collected.to_bytes(),
            Err(e) if e.is::<http_body_util::LengthLimitError>() => return Err(too_large()),
            Err(e) => return Err(peer(e)),
        };
        if head.headers.get(CONTENT_ENCODING).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"gzip")) {
            body = compress::gunzip(&body, self.max_body).map_err(|e| match e {
                compress::GunzipError::TooLarge { .. } => too_large(),
                compress::GunzipError::Broken(e) => peer(e.into()),
            })?;
        }
        Ok(Reply { status: head.status, headers: head.headers, body })
    }
}

/// An address without user and password, for messages and labels.
pub fn without_credentials(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => address.to_owned(),
    }
}

/// Checks an address without asking anybody.
pub fn check_address(address: &str) -> Result<(), ClientError> {
    parse(address).map(drop)
}

fn parse(address: &str) -> Result<Uri, ClientError> {
    let bad = |what: &str| ClientError::Address { address: without_credentials(address), what: what.to_owned() };
    let uri: Uri = address.parse().map_err(|_| bad("no valid URI"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.host().is_some_and(|h| !h.is_empty()) => Ok(uri),
        _ => Err(bad("expected http://HOST[:PORT]/PATH or https://…")),
    }
}

/// Takes `user:password@` out of an address; the value is marked as sensitive.
fn split_credentials(uri: &Uri) -> Result<(Uri, Option<HeaderValue>), String> {
    let authority = uri.authority().map_or("", |a| a.as_str());
    let Some((credentials, host)) = authority.rsplit_once('@') else { return Ok((uri.clone(), None)) };
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(host.parse().map_err(|_| "no valid host".to_owned())?);
    let bare = Uri::from_parts(parts).map_err(|e| e.to_string())?;
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let mut plain = percent_decoded(user);
    plain.push(b':');
    plain.extend(percent_decoded(password));
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&plain))).map_err(|e| e.to_string())?;
    value.set_sensitive(true);
    Ok((bare, Some(value)))
}

fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&b) = bytes.get(at) {
        let digit = |i: usize| bytes.get(at + i).and_then(|&d| char::from(d).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (b, digit(1), digit(2)) {
            out.push((high << 4 | low) as u8);
            at += 3;
        } else {
            out.push(b);
            at += 1;
        }
    }
    out
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = LETTERS[(group >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

/// Where a `Location` points, seen from `base`.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    if location.contains("://") {
        return parse(location).ok();
    }
    let scheme = base.scheme_str()?;
    if let Some(rest) = location.strip_prefix("//") {
        return parse(&format!("{scheme}://{rest}")).ok();
    }
    let authority = base.authority()?;
    let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
    parse(&format!("{scheme}://{authority}{path}")).ok()
}

/// The innermost message: "connection refused" says more than "client error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// How long an idle connection is kept; nginx's own default is 75 s.
const KEPT: Duration = Duration::from_secs(70);
/// Most bytes of an answer's head.
const HEAD_LIMIT: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_address() {
        let uri: Uri = "http://us%3Aer:p%40ss@host:81/x?y".parse().unwrap();
        let (bare, value) = split_credentials(&uri).unwrap();
        assert_eq!(bare.to_string(), "http://host:81/x?y");
        assert_eq!(value.unwrap().to_str().unwrap(), format!("Basic {}", base64(b"us:er:p@ss")));
        assert_eq!(without_credentials("http://a:b@host/x@y"), "http://host/x@y");
        assert_eq!(without_credentials("http://host/x@y"), "http://host/x@y");
    }

    #[test]
    fn base64_is_rfc_4648_s() {
        for (plain, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn redirects_are_resolved() {
        let base: Uri = "http://h:1/a/b".parse().unwrap();
        for (location, target) in [
            ("/c", "http://h:1/c"),
            ("c?d", "http://h:1/a/c?d"),
            ("//o/c", "http://o/c"),
            ("https://o/c", "https://o/c"),
        ] {
            assert_eq!(resolve(&base, location).unwrap().to_string(), target);
        }
        assert!(resolve(&base, "ftp://x/").is_none());
    }
}
