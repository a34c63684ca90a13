//! Load averages, from `/proc/loadavg` (`Documentation/filesystems/proc.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const LOADAVG: Entry = Entry {
    name: "loadavg",
    default: Default::On,
    about: "load averages of the last 1, 5 and 15 minutes, from /proc/loadavg",
    flags: &[],
    build: |_, sources| Ok(Box::new(Loadavg { file: sources.kept_proc("loadavg") })),
};

const LOADS: [Desc; 3] = [
    Desc::gauge("node_load1", "1m load average."),
    Desc::gauge("node_load5", "5m load average."),
    Desc::gauge("node_load15", "15m load average."),
];

struct Loadavg {
    file: KeptFile,
}

impl Collector for Loadavg {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf)?;
        let loads = parse(text).ok_or_else(|| {
            CollectError::failed(format!(
                "{}: expected three numbers, got {:?}",
                self.file.path().display(),
                scan::lossy(text)
            ))
        })?;
        for (desc, load) in LOADS.iter().zip(loads) {
            out.family(desc).sample(&[], load);
        }
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<[f64; 3]> {
    let mut fields = scan::fields(text).map(scan::f64);
    Some([fields.next()??, fields.next()??, fields.next()??])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_numbers() {
        assert_eq!(parse(b"0.21 0.37 0.39 1/719 19737\n"), Some([0.21, 0.37, 0.39]));
        assert_eq!(parse(b"0.21 0.37\n"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/loadavg"), "0.02 0.04 0.05 1/497 11947\n").unwrap();
        let (text, result) = exporter::testing::collect(&LOADAVG, &[], &hostfs::Sources::under(dir.path()));
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.02\n\
             # HELP node_load15 15m load average.\n# TYPE node_load15 gauge\nnode_load15 0.05\n\
             # HELP node_load5 5m load average.\n# TYPE node_load5 gauge\nnode_load5 0.04\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
