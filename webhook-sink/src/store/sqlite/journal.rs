//! The journal: what was acknowledged and may not be in the database yet.
//!
//! Two files take turns. A delivery is appended to one of them and synced, then it is acknowledged; the database gets it a
//! moment later without syncing. When a file is full the other takes over, and the first may be written over once the
//! database has been synced beyond all that it holds. Files keep their blocks, so a sync writes nothing but the records.
//!
//! A record is `magic, crc, length, id, payload`. Ids follow each other without a gap, which tells the records of this turn
//! from what an earlier turn has left behind them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::io;
use crate::clock::Nanos;
use crate::store::sql::StoreError;
use crate::store::{Delivery, Kind};

/// Both files, and where the next record goes.
pub(super) struct Journal {
    files: [Segment; 2],
    current: usize,
    at: u64,
    buffer: Vec<u8>,
    dir: PathBuf,
}

struct Segment {
    file: File,
    path: PathBuf,
    /// The newest delivery in it.
    last: i64,
}

impl Journal {
    /// Opens or makes the files, which are this process's alone from then on. What is in them may be written over as soon
    /// as something is appended, so the database must have it by then.
    pub(super) fn open(dir: &Path) -> Result<Self, StoreError> {
        let files = [Segment::open(dir, FILES[0])?, Segment::open(dir, FILES[1])?];
        File::open(dir).and_then(|d| d.sync_all()).map_err(|e| io(dir, &e))?;
        Ok(Self { files, current: 0, at: 0, buffer: Vec::new(), dir: dir.to_owned() })
    }

    /// Appends deliveries, the first of which gets the id `first`, and syncs them. `durable` is the newest delivery that the
    /// database has synced. `None` when the other file has to take over and is still needed. After an error nobody knows
    /// what was written, so these ids must not be given again.
    pub(super) fn append<'a>(
        &mut self,
        first: i64,
        deliveries: impl Iterator<Item = &'a Delivery>,
        durable: i64,
    ) -> Result<Option<i64>, StoreError> {
        self.buffer.clear();
        let mut last = first - 1;
        for delivery in deliveries {
            last += 1;
            encode(&mut self.buffer, last, delivery);
        }
        if self.at > 0 && self.at + self.buffer.len() as u64 > SIZE && !self.turn(durable) {
            return Ok(None);
        }
        let segment = &mut self.files[self.current];
        let written = segment.file.write_all_at(&self.buffer, self.at).and_then(|()| segment.file.sync_data());
        if let Err(e) = written {
            // What the kernel holds of this file is not to be trusted any more; the other one is next.
            self.at = self.at.max(SIZE);
            return Err(io(&segment.path, &e));
        }
        segment.last = last;
        self.at += self.buffer.len() as u64;
        if self.buffer.capacity() > KEPT {
            self.buffer = Vec::new();
        }
        Ok(Some(last))
    }

    /// Whether a delivery can be appended without waiting for the database.
    pub(super) fn has_room(&self, delivery: &Delivery, durable: i64) -> bool {
        let text = delivery.source.len() + delivery.query.len() + delivery.remote.len() + delivery.agent.len();
        self.at + (HEADER + FIXED + text + delivery.body.len()) as u64 <= SIZE
            || self.files[1 - self.current].last <= durable
    }

    /// Lets the other file take over, if nothing in it is needed any more.
    fn turn(&mut self, durable: i64) -> bool {
        let other = &self.files[1 - self.current];
        if other.last > durable {
            return false;
        }
        // A body larger than the file made it grow.
        if other.file.metadata().is_ok_and(|m| m.len() > SIZE) {
            let _ = other.file.set_len(SIZE);
        }
        self.current = 1 - self.current;
        self.at = 0;
        true
    }

    /// Whether the file that is not written to waits to be written over.
    pub(super) fn waits_for(&self, durable: i64) -> Option<i64> {
        let other = &self.files[1 - self.current];
        (other.last > durable).then_some(other.last)
    }

    /// Whether writing works: the place where the next record goes takes bytes that are no record.
    pub(super) fn probe(&mut self, durable: i64) -> Result<(), StoreError> {
        if self.at >= SIZE && !self.turn(durable) {
            return Err(StoreError::Busy);
        }
        let segment = &self.files[self.current];
        let tried = segment.file.write_all_at(&[0; 512], self.at).and_then(|()| segment.file.sync_data());
        tried.map_err(|e| io(&self.dir, &e))
    }
}

impl Segment {
    fn open(dir: &Path, name: &str) -> Result<Self, StoreError> {
        let path = dir.join(name);
        let told = |e: std::io::Error| io(&path, &e);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(told)?;
        let until = Instant::now() + LOCKED;
        while let Err(e) = file.try_lock() {
            match e {
                // The last process may still be ending.
                TryLockError::WouldBlock if Instant::now() < until => std::thread::sleep(Duration::from_millis(20)),
                TryLockError::WouldBlock => {
                    return Err(StoreError::Refused(format!("{} is in use by another webhook-sink", dir.display())));
                }
                TryLockError::Error(e) => return Err(told(e)),
            }
        }
        if file.metadata().map_err(told)?.len() == 0 {
            // A small disk keeps its room for the database; then the file grows as it is written.
            let room = rustix::fs::fstatvfs(&file).map_or(0, |v| v.f_bavail.saturating_mul(v.f_frsize));
            if room > 64 * SIZE {
                // Written, not only reserved: the first write to a reserved block would make each sync one of the file system's
                // own journal, for which all who write to the disk wait together.
                let zeros = vec![0; 1 << 18];
                let filled = (0..SIZE).step_by(zeros.len()).try_for_each(|at| file.write_all_at(&zeros, at));
                if filled.is_err() {
                    let _ = file.set_len(0);
                }
            }
        }
        file.sync_all().map_err(told)?;
        Ok(Self { file, path, last: 0 })
    }
}

/// The deliveries in both files, oldest first; those that the database has had long ago among them.
pub(super) fn read(dir: &Path) -> Result<Vec<(i64, Delivery)>, StoreError> {
    let mut found = Vec::new();
    for name in FILES {
        let path = dir.join(name);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|mut f| f.read_to_end(&mut bytes)) {
            Ok(_) => decode_all(&Bytes::from(bytes), &mut found),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io(&path, &e)),
        }
    }
    found.sort_by_key(|(id, _)| *id);
    found.dedup_by_key(|(id, _)| *id);
    Ok(found)
}

fn encode(out: &mut Vec<u8>, id: i64, d: &Delivery) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    out.extend_from_slice(&d.received.0.to_le_bytes());
    out.push(d.kind as u8);
    for text in [&d.source, &d.query, &d.remote, &d.agent] {
        let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
        out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
        out.extend_from_slice(bytes);
    }
    out.extend_from_slice(&d.body);
    let length = (out.len() - start - HEADER) as u32;
    let record = &mut out[start..];
    record[..4].copy_from_slice(&MAGIC);
    record[8..12].copy_from_slice(&length.to_le_bytes());
    record[12..20].copy_from_slice(&id.to_le_bytes());
    let crc = checksum(&record[8..]);
    record[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Records from the beginning of a file to the first thing that is not the next one.
fn decode_all(bytes: &Bytes, found: &mut Vec<(i64, Delivery)>) {
    let (mut at, mut expected) = (0, None);
    while let Some((id, delivery, end)) = decode(bytes, at) {
        if expected.is_some_and(|e| e != id) {
            return;
        }
        found.push((id, delivery));
        (at, expected) = (end, id.checked_add(1));
    }
}

pub(super) fn decode(all: &Bytes, at: usize) -> Option<(i64, Delivery, usize)> {
    let header = all.get(at..at.checked_add(HEADER)?)?;
    if header[..4] != MAGIC {
        return None;
    }
    let word = |from: usize| header[from..from + 4].try_into().map(u32::from_le_bytes).ok();
    let id = i64::from_le_bytes(header[12..20].try_into().ok()?);
    let end = (at + HEADER).checked_add(usize::try_from(word(8)?).ok()?)?;
    if checksum(all.get(at + 8..end)?) != word(4)? {
        return None;
    }
    let payload = all.slice(at + HEADER..end);
    let received = Nanos(i64::from_le_bytes(payload.get(..8)?.try_into().ok()?));
    let tag = *payload.get(8)?;
    let kind = [Kind::Alerts, Kind::Events, Kind::Raw].into_iter().find(|k| *k as u8 == tag)?;
    let mut at = 9;
    let mut text = || {
        let length = usize::from(u16::from_le_bytes(payload.get(at..at + 2)?.try_into().ok()?));
        let text = String::from_utf8_lossy(payload.get(at + 2..at + 2 + length)?).into_owned();
        at += 2 + length;
        Some(text)
    };
    let (source, query, remote, agent) = (text()?, text()?, text()?, text()?);
    // A copy of its own: a small body must not keep the whole file in memory.
    let body = Bytes::copy_from_slice(payload.get(at..)?);
    Some((id, Delivery { received, kind, source, query, remote, agent, body }, end))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub(super) const FILES: [&str; 2] = ["journal.0", "journal.1"];
pub(super) const MAGIC: [u8; 4] = *b"BSJ1";
pub(super) const HEADER: usize = 20;
/// Bytes of a payload besides its texts and its body.
const FIXED: usize = 17;
/// Bytes after which the other file takes over; a larger delivery still goes in one piece.
const SIZE: u64 = 8 << 20;
/// Memory kept between batches.
const KEPT: usize = 1 << 20;
/// How long to wait for the files of a process that is ending.
const LOCKED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn delivery(body: &[u8]) -> Delivery {
        Delivery {
            received: Nanos(7),
            kind: Kind::Raw,
            source: "팀".into(),
            query: String::new(),
            remote: "127.0.0.1:1".into(),
            agent: "a".into(),
            body: Bytes::copy_from_slice(body),
        }
    }

    fn ids(dir: &Path) -> Vec<i64> {
        read(dir).expect("reads").into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn files_take_turns_only_when_the_database_has_what_they_hold() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let mut journal = Journal::open(dir.path()).expect("opens");
        let large = delivery(&vec![b'x'; (SIZE / 2) as usize]);
        let mut put = |id: i64, durable: i64| journal.append(id, [&large].into_iter(), durable).expect("writes");
        assert_eq!((put(1, 0), put(2, 0)), (Some(1), Some(2)));
        assert_eq!((put(3, 0), put(4, 0)), (None, None), "both files are needed");
        assert_eq!(put(3, 2), Some(3), "the first may be written over");
        assert_eq!(ids(dir.path()), [2, 3]);
    }

    #[test]
    fn what_is_left_of_an_earlier_turn_is_not_taken_for_news() {
        let dir = tempfile::tempdir().expect("temporary directory");
        {
            let mut journal = Journal::open(dir.path()).expect("opens");
            let same: Vec<Delivery> = (0..5).map(|_| delivery(b"12345")).collect();
            assert_eq!(journal.append(1, same.iter(), 0).expect("writes"), Some(5));
        }
        let mut journal = Journal::open(dir.path()).expect("opens");
        assert_eq!(journal.append(6, [&delivery(b"54321")].into_iter(), 5).expect("writes"), Some(6));
        // Records of the same length lie behind it, at the right place.
        assert_eq!(ids(dir.path()), [6]);
        assert_eq!(&read(dir.path()).expect("reads")[0].1.body[..], b"54321");
        assert_eq!(read(dir.path()).expect("reads")[0].1.source, "팀");
    }

    #[test]
    fn a_second_process_is_refused() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let _first = Segment::open(dir.path(), FILES[0]).expect("opens");
        let second = Segment::open(dir.path(), FILES[0]).map(|_| ()).expect_err("refused");
        assert!(second.to_string().contains("another webhook-sink"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode_all(&Bytes::from(bytes), &mut Vec::new());
        }

        #[test]
        fn damage_costs_only_what_comes_behind_it(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..6),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for (i, body) in bodies.iter().enumerate() {
                encode(&mut bytes, i as i64 + 1, &delivery(body));
                ends.push(bytes.len());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let mut found = Vec::new();
            decode_all(&Bytes::from(bytes), &mut found);
            let whole = ends.iter().filter(|end| **end <= at).count();
            prop_assert_eq!(found.len(), whole);
            for (i, (id, d)) in found.iter().enumerate() {
                prop_assert_eq!((*id, &d.body[..]), (i as i64 + 1, &bodies[i][..]));
            }
        }
    }
}
