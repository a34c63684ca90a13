//! `perf_schema.tableiowaits`: waits for table operations, by table.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.tableiowaits",
    switch: Flag::switch(
        "collect.perf_schema.tableiowaits",
        "Collect metrics from performance_schema.table_io_waits_summary_by_table",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let (schema, name) = (cells.text(0), cells.text(1));
    let count = [cells.count(2)?, cells.count(3)?, cells.count(4)?, cells.count(5)?];
    let time = [cells.picoseconds(6)?, cells.picoseconds(7)?, cells.picoseconds(8)?, cells.picoseconds(9)?];
    for (i, operation) in ["fetch", "insert", "update", "delete"].into_iter().enumerate() {
        let labels = [("name", name), ("operation", operation.as_bytes()), ("schema", schema)];
        out.family(&COUNT).sample(&labels, count[i]);
        out.family(&SECONDS).sample(&labels, time[i]);
    }
    Ok(())
}

const SQL: &str = "SELECT OBJECT_SCHEMA,OBJECT_NAME,COUNT_FETCH,COUNT_INSERT,COUNT_UPDATE,COUNT_DELETE,\
    SUM_TIMER_FETCH,SUM_TIMER_INSERT,SUM_TIMER_UPDATE,SUM_TIMER_DELETE \
    FROM performance_schema.table_io_waits_summary_by_table \
    WHERE OBJECT_SCHEMA NOT IN ('mysql','performance_schema')";
const COUNT: Desc = Desc::counter(
    "mysql_perf_schema_table_io_waits_total",
    "The total number of table I/O wait events for each table and operation.",
);
const SECONDS: Desc = Desc::counter(
    "mysql_perf_schema_table_io_waits_seconds_total",
    "The total time of table I/O wait events for each table and operation.",
);
