//! Full-text search over what people remember of an alert: label values and annotations.

use crate::message::Pairs;
use crate::store::sql::{Connection, StoreError, args};

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
    let sql = if known {
        "INSERT OR REPLACE INTO search (rowid, words) VALUES (?1, ?2)"
    } else {
        "INSERT INTO search (rowid, words) VALUES (?1, ?2)"
    };
    db.execute(sql, args![episode, words]).map(drop)
}

/// A condition on `search s` with `?n` as its argument, and that argument: every word (or its beginning) occurs.
/// `None` when the text holds no word.
pub(crate) fn condition(n: usize, text: &str) -> Option<(String, String)> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).take(16);
    let words: Vec<String> = words.map(|w| format!("\"{w}\"*")).collect();
    (!words.is_empty()).then(|| (format!("s.words MATCH ?{n}"), words.join(" ")))
}

/// Bytes of words kept of one episode; a 5 MB annotation is not searched to its end.
const WORDS_MAX: usize = 16 << 10;
