//! Alerts, groups and numbers.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, Problem};
use crate::clock::Nanos;
use crate::history::alerts::{self, Filter};
use crate::history::{groups, recorded, stats};
use crate::index::EpisodeState;
use crate::matcher;
use crate::reconcile;

/// The query of lists. Everything is optional.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// `firing`, `resolved`, `stale`, several with commas.
    #[serde(default)]
    pub(crate) state: String,
    /// Matchers and words, as the search box takes them.
    #[serde(default)]
    pub(crate) q: String,
    /// RFC 3339.
    #[serde(default)]
    pub(crate) from: String,
    #[serde(default)]
    pub(crate) to: String,
    pub(crate) before: Option<i64>,
    pub(crate) limit: Option<usize>,
}

impl Asked {
    pub(crate) fn filter(&self) -> Result<Filter, Problem> {
        let mut states = Vec::new();
        for word in self.state.split(',').filter(|w| !w.is_empty() && *w != "all") {
            states.push(match word {
                "firing" => EpisodeState::Firing,
                "resolved" => EpisodeState::Resolved,
                "stale" => EpisodeState::Stale,
                _ => return Err(Problem::bad(format!("state: {word} is none of firing, resolved, stale, all"))),
            });
        }
        let (matchers, words) = matcher::search(&self.q).map_err(|e| Problem::bad(format!("q: {e}")))?;
        Ok(Filter {
            states,
            matchers,
            words,
            from: time("from", &self.from)?,
            to: time("to", &self.to)?,
            before: self.before,
            limit: self.limit.unwrap_or(100).clamp(1, 1000),
        })
    }
}

pub(crate) fn time(name: &str, text: &str) -> Result<Option<Nanos>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    Nanos::parse(text).map(Some).ok_or_else(|| Problem::bad(format!("{name}: {text} is not an RFC 3339 time")))
}

pub(super) async fn list(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Json<Value>, Problem> {
    let filter = asked.filter()?;
    let found = api.store.read(move |db| alerts::find(db, &filter)).await?;
    let list: Vec<Value> = found.alerts.iter().map(alerts::Alert::json).collect();
    Ok(Json(json!({ "alerts": list, "next_before": found.next })))
}

pub(super) async fn history(State(api): State<Api>, Path(fingerprint): Path<String>) -> Result<Json<Value>, Problem> {
    let (episodes, events, known) = api
        .store
        .read(move |db| {
            let mut list = Vec::new();
            for episode in alerts::episodes(db, &fingerprint, 100)? {
                let mut value = episode.json();
                let touches: Vec<Value> = alerts::touches(db, episode.id, 100)?
                    .iter()
                    .map(|t| {
                        json!({
                            "delivery": t.delivery, "received": t.received.rfc3339(), "message": t.kind,
                            "status": if t.resolved { "resolved" } else { "firing" }, "receiver": t.receiver,
                            "group": t.group,
                        })
                    })
                    .collect();
                value["deliveries"] = touches.into();
                value["alertmanager"] = reconcile::said(db, episode.id)?
                    .map(|(verdict, by, at)| json!({ "says": verdict, "by": by, "at": at.rfc3339() }))
                    .into();
                list.push(value);
            }
            let events = recorded::events(db, &fingerprint, 500)?;
            let known = recorded::describe(db, &fingerprint, &events)?;
            let events: Vec<Value> = events
                .iter()
                .map(|e| {
                    json!({
                        "event": e.kind, "by": e.by, "detail": e.detail, "first": e.first.rfc3339(),
                        "last": e.last.rfc3339(), "times": e.times, "delivery": e.delivery,
                    })
                })
                .collect();
            Ok((list, events, known))
        })
        .await?;
    // One that no message told of, because it was silenced or inhibited from its start, has events alone.
    let known = known.ok_or_else(|| Problem::absent("alert"))?;
    Ok(Json(json!({
        "fingerprint": known.fingerprint, "labels": known.labels, "annotations": known.annotations,
        "episodes": episodes, "events": events,
    })))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Groups {
    #[serde(default)]
    all: bool,
    limit: Option<i64>,
    offset: Option<i64>,
}

pub(super) async fn group_list(State(api): State<Api>, Query(asked): Query<Groups>) -> Result<Json<Value>, Problem> {
    let limit = asked.limit.unwrap_or(100).clamp(1, 1000);
    let found = api.store.read(move |db| groups::list(db, asked.all, limit, asked.offset.unwrap_or(0).max(0))).await?;
    Ok(Json(json!({ "groups": found.iter().map(groups::Group::json).collect::<Vec<_>>() })))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Range {
    #[serde(default)]
    from: String,
    #[serde(default)]
    to: String,
}

pub(super) async fn numbers(State(api): State<Api>, Query(range): Query<Range>) -> Result<Json<Value>, Problem> {
    let to = time("to", &range.to)?.unwrap_or_else(Nanos::now);
    let from = time("from", &range.from)?.unwrap_or_else(|| to.before(std::time::Duration::from_hours(24)));
    let (now, slots) = api.store.read(move |db| Ok((stats::now(db)?, stats::over_time(db, from, to)?))).await?;
    let mut answer = now.json();
    answer["slots"] = slots.iter().map(stats::Slot::json).collect::<Vec<_>>().into();
    answer["database_bytes"] = api.store.size().into();
    answer["stored"] = api.store.stored().into();
    answer["indexed"] = (*api.store.indexed().borrow()).into();
    Ok(Json(answer))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Prefix {
    name: Option<String>,
    #[serde(default)]
    prefix: String,
}

/// Label names, or the values of one: what the search box completes.
pub(super) async fn labels(State(api): State<Api>, Query(asked): Query<Prefix>) -> Result<Json<Value>, Problem> {
    let found = api
        .store
        .read(move |db| {
            let end = format!("{}\u{10ffff}", asked.prefix);
            let text = |row: &dyn crate::store::sql::Row| row.text(0);
            if let Some(name) = &asked.name {
                return db.all(
                    "SELECT value FROM label_values WHERE name = ?1 AND value >= ?2 AND value < ?3 ORDER BY value LIMIT 50",
                    crate::store::sql::args![name, &asked.prefix, &end],
                    text,
                );
            }
            db.all(
                "SELECT DISTINCT name FROM label_values WHERE name >= ?1 AND name < ?2 ORDER BY name LIMIT 50",
                crate::store::sql::args![&asked.prefix, &end],
                text,
            )
        })
        .await?;
    Ok(Json(json!({ "values": found })))
}
