//! One message's effect on its group and on each alert in it.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::episode::{PEER_LATE, RETRY_LATE, TOLD_RETRY_LATE, severity, state_hash};
use super::{EpisodeState, search};
use crate::clock::Nanos;
use crate::message::{Alert, Message, Status};
use crate::store::sql::{Arg, Connection, StoreError, args};

/// What a message changed.
#[derive(Debug)]
pub(crate) struct Applied<'a> {
    pub(crate) delivery: i64,
    pub(crate) received: Nanos,
    pub(crate) message: &'a Message<'a>,
    pub(crate) group: i64,
    /// Counts how often the group began to fire; a notification thread belongs to one round.
    pub(crate) round: i64,
    pub(crate) kind: Novelty,
    /// Alerts that fire in the group now.
    pub(crate) firing: i64,
    /// Severity of each alert that began.
    pub(crate) opened: Vec<i64>,
    /// Seconds from start to end of each alert that this message resolved, by severity.
    pub(crate) resolved: Vec<(i64, f64)>,
    pub(crate) stale: usize,
}

/// What a message is beside those before it in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Novelty {
    First,
    Change,
    /// The same state after `repeat_interval`.
    Repeat,
    /// The same state from a peer, or sent again because its answer was lost.
    Duplicate,
}

impl Novelty {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Change => "change",
            Self::Repeat => "repeat",
            Self::Duplicate => "duplicate",
        }
    }
}

struct Group {
    id: i64,
    round: i64,
    firing: i64,
    since: i64,
    changed: i64,
}

/// Applies a message; the caller holds the transaction.
pub(super) fn apply<'a>(
    db: &mut dyn Connection,
    delivery: i64,
    received: Nanos,
    message: &'a Message<'a>,
) -> Result<Applied<'a>, StoreError> {
    let group = find_group(db, delivery, received, message)?;
    let fingerprints: Vec<String> = message.alerts.iter().map(Alert::fingerprint).collect();
    let hash = state_hash(message.alerts.iter().zip(&fingerprints).map(|(a, f)| (f.as_str(), a.starts(), a.status)));
    let (kind, late_peer) = novelty(db, &group, received, message, hash)?;
    let mut applied = Applied {
        delivery,
        received,
        message,
        group: group.id,
        round: group.round,
        kind,
        firing: 0,
        opened: Vec::new(),
        resolved: Vec::new(),
        stale: 0,
    };
    let mut seen = HashSet::with_capacity(message.alerts.len());
    for (alert, fingerprint) in message.alerts.iter().zip(&fingerprints) {
        seen.insert(show(db, &mut applied, alert, fingerprint)?);
    }
    // A group that is resolved has nothing firing left, cut off or not; a late peer's view may be older than ours.
    if !late_peer && (message.truncated_alerts == 0 || message.status == Status::Resolved) {
        let present =
            db.all("SELECT episode_id FROM members WHERE group_id = ?1 AND present = 1", args![group.id], |row| {
                row.int(0)
            })?;
        for episode in present.into_iter().filter(|e| !seen.contains(e)) {
            vanish(db, &mut applied, episode)?;
        }
    }
    keep_group(db, &mut applied, &group)?;
    let firing = message.alerts.iter().filter(|a| a.status == Status::Firing).count() as i64;
    db.execute(
        "INSERT INTO messages (delivery_id, group_id, kind, status, firing, resolved, truncated, reason, external_url,
           state_hash, received_ns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        args![
            delivery,
            group.id,
            kind.name(),
            if message.status == Status::Firing { "firing" } else { "resolved" },
            firing,
            message.alerts.len() as i64 - firing,
            i64::try_from(message.truncated_alerts).unwrap_or(i64::MAX),
            message.reason.as_ref().map_or("", |r| &*r.0),
            &*message.external_url.0,
            hash,
            received.0
        ],
    )?;
    Ok(applied)
}

fn find_group(db: &mut dyn Connection, delivery: i64, received: Nanos, m: &Message<'_>) -> Result<Group, StoreError> {
    let key = args![&*m.receiver.0, &*m.group_key.0];
    let read = "SELECT id, round, firing, since_ns, changed_ns FROM groups WHERE receiver = ?1 AND group_key = ?2";
    let make = |row: &dyn crate::store::sql::Row| {
        Ok(Group { id: row.int(0)?, round: row.int(1)?, firing: row.int(2)?, since: row.int(3)?, changed: row.int(4)? })
    };
    if let Some(found) = db.first(read, key, make)? {
        return Ok(found);
    }
    db.execute(
        "INSERT INTO groups (receiver, group_key, name, labels, common_labels, common_annotations, external_url, firing,
           stale, severity, truncated, round, since_ns, changed_ns, last_ns, last_delivery)
         VALUES (?1, ?2, ?3, '{}', '{}', '{}', '', 0, 0, 0, 0, 0, ?4, ?4, ?4, ?5)",
        args![&*m.receiver.0, &*m.group_key.0, &m.receiver_name(), received.0, delivery],
    )?;
    db.first(read, key, make)?.ok_or_else(|| StoreError::Database("a group just written is not there".into()))
}

/// What the message is beside the last ones of its group, and whether it may be older than the newest of them.
fn novelty(
    db: &mut dyn Connection,
    group: &Group,
    received: Nanos,
    m: &Message<'_>,
    hash: i64,
) -> Result<(Novelty, bool), StoreError> {
    let mut last = db.all(
        "SELECT state_hash, received_ns, external_url FROM messages WHERE group_id = ?1 ORDER BY delivery_id DESC LIMIT 4",
        args![group.id],
        |row| Ok((row.int(0)?, Nanos(row.int(1)?), row.text(2)?)),
    )?;
    let Some((newest_hash, newest, newest_sender)) = last.first() else { return Ok((Novelty::First, false)) };
    let late_peer = *newest_sender != *m.external_url.0 && newest.until(received) < PEER_LATE;
    let same_as_newest = *newest_hash == hash;
    let told = m.reason.as_ref().is_some_and(|r| r.0 == "repeat interval elapsed");
    let again = if told { TOLD_RETRY_LATE } else { RETRY_LATE };
    last.retain(|(known, at, sender)| {
        *known == hash && at.until(received) < if *sender == *m.external_url.0 { again } else { PEER_LATE }
    });
    // A peer that is late may repeat what came before the newest as well.
    let duplicate = (late_peer || same_as_newest) && !last.is_empty();
    Ok((
        match (duplicate, same_as_newest) {
            (true, _) => Novelty::Duplicate,
            (false, true) => Novelty::Repeat,
            (false, false) => Novelty::Change,
        },
        late_peer,
    ))
}

/// Brings one alert's episode up to date and answers its id.
fn show(
    db: &mut dyn Connection,
    applied: &mut Applied<'_>,
    alert: &Alert<'_>,
    fingerprint: &str,
) -> Result<i64, StoreError> {
    struct Known {
        id: i64,
        state: EpisodeState,
        last: Nanos,
        sender: String,
        annotations: String,
    }
    let (received, message) = (applied.received, applied.message);
    let starts = alert.starts();
    let annotations = alert.annotations.json();
    let known = db.first(
        "SELECT id, state, last_ns, external_url, annotations FROM episodes WHERE fingerprint = ?1 AND starts_ns = ?2",
        args![fingerprint, starts.0],
        |row| {
            Ok(Known {
                id: row.int(0)?,
                state: EpisodeState::of(row.int(1)?),
                last: Nanos(row.int(2)?),
                sender: row.text(3)?,
                annotations: row.text(4)?,
            })
        },
    )?;
    let rank = severity(&alert.labels);
    let ends = alert.ends();
    let (id, before, after) = if let Some(known) = known {
        let same = known.sender == *message.external_url.0;
        let after = known.state.shown(alert.status, known.last.until(received), same);
        let changed = after != known.state;
        if alert.status == Status::Firing && after == EpisodeState::Resolved {
            // Late news: it is counted as seen, nothing else.
        } else {
            db.execute(
                "UPDATE episodes SET state = ?2, ends_ns = ?3, last_ns = ?4, last_delivery = ?5, external_url = ?6,
                   changed_ns = CASE WHEN ?7 = 1 THEN ?4 ELSE changed_ns END WHERE id = ?1",
                args![
                    known.id,
                    after as i64,
                    ends.map(|n| n.0),
                    received.0,
                    applied.delivery,
                    &*message.external_url.0,
                    i64::from(changed)
                ],
            )?;
            if known.annotations != annotations {
                db.execute("UPDATE episodes SET annotations = ?2 WHERE id = ?1", args![known.id, &annotations])?;
                search::put(db, known.id, &search::words(&alert.labels, &alert.annotations), true)?;
            }
        }
        if known.state == EpisodeState::Stale && after == EpisodeState::Firing {
            // Whatever kept it silent is over.
            db.execute("DELETE FROM checks WHERE episode_id = ?1", args![known.id])?;
        }
        (known.id, Some(known.state), after)
    } else {
        let after = if alert.status == Status::Firing { EpisodeState::Firing } else { EpisodeState::Resolved };
        let id = db.int(
            "INSERT INTO episodes (fingerprint, starts_ns, starts_raw, ends_ns, state, severity, alertname, labels,
               annotations, generator_url, first_ns, last_ns, changed_ns, first_delivery, last_delivery, external_url)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?11, ?12, ?12, ?13) RETURNING id",
            args![
                fingerprint,
                starts.0,
                &*alert.starts_at.0,
                ends.map(|n| n.0),
                after as i64,
                rank,
                alert.labels.value("alertname").unwrap_or_default(),
                &alert.labels.json(),
                &annotations,
                &*alert.generator_url.0,
                received.0,
                applied.delivery,
                &*message.external_url.0
            ],
        )?;
        let id = id.ok_or_else(|| StoreError::Database("an insert returned no id".into()))?;
        search::put(db, id, &search::words(&alert.labels, &alert.annotations), false)?;
        remember(db, alert, received)?;
        (id, None, after)
    };
    match (before, after) {
        (Some(EpisodeState::Firing), EpisodeState::Firing)
        | (Some(EpisodeState::Resolved), EpisodeState::Resolved)
        | (_, EpisodeState::Stale) => {}
        (_, EpisodeState::Firing) => applied.opened.push(rank),
        (_, EpisodeState::Resolved) => {
            applied.resolved.push((rank, starts.until(ends.unwrap_or(received)).as_secs_f64()));
        }
    }
    db.execute(
        "INSERT INTO touches (episode_id, delivery_id, status) VALUES (?1, ?2, ?3)
         ON CONFLICT (episode_id, delivery_id) DO NOTHING",
        args![id, applied.delivery, i64::from(alert.status == Status::Resolved)],
    )?;
    // An end, or a new start, told through one group is news for every group that the alert is in.
    if after == EpisodeState::Firing {
        member(db, applied.group, id, 1)?;
    } else {
        db.execute("UPDATE members SET present = 0 WHERE episode_id = ?1 AND present <> 0", args![id])?;
        member(db, applied.group, id, 0)?;
    }
    Ok(id)
}

/// Keeps labels for completion, many in one statement.
fn remember(db: &mut dyn Connection, alert: &Alert<'_>, received: Nanos) -> Result<(), StoreError> {
    let known: Vec<(&str, &str)> = alert.labels.iter().filter(|(n, v)| n.len() + v.len() <= COMPLETED_MAX).collect();
    for some in known.chunks(TOGETHER) {
        let mut sql = String::from("INSERT INTO label_values (last_ns, name, value) VALUES ");
        let mut given = vec![Arg::Int(received.0)];
        for (i, (name, value)) in some.iter().enumerate() {
            let (comma, at) = (if i == 0 { "" } else { ", " }, 2 * i + 2);
            // A `String` takes all.
            let _ = write!(sql, "{comma}(?1, ?{at}, ?{})", at + 1);
            given.extend([Arg::Text(name), Arg::Text(value)]);
        }
        sql.push_str(" ON CONFLICT (name, value) DO UPDATE SET last_ns = excluded.last_ns");
        db.execute(&sql, &given)?;
    }
    Ok(())
}

fn member(db: &mut dyn Connection, group: i64, episode: i64, present: i64) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO members (group_id, episode_id, present) VALUES (?1, ?2, ?3)
         ON CONFLICT (group_id, episode_id) DO UPDATE SET present = excluded.present",
        args![group, episode, present],
    )
    .map(drop)
}

/// An alert that the group no longer shows, without having been resolved.
fn vanish(db: &mut dyn Connection, applied: &mut Applied<'_>, episode: i64) -> Result<(), StoreError> {
    member(db, applied.group, episode, 2)?;
    // Another group may still show it (`continue: true`): then only this one lost it.
    let changed = db.execute(
        "UPDATE episodes SET state = 2, changed_ns = ?2 WHERE id = ?1 AND state = 0
           AND NOT EXISTS (SELECT 1 FROM members WHERE episode_id = ?1 AND present = 1)",
        args![episode, applied.received.0],
    )?;
    applied.stale += usize::try_from(changed).unwrap_or(0);
    Ok(())
}

fn keep_group(db: &mut dyn Connection, applied: &mut Applied<'_>, before: &Group) -> Result<(), StoreError> {
    let m = applied.message;
    let mut totals = (0, 0, 0);
    db.query(
        "SELECT count(*), max(e.severity) FROM members m JOIN episodes e ON e.id = m.episode_id
         WHERE m.group_id = ?1 AND m.present = 1",
        args![before.id],
        &mut |row| {
            (totals.0, totals.1) = (row.int(0)?, row.int(1)?);
            Ok(())
        },
    )?;
    totals.2 =
        db.int("SELECT count(*) FROM members WHERE group_id = ?1 AND present = 2", args![before.id])?.unwrap_or(0);
    let (firing, worst, stale) = totals;
    let begins = before.firing == 0 && firing > 0;
    applied.firing = firing;
    applied.round = before.round + i64::from(begins);
    let worst = if firing == 0 { m.alerts.iter().map(|a| severity(&a.labels)).max().unwrap_or(0) } else { worst };
    let changed = if applied.kind == Novelty::Duplicate || applied.kind == Novelty::Repeat {
        before.changed
    } else {
        applied.received.0
    };
    let (labels, common) = (m.group_labels.json(), m.common_labels.json());
    let annotations = m.common_annotations.json();
    let values: &[Arg<'_>] = args![
        before.id,
        &labels,
        &common,
        &annotations,
        &*m.external_url.0,
        firing,
        stale,
        worst,
        i64::try_from(m.truncated_alerts).unwrap_or(i64::MAX),
        applied.round,
        if begins { applied.received.0 } else { before.since },
        changed,
        applied.received.0,
        applied.delivery,
    ];
    db.execute(
        "UPDATE groups SET labels = ?2, common_labels = ?3, common_annotations = ?4, external_url = ?5, firing = ?6,
           stale = ?7, severity = ?8, truncated = ?9, round = ?10, since_ns = ?11, changed_ns = ?12, last_ns = ?13,
           last_delivery = ?14 WHERE id = ?1",
        values,
    )
    .map(drop)
}

/// Labels in one statement.
const TOGETHER: usize = 16;
/// Labels longer than this are not offered for completion.
const COMPLETED_MAX: usize = 200;
