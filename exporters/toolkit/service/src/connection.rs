//! One connection, from its first byte to its last.

use crate::answer;
use crate::connections::{Phase, Place};
use crate::gate::Gate;
use crate::serve::Shared;
use crate::wire::{Watched, Wire};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::future::poll_fn;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// Serves a connection until either side ends it.
pub(crate) async fn run(wire: Wire, peer: String, shared: Arc<Shared>, mut place: Place) {
    place.peer = peer.as_str().into();
    // Until something arrives a connection costs a socket and this future, no buffers.
    let first = tokio::select! {
        first = wire.first_byte() => first,
        () = shared.shutdown.requested() => return,
    };
    let Ok(Some(first)) = first else { return };
    // Boxed, so that waiting connections do not carry the room that busy ones need.
    match Box::pin(serve(wire, first, &shared, &place)).await {
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

async fn serve(wire: Wire, first: u8, shared: &Arc<Shared>, place: &Place) -> Result<(), Ended> {
    let Some(web) = shared.web.as_ref().filter(|web| web.tls_on()) else {
        return http1(wire, shared, place).await.map_err(Ended::Http);
    };
    // A method starts with a letter, a TLS record with a control character.
    if first.is_ascii_uppercase() {
        Watched::new(wire, Arc::clone(&place.slot)).hang_up(answer::PLAIN_ON_TLS, true).await;
        return Err(Ended::Handshake("client sent an HTTP request to an HTTPS server".to_owned()));
    }
    let config = web.tls().map_err(|e| Ended::Handshake(e.to_string()))?;
    let shaken = TlsAcceptor::from(config).accept(wire).await;
    let tunnel = shaken.map_err(|e| Ended::Handshake(e.to_string()))?;
    let by_frames = tunnel.get_ref().1.alpn_protocol() == Some(b"h2");
    let wire = Wire::Tls(Box::new(tunnel));
    let ended = if by_frames { http2(wire, shared, place).await } else { http1(wire, shared, place).await };
    ended.map_err(Ended::Http)
}

async fn http1(wire: Wire, shared: &Arc<Shared>, place: &Place) -> Result<(), hyper::Error> {
    let gate = Gate::new(Arc::clone(shared), place);
    let watched = Watched::new(wire, Arc::clone(&place.slot));
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

async fn http2(wire: Wire, shared: &Arc<Shared>, place: &Place) -> Result<(), hyper::Error> {
    // Its frames come between requests too: only the idle time-out and the write stall count.
    place.slot.enter(Phase::Idle);
    let gate = Gate::new(Arc::clone(shared), place);
    let mut watched = Watched::new(wire, Arc::clone(&place.slot));
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

/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 64;
