//! `auto_increment.columns`: where the counters of auto_increment columns stand, and how far they go.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part, Value};
use service::Flag;
use std::borrow::Cow;
use std::collections::HashMap;

pub(crate) const ENTRY: Entry = Entry {
    name: "auto_increment.columns",
    switch: Flag::switch(
        "collect.auto_increment.columns",
        "Collect auto_increment columns and max values from information_schema",
    ),
    min: 5.1,
    flags: &[],
    needs: Right::Select("*.*"),
    build: |_| Box::new(AutoIncrement),
};

struct AutoIncrement;

impl Collect for AutoIncrement {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(Counters { next: [COLUMNS, TABLES].iter(), tables: None, columns: HashMap::new() })
    }
}

/// Upstream joins the two tables on the server, without an index: with 3,000 tables nearly all of a scrape's time. Here
/// each is read once, and a table's column waits for the table.
struct Counters {
    next: std::slice::Iter<'static, &'static str>,
    /// Set while the tables are read.
    tables: Option<()>,
    columns: HashMap<Box<[u8]>, Column>,
}

struct Column {
    name: Box<[u8]>,
    max: f64,
}

impl Run for Counters {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.next.next().map(|sql| Cow::Borrowed(*sql))
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let (schema, table) = (cells.text(0), cells.text(1));
        let key = [schema, b"\0", table].concat();
        if self.tables.is_none() {
            let max = largest(cells.text(3), cells.text(4)).ok_or(Odd)?;
            self.columns.insert(key.into(), Column { name: cells.text(2).into(), max });
            return Ok(());
        }
        // A table whose column was not listed has come into being in between.
        let Some(Column { name, max }) = self.columns.get(key.as_slice()) else { return Ok(()) };
        let counter: Value = cells.count(2)?;
        let labels: [(&str, &[u8]); 3] = [("column", name), ("schema", schema), ("table", table)];
        out.family(&COUNTER).sample(&labels, counter);
        out.family(&MAX).sample(&labels, *max);
        Ok(())
    }

    fn end(&mut self, _: &mut Part) -> Result<(), String> {
        self.tables = Some(());
        Ok(())
    }
}

/// The largest number that a column holds.
fn largest(data_type: &[u8], column_type: &[u8]) -> Option<f64> {
    let bits = match data_type.to_ascii_lowercase().as_slice() {
        b"tinyint" => 7,
        b"smallint" => 15,
        b"mediumint" => 23,
        b"int" => 31,
        b"bigint" => 63,
        _ => return None,
    };
    let unsigned = column_type.to_ascii_lowercase().ends_with(b" unsigned");
    Some(2f64.powi(bits + i32::from(unsigned)) - 1.0)
}

const COLUMNS: &str = "SELECT TABLE_SCHEMA,TABLE_NAME,COLUMN_NAME,DATA_TYPE,COLUMN_TYPE FROM information_schema.COLUMNS \
    WHERE EXTRA='auto_increment'";
const TABLES: &str =
    "SELECT TABLE_SCHEMA,TABLE_NAME,AUTO_INCREMENT FROM information_schema.TABLES WHERE AUTO_INCREMENT IS NOT NULL";
const COUNTER: Desc = Desc::gauge(
    "mysql_info_schema_auto_increment_column",
    "The current value of an auto_increment column from information_schema.",
);
const MAX: Desc = Desc::gauge(
    "mysql_info_schema_auto_increment_column_max",
    "The max value of an auto_increment column from information_schema.",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn columns_meet_their_tables() {
        let columns: &[&[Option<&str>]] = &[
            &[Some("s"), Some("t"), Some("id"), Some("bigint"), Some("bigint(20) unsigned")],
            &[Some("s"), Some("u"), Some("n"), Some("tinyint"), Some("tinyint(4)")],
            &[Some("s"), Some("f"), Some("n"), Some("float"), Some("float")],
        ];
        let tables: &[&[Option<&str>]] = &[
            &[Some("s"), Some("u"), Some("9")],
            &[Some("s"), Some("t"), Some("1000000")],
            &[Some("s"), Some("new"), Some("1")],
        ];
        let (_, text) =
            play(&AutoIncrement, &Server::new("9.7.4", ""), &[Rows(&[""; 5], columns), Rows(&[""; 3], tables)]);
        let label = |c, t| format!("{{column=\"{c}\",schema=\"s\",table=\"{t}\"}}");
        assert_eq!(
            text,
            format!(
                "mysql_info_schema_auto_increment_column{} 1e+06\nmysql_info_schema_auto_increment_column{} 9\n\
                 mysql_info_schema_auto_increment_column_max{} 1.8446744073709552e+19\n\
                 mysql_info_schema_auto_increment_column_max{} 127\n",
                label("id", "t"),
                label("n", "u"),
                label("id", "t"),
                label("n", "u")
            )
        );
    }
}
