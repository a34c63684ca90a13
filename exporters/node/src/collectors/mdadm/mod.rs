//! Software RAID, from `/proc/mdstat` and `/sys/block/md*/md` (`Documentation/admin-guide/md.rst`).

mod mdstat;

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, ReadError};

/// Registers the collector.
pub(crate) const MDADM: Entry = Entry {
    name: "mdadm",
    default: Default::On,
    about: "disks, blocks and state of software RAID arrays, from /proc/mdstat and /sys/block/md*/md",
    flags: &[],
    build: |_, sources| Ok(Box::new(Mdadm { mdstat: sources.kept_proc("mdstat") })),
};

const STATE: Desc = Desc::gauge("node_md_state", "Indicates the state of md-device.");
const DISKS: Desc = Desc::gauge("node_md_disks", "Number of active/failed/spare disks of device.");
const DISKS_REQUIRED: Desc = Desc::gauge("node_md_disks_required", "Total number of disks of device.");
const BLOCKS: Desc = Desc::gauge("node_md_blocks", "Total number of blocks on device.");
const BLOCKS_SYNCED: Desc = Desc::gauge("node_md_blocks_synced", "Number of blocks synced on device.");
const RAID_DISKS: Desc = Desc::gauge("node_md_raid_disks", "Number of raid disks on device.");
const DEGRADED: Desc = Desc::gauge("node_md_degraded", "Number of degraded disks on device.");

/// Labels in order of their names; an array in another state (`broken`, reshaping) has 0 for all.
const STATES: [(&str, mdstat::State); 5] = [
    ("active", mdstat::State::Active),
    ("check", mdstat::State::Check),
    ("inactive", mdstat::State::Inactive),
    ("recovering", mdstat::State::Recovery),
    ("resync", mdstat::State::Resync),
];

struct Mdadm {
    mdstat: KeptFile,
}

impl Collector for Mdadm {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for array in mdstat::parse(self.mdstat.read(cx.buf).or_no_data()?) {
            let array = array.map_err(|e| CollectError::failed(format!("{}: {e}", self.mdstat.path().display())))?;
            let device = [("device", array.name)];
            for (label, state) in STATES {
                out.family(&STATE).sample(&[device[0], ("state", label.as_bytes())], array.state == state);
            }
            for (label, disks) in
                [("active", array.disks_active), ("failed", array.disks_failed), ("spare", array.disks_spare)]
            {
                out.family(&DISKS).sample(&[device[0], ("state", label.as_bytes())], disks);
            }
            out.family(&DISKS_REQUIRED).sample(&device, array.disks_required);
            out.family(&BLOCKS).sample(&device, array.blocks);
            out.family(&BLOCKS_SYNCED).sample(&device, array.blocks_synced);
        }
        collect_sysfs(cx, out)
    }
}

fn collect_sysfs(cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
    let folder = cx.sources.sys("block");
    let entries = match folder.entries() {
        Ok(entries) => entries,
        Err(e) if e.is_absent() => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    let mut failed: Option<ReadError> = None;
    for name in entries.iter().filter(|name| name.starts_with(b"md")) {
        let md = folder.child(name).join("md");
        if !md.is_dir() {
            continue;
        }
        let (raid_disks, degraded) = match md.join("raid_disks").read_u64(cx.buf) {
            // Arrays without redundancy have no such file.
            Ok(disks) => (disks, md.join("degraded").read_u64(cx.buf).unwrap_or_default()),
            Err(e) => {
                failed = failed.or(Some(e));
                continue;
            }
        };
        out.family(&RAID_DISKS).sample(&[("device", name)], raid_disks);
        out.family(&DEGRADED).sample(&[("device", name)], degraded);
    }
    failed.map_or(Ok(()), |e| Err(e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    fn collect(tree: &Tree) -> (String, Result<(), CollectError>) {
        exporter::testing::collect(&MDADM, &[], &tree.sources())
    }

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[
            (
                "proc/mdstat",
                b"Personalities : [raid1]\nmd6 : active raid1 sdb2[2](F) sdc[1](S) sda2[0]\n      195310144 blocks [2/1] [U_]\n\
                  \x20     [=>...]  recovery =  8.5% (16775552/195310144) finish=17.0min speed=259783K/sec\n\nunused devices: <none>\n",
            ),
            ("sys/block/md6/md/raid_disks", b"2\n"),
            ("sys/block/md6/md/degraded", b"1\n"),
            ("sys/block/md7/md/raid_disks", b"4\n"),
            ("sys/block/sda/size", b"4\n"),
        ]);
        let (text, result) = collect(&tree);
        result.unwrap();
        let samples: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_md_blocks{device=\"md6\"} 1.95310144e+08",
                "node_md_blocks_synced{device=\"md6\"} 1.6775552e+07",
                "node_md_degraded{device=\"md6\"} 1",
                "node_md_degraded{device=\"md7\"} 0",
                "node_md_disks{device=\"md6\",state=\"active\"} 1",
                "node_md_disks{device=\"md6\",state=\"failed\"} 1",
                "node_md_disks{device=\"md6\",state=\"spare\"} 1",
                "node_md_disks_required{device=\"md6\"} 2",
                "node_md_raid_disks{device=\"md6\"} 2",
                "node_md_raid_disks{device=\"md7\"} 4",
                "node_md_state{device=\"md6\",state=\"active\"} 0",
                "node_md_state{device=\"md6\",state=\"check\"} 0",
                "node_md_state{device=\"md6\",state=\"inactive\"} 0",
                "node_md_state{device=\"md6\",state=\"recovering\"} 1",
                "node_md_state{device=\"md6\",state=\"resync\"} 0",
            ]
        );
    }

    #[test]
    fn hosts_without_raid() {
        assert!(matches!(collect(&Tree::of(&[])).1, Err(CollectError::NoData)));
        let (text, result) = collect(&Tree::of(&[("proc/mdstat", b"Personalities : \nunused devices: <none>\n")]));
        result.unwrap();
        assert_eq!(text, "");
    }
}
