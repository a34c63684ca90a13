//! Unary gRPC calls over a Unix socket: one HTTP/2 connection that is kept between scrapes.

use super::api::ApiError;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::{CONTENT_TYPE, HeaderMap, TE};
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tokio::net::UnixStream;

/// A server on a Unix socket.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: PathBuf,
    open: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Channel {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self { socket, open: Mutex::default() }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Calls a method, such as `/package.Service/Method`, and returns the message that it answers with.
    pub(crate) async fn call(
        &self,
        method: &'static str,
        header: Option<(&'static str, &str)>,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Bytes, ApiError> {
        let work = self.send(method, header, message);
        match tokio::time::timeout_at(deadline.into(), work).await {
            Ok(result) => result,
            Err(_) => Err(ApiError::Rpc { method, what: "no answer in time".to_owned() }),
        }
    }

    async fn send(
        &self,
        method: &'static str,
        header: Option<(&'static str, &str)>,
        message: &[u8],
    ) -> Result<Bytes, ApiError> {
        let wrong = |what: String| ApiError::Rpc { method, what };
        let mut body = Vec::with_capacity(message.len() + PREFIX);
        body.push(0);
        body.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(message);
        let mut request = Request::post(format!("http://localhost{method}"))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers");
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| wrong(e.to_string()))?;
        let mut sender = self.sender().await.map_err(|e| wrong(format!("{}: {e}", self.socket.display())))?;
        let response = sender.send_request(request).await.map_err(|e| wrong(e.to_string()))?;
        let (head, incoming) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(wrong(format!("expected status 200, got {}", head.status.as_u16())));
        }
        // An error may stand in the header, without any body.
        status(method, &head.headers)?;
        let collected = Limited::new(incoming, MOST_BYTES).collect().await.map_err(|e| wrong(e.to_string()))?;
        if let Some(trailers) = collected.trailers() {
            status(method, trailers)?;
        }
        unframed(&collected.to_bytes()).ok_or_else(|| wrong("the answer is no single plain message".to_owned()))
    }

    /// The open connection, or a new one.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
        let kept = self.open().clone();
        if let Some(mut kept) = kept.filter(|kept| !kept.is_closed())
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = Builder::new(TokioExecutor::new())
            .max_header_list_size(HEADER_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(err = %e, "connection to an engine ended");
            }
        });
        sender.ready().await?;
        *self.open() = Some(sender.clone());
        Ok(sender)
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<SendRequest<Full<Bytes>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What `grpc-status` says, where it stands.
fn status(method: &'static str, fields: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| fields.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    match text("grpc-status").as_deref() {
        None | Some("0") => Ok(()),
        Some(code) => {
            let message: String = text("grpc-message").unwrap_or_default().chars().take(200).collect();
            Err(ApiError::Rpc { method, what: format!("status {code}: {message}") })
        }
    }
}

/// The one message of a body; compressed ones were not asked for.
fn unframed(body: &Bytes) -> Option<Bytes> {
    let (flag, length) = (*body.first()?, body.get(1..PREFIX)?);
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    (flag == 0 && body.len() == PREFIX + length).then(|| body.slice(PREFIX..))
}

/// A flag and the length before each message.
const PREFIX: usize = 5;
/// A list of some thousand containers with their specifications.
const MOST_BYTES: usize = 64 << 20;
const HEADER_BYTES: u32 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_plain_message() {
        assert_eq!(unframed(&Bytes::from_static(b"\0\0\0\0\x02hi")).as_deref(), Some(&b"hi"[..]));
        assert_eq!(unframed(&Bytes::from_static(b"\0\0\0\0\0")).as_deref(), Some(&b""[..]));
        for wrong in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02hi", b"\0\0\0\0\x03hi", b"\0\0\0\0\x01hi"] {
            assert_eq!(unframed(&Bytes::from_static(wrong)), None, "{wrong:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(body: Vec<u8>) {
            unframed(&Bytes::from(body));
        }
    }
}
