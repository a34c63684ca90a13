//! File handles in use, from `/proc/sys/fs/file-nr` (`Documentation/admin-guide/sysctl/fs.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const FILEFD: Entry = Entry {
    name: "filefd",
    default: Default::On,
    about: "file handles allocated and their limit, from /proc/sys/fs/file-nr",
    flags: &[],
    build: |_, sources| Ok(Box::new(Filefd { file: sources.kept_proc("sys/fs/file-nr") })),
};

const ALLOCATED: Desc = Desc::gauge("node_filefd_allocated", "File descriptor statistics: allocated.");
const MAXIMUM: Desc = Desc::gauge("node_filefd_maximum", "File descriptor statistics: maximum.");

struct Filefd {
    file: KeptFile,
}

impl Collector for Filefd {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf)?;
        let (allocated, maximum) = parse(text).ok_or_else(|| {
            let shown = scan::lossy(text);
            CollectError::failed(format!("{}: expected three numbers, got {shown:?}", self.file.path().display()))
        })?;
        out.family(&ALLOCATED).sample(&[], allocated);
        out.family(&MAXIMUM).sample(&[], maximum);
        Ok(())
    }
}

/// Allocated and maximum; the number between them has been 0 since Linux 2.6.
fn parse(text: &[u8]) -> Option<(u64, u64)> {
    let mut fields = scan::fields(text).map(scan::u64);
    let allocated = fields.next()??;
    Some((allocated, fields.nth(1)??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_and_third() {
        assert_eq!(parse(b"1024\t0\t1631329\n"), Some((1024, 1_631_329)));
        assert_eq!(parse(b"1024\t0\t9223372036854775807\n"), Some((1024, i64::MAX as u64)));
        assert_eq!(parse(b"1024\t0\n"), None);
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/sys/fs")).unwrap();
        std::fs::write(dir.path().join("proc/sys/fs/file-nr"), "1024\t0\t1631329\n").unwrap();
        let (text, result) = exporter::testing::collect(&FILEFD, &[], &hostfs::Sources::under(dir.path()));
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_filefd_allocated File descriptor statistics: allocated.\n\
             # TYPE node_filefd_allocated gauge\nnode_filefd_allocated 1024\n\
             # HELP node_filefd_maximum File descriptor statistics: maximum.\n\
             # TYPE node_filefd_maximum gauge\nnode_filefd_maximum 1.631329e+06\n"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
