//! What `--collector.netclass.netlink` shows: upstream's numbers as netlink has them, which differ from those of sysfs
//! in the flags, in `dormant`, in the wording of `duplex` and for devices that are down.

use super::Netclass;
use super::device::{OPERSTATES, SPEED, UP, property, write_hardware_address};
use exporter::{CollectError, Cx, Desc, Part};
use hostfs::netlink::{self, Link, LinkStats};
use std::collections::BTreeMap;

const INFO: Desc = Desc::gauge("node_network_info", "Non-numeric data of <iface>, value is always 1.");
const ALTERNATIVE_NAMES: Desc =
    Desc::gauge("node_network_altnames_info", "Non-numeric data of <iface> altname, value is always 1.");
const ADDRESS_ASSIGN_TYPE: Desc = property!(gauge "address_assign_type");
const DEVICE_ID: Desc = property!(gauge "device_id");
const NAME_ASSIGN_TYPE: Desc = property!(gauge "name_assign_type");

type Property = (Desc, fn(&Link<'_>) -> Option<u64>);
const PROPERTIES: [Property; 13] = [
    (property!(gauge "carrier"), |l| l.carrier.map(u64::from)),
    (property!(counter "carrier_changes_total"), |l| l.carrier_changes.map(u64::from)),
    (property!(counter "carrier_up_changes_total"), |l| l.carrier_up_count.map(u64::from)),
    (property!(counter "carrier_down_changes_total"), |l| l.carrier_down_count.map(u64::from)),
    (property!(gauge "flags"), |l| Some(l.flags.into())),
    (property!(gauge "iface_id"), |l| Some(l.index.into())),
    (property!(gauge "iface_link_mode"), |l| Some(l.link_mode.unwrap_or(0).into())),
    (property!(gauge "dormant"), |l| Some(l.link_mode.unwrap_or(0).into())),
    (property!(gauge "iface_link"), |l| Some(l.link.filter(|&n| n > 0).unwrap_or(l.index).into())),
    (property!(gauge "mtu_bytes"), |l| Some(l.mtu.unwrap_or(0).into())),
    (property!(gauge "net_dev_group"), |l| l.group.map(u64::from)),
    (property!(gauge "transmit_queue_length"), |l| l.tx_queue_len.map(u64::from)),
    (property!(gauge "protocol_type"), |l| Some(l.kind.into())),
];

type Stat = (Desc, fn(&LinkStats) -> u64);
const STATS: [Stat; 24] = [
    (property!(gauge "receive_packets_total"), |s| s.rx_packets),
    (property!(gauge "transmit_packets_total"), |s| s.tx_packets),
    (property!(gauge "receive_bytes_total"), |s| s.rx_bytes),
    (property!(gauge "transmit_bytes_total"), |s| s.tx_bytes),
    (property!(gauge "receive_errors_total"), |s| s.rx_errors),
    (property!(gauge "transmit_errors_total"), |s| s.tx_errors),
    (property!(gauge "receive_dropped_total"), |s| s.rx_dropped),
    (property!(gauge "transmit_dropped_total"), |s| s.tx_dropped),
    (property!(gauge "multicast_total"), |s| s.multicast),
    (property!(gauge "collisions_total"), |s| s.collisions),
    (property!(gauge "receive_length_errors_total"), |s| s.rx_length_errors),
    (property!(gauge "receive_over_errors_total"), |s| s.rx_over_errors),
    (property!(gauge "receive_crc_errors_total"), |s| s.rx_crc_errors),
    (property!(gauge "receive_frame_errors_total"), |s| s.rx_frame_errors),
    (property!(gauge "receive_fifo_errors_total"), |s| s.rx_fifo_errors),
    (property!(gauge "receive_missed_errors_total"), |s| s.rx_missed_errors),
    (property!(gauge "transmit_aborted_errors_total"), |s| s.tx_aborted_errors),
    (property!(gauge "transmit_carrier_errors_total"), |s| s.tx_carrier_errors),
    (property!(gauge "transmit_fifo_errors_total"), |s| s.tx_fifo_errors),
    (property!(gauge "transmit_heartbeat_errors_total"), |s| s.tx_heartbeat_errors),
    (property!(gauge "transmit_window_errors_total"), |s| s.tx_window_errors),
    (property!(gauge "receive_compressed_total"), |s| s.rx_compressed),
    (property!(gauge "transmit_compressed_total"), |s| s.tx_compressed),
    (property!(gauge "receive_nohandler_total"), |s| s.rx_nohandler),
];

pub(super) fn collect(netclass: &Netclass, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
    // A kernel before 5.6 has no such family: speed and duplex are left out.
    let modes = match netclass.kernel.modes.read() {
        Err(e) if e.is_unsupported() => super::link_modes::Modes::default(),
        other => other?,
    };
    let links = cx.sources.links().read()?;
    let counters: BTreeMap<u32, LinkStats> = match &netclass.stats {
        Some(channel) => channel.with(|socket| Ok(netlink::stats(socket)?.collect()))?,
        None => BTreeMap::new(),
    };
    let (mut address, mut broadcast) = (Vec::new(), Vec::new());
    for link in links.iter().filter(|l| !netclass.ignores(l.name)) {
        let device = [("device", link.name)];
        let operstate = usize::from(link.operstate.unwrap_or(0));
        out.family(&UP).sample(&device, operstate == OPERSTATES.len() - 1);
        let mode = modes.of(link.index);
        if let Some(mode) = mode {
            out.family(&SPEED).sample(&device, u64::from(mode.speed) * 1_000_000 / 8);
        }
        write_hardware_address(link.address, &mut address);
        write_hardware_address(link.broadcast, &mut broadcast);
        let duplex: &[u8] = match mode.map(|m| m.duplex) {
            Some(0) => b"Half",
            Some(1) => b"Full",
            Some(_) => b"Unknown",
            None => b"",
        };
        out.family(&INFO).sample(
            &[
                ("address", &address),
                ("broadcast", &broadcast),
                ("device", link.name),
                ("duplex", duplex),
                ("ifalias", link.alias),
                ("operstate", OPERSTATES.get(operstate).copied().unwrap_or_default()),
            ],
            1u8,
        );
        for name in link.alternative_names().filter(|n| !n.is_empty()) {
            out.family(&ALTERNATIVE_NAMES).sample(&[("altname", name), ("device", link.name)], 1u8);
        }
        netclass.kernel.with_known(&link, &links, cx.sources, cx.buf, |known| {
            for (desc, value) in [
                (&DEVICE_ID, known.and_then(|k| k.dev_id)),
                (&NAME_ASSIGN_TYPE, known.and_then(|k| k.name_assign_type)),
                (&ADDRESS_ASSIGN_TYPE, known.and_then(|k| k.addr_assign_type)),
            ] {
                if let Some(value) = value {
                    out.family(desc).sample(&device, value);
                }
            }
        });
        for (desc, value) in &PROPERTIES {
            if let Some(value) = value(&link) {
                out.family(desc).sample(&device, value);
            }
        }
        if let Some(stats) = counters.get(&link.index) {
            for (desc, value) in &STATS {
                out.family(desc).sample(&device, value(stats));
            }
        }
    }
    Ok(())
}
