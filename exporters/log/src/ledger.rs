//! What has been counted of each source: places, lines, bytes.

use crate::input::batch::{Place, Source};
use crate::input::files::{Before, Stood};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// Kept by the engine's thread, so that places and counts always say the same.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sources: BTreeMap<u64, (Arc<Source>, Place)>,
    /// By input and path; several sources have one path while a rotated file is still read.
    counts: BTreeMap<(Arc<str>, String), Counts>,
    /// Cursors of inputs that are not running.
    cursors: BTreeMap<String, String>,
    /// Patterns of the file inputs.
    pub(crate) patterns: Vec<String>,
    /// Counts of the last process, taken up when their source comes.
    before: BTreeMap<(String, String), Counts>,
}

/// Lines and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Taken by a metric.
    pub(crate) matched: u64,
    /// Taken by none.
    pub(crate) ignored: u64,
    /// Longer than allowed.
    pub(crate) cut: u64,
    /// Bytes of lines, with their ends where they came with some.
    pub(crate) bytes: u64,
    #[serde(skip)]
    pub(crate) sources: u32,
}

/// The ledger as it is saved.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Positions {
    pub(crate) before: Before,
    pub(crate) cursors: BTreeMap<String, String>,
    counts: Vec<(String, String, Counts)>,
}

impl Ledger {
    /// A ledger that goes on where a process before ended.
    pub(crate) fn restore(positions: &Positions) -> Self {
        let before = positions.counts.iter().map(|(input, path, counts)| ((input.clone(), path.clone()), *counts));
        Self { before: before.collect(), cursors: positions.cursors.clone(), ..Self::default() }
    }

    /// A source is read from this place on.
    pub(crate) fn open(&mut self, source: Arc<Source>, place: Place) {
        self.counts_of(&source).sources += 1;
        self.sources.insert(source.id, (source, place));
    }

    /// A source is read no more.
    pub(crate) fn close(&mut self, source: &Source) {
        if self.sources.remove(&source.id).is_none() {
            return;
        }
        let key = (Arc::clone(&source.input), source.path.clone());
        if let Some(counts) = self.counts.get_mut(&key) {
            counts.sources = counts.sources.saturating_sub(1);
            if counts.sources == 0 && !source.path.is_empty() {
                self.counts.remove(&key);
            }
        }
    }

    /// Lines of a source have been counted, up to a place.
    pub(crate) fn count(&mut self, source: &Arc<Source>, place: Option<Place>, counts: Counts) {
        if let Some(place) = place {
            match self.sources.get_mut(&source.id) {
                Some((_, held)) => *held = place,
                None if source.path.is_empty() => self.open(Arc::clone(source), place),
                None => {}
            }
        }
        let all = self.counts_of(source);
        all.matched += counts.matched;
        all.ignored += counts.ignored;
        all.cut += counts.cut;
        all.bytes += counts.bytes;
    }

    fn counts_of(&mut self, source: &Source) -> &mut Counts {
        let key = (Arc::clone(&source.input), source.path.clone());
        let before = &mut self.before;
        self.counts
            .entry(key)
            .or_insert_with(|| before.remove(&(source.input.to_string(), source.path.clone())).unwrap_or_default())
    }

    /// Counts by input and path.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (&str, &str, &Counts)> {
        self.counts.iter().map(|((input, path), counts)| (&**input, path.as_str(), counts))
    }

    /// Files with the offset up to which they are counted.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Source, u64)> {
        self.sources.values().filter_map(|(source, place)| match place {
            Place::File(mark) => Some((&**source, mark.offset)),
            Place::Cursor(_) => None,
        })
    }

    /// What is to be saved.
    pub(crate) fn positions(&self) -> Positions {
        let mut positions = Positions { cursors: self.cursors.clone(), ..Positions::default() };
        for (source, place) in self.sources.values() {
            match place {
                Place::File(mark) => positions.before.files.push(Stood {
                    input: source.input.to_string(),
                    path: source.path.clone(),
                    mark: *mark,
                }),
                Place::Cursor(cursor) => {
                    positions.cursors.insert(source.input.to_string(), cursor.clone());
                }
            }
        }
        positions.before.patterns.clone_from(&self.patterns);
        positions.before.saved = Some(SystemTime::now());
        let counts = self.counts.iter().map(|((input, path), counts)| (input.to_string(), path.clone(), *counts));
        positions.counts = counts.collect();
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::files::{Identity, Mark, Print};

    fn source(id: u64, path: &str) -> Arc<Source> {
        Arc::new(Source { id, input: "in".into(), path: path.into() })
    }

    fn place(offset: u64) -> Place {
        let identity = Identity { dev: 1, ino: 2 };
        Place::File(Mark { identity, offset, head: Print::default(), tail: Print::default(), within: false })
    }

    #[test]
    fn counts_outlive_rotation_and_restart() {
        let mut ledger = Ledger::default();
        let (old, new) = (source(1, "/a"), source(2, "/a"));
        let two = Counts { matched: 1, ignored: 1, cut: 0, bytes: 10, sources: 0 };
        ledger.open(Arc::clone(&old), place(0));
        ledger.count(&old, Some(place(10)), two);
        ledger.open(Arc::clone(&new), place(0));
        ledger.close(&old);
        ledger.count(&new, Some(place(10)), two);
        assert_eq!(ledger.counts().map(|(_, _, c)| c.matched).collect::<Vec<_>>(), [2]);
        ledger.count(&source(3, ""), Some(Place::Cursor("c".into())), two);

        let saved = serde_json::to_vec(&ledger.positions()).unwrap();
        let positions: Positions = serde_json::from_slice(&saved).unwrap();
        assert_eq!((positions.before.files.len(), positions.cursors["in"].as_str()), (1, "c"));
        let mut next = Ledger::restore(&positions);
        let again = source(7, "/a");
        next.open(Arc::clone(&again), place(10));
        next.count(&again, None, two);
        assert_eq!(
            next.counts().map(|(_, path, c)| (path.to_owned(), c.bytes)).collect::<Vec<_>>(),
            [("/a".into(), 30)]
        );
        next.close(&again);
        assert_eq!((next.counts().count(), next.files().count()), (0, 0), "the series of a file end with it");
    }
}
