//! Bodies on their way in and out.

use crate::connections::Busy;
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// A request's body, which must arrive in time.
pub(crate) struct Arriving {
    inner: Incoming,
    allowed: Duration,
    /// Set when the body is waited for the first time: most requests have none.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(crate) fn new(inner: Incoming, allowed: Duration) -> Self {
        Self { inner, allowed, deadline: None }
    }
}

/// The client did not send its body in time.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not arrive within {0:?}")]
pub struct BodyTooSlow(Duration);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let allowed = self.allowed;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err(BodyTooSlow(allowed).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body; its connection counts as busy until it is sent or dropped.
pub(crate) struct Answer {
    inner: Body,
    _busy: Busy,
    /// The request was HEAD: the length is told and nothing is sent.
    head: bool,
}

impl Answer {
    pub(crate) fn new(inner: Body, busy: Busy, head: bool) -> Self {
        Self { inner, _busy: busy, head }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.head {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
