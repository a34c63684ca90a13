//! Speed and duplex of all devices in one dump of ethtool's netlink family
//! (`Documentation/networking/ethtool-netlink.rst`, `LINKMODES_GET`; Linux 5.6).

use hostfs::netlink::{self, Channel, Family, NetlinkError, attributes, push_attribute};
use std::sync::OnceLock;

/// Asks ethtool.
pub(super) struct LinkModes {
    channel: Channel,
    family: OnceLock<Family>,
}

/// The devices that have link modes, by their number.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Modes(Vec<Mode>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    index: u32,
    /// Megabits a second; all ones where the driver does not know.
    pub(super) speed: u32,
    /// 0 half, 1 full, 255 unknown.
    pub(super) duplex: u8,
}

impl LinkModes {
    pub(super) fn new() -> Self {
        Self { channel: Channel::generic(), family: OnceLock::new() }
    }

    /// Drivers without link modes are left out by the kernel.
    pub(super) fn read(&self) -> Result<Modes, NetlinkError> {
        self.channel.with(|socket| {
            let family = match self.family.get() {
                Some(family) => *family,
                None => *self.family.get_or_init({
                    let family = Family::find(socket, "ethtool")?;
                    move || family
                }),
            };
            let (mut header, mut request) = (Vec::new(), Vec::new());
            push_attribute(&mut header, HEADER_FLAGS, &COMPACT.to_ne_bytes());
            push_attribute(&mut request, HEADER | NESTED, &header);
            let mut modes: Vec<_> =
                family.dump(socket, LINK_MODES_GET, &request)?.filter_map(|m| parse(m.payload)).collect();
            modes.sort_unstable_by_key(|mode| mode.index);
            Ok(Modes(modes))
        })
    }
}

impl Modes {
    pub(super) fn of(&self, index: u32) -> Option<Mode> {
        self.0.binary_search_by_key(&index, |mode| mode.index).ok().map(|at| self.0[at])
    }
}

fn parse(payload: &[u8]) -> Option<Mode> {
    let (mut index, mut speed, mut duplex) = (None, None, None);
    for a in attributes(payload) {
        match a.kind {
            HEADER => index = attributes(a.value).find(|h| h.kind == HEADER_INDEX).and_then(|h| netlink::u32(h.value)),
            SPEED => speed = netlink::u32(a.value),
            DUPLEX => duplex = netlink::u8(a.value),
            _ => {}
        }
    }
    Some(Mode { index: index?, speed: speed?, duplex: duplex? })
}

/// `ETHTOOL_MSG_LINKMODES_GET`.
const LINK_MODES_GET: u8 = 4;
/// `ETHTOOL_A_LINKMODES_HEADER`.
const HEADER: u16 = 1;
const SPEED: u16 = 5;
const DUPLEX: u16 = 6;
/// `ETHTOOL_A_HEADER_DEV_INDEX`.
const HEADER_INDEX: u16 = 1;
/// `ETHTOOL_A_HEADER_FLAGS`.
const HEADER_FLAGS: u16 = 3;
/// `ETHTOOL_FLAG_COMPACT_BITSETS`: bits instead of names.
const COMPACT: u32 = 1;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer() {
        let (mut header, mut payload) = (Vec::new(), Vec::new());
        push_attribute(&mut header, HEADER_INDEX, &4u32.to_ne_bytes());
        push_attribute(&mut header, 2, b"eth0\0");
        push_attribute(&mut payload, HEADER | NESTED, &header);
        push_attribute(&mut payload, SPEED, &1000u32.to_ne_bytes());
        assert_eq!(parse(&payload), None);
        push_attribute(&mut payload, DUPLEX, &[1]);
        let mode = Mode { index: 4, speed: 1000, duplex: 1 };
        assert_eq!(parse(&payload), Some(mode));
        let modes = Modes(vec![Mode { index: 2, ..mode }, mode]);
        assert_eq!((modes.of(4), modes.of(3)), (Some(mode), None));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
