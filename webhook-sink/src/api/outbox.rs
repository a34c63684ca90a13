//! What is owed to targets, and the calls that change something.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;
use serde::Deserialize;
use serde_json::{Value, json};

use super::admin::Admin;
use super::alerts::time;
use super::{Api, Problem};
use crate::clock::Nanos;
use crate::deliver::route::owe;
use crate::store::sql::{Connection, Row, StoreError, args};

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    state: String,
    #[serde(default)]
    target: String,
    /// Cursor: where the page before ended.
    before: Option<i64>,
    limit: Option<i64>,
}

pub(super) async fn list(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    let limit = asked.limit.unwrap_or(100).clamp(1, 1000);
    let rows = api
        .store
        .read(move |db| {
            db.all(
                "SELECT id, target, group_id, delivery_id, why, state, attempts, created_ns, next_ns, answer, note FROM outbox
                 WHERE (?1 = '' OR state = ?1) AND (?2 = '' OR target = ?2) AND id < ?3 ORDER BY id DESC LIMIT ?4",
                args![&asked.state, &asked.target, asked.before.unwrap_or(i64::MAX), limit],
                item,
            )
        })
        .await?;
    let next = if rows.len() as i64 == limit { rows.last().and_then(|r| r["id"].as_i64()) } else { None };
    Ok(Json(json!({ "outbox": rows, "next_before": next })))
}

fn item(row: &dyn Row) -> Result<Value, StoreError> {
    let state = row.text(5)?;
    let next = if state == "pending" { Some(Nanos(row.int(8)?).rfc3339()) } else { None };
    Ok(json!({
        "id": row.int(0)?, "target": row.text(1)?, "group": row.int(2)?, "delivery": row.int(3)?, "why": row.text(4)?,
        "state": state, "attempts": row.int(6)?, "created": Nanos(row.int(7)?).rfc3339(), "next_attempt": next,
        "answer": row.text(9)?, "note": row.text(10)?,
    }))
}

pub(super) async fn retry(State(api): State<Api>, admin: Admin, Path(id): Path<i64>) -> Result<Json<Value>, Problem> {
    change(&api, admin, id, "retry").await
}

pub(super) async fn drop_one(
    State(api): State<Api>,
    admin: Admin,
    Path(id): Path<i64>,
) -> Result<Json<Value>, Problem> {
    change(&api, admin, id, "drop").await
}

/// The same from the page's buttons, which go back to the page.
pub(super) async fn from_page(
    State(api): State<Api>,
    admin: Admin,
    Path((id, action)): Path<(i64, String)>,
) -> Result<Redirect, Problem> {
    let action = ["retry", "drop"].into_iter().find(|a| *a == action).ok_or_else(|| Problem::absent("action"))?;
    let _ = change(&api, admin, id, action).await?;
    Ok(Redirect::to("/outbox"))
}

/// `POST /delivery/{id}/replay` from the page's form, which goes back to the delivery.
pub(super) async fn replay_from_page(
    State(api): State<Api>,
    admin: Admin,
    Path(id): Path<i64>,
    body: Bytes,
) -> Result<Redirect, Problem> {
    let asked = Replay { target: super::admin::form(&body, "target"), ..Replay::default() };
    let _ = replay_one(State(api), admin, Path(id), Query(asked)).await?;
    Ok(Redirect::to(&format!("/delivery/{id}")))
}

/// `POST /replay` from the page's form: counts first, or sends; the outbox says what came of it.
pub(super) async fn replay_range_from_page(
    State(api): State<Api>,
    admin: Admin,
    body: Bytes,
) -> Result<Redirect, Problem> {
    let value = |name| super::admin::form(&body, name);
    let hours = value("hours").parse::<u64>().ok().filter(|h| (1..=8760).contains(h));
    let hours = hours.ok_or_else(|| Problem::bad("hours: a number from 1 to 8760"))?;
    let from = Nanos::now().before(std::time::Duration::from_hours(hours)).rfc3339();
    let (target, dry_run) = (value("target"), value("do") != "send");
    let asked = Replay { target: target.clone(), from, to: String::new(), dry_run };
    let Json(done) = replay_range(State(api), admin, Query(asked)).await?;
    let word = if dry_run { "counted" } else { "sent" };
    let target: String = form_urlencoded::byte_serialize(target.as_bytes()).collect();
    Ok(Redirect::to(&format!("/outbox?{word}={}&target={target}&hours={hours}", done["messages"])))
}

async fn change(api: &Api, admin: Admin, id: i64, action: &'static str) -> Result<Json<Value>, Problem> {
    let changed = api
        .store
        .write(move |db| {
            admin.audit(db, action, &format!("outbox {id}"))?;
            let now = Nanos::now().0;
            if action == "retry" {
                return db.execute(
                    "UPDATE outbox SET state = 'pending', next_ns = 0, created_ns = ?2 WHERE id = ?1 AND state IN ('dead', 'pending')",
                    args![id, now],
                );
            }
            db.execute(
                "UPDATE outbox SET state = 'dropped', done_ns = ?2 WHERE id = ?1 AND state IN ('dead', 'pending')",
                args![id, now],
            )
        })
        .await?;
    if changed == 0 {
        return Err(Problem::absent("waiting or dead message"));
    }
    api.wake.notify_waiters();
    Ok(Json(json!({ "status": "ok" })))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Replay {
    #[serde(default)]
    target: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    dry_run: bool,
}

impl Replay {
    /// Only a target that the configuration names: nobody can make the sink call an address of their choice.
    fn target(&self, api: &Api) -> Result<String, Problem> {
        let known = api.live.get().targets.iter().any(|t| t.name == self.target);
        known
            .then(|| self.target.clone())
            .ok_or_else(|| Problem::bad(format!("target: no target is called {:?}", self.target)))
    }
}

pub(super) async fn replay_one(
    State(api): State<Api>,
    admin: Admin,
    Path(id): Path<i64>,
    Query(asked): Query<Replay>,
) -> Result<Json<Value>, Problem> {
    let target = asked.target(&api)?;
    let owed = api
        .store
        .write(move |db| {
            admin.audit(db, "replay", &format!("delivery {id} to {target}"))?;
            replay(db, &target, "m.delivery_id = ?1 AND m.delivery_id = ?2", id, id)
        })
        .await?;
    if owed == 0 {
        return Err(Problem::absent("indexed Alertmanager message"));
    }
    api.wake.notify_waiters();
    Ok(Json(json!({ "status": "ok", "messages": owed })))
}

/// Every change in a time range, each group's newest state last; `dry_run` only counts.
pub(super) async fn replay_range(
    State(api): State<Api>,
    admin: Admin,
    Query(asked): Query<Replay>,
) -> Result<Json<Value>, Problem> {
    let target = asked.target(&api)?;
    let from = time("from", &asked.from)?.ok_or_else(|| Problem::bad("from: give the start of the range"))?;
    let to = time("to", &asked.to)?.unwrap_or_else(Nanos::now);
    let dry = asked.dry_run;
    let owed = api
        .store
        .write(move |db| {
            let range = "m.received_ns >= ?1 AND m.received_ns <= ?2 AND m.kind <> 'duplicate'";
            if dry {
                return Ok(db
                    .int(&format!("SELECT count(*) FROM messages m WHERE {range}"), args![from.0, to.0])?
                    .unwrap_or(0));
            }
            admin.audit(db, "replay", &format!("{} to {} to {target}", from.rfc3339(), to.rfc3339()))?;
            replay(db, &target, range, from.0, to.0)
        })
        .await?;
    api.wake.notify_waiters();
    Ok(Json(json!({ "status": "ok", "messages": owed, "dry_run": dry })))
}

fn replay(db: &mut dyn Connection, target: &str, which: &str, a: i64, b: i64) -> Result<i64, StoreError> {
    let now = Nanos::now().0;
    let found = db.all(
        &format!(
            "SELECT m.delivery_id, m.group_id, g.round FROM messages m JOIN groups g ON g.id = m.group_id
             WHERE {which} ORDER BY m.delivery_id"
        ),
        args![a, b],
        |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)),
    )?;
    for (delivery, group, round) in &found {
        owe(db, target, *group, *round, *delivery, &format!("replay {now}"), now)?;
    }
    Ok(found.len() as i64)
}

/// Wakes the workers when something was put into the outbox by hand.
pub(crate) type Wake = Arc<tokio::sync::Notify>;
