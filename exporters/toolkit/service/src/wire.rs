//! What a connection is made of: a socket, with or without TLS, as one type so that the HTTP code exists once in a binary;
//! and what it tells the table of connections.

use crate::connections::{Phase, Slot};
use rustix::net::RecvFlags;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

/// A socket, with or without TLS.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Wire>>),
}

trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

impl Wire {
    /// Waits for the first byte and leaves it there; `None` when the client has gone.
    pub(crate) async fn first_byte(&self) -> io::Result<Option<u8>> {
        match self {
            Self::Tcp(stream) => stream.async_io(Interest::READABLE, || peek(stream)).await,
            Self::Unix(stream) => stream.async_io(Interest::READABLE, || peek(stream)).await,
            Self::Tls(stream) => Box::pin(stream.get_ref().0.first_byte()).await,
        }
    }

    fn inner(self: Pin<&mut Self>) -> Pin<&mut dyn Duplex> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Unix(stream) => Pin::new(stream),
            Self::Tls(stream) => Pin::new(stream.as_mut()),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.inner().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_shutdown(cx)
    }
}

/// A wire that tells its [`Slot`] what the client does.
pub(crate) struct Watched {
    inner: Wire,
    slot: Arc<Slot>,
    /// The client has closed its end.
    ended: bool,
    /// A request line named a protocol that is not HTTP/1.
    pub(crate) not_http1: bool,
    /// HTTP/2 is spoken.
    pub(crate) by_frames: bool,
}

impl Watched {
    pub(crate) fn new(inner: Wire, slot: Arc<Slot>) -> Self {
        Self { inner, slot, ended: false, not_http1: false, by_frames: false }
    }

    /// Ends the connection so that the last answer arrives: closing a socket with unread input makes the kernel reset
    /// the connection, which can destroy an answer on its way. So our end is closed first and the rest is read away.
    pub(crate) async fn hang_up(mut self, last_words: &[u8], linger: bool) {
        self.slot.enter(Phase::Closing);
        if self.inner.write_all(last_words).await.is_err() {
            return;
        }
        if self.inner.shutdown().await.is_err() || self.ended || !linger {
            return;
        }
        // As long as Go lingers.
        let _ = tokio::time::timeout(Duration::from_millis(500), self.read_away()).await;
    }

    async fn read_away(&mut self) {
        let mut sink = [0; 4096];
        let mut left = LINGER_BYTES;
        while let Ok(n @ 1..) = self.inner.read(&mut sink).await {
            left = left.saturating_sub(n);
            if left == 0 {
                return;
            }
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = &buf.filled()[before..];
        if read.is_empty() {
            self.ended = true;
        } else if !self.by_frames && matches!(self.slot.phase(), Phase::Fresh | Phase::Idle) {
            self.slot.enter(Phase::Header);
            if names_other_protocol(read) {
                self.not_http1 = true;
                return Poll::Ready(Err(io::Error::other("unsupported protocol version")));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Watched {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.slot.wrote(written.is_ready());
        written
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

fn peek(socket: impl AsFd) -> io::Result<Option<u8>> {
    let mut first = [0; 1];
    let (read, _) = rustix::net::recv(socket, &mut first, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok((read > 0).then_some(first[0]))
}

/// Whether these first bytes of a request hold a whole request line that ends with another protocol than HTTP/1.x.
fn names_other_protocol(bytes: &[u8]) -> bool {
    let Some(end) = bytes.iter().position(|&b| b == b'\n') else { return false };
    let line = bytes[..end].trim_ascii_end();
    let last = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
    match last.strip_prefix(b"HTTP/") {
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1',
        _ => false,
    }
}

/// What is read away at most after an answer that ended a connection.
const LINGER_BYTES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_major_version_is_another_protocol() {
        for (line, other) in [
            (&b"GET / HTTP/1.1\r\n"[..], false),
            (b"GET / HTTP/1.0\n", false),
            (b"GET / HTTP/3.0\r\nHost: x\r\n", true),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
            (b"GET / HTTP/3.0", false),
            (b"GET /\r\n", false),
            (b"\n", false),
            (b"GET / HTTP/x.0\n", false),
        ] {
            assert_eq!(names_other_protocol(line), other, "{}", String::from_utf8_lossy(line));
        }
    }
}
