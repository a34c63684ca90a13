//! From an indexed message to the outbox.

use super::config::{Config, Target};
use super::live::Current;
use super::watchdog;
use crate::index::{Applied, Follow, Novelty};
use crate::message::Status;
use crate::store::schema;
use crate::store::sql::{Connection, StoreError, args};

/// Writes what is owed to which target, in the transaction that indexes the message.
pub(crate) struct Routing {
    current: Current,
}

impl Routing {
    pub(crate) fn new(current: Current) -> Self {
        Self { current }
    }

    fn targets<'c>(config: &'c Config, applied: &Applied<'_>) -> Vec<&'c Target> {
        let message = applied.message;
        let receiver = message.receiver_name();
        if let Some(names) = watchdog::own_targets(config, message) {
            return config.targets.iter().filter(|t| names.contains(&t.name)).collect();
        }
        let mut chosen: Vec<&Target> = Vec::new();
        for route in &config.routes {
            let fits = message.alerts.iter().any(|alert| {
                route.matchers.iter().all(|m| {
                    m.matches(|name| if name == "receiver" { Some(&receiver) } else { alert.labels.value(name) })
                })
            });
            if fits {
                for target in config.targets.iter().filter(|t| route.targets.contains(&t.name)) {
                    if !chosen.iter().any(|c| c.name == target.name) {
                        chosen.push(target);
                    }
                }
                if !route.go_on {
                    break;
                }
            }
        }
        chosen
    }
}

impl Follow for Routing {
    fn applied(&mut self, db: &mut dyn Connection, applied: &Applied<'_>) -> Result<(), StoreError> {
        // When the index is made anew, what was owed before is not owed again.
        if applied.delivery <= schema::number(db, "routed")? {
            return Ok(());
        }
        schema::put(db, "routed", applied.delivery)?;
        if applied.kind == Novelty::Duplicate {
            return Ok(());
        }
        let config = self.current.get();
        for target in Self::targets(&config, applied) {
            let resolved = applied.message.status == Status::Resolved;
            if (resolved && !target.send_resolved) || (applied.kind == Novelty::Repeat && !target.send_repeats) {
                continue;
            }
            owe(
                db,
                &target.name,
                applied.group,
                applied.round,
                applied.delivery,
                applied.kind.name(),
                applied.received.0,
            )?;
        }
        Ok(())
    }
}

/// Puts a message into the outbox; what still waits for the same group and target is overtaken by it.
pub(crate) fn owe(
    db: &mut dyn Connection,
    target: &str,
    group: i64,
    round: i64,
    delivery: i64,
    why: &str,
    now: i64,
) -> Result<(), StoreError> {
    db.execute(
        "UPDATE outbox SET state = 'overtaken', done_ns = ?3 WHERE group_id = ?1 AND target = ?2 AND state = 'pending'",
        args![group, target, now],
    )?;
    db.execute(
        "INSERT INTO outbox (target, group_id, round, delivery_id, why, state, attempts, created_ns, next_ns, lease_ns,
           answer, note) VALUES (?1, ?2, ?3, ?4, ?5, 'pending', 0, ?6, ?6, 0, '', '')
         ON CONFLICT (target, group_id, delivery_id, why) DO NOTHING",
        args![target, group, round, delivery, why, now],
    )?;
    Ok(())
}
