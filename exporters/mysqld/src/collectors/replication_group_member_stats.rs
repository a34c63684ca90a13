//! `perf_schema.replication_group_member_stats`: this member's transactions in group replication.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Kind, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.replication_group_member_stats",
    switch: Flag::switch(
        "collect.perf_schema.replication_group_member_stats",
        "Collect metrics from performance_schema.replication_group_member_stats",
    ),
    min: 5.7,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let mut odd = Ok(());
    // Which columns there are differs from version to version.
    for (name, desc) in &COLUMNS {
        let Some(column) = cells.find(name) else { continue };
        match cells.number(column) {
            Ok(value) if desc.kind != Kind::Counter || value.as_f64() >= 0.0 => {
                out.family(desc).sample(&[], value);
            }
            _ => odd = Err(Odd),
        }
    }
    odd
}

const SQL: &str = "SELECT * FROM performance_schema.replication_group_member_stats WHERE MEMBER_ID=@@server_uuid";
const COLUMNS: [(&str, Desc); 8] = [
    (
        "COUNT_TRANSACTIONS_IN_QUEUE",
        Desc::gauge(
            "mysql_perf_schema_transactions_in_queue",
            "The number of transactions in the queue pending conflict detection checks.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_CHECKED",
        Desc::counter(
            "mysql_perf_schema_transactions_checked_total",
            "The number of transactions that have been checked for conflicts.",
        ),
    ),
    (
        "COUNT_CONFLICTS_DETECTED",
        Desc::counter(
            "mysql_perf_schema_conflicts_detected_total",
            "The number of transactions that have not passed the conflict detection check.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_ROWS_VALIDATING",
        Desc::counter(
            "mysql_perf_schema_transactions_rows_validating_total",
            "Number of transaction rows which can be used for certification, but have not been garbage collected.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_REMOTE_IN_APPLIER_QUEUE",
        Desc::gauge(
            "mysql_perf_schema_transactions_remote_in_applier_queue",
            "The number of transactions that this member has received from the replication group which are waiting to be applied.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_REMOTE_APPLIED",
        Desc::counter(
            "mysql_perf_schema_transactions_remote_applied_total",
            "Number of transactions this member has received from the group and applied.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_LOCAL_PROPOSED",
        Desc::counter(
            "mysql_perf_schema_transactions_local_proposed_total",
            "Number of transactions which originated on this member and were sent to the group.",
        ),
    ),
    (
        "COUNT_TRANSACTIONS_LOCAL_ROLLBACK",
        Desc::counter(
            "mysql_perf_schema_transactions_local_rollback_total",
            "Number of transactions which originated on this member and were rolled back by the group.",
        ),
    ),
];
