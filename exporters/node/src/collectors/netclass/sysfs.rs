//! Devices of `/sys/class/net`, attribute by attribute.

use super::device::Device;
use exporter::Cx;
use hostfs::{Buf, Entries, File, KeptFiles, Round, Sources, scan};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Reads `/sys/class/net`.
pub(super) struct Sysfs {
    files: KeptFiles,
    /// Names that are folders: `bonding_masters` is a file among them.
    folders: Mutex<BTreeSet<Vec<u8>>>,
}

impl Sysfs {
    pub(super) fn new(sources: &Sources) -> Self {
        Self { files: sources.kept_files(), folders: Mutex::default() }
    }

    /// Reads the devices that are not ignored.
    pub(super) fn collect(
        &self,
        names: &Entries,
        cx: &mut Cx<'_>,
        ignores: impl Fn(&[u8]) -> bool,
        emit: &mut dyn FnMut(&Device<'_>),
    ) {
        let net = cx.sources.sys("class/net");
        let round = self.files.round();
        let mut texts = Texts::default();
        for name in names.iter().filter(|name| !ignores(name)) {
            let folder = net.child(name);
            if self.is_folder(name, &folder) {
                emit(&read(&round, &folder, name, cx.buf, &mut texts));
            }
        }
        self.forget(names);
    }

    fn is_folder(&self, name: &[u8], file: &File<'_>) -> bool {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if folders.contains(name) {
            return true;
        }
        let is_folder = file.is_dir();
        if is_folder {
            folders.insert(name.to_vec());
        }
        is_folder
    }

    fn forget(&self, names: &Entries) {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner).retain(|name| names.contains(name));
    }
}

/// What attributes that are no numbers hold, used again for each device.
#[derive(Default)]
struct Texts {
    address: Vec<u8>,
    broadcast: Vec<u8>,
    duplex: Vec<u8>,
    operstate: Vec<u8>,
    ifalias: Vec<u8>,
}

fn read<'a>(round: &Round<'_>, folder: &File<'_>, name: &'a [u8], buf: &mut Buf, texts: &'a mut Texts) -> Device<'a> {
    for (attribute, text) in [
        ("address", &mut texts.address),
        ("broadcast", &mut texts.broadcast),
        ("duplex", &mut texts.duplex),
        ("operstate", &mut texts.operstate),
        ("ifalias", &mut texts.ifalias),
    ] {
        text.clear();
        // Drivers refuse what they do not know (EINVAL, EOPNOTSUPP): the attribute is missing then.
        text.extend_from_slice(round.read_trimmed(&folder.join(attribute), buf).unwrap_or_default());
    }
    let mut number = |attribute: &str| number(round.read_trimmed(&folder.join(attribute), buf).ok()?);
    Device {
        name,
        addr_assign_type: number("addr_assign_type"),
        carrier: number("carrier"),
        carrier_changes: number("carrier_changes"),
        carrier_up_count: number("carrier_up_count"),
        carrier_down_count: number("carrier_down_count"),
        dev_id: number("dev_id"),
        dormant: number("dormant"),
        flags: number("flags"),
        ifindex: number("ifindex"),
        iflink: number("iflink"),
        link_mode: number("link_mode"),
        mtu: number("mtu"),
        name_assign_type: number("name_assign_type"),
        netdev_group: number("netdev_group"),
        speed: number("speed"),
        tx_queue_len: number("tx_queue_len"),
        kind: number("type"),
        address: &texts.address,
        broadcast: &texts.broadcast,
        duplex: &texts.duplex,
        operstate: &texts.operstate,
        ifalias: &texts.ifalias,
    }
}

/// A number in decimal or, behind `0x`, hexadecimal digits.
pub(super) fn number(text: &[u8]) -> Option<i64> {
    if text.starts_with(b"0x") { i64::try_from(scan::hex(text)?).ok() } else { scan::i64(text) }
}

#[cfg(test)]
mod tests {
    use super::number;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_both_bases() {
        assert_eq!(number(b"0x1303"), Some(4867));
        assert_eq!(number(b"-1"), Some(-1));
        assert_eq!(number(b"full"), None);
        assert_eq!(number(b"0xffffffffffffffff"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            number(&bytes);
        }
    }
}
