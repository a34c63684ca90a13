//! Episodes of alerts: lists, and the history of one.

use serde_json::{Map, Value, json};

use super::{label, object};
use crate::clock::Nanos;
use crate::index::search::{self, Wanted};
use crate::index::{EpisodeState, severity_name};
use crate::matcher::Matcher;
use crate::store::sql::{Arg, Connection, Dialect, Row, StoreError, args};

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

/// Looks through the index. What no index can answer is tried row by row, on at most [`SCAN`] rows a page: the cursor goes
/// on from there, so that a page may come empty and still not be the last.
pub(crate) fn find(db: &mut dyn Connection, filter: &Filter) -> Result<Found, StoreError> {
    let mut before = filter.before.unwrap_or(i64::MAX);
    if let Some(to) = filter.to {
        let newest =
            db.int("SELECT id FROM episodes WHERE first_ns <= ?1 ORDER BY first_ns DESC LIMIT 1", args![to.0])?;
        before = before.min(newest.map_or(0, |id| id + 1));
    }
    let newest = db.int("SELECT max(id) FROM episodes", &[])?.unwrap_or(0);
    let query = Query::of(db.dialect(), filter);
    let start = before.min(newest + 1);
    let mut search = Search {
        before: start,
        // Where rows may have to be passed over without end, a page does not go below this.
        floor: if query.sparse { start.saturating_sub(SCAN as i64) } else { i64::MIN },
        scanned: 0,
        found: Found { alerts: Vec::new(), next: None },
    };
    loop {
        // A search is put to one part of the episodes after the other.
        let part = if query.parted() { search::part(search.before - 1) } else { 0 };
        if search.look(db, filter, &query, part)? {
            return Ok(search.found);
        }
        if !query.parted() || part <= 0 {
            search.found.next = (search.floor > 1).then_some(search.floor);
            return Ok(search.found);
        }
        search.before = part << search::PART_BITS;
        if search.before <= search.floor {
            search.found.next = Some(search.before);
            return Ok(search.found);
        }
    }
}

/// A search under way.
struct Search {
    before: i64,
    floor: i64,
    scanned: usize,
    found: Found,
}

impl Search {
    /// Looks from `before` down, and moves it along. True when the page is done and says what is next.
    fn look(&mut self, db: &mut dyn Connection, filter: &Filter, query: &Query, part: i64) -> Result<bool, StoreError> {
        let words = query.wanted.as_ref().map(|w| w.argument(query.dialect, part)).unwrap_or_default();
        loop {
            let mut given = vec![Arg::Int(self.before), Arg::Int(self.floor), Arg::Int(query.since)];
            if query.wanted.is_some() {
                given.push(Arg::Text(&words));
            }
            let (mut rows, mut full, mut last) = (0, false, self.before);
            let alerts = &mut self.found.alerts;
            db.query(&query.sql, &given, &mut |row| {
                rows += 1;
                if full || alerts.len() >= filter.limit {
                    full = true;
                    return Ok(());
                }
                last = row.int(0)?;
                let labels = object(&row.text(9)?);
                if filter.matchers.iter().all(|m| m.matches(|name| label(&labels, name))) {
                    alerts.push(make(row)?);
                }
                Ok(())
            })?;
            self.before = last;
            self.scanned += rows;
            if full || (rows == query.limit && self.scanned >= SCAN) {
                self.found.next = Some(last);
                return Ok(true);
            }
            if rows < query.limit {
                return Ok(false);
            }
        }
    }
}

/// The statement that a filter makes, without where to begin.
struct Query {
    sql: String,
    dialect: Dialect,
    wanted: Option<Wanted>,
    since: i64,
    /// Rows may have to be passed over without end.
    sparse: bool,
    limit: usize,
}

impl Query {
    fn of(dialect: Dialect, filter: &Filter) -> Self {
        // An exact value is among the words that are indexed, so the search narrows it down first.
        let exact: Vec<&str> = filter.matchers.iter().filter_map(Matcher::exact).collect();
        let wanted = Wanted::of(&filter.words, &exact.join(" "));
        let key = if wanted.is_some() { format!("s.{}", search::key(dialect)) } else { "e.id".to_owned() };
        // SQLite keeps the order of a cross join: the search gives its rows newest first, and the first page ends it.
        let join = if dialect == Dialect::Sqlite { "CROSS JOIN" } else { "JOIN" };
        let (from, condition) = match &wanted {
            Some(_) => (
                format!("search s {join} episodes e ON e.id = {key}"),
                format!(" AND {}", Wanted::condition(dialect, 4)),
            ),
            None => ("episodes e".into(), String::new()),
        };
        let list: Vec<String> = filter.states.iter().map(|s| (*s as i64).to_string()).collect();
        let most = filter.states.is_empty() || filter.states.contains(&EpisodeState::Resolved);
        let states = match (list.is_empty(), most || wanted.is_some()) {
            (true, _) => String::new(),
            // Most alerts are resolved: the index of states would only have to be sorted. The plus keeps it out.
            (false, true) => format!(" AND +e.state IN ({})", list.join(", ")),
            (false, false) => format!(" AND e.state IN ({})", list.join(", ")),
        };
        let sparse =
            if wanted.is_some() { filter.from.is_some() || !list.is_empty() } else { filter.from.is_some() && most };
        let limit = if filter.matchers.is_empty() { filter.limit + 1 } else { PAGE };
        let sql = format!(
            "SELECT {COLUMNS} FROM {from} WHERE {key} < ?1 AND {key} >= ?2 AND e.last_ns >= ?3{condition}{states}
             ORDER BY {key} DESC LIMIT {limit}"
        );
        Self { sql, dialect, wanted, since: filter.from.map_or(i64::MIN, |n| n.0), sparse, limit }
    }

    fn parted(&self) -> bool {
        self.wanted.is_some() && self.dialect == Dialect::Sqlite
    }
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

/// Rows looked at for one page, and at a time.
const SCAN: usize = 20_000;
const PAGE: usize = 1000;
