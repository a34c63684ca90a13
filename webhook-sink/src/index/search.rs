//! Full-text search over what people remember of an alert: label values and annotations.
//!
//! SQLite has an index of its own (FTS5). PostgreSQL has one over `tsvector`, whose words are made here, so that both cut a
//! text at the same places: a word is a run of letters and digits of any script, without its case and accents.

use std::collections::BTreeSet;

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
    match (db.dialect(), known) {
        (Dialect::Sqlite, true) => {
            db.execute("INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)", args![episode, words])
        }
        (Dialect::Sqlite, false) => {
            db.execute("INSERT INTO search (rowid, words) VALUES (?1, ?2)", args![episode, words])
        }
        (Dialect::Postgres, _) => {
            let words: BTreeSet<String> = split(words).map(|w| format!("'{}'", fold(w))).collect();
            let words: Vec<String> = words.into_iter().collect();
            db.execute(
                "INSERT INTO search (id, words) VALUES (?1, CAST(?2 AS tsvector))
                 ON CONFLICT (id) DO UPDATE SET words = excluded.words",
                args![episode, &words.join(" ")],
            )
        }
    }
    .map(drop)
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

/// A condition on `search s` with `?n` as its argument, and that argument: every word (or its beginning) occurs.
/// `None` when the text holds no word.
pub(crate) fn condition(dialect: Dialect, n: usize, text: &str) -> Option<(String, String)> {
    let words = split(text).take(16);
    let (condition, words, and): (String, Vec<String>, &str) = match dialect {
        Dialect::Sqlite => (format!("s.words MATCH ?{n}"), words.map(|w| format!("\"{w}\"*")).collect(), " "),
        Dialect::Postgres => {
            (format!("s.words @@ CAST(?{n} AS tsquery)"), words.map(|w| format!("'{}':*", fold(w))).collect(), " & ")
        }
    };
    (!words.is_empty()).then(|| (condition, words.join(and)))
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
        let (_, sqlite) = condition(Dialect::Sqlite, 3, "a\" OR b* \u{0}").expect("words");
        assert_eq!(sqlite, "\"a\"* \"OR\"* \"b\"*");
        let (_, postgres) = condition(Dialect::Postgres, 3, "a' | b:* \\c").expect("words");
        assert_eq!(postgres, "'a':* & 'b':* & 'c':*");
        assert_eq!(condition(Dialect::Sqlite, 1, "-- ;"), None);
    }
}
