//! Full-text search over what people remember of an alert: label values and annotations.
//!
//! SQLite has an index of its own (FTS5), PostgreSQL one over `tsvector`. Words are made here for both: a word is a run of
//! letters and digits of any script, without its case and accents.
//!
//! FTS5 answers a word's beginning only after it has merged all that begins so. Therefore each word carries the number of the
//! [`part`] of the episodes that it stands in: the newest part is asked first, and mostly it fills the page.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use unicode_normalization::UnicodeNormalization;

use crate::message::Pairs;
use crate::store::sql::{Connection, Dialect, StoreError, args};

/// The words of an episode.
pub(crate) fn words(labels: &Pairs<'_>, annotations: &Pairs<'_>) -> String {
    let mut words = String::new();
    for (_, value) in labels.iter().chain(annotations.iter()) {
        if words.len() + value.len() > WORDS_MAX {
            break;
        }
        words.push_str(value);
        words.push('\n');
    }
    words
}

/// Puts or replaces the words of an episode.
pub(crate) fn put(db: &mut dyn Connection, episode: i64, words: &str, known: bool) -> Result<(), StoreError> {
    let words: BTreeSet<String> = split(words).map(fold).collect();
    let (sql, before, after) = match db.dialect() {
        Dialect::Sqlite if known => {
            ("INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)", prefix(part(episode)), "")
        }
        Dialect::Sqlite => ("INSERT INTO search (rowid, words) VALUES (?1, ?2)", prefix(part(episode)), ""),
        Dialect::Postgres => (
            "INSERT INTO search (id, words) VALUES (?1, CAST(?2 AS tsvector))
             ON CONFLICT (id) DO UPDATE SET words = excluded.words",
            "'".to_owned(),
            "'",
        ),
    };
    let mut text = String::new();
    for word in words {
        let _ = write!(text, "{before}{word}{after} ");
    }
    db.execute(sql, args![episode, &text]).map(drop)
}

/// Makes the index anew from the episodes, for one that was made in another way.
pub(crate) fn rebuild(db: &mut dyn Connection) -> Result<(), StoreError> {
    let mut last = 0;
    loop {
        let rows = db.all(
            "SELECT id, labels, annotations FROM episodes WHERE id > ?1 ORDER BY id LIMIT 500",
            args![last],
            |row| Ok((row.int(0)?, row.text(1)?, row.text(2)?)),
        )?;
        let Some((newest, ..)) = rows.last() else { return Ok(()) };
        last = *newest;
        for (id, labels, annotations) in rows {
            let mut text = String::new();
            for object in [labels, annotations] {
                let values: serde_json::Map<String, serde_json::Value> =
                    serde_json::from_str(&object).unwrap_or_default();
                for value in values.values().filter_map(serde_json::Value::as_str) {
                    let _ = writeln!(text, "{value}");
                }
            }
            put(db, id, &text, false)?;
        }
    }
}

/// Forgets the words of ended episodes that were last seen at `upto` or before.
pub(crate) fn forget(db: &mut dyn Connection, upto: i64) -> Result<(), StoreError> {
    let key = key(db.dialect());
    db.execute(
        &format!(
            "DELETE FROM search WHERE {key} IN (SELECT id FROM episodes WHERE last_delivery <= ?1 AND state <> 0)"
        ),
        args![upto],
    )
    .map(drop)
}

/// The column of `search` that holds the episode's id.
pub(crate) fn key(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => "rowid",
        Dialect::Postgres => "id",
    }
}

/// The part of the episodes that an id belongs to.
pub(crate) fn part(episode: i64) -> i64 {
    episode >> PART_BITS
}

fn prefix(part: i64) -> String {
    format!("{part:06x}")
}

/// What is searched for: words or their beginnings, and words as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    begin: Vec<String>,
    whole: Vec<String>,
}

impl Wanted {
    /// `None` when there is no word in it.
    pub(crate) fn of(text: &str, exact: &str) -> Option<Self> {
        let begin: Vec<String> = split(text).take(WANTED).map(fold).collect();
        let whole: Vec<String> = split(exact).take(WANTED).map(fold).collect();
        (begin.len() + whole.len() > 0).then_some(Self { begin, whole })
    }

    /// A condition on `search s` with `?n` as its argument.
    pub(crate) fn condition(dialect: Dialect, n: usize) -> String {
        match dialect {
            Dialect::Sqlite => format!("s.search MATCH ?{n}"),
            Dialect::Postgres => format!("s.words @@ CAST(?{n} AS tsquery)"),
        }
    }

    /// That argument. `part` says which episodes are asked, where that matters.
    pub(crate) fn argument(&self, dialect: Dialect, part: i64) -> String {
        let (before, after, begins, and) = match dialect {
            Dialect::Sqlite => (format!("\"{}", prefix(part)), "\"", "*", " "),
            Dialect::Postgres => ("'".to_owned(), "'", ":*", " & "),
        };
        let begin = self.begin.iter().map(|w| format!("{before}{w}{after}{begins}"));
        let whole = self.whole.iter().map(|w| format!("{before}{w}{after}"));
        begin.chain(whole).collect::<Vec<_>>().join(and)
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty())
}

/// Without case and accents, and no longer than a `tsvector` takes.
fn fold(word: &str) -> String {
    word.to_lowercase().nfd().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).nfc().take(WORD_MAX).collect()
}

/// Bytes of words kept of one episode; a 5 MB annotation is not searched to its end.
const WORDS_MAX: usize = 16 << 10;
/// Characters of a word; a word of a `tsvector` ends at 2 KiB.
const WORD_MAX: usize = 400;
/// Words of a question.
const WANTED: usize = 16;
/// A part is this many bits of ids: merging one of them takes a few milliseconds.
pub(crate) const PART_BITS: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_same_whatever_their_case_and_accents() {
        for (a, b) in [("MÜNCHEN", "munchen"), ("équipe", "Equipe"), ("디스크", "디스크"), ("Диск", "диск")]
        {
            assert_eq!(fold(a), fold(b));
        }
        assert_eq!(fold(&"x".repeat(5000)).len(), WORD_MAX);
    }

    #[test]
    fn what_is_asked_for_cannot_change_the_question() {
        let wanted = Wanted::of("a\" OR b* \u{0}", "x'").expect("words");
        let two = "\"000002";
        assert_eq!(wanted.argument(Dialect::Sqlite, 2), format!("{two}a\"* {two}or\"* {two}b\"* {two}x\""));
        let wanted = Wanted::of("a' | b:* \\c", "").expect("words");
        assert_eq!(wanted.argument(Dialect::Postgres, 2), "'a':* & 'b':* & 'c':*");
        assert!(Wanted::of("-- ;", "").is_none());
    }
}
