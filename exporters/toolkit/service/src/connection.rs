//! One connection, from its first byte to its last.

use crate::answer;
use crate::connections::{Phase, Place, Slot};
use crate::gate::Gate;
use crate::listen::Stream;
use crate::serve::Shared;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::RecvFlags;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio_rustls::TlsAcceptor;

/// Serves a connection until either side ends it.
pub(crate) async fn run(stream: Stream, peer: String, shared: Arc<Shared>, mut place: Place) {
    place.peer = peer.as_str().into();
    // Until something arrives a connection costs a socket and this future, no buffers.
    let first = tokio::select! {
        first = stream.first_byte() => first,
        () = shared.shutdown.requested() => return,
    };
    let Ok(Some(first)) = first else { return };
    // Boxed, so that waiting connections do not carry the room that busy ones need.
    let served = match stream {
        Stream::Tcp(stream) => Box::pin(serve(stream, first, &shared, &place)).await,
        Stream::Unix(stream) => Box::pin(serve(stream, first, &shared, &place)).await,
    };
    match served {
        Ok(()) => {}
        Err(Ended::Handshake(error)) => {
            if let Some(suppressed) = shared.complaints.take() {
                tracing::warn!(peer, err = error, suppressed, "TLS handshake failed");
            }
        }
        Err(Ended::Http(error)) => tracing::debug!(peer, err = %error, "Connection ended"),
    }
}

/// Why a connection ended before its time.
enum Ended {
    Handshake(String),
    Http(hyper::Error),
}

async fn serve<S>(stream: S, first: u8, shared: &Arc<Shared>, place: &Place) -> Result<(), Ended>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Some(web) = shared.web.as_ref().filter(|web| web.tls_on()) else {
        return http1(stream, shared, place).await.map_err(Ended::Http);
    };
    // A method starts with a letter, a TLS record with a control character.
    if first.is_ascii_uppercase() {
        Watched::new(stream, Arc::clone(&place.slot)).hang_up(answer::PLAIN_ON_TLS, true).await;
        return Err(Ended::Handshake("client sent an HTTP request to an HTTPS server".to_owned()));
    }
    let config = web.tls().map_err(|e| Ended::Handshake(e.to_string()))?;
    let shaken = TlsAcceptor::from(config).accept(stream).await;
    let tunnel = shaken.map_err(|e| Ended::Handshake(e.to_string()))?;
    if tunnel.get_ref().1.alpn_protocol() == Some(b"h2") {
        return http2(tunnel, shared, place).await.map_err(Ended::Http);
    }
    http1(tunnel, shared, place).await.map_err(Ended::Http)
}

async fn http1<S>(stream: S, shared: &Arc<Shared>, place: &Place) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let gate = Gate::new(Arc::clone(shared), place);
    let watched = Watched::new(stream, Arc::clone(&place.slot));
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(shared.limits().header_bytes)
        // A client that has sent all it has to say still wants its answer.
        .half_close(true)
        // The table of connections keeps the time.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(watched), gate);
    let mut draining = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = shared.shutdown.requested(), if !draining => {
                draining = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let watched = connection.into_parts().io.into_inner();
    let last_words = if watched.not_http1 { answer::VERSION_NOT_SUPPORTED } else { b"" };
    // After an orderly last answer whoever stops us need not wait.
    watched.hang_up(last_words, !draining || ended.is_err()).await;
    ended
}

async fn http2<S>(stream: S, shared: &Arc<Shared>, place: &Place) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // Its frames come between requests too: only the idle time-out and the write stall count.
    place.slot.enter(Phase::Idle);
    let gate = Gate::new(Arc::clone(shared), place);
    let mut watched = Watched::new(stream, Arc::clone(&place.slot));
    watched.by_frames = true;
    let header_bytes = u32::try_from(shared.limits().header_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .max_header_list_size(header_bytes)
        .max_concurrent_streams(MOST_STREAMS)
        .serve_connection(TokioIo::new(watched), gate);
    let mut connection = std::pin::pin!(connection);
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shared.shutdown.requested(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// A stream that tells its [`Slot`] what the client does.
struct Watched<S> {
    inner: S,
    slot: Arc<Slot>,
    /// The client has closed its end.
    ended: bool,
    /// A request line named a protocol that is not HTTP/1.
    not_http1: bool,
    /// HTTP/2 is spoken.
    by_frames: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    fn new(inner: S, slot: Arc<Slot>) -> Self {
        Self { inner, slot, ended: false, not_http1: false, by_frames: false }
    }

    /// Ends the connection so that the last answer arrives: closing a socket with unread input makes the kernel reset
    /// the connection, which can destroy an answer on its way. So our end is closed first and the rest is read away.
    async fn hang_up(mut self, last_words: &[u8], linger: bool) {
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

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
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

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn note<T>(&self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        self.slot.wrote(written.is_ready());
        written
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

impl Stream {
    /// Waits for the first byte and leaves it there; `None` when the client has gone.
    async fn first_byte(&self) -> io::Result<Option<u8>> {
        match self {
            Self::Tcp(stream) => stream.async_io(Interest::READABLE, || peek(stream)).await,
            Self::Unix(stream) => stream.async_io(Interest::READABLE, || peek(stream)).await,
        }
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

/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 64;
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
