//! Bodies on their way in and out.

use crate::connections::{Busy, Count, Slot};
use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// A request's body, which must arrive in time.
pub(crate) struct Arriving {
    inner: Incoming,
    allowed: Duration,
    /// Set when the body is waited for the first time: most requests have none.
    deadline: Option<Pin<Box<Sleep>>>,
    slot: Arc<Slot>,
    /// While it is waited for.
    waiting: Option<Count>,
}

impl Arriving {
    pub(crate) fn new(inner: Incoming, allowed: Duration, slot: Arc<Slot>) -> Self {
        Self { inner, allowed, deadline: None, slot, waiting: None }
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
            self.waiting = None;
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        if self.waiting.is_none() {
            self.waiting = Some(self.slot.wait_for_client());
        }
        let allowed = self.allowed;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(allowed)));
        ready!(deadline.as_mut().poll(cx));
        self.waiting = None;
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
    slot: Arc<Slot>,
    /// While there is more to come from us.
    streaming: Option<Count>,
    _busy: Busy,
    /// The request was HEAD: the length is told and nothing is sent.
    head: bool,
}

impl Answer {
    pub(crate) fn new(inner: Body, mut busy: Busy, head: bool) -> Self {
        let slot = Arc::clone(busy.answered());
        Self { inner, slot, streaming: None, _busy: busy, head }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.head {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_ready() {
            self.streaming = None;
        } else if self.streaming.is_none() {
            self.streaming = Some(self.slot.stream());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
