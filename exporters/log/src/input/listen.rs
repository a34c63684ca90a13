//! Addresses that inputs listen on.

use std::net::{TcpListener, UdpSocket};

/// Where an input listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `tcp://HOST:PORT`.
    Tcp(String, u16),
    /// `udp://HOST:PORT`.
    Udp(String, u16),
}

impl Address {
    /// Reads `tcp://HOST:PORT` or `udp://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("listen: {text:?}: expected tcp://HOST:PORT or udp://HOST:PORT");
        let (kind, rest) = text.split_once("://").ok_or_else(wrong)?;
        let (host, port) = host_port(rest).ok_or_else(wrong)?;
        match kind {
            "tcp" => Ok(Self::Tcp(host, port)),
            "udp" => Ok(Self::Udp(host, port)),
            _ => Err(wrong()),
        }
    }

    /// Reads `HOST:PORT`, with or without `tcp://` in front.
    pub(crate) fn parse_tcp(text: &str) -> Result<Self, String> {
        let wrong = || format!("listen: {text:?}: expected HOST:PORT or :PORT");
        let (host, port) = host_port(text.strip_prefix("tcp://").unwrap_or(text)).ok_or_else(wrong)?;
        Ok(Self::Tcp(host, port))
    }

    /// Binds it. To be called inside an async runtime.
    pub(super) fn bind(&self) -> Result<Bound, String> {
        match self {
            Self::Tcp(host, port) => {
                let bound = each(host, |h| TcpListener::bind((h, *port)));
                let socket = bound.and_then(|s| s.set_nonblocking(true).map(|()| s));
                let socket = socket.and_then(tokio::net::TcpListener::from_std);
                socket.map(Bound::Tcp).map_err(|e| format!("listen: tcp {host}:{port}: {e}"))
            }
            Self::Udp(host, port) => {
                let bound = each(host, |h| UdpSocket::bind((h, *port)));
                let socket = bound.and_then(|s| s.set_nonblocking(true).map(|()| s));
                let socket = socket.and_then(tokio::net::UdpSocket::from_std);
                let socket = socket.map_err(|e| format!("listen: udp {host}:{port}: {e}"))?;
                // A burst waits here while the engine is busy; the kernel gives what it allows.
                let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER);
                Ok(Bound::Udp(socket))
            }
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub(super) enum Bound {
    Tcp(tokio::net::TcpListener),
    Udp(tokio::net::UdpSocket),
}

/// One socket for IPv6 and IPv4 where no host is named, plain IPv4 where the kernel has no other.
fn each<T>(host: &str, bind: impl Fn(&str) -> std::io::Result<T>) -> std::io::Result<T> {
    if host.is_empty() { bind("::").or_else(|_| bind("0.0.0.0")) } else { bind(host) }
}

/// The host is empty for every address of this machine.
fn host_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?,
        None if host.contains(':') => return None,
        None => host,
    };
    Some((host.to_owned(), port.parse().ok()?))
}

const RECEIVE_BUFFER: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("udp://:514"), Ok(Address::Udp(String::new(), 514)));
        assert_eq!(Address::parse("tcp://[::1]:514"), Ok(Address::Tcp("::1".into(), 514)));
        assert_eq!(Address::parse_tcp("localhost:5044"), Ok(Address::Tcp("localhost".into(), 5044)));
        for wrong in ["", ":514", "unix:///x", "udp://x", "tcp://::1:5", "tcp://x:99999"] {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Address::parse_tcp("5044").is_err());
    }
}
