//! Memory merged by the kernel's samepage daemon, from `/sys/kernel/mm/ksm` (`Documentation/admin-guide/mm/ksm.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, ReadError, scan};

/// Registers the collector.
pub(crate) const KSMD: Entry = Entry {
    name: "ksmd",
    default: Default::Off,
    about: "pages merged and scanned by ksmd, from /sys/kernel/mm/ksm",
    flags: &[],
    build: |_, sources| {
        Ok(Box::new(Ksmd { files: FILES.map(|(file, _, _)| sources.kept_sys(format!("kernel/mm/ksm/{file}"))) }))
    },
};

/// The newest file: kernels before 6.4 lack it.
const GENERAL_PROFIT: &str = "general_profit";

/// File, family, unit.
const FILES: [(&str, Desc, f64); 10] = [
    (
        "full_scans",
        Desc::counter("node_ksmd_full_scans_total", "How many times all mergeable areas have been scanned."),
        1.0,
    ),
    (
        "merge_across_nodes",
        Desc::gauge("node_ksmd_merge_across_nodes", "Specifies if pages from different NUMA nodes can be merged."),
        1.0,
    ),
    ("pages_shared", Desc::gauge("node_ksmd_pages_shared", "How many shared pages are being used."), 1.0),
    (
        "pages_sharing",
        Desc::gauge("node_ksmd_pages_sharing", "How many more sites are sharing them i.e. how much saved."),
        1.0,
    ),
    ("pages_to_scan", Desc::gauge("node_ksmd_pages_to_scan", "How many pages to scan before ksmd goes to sleep."), 1.0),
    (
        "pages_unshared",
        Desc::gauge("node_ksmd_pages_unshared", "How many pages unique but repeatedly checked for merging."),
        1.0,
    ),
    (
        "pages_volatile",
        Desc::gauge("node_ksmd_pages_volatile", "How many pages changing too fast to be placed in a tree."),
        1.0,
    ),
    ("run", Desc::gauge("node_ksmd_run", "The status of ksmd. stopped = 0, running = 1"), 1.0),
    (
        "sleep_millisecs",
        Desc::gauge("node_ksmd_sleep_seconds", "How many seconds ksmd should sleep before next scan."),
        1000.0,
    ),
    (
        GENERAL_PROFIT,
        Desc::gauge(
            "node_ksmd_general_profit_bytes",
            "How effective is KSM. ksm_saved_pages * sizeof(page) - (all_rmap_items) * sizeof(rmap_item)",
        ),
        1.0,
    ),
];

struct Ksmd {
    files: [KeptFile; FILES.len()],
}

impl Collector for Ksmd {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut failed: Option<CollectError> = None;
        for ((name, desc, unit), file) in FILES.iter().zip(&self.files) {
            let text = match file.read_trimmed(cx.buf) {
                Ok(text) => text,
                Err(e) => {
                    if !(*name == GENERAL_PROFIT && ReadError::is_absent(&e)) {
                        failed.get_or_insert(e.into());
                    }
                    continue;
                }
            };
            // The profit may be a loss.
            if let Some(value) = scan::i64(text) {
                out.family(desc).sample(&[], value as f64 / unit);
            } else {
                let message = format!("{}: no number: {:?}", file.path().display(), scan::lossy(text));
                failed.get_or_insert(CollectError::failed(message));
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree(profit: Option<&[u8]>) -> Tree {
        let paths: Vec<String> = FILES.iter().map(|(name, _, _)| format!("sys/kernel/mm/ksm/{name}")).collect();
        let files: Vec<(&str, &[u8])> = paths
            .iter()
            .filter_map(|path| {
                let text = if path.ends_with(GENERAL_PROFIT) { profit? } else { b"20\n" };
                Some((path.as_str(), text))
            })
            .collect();
        Tree::of(&files)
    }

    fn collect(tree: &Tree) -> (String, Result<(), CollectError>) {
        exporter::testing::collect(&KSMD, &[], &tree.sources())
    }

    #[test]
    fn units_kinds_and_losses() {
        let (text, result) = collect(&tree(Some(b"-4096\n")));
        result.unwrap();
        assert!(text.contains("# TYPE node_ksmd_full_scans_total counter\nnode_ksmd_full_scans_total 20\n"), "{text}");
        assert!(text.contains("node_ksmd_sleep_seconds 0.02\n"), "{text}");
        assert!(text.contains("node_ksmd_general_profit_bytes -4096\n"), "{text}");
    }

    #[test]
    fn what_is_missing() {
        let (text, result) = collect(&tree(None));
        result.unwrap();
        assert!(!text.contains("profit"), "{text}");
        assert!(collect(&Tree::of(&[])).1.unwrap_err().to_string().contains("full_scans"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = collect(&tree(Some(&bytes)));
        }
    }
}
