//! `info_schema.innodb_cmpmem`: compressed pages in the buffer pool.

use super::grid::{Grid, Metric};
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.innodb_cmpmem",
    switch: Flag::switch_on(
        "collect.info_schema.innodb_cmpmem",
        "Collect metrics from information_schema.innodb_cmpmem",
    ),
    min: 5.5,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Grid { sql: SQL, labels: &["buffer_pool", "page_size"], metrics: METRICS }),
};

const SQL: &str = "SELECT buffer_pool_instance,page_size,pages_used,pages_free,relocation_ops,relocation_time FROM information_schema.INNODB_CMPMEM";
const METRICS: &[Metric] = &[
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmpmem_pages_used_total",
            "Number of blocks of the size PAGE_SIZE that are currently in use.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmpmem_pages_free_total",
            "Number of blocks of the size PAGE_SIZE that are currently available for allocation.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmpmem_relocation_ops_total",
            "Number of times a block of the size PAGE_SIZE has been relocated.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_info_schema_innodb_cmpmem_relocation_time_seconds_total",
            "Total time in seconds spent in relocating blocks.",
        ),
        1000.0,
    ),
];
