//! `info_schema.rocksdb_perf_context`: MyRocks' counters, by table and partition.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.rocksdb_perf_context",
    switch: Flag::switch(
        "collect.info_schema.rocksdb_perf_context",
        "Collect RocksDB metrics from information_schema.ROCKSDB_PERF_CONTEXT.",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let known = STATS.iter().find(|(name, _)| cells.text(3).eq_ignore_ascii_case(name.as_bytes()));
    if let Some((_, desc)) = known {
        let labels = [("part", cells.text(2)), ("schema", cells.text(0)), ("table", cells.text(1))];
        out.family(desc).sample(&labels, cells.count(4)?);
    }
    Ok(())
}

const SQL: &str =
    "SELECT TABLE_SCHEMA,TABLE_NAME,PARTITION_NAME,STAT_TYPE,VALUE FROM information_schema.ROCKSDB_PERF_CONTEXT";
const STATS: [(&str, Desc); 23] = [
    (
        "user_key_comparison_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_user_key_comparison_count",
            "RocksDB perf context counter USER_KEY_COMPARISON_COUNT.",
        ),
    ),
    (
        "block_cache_hit_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_block_cache_hit_count",
            "RocksDB perf context counter BLOCK_CACHE_HIT_COUNT.",
        ),
    ),
    (
        "block_read_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_block_read_count",
            "RocksDB perf context counter BLOCK_READ_COUNT.",
        ),
    ),
    (
        "block_read_byte",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_block_read_byte",
            "RocksDB perf context counter BLOCK_READ_BYTE.",
        ),
    ),
    (
        "get_read_bytes",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_get_read_bytes",
            "RocksDB perf context counter GET_READ_BYTES.",
        ),
    ),
    (
        "multiget_read_bytes",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_multiget_read_bytes",
            "RocksDB perf context counter MULTIGET_READ_BYTES.",
        ),
    ),
    (
        "iter_read_bytes",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_iter_read_bytes",
            "RocksDB perf context counter ITER_READ_BYTES.",
        ),
    ),
    (
        "internal_key_skipped_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_internal_key_skipped_count",
            "RocksDB perf context counter INTERNAL_KEY_SKIPPED_COUNT.",
        ),
    ),
    (
        "internal_delete_skipped_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_internal_delete_skipped_count",
            "RocksDB perf context counter INTERNAL_DELETE_SKIPPED_COUNT.",
        ),
    ),
    (
        "internal_recent_skipped_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_internal_recent_skipped_count",
            "RocksDB perf context counter INTERNAL_RECENT_SKIPPED_COUNT.",
        ),
    ),
    (
        "internal_merge_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_internal_merge_count",
            "RocksDB perf context counter INTERNAL_MERGE_COUNT.",
        ),
    ),
    (
        "get_from_memtable_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_get_from_memtable_count",
            "RocksDB perf context counter GET_FROM_MEMTABLE_COUNT.",
        ),
    ),
    (
        "seek_on_memtable_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_seek_on_memtable_count",
            "RocksDB perf context counter SEEK_ON_MEMTABLE_COUNT.",
        ),
    ),
    (
        "next_on_memtable_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_next_on_memtable_count",
            "RocksDB perf context counter NEXT_ON_MEMTABLE_COUNT.",
        ),
    ),
    (
        "prev_on_memtable_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_prev_on_memtable_count",
            "RocksDB perf context counter PREV_ON_MEMTABLE_COUNT.",
        ),
    ),
    (
        "seek_child_seek_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_seek_child_seek_count",
            "RocksDB perf context counter SEEK_CHILD_SEEK_COUNT.",
        ),
    ),
    (
        "bloom_memtable_hit_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_bloom_memtable_hit_count",
            "RocksDB perf context counter BLOOM_MEMTABLE_HIT_COUNT.",
        ),
    ),
    (
        "bloom_memtable_miss_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_bloom_memtable_miss_count",
            "RocksDB perf context counter BLOOM_MEMTABLE_MISS_COUNT.",
        ),
    ),
    (
        "bloom_sst_hit_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_bloom_sst_hit_count",
            "RocksDB perf context counter BLOOM_SST_HIT_COUNT.",
        ),
    ),
    (
        "bloom_sst_miss_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_bloom_sst_miss_count",
            "RocksDB perf context counter BLOOM_SST_MISS_COUNT.",
        ),
    ),
    (
        "key_lock_wait_count",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_key_lock_wait_count",
            "RocksDB perf context counter KEY_LOCK_WAIT_COUNT.",
        ),
    ),
    (
        "io_bytes_written",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_io_bytes_written",
            "RocksDB perf context counter IO_BYTES_WRITTEN.",
        ),
    ),
    (
        "io_bytes_read",
        Desc::counter(
            "mysql_info_schema_rocksdb_perf_context_io_bytes_read",
            "RocksDB perf context counter IO_BYTES_READ.",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};
    use crate::server::Server;

    #[test]
    fn known_counters_are_shown() {
        let table = Table { sql: |_| SQL, row };
        let rows: &[&[Option<&str>]] = &[
            &[Some("s"), Some("t"), None, Some("BLOCK_READ_BYTE"), Some("7")],
            &[Some("s"), Some("t"), None, Some("SOMETHING_NEW"), Some("8")],
        ];
        assert_eq!(
            play(&table, &Server::new("10.11.6-MariaDB", ""), &[Rows(&[""; 5], rows)]).1,
            "mysql_info_schema_rocksdb_perf_context_block_read_byte{part=\"\",schema=\"s\",table=\"t\"} 7\n"
        );
    }
}
