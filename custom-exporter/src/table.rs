//! What a source said, read in the format that the configuration names: a table of rows, or a page of metrics.

use crate::fault::Fault;
use crate::json_path::Path;
use exposition::ParsedFamily;
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;

/// How the bytes of an answer are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// Nothing but a number: one row with the column `value`.
    Number,
    /// Lines of a name and a number: a row each, with the columns `name` and `value`.
    Lines,
    /// A JSON document: rows and columns are paths.
    Json,
    /// A page as Prometheus scrapes it; its metrics are passed on.
    Exposition,
}

/// An answer that was read.
#[derive(Debug)]
pub(crate) enum Answer {
    Table(Table),
    Page(Vec<ParsedFamily>),
}

/// Rows, which metrics are made from.
#[derive(Debug)]
pub(crate) enum Table {
    /// Rows of texts under the names of columns; `None` is SQL's NULL.
    Cells { columns: Vec<String>, rows: Vec<Vec<Option<String>>> },
    /// A document, of which each metric says what its rows are.
    Json(Value),
}

/// One row of a [`Table`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    Cells(&'a [String], &'a [Option<String>]),
    Json(&'a Value),
}

/// Which text of a row is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Column(String),
    Path(Path),
}

impl Format {
    /// Reads an answer. Whatever the bytes are, this ends: with an error if need be.
    pub(crate) fn read(self, bytes: &[u8]) -> Result<Answer, Fault> {
        let cells = |columns: &[&str], rows| {
            let columns = columns.iter().map(|&c| c.to_owned()).collect();
            Ok(Answer::Table(Table::Cells { columns, rows }))
        };
        match self {
            Self::Number => cells(&["value"], vec![vec![Some(text(bytes).trim().to_owned())]]),
            Self::Lines => {
                let mut rows = Vec::new();
                for (at, line) in text(bytes).lines().enumerate() {
                    let mut words = line.split_whitespace().map(|word| Some(word.to_owned()));
                    let row: Vec<Option<String>> = words.by_ref().take(3).collect();
                    match row.first() {
                        None => {}
                        Some(first) if first.as_ref().is_some_and(|word| word.starts_with('#')) => {}
                        Some(_) if row.len() == 2 => rows.push(row),
                        Some(_) => return Err(Fault::Parse(format!("line {}: expected a name and a number", at + 1))),
                    }
                }
                cells(&["name", "value"], rows)
            }
            Self::Json => match serde_json::from_slice(bytes) {
                Ok(document) => Ok(Answer::Table(Table::Json(document))),
                Err(e) => Err(Fault::Parse(format!("no JSON: {e}"))),
            },
            Self::Exposition => match exposition::parse_text(bytes) {
                Ok(families) => Ok(Answer::Page(families)),
                Err(e) => Err(Fault::Parse(e.to_string())),
            },
        }
    }
}

impl Table {
    /// Its rows; in a document those that `each` leads to, or the document itself.
    pub(crate) fn rows<'a>(&'a self, each: Option<&Path>) -> Vec<Row<'a>> {
        match self {
            Self::Cells { columns, rows } => rows.iter().map(|row| Row::Cells(columns, row)).collect(),
            Self::Json(document) => {
                let nodes = each.map_or_else(|| vec![document], |path| path.select(document));
                nodes.into_iter().map(Row::Json).collect()
            }
        }
    }
}

impl<'a> Row<'a> {
    /// The text of a field; `None` where a document has none there and where a cell is NULL.
    pub(crate) fn text(self, field: &Field) -> Result<Option<Cow<'a, str>>, Fault> {
        match (self, field) {
            (Self::Cells(columns, cells), Field::Column(name)) => {
                let at = columns
                    .iter()
                    .position(|c| c == name)
                    .ok_or_else(|| Fault::Parse(format!("no column {name:?}; there is {}", columns.join(", "))))?;
                Ok(cells.get(at).and_then(Option::as_deref).map(Cow::Borrowed))
            }
            (Self::Json(node), Field::Path(path)) => match path.select(node).as_slice() {
                [] | [Value::Null] => Ok(None),
                [Value::String(text)] => Ok(Some(Cow::Borrowed(text))),
                [scalar @ (Value::Bool(_) | Value::Number(_))] => Ok(Some(Cow::Owned(scalar.to_string()))),
                [_] => Err(Fault::Parse("a path leads to an array or object where one value is wanted".into())),
                several => Err(Fault::Parse(format!("a path leads to {} values where one is wanted", several.len()))),
            },
            // The configuration gives columns to tables and paths to documents.
            _ => Ok(None),
        }
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells(format: Format, bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
        match format.read(bytes) {
            Ok(Answer::Table(Table::Cells { rows, .. })) => {
                Ok(rows.into_iter().map(|r| r.into_iter().map(Option::unwrap_or_default).collect()).collect())
            }
            Ok(other) => panic!("{other:?}"),
            Err(e) => Err(e.to_string()),
        }
    }

    #[test]
    fn lines_are_names_and_numbers() {
        let rows = cells(Format::Lines, b"# queues\nmail 12\n\n  print\t3.5  \r\n").unwrap();
        assert_eq!(rows, [["mail", "12"], ["print", "3.5"]]);
        assert_eq!(cells(Format::Lines, b"").unwrap(), Vec::<Vec<String>>::new());
        for bad in [&b"ok 1\nalone"[..], b"\na b c"] {
            assert_eq!(cells(Format::Lines, bad).unwrap_err(), "line 2: expected a name and a number");
        }
        assert_eq!(cells(Format::Number, b" 42\n").unwrap(), [["42"]]);
    }

    #[test]
    fn fields_of_documents_are_scalars() {
        let document = serde_json::json!({"n": 1.5, "t": "x", "b": true, "z": null, "a": [1, 2]});
        let row = Row::Json(&document);
        let field = |path: &str| row.text(&Field::Path(Path::parse(path).unwrap())).map_err(|e| e.to_string());
        assert_eq!(field("$.n").unwrap().as_deref(), Some("1.5"));
        assert_eq!(field("$.t").unwrap().as_deref(), Some("x"));
        assert_eq!(field("$.b").unwrap().as_deref(), Some("true"));
        assert_eq!((field("$.z"), field("$.none")), (Ok(None), Ok(None)));
        assert!(field("$.a").unwrap_err().contains("array or object"));
        assert!(field("$.a[*]").unwrap_err().contains("2 values"));
    }

    #[test]
    fn a_column_that_is_missing_is_named() {
        let columns = ["status".to_owned(), "orders".to_owned()];
        let error = Row::Cells(&columns, &[]).text(&Field::Column("order".into())).unwrap_err();
        assert_eq!(error.to_string(), "no column \"order\"; there is status, orders");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_answered(bytes in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            "[a-z0-9 .{}\\[\\]:,\"#\n]{0,80}".prop_map(String::into_bytes),
        ]) {
            for format in [Format::Number, Format::Lines, Format::Json, Format::Exposition] {
                if let Err(e) = format.read(&bytes) {
                    prop_assert!(matches!(e, Fault::Parse(_)));
                }
            }
        }
    }
}
