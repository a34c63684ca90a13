//! Connections: TCP or Unix, PROXY protocol, TLS.

use super::{ClientError, Options, tls};
use axum::http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

/// Opens a connection to one target.
#[derive(Clone)]
pub(super) struct Connector {
    unix: Option<PathBuf>,
    proxy_protocol: bool,
    tls: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("unix", &self.unix).finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(options: Options) -> Result<Self, ClientError> {
        let tls = Arc::new(tls::config(&options.tls)?);
        Ok(Self { unix: options.unix, proxy_protocol: options.proxy_protocol, tls })
    }

    async fn open(self, uri: Uri) -> io::Result<TokioIo<Stream>> {
        let secure = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let stream = if let Some(path) = &self.unix {
            let mut unix = UnixStream::connect(path).await?;
            if self.proxy_protocol {
                unix.write_all(&proxy_header(None)).await?;
            }
            Stream::Unix(unix)
        } else {
            let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
            let mut tcp = TcpStream::connect((host, port)).await?;
            tcp.set_nodelay(true)?;
            if self.proxy_protocol {
                tcp.write_all(&proxy_header(Some((tcp.local_addr()?, tcp.peer_addr()?)))).await?;
            }
            Stream::Tcp(tcp)
        };
        if !secure {
            return Ok(TokioIo::new(stream));
        }
        let name = rustls_pki_types::ServerName::try_from(host.to_owned())
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let secured = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        Ok(TokioIo::new(Stream::Tls(Box::new(secured))))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Stream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// An open connection of any kind.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<tokio_rustls::client::TlsStream<Stream>>),
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

macro_rules! forward {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($inner) => $call,
            Self::Unix($inner) => $call,
            Self::Tls($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        forward!(self, s => Pin::new(s).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        forward!(self, s => Pin::new(s).poll_write(cx, bytes))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, s => Pin::new(s).poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        forward!(self, s => Pin::new(s).poll_shutdown(cx))
    }
}

/// A PROXY protocol v2 header (HAProxy's `proxy-protocol.txt` 2.2): the addresses of this connection, or LOCAL.
fn proxy_header(ends: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
    const PROXY: u8 = 0x21;
    const LOCAL: u8 = 0x20;
    let mut out = SIGNATURE.to_vec();
    match ends {
        Some((SocketAddr::V4(from), SocketAddr::V4(to))) => {
            out.extend([PROXY, 0x11, 0, 12]);
            out.extend(from.ip().octets());
            out.extend(to.ip().octets());
            out.extend(from.port().to_be_bytes());
            out.extend(to.port().to_be_bytes());
        }
        Some((SocketAddr::V6(from), SocketAddr::V6(to))) => {
            out.extend([PROXY, 0x21, 0, 36]);
            out.extend(from.ip().octets());
            out.extend(to.ip().octets());
            out.extend(from.port().to_be_bytes());
            out.extend(to.port().to_be_bytes());
        }
        _ => out.extend([LOCAL, 0, 0, 0]),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_header_names_both_ends() {
        let ends = ("127.0.0.1:4660".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let header = proxy_header(Some(ends));
        assert_eq!(&header[12..16], [0x21, 0x11, 0, 12]);
        assert_eq!(&header[16..], [127, 0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0, 80]);
        assert_eq!(proxy_header(None).len(), 16);
    }
}
