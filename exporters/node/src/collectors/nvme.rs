//! NVMe controllers and their namespaces, from `/sys/class/nvme` (`drivers/nvme/host/sysfs.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, File, KeptFiles, Round, scan};

/// Registers the collector.
pub(crate) const NVME: Entry = Entry {
    name: "nvme",
    default: Default::On,
    about: "NVMe controllers and the size and use of their namespaces, from /sys/class/nvme",
    flags: &[],
    build: |_, sources| Ok(Box::new(Nvme { files: sources.kept_files() })),
};

const INFO: Desc = Desc::gauge("node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.");
const NAMESPACE_INFO: Desc =
    Desc::gauge("node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1");
const CAPACITY: Desc = Desc::gauge(
    "node_nvme_namespace_capacity_bytes",
    "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size",
);
const SIZE: Desc = Desc::gauge(
    "node_nvme_namespace_size_bytes",
    "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size",
);
const USED: Desc = Desc::gauge(
    "node_nvme_namespace_used_bytes",
    "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse",
);
const BLOCK: Desc = Desc::gauge(
    "node_nvme_namespace_logical_block_size_bytes",
    "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size",
);

struct Nvme {
    files: KeptFiles,
}

impl Collector for Nvme {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/nvme");
        let devices = class.entries().or_no_data()?;
        let files = self.files.round();
        for device in devices.iter() {
            let dir = class.child(device);
            // Unplugged since the listing.
            let Ok(entries) = dir.entries() else { continue };
            let mut text = |attribute: &str| -> Vec<u8> {
                files
                    .read_trimmed(&dir.join(attribute), cx.buf)
                    .map(|t| scan::valid_utf8(t).into_owned())
                    .unwrap_or_default()
            };
            let (cntlid, firmware, model) = (text("cntlid"), text("firmware_rev"), text("model"));
            let (serial, state) = (text("serial"), text("state"));
            let labels: [(&str, &[u8]); 6] = [
                ("cntlid", &cntlid),
                ("device", device),
                ("firmware_revision", &firmware),
                ("model", &model),
                ("serial", &serial),
                ("state", &state),
            ];
            out.family(&INFO).sample(&labels, 1u64);
            for name in entries.iter() {
                if let Some(nsid) = namespace_id(name) {
                    namespace(&files, cx.buf, &dir.child(name), &[("device", device), ("nsid", nsid)], out);
                }
            }
        }
        Ok(())
    }
}

fn namespace(files: &Round<'_>, buf: &mut Buf, dir: &File<'_>, ids: &[(&str, &[u8]); 2], out: &mut Part) {
    let state = files.read_trimmed(&dir.join("ana_state"), buf).map_or_else(|_| b"unknown".to_vec(), <[u8]>::to_vec);
    out.family(&NAMESPACE_INFO).sample(&[("ana_state", &state), ids[0], ids[1]], 1u64);
    let mut number =
        |attribute: &str| files.read_trimmed(&dir.join(attribute), buf).ok().and_then(scan::u64).unwrap_or(0);
    let (used, size, block) = (number("nuse"), number("size"), number("queue/logical_block_size"));
    // The kernel's `size` is in sectors of 512 bytes whatever the block; the product is upstream's.
    let bytes = size.wrapping_mul(block);
    out.family(&CAPACITY).sample(ids, bytes);
    out.family(&SIZE).sample(ids, bytes);
    out.family(&USED).sample(ids, used.wrapping_mul(block));
    out.family(&BLOCK).sample(ids, block);
}

/// The namespace's number in `nvme0n1`, or in `nvme0c0n1`, one path of a namespace that has several.
fn namespace_id(name: &[u8]) -> Option<&[u8]> {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = name.strip_prefix(b"nvme")?;
    let instance = digits(rest);
    rest = &rest[instance..];
    if let Some(path) = rest.strip_prefix(b"c") {
        rest = &path[digits(path)..];
    }
    let id = rest.strip_prefix(b"n")?;
    (instance > 0 && !id.is_empty() && digits(id) == id.len()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_controller_with_a_namespace() {
        let tree = Tree::of(&[
            ("sys/class/nvme/nvme0/cntlid", b"1997\n"),
            ("sys/class/nvme/nvme0/firmware_rev", b"1B2QEXP7\n"),
            ("sys/class/nvme/nvme0/model", b"Samsung SSD 970 PRO 512GB               \n"),
            ("sys/class/nvme/nvme0/serial", b"S680HF8N190894I     \n"),
            ("sys/class/nvme/nvme0/state", b"live\n"),
            ("sys/class/nvme/nvme0/ng0n1/dev", b"236:0\n"),
            ("sys/class/nvme/nvme0/nvme0c0n2/nuse", b"10\n"),
            ("sys/class/nvme/nvme0/nvme0c0n2/size", b"100\n"),
            ("sys/class/nvme/nvme0/nvme0c0n2/queue/logical_block_size", b"512\n"),
            ("sys/class/nvme/nvme0/nvme0c0n2/ana_state", b"optimized\n"),
        ]);
        let (text, result) = exporter::testing::collect(&NVME, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_nvme_info{cntlid=\"1997\",device=\"nvme0\",firmware_revision=\"1B2QEXP7\",model=\"Samsung SSD 970 PRO 512GB\",serial=\"S680HF8N190894I\",state=\"live\"} 1",
                "node_nvme_namespace_capacity_bytes{device=\"nvme0\",nsid=\"2\"} 51200",
                "node_nvme_namespace_info{ana_state=\"optimized\",device=\"nvme0\",nsid=\"2\"} 1",
                "node_nvme_namespace_logical_block_size_bytes{device=\"nvme0\",nsid=\"2\"} 512",
                "node_nvme_namespace_size_bytes{device=\"nvme0\",nsid=\"2\"} 51200",
                "node_nvme_namespace_used_bytes{device=\"nvme0\",nsid=\"2\"} 5120",
            ]
        );
    }

    #[test]
    fn namespaces() {
        assert_eq!(namespace_id(b"nvme0n1"), Some(&b"1"[..]));
        assert_eq!(namespace_id(b"nvme10c3n21"), Some(&b"21"[..]));
        assert_eq!(namespace_id(b"nvme0n1p1"), None);
        assert_eq!(namespace_id(b"ng0n1"), None);
        assert_eq!(namespace_id(b"nvme0"), None);
    }

    proptest! {
        #[test]
        fn any_name_is_survived(bytes: Vec<u8>) {
            namespace_id(&bytes);
        }
    }
}
