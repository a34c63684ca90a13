//! `perf_schema.tablelocks`: waits for table locks, by table.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.tablelocks",
    switch: Flag::switch(
        "collect.perf_schema.tablelocks",
        "Collect metrics from performance_schema.table_lock_waits_summary_by_table",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let (schema, name) = (cells.text(0), cells.text(1));
    for column in 2..2 + 2 * OPERATIONS.len() {
        cells.count(column)?;
    }
    for (i, (operation, external)) in OPERATIONS.iter().enumerate() {
        let labels = [("name", name), ("operation", operation.as_bytes()), ("schema", schema)];
        let (count, seconds) = if *external { (&EXTERNAL, &EXTERNAL_SECONDS) } else { (&SQL_LOCK, &SQL_LOCK_SECONDS) };
        out.family(count).sample(&labels, cells.count(2 + i)?);
        out.family(seconds).sample(&labels, cells.picoseconds(2 + OPERATIONS.len() + i)?);
    }
    Ok(())
}

/// In the order of the columns: what kind of lock, and whether the storage engine's.
const OPERATIONS: [(&str, bool); 10] = [
    ("read_normal", false),
    ("read_with_shared_locks", false),
    ("read_high_priority", false),
    ("read_no_insert", false),
    ("write_normal", false),
    ("write_allow_write", false),
    ("write_concurrent_insert", false),
    ("write_low_priority", false),
    ("read", true),
    ("write", true),
];
const SQL: &str = "SELECT OBJECT_SCHEMA,OBJECT_NAME,\
    COUNT_READ_NORMAL,COUNT_READ_WITH_SHARED_LOCKS,COUNT_READ_HIGH_PRIORITY,COUNT_READ_NO_INSERT,COUNT_WRITE_NORMAL,COUNT_WRITE_ALLOW_WRITE,COUNT_WRITE_CONCURRENT_INSERT,COUNT_WRITE_LOW_PRIORITY,COUNT_READ_EXTERNAL,COUNT_WRITE_EXTERNAL,\
    SUM_TIMER_READ_NORMAL,SUM_TIMER_READ_WITH_SHARED_LOCKS,SUM_TIMER_READ_HIGH_PRIORITY,SUM_TIMER_READ_NO_INSERT,SUM_TIMER_WRITE_NORMAL,SUM_TIMER_WRITE_ALLOW_WRITE,SUM_TIMER_WRITE_CONCURRENT_INSERT,SUM_TIMER_WRITE_LOW_PRIORITY,SUM_TIMER_READ_EXTERNAL,SUM_TIMER_WRITE_EXTERNAL \
    FROM performance_schema.table_lock_waits_summary_by_table \
    WHERE OBJECT_SCHEMA NOT IN ('mysql','performance_schema','information_schema')";
const SQL_LOCK: Desc = Desc::counter(
    "mysql_perf_schema_sql_lock_waits_total",
    "The total number of SQL lock wait events for each table and operation.",
);
const SQL_LOCK_SECONDS: Desc = Desc::counter(
    "mysql_perf_schema_sql_lock_waits_seconds_total",
    "The total time of SQL lock wait events for each table and operation.",
);
const EXTERNAL: Desc = Desc::counter(
    "mysql_perf_schema_external_lock_waits_total",
    "The total number of external lock wait events for each table and operation.",
);
const EXTERNAL_SECONDS: Desc = Desc::counter(
    "mysql_perf_schema_external_lock_waits_seconds_total",
    "The total time of external lock wait events for each table and operation.",
);
