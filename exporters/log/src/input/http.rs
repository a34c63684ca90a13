//! Lines that are sent to our own HTTP server: Logstash's http output, Vector, curl.

use super::batch::{Batch, Counters, Feed, Source};
use super::selector::Selector;
use super::{Http, HttpFormat};
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use service::compress::GunzipError;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The paths that take lines. They change with the configuration, so they are looked up for each request.
#[derive(Debug)]
pub(crate) struct Routes {
    by_path: RwLock<HashMap<String, Arc<Webhook>>>,
    /// Mebibytes of bodies that may be in memory at once.
    room: Semaphore,
}

/// One path.
#[derive(Debug)]
pub(super) struct Webhook {
    settings: Http,
    selector: Selector,
    source: Arc<Source>,
    counters: Arc<Counters>,
}

impl Webhook {
    pub(super) fn new(settings: &Http, feed: &Feed, counters: Arc<Counters>) -> Result<Self, String> {
        let selector = Selector::parse(&settings.selector)?;
        let source = feed.source(&Arc::from(settings.name.as_str()), String::new());
        Ok(Self { settings: settings.clone(), selector, source, counters })
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self { by_path: RwLock::default(), room: Semaphore::new(ROOM) }
    }
}

/// Why a request is not taken.
struct Refusal(StatusCode, String);

impl Routes {
    /// These paths and no others.
    pub(super) fn set(&self, webhooks: impl Iterator<Item = Webhook>) {
        let by_path = webhooks.map(|w| (w.settings.path.clone(), Arc::new(w))).collect();
        *self.by_path.write().unwrap_or_else(PoisonError::into_inner) = by_path;
    }

    /// Answers any request that no other route takes.
    pub(crate) async fn answer(&self, feed: &Feed, request: Request) -> Response {
        let found = self.by_path.read().unwrap_or_else(PoisonError::into_inner).get(request.uri().path()).cloned();
        let Some(webhook) = found else {
            return service::text(StatusCode::NOT_FOUND, "404 page not found\n");
        };
        if request.method() != Method::POST && request.method() != Method::PUT {
            let mut response = service::text(StatusCode::METHOD_NOT_ALLOWED, "send lines with POST\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST, PUT"));
            return response;
        }
        match self.take(&webhook, feed, request).await {
            Ok(()) => {
                webhook.counters.request();
                Response::new(Body::empty())
            }
            Err(Refusal(status, why)) => {
                webhook.counters.error();
                tracing::debug!(input = webhook.settings.name, status = status.as_u16(), why, "Lines refused");
                let mut response = service::owned_text(status, format!("{why}\n"));
                if status == StatusCode::SERVICE_UNAVAILABLE {
                    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                }
                response
            }
        }
    }

    async fn take(&self, webhook: &Webhook, feed: &Feed, request: Request) -> Result<(), Refusal> {
        let (parts, body) = request.into_parts();
        let packed = is_packed(&parts.headers)?;
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
        let too_large = || Refusal(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MOST_BODY} bytes"));
        if length.is_some_and(|l| l > MOST_BODY) {
            return Err(too_large());
        }
        // What is packed may need all the room that a body may have.
        let needed = if packed { MOST_BODY } else { length.unwrap_or(MOST_BODY) };
        let _room = self.room(needed).await?;
        let body = axum::body::to_bytes(body, MOST_BODY).await.map_err(|e| {
            let limit = std::error::Error::source(&e).is_some_and(|s| s.to_string().contains("length limit"));
            if limit { too_large() } else { Refusal(StatusCode::BAD_REQUEST, format!("the body did not arrive: {e}")) }
        })?;
        let body = if packed { unpack(&body)? } else { body };
        webhook.send(feed, &body).await
    }

    async fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Refusal> {
        let busy = || Refusal(StatusCode::SERVICE_UNAVAILABLE, "too much at once, send it again later".into());
        let wanted = bytes.div_ceil(1 << 20).clamp(1, ROOM) as u32;
        let room = tokio::time::timeout(PATIENCE, self.room.acquire_many(wanted)).await;
        room.map_err(|_| busy())?.map_err(|_| busy())
    }
}

fn is_packed(headers: &HeaderMap) -> Result<bool, Refusal> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => Ok(false),
        Some(b"gzip" | b"x-gzip") => Ok(true),
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            Err(Refusal(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("content-encoding {other} is not supported, send gzip"),
            ))
        }
    }
}

fn unpack(body: &[u8]) -> Result<Bytes, Refusal> {
    service::compress::gunzip(body, MOST_BODY).map_err(|e| {
        let status = match e {
            GunzipError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            GunzipError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Refusal(status, e.to_string())
    })
}

impl Webhook {
    /// Sends the lines of a body and returns once all of them are counted.
    async fn send(&self, feed: &Feed, body: &[u8]) -> Result<(), Refusal> {
        let mut sender = Sender { webhook: self, feed, batch: Batch::new(Arc::clone(&self.source)), weight: 0 };
        let wrong = |e: serde_json::Error| Refusal(StatusCode::BAD_REQUEST, format!("no JSON as expected: {e}"));
        match self.settings.format {
            HttpFormat::TextSingle => sender.line(trim(body), None, 0).await?,
            HttpFormat::TextBulk => {
                let separator = self.settings.separator.as_bytes();
                for piece in pieces(trim(body), separator) {
                    sender.line(trim(piece), None, 0).await?;
                }
            }
            HttpFormat::JsonSingle => {
                let event: &RawValue = serde_json::from_slice(body).map_err(wrong)?;
                sender.event(event.get()).await?;
            }
            HttpFormat::JsonBulk => {
                let events: Vec<&RawValue> = serde_json::from_slice(body).map_err(wrong)?;
                for event in events {
                    sender.event(event.get()).await?;
                }
            }
            HttpFormat::JsonLines => {
                let lines = body.split(|b| *b == b'\n').filter(|l| !trim(l).is_empty());
                let mut events = Vec::new();
                for line in lines {
                    events.push(serde_json::from_slice::<&RawValue>(line));
                }
                if events.iter().all(Result::is_err)
                    && let Some(Err(e)) = events.pop()
                {
                    return Err(wrong(e));
                }
                for event in events {
                    match event {
                        Ok(event) => sender.event(event.get()).await?,
                        Err(_) => self.counters.error(),
                    }
                }
            }
        }
        sender.finish().await
    }
}

/// Collects lines of one request.
struct Sender<'a> {
    webhook: &'a Webhook,
    feed: &'a Feed,
    batch: Batch,
    /// Bytes of the JSON in it, which take more memory than its lines.
    weight: usize,
}

impl Sender<'_> {
    /// One JSON event; one without the line costs only itself.
    async fn event(&mut self, json: &str) -> Result<(), Refusal> {
        let Ok(mut event) = serde_json::from_str::<Value>(json) else {
            self.webhook.counters.error();
            return Ok(());
        };
        let Some(line) = self.webhook.selector.find(&event).map(|l| l.trim().to_owned()) else {
            self.webhook.counters.error();
            return Ok(());
        };
        if self.webhook.settings.nested
            && let Value::Object(fields) = &mut event
            && !fields.contains_key("x")
        {
            let whole = Value::Object(fields.clone());
            fields.insert("x".into(), whole);
        }
        self.line(line.as_bytes(), Some(event), json.len()).await
    }

    async fn line(&mut self, line: &[u8], extra: Option<Value>, weight: usize) -> Result<(), Refusal> {
        self.batch.push(line, extra);
        self.weight += weight;
        if self.batch.is_full() || self.weight > HEAVY {
            let batch = std::mem::replace(&mut self.batch, Batch::new(Arc::clone(&self.webhook.source)));
            self.weight = 0;
            patient(self.feed.send(batch)).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<(), Refusal> {
        patient(self.feed.counted(self.batch, self.webhook.settings.acknowledge)).await
    }
}

/// An engine that takes nothing for so long has more than it can do: the sender keeps what it has.
async fn patient(sent: impl Future<Output = bool>) -> Result<(), Refusal> {
    match tokio::time::timeout(PATIENCE, sent).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "stopping".into())),
        Err(_) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, "busy, send it again later".into())),
    }
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

/// What stands between separators, as Go's `strings.Split`.
fn pieces<'b>(body: &'b [u8], separator: &'b [u8]) -> impl Iterator<Item = &'b [u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memmem::find(text, separator) {
            Some(at) => {
                rest = Some(&text[at + separator.len()..]);
                Some(&text[..at])
            }
            None => rest.take(),
        }
    })
}

/// The most that a body may have, packed or not.
const MOST_BODY: usize = 50 << 20;
/// Mebibytes of all bodies at once.
const ROOM: usize = 128;
/// JSON of one batch.
const HEAVY: usize = 1 << 20;
/// How long a request may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::batch::{Lines, Message};
    use proptest::prelude::*;

    /// What a body gives: the lines, and whether each came with an event; or the refusal's status.
    fn lines(format: HttpFormat, body: &[u8]) -> Result<Vec<(String, bool)>, u16> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (feed, mut messages) = Feed::new();
        let webhook = Webhook::new(&Http::of(format), &feed, Arc::default()).unwrap();
        runtime.block_on(async move {
            let mut got = Vec::new();
            let send = async { webhook.send(&feed, body).await };
            let take = async {
                while let Some(Message::Batch(batch)) = messages.recv().await {
                    let Lines::Ends(ends) = &batch.lines else { panic!("not by ends") };
                    let mut start = 0;
                    for (i, end) in ends.iter().enumerate() {
                        let line = String::from_utf8_lossy(&batch.text[start..*end as usize]).into_owned();
                        got.push((line, batch.extras.get(i).is_some()));
                        start = *end as usize;
                    }
                    if let Some(done) = batch.done {
                        let _ = done.send(());
                        break;
                    }
                }
                std::future::pending::<()>().await;
            };
            let sent = tokio::select! { sent = send => sent, () = take => unreachable!("never ends") };
            sent.map(|()| got).map_err(|Refusal(status, _)| status.as_u16())
        })
    }

    fn texts(format: HttpFormat, body: &str) -> Result<Vec<String>, u16> {
        lines(format, body.as_bytes()).map(|l| l.into_iter().map(|(line, _)| line).collect())
    }

    #[test]
    fn the_five_formats() {
        use HttpFormat::{JsonBulk, JsonLines, JsonSingle, TextBulk, TextSingle};
        let some = |lines: &[&str]| Ok(lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>());
        assert_eq!(texts(TextSingle, " a\nb \n"), some(&["a\nb"]));
        assert_eq!(texts(TextSingle, ""), some(&[""]));
        assert_eq!(texts(TextBulk, "\na\n\n b \n\n\n\nc\n"), some(&["a", "b", "", "c"]));
        assert_eq!(texts(JsonSingle, r#"{"message": " m ", "user": 1}"#), some(&["m"]));
        assert_eq!(texts(JsonSingle, r#"{"other": "m"}"#), some(&[]));
        assert_eq!(texts(JsonSingle, ""), Err(400));
        assert_eq!(texts(JsonSingle, "{"), Err(400));
        let bulk = r#"[{"message": "a"}, {"message": 1}, "x", {"message": "b"}]"#;
        assert_eq!(texts(JsonBulk, bulk), some(&["a", "b"]));
        assert_eq!(texts(JsonBulk, "[]"), some(&[]));
        assert_eq!(texts(JsonBulk, r#"{"message": "a"}"#), Err(400));
        assert_eq!(texts(JsonBulk, r#"[{"message": "a"}"#), Err(400));
        assert_eq!(texts(JsonLines, "{\"message\":\"a\"}\n\nbad\n{\"message\":\"b\"}\r\n"), some(&["a", "b"]));
        assert_eq!(texts(JsonLines, "bad"), Err(400));
        assert_eq!(texts(JsonLines, ""), some(&[]));
        assert_eq!(lines(JsonSingle, br#"{"message":"m"}"#), Ok(vec![("m".into(), true)]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn any_body_is_answered(body: Vec<u8>, likely in "[\\[\\]{}\",:a-z0-9 \n]{0,40}") {
            for format in [HttpFormat::TextBulk, HttpFormat::JsonSingle, HttpFormat::JsonBulk, HttpFormat::JsonLines] {
                let _ = lines(format, &body);
                let _ = lines(format, likely.as_bytes());
            }
        }

        #[test]
        fn a_bulk_of_texts_is_divided(texts in proptest::collection::vec("[a-z]{1,5}", 1..6)) {
            let body = texts.join("\n\n");
            prop_assert_eq!(self::texts(HttpFormat::TextBulk, &body), Ok(texts));
        }
    }
}
