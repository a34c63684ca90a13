//! Addresses of network devices, from rtnetlink (`RTM_GETADDR`).

use exporter::{Desc, Part};
use hostfs::netlink::{self, Channel, Links, NetlinkError};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ADDRESS_INFO: Desc = Desc::gauge("node_network_address_info", "node network address by device");

/// Emits the addresses of all devices, those that the filter leaves out too, as upstream does.
pub(super) fn collect(channel: &Channel, links: &Links, out: &mut Part) -> Result<(), NetlinkError> {
    channel.with(|socket| {
        let mut text = Vec::new();
        for address in socket.dump(GET_ADDRESS, &[0; HEADER])?.filter_map(|m| Address::parse(m.payload)) {
            let Some(device) = links.by_index(address.index).map(|link| link.name) else { continue };
            text.clear();
            // Writing to a Vec cannot fail.
            let _ = write!(text, "{}", address.ip);
            let mut digits = itoa::Buffer::new();
            let netmask = digits.format(address.prefix).as_bytes();
            let scope = scope(address.ip).as_bytes();
            out.family(&ADDRESS_INFO)
                .sample(&[("address", &text), ("device", device), ("netmask", netmask), ("scope", scope)], 1u8);
        }
        Ok(())
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Address {
    index: u32,
    prefix: u8,
    ip: IpAddr,
}

impl Address {
    /// The payload of a `RTM_NEWADDR`. On a point-to-point link the own address is `IFA_LOCAL`, else `IFA_ADDRESS`.
    fn parse(payload: &[u8]) -> Option<Self> {
        let (header, rest) = payload.split_at_checked(HEADER)?;
        let find = |kind| netlink::attributes(rest).find(|a| a.kind == kind).map(|a| a.value);
        let value = find(LOCAL).or_else(|| find(ADDRESS))?;
        let ip = match header[0] {
            2 => IpAddr::V4(Ipv4Addr::from(*value.first_chunk::<4>()?)),
            // Go writes an IPv4 address that is mapped into IPv6 as the former.
            10 => IpAddr::V6(Ipv6Addr::from(*value.first_chunk::<16>()?)).to_canonical(),
            _ => return None,
        };
        Some(Self { index: netlink::u32(&header[4..])?, prefix: header[1], ip })
    }
}

fn scope(ip: IpAddr) -> &'static str {
    let (link_local, interface_local, global) = match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            (
                v4.is_loopback() || v4.is_link_local() || [a, b, c] == [224, 0, 0],
                false,
                !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
            )
        }
        IpAddr::V6(v6) => {
            let [a, b, ..] = v6.octets();
            (
                v6.is_loopback() || v6.is_unicast_link_local() || (a == 0xff && b & 0xf == 2),
                a == 0xff && b & 0xf == 1,
                !(v6.is_unspecified() || v6.is_multicast()),
            )
        }
    };
    match () {
        () if link_local => "link-local",
        () if interface_local => "interface-local",
        () if global => "global",
        () => "",
    }
}

/// `struct ifaddrmsg`.
const HEADER: usize = 8;
/// `RTM_GETADDR`.
const GET_ADDRESS: u16 = 22;
/// `IFA_ADDRESS`.
const ADDRESS: u16 = 1;
/// `IFA_LOCAL`.
const LOCAL: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_own_end_of_a_point_to_point_link() {
        let mut payload = vec![2, 32, 0, 0];
        payload.extend_from_slice(&9u32.to_ne_bytes());
        netlink::push_attribute(&mut payload, ADDRESS, &[10, 0, 0, 2]);
        let peer = Address { index: 9, prefix: 32, ip: Ipv4Addr::new(10, 0, 0, 2).into() };
        assert_eq!(Address::parse(&payload), Some(peer));
        netlink::push_attribute(&mut payload, LOCAL, &[10, 0, 0, 1]);
        let own = Address { index: 9, prefix: 32, ip: Ipv4Addr::new(10, 0, 0, 1).into() };
        assert_eq!(Address::parse(&payload), Some(own));
    }

    #[test]
    fn scopes_are_those_of_go() {
        for (ip, expected) in [
            ("127.0.0.1", "link-local"),
            ("169.254.1.1", "link-local"),
            ("224.0.0.1", "link-local"),
            ("10.1.2.3", "global"),
            ("255.255.255.255", ""),
            ("239.1.1.1", ""),
            ("::1", "link-local"),
            ("fe80::1", "link-local"),
            ("ff02::1", "link-local"),
            ("ff01::1", "interface-local"),
            ("fd00::1", "global"),
            ("::", ""),
        ] {
            assert_eq!(scope(ip.parse().unwrap()), expected, "{ip}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            Address::parse(&bytes);
        }
    }
}
