//! Memory use, from `/proc/meminfo` (`Documentation/filesystems/proc.rst`, `fs/proc/meminfo.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const MEMINFO: Entry = Entry {
    name: "meminfo",
    default: Default::On,
    about: "memory use by kind, from /proc/meminfo",
    flags: &[],
    build: |_, sources| Ok(Box::new(Meminfo { file: sources.kept_proc("meminfo") })),
};

struct Meminfo {
    file: KeptFile,
}

impl Collector for Meminfo {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf)?;
        // The table is in the kernel's order: what is looked for is mostly next.
        let mut next = 0;
        for line in scan::lines(text) {
            let row = parse_line(line).ok_or_else(|| {
                let path = self.file.path().display();
                CollectError::failed(format!("{path}: no field, number and unit kB: {:?}", scan::lossy(line)))
            })?;
            let is = |(field, _): &(&str, Desc)| field.as_bytes() == row.field;
            let found = if FIELDS.get(next).is_some_and(is) { Some(next) } else { FIELDS.iter().position(is) };
            if let Some(at) = found {
                out.family(&FIELDS[at].1).sample(&[], row.bytes);
                next = at + 1;
            }
        }
        Ok(())
    }
}

struct Row<'a> {
    field: &'a [u8],
    bytes: u64,
}

/// `MemTotal:  16042172 kB`; counts of huge pages have no unit.
fn parse_line(line: &[u8]) -> Option<Row<'_>> {
    let (field, rest) = scan::key_value(line, b':')?;
    let mut rest = scan::fields(rest);
    let number = scan::u64(rest.next()?)?;
    let bytes = match rest.next() {
        None => number,
        Some(b"kB") => number.saturating_mul(1024),
        Some(_) => return None,
    };
    Some(Row { field, bytes })
}

macro_rules! fields {
    ($($field:literal => $name:literal,)*) => {
        &[$(($field, Desc::gauge(concat!("node_memory_", $name), concat!("Memory information field ", $name, ".")))),*]
    };
}

/// The fields that node_exporter shows, in the kernel's order.
const FIELDS: &[(&str, Desc)] = fields! {
    "MemTotal" => "MemTotal_bytes",
    "MemFree" => "MemFree_bytes",
    "MemAvailable" => "MemAvailable_bytes",
    "Buffers" => "Buffers_bytes",
    "Cached" => "Cached_bytes",
    "SwapCached" => "SwapCached_bytes",
    "Active" => "Active_bytes",
    "Inactive" => "Inactive_bytes",
    "Active(anon)" => "Active_anon_bytes",
    "Inactive(anon)" => "Inactive_anon_bytes",
    "Active(file)" => "Active_file_bytes",
    "Inactive(file)" => "Inactive_file_bytes",
    "Unevictable" => "Unevictable_bytes",
    "Mlocked" => "Mlocked_bytes",
    "SwapTotal" => "SwapTotal_bytes",
    "SwapFree" => "SwapFree_bytes",
    "Zswap" => "Zswap_bytes",
    "Zswapped" => "Zswapped_bytes",
    "Dirty" => "Dirty_bytes",
    "Writeback" => "Writeback_bytes",
    "AnonPages" => "AnonPages_bytes",
    "Mapped" => "Mapped_bytes",
    "Shmem" => "Shmem_bytes",
    "Slab" => "Slab_bytes",
    "SReclaimable" => "SReclaimable_bytes",
    "SUnreclaim" => "SUnreclaim_bytes",
    "KernelStack" => "KernelStack_bytes",
    "PageTables" => "PageTables_bytes",
    "NFS_Unstable" => "NFS_Unstable_bytes",
    "Bounce" => "Bounce_bytes",
    "WritebackTmp" => "WritebackTmp_bytes",
    "CommitLimit" => "CommitLimit_bytes",
    "Committed_AS" => "Committed_AS_bytes",
    "VmallocTotal" => "VmallocTotal_bytes",
    "VmallocUsed" => "VmallocUsed_bytes",
    "VmallocChunk" => "VmallocChunk_bytes",
    "Percpu" => "Percpu_bytes",
    "HardwareCorrupted" => "HardwareCorrupted_bytes",
    "AnonHugePages" => "AnonHugePages_bytes",
    "ShmemHugePages" => "ShmemHugePages_bytes",
    "ShmemPmdMapped" => "ShmemPmdMapped_bytes",
    "CmaTotal" => "CmaTotal_bytes",
    "CmaFree" => "CmaFree_bytes",
    "HugePages_Total" => "HugePages_Total",
    "HugePages_Free" => "HugePages_Free",
    "HugePages_Rsvd" => "HugePages_Rsvd",
    "HugePages_Surp" => "HugePages_Surp",
    "Hugepagesize" => "Hugepagesize_bytes",
    "DirectMap4k" => "DirectMap4k_bytes",
    "DirectMap2M" => "DirectMap2M_bytes",
    "DirectMap1G" => "DirectMap1G_bytes",
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn collect(text: &[u8]) -> (String, Result<(), CollectError>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/meminfo"), text).unwrap();
        exporter::testing::collect(&MEMINFO, &[], &hostfs::Sources::under(dir.path()))
    }

    #[test]
    fn units_counts_and_unknown_fields() {
        let (text, result) = collect(
            b"MemTotal:       3831959 kB\nActive(anon):          0 kB\nHugePages_Total:       7\nNewOne: 3 kB\n",
        );
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_memory_Active_anon_bytes Memory information field Active_anon_bytes.\n\
             # TYPE node_memory_Active_anon_bytes gauge\nnode_memory_Active_anon_bytes 0\n\
             # HELP node_memory_HugePages_Total Memory information field HugePages_Total.\n\
             # TYPE node_memory_HugePages_Total gauge\nnode_memory_HugePages_Total 7\n\
             # HELP node_memory_MemTotal_bytes Memory information field MemTotal_bytes.\n\
             # TYPE node_memory_MemTotal_bytes gauge\nnode_memory_MemTotal_bytes 3.923926016e+09\n"
        );
    }

    #[test]
    fn a_broken_line_keeps_what_came_before() {
        let (text, result) = collect(b"MemFree: 1 kB\nMemTotal: many kB\n");
        assert!(text.ends_with("node_memory_MemFree_bytes 1024\n"), "{text}");
        let error = result.unwrap_err().to_string();
        assert!(error.contains("proc/meminfo") && error.contains("many"), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for line in scan::lines(&bytes) {
                parse_line(line);
            }
        }
    }
}
