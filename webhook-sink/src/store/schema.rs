//! How an older database is brought up to the tables of today, and the numbers that are remembered by name.

use super::sql::{Connection, Dialect, Lock, StoreError, args, transaction};
use super::{postgres, sqlite};
use crate::index::search;

/// Brings the database to the newest schema in one transaction. A database from a newer sink is left alone.
pub(crate) fn migrate(db: &mut dyn Connection) -> Result<(), StoreError> {
    let steps = match db.dialect() {
        Dialect::Sqlite => sqlite::schema::STEPS,
        Dialect::Postgres => postgres::schema::STEPS,
    };
    let version = steps.len() as i64;
    transaction(db, true, |db| {
        db.lock(Lock::Schema)?;
        db.script("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BIGINT NOT NULL)")?;
        let from = number(db, "schema")?;
        if from > version {
            return Err(StoreError::Refused(format!(
                "the database has schema {from}, this webhook-sink knows up to {version}: start a newer one"
            )));
        }
        for step in steps.iter().skip(usize::try_from(from).unwrap_or(0)) {
            db.script(step)?;
        }
        if db.dialect() == Dialect::Sqlite && (1..WORDS_IN_PARTS).contains(&from) {
            search::rebuild(db)?;
        }
        if from == version { Ok(()) } else { put(db, "schema", version) }
    })
}

/// Remembers a number by name.
pub(crate) fn put(db: &mut dyn Connection, name: &str, value: i64) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )?;
    Ok(())
}

/// A remembered number.
pub(crate) fn number(db: &mut dyn Connection, name: &str) -> Result<i64, StoreError> {
    Ok(db.int("SELECT value FROM meta WHERE name = ?1", args![name])?.unwrap_or(0))
}

/// The step of SQLite's tables from which on words are kept in parts.
const WORDS_IN_PARTS: i64 = 4;
