//! The history of one alert.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use super::item::{self, Chip, Link};
use super::{Context, Trouble, page};
use crate::api::Api;
use crate::clock::Nanos;
use crate::history::{alerts, label, recorded};
use crate::index::EpisodeState;
use crate::reconcile;

#[derive(Template)]
#[template(path = "alert.html")]
struct History {
    c: Context,
    name: String,
    fingerprint: String,
    month: usize,
    chips: Vec<Chip>,
    /// Of an alert without an episode; else each episode has its own.
    annotations: Vec<(String, String)>,
    episodes: Vec<Episode>,
    recorded: Vec<Recorded>,
}

/// What Alertmanager's event recorder told.
struct Recorded {
    href: String,
    when: String,
    when_text: String,
    kind: String,
    by: String,
    times: i64,
}

struct Episode {
    id: i64,
    state: &'static str,
    state_text: &'static str,
    since: String,
    since_text: String,
    ended: String,
    ended_text: String,
    lasted: String,
    /// What Alertmanager's API says of it, where it was asked.
    told: String,
    annotations: Vec<(String, String)>,
    links: Vec<Link>,
    touches: Vec<Touch>,
}

struct Touch {
    id: i64,
    href: String,
    state: &'static str,
    state_text: &'static str,
    when: String,
    when_text: String,
    receiver: String,
    kind: String,
    /// Where it was forwarded to.
    sent: String,
}

pub(super) async fn show(
    context: Context,
    State(api): State<Api>,
    Path(fingerprint): Path<String>,
) -> Result<Response, Trouble> {
    let asked = fingerprint.clone();
    let (found, events, known) = api
        .store
        .read(move |db| {
            let mut found = Vec::new();
            for episode in alerts::episodes(db, &asked, 100)? {
                let limit = if found.len() < 10 { 50 } else { 5 };
                let mut touches = Vec::new();
                for touch in alerts::touches(db, episode.id, limit)? {
                    let sent = db.all(
                        "SELECT target, state, attempts FROM outbox WHERE delivery_id = ?1 ORDER BY target",
                        crate::store::sql::args![touch.delivery],
                        |row| Ok(format!("{} {} ({})", row.text(0)?, row.text(1)?, row.int(2)?)),
                    )?;
                    touches.push((touch, sent.join(", ")));
                }
                let told = reconcile::said(db, episode.id)?;
                found.push((episode, touches, told));
            }
            let events = recorded::events(db, &asked, 100)?;
            let known = recorded::describe(db, &asked, &events)?;
            Ok((found, events, known))
        })
        .await?;
    let t = context.t;
    let Some(known) = known else {
        return Ok((StatusCode::NOT_FOUND, format!("{}\n", t.not_found)).into_response());
    };
    let month = Nanos::now().before(Duration::from_hours(30 * 24));
    Ok(page(&History {
        name: label(&known.labels, "alertname").unwrap_or("(no alertname)").to_owned(),
        chips: item::chips(&known.labels, ""),
        annotations: if found.is_empty() { texts(&known.annotations) } else { Vec::new() },
        month: found.iter().filter(|(e, ..)| e.last >= month).count(),
        episodes: found
            .iter()
            .map(|(e, touches, told)| {
                let end = e.ends.filter(|_| e.state == EpisodeState::Resolved);
                Episode {
                    id: e.id,
                    state: e.state.name(),
                    state_text: item::state_text(e.state, t),
                    since: e.starts.rfc3339_seconds(),
                    since_text: item::ago(e.starts, t),
                    ended: end.map(Nanos::rfc3339_seconds).unwrap_or_default(),
                    ended_text: end.map(|n| item::ago(n, t)).unwrap_or_default(),
                    lasted: end.map(|n| t.span(e.starts.until(n).as_secs())).unwrap_or_default(),
                    told: told
                        .as_ref()
                        .filter(|(verdict, ..)| fits(e.state, verdict))
                        .map(|(verdict, by, _)| told_text(verdict, by, t))
                        .unwrap_or_default(),
                    annotations: texts(&e.annotations),
                    links: item::links(&e.labels, &e.annotations, &e.generator_url, &e.external_url, t),
                    touches: touches
                        .iter()
                        .map(|(touch, sent)| Touch {
                            id: touch.delivery,
                            href: format!("/delivery/{}", touch.delivery),
                            state: if touch.resolved { "resolved" } else { "firing" },
                            state_text: if touch.resolved { t.resolved } else { t.firing },
                            when: touch.received.rfc3339_seconds(),
                            when_text: item::ago(touch.received, t),
                            receiver: touch.receiver.clone(),
                            kind: touch.kind.clone(),
                            sent: sent.clone(),
                        })
                        .collect(),
                }
            })
            .collect(),
        recorded: events
            .into_iter()
            .map(|e| Recorded {
                href: format!("/delivery/{}", e.delivery),
                when: e.last.rfc3339_seconds(),
                when_text: item::ago(e.last, t),
                kind: e.kind,
                by: if e.detail.is_empty() { e.by } else { format!("{} ({})", e.by, e.detail) },
                times: e.times,
            })
            .collect(),
        fingerprint,
        c: context.at("", true),
    }))
}

/// Annotations as they are shown.
fn texts(annotations: &Map<String, Value>) -> Vec<(String, String)> {
    let shown = annotations.iter().filter_map(|(n, v)| Some((n.clone(), v.as_str()?.chars().take(2000).collect())));
    shown.collect()
}

/// Whether what Alertmanager said last is still about the state: a message may have told something newer.
fn fits(state: EpisodeState, verdict: &str) -> bool {
    match state {
        EpisodeState::Firing => false,
        EpisodeState::Resolved => verdict == "ended",
        EpisodeState::Stale => !["firing", "ended"].contains(&verdict),
    }
}

fn told_text(verdict: &str, by: &str, t: &super::Words) -> String {
    let text = match verdict {
        "silenced" => t.told_silenced,
        "inhibited" => t.told_inhibited,
        "muted" => t.told_muted,
        _ => t.told_ended,
    };
    if by.is_empty() { text.to_owned() } else { format!("{text} ({by})") }
}
