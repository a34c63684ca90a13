//! Full-text search over what people remember of an alert: label values and annotations.

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
    let sql = match (db.dialect(), known) {
        (Dialect::Sqlite, false) => "INSERT INTO search (rowid, words) VALUES (?1, ?2)",
        (Dialect::Sqlite, true) => "INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)",
        (Dialect::Postgres, _) => {
            "INSERT INTO search (rowid, words) VALUES (?1, to_tsvector('simple', ?2))
             ON CONFLICT (rowid) DO UPDATE SET words = excluded.words"
        }
    };
    db.execute(sql, args![episode, words]).map(drop)
}

/// A condition on `search s` with `?n` as its argument, and that argument: every word (or its beginning) occurs.
/// `None` when the text holds no word.
pub(crate) fn condition(dialect: Dialect, n: usize, text: &str) -> Option<(String, String)> {
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(16).map(str::to_owned).collect();
    if words.is_empty() {
        return None;
    }
    Some(match dialect {
        Dialect::Sqlite => {
            (format!("s.words MATCH ?{n}"), words.iter().map(|w| format!("\"{w}\"*")).collect::<Vec<_>>().join(" "))
        }
        Dialect::Postgres => (
            format!("s.words @@ to_tsquery('simple', ?{n})"),
            words.iter().map(|w| format!("'{w}':*")).collect::<Vec<_>>().join(" & "),
        ),
    })
}

/// Bytes of words kept of one episode; a 5 MB annotation is not searched to its end.
const WORDS_MAX: usize = 16 << 10;
