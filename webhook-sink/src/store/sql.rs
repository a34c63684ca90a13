//! The narrow waist between what the sink knows and where it is kept: plain SQL, so that another database than SQLite can
//! stand behind it: [`super::sqlite`] and [`super::postgres`] do.
//!
//! Statements number their arguments `?1`, `?2`, … and hold no other question mark.

use std::path::PathBuf;

use crate::clock::Nanos;

/// An argument of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl From<i64> for Arg<'_> {
    fn from(n: i64) -> Self {
        Arg::Int(n)
    }
}

impl From<Option<i64>> for Arg<'_> {
    fn from(n: Option<i64>) -> Self {
        n.map_or(Arg::Null, Arg::Int)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(s: &'a str) -> Self {
        Arg::Text(s)
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(s: &'a String) -> Self {
        Arg::Text(s)
    }
}

impl<'a> From<&'a [u8]> for Arg<'a> {
    fn from(b: &'a [u8]) -> Self {
        Arg::Blob(b)
    }
}

/// `args![a, b]` makes `&[Arg::from(a), Arg::from(b)]`.
macro_rules! args {
    ($($a:expr),* $(,)?) => { &[$($crate::store::sql::Arg::from($a)),*] };
}
pub(crate) use args;

/// One row of an answer, valid while it is looked at.
pub(crate) trait Row {
    /// An integer; null reads as 0.
    fn int(&self, column: usize) -> Result<i64, StoreError>;
    fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError>;
    /// A text; null reads as empty.
    fn text(&self, column: usize) -> Result<String, StoreError>;
    /// Hands the bytes to `look` without copying them.
    fn blob(&self, column: usize, look: &mut dyn FnMut(&[u8])) -> Result<(), StoreError>;
}

/// Whose SQL a connection speaks, for the few statements that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// What only one transaction at a time may do, among all replicas of the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Changing the tables.
    Schema,
    /// Deriving from deliveries, and forgetting them.
    Index,
}

/// What is done with each row.
pub(crate) type Each<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), StoreError>;

/// One connection to a database. Not shared: each thread has its own.
pub(crate) trait Connection: Send {
    /// Runs a statement and answers how many rows it changed.
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64, StoreError>;
    /// Runs a query (or a statement with `RETURNING`).
    fn query(&mut self, sql: &str, args: &[Arg<'_>], each: Each<'_>) -> Result<(), StoreError>;
    /// Runs several statements without arguments.
    fn script(&mut self, sql: &str) -> Result<(), StoreError>;
    /// Starts a transaction whose commit is on disk when it returns (`durable`), or whose loss in a power cut only
    /// means that work is done again.
    fn begin(&mut self, durable: bool) -> Result<(), StoreError>;
    fn commit(&mut self) -> Result<(), StoreError>;
    fn rollback(&mut self);
    fn dialect(&self) -> Dialect;
    /// Waits for a lock and holds it to the end of the transaction. SQLite's transactions exclude each other anyway.
    fn lock(&mut self, lock: Lock) -> Result<(), StoreError>;
    /// The clock that all replicas share.
    fn clock(&mut self) -> Result<Nanos, StoreError>;
    /// Bytes in use, without what is free to be used again.
    fn used(&mut self) -> Result<u64, StoreError>;
}

impl dyn Connection + '_ {
    /// The first column of the first row as an integer.
    pub(crate) fn int(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Option<i64>, StoreError> {
        let mut found = None;
        self.query(sql, args, &mut |row| {
            if found.is_none() {
                found = row.opt_int(0)?;
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// All rows, each made into a `T`.
    pub(crate) fn all<T>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        make: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut rows = Vec::new();
        self.query(sql, args, &mut |row| {
            rows.push(make(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, made into a `T`.
    pub(crate) fn first<T>(
        &mut self,
        sql: &str,
        args: &[Arg<'_>],
        make: impl Fn(&dyn Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(sql, args, make)?.into_iter().next())
    }
}

/// Runs `work` in one transaction, which is undone when it fails.
pub(crate) fn transaction<T>(
    db: &mut dyn Connection,
    durable: bool,
    work: impl FnOnce(&mut dyn Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    db.begin(durable)?;
    let done = work(db).and_then(|value| db.commit().map(|()| value));
    if done.is_err() {
        db.rollback();
    }
    done
}

/// What can go wrong with the store; every one of them is answered 503, because the sender keeps the alert and tries again.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("no room on the disk of {}", .0.display())]
    Full(PathBuf),
    #[error("cannot write to {path}: {text}", path = .0.display(), text = .1)]
    Io(PathBuf, String),
    #[error("the database server cannot be used: {0}")]
    Away(String),
    #[error("the store is busy")]
    Busy,
    #[error("the store has stopped")]
    Stopped,
    #[error("no such {0}")]
    Absent(&'static str),
    #[error("{0}")]
    Refused(String),
    #[error("the database answered: {0}")]
    Database(String),
}
