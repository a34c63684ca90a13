//! What Alertmanager's event recorder told of an alert, which may be all that is known of it.

use serde_json::{Map, Value};

use super::{label, object};
use crate::clock::Nanos;
use crate::store::sql::{Connection, StoreError, args};

/// One thing that happened, or the same thing many times.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) kind: String,
    /// The receiver, the silence or the alerts that inhibit.
    pub(crate) by: String,
    pub(crate) detail: String,
    pub(crate) first: Nanos,
    pub(crate) last: Nanos,
    pub(crate) times: i64,
    pub(crate) delivery: i64,
}

/// What an alert is, as an event describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Described {
    pub(crate) fingerprint: String,
    pub(crate) labels: Map<String, Value>,
    pub(crate) annotations: Map<String, Value>,
}

/// The newest events of an alert.
pub(crate) fn events(db: &mut dyn Connection, fingerprint: &str, limit: i64) -> Result<Vec<Event>, StoreError> {
    db.all(
        "SELECT kind, by_what, detail, first_ns, last_ns, times, last_delivery FROM events
         WHERE fingerprint = ?1 ORDER BY id DESC LIMIT ?2",
        args![fingerprint, limit],
        |row| {
            Ok(Event {
                kind: row.text(0)?,
                by: row.text(1)?,
                detail: row.text(2)?,
                first: Nanos(row.int(3)?),
                last: Nanos(row.int(4)?),
                times: row.int(5)?,
                delivery: row.int(6)?,
            })
        },
    )
}

/// What an alert is: of its newest episode or, where no message ever told of it (one that was silenced from its start),
/// of its events.
pub(crate) fn describe(
    db: &mut dyn Connection,
    fingerprint: &str,
    events: &[Event],
) -> Result<Option<Described>, StoreError> {
    let shown = db.first(
        "SELECT labels, annotations FROM episodes WHERE fingerprint = ?1 ORDER BY starts_ns DESC LIMIT 1",
        args![fingerprint],
        |row| {
            let (labels, annotations) = (object(&row.text(0)?), object(&row.text(1)?));
            Ok(Described { fingerprint: fingerprint.to_owned(), labels, annotations })
        },
    )?;
    if shown.is_some() || events.is_empty() {
        return Ok(shown);
    }
    let mut known = Described { fingerprint: fingerprint.to_owned(), ..Described::default() };
    let mut looked: Vec<i64> = Vec::new();
    for event in events {
        if looked.len() >= LOOKS || looked.contains(&event.delivery) {
            continue;
        }
        looked.push(event.delivery);
        for found in told(db, event.delivery)?.into_iter().filter(|d| d.fingerprint == fingerprint) {
            // A silence tells the labels alone; what the alert says of itself came when it was created.
            if known.labels.is_empty() {
                known.labels = found.labels;
            }
            if known.annotations.is_empty() {
                known.annotations = found.annotations;
            }
        }
        if !known.labels.is_empty() && !known.annotations.is_empty() {
            break;
        }
    }
    Ok(Some(known))
}

/// The alerts that a delivery of the recorder tells of.
pub(crate) fn told(db: &mut dyn Connection, delivery: i64) -> Result<Vec<Described>, StoreError> {
    let mut found = Vec::new();
    db.query("SELECT body FROM deliveries WHERE id = ?1 AND kind = 'events'", args![delivery], &mut |row| {
        row.blob(0, &mut |body| {
            if let Ok(value) = serde_json::from_slice(body) {
                gather(&value, &mut found);
            }
        })
    })?;
    Ok(found)
}

/// Every object that has a fingerprint, wherever it stands: kinds of events differ in that, and new ones are added.
fn gather(value: &Value, found: &mut Vec<Described>) {
    match value {
        Value::Array(list) => list.iter().for_each(|v| gather(v, found)),
        Value::Object(map) => {
            if let Some(number) = label(map, "fingerprint").and_then(|f| f.parse::<u64>().ok()) {
                let fingerprint = format!("{number:016x}");
                if found.len() < ALERTS && found.iter().all(|d| d.fingerprint != fingerprint) {
                    let pairs = |name: &str| map.get(name).map(pairs).unwrap_or_default();
                    found.push(Described { fingerprint, labels: pairs("labels"), annotations: pairs("annotations") });
                }
            }
            map.values().for_each(|v| gather(v, found));
        }
        _ => {}
    }
}

/// `{"labels": [{"key": …, "value": …}]}` as a plain object.
fn pairs(value: &Value) -> Map<String, Value> {
    let list = value.get("labels").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter_map(|pair| Some((pair.get("key")?.as_str()?, pair.get("value")?.as_str()?)))
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// Bodies read to find out what an alert is; the one of its creation is as old as it.
const LOOKS: usize = 20;
/// Alerts of one delivery.
const ALERTS: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_found_in_every_kind_of_event() {
        let body = r#"[
            {"data":{"silenceMutedAlert":{"silence":{"id":"s"},"mutedAlert":{"labels":{"labels":[
              {"key":"alertname","value":"Real"},{"key":7}]},"fingerprint":"4109270082638500726"}}}},
            {"data":{"alertGrouped":{"alert":{"hash":"1","details":{"fingerprint":"1","labels":{},
              "annotations":{"labels":[{"key":"summary","value":"디스크"}]}}}}}},
            {"data":{"notification":{"alerts":[{"details":{"fingerprint":"1"}},{"details":{"fingerprint":"x"}}]}}}]"#;
        let mut found = Vec::new();
        gather(&serde_json::from_str(body).expect("JSON"), &mut found);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].fingerprint, "39070f5e49ced376");
        assert_eq!((label(&found[0].labels, "alertname"), found[0].labels.len()), (Some("Real"), 1));
        assert_eq!(label(&found[1].annotations, "summary"), Some("디스크"));
    }
}
