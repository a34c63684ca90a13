//! The doors: `/alerts`, `/alerts/{source}`, `/events` and `/raw/{source}`.
//!
//! What the answers do to Alertmanager decides them: 2xx ends its care for the message; 5xx makes it try again within
//! seconds; any other answer, 429 too, makes it wait for the next `group_interval`, and if the alert resolves meanwhile
//! nothing is ever sent. A redirect would be followed as a GET without the body. So: 200 once the bytes are on disk, 503
//! for everything that may pass, and 4xx only for what will never be readable.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, RawPathParams, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http_body_util::BodyExt;
use service::{Flag, FlagKind, Flags, Peer};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Nanos;
use crate::message::{self, Invalid, Message, Reason};
use crate::metrics::{Metrics, One};
use crate::print::Printer;
use crate::store::sql::{StoreError, args};
use crate::store::{Delivery, Kind, Store};

/// The largest body that is accepted, after decompression.
pub(crate) const MAX_BODY: Flag = Flag::new(
    "web.max-body",
    FlagKind::Integer,
    "33554432",
    "Largest body in bytes; a larger one is answered 413, which Alertmanager repeats every group_interval.",
);
/// Memory for bodies in flight.
pub(crate) const MAX_BUFFERED: Flag = Flag::new(
    "web.max-buffered",
    FlagKind::Integer,
    "67108864",
    "Bytes of bodies held in memory at a time; above it senders wait for up to ten seconds and are then answered 503.",
);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Receiver {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    metrics: Arc<Metrics>,
    printer: Printer,
    max_body: usize,
    /// Memory for bodies in pieces of [`PIECE`] bytes. Large ones have a share of their own, taken whole before they are
    /// read: they cannot wait for each other, nor hold up a small one.
    small: Semaphore,
    large: Semaphore,
    large_pieces: usize,
}

impl Receiver {
    pub(crate) fn new(flags: &Flags, store: Store, metrics: Arc<Metrics>, printer: Printer) -> Self {
        let max_body = usize::try_from(flags.integer(MAX_BODY.name)).unwrap_or(0);
        let buffered = usize::try_from(flags.integer(MAX_BUFFERED.name)).unwrap_or(0);
        let large_pieces =
            buffered.saturating_sub(SMALL_SHARE).max(max_body).div_ceil(PIECE).clamp(1, u32::MAX as usize >> 1);
        let (small, large) = (Semaphore::new(SMALL_SHARE / PIECE), Semaphore::new(large_pieces));
        let shared = Shared { store, metrics, printer, max_body, small, large, large_pieces };
        Self { shared: Arc::new(shared) }
    }

    /// The routes, each with and without its trailing slash.
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/alerts", post(alerts))
            .route("/alerts/", post(alerts))
            .route("/alerts/{source}", post(alerts))
            .route("/alerts/{source}/", post(alerts))
            .route("/events", post(events))
            .route("/events/", post(events))
            .route("/raw/{source}", post(raw))
            .route("/raw/{source}/", post(raw))
            .layer(DefaultBodyLimit::disable())
            .with_state(self)
    }

    async fn receive(&self, kind: Kind, source: String, request: Request) -> Response {
        let shared = &*self.shared;
        let (parts, body) = request.into_parts();
        let header = |name: header::HeaderName| {
            parts
                .headers
                .get(name)
                .map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(200).collect())
                .unwrap_or_default()
        };
        let mut delivery = Delivery {
            received: Nanos::now(),
            kind,
            source,
            query: parts.uri.query().unwrap_or_default().chars().take(2000).collect(),
            remote: parts.extensions.get::<Peer>().map(|p| p.0.to_string()).unwrap_or_default(),
            agent: header(header::USER_AGENT),
            body: Bytes::new(),
        };
        let (bytes, permit) = match shared.read(&parts.headers, body).await {
            Ok(read) => read,
            Err(Unread::Overload) => return shared.refuse("overload", "too many bodies at a time"),
            Err(Unread::Invalid(invalid, seen)) => {
                delivery.body = seen;
                return shared.invalid(delivery, parts.uri.path(), &invalid).await;
            }
        };
        delivery.body = bytes;
        if let Err(invalid) = shared.check(kind, &delivery.body).await {
            return shared.invalid(delivery, parts.uri.path(), &invalid).await;
        }
        let (received, body) = (delivery.received, delivery.body.clone());
        let stored = shared.store.receive(delivery).await;
        drop(permit);
        match stored {
            Ok(id) => {
                shared.metrics.deliveries.get_or_create(&One([("kind", kind.name().into())])).inc();
                shared.metrics.bytes.inc_by(body.len() as u64);
                shared.metrics.last_delivery.set(Nanos::now().seconds());
                shared.printer.delivery(received, &body);
                let answer = format!("{{\"status\":\"received\",\"id\":{id}}}\n");
                ([(header::CONTENT_TYPE, "application/json")], answer).into_response()
            }
            Err(StoreError::Busy) => shared.refuse("overload", "too many deliveries at a time"),
            Err(e) => shared.refuse("store", &e.to_string()),
        }
    }
}

enum Unread {
    Overload,
    Invalid(Invalid, Bytes),
}

impl Shared {
    /// Reads a whole body within the size limit, the memory budget and the time limits.
    async fn read(&self, headers: &HeaderMap, mut body: Body) -> Result<(Bytes, SemaphorePermit<'_>), Unread> {
        let too_large = || {
            let text = format!("the body is larger than --web.max-body ({} bytes)", self.max_body);
            Unread::Invalid(Invalid { reason: Reason::TooLarge, text }, Bytes::new())
        };
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|n| n > self.max_body) {
            return Err(too_large());
        }
        let gzip = match headers.get(header::CONTENT_ENCODING).map(axum::http::HeaderValue::as_bytes) {
            None | Some(b"" | b"identity") => false,
            Some(b"gzip" | b"x-gzip") => true,
            Some(_) => {
                let text = "the only Content-Encoding known here is gzip".into();
                return Err(Unread::Invalid(Invalid { reason: Reason::Encoding, text }, Bytes::new()));
            }
        };
        let mut permit = if announced.is_some_and(|n| n > SMALL) || gzip {
            self.large(if gzip { 2 * self.max_body } else { announced.unwrap_or(self.max_body) }).await?
        } else {
            self.small(1).await?
        };
        let mut all = Vec::with_capacity(announced.unwrap_or(4096).min(self.max_body));
        let cut = |text: String, all: Vec<u8>| {
            Unread::Invalid(Invalid { reason: Reason::Incomplete, text }, Bytes::from(all))
        };
        let deadline = tokio::time::Instant::now() + BODY_TOTAL;
        loop {
            let pause = (tokio::time::Instant::now() + BODY_PAUSE).min(deadline);
            let data = match tokio::time::timeout_at(pause, body.frame()).await {
                Err(_) => return Err(cut("the body came too slowly".into(), all)),
                Ok(None) => break,
                Ok(Some(Err(e))) => return Err(cut(format!("the body ended early: {e}"), all)),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_trailers) => continue,
                },
            };
            let size = all.len() + data.len();
            if size > self.max_body {
                return Err(too_large());
            }
            let missing = size.div_ceil(PIECE).saturating_sub(permit.num_permits());
            if missing > 0 && size > SMALL {
                drop(std::mem::replace(&mut permit, self.large(self.max_body).await?));
            } else if missing > 0 {
                permit.merge(self.small(missing).await?);
            }
            all.extend_from_slice(&data);
        }
        if gzip {
            all = self.gunzip(all).await?;
        }
        Ok((Bytes::from(all), permit))
    }

    /// Unpacks within the same limits; what a bomb would unpack to is never held.
    async fn gunzip(&self, packed: Vec<u8>) -> Result<Vec<u8>, Unread> {
        let max = self.max_body;
        let unpacked = tokio::task::spawn_blocking(move || {
            use std::io::Read;
            let mut all = Vec::new();
            let read = flate2::read::MultiGzDecoder::new(&packed[..]).take(max as u64 + 1).read_to_end(&mut all);
            match read {
                Ok(n) if n > max => {
                    let text = format!("the body unpacks to more than --web.max-body ({max} bytes)");
                    Err(Unread::Invalid(Invalid { reason: Reason::TooLarge, text }, Bytes::new()))
                }
                Ok(_) => Ok(all),
                Err(e) => {
                    let text = format!("the body is not gzip as its Content-Encoding says: {e}");
                    Err(Unread::Invalid(Invalid { reason: Reason::Encoding, text }, Bytes::from(packed)))
                }
            }
        });
        unpacked.await.unwrap_or(Err(Unread::Overload))
    }

    async fn small(&self, pieces: usize) -> Result<SemaphorePermit<'_>, Unread> {
        room(&self.small, pieces as u32).await
    }

    async fn large(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Unread> {
        room(&self.large, bytes.div_ceil(PIECE).clamp(1, self.large_pieces) as u32).await
    }

    async fn check(&self, kind: Kind, body: &Bytes) -> Result<(), Invalid> {
        let look = move |body: &[u8]| match kind {
            Kind::Alerts => Message::parse(body).map(drop),
            Kind::Events | Kind::Raw => message::check_json(body),
        };
        if body.len() < LARGE {
            return look(body);
        }
        let body = body.clone();
        tokio::task::spawn_blocking(move || look(&body))
            .await
            .unwrap_or_else(|_| Err(Invalid { reason: Reason::NotAMessage, text: "the body could not be read".into() }))
    }

    fn refuse(&self, reason: &'static str, text: &str) -> Response {
        self.metrics.refused.get_or_create(&One([("reason", reason.into())])).inc();
        let body = format!("{text}: not stored, please send it again\n");
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], body).into_response()
    }

    /// Counts what cannot be read and keeps its beginning where people can look at it. A store that fails here does not
    /// change the answer.
    async fn invalid(&self, delivery: Delivery, path: &str, invalid: &Invalid) -> Response {
        self.metrics.invalid.get_or_create(&One([("reason", invalid.reason.name().into())])).inc();
        tracing::warn!(remote = %delivery.remote, path, reason = invalid.reason.name(), error = %invalid.text, "refused a body");
        let size = delivery.body.len() as i64;
        let kept = Bytes::copy_from_slice(&delivery.body[..delivery.body.len().min(INVALID_KEPT)]);
        let (reason, text, path) =
            (invalid.reason.name(), invalid.text.clone(), path.chars().take(200).collect::<String>());
        let _ = self
            .store
            .write(move |db| {
                db.execute(
                    "INSERT INTO invalid (received_ns, reason, detail, path, remote, agent, size, body)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                    args![
                        delivery.received.0,
                        reason,
                        &text,
                        &path,
                        &delivery.remote,
                        &delivery.agent,
                        size,
                        &kept[..]
                    ],
                )?;
                let newest = db.int("SELECT max(id) FROM invalid", &[])?.unwrap_or(0);
                db.execute("DELETE FROM invalid WHERE id <= ?1", args![newest - INVALID_ROWS])
            })
            .await;
        let status = match invalid.reason {
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            _ => StatusCode::BAD_REQUEST,
        };
        (status, format!("{}\n", invalid.text)).into_response()
    }
}

/// A part of the memory budget; waits a while for it.
async fn room(share: &Semaphore, pieces: u32) -> Result<SemaphorePermit<'_>, Unread> {
    match tokio::time::timeout(ROOM_WAIT, share.acquire_many(pieces)).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(Unread::Overload),
    }
}

async fn alerts(State(receiver): State<Receiver>, path: RawPathParams, request: Request) -> Response {
    let source = source(&path);
    receiver.receive(Kind::Alerts, source, request).await
}

async fn events(State(receiver): State<Receiver>, request: Request) -> Response {
    receiver.receive(Kind::Events, String::new(), request).await
}

async fn raw(State(receiver): State<Receiver>, path: RawPathParams, request: Request) -> Response {
    let source = source(&path);
    receiver.receive(Kind::Raw, source, request).await
}

fn source(path: &RawPathParams) -> String {
    path.iter().next().map(|(_, value)| value.chars().take(100).collect()).unwrap_or_default()
}

/// The unit of the memory budget.
const PIECE: usize = 4096;
/// How long a sender waits for its share of the budget.
const ROOM_WAIT: Duration = Duration::from_secs(10);
/// The longest pause inside a body, and the longest time for all of it.
const BODY_PAUSE: Duration = Duration::from_secs(15);
const BODY_TOTAL: Duration = Duration::from_mins(1);
/// Bodies up to this size take from the small share as they grow.
const SMALL: usize = 1 << 20;
const SMALL_SHARE: usize = 16 << 20;
/// Bodies from this size on are parsed off the network's threads.
const LARGE: usize = 128 << 10;
/// What is kept of a body that cannot be read, and of how many.
const INVALID_KEPT: usize = 64 << 10;
const INVALID_ROWS: i64 = 1000;
