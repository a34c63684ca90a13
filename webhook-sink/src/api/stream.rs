//! What goes on without being asked again: server-sent events, and the whole history as lines.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::{Api, Problem};
use crate::clock::Nanos;
use crate::print::{Style, lay_out};
use crate::store::sql::{StoreError, args};

/// Each message as it is indexed. The event's id is the delivery's: a browser that lost the connection says the last one
/// it saw and gets what it missed, or `reset` when that was too much.
pub(super) async fn events(State(api): State<Api>, headers: HeaderMap) -> Response {
    let Ok(permit) = Arc::clone(&api.streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], "too many live connections\n")
            .into_response();
    };
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let seen = last.unwrap_or_else(|| *api.store.indexed().borrow());
    let keep = KeepAlive::new().interval(Duration::from_secs(15));
    let mut answer = Sse::new(follow(api, seen, permit)).keep_alive(keep).into_response();
    answer.headers_mut().insert("x-accel-buffering", header::HeaderValue::from_static("no"));
    answer
}

/// Told when something changed that no message tells of.
pub(crate) type Nudge = Arc<tokio::sync::watch::Sender<u64>>;

fn follow(api: Api, seen: i64, permit: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, Infallible>> {
    let (indexed, nudged) = (api.store.indexed(), api.nudge.subscribe());
    let hello = Event::default().event("hello").id(seen.to_string()).data("{}").retry(Duration::from_secs(2));
    let pending = std::collections::VecDeque::from([hello]);
    stream::unfold(
        (api, (indexed, nudged), seen, pending, permit),
        |(api, (mut indexed, mut nudged), mut seen, mut pending, permit)| async move {
            loop {
                if let Some(event) = pending.pop_front() {
                    return Some((Ok(event), (api, (indexed, nudged), seen, pending, permit)));
                }
                let now = tokio::select! {
                    () = api.shutdown.requested() => return None,
                    news = nudged.changed() => {
                        news.ok()?;
                        pending.push_back(Event::default().event("reset").id(seen.to_string()).data("{}"));
                        continue;
                    }
                    now = indexed.wait_for(|n| *n > seen) => *now.ok()?,
                };
                let Ok(events) = missed(&api, seen, now).await else {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                };
                pending = events.into();
                seen = now;
                // A burst becomes one look at the database, not one for each message.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        },
    )
}

async fn missed(api: &Api, seen: i64, now: i64) -> Result<Vec<Event>, StoreError> {
    let reset = || Event::default().event("reset").id(now.to_string()).data("{}");
    if now - seen > MISSED_MAX {
        return Ok(vec![reset()]);
    }
    let rows = api
        .store
        .read(move |db| {
            db.all(
                "SELECT m.delivery_id, m.group_id, m.kind, m.status, m.firing, m.resolved, m.received_ns, g.name
                 FROM messages m JOIN groups g ON g.id = m.group_id
                 WHERE m.delivery_id > ?1 AND m.delivery_id <= ?2 ORDER BY m.delivery_id",
                args![seen, now],
                |row| {
                    let id = row.int(0)?;
                    let data = json!({
                        "delivery": id, "group": row.int(1)?, "message": row.text(2)?, "status": row.text(3)?,
                        "firing": row.int(4)?, "resolved": row.int(5)?, "received": Nanos(row.int(6)?).rfc3339(),
                        "receiver": row.text(7)?,
                    });
                    Ok((id, data))
                },
            )
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|(id, data)| Event::default().event("message").id(id.to_string()).data(data.to_string()))
        .collect())
}

#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Format {
    #[serde(default)]
    format: String,
}

/// `?format=ndjson`: every delivery on a line of its own, its body inside as JSON, oldest first.
pub(super) async fn export(State(api): State<Api>, Query(asked): Query<Format>) -> Result<Response, Problem> {
    if !matches!(asked.format.as_str(), "" | "ndjson") {
        return Err(Problem::bad(format!("format: {} is not ndjson", asked.format)));
    }
    let upto = api.store.stored();
    let lines = stream::unfold((api, 0_i64, 0_usize), move |(api, after, failures)| async move {
        match chunk(&api, after, upto).await {
            Ok((_, last)) if last == after => None,
            Ok((bytes, last)) => Some((Ok(Bytes::from(bytes)), (api, last, 0))),
            // The connection is cut, so that nobody takes a part for the whole.
            Err(e) if failures == 0 => Some((Err(e), (api, after, 1))),
            Err(_) => None,
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

async fn chunk(api: &Api, after: i64, upto: i64) -> Result<(Vec<u8>, i64), StoreError> {
    api.store
        .read(move |db| {
            let (mut out, mut last) = (Vec::new(), after);
            let done = db.query(
                "SELECT id, received_ns, kind, source, query, remote, agent, body FROM deliveries
                 WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT 500",
                args![after, upto],
                &mut |row| {
                    if out.len() > CHUNK {
                        return Err(StoreError::Absent("more"));
                    }
                    let head = json!({
                        "id": row.int(0)?, "received": Nanos(row.int(1)?).rfc3339(), "kind": row.text(2)?,
                        "source": row.text(3)?, "query": row.text(4)?, "remote": row.text(5)?, "user_agent": row.text(6)?,
                    })
                    .to_string();
                    out.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
                    out.extend_from_slice(b",\"body\":");
                    let mut written = Ok(());
                    row.blob(7, &mut |body| written = lay_out(&mut out, Style::Ndjson, body))?;
                    written.map_err(|e| StoreError::Database(e.to_string()))?;
                    out.extend_from_slice(b"}\n");
                    last = row.int(0)?;
                    Ok(())
                },
            );
            match done {
                Ok(()) | Err(StoreError::Absent("more")) => Ok((out, last)),
                Err(e) => Err(e),
            }
        })
        .await
}

/// More than this is not sent one by one: the page is loaded anew instead.
const MISSED_MAX: i64 = 500;
/// Bytes of export made at a time.
const CHUNK: usize = 1 << 20;
