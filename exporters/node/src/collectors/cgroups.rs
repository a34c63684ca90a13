//! Controllers of control groups, from `/proc/cgroups` (`Documentation/admin-guide/cgroup-v1/cgroups.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const CGROUPS: Entry = Entry {
    name: "cgroups",
    default: Default::Off,
    about: "control groups by controller, from /proc/cgroups",
    flags: &[],
    build: |_, sources| Ok(Box::new(Cgroups { file: sources.kept_proc("cgroups") })),
};

const NUMBER: Desc = Desc::gauge("node_cgroups_cgroups", "Current cgroup number of the subsystem.");
const ENABLED: Desc = Desc::gauge("node_cgroups_enabled", "Current cgroup number of the subsystem.");

struct Cgroups {
    file: KeptFile,
}

impl Collector for Cgroups {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for row in scan::lines(self.file.read(cx.buf)?).filter_map(parse_line) {
            let labels = [("subsys_name", row.subsys_name)];
            out.family(&NUMBER).sample(&labels, row.num_cgroups);
            out.family(&ENABLED).sample(&labels, row.enabled);
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Row<'a> {
    subsys_name: &'a [u8],
    num_cgroups: u64,
    enabled: u64,
}

/// Name, hierarchy, number of groups, whether enabled.
fn parse_line(line: &[u8]) -> Option<Row<'_>> {
    let mut fields = scan::fields(line);
    let subsys_name = fields.next().filter(|name| !name.starts_with(b"#"))?;
    let num_cgroups = scan::u64(fields.nth(1)?)?;
    Some(Row { subsys_name, num_cgroups, enabled: scan::u64(fields.next()?)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_tree_s_text() {
        let table = b"#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t3\t172\t1\nmemory\t0\t1\t0\nshort\t1\n";
        let tree = Tree::of(&[("proc/cgroups", table)]);
        let (text, result) = exporter::testing::collect(&CGROUPS, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_cgroups_cgroups Current cgroup number of the subsystem.\n# TYPE node_cgroups_cgroups gauge\n\
             node_cgroups_cgroups{subsys_name=\"cpu\"} 172\nnode_cgroups_cgroups{subsys_name=\"memory\"} 1\n\
             # HELP node_cgroups_enabled Current cgroup number of the subsystem.\n# TYPE node_cgroups_enabled gauge\n\
             node_cgroups_enabled{subsys_name=\"cpu\"} 1\nnode_cgroups_enabled{subsys_name=\"memory\"} 0\n"
        );
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
