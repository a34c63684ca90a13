//! The same devices and numbers as sysfs gives, from one rtnetlink and one ethtool dump.

use super::device::{Device, IFF_UP, OPERSTATES, write_hardware_address};
use super::link_modes::{LinkModes, Modes};
use super::sysfs;
use exporter::Cx;
use hostfs::netlink::{self, Channel, Link};
use hostfs::{Buf, Entries, KeptFile, Sources};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Reads devices over netlink.
pub(super) struct Kernel {
    /// False where sysfs is a recorded tree.
    usable: bool,
    pub(super) route: Channel,
    pub(super) modes: LinkModes,
    known: Mutex<BTreeMap<Vec<u8>, Known>>,
}

/// What netlink does not tell, kept with the proof that it speaks of the device that sysfs shows under this name.
#[derive(Debug)]
pub(super) struct Known {
    index: u32,
    /// Fixed when the device is made.
    pub(super) dev_id: Option<i64>,
    /// Changes with the name only.
    pub(super) name_assign_type: Option<i64>,
    /// Changes when an address is set, even to the one that it was.
    addr_assign_type: KeptFile,
}

impl Kernel {
    pub(super) fn new(sources: &Sources) -> Self {
        let usable = rustix::fs::statfs(&sources.roots().sys).is_ok_and(|s| s.f_type == SYSFS_MAGIC);
        Self { usable, route: Channel::route(), modes: LinkModes::new(), known: Mutex::default() }
    }

    /// One that never answers.
    #[cfg(test)]
    pub(super) fn unused(sources: &Sources) -> Self {
        Self { usable: false, ..Self::new(sources) }
    }

    /// Emits all devices, or none and returns false where netlink cannot stand in for sysfs: it is forbidden, too old,
    /// or shows another network namespace than the mounted sysfs.
    pub(super) fn collect(&self, names: &Entries, cx: &mut Cx<'_>, emit: &mut dyn FnMut(&Device<'_>)) -> bool {
        if !self.usable {
            return false;
        }
        let Ok(modes) = self.modes.read() else { return false };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|name, _| names.contains(name));
        let answered = self.route.with(|socket| {
            let links: Vec<_> = netlink::links(socket, false)?.collect();
            let same = same_host(&links, names, &mut known, cx.sources, cx.buf);
            if same {
                emit_all(&links, &known, &modes, cx.buf, emit);
            }
            Ok(same)
        });
        answered.unwrap_or(false)
    }

    /// What sysfs alone tells, for upstream's own netlink mode; `visit` gets `None` for a device that it does not show.
    pub(super) fn with_known<T>(
        &self,
        link: &Link<'_>,
        sources: &Sources,
        buf: &mut Buf,
        visit: impl FnOnce(Option<(&Known, Option<i64>)>) -> T,
    ) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.usable || !is_known(link, &mut known, sources, buf) {
            return visit(None);
        }
        match known.get(link.name) {
            Some(device) => {
                let addr_assign_type = device.addr_assign_type.read_trimmed(buf).ok().and_then(sysfs::number);
                visit(Some((device, addr_assign_type)))
            }
            None => visit(None),
        }
    }
}

/// Whether both show the same devices under the same names, with the same numbers and addresses. Those two are read
/// from sysfs when a device is first seen.
fn same_host(
    links: &[Link<'_>],
    names: &Entries,
    known: &mut BTreeMap<Vec<u8>, Known>,
    sources: &Sources,
    buf: &mut Buf,
) -> bool {
    // bonding_masters is a file among the devices' folders.
    let devices = names.len() - usize::from(names.contains(b"bonding_masters"));
    devices == links.len() && links.iter().all(|link| names.contains(link.name) && is_known(link, known, sources, buf))
}

fn is_known(link: &Link<'_>, known: &mut BTreeMap<Vec<u8>, Known>, sources: &Sources, buf: &mut Buf) -> bool {
    if known.get(link.name).is_some_and(|device| device.index == link.index) {
        return true;
    }
    let folder = sources.sys("class/net").child(link.name);
    let mut number = |attribute: &str| folder.join(attribute).read_optional(buf).and_then(sysfs::number);
    if number("ifindex") != Some(i64::from(link.index)) {
        return false;
    }
    let device = Known {
        index: link.index,
        dev_id: number("dev_id"),
        name_assign_type: number("name_assign_type"),
        addr_assign_type: sources.kept_sys(folder.join("addr_assign_type").path()),
    };
    let mut address = Vec::new();
    write_hardware_address(link.address, &mut address);
    if folder.join("address").read_optional(buf).is_some_and(|text| text != address) {
        return false;
    }
    known.insert(link.name.to_vec(), device);
    true
}

fn emit_all(
    links: &[Link<'_>],
    known: &BTreeMap<Vec<u8>, Known>,
    modes: &Modes,
    buf: &mut Buf,
    emit: &mut dyn FnMut(&Device<'_>),
) {
    let (mut address, mut broadcast) = (Vec::new(), Vec::new());
    for link in links {
        let Some(device) = known.get(link.name) else { continue };
        write_hardware_address(link.address, &mut address);
        write_hardware_address(link.broadcast, &mut broadcast);
        let flags = i64::from(link.flags);
        // A device that is down refuses these four attributes in sysfs.
        let is_up = flags & IFF_UP != 0;
        let mode = if is_up { modes.of(link.index) } else { None };
        emit(&Device {
            name: link.name,
            address: &address,
            broadcast: &broadcast,
            duplex: match mode {
                Some(mode) if mode.duplex == 0 => b"half",
                Some(mode) if mode.duplex == 1 => b"full",
                Some(_) => b"unknown",
                None => b"",
            },
            speed: mode.map(|mode| i64::from(mode.speed as i32)),
            carrier: link.carrier.filter(|_| is_up).map(i64::from),
            dormant: is_up.then_some(i64::from(flags & DORMANT != 0)),
            operstate: link.operstate.and_then(|s| OPERSTATES.get(usize::from(s)).copied()).unwrap_or_default(),
            ifalias: link.alias.trim_ascii(),
            addr_assign_type: device.addr_assign_type.read_trimmed(buf).ok().and_then(sysfs::number),
            carrier_changes: link.carrier_changes.map(i64::from),
            carrier_up_count: link.carrier_up_count.map(i64::from),
            carrier_down_count: link.carrier_down_count.map(i64::from),
            dev_id: device.dev_id,
            flags: Some(own_flags(link)),
            ifindex: Some(i64::from(link.index)),
            // Left out by the kernel where it is the device itself.
            iflink: Some(i64::from(link.link.unwrap_or(link.index) as i32)),
            link_mode: link.link_mode.map(i64::from),
            mtu: link.mtu.map(i64::from),
            name_assign_type: device.name_assign_type,
            netdev_group: link.group.map(i64::from),
            tx_queue_len: link.tx_queue_len.map(i64::from),
            kind: Some(i64::from(link.kind)),
        });
    }
}

/// The flags that sysfs shows are the device's own (`dev->flags`); netlink renders them for users (`dev_get_flags`):
/// without what the kernel itself wants of the device, with what the link's state adds.
fn own_flags(link: &Link<'_>) -> i64 {
    let wanted = |count: Option<u32>, flag: i64| if count.unwrap_or(0) > 0 { flag } else { 0 };
    i64::from(link.flags) & !(RUNNING | LOWER_UP | DORMANT | PROMISC | ALLMULTI)
        | wanted(link.promiscuity, PROMISC)
        | wanted(link.allmulti, ALLMULTI)
}

const RUNNING: i64 = 0x40;
const PROMISC: i64 = 0x100;
const ALLMULTI: i64 = 0x200;
const LOWER_UP: i64 = 0x1_0000;
const DORMANT: i64 = 0x2_0000;
const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_a_bridge_port() {
        let link = |promiscuity| {
            let mut payload = vec![0; 16];
            payload[8..12].copy_from_slice(&0x11043u32.to_ne_bytes());
            netlink::push_attribute(&mut payload, 3, b"port\0");
            netlink::push_attribute(&mut payload, 30, &u32::from(promiscuity).to_ne_bytes());
            netlink::push_attribute(&mut payload, 61, &1u32.to_ne_bytes());
            payload
        };
        // A bridge wants its port promiscuous; users did not ask for it.
        assert_eq!(own_flags(&Link::parse(&link(true)).unwrap()), 0x1303);
        assert_eq!(own_flags(&Link::parse(&link(false)).unwrap()), 0x1203);
    }
}
