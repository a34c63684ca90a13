//! Episodes of alerts: lists, and the history of one.

use serde_json::{Map, Value, json};

use super::{label, object};
use crate::clock::Nanos;
use crate::index::{EpisodeState, search, severity_name};
use crate::matcher::Matcher;
use crate::store::sql::{Arg, Connection, Row, StoreError, args};

/// One episode as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) id: i64,
    pub(crate) fingerprint: String,
    pub(crate) state: EpisodeState,
    pub(crate) severity: i64,
    pub(crate) starts: Nanos,
    pub(crate) starts_raw: String,
    pub(crate) ends: Option<Nanos>,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    pub(crate) labels: Map<String, Value>,
    pub(crate) annotations: Map<String, Value>,
    pub(crate) generator_url: String,
    pub(crate) external_url: String,
    pub(crate) last_delivery: i64,
}

/// What is looked for, newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) states: Vec<EpisodeState>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) words: String,
    pub(crate) from: Option<Nanos>,
    pub(crate) to: Option<Nanos>,
    /// Ids below this one: where the last page ended.
    pub(crate) before: Option<i64>,
    pub(crate) limit: usize,
}

/// A page of alerts, and where the next one begins.
pub(crate) struct Found {
    pub(crate) alerts: Vec<Alert>,
    pub(crate) next: Option<i64>,
}

const COLUMNS: &str =
    "e.id, e.fingerprint, e.state, e.severity, e.starts_ns, e.starts_raw, e.ends_ns, e.first_ns, e.last_ns,
  e.labels, e.annotations, e.generator_url, e.external_url, e.last_delivery";

fn make(row: &dyn Row) -> Result<Alert, StoreError> {
    Ok(Alert {
        id: row.int(0)?,
        fingerprint: row.text(1)?,
        state: EpisodeState::of(row.int(2)?),
        severity: row.int(3)?,
        starts: Nanos(row.int(4)?),
        starts_raw: row.text(5)?,
        ends: row.opt_int(6)?.map(Nanos),
        first: Nanos(row.int(7)?),
        last: Nanos(row.int(8)?),
        labels: object(&row.text(9)?),
        annotations: object(&row.text(10)?),
        generator_url: row.text(11)?,
        external_url: row.text(12)?,
        last_delivery: row.int(13)?,
    })
}

/// Looks through the index. Matchers are tried in memory, on at most [`SCAN`] rows a page: the cursor goes on from there.
pub(crate) fn find(db: &mut dyn Connection, filter: &Filter) -> Result<Found, StoreError> {
    let mut words = filter.words.clone();
    // An exact value is among the words that are indexed, so the search narrows it down first.
    for value in filter.matchers.iter().filter_map(Matcher::exact) {
        words.push(' ');
        words.push_str(value);
    }
    let mut before = filter.before.unwrap_or(i64::MAX);
    if let Some(to) = filter.to {
        let newest =
            db.int("SELECT id FROM episodes WHERE first_ns <= ?1 ORDER BY first_ns DESC LIMIT 1", args![to.0])?;
        before = before.min(newest.map_or(0, |id| id + 1));
    }
    let search = search::condition(3, &words);
    let from = match &search {
        // In this order the search gives its rows newest first, and the first page ends it.
        Some(_) => "search s CROSS JOIN episodes e ON e.id = s.rowid",
        None => "episodes e",
    };
    let key = if search.is_some() { "s.rowid" } else { "e.id" };
    let states = match filter.states.as_slice() {
        [] => String::new(),
        many => {
            let list: Vec<String> = many.iter().map(|s| (*s as i64).to_string()).collect();
            format!(" AND e.state IN ({})", list.join(", "))
        }
    };
    let (condition, text) = search.map_or((String::new(), String::new()), |(c, t)| (format!(" AND {c}"), t));
    let sql = format!(
        "SELECT {COLUMNS} FROM {from} WHERE {key} < ?1{condition}{states} AND e.last_ns >= ?2 ORDER BY {key} DESC LIMIT {SCAN}"
    );
    let since = filter.from.map_or(i64::MIN, |n| n.0);
    let mut given = vec![Arg::Int(before), Arg::Int(since)];
    if !text.is_empty() {
        given.push(Arg::Text(&text));
    }
    let (mut alerts, mut scanned, mut last, mut full) = (Vec::new(), 0_usize, None, false);
    let done = db.query(&sql, &given, &mut |row| {
        if alerts.len() >= filter.limit {
            full = true;
            return Err(StoreError::Absent("more"));
        }
        scanned += 1;
        last = Some(row.int(0)?);
        if filter.matchers.is_empty() {
            alerts.push(make(row)?);
            return Ok(());
        }
        let labels = object(&row.text(9)?);
        if filter.matchers.iter().all(|m| m.matches(|name| label(&labels, name))) {
            alerts.push(make(row)?);
        }
        Ok(())
    });
    match done {
        Err(StoreError::Absent("more")) | Ok(()) => {}
        Err(e) => return Err(e),
    }
    let next = if full || scanned == SCAN { last } else { None };
    Ok(Found { alerts, next })
}

/// All episodes of one alert, newest first.
pub(crate) fn episodes(db: &mut dyn Connection, fingerprint: &str, limit: i64) -> Result<Vec<Alert>, StoreError> {
    db.all(
        &format!("SELECT {COLUMNS} FROM episodes e WHERE e.fingerprint = ?1 ORDER BY e.starts_ns DESC LIMIT ?2"),
        args![fingerprint, limit],
        make,
    )
}

/// Alerts of a group that fire (`present` 1) or went stale in it (2), worst and newest first.
pub(crate) fn members(db: &mut dyn Connection, group: i64, present: i64, limit: i64) -> Result<Vec<Alert>, StoreError> {
    db.all(
        &format!(
            "SELECT {COLUMNS} FROM members m JOIN episodes e ON e.id = m.episode_id WHERE m.group_id = ?1 AND m.present = ?2
             ORDER BY e.severity DESC, e.starts_ns DESC LIMIT ?3"
        ),
        args![group, present, limit],
        make,
    )
}

/// A delivery that showed an episode.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) delivery: i64,
    pub(crate) received: Nanos,
    pub(crate) resolved: bool,
    pub(crate) kind: String,
    pub(crate) receiver: String,
    pub(crate) group: i64,
}

/// The newest deliveries that showed an episode.
pub(crate) fn touches(db: &mut dyn Connection, episode: i64, limit: i64) -> Result<Vec<Touch>, StoreError> {
    db.all(
        "SELECT t.delivery_id, m.received_ns, t.status, m.kind, g.name, g.id FROM touches t
         JOIN messages m ON m.delivery_id = t.delivery_id JOIN groups g ON g.id = m.group_id
         WHERE t.episode_id = ?1 ORDER BY t.delivery_id DESC LIMIT ?2",
        args![episode, limit],
        |row| {
            Ok(Touch {
                delivery: row.int(0)?,
                received: Nanos(row.int(1)?),
                resolved: row.int(2)? == 1,
                kind: row.text(3)?,
                receiver: row.text(4)?,
                group: row.int(5)?,
            })
        },
    )
}

impl Alert {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        label(&self.labels, name)
    }

    pub(crate) fn name(&self) -> &str {
        self.label("alertname").unwrap_or("(no alertname)")
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id, "fingerprint": self.fingerprint, "state": self.state.name(),
            "severity": severity_name(self.severity), "labels": self.labels, "annotations": self.annotations,
            "starts_at": self.starts.rfc3339(), "starts_at_raw": self.starts_raw,
            "ends_at": self.ends.map(Nanos::rfc3339), "first_received": self.first.rfc3339(),
            "last_received": self.last.rfc3339(), "generator_url": self.generator_url,
            "external_url": self.external_url, "last_delivery": self.last_delivery,
        })
    }
}

/// Rows looked at for one page.
const SCAN: usize = 20_000;
