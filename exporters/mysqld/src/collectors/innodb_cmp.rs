//! `info_schema.innodb_cmp`: compression of InnoDB pages, by page size.

use super::grid::{Grid, Metric};
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.innodb_cmp",
    switch: Flag::switch_on("collect.info_schema.innodb_cmp", "Collect metrics from information_schema.innodb_cmp"),
    min: 5.5,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Grid { sql: SQL, labels: &["page_size"], metrics: METRICS }),
};

const SQL: &str = "SELECT page_size,compress_ops,compress_ops_ok,compress_time,uncompress_ops,uncompress_time FROM information_schema.INNODB_CMP";
const METRICS: &[Metric] = &[
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmp_compress_ops_total",
            "Number of times a B-tree page of the size PAGE_SIZE has been compressed.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmp_compress_ops_ok_total",
            "Number of times a B-tree page of the size PAGE_SIZE has been successfully compressed.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmp_compress_time_seconds_total",
            "Total time in seconds spent in attempts to compress B-tree pages.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmp_uncompress_ops_total",
            "Number of times a B-tree page of the size PAGE_SIZE has been uncompressed.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmp_uncompress_time_seconds_total",
            "Total time in seconds spent in uncompressing B-tree pages.",
        ),
        1.0,
    ),
];
