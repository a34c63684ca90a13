//! What arrived: raw, and what it was taken for.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Problem};
use crate::clock::Nanos;
use crate::store::Kind;
use crate::store::sql::{Row, StoreError, args};

/// `?limit=&before=`: the newest first, and on from a cursor.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Page {
    limit: Option<i64>,
    before: Option<i64>,
    /// `alerts`, `events` or `raw`; not for what could not be read.
    #[serde(default)]
    kind: String,
}

impl Page {
    pub(crate) fn limit(&self) -> i64 {
        self.limit.unwrap_or(50).clamp(1, 1000)
    }
    fn before(&self) -> i64 {
        self.before.unwrap_or(i64::MAX)
    }
}

const COLUMNS: &str = "d.id, d.received_ns, d.kind, d.source, d.query, d.remote, d.agent, d.size, m.kind, m.status,
  m.firing, m.resolved, m.truncated, m.reason, m.external_url, m.group_id, g.name, g.group_key
  FROM deliveries d LEFT JOIN messages m ON m.delivery_id = d.id LEFT JOIN groups g ON g.id = m.group_id";

pub(super) async fn list(State(api): State<Api>, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let limit = page.limit();
    let kind = Kind::asked(&page.kind).map_err(Problem::bad)?;
    let rows = api
        .store
        .read(move |db| match kind {
            Some(kind) => db.all(
                &format!("SELECT {COLUMNS} WHERE d.id < ?1 AND d.kind = ?3 ORDER BY d.id DESC LIMIT ?2"),
                args![page.before(), limit, kind.name()],
                summary,
            ),
            None => db.all(
                &format!("SELECT {COLUMNS} WHERE d.id < ?1 ORDER BY d.id DESC LIMIT ?2"),
                args![page.before(), limit],
                summary,
            ),
        })
        .await?;
    let next = if rows.len() as i64 == limit { rows.last().and_then(|r| r["id"].as_i64()) } else { None };
    Ok(Json(json!({ "deliveries": rows, "next_before": next })))
}

pub(super) async fn one(State(api): State<Api>, Path(id): Path<i64>) -> Result<Json<Value>, Problem> {
    let found =
        api.store.read(move |db| db.first(&format!("SELECT {COLUMNS} WHERE d.id = ?1"), args![id], summary)).await?;
    found.map(Json).ok_or_else(|| Problem::absent("delivery"))
}

pub(super) async fn raw(State(api): State<Api>, Path(id): Path<i64>) -> Result<Response, Problem> {
    body_of(&api, "SELECT body FROM deliveries WHERE id = ?1", id).await
}

pub(super) async fn invalid(State(api): State<Api>, Query(page): Query<Page>) -> Result<Json<Value>, Problem> {
    let rows = api
        .store
        .read(move |db| {
            db.all(
                "SELECT id, received_ns, reason, detail, path, remote, agent, size FROM invalid
                 WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
                args![page.before(), page.limit()],
                |row| {
                    Ok(json!({
                        "id": row.int(0)?, "received": Nanos(row.int(1)?).rfc3339(), "reason": row.text(2)?,
                        "error": row.text(3)?, "path": row.text(4)?, "remote": row.text(5)?,
                        "user_agent": row.text(6)?, "size": row.int(7)?,
                    }))
                },
            )
        })
        .await?;
    Ok(Json(json!({ "invalid": rows })))
}

pub(super) async fn invalid_raw(State(api): State<Api>, Path(id): Path<i64>) -> Result<Response, Problem> {
    let body = read_body(&api, "SELECT body FROM invalid WHERE id = ?1", id).await?;
    // Never JSON, whatever it claims to be: nothing that was refused may be run by a browser.
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
}

async fn body_of(api: &Api, sql: &'static str, id: i64) -> Result<Response, Problem> {
    let body = read_body(api, sql, id).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn read_body(api: &Api, sql: &'static str, id: i64) -> Result<Vec<u8>, Problem> {
    let body = api
        .store
        .read(move |db| {
            let mut body = None;
            db.query(sql, args![id], &mut |row| row.blob(0, &mut |bytes| body = Some(bytes.to_vec())))?;
            Ok(body)
        })
        .await?;
    body.ok_or_else(|| Problem::absent("delivery"))
}

fn summary(row: &dyn Row) -> Result<Value, StoreError> {
    let mut value = json!({
        "id": row.int(0)?,
        "received": Nanos(row.int(1)?).rfc3339(),
        "kind": row.text(2)?,
        "source": row.text(3)?,
        "query": row.text(4)?,
        "remote": row.text(5)?,
        "user_agent": row.text(6)?,
        "size": row.int(7)?,
    });
    // Only an Alertmanager message that is indexed has these.
    if let (Some(group), Value::Object(map)) = (row.opt_int(15)?, &mut value) {
        for (name, column) in [("message", 8), ("status", 9), ("notification_reason", 13), ("external_url", 14)] {
            map.insert(name.into(), row.text(column)?.into());
        }
        for (name, column) in [("firing", 10), ("resolved", 11), ("truncated", 12)] {
            map.insert(name.into(), row.int(column)?.into());
        }
        map.insert("group".into(), group.into());
        map.insert("receiver".into(), row.text(16)?.into());
        map.insert("group_key".into(), row.text(17)?.into());
    }
    Ok(value)
}
