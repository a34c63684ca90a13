//! ZFS: the module's own statistics (ARC, dbufs, prefetch, intent log, …), pools and datasets, from
//! `/proc/spl/kstat/zfs` (OpenZFS `module/os/linux/spl/spl-kstat.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use exposition::Kind;
use hostfs::{File, scan};
use std::fmt::Write;

/// Registers the collector.
pub(crate) const ZFS: Entry = Entry {
    name: "zfs",
    default: Default::On,
    about: "ZFS cache, pool and dataset statistics, from /proc/spl/kstat/zfs",
    flags: &[],
    build: |_, _| Ok(Box::new(Zfs)),
};

/// Files of the module, with the family prefix of each. Which ones there are depends on the version of ZFS.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "node_zfs_abd_"),
    ("arcstats", "node_zfs_arc_"),
    ("dbufstats", "node_zfs_dbuf_"),
    ("dmu_tx", "node_zfs_dmu_tx_"),
    ("dnodestats", "node_zfs_dnode_"),
    ("fm", "node_zfs_fm_"),
    ("vdev_cache_stats", "node_zfs_vdev_cache_"),
    ("vdev_mirror_stats", "node_zfs_vdev_mirror_"),
    ("xuio_stats", "node_zfs_xuio_"),
    ("zfetchstats", "node_zfs_zfetch_"),
    ("zil", "node_zfs_zil_"),
];

const STATE: Desc = Desc::gauge("node_zfs_zpool_state", "kstat.zfs.misc.state");
const STATES: [&str; 7] = ["online", "degraded", "faulted", "offline", "removed", "unavail", "suspended"];

struct Zfs;

impl Collector for Zfs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.proc("spl/kstat/zfs");
        let names = root.entries().or_no_data()?;
        let mut families = Families { out, name: String::new(), help: String::new() };
        let mut result = Ok(());
        for name in names.iter() {
            if let Some((file, prefix)) = FILES.iter().find(|(file, _)| file.as_bytes() == name) {
                let path = root.child(name);
                let Ok(text) = path.read(cx.buf) else { continue };
                let Some(rows) = rows(text) else {
                    result = Err(no_table(&path));
                    continue;
                };
                for (key, value) in rows.filter_map(|row| number(&row, b"34")) {
                    families.sample(prefix, file, key, &[], value);
                }
            } else if !OTHER_FILES.contains(&name)
                && let Err(e) = pool(&root.child(name), name, cx, &mut families)
            {
                result = Err(e);
            }
        }
        result
    }
}

/// Files of the module that no family is made of: no need to try and list them as pools.
const OTHER_FILES: [&[u8]; 10] = [
    b"brtstats",
    b"chksum_bench",
    b"dbgmsg",
    b"dbufs",
    b"fletcher_4_bench",
    b"import_progress",
    b"metaslab_stats",
    b"qat",
    b"vdev_raidz_bench",
    b"dmu_recv",
];

/// A pool's folder. A pool that is exported meanwhile takes its files with it.
fn pool(dir: &File<'_>, pool: &[u8], cx: &mut Cx<'_>, families: &mut Families<'_>) -> Result<(), CollectError> {
    let names = match dir.entries() {
        Err(e) if e.is_absent() => return Ok(()),
        names => names?,
    };
    let mut result = Ok(());
    for name in names.iter() {
        let path = dir.child(name);
        match name {
            b"io" => {
                let Ok(text) = path.read(cx.buf) else { continue };
                for (key, value) in io(text) {
                    families.sample("node_zfs_zpool_", "io", key, &[("zpool", pool)], value);
                }
            }
            b"state" => {
                let Ok(text) = path.read_trimmed(cx.buf) else { continue };
                let mut family = families.out.family(&STATE);
                for state in STATES {
                    let labels: [(&str, &[u8]); 2] = [("state", state.as_bytes()), ("zpool", pool)];
                    family.sample(&labels, text.eq_ignore_ascii_case(state.as_bytes()));
                }
            }
            _ if name.starts_with(b"objset-") => {
                let Ok(text) = path.read(cx.buf) else { continue };
                match rows(text) {
                    Some(rows) => objset(rows, pool, families),
                    None => result = Err(no_table(&path)),
                }
            }
            _ => {}
        }
    }
    result
}

fn objset<'t>(rows: impl Iterator<Item = Row<'t>>, pool: &[u8], families: &mut Families<'_>) {
    let mut dataset: &[u8] = b"";
    for row in rows {
        if row.name == b"dataset_name" {
            dataset = row.data;
        } else if let Some((key, value)) = number(&row, b"4") {
            families.sample("node_zfs_zpool_dataset_", "objset", key, &[("dataset", dataset), ("zpool", pool)], value);
        }
    }
}

/// Families are named by the kernel's rows: two buffers hold name and help meanwhile.
struct Families<'a> {
    out: &'a mut Part,
    name: String,
    help: String,
}

impl Families<'_> {
    fn sample(&mut self, prefix: &str, file: &str, key: &[u8], labels: &[(&str, &[u8])], value: i128) {
        let key = scan::lossy(key);
        self.help.clear();
        self.name.clear();
        // Writing to a String does not fail.
        let _ = write!(self.help, "kstat.zfs.misc.{file}.{key}");
        let last = key.rsplit('.').next().unwrap_or_default();
        self.name.push_str(prefix);
        self.name.extend(last.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' }));
        self.out.family_named(&self.name, &self.help, Kind::Untyped).sample(labels, value as f64);
    }
}

struct Row<'t> {
    name: &'t [u8],
    kind: &'t [u8],
    /// The rest of the line: a dataset's name may hold blanks.
    data: &'t [u8],
}

/// The rows below `name type data`; `None` where there is no such line.
fn rows(text: &[u8]) -> Option<impl Iterator<Item = Row<'_>>> {
    let mut lines = scan::lines(text);
    lines.find(|line| scan::fields(line).eq([&b"name"[..], b"type", b"data"]))?;
    Some(lines.filter_map(|line| {
        let (name, rest) = word(line)?;
        let (kind, data) = word(rest)?;
        (!data.is_empty()).then_some(Row { name, kind, data })
    }))
}

/// The first field and what follows it.
fn word(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace)?;
    Some((&line[..end], line[end..].trim_ascii_start()))
}

/// Rows of one of the kinds (`KSTAT_DATA_INT64` is 3, `KSTAT_DATA_UINT64` is 4).
fn number<'t>(row: &Row<'t>, kinds: &[u8]) -> Option<(&'t [u8], i128)> {
    let [kind] = row.kind else { return None };
    if !kinds.contains(kind) {
        return None;
    }
    let value = scan::u64(row.data).map(i128::from).or_else(|| scan::i64(row.data).map(i128::from))?;
    Some((row.name, value))
}

/// A line of names and a line of numbers, as `kstat_io_t` is written.
fn io(text: &[u8]) -> impl Iterator<Item = (&[u8], i128)> {
    let mut lines = scan::lines(text);
    let names = lines.find(|line| scan::fields(line).next() == Some(b"nread")).unwrap_or_default();
    let values = lines.next().unwrap_or_default();
    scan::fields(names)
        .zip(scan::fields(values))
        .filter_map(|(name, value)| Some((name, i128::from(scan::u64(value)?))))
}

fn no_table(path: &File<'_>) -> CollectError {
    CollectError::failed(format!("parse {}: no line 'name type data'", path.path().display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const OBJSET: &[u8] = b"36 1 0x01 7 2160 5214787391 73405258558961\n\
        name                            type data\n\
        dataset_name                    7    pool1/my data\n\
        writes                          4    4\n\
        nunlinks                        3    7\n";

    #[test]
    fn module_pools_and_datasets() {
        let tree = Tree::of(&[
            (
                "proc/spl/kstat/zfs/arcstats",
                b"6 1 0x01 91 4368 5266997922 97951858082072\nname                            type data\n\
                  hits                            4    8772612\nmemory_available_bytes          3    -922337203685477580\n\
                  l2_cksum-bad                    4    0\nstring                          7    x\n",
            ),
            ("proc/spl/kstat/zfs/pool1/objset-0x1", OBJSET),
            ("proc/spl/kstat/zfs/pool1/state", b"DEGRADED\n"),
            (
                "proc/spl/kstat/zfs/pool1/io",
                b"12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads\n1884160  3206144  22\n",
            ),
        ]);
        let (text, result) = exporter::testing::collect(&ZFS, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_zfs_arc_hits 8.772612e+06",
                "node_zfs_arc_l2_cksum_bad 0",
                "node_zfs_arc_memory_available_bytes -9.223372036854776e+17",
                "node_zfs_zpool_dataset_writes{dataset=\"pool1/my data\",zpool=\"pool1\"} 4",
                "node_zfs_zpool_nread{zpool=\"pool1\"} 1.88416e+06",
                "node_zfs_zpool_nwritten{zpool=\"pool1\"} 3.206144e+06",
                "node_zfs_zpool_reads{zpool=\"pool1\"} 22",
                "node_zfs_zpool_state{state=\"degraded\",zpool=\"pool1\"} 1",
                "node_zfs_zpool_state{state=\"faulted\",zpool=\"pool1\"} 0",
                "node_zfs_zpool_state{state=\"offline\",zpool=\"pool1\"} 0",
                "node_zfs_zpool_state{state=\"online\",zpool=\"pool1\"} 0",
                "node_zfs_zpool_state{state=\"removed\",zpool=\"pool1\"} 0",
                "node_zfs_zpool_state{state=\"suspended\",zpool=\"pool1\"} 0",
                "node_zfs_zpool_state{state=\"unavail\",zpool=\"pool1\"} 0",
            ]
        );
        assert!(text.contains("# HELP node_zfs_arc_l2_cksum_bad kstat.zfs.misc.arcstats.l2_cksum-bad\n"));
        assert!(text.contains("# TYPE node_zfs_arc_hits untyped\n"));
    }

    #[test]
    fn a_file_that_is_no_table_fails_after_the_rest() {
        let tree = Tree::of(&[
            ("proc/spl/kstat/zfs/arcstats", b"nothing\n"),
            ("proc/spl/kstat/zfs/zil", b"name type data\nzil_commit_count 4 10\n"),
        ]);
        let (text, result) = exporter::testing::collect(&ZFS, &[], &tree.sources());
        assert!(text.ends_with("\nnode_zfs_zil_zil_commit_count 10\n"), "{text}");
        assert!(result.unwrap_err().to_string().contains("arcstats"));
    }

    #[test]
    fn no_module_is_no_data() {
        let tree = Tree::of(&[("proc/", b"")]);
        assert!(matches!(exporter::testing::collect(&ZFS, &[], &tree.sources()).1, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut out = Part::new();
            let mut families = Families { out: &mut out, name: String::new(), help: String::new() };
            let table = [b"name type data\n", &bytes[..]].concat();
            objset(rows(&table).expect("it has the line"), b"pool", &mut families);
            for row in rows(&table).expect("it has the line") {
                number(&row, b"34");
            }
            prop_assert!(rows(&bytes).is_none() || bytes.windows(4).any(|w| w == b"name"));
            io(&bytes).count();
        }
    }
}
