//! Multipath devices of the device mapper and the state of their paths, from `/sys/block`.

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFiles, scan};

/// Registers the collector.
pub(crate) const DMMULTIPATH: Entry = Entry {
    name: "dmmultipath",
    default: Default::On,
    about: "multipath devices and the state of their paths, from /sys/block/dm-*",
    flags: &[],
    build: |_, sources| Ok(Box::new(DmMultipath { files: sources.kept_files() })),
};

const INFO: Desc = Desc::gauge("node_dmmultipath_device_info", "Non-numeric information about a DM-multipath device.");
const ACTIVE: Desc = Desc::gauge(
    "node_dmmultipath_device_active",
    "Whether the multipath device-mapper device is active (1) or suspended (0).",
);
const SIZE: Desc = Desc::gauge(
    "node_dmmultipath_device_size_bytes",
    "Size of the multipath device in bytes, read from /sys/block/<dm>/size.",
);
const PATHS: Desc = Desc::gauge("node_dmmultipath_device_paths", "Number of paths for a multipath device.");
const PATHS_ACTIVE: Desc = Desc::gauge(
    "node_dmmultipath_device_paths_active",
    "Number of paths in active state (SCSI running or NVMe live) for a multipath device.",
);
const PATHS_FAILED: Desc =
    Desc::gauge("node_dmmultipath_device_paths_failed", "Number of paths not in active state for a multipath device.");
const PATH_STATE: Desc = Desc::gauge(
    "node_dmmultipath_path_state",
    "Reports the underlying device state for a multipath path, as read from /sys/block/<dev>/device/state.",
);

struct DmMultipath {
    files: KeptFiles,
}

impl Collector for DmMultipath {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let block = cx.sources.sys("block");
        let names = match block.entries() {
            Err(e) if e.is_denied() => return Err(CollectError::NoData),
            names => names.or_no_data()?,
        };
        let files = self.files.round();
        for sysfs_name in names.iter().filter(|n| n.starts_with(b"dm-")) {
            let dir = block.child(sysfs_name);
            let Ok(uuid) = files.read_trimmed(&dir.join("dm/uuid"), cx.buf) else { continue };
            if !uuid.starts_with(b"mpath-") {
                continue;
            }
            let uuid = uuid.to_vec();
            let Ok(name) = files.read_trimmed(&dir.join("dm/name"), cx.buf) else { continue };
            let name = name.to_vec();
            let labels: [(&str, &[u8]); 3] = [("device", &name), ("sysfs_name", sysfs_name), ("uuid", &uuid)];
            out.family(&INFO).sample(&labels, 1u64);
            let labels = [labels[0], labels[1]];
            let mut number = |attribute: &str| {
                files.read_trimmed(&dir.join(attribute), cx.buf).ok().and_then(scan::u64).unwrap_or(0)
            };
            let (suspended, sectors) = (number("dm/suspended"), number("size"));
            out.family(&ACTIVE).sample(&labels, suspended == 0);
            out.family(&SIZE).sample(&labels, sectors.wrapping_mul(512));
            let (mut paths, mut active) = (0u64, 0u64);
            if let Ok(slaves) = dir.join("slaves").entries() {
                for path in slaves.iter() {
                    let file = block.child(path).join("device/state");
                    let state = files.read_trimmed(&file, cx.buf).unwrap_or(b"unknown");
                    out.family(&PATH_STATE).sample(&[("device", &name), ("path", path), ("state", state)], 1u64);
                    paths += 1;
                    // SCSI's word and NVMe's.
                    active += u64::from(matches!(state, b"running" | b"live"));
                }
            }
            out.family(&PATHS).sample(&labels, paths);
            out.family(&PATHS_ACTIVE).sample(&labels, active);
            out.family(&PATHS_FAILED).sample(&labels, paths - active);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_device_with_two_paths() {
        let tree = Tree::of(&[
            ("sys/block/dm-5/dm/uuid", b"mpath-3600508b1\n"),
            ("sys/block/dm-5/dm/name", b"mpathA\n"),
            ("sys/block/dm-5/dm/suspended", b"0\n"),
            ("sys/block/dm-5/size", b"104857600\n"),
            ("sys/block/dm-5/slaves/sdi/", b""),
            ("sys/block/dm-5/slaves/sdl/", b""),
            ("sys/block/dm-7/dm/uuid", b"LVM-abcdef\n"),
            ("sys/block/sdi/device/state", b"running\n"),
        ]);
        let (text, result) = exporter::testing::collect(&DMMULTIPATH, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_dmmultipath_device_active{device=\"mpathA\",sysfs_name=\"dm-5\"} 1",
                "node_dmmultipath_device_info{device=\"mpathA\",sysfs_name=\"dm-5\",uuid=\"mpath-3600508b1\"} 1",
                "node_dmmultipath_device_paths{device=\"mpathA\",sysfs_name=\"dm-5\"} 2",
                "node_dmmultipath_device_paths_active{device=\"mpathA\",sysfs_name=\"dm-5\"} 1",
                "node_dmmultipath_device_paths_failed{device=\"mpathA\",sysfs_name=\"dm-5\"} 1",
                "node_dmmultipath_device_size_bytes{device=\"mpathA\",sysfs_name=\"dm-5\"} 5.36870912e+10",
                "node_dmmultipath_path_state{device=\"mpathA\",path=\"sdi\",state=\"running\"} 1",
                "node_dmmultipath_path_state{device=\"mpathA\",path=\"sdl\",state=\"unknown\"} 1",
            ]
        );
    }

    #[test]
    fn no_block_devices_is_no_data() {
        let tree = Tree::of(&[("sys/", b"")]);
        assert!(matches!(exporter::testing::collect(&DMMULTIPATH, &[], &tree.sources()).1, Err(CollectError::NoData)));
    }
}
