//! One HTTP request over TCP or a Unix socket; every wait ends with the scrape's deadline.

use crate::{percent, unix_socket};
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where supervisord listens.
pub(super) struct Endpoint {
    socket: Socket,
    /// Everything above the body but its length.
    head: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Socket {
    /// Host and port.
    Tcp(String, u16),
    Unix(PathBuf),
}

/// Anything larger is no list of processes.
const LARGEST: usize = 16 << 20;

impl Endpoint {
    /// `http://[user:password@]host[:port][/path]` or `unix:///path/of/the/socket`.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        if let Some(path) = url.strip_prefix("unix://") {
            if path.is_empty() {
                return Err("unix:// wants the path of a socket");
            }
            return Ok(Self { socket: Socket::Unix(path.into()), head: head("/RPC2", "unix", None) });
        }
        let rest = url.strip_prefix("http://").ok_or("want http:// or unix://")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        // An IPv6 address has brackets around its colons.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port.parse().map_err(|_| "the port is no number")?),
            _ => (host, 80),
        };
        let name = name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name);
        if name.is_empty() || !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("want http://host:port/RPC2");
        }
        Ok(Self { socket: Socket::Tcp(name.to_owned(), port), head: head(path, host, user) })
    }

    /// Posts a body and returns that of the answer.
    pub(super) fn post(&self, body: &str, deadline: Instant) -> std::io::Result<Vec<u8>> {
        let request = format!("{}Content-Length: {}\r\n\r\n{body}", self.head, body.len());
        let answer = match &self.socket {
            Socket::Unix(path) => {
                let stream = unix_socket::connect(path)?;
                stream.set_write_timeout(Some(left(deadline)?))?;
                exchange(&stream, &request, deadline, |wait| stream.set_read_timeout(Some(wait)))?
            }
            Socket::Tcp(host, port) => {
                let stream = connect(host, *port, deadline)?;
                stream.set_write_timeout(Some(left(deadline)?))?;
                exchange(&stream, &request, deadline, |wait| stream.set_read_timeout(Some(wait)))?
            }
        };
        answer_body(answer)
    }
}

fn head(path: &str, host: &str, user: Option<&str>) -> String {
    // HTTP/1.0: the answer ends with the connection and comes in no chunks.
    let authorization =
        user.map_or_else(String::new, |user| format!("Authorization: Basic {}\r\n", base64(&percent::decode(user))));
    format!("POST {path} HTTP/1.0\r\nHost: {host}\r\n{authorization}Content-Type: text/xml\r\n")
}

/// The first of the host's addresses that answers.
fn connect(host: &str, port: u16, deadline: Instant) -> std::io::Result<TcpStream> {
    let mut failed = Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(e) => failed = e,
        }
    }
    Err(failed)
}

fn exchange<S: Read + Write>(
    mut stream: S,
    request: &str,
    deadline: Instant,
    wait: impl Fn(Duration) -> std::io::Result<()>,
) -> std::io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        wait(left(deadline)?)?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(answer),
            Ok(n) if answer.len() + n > LARGEST => {
                return Err(Error::new(ErrorKind::InvalidData, "the answer is too large"));
            }
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(e) => return Err(e),
        }
        // A server that keeps the connection all the same says how long the body is.
        if body_at(&answer).is_some_and(|at| content_length(&answer[..at]).is_some_and(|n| answer.len() >= at + n)) {
            return Ok(answer);
        }
    }
}

fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn body_at(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, n)| n.trim().parse().ok())
}

fn answer_body(mut answer: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let invalid = |what: String| Error::new(ErrorKind::InvalidData, what);
    let at = body_at(&answer).ok_or_else(|| invalid("the answer is no HTTP".into()))?;
    let status = answer.split(|&b| b == b' ').nth(1).and_then(|s| s.get(..3)).unwrap_or_default();
    if status != b"200" {
        return Err(invalid(format!("status {}", String::from_utf8_lossy(status))));
    }
    Ok(answer.split_off(at))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at) & 63) as usize];
            text.push(if at > chunk.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    #[test]
    fn urls() {
        let of = |url| Endpoint::parse(url).map(|e| (e.socket, e.head.lines().next().unwrap().to_owned()));
        let tcp = |host: &str, port| Socket::Tcp(host.into(), port);
        assert_eq!(of("http://localhost:9001/RPC2"), Ok((tcp("localhost", 9001), "POST /RPC2 HTTP/1.0".into())));
        assert_eq!(of("http://[::1]:9001"), Ok((tcp("::1", 9001), "POST / HTTP/1.0".into())));
        assert_eq!(of("http://host/x"), Ok((tcp("host", 80), "POST /x HTTP/1.0".into())));
        assert_eq!(of("unix:///run/s.sock"), Ok((Socket::Unix("/run/s.sock".into()), "POST /RPC2 HTTP/1.0".into())));
        for bad in ["", "https://h/", "http://", "http://h:x/", "unix://", "http://h/a b\r\n"] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
        let with_user = Endpoint::parse("http://us%3aer:pass@h:1/").unwrap();
        assert!(with_user.head.contains("\r\nAuthorization: Basic dXM6ZXI6cGFzcw==\r\n"), "{}", with_user.head);
        assert_eq!((base64(b""), base64(b"a"), base64(b"abc")), (String::new(), "YQ==".into(), "YWJj".into()));
    }

    #[test]
    fn answers() {
        assert_eq!(answer_body(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody".to_vec()).unwrap(), b"body");
        let refused = answer_body(b"HTTP/1.1 401 Unauthorized\r\n\r\n".to_vec()).unwrap_err();
        assert_eq!(refused.to_string(), "status 401");
        assert!(answer_body(b"nonsense".to_vec()).is_err());
    }

    #[test]
    fn a_server_that_does_not_answer_costs_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        let begun = Instant::now();
        let error = endpoint.post("", begun + Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn any_url_and_answer_is_survived(url: String, answer: Vec<u8>) {
            drop(Endpoint::parse(&url));
            drop(Endpoint::parse(&format!("http://{url}")));
            content_length(&answer);
            drop(answer_body(answer));
        }
    }
}
