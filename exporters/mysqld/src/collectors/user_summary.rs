//! `sys.user_summary`: what each user has done, from the sys schema.

use super::grid::{Grid, Metric, PICO};
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "sys.user_summary",
    switch: Flag::switch(
        "collect.sys.user_summary",
        "Collect per user metrics from sys.x$user_summary. See https://dev.mysql.com/doc/refman/8.0/en/sys-user-summary.html for details",
    ),
    min: 5.7,
    flags: &[],
    needs: Right::Select("sys.*, performance_schema.*"),
    build: |_| Box::new(Grid { sql: SQL, labels: &["user"], metrics: METRICS }),
};

const SQL: &str = "SELECT user,statements,statement_latency,table_scans,file_ios,file_io_latency,current_connections,total_connections,unique_hosts,current_memory,total_memory_allocated FROM sys.`x$user_summary`";
const METRICS: &[Metric] = &[
    Metric(Desc::counter("mysql_sys_statements_total", " The total number of statements for the user"), 1.0),
    Metric(Desc::counter("mysql_sys_statement_latency", "The total wait time of timed statements for the user"), PICO),
    Metric(Desc::counter("mysql_sys_table_scans_total", "The total number of table scans for the user"), 1.0),
    Metric(Desc::counter("mysql_sys_file_ios_total", "The total number of file I/O events for the user"), 1.0),
    Metric(
        Desc::counter("mysql_sys_file_io_seconds_total", "The total wait time of timed file I/O events for the user"),
        PICO,
    ),
    Metric(Desc::gauge("mysql_sys_current_connections", "The current number of connections for the user"), 1.0),
    Metric(Desc::counter("mysql_sys_connections_total", "The total number of connections for the user"), 1.0),
    Metric(
        Desc::counter(
            "mysql_sys_unique_hosts_total",
            "The number of distinct hosts from which connections for the user have originated",
        ),
        1.0,
    ),
    Metric(Desc::gauge("mysql_sys_current_memory_bytes", "The current amount of allocated memory for the user"), 1.0),
    Metric(
        Desc::counter("mysql_sys_memory_allocated_bytes_total", "The total amount of allocated memory for the user"),
        1.0,
    ),
];
