//! From raw deliveries to groups, episodes and their states.
//!
//! Runs behind the watermark `indexed`: what it derives from a delivery is written in one transaction with the new
//! watermark, so each delivery counts once, whenever the process is killed. Everything here can be derived again.

mod apply;
mod episode;
mod events;
pub(crate) mod search;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::clock::Nanos;
use crate::message::Message;
use crate::store::sql::{Connection, StoreError, args};

pub(crate) use apply::Applied;
pub(crate) use apply::Novelty;
pub(crate) use episode::{EpisodeState, severity, severity_name};

/// What is told of each message as it is indexed, inside its transaction.
pub(crate) trait Follow: Send {
    /// A message was applied; may write into the same transaction.
    fn applied(&mut self, db: &mut dyn Connection, applied: &Applied<'_>) -> Result<(), StoreError>;
}

/// Turns deliveries into what people ask for.
pub(crate) struct Indexer {
    follow: Vec<Box<dyn Follow>>,
    body: Vec<u8>,
}

impl Indexer {
    pub(crate) fn new(follow: Vec<Box<dyn Follow>>) -> Self {
        Self { follow, body: Vec::new() }
    }

    /// Indexes deliveries after `from` until the time is over (but at least one), and answers the last one done. The
    /// caller holds the transaction.
    pub(crate) fn advance(&mut self, db: &mut dyn Connection, from: i64, until: Instant) -> Result<i64, StoreError> {
        let mut reached = from;
        // Written once for all: each of them is one more question to a server that may be far away.
        let mut counts: BTreeMap<(i64, &str), i64> = BTreeMap::new();
        loop {
            let body = &mut self.body;
            let mut next = None;
            db.query(
                "SELECT id, kind, received_ns, body FROM deliveries WHERE id > ?1 ORDER BY id LIMIT 1",
                args![reached],
                &mut |row| {
                    next = Some((row.int(0)?, row.text(1)?, Nanos(row.int(2)?)));
                    row.blob(3, &mut |bytes| {
                        body.clear();
                        body.extend_from_slice(bytes);
                    })
                },
            )?;
            let Some((id, kind, received)) = next else { break };
            if kind == "alerts" {
                // It was read before it was acknowledged; only a newer program could judge it differently.
                match Message::parse(body) {
                    Ok(message) => {
                        let applied = apply::apply(db, id, received, &message)?;
                        for follow in &mut self.follow {
                            follow.applied(db, &applied)?;
                        }
                        let news = [applied.opened.len(), applied.resolved.len(), applied.stale];
                        for (what, n) in ["new", "resolved", "stale"].into_iter().zip(news).filter(|(_, n)| *n > 0) {
                            *counts.entry((slot(received), what)).or_default() += n as i64;
                        }
                    }
                    Err(e) => tracing::warn!(id, error = %e, "a stored delivery cannot be read any more; it stays raw"),
                }
            }
            if kind == "events" {
                events::apply(db, id, received, body)?;
            }
            *counts.entry((slot(received), "deliveries")).or_default() += 1;
            reached = id;
            if Instant::now() >= until {
                break;
            }
        }
        for ((slot, what), n) in counts {
            count(db, Nanos(slot), what, n)?;
        }
        if self.body.capacity() > KEPT_BODY {
            self.body = Vec::new();
        }
        Ok(reached)
    }
}

/// What an episode's change of state, told by nobody's message, means for the groups it is in.
pub(crate) fn follow_members(
    db: &mut dyn Connection,
    episode: i64,
    to: EpisodeState,
    now: Nanos,
) -> Result<(), StoreError> {
    let (present, what) = match to {
        EpisodeState::Firing => ("UPDATE members SET present = 1 WHERE episode_id = ?1 AND present = 2", None),
        EpisodeState::Stale => ("UPDATE members SET present = 2 WHERE episode_id = ?1 AND present = 1", Some("stale")),
        EpisodeState::Resolved => {
            ("UPDATE members SET present = 0 WHERE episode_id = ?1 AND present <> 0", Some("resolved"))
        }
    };
    db.execute(present, args![episode])?;
    db.execute(
        "UPDATE groups SET
           firing = (SELECT count(*) FROM members m WHERE m.group_id = groups.id AND m.present = 1),
           stale = (SELECT count(*) FROM members m WHERE m.group_id = groups.id AND m.present = 2)
         WHERE id IN (SELECT group_id FROM members WHERE episode_id = ?1)",
        args![episode],
    )?;
    what.map_or(Ok(()), |what| count(db, now, what, 1))
}

/// Adds to the counts over time.
pub(crate) fn count(db: &mut dyn Connection, at: Nanos, what: &str, n: i64) -> Result<(), StoreError> {
    let slot = slot(at);
    db.execute(
        "INSERT INTO counts (slot_ns, what, n) VALUES (?1, ?2, ?3)
         ON CONFLICT (slot_ns, what) DO UPDATE SET n = counts.n + excluded.n",
        args![slot, what, n],
    )?;
    Ok(())
}

fn slot(at: Nanos) -> i64 {
    at.0 - at.0.rem_euclid(SLOT.as_nanos() as i64)
}

/// The grain of the counts over time.
pub(crate) const SLOT: Duration = Duration::from_mins(5);
const KEPT_BODY: usize = 1 << 20;
