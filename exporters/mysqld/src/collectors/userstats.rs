//! `info_schema.userstats`: what each user has done, where the server keeps it (`userstat=1`).

use super::userstat::Userstat;
use super::userstat_columns::emit;
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.userstats",
    switch: Flag::switch(
        "collect.info_schema.userstats",
        "If running with userstat=1, set to true to collect user statistics",
    ),
    min: 5.1,
    flags: &[],
    needs: Right::Process,
    build: |_| {
        Box::new(Userstat {
            sql: "SELECT * FROM information_schema.USER_STATISTICS",
            row: |cells, out| emit(cells, "user", COLUMNS, out),
        })
    },
};

/// The apostrophes are upstream's.
const COLUMNS: &[(&str, Desc)] = &[
    (
        "TOTAL_CONNECTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_total_connections",
            "The number of connections created for this user.",
        ),
    ),
    (
        "CONCURRENT_CONNECTIONS",
        Desc::gauge(
            "mysql_info_schema_user_statistics_concurrent_connections",
            "The number of concurrent connections for this user.",
        ),
    ),
    (
        "CONNECTED_TIME",
        Desc::counter(
            "mysql_info_schema_user_statistics_connected_time_seconds_total",
            "The cumulative number of seconds elapsed while there were connections from this user.",
        ),
    ),
    (
        "BUSY_TIME",
        Desc::counter(
            "mysql_info_schema_user_statistics_busy_seconds_total",
            "The cumulative number of seconds there was activity on connections from this user.",
        ),
    ),
    (
        "CPU_TIME",
        Desc::counter(
            "mysql_info_schema_user_statistics_cpu_time_seconds_total",
            "The cumulative CPU time elapsed, in seconds, while servicing this user's connections.",
        ),
    ),
    (
        "BYTES_RECEIVED",
        Desc::counter(
            "mysql_info_schema_user_statistics_bytes_received_total",
            "The number of bytes received from this user’s connections.",
        ),
    ),
    (
        "BYTES_SENT",
        Desc::counter(
            "mysql_info_schema_user_statistics_bytes_sent_total",
            "The number of bytes sent to this user’s connections.",
        ),
    ),
    (
        "BINLOG_BYTES_WRITTEN",
        Desc::counter(
            "mysql_info_schema_user_statistics_binlog_bytes_written_total",
            "The number of bytes written to the binary log from this user’s connections.",
        ),
    ),
    (
        "ROWS_READ",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_read_total",
            "The number of rows read by this user's connections.",
        ),
    ),
    (
        "ROWS_SENT",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_sent_total",
            "The number of rows sent by this user's connections.",
        ),
    ),
    (
        "ROWS_DELETED",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_deleted_total",
            "The number of rows deleted by this user's connections.",
        ),
    ),
    (
        "ROWS_INSERTED",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_inserted_total",
            "The number of rows inserted by this user's connections.",
        ),
    ),
    (
        "ROWS_FETCHED",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_fetched_total",
            "The number of rows fetched by this user’s connections.",
        ),
    ),
    (
        "ROWS_UPDATED",
        Desc::counter(
            "mysql_info_schema_user_statistics_rows_updated_total",
            "The number of rows updated by this user’s connections.",
        ),
    ),
    (
        "TABLE_ROWS_READ",
        Desc::counter(
            "mysql_info_schema_user_statistics_table_rows_read_total",
            "The number of rows read from tables by this user’s connections.",
        ),
    ),
    (
        "SELECT_COMMANDS",
        Desc::counter(
            "mysql_info_schema_user_statistics_select_commands_total",
            "The number of SELECT commands executed from this user’s connections.",
        ),
    ),
    (
        "UPDATE_COMMANDS",
        Desc::counter(
            "mysql_info_schema_user_statistics_update_commands_total",
            "The number of UPDATE commands executed from this user’s connections.",
        ),
    ),
    (
        "OTHER_COMMANDS",
        Desc::counter(
            "mysql_info_schema_user_statistics_other_commands_total",
            "The number of other commands executed from this user’s connections.",
        ),
    ),
    (
        "COMMIT_TRANSACTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_commit_transactions_total",
            "The number of COMMIT commands issued by this user’s connections.",
        ),
    ),
    (
        "ROLLBACK_TRANSACTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_rollback_transactions_total",
            "The number of ROLLBACK commands issued by this user’s connections.",
        ),
    ),
    (
        "DENIED_CONNECTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_denied_connections_total",
            "The number of connections denied to this user.",
        ),
    ),
    (
        "LOST_CONNECTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_lost_connections_total",
            "The number of this user’s connections that were terminated uncleanly.",
        ),
    ),
    (
        "ACCESS_DENIED",
        Desc::counter(
            "mysql_info_schema_user_statistics_access_denied_total",
            "The number of times this user’s connections issued commands that were denied.",
        ),
    ),
    (
        "EMPTY_QUERIES",
        Desc::counter(
            "mysql_info_schema_user_statistics_empty_queries_total",
            "The number of times this user’s connections sent empty queries to the server.",
        ),
    ),
    (
        "TOTAL_SSL_CONNECTIONS",
        Desc::counter(
            "mysql_info_schema_user_statistics_total_ssl_connections_total",
            "The number of times this user’s connections connected using SSL to the server.",
        ),
    ),
];
