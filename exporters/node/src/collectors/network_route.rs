//! Routes, from rtnetlink (`RTM_GETROUTE`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::netlink::{self, Channel, attributes};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::IpAddr;

/// Registers the collector.
pub(crate) const NETWORK_ROUTE: Entry = Entry {
    name: "network_route",
    default: Default::Off,
    about: "unicast routes and their number by device, from rtnetlink",
    flags: &[],
    build: |_, _| Ok(Box::new(NetworkRoute { channel: Channel::route() })),
};

const ROUTE_INFO: Desc = Desc::gauge("node_network_route_info", "network routing table information");
const ROUTES: Desc = Desc::gauge("node_network_routes", "network routes by interface");

struct NetworkRoute {
    channel: Channel,
}

impl Collector for NetworkRoute {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let links = cx.sources.links().read()?;
        let name = |index| links.by_index(index).map_or(&b""[..], |link| link.name);
        let mut routes = BTreeMap::<u32, u64>::new();
        let mut texts = Texts::default();
        self.channel.with(|socket| {
            socket.dump_each(GET_ROUTE, &[0; HEADER], |message| {
                let Some(route) = Route::parse(message.payload) else { return };
                route.each_hop(|hop| {
                    texts.emit(&route, &hop, name(hop.device), out);
                    *routes.entry(hop.device).or_default() += 1;
                });
            })
        })?;
        for (index, count) in routes {
            out.family(&ROUTES).sample(&[("device", name(index))], count);
        }
        Ok(())
    }
}

/// A unicast route.
#[derive(Debug, Default, PartialEq, Eq)]
struct Route<'a> {
    destination: Option<IpAddr>,
    destination_length: u8,
    source: Option<IpAddr>,
    priority: u32,
    protocol: u8,
    own: Hop,
    multipath: &'a [u8],
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Hop {
    device: u32,
    gateway: Option<IpAddr>,
    weight: Option<u32>,
}

impl<'a> Route<'a> {
    /// The payload of a `RTM_NEWROUTE`; `None` where it is not unicast.
    fn parse(payload: &'a [u8]) -> Option<Self> {
        let (header, rest) = payload.split_at_checked(HEADER)?;
        let mut route = Self { destination_length: header[1], protocol: header[5], ..Self::default() };
        if header[7] != UNICAST {
            return None;
        }
        for a in attributes(rest) {
            match a.kind {
                1 => route.destination = address(a.value),
                4 => route.own.device = netlink::u32(a.value)?,
                5 => route.own.gateway = address(a.value),
                6 => route.priority = netlink::u32(a.value)?,
                7 => route.source = address(a.value),
                9 => route.multipath = a.value,
                _ => {}
            }
        }
        Some(route)
    }

    fn each_hop(&self, mut each: impl FnMut(Hop)) {
        if self.multipath.is_empty() {
            each(Hop { weight: None, ..self.own });
            return;
        }
        // struct rtnexthop: length, flags, weight less one, device; then attributes.
        let mut rest = self.multipath;
        while let Some(length) = netlink::u16(rest).map(usize::from).filter(|&n| n >= NEXT_HOP) {
            let Some(hop) = rest.get(..length) else { return };
            let gateway = attributes(&hop[NEXT_HOP..]).find(|a| a.kind == GATEWAY).and_then(|a| address(a.value));
            let device = netlink::u32(&hop[4..]).unwrap_or(0);
            each(Hop { device, gateway, weight: Some(u32::from(hop[3]) + 1) });
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

fn address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|v4| IpAddr::from(*v4)),
        // Go writes an IPv4 address that is mapped into IPv6 as the former.
        16 => value.first_chunk::<16>().map(|v6| IpAddr::from(*v6).to_canonical()),
        _ => None,
    }
}

/// Label values, used again for each route.
#[derive(Default)]
struct Texts {
    destination: Vec<u8>,
    gateway: Vec<u8>,
    priority: Vec<u8>,
    source: Vec<u8>,
    weight: Vec<u8>,
}

impl Texts {
    fn emit(&mut self, route: &Route<'_>, hop: &Hop, device: &[u8], out: &mut Part) {
        write_text(route.destination, &mut self.destination);
        if route.destination_length == 0 {
            self.destination.splice(.., *b"default");
        } else {
            // Writing to a Vec cannot fail.
            let _ = write!(self.destination, "/{}", route.destination_length);
        }
        write_text(hop.gateway, &mut self.gateway);
        write_text(Some(route.priority), &mut self.priority);
        write_text(route.source, &mut self.source);
        write_text(hop.weight, &mut self.weight);
        out.family(&ROUTE_INFO).sample(
            &[
                ("dest", &self.destination),
                ("device", device),
                ("gw", &self.gateway),
                ("priority", &self.priority),
                ("proto", protocol(route.protocol).as_bytes()),
                ("src", &self.source),
                ("weight", &self.weight),
            ],
            1u8,
        );
    }
}

fn write_text(value: Option<impl std::fmt::Display>, text: &mut Vec<u8>) {
    text.clear();
    if let Some(value) = value {
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{value}");
    }
}

/// `RTPROT_…` of `include/uapi/linux/rtnetlink.h`, spelled as upstream does.
fn protocol(number: u8) -> &'static str {
    match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        17 => "mrouted",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => "unknown",
    }
}

/// `RTM_GETROUTE`.
const GET_ROUTE: u16 = 26;
/// `struct rtmsg`.
const HEADER: usize = 12;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;
/// `struct rtnexthop`.
const NEXT_HOP: usize = 8;
/// `RTA_GATEWAY`.
const GATEWAY: u16 = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::netlink::push_attribute;
    use proptest::prelude::*;

    fn payload(kind: u8) -> Vec<u8> {
        let mut payload = vec![2, 24, 0, 0, 254, 3, 0, kind, 0, 0, 0, 0];
        push_attribute(&mut payload, 1, &[10, 1, 2, 0]);
        push_attribute(&mut payload, 6, &7u32.to_ne_bytes());
        payload
    }

    #[test]
    fn a_route_and_what_is_none() {
        let mut unicast = payload(UNICAST);
        push_attribute(&mut unicast, 4, &3u32.to_ne_bytes());
        push_attribute(&mut unicast, 5, &[10, 1, 2, 1]);
        let route = Route::parse(&unicast).unwrap();
        assert_eq!(route.destination, Some([10, 1, 2, 0].into()));
        assert_eq!((route.destination_length, route.priority, route.protocol), (24, 7, 3));
        let mut hops = Vec::new();
        route.each_hop(|hop| hops.push(hop));
        assert_eq!(hops, [Hop { device: 3, gateway: Some([10, 1, 2, 1].into()), weight: None }]);
        assert_eq!(Route::parse(&payload(5)), None);
    }

    #[test]
    fn several_next_hops() {
        let hop = |device: u32, weight_less_one: u8| {
            let mut attributes = Vec::new();
            push_attribute(&mut attributes, GATEWAY, &[10, 0, 0, device as u8]);
            let length = (NEXT_HOP + attributes.len()) as u16;
            let mut bytes = length.to_ne_bytes().to_vec();
            bytes.extend([0, weight_less_one]);
            bytes.extend(device.to_ne_bytes());
            bytes.extend(attributes);
            bytes
        };
        let mut multipath = payload(UNICAST);
        push_attribute(&mut multipath, 9, &[hop(1, 0), hop(2, 4)].concat());
        let route = Route::parse(&multipath).unwrap();
        let mut hops = Vec::new();
        route.each_hop(|hop| hops.push((hop.device, hop.gateway, hop.weight)));
        assert_eq!(hops, [(1, Some([10, 0, 0, 1].into()), Some(1)), (2, Some([10, 0, 0, 2].into()), Some(5))]);
    }

    #[test]
    fn this_machine_s_routes_are_listed() {
        let (text, result) = exporter::testing::collect(&NETWORK_ROUTE, &[], &hostfs::Sources::live());
        result.unwrap();
        let infos = text.lines().filter(|l| l.starts_with("node_network_route_info{")).count() as f64;
        let routes: f64 = text
            .lines()
            .filter(|l| l.starts_with("node_network_routes{"))
            .map(|l| l.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum();
        assert!(infos <= routes, "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            Route::parse(&bytes);
            let route = Route { multipath: &bytes, ..Route::default() };
            route.each_hop(|_| {});
        }
    }
}
