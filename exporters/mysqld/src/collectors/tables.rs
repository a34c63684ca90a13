//! `info_schema.tables`: tables, their rows and sizes.

use super::{Collect, Entry, Right, Run, quoted};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.tables",
    switch: Flag::switch("collect.info_schema.tables", "Collect metrics from information_schema.tables"),
    min: 5.1,
    flags: &[DATABASES],
    needs: Right::Select("*.*"),
    build: |flags| {
        let databases = flags.text(DATABASES.name);
        let schemas: Vec<String> = databases.split(',').map(quoted).collect();
        let wanted = match databases {
            "*" => "NOT IN ('mysql','performance_schema','information_schema','sys')".to_owned(),
            // One name is looked up; a list makes MariaDB read all directories.
            _ if schemas.len() == 1 => format!("={}", schemas[0]),
            _ => format!("IN ({})", schemas.join(",")),
        };
        Box::new(Tables { sql: format!("{SELECT} WHERE TABLE_SCHEMA {wanted}") })
    },
};

const DATABASES: Flag = Flag::text(
    "collect.info_schema.tables.databases",
    "*",
    "The list of databases to collect table stats for, or '*' for all",
);

struct Tables {
    sql: String,
}

impl Collect for Tables {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(TablesRun { sql: Some(self.sql.clone()) })
    }
}

struct TablesRun {
    sql: Option<String>,
}

impl Run for TablesRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Owned)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let (schema, table) = (cells.text(0), cells.text(1));
        let or_none = |column: usize| cells.get(column).unwrap_or(b"NONE");
        let version = cells.count_or_zero(4)?;
        let rows = cells.count_or_zero(6)?;
        let sizes = [cells.count_or_zero(7)?, cells.count_or_zero(8)?, cells.count_or_zero(9)?];
        out.family(&VERSION).sample(
            &[
                ("create_options", or_none(10)),
                ("engine", or_none(3)),
                ("row_format", or_none(5)),
                ("schema", schema),
                ("table", table),
                ("type", cells.text(2)),
            ],
            version,
        );
        out.family(&ROWS).sample(&[("schema", schema), ("table", table)], rows);
        for (component, size) in ["data_length", "index_length", "data_free"].into_iter().zip(sizes) {
            let labels = [("component", component.as_bytes()), ("schema", schema), ("table", table)];
            out.family(&SIZE).sample(&labels, size);
        }
        Ok(())
    }
}

const SELECT: &str = "SELECT TABLE_SCHEMA,TABLE_NAME,TABLE_TYPE,ENGINE,VERSION,ROW_FORMAT,TABLE_ROWS,DATA_LENGTH,\
    INDEX_LENGTH,DATA_FREE,CREATE_OPTIONS FROM information_schema.TABLES";
const VERSION: Desc = Desc::gauge("mysql_info_schema_table_version", "The version number of the table's .frm file");
const ROWS: Desc = Desc::gauge(
    "mysql_info_schema_table_rows",
    "The estimated number of rows in the table from information_schema.tables",
);
const SIZE: Desc =
    Desc::gauge("mysql_info_schema_table_size", "The size of the table components from information_schema.tables");
