//! Asking the kernel's wireless stack.

use super::{Cell, Device, Station};
use hostfs::netlink::{self, Channel, Family, NetlinkError, attributes, push_attribute};

pub(super) fn read(channel: &Channel) -> Result<Vec<Device>, NetlinkError> {
    channel.with(|socket| {
        let family = Family::find(socket, "nl80211")?;
        let found: Vec<_> =
            family.dump(socket, GET_INTERFACE, &[])?.filter_map(|m| parse_interface(m.payload)).collect();
        let mut devices = Vec::with_capacity(found.len());
        for (index, mut device) in found {
            let mut request = Vec::new();
            push_attribute(&mut request, ATTR_IFINDEX, &index.to_ne_bytes());
            device.cell = absent_is_none(
                family.dump(socket, GET_SCAN, &request).map(|mut m| m.find_map(|m| parse_cell(m.payload))),
            )?;
            device.stations = absent_is_none(
                family
                    .dump(socket, GET_STATION, &request)
                    .map(|m| Some(m.filter_map(|m| parse_station(m.payload)).collect())),
            )?
            .unwrap_or_default();
            devices.push(device);
        }
        Ok(devices)
    })
}

/// Devices of some kinds have neither cells nor stations, and some are down: the kernel refuses then.
fn absent_is_none<T>(answer: Result<Option<T>, NetlinkError>) -> Result<Option<T>, NetlinkError> {
    match answer {
        Err(NetlinkError::Refused { .. }) => Ok(None),
        other => other,
    }
}

/// A device's number and what is known of it so far; `None` for those without a name.
fn parse_interface(payload: &[u8]) -> Option<(u32, Device)> {
    let (mut index, mut device) = (None, Device::default());
    for a in attributes(payload) {
        match a.kind {
            ATTR_IFINDEX => index = netlink::u32(a.value),
            ATTR_IFNAME => device.name = netlink::text(a.value).to_vec(),
            ATTR_WIPHY_FREQ => device.frequency_mhz = netlink::u32(a.value).unwrap_or(0),
            _ => {}
        }
    }
    (!device.name.is_empty()).then_some((index?, device))
}

/// The cell of one scan result; `None` for those that the device does not belong to: they have no status.
fn parse_cell(payload: &[u8]) -> Option<Cell> {
    let bss = attributes(payload).find(|a| a.kind == ATTR_BSS)?;
    let (mut cell, mut status) = (Cell::default(), None);
    for a in attributes(bss.value) {
        match a.kind {
            1 => cell.bssid = a.value.to_vec(),
            6 => cell.ssid = find_ssid(a.value).to_vec(),
            9 => status = netlink::u32(a.value),
            _ => {}
        }
    }
    cell.status = u64::from(status?);
    Some(cell)
}

/// The element 0 of a beacon: each is a number, a length and that many bytes.
fn find_ssid(mut elements: &[u8]) -> &[u8] {
    while let [id, length, rest @ ..] = elements {
        let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else { break };
        if *id == 0 {
            return value;
        }
        elements = rest;
    }
    b""
}

fn parse_station(payload: &[u8]) -> Option<Station> {
    let mut station = Station::default();
    let mut info = None;
    for a in attributes(payload) {
        match a.kind {
            ATTR_MAC => station.hardware_address = a.value.to_vec(),
            ATTR_STA_INFO => info = Some(a.value),
            _ => {}
        }
    }
    let (mut received64, mut transmitted64) = (None, None);
    for a in attributes(info?) {
        let number = || netlink::u32(a.value).map_or(0, u64::from);
        match a.kind {
            1 => station.inactive_ms = number(),
            2 => station.received_bytes = number(),
            3 => station.transmitted_bytes = number(),
            7 => station.signal = netlink::u8(a.value).map_or(0, |dbm| i64::from(dbm as i8)),
            8 => station.transmit_bitrate = bitrate(a.value),
            9 => station.received_packets = number(),
            10 => station.transmitted_packets = number(),
            11 => station.transmit_retries = number(),
            12 => station.transmit_failed = number(),
            14 => station.receive_bitrate = bitrate(a.value),
            16 => station.connected_ms = number() * 1000,
            18 => station.beacon_loss = number(),
            23 => received64 = netlink::u64(a.value),
            24 => transmitted64 = netlink::u64(a.value),
            _ => {}
        }
    }
    station.received_bytes = received64.unwrap_or(station.received_bytes);
    station.transmitted_bytes = transmitted64.unwrap_or(station.transmitted_bytes);
    Some(station)
}

/// The kernel counts in units of 100 kbit/s, in 16 bits where they are enough.
fn bitrate(value: &[u8]) -> u64 {
    let (mut wide, mut narrow) = (None, None);
    for a in attributes(value) {
        match a.kind {
            1 => narrow = netlink::u16(a.value).map(u64::from),
            5 => wide = netlink::u32(a.value).map(u64::from),
            _ => {}
        }
    }
    wide.or(narrow).unwrap_or(0) * 100_000
}

const GET_INTERFACE: u8 = 5;
const GET_STATION: u8 = 17;
const GET_SCAN: u8 = 32;
const ATTR_IFINDEX: u16 = 3;
const ATTR_IFNAME: u16 = 4;
const ATTR_MAC: u16 = 6;
const ATTR_STA_INFO: u16 = 21;
const ATTR_WIPHY_FREQ: u16 = 38;
const ATTR_BSS: u16 = 47;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_interface_with_and_without_a_name() {
        let mut payload = Vec::new();
        push_attribute(&mut payload, ATTR_IFINDEX, &3u32.to_ne_bytes());
        push_attribute(&mut payload, ATTR_WIPHY_FREQ, &2412u32.to_ne_bytes());
        assert_eq!(parse_interface(&payload), None);
        push_attribute(&mut payload, ATTR_IFNAME, b"wlan0\0");
        let device = Device { name: b"wlan0".to_vec(), frequency_mhz: 2412, ..Device::default() };
        assert_eq!(parse_interface(&payload), Some((3, device)));
    }

    #[test]
    fn a_cell_has_a_status() {
        let mut bss = Vec::new();
        push_attribute(&mut bss, 1, &[0, 0x11, 0x22, 0x33, 0x44, 0x55]);
        push_attribute(&mut bss, 6, &[1, 1, 0x82, 0, 4, b'h', b'o', b'm', b'e', 3, 9]);
        let mut without = Vec::new();
        push_attribute(&mut without, ATTR_BSS, &bss);
        assert_eq!(parse_cell(&without), None);
        push_attribute(&mut bss, 9, &1u32.to_ne_bytes());
        let mut payload = Vec::new();
        push_attribute(&mut payload, ATTR_BSS, &bss);
        let cell = parse_cell(&payload).unwrap();
        assert_eq!((cell.ssid.as_slice(), cell.status), (&b"home"[..], 1));
    }

    #[test]
    fn a_station() {
        let mut rate = Vec::new();
        push_attribute(&mut rate, 1, &65u16.to_ne_bytes());
        let mut info = Vec::new();
        push_attribute(&mut info, 1, &800u32.to_ne_bytes());
        push_attribute(&mut info, 2, &7u32.to_ne_bytes());
        push_attribute(&mut info, 7, &[(-52i8) as u8]);
        push_attribute(&mut info, 14, &rate);
        push_attribute(&mut rate, 5, &2560u32.to_ne_bytes());
        push_attribute(&mut info, 8, &rate);
        push_attribute(&mut info, 16, &60u32.to_ne_bytes());
        push_attribute(&mut info, 23, &(1u64 << 40).to_ne_bytes());
        let mut payload = Vec::new();
        push_attribute(&mut payload, ATTR_MAC, &[1, 2, 3, 4, 5, 6]);
        push_attribute(&mut payload, ATTR_STA_INFO, &info);
        let expected = Station {
            hardware_address: vec![1, 2, 3, 4, 5, 6],
            inactive_ms: 800,
            connected_ms: 60_000,
            received_bytes: 1 << 40,
            receive_bitrate: 6_500_000,
            transmit_bitrate: 256_000_000,
            signal: -52,
            ..Station::default()
        };
        assert_eq!(parse_station(&payload), Some(expected));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_interface(&bytes);
            parse_cell(&bytes);
            parse_station(&bytes);
            find_ssid(&bytes);
        }
    }
}
