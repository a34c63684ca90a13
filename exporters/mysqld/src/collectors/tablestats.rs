//! `info_schema.tablestats`: rows read and changed, by table.

use super::grid::{Metric, emit};
use super::userstat::Userstat;
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.tablestats",
    switch: Flag::switch(
        "collect.info_schema.tablestats",
        "If running with userstat=1, set to true to collect table statistics",
    ),
    min: 5.1,
    flags: &[],
    needs: Right::Process,
    build: |_| {
        Box::new(Userstat {
            sql: "SELECT TABLE_SCHEMA,TABLE_NAME,ROWS_READ,ROWS_CHANGED,ROWS_CHANGED_X_INDEXES \
                  FROM information_schema.TABLE_STATISTICS",
            row: |cells, out| emit(cells, &[("schema", cells.text(0)), ("table", cells.text(1))], 2, METRICS, out),
        })
    },
};

const METRICS: &[Metric] = &[
    Metric(
        Desc::counter("mysql_info_schema_table_statistics_rows_read_total", "The number of rows read from the table."),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_table_statistics_rows_changed_total",
            "The number of rows changed in the table.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_table_statistics_rows_changed_x_indexes_total",
            "The number of rows changed in the table, multiplied by the number of indexes changed.",
        ),
        1.0,
    ),
];
