//! Numbers: how much fires, and counts over time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Nanos;
use crate::index::{SLOT, severity_name};
use crate::store::sql::{Connection, StoreError, args};

/// How things stand now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now {
    /// Firing episodes by severity rank.
    pub(crate) firing: BTreeMap<i64, i64>,
    pub(crate) stale: i64,
    pub(crate) resolved_today: i64,
    pub(crate) last_delivery: Option<Nanos>,
}

/// One slot of the counts over time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) start: Nanos,
    pub(crate) new: i64,
    pub(crate) resolved: i64,
    pub(crate) stale: i64,
    pub(crate) deliveries: i64,
}

pub(crate) fn now(db: &mut dyn Connection) -> Result<Now, StoreError> {
    let mut now = Now::default();
    let counts = db.all("SELECT severity, count(*) FROM episodes WHERE state = 0 GROUP BY severity", &[], |row| {
        Ok((row.int(0)?, row.int(1)?))
    })?;
    now.firing = counts.into_iter().collect();
    now.stale = db.int("SELECT count(*) FROM episodes WHERE state = 2", &[])?.unwrap_or(0);
    let day = Nanos::now().before(Duration::from_hours(24));
    now.resolved_today = db
        .int("SELECT CAST(sum(n) AS BIGINT) FROM counts WHERE what = 'resolved' AND slot_ns >= ?1", args![day.0])?
        .unwrap_or(0);
    now.last_delivery = db.int("SELECT received_ns FROM deliveries ORDER BY id DESC LIMIT 1", &[])?.map(Nanos);
    Ok(now)
}

/// Counts from `from` to `to` in at most [`SLOTS`] slots, empty ones included.
pub(crate) fn over_time(db: &mut dyn Connection, from: Nanos, to: Nanos) -> Result<Vec<Slot>, StoreError> {
    let base = SLOT.as_nanos() as i64;
    let span = to.0.saturating_sub(from.0).max(base);
    let width = (span / SLOTS as i64 / base + 1).saturating_mul(base);
    let first = from.0 - from.0.rem_euclid(base);
    let mut slots: Vec<Slot> = (0..SLOTS as i64)
        .map(|i| Slot { start: Nanos(first.saturating_add(i.saturating_mul(width))), ..Slot::default() })
        .take_while(|s| s.start < to)
        .collect();
    db.query(
        "SELECT slot_ns, what, n FROM counts WHERE slot_ns >= ?1 AND slot_ns < ?2",
        args![first, to.0],
        &mut |row| {
            let at = usize::try_from((row.int(0)? - first) / width).unwrap_or(0);
            let (what, n) = (row.text(1)?, row.int(2)?);
            if let Some(slot) = slots.get_mut(at) {
                match what.as_str() {
                    "new" => slot.new += n,
                    "resolved" => slot.resolved += n,
                    "stale" => slot.stale += n,
                    "deliveries" => slot.deliveries += n,
                    _ => {}
                }
            }
            Ok(())
        },
    )?;
    Ok(slots)
}

impl Now {
    pub(crate) fn total(&self) -> i64 {
        self.firing.values().sum()
    }

    pub(crate) fn json(&self) -> Value {
        let firing: serde_json::Map<String, Value> =
            self.firing.iter().map(|(rank, n)| (severity_name(*rank).to_owned(), (*n).into())).collect();
        json!({
            "firing": self.total(), "firing_by_severity": firing, "stale": self.stale,
            "resolved_last_day": self.resolved_today, "last_delivery": self.last_delivery.map(Nanos::rfc3339),
        })
    }
}

impl Slot {
    pub(crate) fn json(&self) -> Value {
        json!({
            "start": self.start.rfc3339(), "new": self.new, "resolved": self.resolved, "stale": self.stale,
            "deliveries": self.deliveries,
        })
    }
}

/// Slots of a chart.
const SLOTS: usize = 288;
