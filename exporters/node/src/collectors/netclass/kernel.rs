//! The same devices and numbers as sysfs gives, from rtnetlink and one ethtool dump.

use super::device::{Device, IFF_UP, OPERSTATES, write_hardware_address};
use super::link_modes::{LinkModes, Modes};
use super::sysfs;
use exporter::Cx;
use hostfs::netlink::{Link, Links};
use hostfs::{Buf, KeptFile, Sources};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Reads devices over netlink.
pub(super) struct Kernel {
    /// False where sysfs is a recorded tree.
    usable: bool,
    pub(super) modes: LinkModes,
    checked: Mutex<Checked>,
}

/// What was found when the devices of netlink and those of sysfs were last compared.
#[derive(Default)]
struct Checked {
    /// Of the table of devices; 0 before the first.
    generation: u64,
    same_host: bool,
    /// Devices that no other network namespace has: no need to compare again until something changes.
    certain: bool,
    known: BTreeMap<Vec<u8>, Known>,
}

/// What netlink does not tell, kept with the proof that it speaks of the device that sysfs shows under this name.
#[derive(Debug)]
pub(super) struct Known {
    index: u32,
    /// Fixed when the device is made.
    pub(super) dev_id: Option<i64>,
    /// Changes with the name only.
    pub(super) name_assign_type: Option<i64>,
    /// As it was when something about the devices last changed.
    pub(super) addr_assign_type: Option<i64>,
    addr_assign_type_file: KeptFile,
}

impl Kernel {
    pub(super) fn new(sources: &Sources) -> Self {
        let usable = rustix::fs::statfs(&sources.roots().sys).is_ok_and(|s| s.f_type == SYSFS_MAGIC);
        Self { usable, modes: LinkModes::new(), checked: Mutex::default() }
    }

    /// One that never answers.
    #[cfg(test)]
    pub(super) fn unused(sources: &Sources) -> Self {
        Self { usable: false, ..Self::new(sources) }
    }

    /// Emits all devices, or none and returns false where netlink cannot stand in for sysfs: it is forbidden, too old,
    /// or shows another network namespace than the mounted sysfs.
    pub(super) fn collect(&self, cx: &mut Cx<'_>, emit: &mut dyn FnMut(&Device<'_>)) -> bool {
        if !self.usable {
            return false;
        }
        let (Ok(links), Ok(modes)) = (cx.sources.links().read(), self.modes.read()) else { return false };
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if !checked.is_about(&links) {
            checked.compare(&links, cx.sources, cx.buf);
        }
        if checked.same_host {
            emit_all(&links, &checked.known, &modes, emit);
        }
        checked.same_host
    }

    /// What sysfs alone tells, for upstream's own netlink mode; `visit` gets `None` for a device that it does not show.
    pub(super) fn with_known<T>(
        &self,
        link: &Link<'_>,
        links: &Links,
        sources: &Sources,
        buf: &mut Buf,
        visit: impl FnOnce(Option<&Known>) -> T,
    ) -> T {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if self.usable && !checked.is_about(links) {
            checked.compare(links, sources, buf);
        }
        visit(checked.known.get(link.name).filter(|known| known.index == link.index))
    }
}

impl Checked {
    fn is_about(&self, links: &Links) -> bool {
        self.generation == links.generation() && (self.certain || !self.same_host)
    }

    /// Compares names, numbers and addresses: both show the same devices if these do.
    fn compare(&mut self, links: &Links, sources: &Sources, buf: &mut Buf) {
        self.generation = links.generation();
        self.same_host = false;
        self.certain = false;
        let Ok(names) = sources.sys("class/net").entries() else { return };
        self.known.retain(|name, _| names.contains(name));
        // bonding_masters is a file among the devices' folders.
        let devices = names.len() - usize::from(names.contains(b"bonding_masters"));
        let mut alike = devices == links.len();
        for link in links.iter() {
            alike &= names.contains(link.name) && is_known(&link, &mut self.known, sources, buf);
            self.certain |= link.kind == ETHERNET && link.address.iter().any(|&b| b != 0);
        }
        self.same_host = alike;
    }
}

fn is_known(link: &Link<'_>, known: &mut BTreeMap<Vec<u8>, Known>, sources: &Sources, buf: &mut Buf) -> bool {
    if let Some(device) = known.get_mut(link.name).filter(|device| device.index == link.index) {
        device.read_again(buf);
        return true;
    }
    let folder = sources.sys("class/net").child(link.name);
    let mut number = |attribute: &str| folder.join(attribute).read_optional(buf).and_then(sysfs::number);
    if number("ifindex") != Some(i64::from(link.index)) {
        return false;
    }
    let mut device = Known {
        index: link.index,
        dev_id: number("dev_id"),
        name_assign_type: number("name_assign_type"),
        addr_assign_type: None,
        addr_assign_type_file: sources.kept_sys(folder.join("addr_assign_type").path()),
    };
    let mut address = Vec::new();
    write_hardware_address(link.address, &mut address);
    if folder.join("address").read_optional(buf).is_some_and(|text| text != address) {
        return false;
    }
    device.read_again(buf);
    known.insert(link.name.to_vec(), device);
    true
}

impl Known {
    fn read_again(&mut self, buf: &mut Buf) {
        self.addr_assign_type = self.addr_assign_type_file.read_trimmed(buf).ok().and_then(sysfs::number);
    }
}

fn emit_all(links: &Links, known: &BTreeMap<Vec<u8>, Known>, modes: &Modes, emit: &mut dyn FnMut(&Device<'_>)) {
    let (mut address, mut broadcast) = (Vec::new(), Vec::new());
    for link in links.iter() {
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
            addr_assign_type: device.addr_assign_type,
            carrier_changes: link.carrier_changes.map(i64::from),
            carrier_up_count: link.carrier_up_count.map(i64::from),
            carrier_down_count: link.carrier_down_count.map(i64::from),
            dev_id: device.dev_id,
            flags: Some(own_flags(&link)),
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
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
const SYSFS_MAGIC: rustix::fs::FsWord = 0x6265_6572;

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::netlink;

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
