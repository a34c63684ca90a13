//! What is done from time to time: forgetting what is old, and giving up on alerts that nobody tells of any more.

use std::time::Duration;

use service::{Flag, FlagKind, Flags, Shutdown};

use crate::clock::Nanos;
use crate::index;
use crate::store::Store;
use crate::store::sql::{Connection, Lock, StoreError, args};

/// `--storage.retention.time`.
pub(crate) const RETENTION_TIME: Flag = Flag::new(
    "storage.retention.time",
    FlagKind::Duration,
    "0s",
    "How long deliveries are kept, such as 2160h; 0 keeps them for ever.",
);
/// `--storage.retention.size`.
pub(crate) const RETENTION_SIZE: Flag = Flag::new(
    "storage.retention.size",
    FlagKind::Integer,
    "0",
    "Bytes of the database (with --storage.url: of the bodies in it) above which the oldest deliveries go; 0 sets no limit.",
);
/// `--index.stale-after`.
pub(crate) const STALE_AFTER: Flag = Flag::new(
    "index.stale-after",
    FlagKind::Duration,
    "12h",
    "An alert that fires and was not told of for this long is stale: its whole group may be silenced, or Alertmanager \
     gone. Longer than every repeat_interval; 0 never.",
);

/// The limits in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upkeep {
    keep: Duration,
    size: u64,
    stale_after: Duration,
}

impl Upkeep {
    pub(crate) fn of(flags: &Flags) -> Self {
        Self {
            keep: flags.duration(RETENTION_TIME.name),
            size: u64::try_from(flags.integer(RETENTION_SIZE.name)).unwrap_or(0),
            stale_after: flags.duration(STALE_AFTER.name),
        }
    }

    /// Looks every minute; ends with the service.
    pub(crate) async fn run(self, store: Store, shutdown: Shutdown) {
        loop {
            if let Err(e) = self.turn(&store).await {
                tracing::warn!(error = %e, "upkeep of the database failed; it is tried again in a minute");
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(Duration::from_mins(1)) => {}
            }
        }
    }

    async fn turn(self, store: &Store) -> Result<(), StoreError> {
        let now = Nanos::now();
        if !self.stale_after.is_zero() {
            let before = now.before(self.stale_after);
            while store.write(move |db| forget_firing(db, before, now)).await? > 0 {}
        }
        loop {
            let gone = store.write(move |db| self.shorten(db, now)).await?;
            if gone == 0 {
                return Ok(());
            }
            tracing::info!(deliveries = gone, "forgot the oldest deliveries");
        }
    }

    /// Deletes a piece of what is too old or too much; small, because senders wait behind it.
    fn shorten(self, db: &mut dyn Connection, now: Nanos) -> Result<u64, StoreError> {
        db.lock(Lock::Index)?;
        let mut upto = 0;
        if !self.keep.is_zero() {
            let before = now.before(self.keep);
            upto = db
                .int(
                    "SELECT max(id) FROM (SELECT id FROM deliveries WHERE received_ns < ?1 ORDER BY id LIMIT ?2) AS old",
                    args![before.0, PIECE],
                )?
                .unwrap_or(0);
        }
        if upto == 0 && self.size > 0 && db.used()? > self.size {
            upto = db
                .int("SELECT max(id) FROM (SELECT id FROM deliveries ORDER BY id LIMIT ?1) AS old", args![PIECE])?
                .unwrap_or(0);
        }
        // What is not indexed, or still owed to a target, stays.
        let indexed = crate::store::schema::number(db, "indexed")?;
        let owed = db
            .int("SELECT min(delivery_id) FROM outbox WHERE state IN ('pending', 'sending')", &[])?
            .unwrap_or(i64::MAX);
        let upto = upto.min(indexed).min(owed.saturating_sub(1));
        if upto <= 0 {
            return Ok(0);
        }
        index::search::forget(db, upto)?;
        for sql in [
            "DELETE FROM attempts WHERE outbox_id IN (SELECT id FROM outbox WHERE delivery_id <= ?1)",
            "DELETE FROM outbox WHERE delivery_id <= ?1",
            "DELETE FROM touches WHERE delivery_id <= ?1",
            "DELETE FROM messages WHERE delivery_id <= ?1",
            "DELETE FROM events WHERE last_delivery <= ?1",
            "DELETE FROM checks WHERE episode_id IN (SELECT id FROM episodes WHERE last_delivery <= ?1 AND state <> 0)",
            "DELETE FROM members WHERE episode_id IN (SELECT id FROM episodes WHERE last_delivery <= ?1 AND state <> 0)",
            "DELETE FROM episodes WHERE last_delivery <= ?1 AND state <> 0",
        ] {
            db.execute(sql, args![upto])?;
        }
        db.execute("DELETE FROM deliveries WHERE id <= ?1", args![upto])
    }
}

fn forget_firing(db: &mut dyn Connection, before: Nanos, now: Nanos) -> Result<u64, StoreError> {
    db.lock(Lock::Index)?;
    let old =
        // One that Alertmanager's API still shows as firing is not forgotten.
        db.all(
            "SELECT id FROM episodes e WHERE state = 0 AND last_ns < ?1 AND NOT EXISTS
               (SELECT 1 FROM checks c WHERE c.episode_id = e.id AND c.verdict = 'firing' AND c.at_ns >= ?1) LIMIT ?2",
            args![before.0, PIECE],
            |row| row.int(0),
        )?;
    for id in &old {
        db.execute("UPDATE episodes SET state = 2, changed_ns = ?2 WHERE id = ?1", args![*id, now.0])?;
        db.execute("UPDATE members SET present = 2 WHERE episode_id = ?1 AND present = 1", args![*id])?;
        db.execute(
            "UPDATE groups SET
               firing = (SELECT count(*) FROM members m WHERE m.group_id = groups.id AND m.present = 1),
               stale = (SELECT count(*) FROM members m WHERE m.group_id = groups.id AND m.present = 2)
             WHERE id IN (SELECT group_id FROM members WHERE episode_id = ?1)",
            args![*id],
        )?;
    }
    if !old.is_empty() {
        index::count(db, now, "stale", old.len() as i64)?;
    }
    Ok(old.len() as u64)
}

/// Rows in one piece of work.
const PIECE: i64 = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Indexer;
    use crate::store::sqlite::Sqlite;
    use crate::store::{schema, sql};

    fn database() -> (tempfile::TempDir, Sqlite) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut db = Sqlite::create(dir.path()).expect("creates");
        schema::migrate(&mut db).expect("migrates");
        let mut indexer = Indexer::new(Vec::new());
        sql::transaction(&mut db, true, |db| {
            for i in 0..10_i64 {
                let status = if i % 2 == 0 { "firing" } else { "resolved" };
                let body = format!(
                    r#"{{"receiver":"r","status":"{status}","groupKey":"k{i}","alerts":[{{"status":"{status}","labels":{{"alertname":"A{i}"}},"startsAt":"2026-11-22T13:09:50Z","endsAt":"2026-11-22T14:00:00Z"}}]}}"#
                );
                db.execute(
                    "INSERT INTO deliveries (received_ns, kind, source, query, remote, agent, size, body)
                     VALUES (?1, 'alerts', '', '', '', '', 1, ?2)",
                    args![i * 1_000_000_000, body.as_bytes()],
                )?;
            }
            let reached = indexer.advance(db, 0, std::time::Instant::now() + Duration::from_mins(1))?;
            schema::put(db, "indexed", reached)
        })
        .expect("filled");
        (dir, db)
    }

    fn number(db: &mut Sqlite, sql: &str) -> i64 {
        (db as &mut dyn Connection).int(sql, &[]).expect("reads").unwrap_or(0)
    }

    #[test]
    fn what_is_old_goes_and_what_fires_stays_known() {
        let (_dir, mut db) = database();
        let upkeep = Upkeep { keep: Duration::from_secs(4), size: 0, stale_after: Duration::ZERO };
        let now = Nanos(9_500_000_000);
        assert_eq!(upkeep.shorten(&mut db, now).expect("shortens"), 6);
        assert_eq!(number(&mut db, "SELECT count(*) FROM deliveries"), 4);
        assert_eq!(number(&mut db, "SELECT count(*) FROM episodes WHERE state = 0"), 5, "what fires is not forgotten");
        assert_eq!(number(&mut db, "SELECT count(*) FROM episodes WHERE state = 1"), 2);
        assert_eq!(number(&mut db, "SELECT count(*) FROM search"), 7);
        assert_eq!(upkeep.shorten(&mut db, now).expect("shortens"), 0);
    }

    #[test]
    fn what_is_owed_to_a_target_stays() {
        let (_dir, mut db) = database();
        crate::deliver::route::owe(&mut db, "t", 1, 1, 3, "first", 0).expect("owed");
        let upkeep = Upkeep { keep: Duration::from_secs(1), size: 0, stale_after: Duration::ZERO };
        assert_eq!(upkeep.shorten(&mut db, Nanos(60_000_000_000)).expect("shortens"), 2);
    }

    #[test]
    fn alerts_that_nobody_tells_of_turn_stale() {
        let (_dir, mut db) = database();
        assert_eq!(forget_firing(&mut db, Nanos(5_000_000_000), Nanos(9_000_000_000)).expect("forgets"), 3);
        assert_eq!(number(&mut db, "SELECT count(*) FROM groups WHERE firing > 0"), 2);
        assert_eq!(number(&mut db, "SELECT count(*) FROM groups WHERE stale > 0"), 3);
    }
}
