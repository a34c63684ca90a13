//! What arrived, what is to be sent, and how the sink is.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Context, Trouble, item, page};
use crate::api::{Api, Problem};
use crate::clock::Nanos;
use crate::history::alerts::{self, Filter};
use crate::history::{label, object, recorded, stats};
use crate::print::{Style, lay_out};
use crate::store::Kind;
use crate::store::sql::{Row, StoreError, args};

#[derive(Template)]
#[template(path = "deliveries.html")]
struct List {
    c: Context,
    rows: Vec<Delivery>,
    invalid: Vec<Refused>,
    older: String,
    /// The kind that is asked for, or none.
    kind: &'static str,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct One {
    c: Context,
    d: Delivery,
    sent: Vec<Sent>,
    targets: Vec<String>,
    /// Whether the reader has yet to show the admin token.
    ask: bool,
    body: String,
    /// The alerts that the event recorder tells of here.
    told: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "outbox.html")]
struct Outbox {
    c: Context,
    rows: Vec<Sent>,
    ask: bool,
    targets: Vec<String>,
    /// What a replay was asked for and came to, just before.
    done: Replayed,
}

#[derive(Template)]
#[template(path = "health.html")]
struct Health {
    c: Context,
    last: String,
    last_text: String,
    database: String,
    behind: i64,
    targets: Vec<Target>,
    watchdogs: Vec<(String, String, String)>,
    replicas: Vec<Sharer>,
}

/// A replica on the same store.
struct Sharer {
    name: String,
    version: String,
    seen: String,
    seen_text: String,
    same: bool,
}

struct Target {
    name: String,
    kind: String,
    waiting: i64,
    dead: i64,
    sent: i64,
    last: String,
    last_text: String,
}

struct Delivery {
    id: i64,
    when: String,
    when_text: String,
    kind: String,
    size: String,
    sender: String,
    state: String,
    count: String,
    receiver: String,
}

struct Refused {
    id: i64,
    when: String,
    when_text: String,
    text: String,
    sender: String,
}

struct Sent {
    id: i64,
    delivery: i64,
    target: String,
    /// What the message is about.
    title: String,
    state: String,
    attempts: i64,
    next: String,
    next_text: String,
    answer: String,
    can: bool,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Replayed {
    counted: Option<u64>,
    sent: Option<u64>,
    #[serde(default)]
    target: String,
    hours: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Before {
    before: Option<i64>,
    #[serde(default)]
    kind: String,
}

const COLUMNS: &str =
    "d.id, d.received_ns, d.kind, d.size, d.remote, d.agent, m.kind, m.status, m.firing, m.resolved, g.name
  FROM deliveries d LEFT JOIN messages m ON m.delivery_id = d.id LEFT JOIN groups g ON g.id = m.group_id";

fn delivery(row: &dyn Row, t: &super::Words) -> Result<Delivery, StoreError> {
    let at = Nanos(row.int(1)?);
    let (kind, message) = (row.text(2)?, row.text(6)?);
    let (firing, resolved) = (row.int(8)?, row.int(9)?);
    let mut count = Vec::new();
    if firing > 0 {
        count.push(format!("{firing} {}", t.firing));
    }
    if resolved > 0 {
        count.push(format!("{resolved} {}", t.resolved));
    }
    Ok(Delivery {
        id: row.int(0)?,
        when: at.rfc3339_seconds(),
        when_text: item::ago(at, t),
        kind: if message.is_empty() { kind } else { message },
        size: bytes(row.int(3)?),
        sender: format!("{} {}", row.text(4)?, row.text(5)?),
        state: row.text(7)?,
        count: count.join(", "),
        receiver: row.text(10)?,
    })
}

pub(super) async fn list(
    context: Context,
    State(api): State<Api>,
    Query(asked): Query<Before>,
) -> Result<Response, Trouble> {
    let t = context.t;
    let before = asked.before.unwrap_or(i64::MAX);
    let kind = Kind::asked(&asked.kind).map_err(Problem::bad)?.map_or("", Kind::name);
    let (rows, invalid) = api
        .store
        .read(move |db| {
            // The event recorder tells of a silence each second: it must not hide the rest.
            let condition = if kind.is_empty() { "?2 = ''" } else { "d.kind = ?2" };
            let rows = db.all(
                &format!("SELECT {COLUMNS} WHERE d.id < ?1 AND {condition} ORDER BY d.id DESC LIMIT 100"),
                args![before, kind],
                |row| delivery(row, t),
            )?;
            let invalid = db.all(
                "SELECT id, received_ns, reason, detail, remote, agent FROM invalid ORDER BY id DESC LIMIT 20",
                &[],
                |row| {
                    let at = Nanos(row.int(1)?);
                    Ok(Refused {
                        id: row.int(0)?,
                        when: at.rfc3339_seconds(),
                        when_text: item::ago(at, t),
                        text: format!("{}: {}", row.text(2)?, row.text(3)?),
                        sender: format!("{} {}", row.text(4)?, row.text(5)?),
                    })
                },
            )?;
            Ok((rows, invalid))
        })
        .await?;
    let older = rows.last().filter(|_| rows.len() == 100).map(|r| match kind {
        "" => format!("/deliveries?before={}", r.id),
        _ => format!("/deliveries?kind={kind}&before={}", r.id),
    });
    Ok(page(&List {
        rows,
        invalid: if asked.before.is_none() { invalid } else { Vec::new() },
        older: older.unwrap_or_default(),
        kind,
        c: context.at("/deliveries", asked.before.is_none()),
    }))
}

pub(super) async fn one(
    context: Context,
    State(api): State<Api>,
    Path(id): Path<i64>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let t = context.t;
    let (found, sent, body, told) = api
        .store
        .read(move |db| {
            let found = db.first(&format!("SELECT {COLUMNS} WHERE d.id = ?1"), args![id], |row| delivery(row, t))?;
            let sent =
                db.all(&format!("{OUTBOX} WHERE o.delivery_id = ?1 ORDER BY o.id"), args![id], |row| outgoing(row, t))?;
            let mut body = Vec::new();
            db.query("SELECT body FROM deliveries WHERE id = ?1", args![id], &mut |row| {
                row.blob(0, &mut |raw| {
                    // A Vec takes all.
                    let _ = lay_out(&mut body, Style::Pretty, &raw[..raw.len().min(SHOWN)]);
                })
            })?;
            let told = recorded::told(db, id)?;
            Ok((found, sent, String::from_utf8_lossy(&body).into_owned(), told))
        })
        .await?;
    let Some(d) = found else {
        return Ok((StatusCode::NOT_FOUND, format!("{}\n", t.not_found)).into_response());
    };
    let targets = api.live.get().targets.iter().map(|t| t.name.clone()).collect();
    let told = told
        .into_iter()
        .map(|d| {
            let name = label(&d.labels, "alertname").unwrap_or(&d.fingerprint).to_owned();
            (format!("/alert/{}", d.fingerprint), name)
        })
        .collect();
    Ok(page(&One { d, sent, targets, ask: api.wants_login(&headers), body, told, c: context }))
}

const OUTBOX: &str = "SELECT o.id, o.delivery_id, o.target, o.state, o.attempts, o.next_ns, o.answer, g.name, g.labels,
  g.common_labels FROM outbox o LEFT JOIN groups g ON g.id = o.group_id";

fn outgoing(row: &dyn Row, t: &super::Words) -> Result<Sent, StoreError> {
    let state = row.text(3)?;
    let next = Some(Nanos(row.int(5)?)).filter(|_| state == "pending");
    let (labels, common) = (object(&row.text(8)?), object(&row.text(9)?));
    let name = label(&common, "alertname").or_else(|| label(&labels, "alertname"));
    Ok(Sent {
        id: row.int(0)?,
        delivery: row.int(1)?,
        target: row.text(2)?,
        title: name.map_or_else(|| row.text(7), |n| Ok(n.to_owned()))?,
        attempts: row.int(4)?,
        next: next.map(Nanos::rfc3339_seconds).unwrap_or_default(),
        next_text: next.map(|n| t.span(Nanos::now().until(n).as_secs())).unwrap_or_default(),
        answer: row.text(6)?,
        can: state == "dead" || state == "pending",
        state,
    })
}

pub(super) async fn outbox(
    context: Context,
    State(api): State<Api>,
    Query(done): Query<Replayed>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let t = context.t;
    let rows = api
        .store
        .read(move |db| {
            db.all(
                &format!("{OUTBOX} WHERE o.state IN ('pending', 'sending', 'dead') ORDER BY o.id DESC LIMIT 200"),
                &[],
                |row| outgoing(row, t),
            )
        })
        .await?;
    let targets = api.live.get().targets.iter().map(|t| t.name.clone()).collect();
    let ask = api.wants_login(&headers);
    Ok(page(&Outbox { rows, ask, targets, done, c: context.at("/outbox", true) }))
}

pub(super) async fn health(context: Context, State(api): State<Api>) -> Result<Response, Trouble> {
    let config = api.live.get();
    let asked = std::sync::Arc::clone(&config);
    let (now, owed, seen) = api
        .store
        .read(move |db| {
            let owed = db.all(
                "SELECT target, count(CASE WHEN state IN ('pending', 'sending') THEN 1 END),
                   count(CASE WHEN state = 'dead' THEN 1 END), count(CASE WHEN state = 'sent' THEN 1 END),
                   max(CASE WHEN state = 'sent' THEN done_ns END)
                 FROM outbox GROUP BY target ORDER BY target",
                &[],
                |row| Ok((row.text(0)?, [row.int(1)?, row.int(2)?, row.int(3)?], row.opt_int(4)?.map(Nanos))),
            )?;
            let mut seen = Vec::new();
            for watchdog in &asked.watchdogs {
                let filter = Filter { matchers: watchdog.matchers.clone(), limit: 1, ..Filter::default() };
                let last = alerts::find(db, &filter)?.alerts.first().map(|a| a.last);
                seen.push((watchdog.name.clone(), last));
            }
            Ok((stats::now(db)?, owed, seen))
        })
        .await?;
    let t = context.t;
    let in_force = api.live.in_force();
    let sharers = api.replicas.all(&api.store).await?;
    let when = |at: Option<Nanos>| {
        (at.map(Nanos::rfc3339_seconds).unwrap_or_default(), at.map(|n| item::ago(n, t)).unwrap_or_default())
    };
    let configured = config.targets.iter().map(|t| (t.name.clone(), t.kind.name()));
    let gone = owed.iter().filter(|(name, ..)| !config.targets.iter().any(|t| t.name == *name));
    let targets = configured
        .chain(gone.map(|(name, ..)| (name.clone(), String::new())))
        .map(|(name, kind)| {
            let counts = owed.iter().find(|(n, ..)| *n == name);
            let [waiting, dead, sent] = counts.map_or([0; 3], |(_, counts, _)| *counts);
            let (last, last_text) = when(counts.and_then(|(_, _, last)| *last));
            Target { name, kind, waiting, dead, sent, last, last_text }
        })
        .collect();
    Ok(page(&Health {
        last: now.last_delivery.map(Nanos::rfc3339_seconds).unwrap_or_default(),
        last_text: now.last_delivery.map(|n| item::ago(n, t)).unwrap_or_default(),
        database: bytes(api.store.size() as i64),
        behind: api.store.stored() - *api.store.indexed().borrow(),
        targets,
        watchdogs: seen
            .into_iter()
            .map(|(name, last)| {
                let (at, text) = when(last);
                (name, at, text)
            })
            .collect(),
        replicas: sharers
            .into_iter()
            .map(|r| {
                let (seen, seen_text) = when(Some(r.seen));
                Sharer { name: r.name, version: r.version, seen, seen_text, same: r.config == in_force }
            })
            .collect(),
        c: context.at("/health", true),
    }))
}

/// A size with its unit.
fn bytes(n: i64) -> String {
    match n {
        ..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", n as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", n as f64 / 1_073_741_824.0),
    }
}

/// Bytes of a body laid out on its page; the rest is behind the link to the raw one.
const SHOWN: usize = 1 << 20;
