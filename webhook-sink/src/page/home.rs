//! The first page: what fires now, or what was searched for.

use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::json;

use super::item::{self, Chip, Item, Link};
use super::{Context, Trouble, encode, page};
use crate::api::Api;
use crate::api::alerts::Asked;
use crate::clock::Nanos;
use crate::history::alerts::{self, Alert};
use crate::history::groups::{self, Group};
use crate::history::{label, stats};
use crate::index::severity_name;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    c: Context,
    q: String,
    state: String,
    from: String,
    to: String,
    counts: Vec<Count>,
    ranges: Vec<Range>,
    slots: String,
    bars: Vec<Vec<Bar>>,
    groups: Vec<Card>,
    alerts: Vec<Item>,
    problem: String,
    empty: bool,
    searching: bool,
    curl: String,
    yaml: String,
    newest: String,
    older: String,
}

struct Count {
    n: i64,
    text: String,
    href: String,
    current: bool,
    help: &'static str,
}

struct Range {
    text: &'static str,
    href: String,
    current: bool,
}

struct Bar {
    kind: &'static str,
    x: usize,
    y: i64,
    h: i64,
}

struct Card {
    id: i64,
    title: String,
    href: String,
    severity: &'static str,
    state: &'static str,
    state_text: &'static str,
    count: String,
    receiver: String,
    since: String,
    since_text: String,
    chips: Vec<Chip>,
    links: Vec<Link>,
    alerts: Vec<Item>,
    hidden: i64,
}

pub(super) async fn show(
    context: Context,
    State(api): State<Api>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let t = context.t;
    let searching = asked.q.len() + asked.state.len() + asked.from.len() + asked.to.len() > 0;
    let (filter, problem) = match asked.filter() {
        Ok(filter) => (Some(filter), String::new()),
        Err(problem) => (None, problem.text),
    };
    let to = filter.as_ref().and_then(|f| f.to).unwrap_or_else(Nanos::now);
    let from = filter.as_ref().and_then(|f| f.from).unwrap_or_else(|| to.before(Duration::from_hours(24)));
    let offset = if searching { 0 } else { asked.before.unwrap_or(0).clamp(0, 1_000_000) };
    let (now, slots, found, cards) = api
        .store
        .read(move |db| {
            let (mut found, mut cards) = (None, Vec::new());
            if searching {
                found = filter.map(|f| alerts::find(db, &f)).transpose()?;
            } else {
                for group in groups::list(db, false, GROUPS, offset)? {
                    let present = if group.firing > 0 { 1 } else { 2 };
                    let members = alerts::members(db, group.id, present, SHOWN)?;
                    cards.push((group, members));
                }
            }
            Ok((stats::now(db)?, stats::over_time(db, from, to)?, found, cards))
        })
        .await?;
    let full = cards.len() as i64 == GROUPS;
    let next = found.as_ref().and_then(|f| f.next);
    let found = found.map(|f| f.alerts).unwrap_or_default();
    let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or("127.0.0.1:5000");
    let older = match next {
        Some(id) => address(&asked, &[("before", &id.to_string())]),
        None if full => format!("/?before={}", offset + GROUPS),
        None => String::new(),
    };
    Ok(page(&Home {
        counts: counts(&now, &asked, t),
        ranges: ranges(&asked, t),
        slots: json!(slots.iter().map(|s| (s.start.0 / 1_000_000_000, s.new, s.resolved, s.stale)).collect::<Vec<_>>())
            .to_string(),
        bars: bars(&slots),
        groups: cards.iter().map(|(group, members)| Card::of(group, members, t)).collect(),
        alerts: found.iter().map(|a| Item::of(a, t, &asked.q)).collect(),
        problem,
        empty: !searching && now.last_delivery.is_none(),
        searching,
        curl: curl(host),
        yaml: format!(
            "receivers:\n  - name: sink\n    webhook_configs:\n      - url: http://{host}/alerts\n        send_resolved: true\n"
        ),
        newest: if asked.before.is_some() { address(&asked, &[("before", "")]) } else { String::new() },
        older,
        q: asked.q,
        state: asked.state,
        from: asked.from,
        to: asked.to,
        c: context.at("/", asked.before.is_none()),
    }))
}

/// This page's address with some values changed; empty ones are left out.
fn address(asked: &Asked, changed: &[(&str, &str)]) -> String {
    let before = asked.before.map(|b| b.to_string()).unwrap_or_default();
    let values = [
        ("state", asked.state.as_str()),
        ("q", &asked.q),
        ("from", &asked.from),
        ("to", &asked.to),
        ("before", &before),
    ];
    let mut out = String::from("/");
    for (name, value) in values {
        let value = changed.iter().find(|(n, _)| *n == name).map_or(value, |(_, v)| v);
        if !value.is_empty() {
            out.push(if out.len() == 1 { '?' } else { '&' });
            out.extend([name, "=", &encode(value)]);
        }
    }
    out
}

fn counts(now: &stats::Now, asked: &Asked, t: &super::Words) -> Vec<Count> {
    let state = |state: &str| address(asked, &[("state", state), ("before", "")]);
    let mut counts = vec![Count {
        n: now.total(),
        text: t.firing.to_owned(),
        href: state("firing"),
        current: asked.state == "firing",
        help: "",
    }];
    for (rank, n) in now.firing.iter().rev() {
        let name = severity_name(*rank);
        let q = format!("severity=\"{name}\"");
        counts.push(Count {
            n: *n,
            text: name.to_owned(),
            current: asked.q == q,
            href: format!("/?state=firing&q={}", encode(&q)),
            help: "",
        });
    }
    counts.push(Count {
        n: now.stale,
        text: t.stale.to_owned(),
        href: state("stale"),
        current: asked.state == "stale",
        help: t.stale_help,
    });
    counts.push(Count {
        n: now.resolved_today,
        text: t.resolved_today.to_owned(),
        href: state("resolved"),
        current: asked.state == "resolved",
        help: "",
    });
    counts
}

fn ranges(asked: &Asked, t: &super::Words) -> Vec<Range> {
    let now = Nanos::now();
    let mut ranges = vec![Range {
        text: t.any_time,
        href: address(asked, &[("from", ""), ("to", ""), ("before", "")]),
        current: asked.from.is_empty() && asked.to.is_empty(),
    }];
    for (text, hours) in [(t.last_hour, 1), (t.last_day, 24), (t.last_week, 168)] {
        let from = now.before(Duration::from_hours(hours)).rfc3339_seconds();
        ranges.push(Range {
            text,
            href: address(asked, &[("from", &from), ("to", ""), ("before", "")]),
            current: false,
        });
    }
    ranges
}

/// The chart for readers without script: stacked, at most 70 high.
fn bars(slots: &[stats::Slot]) -> Vec<Vec<Bar>> {
    let highest = slots.iter().map(|s| s.new + s.resolved + s.stale).max().unwrap_or(0).max(1);
    slots
        .iter()
        .enumerate()
        .map(|(i, slot)| {
            let mut top = 70;
            let kinds = [("new", slot.new), ("resolved", slot.resolved), ("stale", slot.stale)];
            let seen = kinds.into_iter().filter(|(_, n)| *n > 0);
            seen.map(|(kind, n)| {
                let h = (n * 66 / highest).max(2);
                top -= h;
                Bar { kind, x: i * 4, y: top, h }
            })
            .collect()
        })
        .collect()
}

impl Card {
    fn of(group: &Group, members: &[Alert], t: &'static super::Words) -> Self {
        let firing = group.firing > 0;
        let count = if firing { group.firing } else { group.stale };
        let shown = members.len() as i64;
        let name = label(&group.common_labels, "alertname").unwrap_or_default();
        let mut title = item::title(name, &group.common_annotations);
        if title.is_empty() {
            let labels: Vec<String> =
                group.labels.iter().map(|(n, v)| format!("{n}={}", v.as_str().unwrap_or_default())).collect();
            title = if labels.is_empty() { group.receiver.clone() } else { labels.join(" ") };
        }
        // Every alert of the group carries the labels it is grouped by.
        let search: Vec<String> = item::chips(&group.labels, "").into_iter().map(|c| c.with).collect();
        let all = search.iter().filter_map(|s| s.strip_prefix("/?q=")).collect::<Vec<_>>().join("%20");
        let generator = members.first().map_or("", |a| a.generator_url.as_str());
        let mut text = format!("{count}{}", if count == 1 { t.alert_count } else { t.alerts_count });
        if group.truncated > 0 {
            text = format!("{text} + {}{}", group.truncated, t.cut_off);
        }
        Self {
            id: group.id,
            title,
            href: format!("/?state={}&q={all}", if firing { "firing" } else { "stale" }),
            severity: severity_name(group.severity),
            state: if firing { "firing" } else { "stale" },
            state_text: if firing { t.firing } else { t.stale },
            count: text,
            receiver: group.receiver.clone(),
            since: group.since.rfc3339_seconds(),
            since_text: item::ago(group.since, t),
            chips: item::chips(&group.common_labels, ""),
            links: item::links(&group.labels, &group.common_annotations, generator, &group.external_url, t),
            alerts: members.iter().map(|a| Item::of(a, t, "")).collect(),
            hidden: count - shown,
        }
    }
}

fn curl(host: &str) -> String {
    let now = Nanos::now().rfc3339_seconds();
    format!(
        r#"curl http://{host}/alerts -H 'Content-Type: application/json' -d '{{
  "version": "4", "receiver": "try", "status": "firing", "groupKey": "{{}}:{{alertname=\"Hello\"}}",
  "groupLabels": {{"alertname": "Hello"}}, "commonLabels": {{"alertname": "Hello", "severity": "info"}},
  "commonAnnotations": {{"summary": "the first alert"}}, "externalURL": "http://127.0.0.1:9093",
  "alerts": [{{"status": "firing", "labels": {{"alertname": "Hello", "severity": "info"}},
    "annotations": {{"summary": "the first alert"}}, "startsAt": "{now}", "endsAt": "0001-01-01T00:00:00Z"}}]}}'"#
    )
}

/// Groups on a page, and alerts shown of each.
const GROUPS: i64 = 50;
const SHOWN: i64 = 8;
