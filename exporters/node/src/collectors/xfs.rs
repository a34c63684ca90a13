//! XFS runtime statistics of each mounted file system, from `/sys/fs/xfs/<device>/stats/stats`
//! (`Documentation/admin-guide/xfs.rst`, `fs/xfs/xfs_stats.h`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFiles, scan};

/// Registers the collector.
pub(crate) const XFS: Entry = Entry {
    name: "xfs",
    default: Default::On,
    about: "operation counts of each XFS file system, from /sys/fs/xfs/*/stats/stats",
    flags: &[],
    build: |_, sources| Ok(Box::new(Xfs { files: sources.kept_files() })),
};

struct Xfs {
    files: KeptFiles,
}

impl Collector for Xfs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("fs/xfs");
        let devices = match root.entries() {
            // The module is not loaded: no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            devices => devices?,
        };
        let files = self.files.round();
        let mut result = Ok(());
        // `stats` and `debug` stand beside the devices.
        for device in devices.iter().filter(|d| !matches!(*d, b"stats" | b"debug")) {
            match files.read(&root.child(device).join("stats/stats"), cx.buf) {
                Ok(text) => emit(text, device, out),
                // Unmounted since the listing, or a folder that the kernel has beside the devices.
                Err(e) if e.is_absent() => {}
                Err(e) => result = Err(e.into()),
            }
        }
        result
    }
}

/// Families whose row the kernel does not write have the value 0, as upstream has it.
fn emit(text: &[u8], device: &[u8], out: &mut Part) {
    let mut values = [0; FAMILIES.len()];
    for line in scan::lines(text) {
        let mut fields = scan::fields(line);
        let Some(row) = fields.next() else { continue };
        for (column, number) in fields.map(scan::u64).enumerate() {
            for (value, _) in values
                .iter_mut()
                .zip(&FAMILIES)
                .filter(|(_, (_, r, c))| r.as_bytes() == row && usize::from(*c) == column)
            {
                *value = number.unwrap_or(0);
            }
        }
    }
    for ((desc, _, _), value) in FAMILIES.iter().zip(values) {
        out.family(desc).sample(&[("device", device)], value);
    }
}

macro_rules! total {
    ($name:literal, $help:literal) => {
        Desc::counter(concat!("node_xfs_", $name, "_total"), $help)
    };
}

/// Family, row and column of the kernel's table.
const FAMILIES: [(Desc, &str, u8); 39] = [
    (total!("extent_allocation_extents_allocated", "Number of extents allocated for a filesystem."), "extent_alloc", 0),
    (total!("extent_allocation_blocks_allocated", "Number of blocks allocated for a filesystem."), "extent_alloc", 1),
    (total!("extent_allocation_extents_freed", "Number of extents freed for a filesystem."), "extent_alloc", 2),
    (total!("extent_allocation_blocks_freed", "Number of blocks freed for a filesystem."), "extent_alloc", 3),
    (total!("allocation_btree_lookups", "Number of allocation B-tree lookups for a filesystem."), "abt", 0),
    (total!("allocation_btree_compares", "Number of allocation B-tree compares for a filesystem."), "abt", 1),
    (
        total!("allocation_btree_records_inserted", "Number of allocation B-tree records inserted for a filesystem."),
        "abt",
        2,
    ),
    (
        total!("allocation_btree_records_deleted", "Number of allocation B-tree records deleted for a filesystem."),
        "abt",
        3,
    ),
    (total!("block_mapping_reads", "Number of block map for read operations for a filesystem."), "blk_map", 0),
    (total!("block_mapping_writes", "Number of block map for write operations for a filesystem."), "blk_map", 1),
    (total!("block_mapping_unmaps", "Number of block unmaps (deletes) for a filesystem."), "blk_map", 2),
    (
        total!("block_mapping_extent_list_insertions", "Number of extent list insertions for a filesystem."),
        "blk_map",
        3,
    ),
    (total!("block_mapping_extent_list_deletions", "Number of extent list deletions for a filesystem."), "blk_map", 4),
    (total!("block_mapping_extent_list_lookups", "Number of extent list lookups for a filesystem."), "blk_map", 5),
    (total!("block_mapping_extent_list_compares", "Number of extent list compares for a filesystem."), "blk_map", 6),
    (total!("block_map_btree_lookups", "Number of block map B-tree lookups for a filesystem."), "bmbt", 0),
    (total!("block_map_btree_compares", "Number of block map B-tree compares for a filesystem."), "bmbt", 1),
    (
        total!("block_map_btree_records_inserted", "Number of block map B-tree records inserted for a filesystem."),
        "bmbt",
        2,
    ),
    (
        total!("block_map_btree_records_deleted", "Number of block map B-tree records deleted for a filesystem."),
        "bmbt",
        3,
    ),
    (
        total!(
            "directory_operation_lookup",
            "Number of file name directory lookups which miss the operating systems directory name lookup cache."
        ),
        "dir",
        0,
    ),
    (
        total!("directory_operation_create", "Number of times a new directory entry was created for a filesystem."),
        "dir",
        1,
    ),
    (
        total!(
            "directory_operation_remove",
            "Number of times an existing directory entry was created for a filesystem."
        ),
        "dir",
        2,
    ),
    (
        total!(
            "directory_operation_getdents",
            "Number of times the directory getdents operation was performed for a filesystem."
        ),
        "dir",
        3,
    ),
    (total!("inode_operation_attempts", "Number of times the OS looked for an XFS inode in the inode cache."), "ig", 0),
    (
        total!("inode_operation_found", "Number of times the OS looked for and found an XFS inode in the inode cache."),
        "ig",
        1,
    ),
    (
        total!(
            "inode_operation_recycled",
            "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled."
        ),
        "ig",
        2,
    ),
    (
        total!(
            "inode_operation_missed",
            "Number of times the OS looked for an XFS inode in the cache, but did not find it."
        ),
        "ig",
        3,
    ),
    (
        total!(
            "inode_operation_duplicates",
            "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process."
        ),
        "ig",
        4,
    ),
    (
        total!(
            "inode_operation_reclaims",
            "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose."
        ),
        "ig",
        5,
    ),
    (
        total!(
            "inode_operation_attribute_changes",
            "Number of times the OS explicitly changed the attributes of an XFS inode."
        ),
        "ig",
        6,
    ),
    // The kernel writes writes before reads (`xs_write_calls`, `xs_read_calls`).
    (total!("read_calls", "Number of read(2) system calls made to files in a filesystem."), "rw", 1),
    (total!("write_calls", "Number of write(2) system calls made to files in a filesystem."), "rw", 0),
    (total!("vnode_active", "Number of vnodes not on free lists for a filesystem."), "vnodes", 0),
    (total!("vnode_allocate", "Number of times vn_alloc called for a filesystem."), "vnodes", 1),
    (total!("vnode_get", "Number of times vn_get called for a filesystem."), "vnodes", 2),
    (total!("vnode_hold", "Number of times vn_hold called for a filesystem."), "vnodes", 3),
    (total!("vnode_release", "Number of times vn_rele called for a filesystem."), "vnodes", 4),
    (total!("vnode_reclaim", "Number of times vn_reclaim called for a filesystem."), "vnodes", 5),
    (total!("vnode_remove", "Number of times vn_remove called for a filesystem."), "vnodes", 6),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_device() {
        let tree = Tree::of(&[
            ("sys/fs/xfs/stats/stats", b"extent_alloc 9 9 9 9\n"),
            (
                "sys/fs/xfs/sda1/stats/stats",
                b"extent_alloc 1 872 0 0\nabt 0 0 0 0\nblk_map 61 29 1 1 1 91 0\nbmbt 0 0 0 0\ndir 3 2 1 52\n\
                  trans 4 40 0\nig 5 1 0 4 0 0 1\nrw 28 7\nvnodes 4 0 0 0 1 1 1 0\nxpc 3571712 3568056 0\nnew_row 1\n",
            ),
        ]);
        let (text, result) = exporter::testing::collect(&XFS, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(samples.len(), 39);
        for sample in [
            "node_xfs_extent_allocation_blocks_allocated_total{device=\"sda1\"} 872",
            "node_xfs_block_mapping_extent_list_lookups_total{device=\"sda1\"} 91",
            "node_xfs_directory_operation_getdents_total{device=\"sda1\"} 52",
            "node_xfs_inode_operation_missed_total{device=\"sda1\"} 4",
            "node_xfs_write_calls_total{device=\"sda1\"} 28",
            "node_xfs_read_calls_total{device=\"sda1\"} 7",
            "node_xfs_vnode_remove_total{device=\"sda1\"} 1",
        ] {
            assert!(samples.contains(&sample), "{sample} is not in {text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut out = Part::new();
            emit(&bytes, b"sda1", &mut out);
            prop_assert_eq!(out.len(), 39);
        }
    }
}
