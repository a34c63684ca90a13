//! A copy of a store that is in use, or whose process was killed: what the database has, and what only the journal has yet.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Sqlite, io, journal, writer};
use crate::store::schema;
use crate::store::sql::{Connection, StoreError, transaction};

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) deliveries: i64,
    /// How many of them the database did not have yet.
    pub(crate) from_journal: usize,
}

/// Copies the store under `dir` into one file, with every delivery that was acknowledged before.
///
/// The journal is read first: a file of it is written over only when the database has what it held, so whatever goes
/// while it is being read is in the snapshot that is taken of the database afterwards.
pub(crate) fn copy(dir: &Path, file: &Path) -> Result<Copied, StoreError> {
    let left = journal::read(dir)?;
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    // Under another name until it is whole, so that what a copy that failed has left is taken for no copy.
    let part = PathBuf::from(part);
    remove(&part)?;
    let made = Sqlite::read(dir)
        .and_then(|mut db| db.copy_to(&part))
        .and_then(|()| complete(&part, left))
        .and_then(|copied| publish(&part, file).map(|()| copied));
    if made.is_err() {
        let _ = remove(&part);
    }
    made
}

/// Brings into a copy what the journal had beyond it.
fn complete(part: &Path, mut left: Vec<(i64, super::Delivery)>) -> Result<Copied, StoreError> {
    let mut db = Sqlite::plain(part)?;
    let db: &mut dyn Connection = &mut db;
    let newest = db.int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0);
    let moved = newest.max(schema::number(db, "moved")?);
    left.retain(|(id, _)| *id > moved);
    if let Some((last, _)) = left.last() {
        let last = *last;
        transaction(db, true, |db| writer::insert(db, &left, last))?;
    }
    let deliveries = db.int("SELECT count(*) FROM deliveries", &[])?.unwrap_or(0);
    Ok(Copied { deliveries, from_journal: left.len() })
}

/// Gives the finished copy its name, and makes both last.
fn publish(part: &Path, file: &Path) -> Result<(), StoreError> {
    let parent = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(part)
        .and_then(|f| f.sync_all())
        .and_then(|()| std::fs::rename(part, file))
        .and_then(|()| File::open(parent)?.sync_all())
        .map_err(|e| io(file, &e))
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(path, &e)),
        _ => Ok(()),
    }
}
