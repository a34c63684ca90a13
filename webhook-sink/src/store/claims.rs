//! Claims on the outbox: who sends what, for how long, and what becomes of it when the sender dies.
//!
//! A claim is durable before anything is sent and runs out by itself. While one message of a group is being sent to a
//! target no other of that group is, so that states never overtake each other, however many replicas there are.

use std::time::Duration;

use super::sql::{Connection, Dialect, StoreError, args};
use crate::clock::Nanos;

/// A message that is ours to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub(crate) id: i64,
    pub(crate) group: i64,
    pub(crate) round: i64,
    pub(crate) delivery: i64,
    /// Counts the claims of this message; tells ours from a later one.
    pub(crate) attempts: i64,
    pub(crate) created: Nanos,
    /// An attempt before has an unknown outcome.
    pub(crate) again: bool,
}

/// When something of a target is due next: a message, or the end of somebody's claim.
pub(crate) fn next(db: &mut dyn Connection, target: &str) -> Result<Option<Nanos>, StoreError> {
    let next = db.int(
        "SELECT min(CASE WHEN state = 'pending' THEN next_ns ELSE lease_ns END) FROM outbox
         WHERE target = ?1 AND state IN ('pending', 'sending')",
        args![target],
    )?;
    Ok(next.map(Nanos))
}

/// Takes the oldest message that is due, after taking back what was claimed by somebody who has not been heard of.
pub(crate) fn take(db: &mut dyn Connection, target: &str) -> Result<Option<Claim>, StoreError> {
    let now = db.clock()?;
    take_back(db, target, now)?;
    // Another replica may look at the same time: neither waits for the other.
    let skip = if db.dialect() == Dialect::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
    db.first(
        &format!(
            "UPDATE outbox SET state = 'sending', attempts = attempts + 1, lease_ns = ?3
             WHERE state = 'pending' AND id = (
               SELECT o.id FROM outbox o WHERE o.target = ?1 AND o.state = 'pending' AND o.next_ns <= ?2
                 AND NOT EXISTS (SELECT 1 FROM outbox s
                   WHERE s.group_id = o.group_id AND s.target = o.target AND s.state = 'sending')
               ORDER BY o.next_ns, o.id LIMIT 1 {skip})
             RETURNING id, group_id, round, delivery_id, attempts, created_ns, note"
        ),
        args![target, now.0, now.after(LEASE).0],
        |row| {
            Ok(Claim {
                id: row.int(0)?,
                group: row.int(1)?,
                round: row.int(2)?,
                delivery: row.int(3)?,
                attempts: row.int(4)?,
                created: Nanos(row.int(5)?),
                again: row.text(6)? == "again",
            })
        },
    )
}

/// Keeps a claim while its message is still on its way.
pub(crate) fn renew(db: &mut dyn Connection, claim: Claim) -> Result<(), StoreError> {
    let lease = db.clock()?.after(LEASE);
    db.execute(
        "UPDATE outbox SET lease_ns = ?3 WHERE id = ?1 AND state = 'sending' AND attempts = ?2",
        args![claim.id, claim.attempts, lease.0],
    )
    .map(drop)
}

/// At the start: where nobody else can be sending, all claims are those of a process that is gone.
pub(crate) fn forget(db: &mut dyn Connection, target: &str) -> Result<(), StoreError> {
    let ended = if db.dialect() == Dialect::Sqlite { Nanos(i64::MAX) } else { db.clock()? };
    take_back(db, target, ended)
}

/// What was being sent has an unknown outcome: it is sent once more and says so, unless something newer takes its place.
fn take_back(db: &mut dyn Connection, target: &str, ended: Nanos) -> Result<(), StoreError> {
    db.execute(
        "UPDATE outbox SET note = 'again', next_ns = 0, state = CASE WHEN EXISTS (
             SELECT 1 FROM outbox n WHERE n.group_id = outbox.group_id AND n.target = outbox.target AND n.id > outbox.id
               AND n.state IN ('pending', 'sending', 'sent')) THEN 'overtaken' ELSE 'pending' END
         WHERE target = ?1 AND state = 'sending' AND lease_ns <= ?2",
        args![target, ended.0],
    )
    .map(drop)
}

/// How long a claim holds without being renewed, and how often it is.
const LEASE: Duration = Duration::from_secs(30);
pub(crate) const RENEW: Duration = Duration::from_secs(10);
