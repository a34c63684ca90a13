//! SQLite: one file, one writer, readers beside it.

mod acceptor;
pub(crate) mod copy;
mod engine;
pub(crate) mod findings;
pub(crate) mod journal;
mod keeper;
pub(super) mod schema;
mod writer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ffi};

pub(super) use engine::open;

use super::Delivery;
use super::sql::{Arg, Connection, Dialect, Each, Lock, Row, StoreError};
use crate::clock::Nanos;

/// A connection to `DIR/sink.db`.
pub(crate) struct Sqlite {
    db: rusqlite::Connection,
    path: PathBuf,
    durable: bool,
}

/// What a checkpoint found: frames in the write-ahead log, and how many of them are in the database now.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checkpoint {
    pub(crate) frames: i64,
    pub(crate) done: i64,
}

impl Sqlite {
    /// Opens for writing, creating directory and file where they are missing.
    pub(crate) fn create(dir: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(dir).map_err(|e| io(dir, &e))?;
        let path = dir.join(FILE);
        let fresh = !path.exists();
        let db = rusqlite::Connection::open(&path).map_err(|e| explain(&path, &e))?;
        let mut this = Self { db, path, durable: true };
        this.settle(2048)?;
        this.pragma("PRAGMA journal_mode=WAL")?;
        // Checkpoints are run by the keeper, so that no sender waits for one.
        this.pragma("PRAGMA wal_autocheckpoint=0")?;
        this.pragma("PRAGMA synchronous=FULL")?;
        if fresh {
            // The directory's own entry must be on disk before anything is acknowledged; SQLite syncs the one of the file.
            for dir in [Some(dir), dir.parent()].into_iter().flatten().filter(|d| !d.as_os_str().is_empty()) {
                std::fs::File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io(dir, &e))?;
            }
        }
        Ok(this)
    }

    /// Opens for reading.
    pub(crate) fn read(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join(FILE);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = rusqlite::Connection::open_with_flags(&path, flags).map_err(|e| explain(&path, &e))?;
        let mut this = Self { db, path, durable: true };
        this.settle(1024)?;
        this.pragma("PRAGMA query_only=1")?;
        Ok(this)
    }

    /// Opens a file that nobody else has, without a log beside it.
    fn plain(path: &Path) -> Result<Self, StoreError> {
        let db = rusqlite::Connection::open(path).map_err(|e| explain(path, &e))?;
        let mut this = Self { db, path: path.to_owned(), durable: true };
        this.settle(2048)?;
        this.pragma("PRAGMA journal_mode=DELETE")?;
        Ok(this)
    }

    fn settle(&mut self, cache_kib: u32) -> Result<(), StoreError> {
        self.db.busy_timeout(Duration::from_secs(10)).map_err(|e| explain(&self.path, &e))?;
        self.db.set_prepared_statement_cache_capacity(64);
        self.pragma(&format!("PRAGMA cache_size=-{cache_kib}"))?;
        self.pragma("PRAGMA temp_store=MEMORY")?;
        self.pragma("PRAGMA foreign_keys=OFF")
    }

    fn pragma(&mut self, text: &str) -> Result<(), StoreError> {
        self.query(text, &[], &mut |_| Ok(()))
    }

    /// Moves what the write-ahead log holds into the database: `PASSIVE` beside the writer, `TRUNCATE` as the writer.
    pub(crate) fn checkpoint(&mut self, mode: &str) -> Result<Checkpoint, StoreError> {
        let mut found = Checkpoint::default();
        self.query(&format!("PRAGMA wal_checkpoint({mode})"), &[], &mut |row| {
            found = Checkpoint { frames: row.int(1)?, done: row.int(2)? };
            Ok(())
        })?;
        Ok(found)
    }

    /// Writes a copy of the database as it is now, while it is in use.
    fn copy_to(&mut self, file: &Path) -> Result<(), StoreError> {
        let Some(name) = file.to_str() else {
            return Err(StoreError::Refused(format!("{} is not UTF-8", file.display())));
        };
        // It writes, though not to the database, which is open for reading alone.
        self.pragma("PRAGMA query_only=0")?;
        self.execute("VACUUM INTO ?1", &[Arg::Text(name)]).map(drop)
    }
}

impl Connection for Sqlite {
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        let path = &self.path;
        let mut statement = self.db.prepare_cached(sql).map_err(|e| explain(path, &e))?;
        let changed = statement.execute(rusqlite::params_from_iter(args)).map_err(|e| explain(path, &e))?;
        Ok(changed as u64)
    }

    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: Each<'_>) -> Result<(), StoreError> {
        let path = &self.path;
        let mut statement = self.db.prepare_cached(sql).map_err(|e| explain(path, &e))?;
        let mut rows = statement.query(rusqlite::params_from_iter(args)).map_err(|e| explain(path, &e))?;
        while let Some(row) = rows.next().map_err(|e| explain(path, &e))? {
            each(&SqliteRow(row))?;
        }
        Ok(())
    }

    fn script(&mut self, sql: &str) -> Result<(), StoreError> {
        self.db.execute_batch(sql).map_err(|e| explain(&self.path, &e))
    }

    fn begin(&mut self, durable: bool) -> Result<(), StoreError> {
        if self.durable != durable {
            // NORMAL leaves out the fsync of this commit alone; the next durable one syncs its frames too, in order.
            self.pragma(if durable { "PRAGMA synchronous=FULL" } else { "PRAGMA synchronous=NORMAL" })?;
            self.durable = durable;
        }
        self.execute("BEGIN IMMEDIATE", &[]).map(drop)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.execute("COMMIT", &[]).map(drop)
    }

    fn rollback(&mut self) {
        // SQLite has rolled back on its own after some errors; then there is nothing left to do.
        if !self.db.is_autocommit() {
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn lock(&mut self, _: Lock) -> Result<(), StoreError> {
        Ok(())
    }

    fn clock(&mut self) -> Result<Nanos, StoreError> {
        Ok(Nanos::now())
    }

    fn used(&mut self) -> Result<u64, StoreError> {
        let db: &mut dyn Connection = self;
        let mut number = |pragma: &str| db.int(pragma, &[]).map(|n| n.unwrap_or(0).unsigned_abs());
        let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
        Ok(pages * number("PRAGMA page_size")?)
    }
}

struct SqliteRow<'a>(&'a rusqlite::Row<'a>);

impl SqliteRow<'_> {
    fn value(&self, column: usize) -> Result<ValueRef<'_>, StoreError> {
        self.0.get_ref(column).map_err(|e| StoreError::Database(e.to_string()))
    }
}

impl Row for SqliteRow<'_> {
    fn int(&self, column: usize) -> Result<i64, StoreError> {
        Ok(self.opt_int(column)?.unwrap_or_default())
    }

    fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.value(column)? {
            ValueRef::Integer(n) => Ok(Some(n)),
            ValueRef::Null => Ok(None),
            other => Err(StoreError::Database(format!("column {column} holds {}, not an integer", other.data_type()))),
        }
    }

    fn text(&self, column: usize) -> Result<String, StoreError> {
        match self.value(column)? {
            ValueRef::Text(t) => Ok(String::from_utf8_lossy(t).into_owned()),
            ValueRef::Null => Ok(String::new()),
            other => Err(StoreError::Database(format!("column {column} holds {}, not a text", other.data_type()))),
        }
    }

    fn blob(&self, column: usize, look: &mut dyn FnMut(&[u8])) -> Result<(), StoreError> {
        match self.value(column)? {
            ValueRef::Blob(b) | ValueRef::Text(b) => look(b),
            _ => look(&[]),
        }
        Ok(())
    }
}

impl ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Arg::Null => ValueRef::Null,
            Arg::Int(n) => ValueRef::Integer(n),
            Arg::Text(t) => ValueRef::Text(t.as_bytes()),
            Arg::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

fn explain(path: &Path, e: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match e.sqlite_error() {
        Some(f) if f.code == ErrorCode::DiskFull => StoreError::Full(path),
        Some(f) if f.code == ErrorCode::DatabaseBusy || f.code == ErrorCode::DatabaseLocked => StoreError::Busy,
        // A write-ahead log that cannot grow its index file on a full disk comes as an I/O error of that file.
        Some(f) if f.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full(path),
        Some(f) if matches!(f.code, ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            StoreError::Io(path, e.to_string())
        }
        _ => StoreError::Database(e.to_string()),
    }
}

fn io(path: &Path, e: &std::io::Error) -> StoreError {
    if e.kind() == std::io::ErrorKind::StorageFull {
        StoreError::Full(path.to_owned())
    } else {
        StoreError::Io(path.to_owned(), e.to_string())
    }
}

/// The database's file name under `--storage.path`.
pub(crate) const FILE: &str = "sink.db";
