//! What is known of one device, and its families.

use exporter::{Desc, Part};

/// A device's attributes, named as in `/sys/class/net/DEVICE`; those that it does not have are `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Device<'a> {
    pub(super) name: &'a [u8],
    pub(super) address: &'a [u8],
    pub(super) broadcast: &'a [u8],
    pub(super) duplex: &'a [u8],
    pub(super) operstate: &'a [u8],
    pub(super) ifalias: &'a [u8],
    pub(super) addr_assign_type: Option<i64>,
    pub(super) carrier: Option<i64>,
    pub(super) carrier_changes: Option<i64>,
    pub(super) carrier_up_count: Option<i64>,
    pub(super) carrier_down_count: Option<i64>,
    pub(super) dev_id: Option<i64>,
    pub(super) dormant: Option<i64>,
    pub(super) flags: Option<i64>,
    pub(super) ifindex: Option<i64>,
    pub(super) iflink: Option<i64>,
    pub(super) link_mode: Option<i64>,
    pub(super) mtu: Option<i64>,
    pub(super) name_assign_type: Option<i64>,
    pub(super) netdev_group: Option<i64>,
    pub(super) speed: Option<i64>,
    pub(super) tx_queue_len: Option<i64>,
    pub(super) kind: Option<i64>,
}

macro_rules! property {
    (gauge $key:literal) => {
        Desc::gauge(concat!("node_network_", $key), concat!("Network device property: ", $key))
    };
    (counter $key:literal) => {
        Desc::counter(concat!("node_network_", $key), concat!("Network device property: ", $key))
    };
}
pub(super) use property;

pub(super) const UP: Desc = Desc::gauge("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
pub(super) const SPEED: Desc = property!(gauge "speed_bytes");
const INFO: Desc = Desc::gauge("node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.");

/// A property and its family.
type Property = (Desc, fn(&Device<'_>) -> Option<i64>);
const PROPERTIES: [Property; 16] = [
    (property!(gauge "address_assign_type"), |d| d.addr_assign_type),
    (property!(gauge "carrier"), |d| d.carrier),
    (property!(counter "carrier_changes_total"), |d| d.carrier_changes),
    (property!(counter "carrier_up_changes_total"), |d| d.carrier_up_count),
    (property!(counter "carrier_down_changes_total"), |d| d.carrier_down_count),
    (property!(gauge "device_id"), |d| d.dev_id),
    (property!(gauge "dormant"), |d| d.dormant),
    (property!(gauge "flags"), |d| d.flags),
    (property!(gauge "iface_id"), |d| d.ifindex),
    (property!(gauge "iface_link"), |d| d.iflink),
    (property!(gauge "iface_link_mode"), |d| d.link_mode),
    (property!(gauge "mtu_bytes"), |d| d.mtu),
    (property!(gauge "name_assign_type"), |d| d.name_assign_type),
    (property!(gauge "net_dev_group"), |d| d.netdev_group),
    (property!(gauge "transmit_queue_length"), |d| d.tx_queue_len),
    (property!(gauge "protocol_type"), |d| d.kind),
];

impl Device<'_> {
    pub(super) fn emit(&self, ignore_invalid_speed: bool, out: &mut Part) {
        let device = [("device", self.name)];
        out.family(&UP).sample(&device, self.operstate == b"up");
        let adminstate: &[u8] = match self.flags {
            Some(flags) if flags & IFF_UP != 0 => b"up",
            Some(_) => b"down",
            None => b"unknown",
        };
        out.family(&INFO).sample(
            &[
                ("address", self.address),
                ("adminstate", adminstate),
                ("broadcast", self.broadcast),
                ("device", self.name),
                ("duplex", self.duplex),
                ("ifalias", self.ifalias),
                ("operstate", self.operstate),
            ],
            1u8,
        );
        for (desc, value) in &PROPERTIES {
            if let Some(value) = value(self) {
                out.family(desc).sample(&device, value);
            }
        }
        // Some drivers say -1 where they do not know.
        if let Some(megabits) = self.speed.filter(|&speed| speed >= 0 || !ignore_invalid_speed) {
            out.family(&SPEED).sample(&device, megabits.wrapping_mul(1_000_000) / 8);
        }
    }
}

/// A hardware address as the kernel writes it: `02:fc:00:00:00:01`.
pub(super) fn write_hardware_address(address: &[u8], out: &mut Vec<u8>) {
    out.clear();
    for &byte in address {
        if !out.is_empty() {
            out.push(b':');
        }
        out.extend([byte >> 4, byte & 0xf].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
    }
}

/// RFC 2863 states as sysfs spells them (`net/core/net-sysfs.c`).
pub(super) const OPERSTATES: [&[u8]; 7] =
    [b"unknown", b"notpresent", b"down", b"lowerlayerdown", b"testing", b"dormant", b"up"];

/// `IFF_UP`.
pub(super) const IFF_UP: i64 = 1;
