//! What the firmware says of the machine, from `/sys/class/dmi/id` (`drivers/firmware/dmi-id.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, Sources, scan};
use std::sync::OnceLock;

/// Registers the collector.
pub(crate) const DMI: Entry = Entry {
    name: "dmi",
    default: Default::On,
    about: "maker, model, serial numbers and firmware of the machine, from /sys/class/dmi/id",
    flags: &[],
    build: |_, _| Ok(Box::new(Dmi { labels: OnceLock::new() })),
};

const INFO: Desc = Desc::gauge(
    "node_dmi_info",
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if provided by DMI.",
);

/// Labels by name, with the attribute that each is read from.
const LABELS: [(&str, &str); 20] = [
    ("bios_date", "bios_date"),
    ("bios_release", "bios_release"),
    ("bios_vendor", "bios_vendor"),
    ("bios_version", "bios_version"),
    ("board_asset_tag", "board_asset_tag"),
    ("board_name", "board_name"),
    ("board_serial", "board_serial"),
    ("board_vendor", "board_vendor"),
    ("board_version", "board_version"),
    ("chassis_asset_tag", "chassis_asset_tag"),
    ("chassis_serial", "chassis_serial"),
    ("chassis_vendor", "chassis_vendor"),
    ("chassis_version", "chassis_version"),
    ("product_family", "product_family"),
    ("product_name", "product_name"),
    ("product_serial", "product_serial"),
    ("product_sku", "product_sku"),
    ("product_uuid", "product_uuid"),
    ("product_version", "product_version"),
    ("system_vendor", "sys_vendor"),
];

struct Dmi {
    /// The firmware's table does not change while the machine runs: read once, when it could be.
    labels: OnceLock<Vec<(&'static str, Vec<u8>)>>,
}

impl Collector for Dmi {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let labels = if let Some(labels) = self.labels.get() {
            labels
        } else {
            let labels = read(cx.sources, cx.buf)?;
            self.labels.get_or_init(|| labels)
        };
        let mut borrowed: [(&str, &[u8]); LABELS.len()] = [("", b""); LABELS.len()];
        for (to, (name, value)) in borrowed.iter_mut().zip(labels) {
            *to = (name, value);
        }
        out.family(&INFO).sample(&borrowed[..labels.len()], 1u64);
        Ok(())
    }
}

/// Attributes that are not there or that only root may read give no label.
fn read(sources: &Sources, buf: &mut Buf) -> Result<Vec<(&'static str, Vec<u8>)>, CollectError> {
    let dir = sources.sys("class/dmi/id");
    dir.entries().or_no_data()?;
    let mut labels = Vec::with_capacity(LABELS.len());
    for (label, attribute) in LABELS {
        if let Some(value) = dir.join(attribute).read_optional(buf) {
            labels.push((label, scan::valid_utf8(value).into_owned()));
        }
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn some_attributes() {
        let tree = Tree::of(&[
            ("sys/class/dmi/id/bios_date", b"04/12/2021\n"),
            ("sys/class/dmi/id/chassis_asset_tag", b"   \n"),
            ("sys/class/dmi/id/chassis_type", b"23\n"),
            ("sys/class/dmi/id/product_version", b"\xff\xfe[\xff\n"),
            ("sys/class/dmi/id/sys_vendor", b"Dell Inc.\n"),
        ]);
        let (text, result) = exporter::testing::collect(&DMI, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text.lines().last().unwrap(),
            "node_dmi_info{bios_date=\"04/12/2021\",chassis_asset_tag=\"\",product_version=\"\u{FFFD}[\u{FFFD}\",\
             system_vendor=\"Dell Inc.\"} 1"
        );
    }

    #[test]
    fn a_machine_without_dmi() {
        let tree = Tree::of(&[("sys/class/", b"")]);
        let (text, result) = exporter::testing::collect(&DMI, &[], &tree.sources());
        assert!(matches!(result, Err(CollectError::NoData)));
        assert_eq!(text, "");
    }
}
