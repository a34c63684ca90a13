//! `info_schema.schemastats`: rows read and changed, by schema.

use super::grid::{Metric, emit};
use super::userstat::Userstat;
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.schemastats",
    switch: Flag::switch(
        "collect.info_schema.schemastats",
        "If running with userstat=1, set to true to collect schema statistics",
    ),
    min: 5.1,
    flags: &[],
    needs: Right::Process,
    build: |_| {
        Box::new(Userstat {
            sql: "SELECT TABLE_SCHEMA,SUM(ROWS_READ),SUM(ROWS_CHANGED),SUM(ROWS_CHANGED_X_INDEXES) \
                  FROM information_schema.TABLE_STATISTICS GROUP BY TABLE_SCHEMA",
            row: |cells, out| emit(cells, &[("schema", cells.text(0))], 1, METRICS, out),
        })
    },
};

const METRICS: &[Metric] = &[
    Metric(
        Desc::counter(
            "mysql_info_schema_schema_statistics_rows_read_total",
            "The number of rows read from the schema.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_schema_statistics_rows_changed_total",
            "The number of rows changed in the schema.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_schema_statistics_rows_changed_x_indexes_total",
            "The number of rows changed in the schema, multiplied by the number of indexes changed.",
        ),
        1.0,
    ),
];
