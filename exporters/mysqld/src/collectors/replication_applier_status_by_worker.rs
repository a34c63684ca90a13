//! `perf_schema.replication_applier_status_by_worker`: when each applier worker did what.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use crate::reading::timestamp;
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.replication_applier_status_by_worker",
    switch: Flag::switch(
        "collect.perf_schema.replication_applier_status_by_worker",
        "Collect metrics from performance_schema.replication_applier_status_by_worker",
    ),
    min: 8.0,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let labels = [("channel_name", cells.text(0)), ("member_id", cells.get(1).ok_or(Odd)?)];
    for (i, desc) in TIMES.iter().enumerate() {
        // All zeros stand for "never".
        out.family(desc).sample(&labels, timestamp(cells.text(2 + i)).unwrap_or(0.0));
    }
    Ok(())
}

const SQL: &str = "SELECT CHANNEL_NAME,WORKER_ID,\
    LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP,\
    LAST_APPLIED_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP,\
    LAST_APPLIED_TRANSACTION_START_APPLY_TIMESTAMP,\
    LAST_APPLIED_TRANSACTION_END_APPLY_TIMESTAMP,\
    APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP,\
    APPLYING_TRANSACTION_IMMEDIATE_COMMIT_TIMESTAMP,\
    APPLYING_TRANSACTION_START_APPLY_TIMESTAMP \
    FROM performance_schema.replication_applier_status_by_worker";
const TIMES: [Desc; 7] = [
    Desc::gauge(
        "mysql_perf_schema_last_applied_transaction_original_commit_timestamp_seconds",
        "A timestamp shows when the last transaction applied by this worker was committed on the original master.",
    ),
    Desc::gauge(
        "mysql_perf_schema_last_applied_transaction_immediate_commit_timestamp_seconds",
        "A timestamp shows when the last transaction applied by this worker was committed on the immediate master.",
    ),
    Desc::gauge(
        "mysql_perf_schema_last_applied_transaction_start_apply_timestamp_seconds",
        "A timestamp shows when this worker started applying the last applied transaction.",
    ),
    Desc::gauge(
        "mysql_perf_schema_last_applied_transaction_end_apply_timestamp_seconds",
        "A shows when this worker finished applying the last applied transaction.",
    ),
    Desc::gauge(
        "mysql_perf_schema_applying_transaction_original_commit_timestamp_seconds",
        "A timestamp that shows when the transaction this worker is currently applying was committed on the original master.",
    ),
    Desc::gauge(
        "mysql_perf_schema_applying_transaction_immediate_commit_timestamp_seconds",
        "A timestamp shows when the transaction this worker is currently applying was committed on the immediate master.",
    ),
    Desc::gauge(
        "mysql_perf_schema_applying_transaction_start_apply_timestamp_seconds",
        "A timestamp shows when this worker started its first attempt to apply the transaction that is currently being applied.",
    ),
];
