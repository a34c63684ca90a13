//! What `check` finds in the journal beside the database.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;

use super::journal::{self, FILES, HEADER, MAGIC};
use super::{Delivery, io};
use crate::store::schema;
use crate::store::sql::{Connection, StoreError, args};

/// What there is to say of a journal.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Acknowledged deliveries that the database does not have yet.
    pub(crate) only_here: usize,
    /// Nothing is lost, but worth knowing.
    pub(crate) notes: Vec<String>,
    pub(crate) wrong: Vec<String>,
}

/// Compares the journal under `dir` with its database. A sink that runs writes to both meanwhile, so what seems wrong is
/// believed when it stays so.
pub(crate) fn look(dir: &Path, db: &mut dyn Connection) -> Result<Findings, StoreError> {
    let mut found = once(dir, db)?;
    for _ in 0..LOOKS {
        if (found.wrong.is_empty() && found.notes.is_empty()) || !in_use(dir) {
            break;
        }
        std::thread::sleep(PAUSE);
        found = once(dir, db)?;
    }
    Ok(found)
}

fn once(dir: &Path, db: &mut dyn Connection) -> Result<Findings, StoreError> {
    let mut found = Findings::default();
    let surveys = FILES.map(|name| read(&dir.join(name)));
    // The database after the journal: what the journal lost in between has come here.
    let newest = db.int("SELECT max(id) FROM deliveries", &[])?.unwrap_or(0);
    let moved = newest.max(schema::number(db, "moved")?);
    for (name, survey) in FILES.iter().zip(surveys) {
        let Some(survey) = survey? else { continue };
        found.only_here += survey.records.iter().filter(|(id, _)| *id > moved).count();
        let behind = survey.behind.iter().filter(|id| **id > moved).count();
        if behind > 0 {
            found.wrong.push(format!(
                "{name}: damaged at byte {}, and {behind} deliveries that the database does not have lie behind it",
                survey.end
            ));
        } else if let Some(id) = survey.torn.filter(|id| *id > moved) {
            found.notes.push(format!("{name}: delivery {id} is torn at byte {}: it was not acknowledged", survey.end));
        }
        let mut different = 0;
        for (id, delivery) in survey.records.iter().filter(|(id, _)| *id <= moved) {
            different += usize::from(!same(db, *id, delivery)?);
        }
        if different > 0 {
            found.wrong.push(format!("{name}: {different} deliveries have another body in the database"));
        }
    }
    Ok(found)
}

/// Whether the database has a delivery as the journal has it; one that retention took is not held against it.
fn same(db: &mut dyn Connection, id: i64, delivery: &Delivery) -> Result<bool, StoreError> {
    let mut same = true;
    db.query("SELECT body FROM deliveries WHERE id = ?1", args![id], &mut |row| {
        row.blob(0, &mut |body| same = *body == delivery.body[..])
    })?;
    Ok(same)
}

/// One file of the journal.
struct Survey {
    records: Vec<(i64, Delivery)>,
    /// Where the last of them ends.
    end: usize,
    /// The delivery that begins there, but is not whole.
    torn: Option<i64>,
    /// Whole records after that. Those of an earlier turn are all older than what the database has.
    behind: Vec<i64>,
}

fn read(path: &Path) -> Result<Option<Survey>, StoreError> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut f| f.read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(survey(&Bytes::from(bytes)))),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io(path, &e)),
    }
}

fn survey(bytes: &Bytes) -> Survey {
    let (mut records, mut end, mut expected) = (Vec::new(), 0, None);
    while let Some((id, delivery, next)) = journal::decode(bytes, end)
        && expected.is_none_or(|e| e == id)
    {
        records.push((id, delivery));
        (end, expected) = (next, id.checked_add(1));
    }
    let torn = begins(bytes, end).filter(|id| expected.is_none_or(|e| e == *id));
    let torn = torn.filter(|_| journal::decode(bytes, end).is_none());
    let (mut behind, mut at) = (Vec::new(), end);
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.windows(MAGIC.len()).position(|w| w == MAGIC)) {
        at += found;
        match journal::decode(bytes, at) {
            Some((id, _, next)) => {
                behind.push(id);
                at = next;
            }
            None => at += 1,
        }
    }
    Survey { records, end, torn, behind }
}

/// The id in the header at a place, if one is there.
fn begins(bytes: &[u8], at: usize) -> Option<i64> {
    let header = bytes.get(at..at.checked_add(HEADER)?)?;
    let id = header.get(HEADER - 8..)?.try_into().map(i64::from_le_bytes).ok()?;
    header.starts_with(&MAGIC).then_some(id)
}

/// Whether a sink has the journal's files now.
fn in_use(dir: &Path) -> bool {
    File::open(dir.join(FILES[0]))
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

/// How often, and after what pause, is looked again at what a running sink may just be changing.
const LOOKS: usize = 5;
const PAUSE: Duration = Duration::from_millis(150);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Nanos;
    use crate::store::Kind;
    use crate::store::sqlite::{FILE, Sqlite, copy, writer};
    use proptest::prelude::*;

    fn delivery(body: &str) -> Delivery {
        Delivery {
            received: Nanos(7),
            kind: Kind::Raw,
            source: String::new(),
            query: String::new(),
            remote: String::new(),
            agent: String::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    /// A store whose process ended with deliveries 1 and 2 in the database and 1 to 5 in the journal.
    fn killed() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut db = Sqlite::create(dir.path()).expect("creates");
        schema::migrate(&mut db).expect("migrates");
        let all: Vec<(i64, Delivery)> = (1..=5).map(|id| (id, delivery(&format!("body {id}")))).collect();
        writer::insert(&mut db, &all[..2], 2).expect("inserts");
        let mut journal = journal::Journal::open(dir.path()).expect("opens");
        assert_eq!(journal.append(1, all.iter().map(|(_, d)| d), 0).expect("appends"), Some(5));
        dir
    }

    fn findings(dir: &Path) -> Findings {
        look(dir, &mut Sqlite::read(dir).expect("opens")).expect("looks")
    }

    fn change(dir: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let path = dir.join(FILES[0]);
        let mut bytes = std::fs::read(&path).expect("reads");
        change(&mut bytes);
        std::fs::write(&path, bytes).expect("writes");
    }

    fn at(bytes: &[u8], text: &str) -> usize {
        bytes.windows(text.len()).position(|w| w == text.as_bytes()).expect("is there")
    }

    #[test]
    fn what_only_the_journal_has_is_counted_and_copied() {
        let dir = killed();
        let found = findings(dir.path());
        assert_eq!((found.only_here, found.notes.len(), found.wrong.len()), (3, 0, 0), "{found:?}");
        let restored = tempfile::tempdir().expect("temporary directory");
        let file = restored.path().join(FILE);
        let copied = copy::copy(dir.path(), &file).expect("copies");
        assert_eq!(copied, copy::Copied { deliveries: 5, from_journal: 3 });
        let names: Vec<_> =
            std::fs::read_dir(restored.path()).expect("lists").flatten().map(|f| f.file_name()).collect();
        assert_eq!(names, [FILE], "one file is the whole copy");
        let mut db = Sqlite::read(restored.path()).expect("opens");
        let db: &mut dyn Connection = &mut db;
        let bodies = db.all("SELECT CAST(body AS TEXT) FROM deliveries ORDER BY id", &[], |row| row.text(0));
        assert_eq!(bodies.expect("reads"), (1..=5).map(|id| format!("body {id}")).collect::<Vec<_>>());
        assert_eq!(schema::number(db, "moved").expect("reads"), 5);
    }

    #[test]
    fn a_torn_end_is_no_loss_and_damage_before_others_is() {
        let dir = killed();
        change(dir.path(), |bytes| {
            let last = at(bytes, "body 5");
            bytes[last] ^= 1;
        });
        let found = findings(dir.path());
        assert!(found.wrong.is_empty() && found.notes[0].contains("delivery 5 is torn"), "{found:?}");
        change(dir.path(), |bytes| {
            let third = at(bytes, "body 3");
            bytes[third] ^= 1;
        });
        let found = findings(dir.path());
        assert_eq!(found.only_here, 0);
        assert!(found.wrong[0].contains("1 deliveries that the database does not have lie behind it"), "{found:?}");
    }

    #[test]
    fn another_body_under_the_same_number_is_found() {
        let dir = killed();
        let mut db = Sqlite::create(dir.path()).expect("opens");
        db.execute("UPDATE deliveries SET body = x'00' WHERE id = 2", &[]).expect("changes");
        let found = findings(dir.path());
        assert!(found.wrong[0].contains("1 deliveries have another body"), "{found:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes in "(BSJ1|[\\x00-\\x05]){0,60}") {
            let found = survey(&Bytes::from(bytes.into_bytes()));
            prop_assert!(found.records.is_empty());
        }
    }
}
