//! Alertmanager's event recorder: what happened to each alert inside Alertmanager.
//!
//! It tells what the webhook never does: that an alert was silenced or inhibited, and that one which had vanished so has
//! ended. Events come in no strict order, and some never (a full queue drops them), so they only add to what is known.

use serde::Deserialize;

use super::{EpisodeState, follow_members};
use crate::clock::Nanos;
use crate::message::Text;
use crate::store::sql::{Connection, StoreError, args};

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "@timestamp")]
    at: Text<'a>,
    data: Data<'a>,
}

/// One of these; what is told of no alert is passed over.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data<'a> {
    #[serde(borrow)]
    alert_created: Option<Created<'a>>,
    alert_grouped: Option<Grouped<'a>>,
    alert_resolved: Option<Grouped<'a>>,
    notification: Option<Notification<'a>>,
    silence_muted_alert: Option<Silenced<'a>>,
    inhibition_muted_alert: Option<Inhibited<'a>>,
}

#[derive(Deserialize)]
struct Created<'a> {
    #[serde(borrow)]
    alert: Alert<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grouped<'a> {
    #[serde(borrow)]
    alert: Member<'a>,
    #[serde(default)]
    group_info: Group<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification<'a> {
    #[serde(borrow, default)]
    alerts: Vec<Member<'a>>,
    #[serde(default)]
    group_info: Group<'a>,
    #[serde(default)]
    reason: Text<'a>,
    #[serde(default)]
    integration: Integration<'a>,
}

#[derive(Deserialize)]
struct Member<'a> {
    #[serde(borrow, default)]
    details: Option<Alert<'a>>,
}

/// The fingerprint is a number here; in messages it is the same in hexadecimal.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow)]
    fingerprint: Text<'a>,
    #[serde(default)]
    starts_at: Text<'a>,
    #[serde(default)]
    ends_at: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Group<'a> {
    #[serde(borrow)]
    receiver_name: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Integration<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Silenced<'a> {
    #[serde(borrow, default)]
    silence: Silence<'a>,
    muted_alert: Muted<'a>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Silence<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    created_by: Text<'a>,
    comment: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inhibited<'a> {
    #[serde(borrow)]
    muted_alert: Muted<'a>,
    #[serde(default)]
    inhibiting_fingerprints: Vec<Text<'a>>,
}

#[derive(Deserialize)]
struct Muted<'a> {
    #[serde(borrow)]
    fingerprint: Text<'a>,
}

/// What is kept of an event.
struct Seen {
    delivery: i64,
    at: Nanos,
    kind: &'static str,
    fingerprint: String,
    by: String,
    detail: String,
}

/// Applies a body; one that is no event of the recorder stays raw, and that is no error.
pub(super) fn apply(db: &mut dyn Connection, delivery: i64, received: Nanos, body: &[u8]) -> Result<(), StoreError> {
    let events = match read(body) {
        Ok(events) => events,
        Err(e) => {
            tracing::debug!(delivery, error = %e, "what came to /events is no event of Alertmanager's; it stays raw");
            return Ok(());
        }
    };
    for event in &events {
        let at = Nanos::parse(&event.at.0).unwrap_or(received);
        one(db, delivery, at, &event.data)?;
    }
    Ok(())
}

/// One event, or an array of them.
fn read(body: &[u8]) -> Result<Vec<Event<'_>>, serde_json::Error> {
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'[') => serde_json::from_slice(body),
        _ => serde_json::from_slice(body).map(|event| vec![event]),
    }
}

fn one(db: &mut dyn Connection, delivery: i64, at: Nanos, data: &Data<'_>) -> Result<(), StoreError> {
    let seen = |kind, fingerprint: &Text<'_>, by: &str, detail: &str| {
        let clip = |text: &str| text.chars().take(TEXT_MAX).collect::<String>();
        let fingerprint = format!("{:016x}", fingerprint.0.parse::<u64>().unwrap_or(0));
        Seen { delivery, at, kind, fingerprint, by: clip(by), detail: clip(detail) }
    };
    if let Some(Created { alert }) = &data.alert_created {
        keep(db, &seen("created", &alert.fingerprint, "", ""))?;
    }
    if let Some(Grouped { alert: Member { details: Some(alert) }, group_info }) = &data.alert_grouped {
        keep(db, &seen("grouped", &alert.fingerprint, &group_info.receiver_name.0, ""))?;
    }
    if let Some(Grouped { alert: Member { details: Some(alert) }, group_info }) = &data.alert_resolved {
        let event = seen("resolved", &alert.fingerprint, &group_info.receiver_name.0, "");
        keep(db, &event)?;
        ended(db, &event, alert)?;
    }
    if let Some(n) = &data.notification {
        let by = format!("{} {}", n.group_info.receiver_name.0, n.integration.name.0);
        let reason = n.reason.0.trim_start_matches("NOTIFY_REASON_").replace('_', " ").to_lowercase();
        for alert in n.alerts.iter().filter_map(|a| a.details.as_ref()) {
            keep(db, &seen("notified", &alert.fingerprint, &by, &reason))?;
        }
    }
    if let Some(Silenced { silence, muted_alert }) = &data.silence_muted_alert {
        let detail = format!("{}: {}", silence.created_by.0, silence.comment.0);
        let event = seen("silenced", &muted_alert.fingerprint, &silence.id.0, &detail);
        keep(db, &event)?;
        muted(db, &event)?;
    }
    if let Some(Inhibited { muted_alert, inhibiting_fingerprints }) = &data.inhibition_muted_alert {
        let by: Vec<String> = inhibiting_fingerprints
            .iter()
            .take(SOURCES)
            .map(|f| format!("{:016x}", f.0.parse::<u64>().unwrap_or(0)))
            .collect();
        let by = by.join(" ");
        let event = seen("inhibited", &muted_alert.fingerprint, &by, "");
        keep(db, &event)?;
        muted(db, &event)?;
    }
    Ok(())
}

/// A silence is told of at each evaluation: its row only gets a newer end.
fn keep(db: &mut dyn Connection, event: &Seen) -> Result<(), StoreError> {
    if matches!(event.kind, "silenced" | "inhibited") {
        let longer = db.execute(
            "UPDATE events SET times = times + 1, last_delivery = ?5,
               first_ns = CASE WHEN first_ns > ?4 THEN ?4 ELSE first_ns END,
               last_ns = CASE WHEN last_ns < ?4 THEN ?4 ELSE last_ns END
             WHERE id = (SELECT max(id) FROM events WHERE fingerprint = ?1) AND kind = ?2 AND by_what = ?3",
            args![&event.fingerprint, event.kind, &event.by, event.at.0, event.delivery],
        )?;
        if longer > 0 {
            return Ok(());
        }
    }
    db.execute(
        "INSERT INTO events (fingerprint, kind, by_what, detail, first_ns, last_ns, times, last_delivery)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, 1, ?6)",
        args![&event.fingerprint, event.kind, &event.by, &event.detail, event.at.0, event.delivery],
    )
    .map(drop)
}

/// An alert that fires here and is muted there will not be told of again: it is stale, and it is known why.
fn muted(db: &mut dyn Connection, event: &Seen) -> Result<(), StoreError> {
    let newest = db.first(
        "SELECT id, state, last_ns FROM episodes WHERE fingerprint = ?1 ORDER BY starts_ns DESC LIMIT 1",
        args![&event.fingerprint],
        |row| Ok((row.int(0)?, EpisodeState::of(row.int(1)?), Nanos(row.int(2)?))),
    )?;
    let Some((id, state, last)) = newest else { return Ok(()) };
    // A message that came after the event knows better.
    if state == EpisodeState::Resolved || last > event.at {
        return Ok(());
    }
    if state == EpisodeState::Firing {
        db.execute("UPDATE episodes SET state = 2, changed_ns = ?2 WHERE id = ?1", args![id, event.at.0])?;
        follow_members(db, id, EpisodeState::Stale, event.at)?;
    }
    say(db, id, event.kind, event)
}

/// The end of an alert that had vanished: no message tells of it.
fn ended(db: &mut dyn Connection, event: &Seen, alert: &Alert<'_>) -> Result<(), StoreError> {
    let Some(starts) = Nanos::parse(&alert.starts_at.0) else { return Ok(()) };
    let stale = db.int(
        "SELECT id FROM episodes WHERE fingerprint = ?1 AND starts_ns = ?2 AND state = 2",
        args![&event.fingerprint, starts.0],
    )?;
    let Some(id) = stale else { return Ok(()) };
    let ends = Nanos::parse(&alert.ends_at.0).unwrap_or(event.at);
    db.execute(
        "UPDATE episodes SET state = 1, ends_ns = ?2, changed_ns = ?3 WHERE id = ?1",
        args![id, ends.0, event.at.0],
    )?;
    follow_members(db, id, EpisodeState::Resolved, event.at)?;
    say(db, id, "ended", event)
}

/// Where reconciliation with Alertmanager's API writes as well.
fn say(db: &mut dyn Connection, episode: i64, verdict: &str, event: &Seen) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO checks (episode_id, verdict, by_what, at_ns) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (episode_id) DO UPDATE SET verdict = excluded.verdict, by_what = excluded.by_what, at_ns = excluded.at_ns",
        args![episode, verdict, &event.by, event.at.0],
    )
    .map(drop)
}

/// Sources of an inhibition that are kept, and characters of a text.
const SOURCES: usize = 4;
const TEXT_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read_and_strangers_are_passed_over() {
        let one = r#"{"@timestamp":"2026-11-22T19:20:58.28Z","instance":"vm","data":{"silenceMutedAlert":{"silence":{"id":"s","comment":"c \u0000"},"mutedAlert":{"labels":{},"fingerprint":"4321384694160428716"}}}}"#;
        let many = format!("[{one}, {{\"@timestamp\":\"x\",\"data\":{{\"somethingNew\":{{}}}}}}]");
        let mut events = read(one.as_bytes()).expect("one event");
        let event = events.remove(0);
        assert_eq!(event.data.silence_muted_alert.expect("silenced").silence.comment.0, "c \0");
        let events = read(many.as_bytes()).expect("many events");
        assert_eq!(events.len(), 2);
        assert!(events[1].data.silence_muted_alert.is_none());
        assert!(read(b"[1]").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
