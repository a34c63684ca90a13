//! Network devices, as `RTM_GETLINK` lists them (`Documentation/netlink/specs/rt_link.yaml`).

use super::socket::{NetlinkError, Socket};
use super::wire::{Message, attributes, push_attribute, text, u8, u16, u32, u64};

/// One network device. What the kernel did not tell is `None` or empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Link<'a> {
    /// `ifindex`.
    pub index: u32,
    /// `ARPHRD_…`.
    pub kind: u16,
    /// `IFF_…` as `dev_get_flags` renders them.
    pub flags: u32,
    /// Its name.
    pub name: &'a [u8],
    /// Hardware address.
    pub address: &'a [u8],
    /// Hardware broadcast address.
    pub broadcast: &'a [u8],
    /// What an administrator called it.
    pub alias: &'a [u8],
    /// Index of the device below; the kernel leaves it out where it is the device itself.
    pub link: Option<u32>,
    /// Largest packet.
    pub mtu: Option<u32>,
    /// Length of the transmit queue.
    pub tx_queue_len: Option<u32>,
    /// RFC 2863 state, 0 unknown to 6 up.
    pub operstate: Option<u8>,
    /// 0 default, 1 dormant.
    pub link_mode: Option<u8>,
    /// Group number.
    pub group: Option<u32>,
    /// How many want all packets.
    pub promiscuity: Option<u32>,
    /// How many want all multicast packets (Linux 6.0).
    pub allmulti: Option<u32>,
    /// Whether there is a carrier.
    pub carrier: Option<u8>,
    /// Times that it came or went.
    pub carrier_changes: Option<u32>,
    /// Times that it came.
    pub carrier_up_count: Option<u32>,
    /// Times that it went.
    pub carrier_down_count: Option<u32>,
    properties: &'a [u8],
    stats64: &'a [u8],
    stats32: &'a [u8],
}

impl<'a> Link<'a> {
    /// Length of `struct ifinfomsg`.
    pub(crate) const HEADER: usize = 16;
    /// The attributes that are read.
    pub(crate) const KNOWN: [u16; 19] = [1, 2, 3, 4, 5, 7, 13, 16, 17, 20, 23, 27, 30, 33, 35, 47, 48, 52, 61];

    /// Parses the payload of a `RTM_NEWLINK`; `None` without a header or a name.
    pub fn parse(payload: &'a [u8]) -> Option<Self> {
        let (header, rest) = payload.split_at_checked(Self::HEADER)?;
        let mut link =
            Self { kind: u16(&header[2..])?, index: u32(&header[4..])?, flags: u32(&header[8..])?, ..Self::default() };
        for a in attributes(rest) {
            match a.kind {
                1 => link.address = a.value,
                2 => link.broadcast = a.value,
                3 => link.name = text(a.value),
                4 => link.mtu = u32(a.value),
                5 => link.link = u32(a.value),
                7 => link.stats32 = a.value,
                13 => link.tx_queue_len = u32(a.value),
                16 => link.operstate = u8(a.value),
                17 => link.link_mode = u8(a.value),
                20 => link.alias = text(a.value),
                23 => link.stats64 = a.value,
                27 => link.group = u32(a.value),
                30 => link.promiscuity = u32(a.value),
                33 => link.carrier = u8(a.value),
                35 => link.carrier_changes = u32(a.value),
                47 => link.carrier_up_count = u32(a.value),
                48 => link.carrier_down_count = u32(a.value),
                52 => link.properties = a.value,
                61 => link.allmulti = u32(a.value),
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }

    /// Its counters, from those of 64 bits where the kernel gives them.
    pub fn stats(&self) -> Option<LinkStats> {
        LinkStats::parse(self.stats64, 8, u64).or_else(|| LinkStats::parse(self.stats32, 4, |b| u32(b).map(u64::from)))
    }

    /// Its alternative names.
    pub fn alternative_names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        attributes(self.properties).filter(|a| a.kind == ALTERNATIVE_NAME).map(|a| text(a.value))
    }
}

macro_rules! link_stats {
    ($($(#[$doc:meta])* $field:ident),* $(,)?) => {
        /// Counters of a device, `struct rtnl_link_stats64`; those that an old kernel lacks are 0.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct LinkStats { $($(#[$doc])* pub $field: u64),* }

        impl LinkStats {
            fn parse(bytes: &[u8], width: usize, number: impl Fn(&[u8]) -> Option<u64>) -> Option<Self> {
                if bytes.len() < width * OLDEST_COUNT {
                    return None;
                }
                let mut numbers = bytes.chunks_exact(width).map(number);
                Some(Self { $($field: numbers.next().flatten().unwrap_or(0)),* })
            }
        }
    };
}
link_stats!(
    /// Good packets received.
    rx_packets,
    /// Packets sent.
    tx_packets,
    /// Good bytes received.
    rx_bytes,
    /// Bytes sent.
    tx_bytes,
    /// Bad packets received.
    rx_errors,
    /// Problems while sending.
    tx_errors,
    /// Received, then dropped for lack of room or of a listener.
    rx_dropped,
    /// Dropped on their way out.
    tx_dropped,
    /// Multicast packets received.
    multicast,
    /// Collisions.
    collisions,
    /// Of a wrong length.
    rx_length_errors,
    /// Ring overflows.
    rx_over_errors,
    /// With a wrong checksum.
    rx_crc_errors,
    /// Misaligned.
    rx_frame_errors,
    /// FIFO overruns.
    rx_fifo_errors,
    /// Missed by the host.
    rx_missed_errors,
    /// Aborted while sending.
    tx_aborted_errors,
    /// Lost carrier while sending.
    tx_carrier_errors,
    /// FIFO underruns.
    tx_fifo_errors,
    /// Heartbeat lost.
    tx_heartbeat_errors,
    /// Late collisions.
    tx_window_errors,
    /// Compressed packets received.
    rx_compressed,
    /// Compressed packets sent.
    tx_compressed,
    /// Dropped for an inactive device.
    rx_nohandler,
    /// Dropped as another host's.
    rx_otherhost_dropped,
);

/// Asks for one device, without its counters; [`NetlinkError::is_gone`] where there is none of that index.
pub fn link(socket: &mut Socket, index: u32) -> Result<Option<Link<'_>>, NetlinkError> {
    let mut request = vec![0; HEADER];
    request[4..8].copy_from_slice(&index.to_ne_bytes());
    push_attribute(&mut request, EXT_MASK, &SKIP_STATS.to_ne_bytes());
    Ok(socket.ask(GET_LINK, &request)?.filter(|m| m.kind == NEW_LINK).find_map(|m| Link::parse(m.payload)))
}

/// Lists the devices of the socket's network namespace; without their counters where `stats` is false, which is
/// cheaper for the kernel. [`super::LinkTable`] is cheaper still.
pub fn links(socket: &mut Socket, stats: bool) -> Result<impl Iterator<Item = Link<'_>>, NetlinkError> {
    Ok(dump(socket, stats)?.filter_map(|m| Link::parse(m.payload)))
}

pub(crate) fn dump(socket: &mut Socket, stats: bool) -> Result<impl Iterator<Item = Message<'_>>, NetlinkError> {
    let mut request = Vec::with_capacity(HEADER + 8);
    request.resize(HEADER, 0);
    if !stats {
        push_attribute(&mut request, EXT_MASK, &SKIP_STATS.to_ne_bytes());
    }
    Ok(socket.dump(GET_LINK, &request)?.filter(|m| m.kind == NEW_LINK))
}

/// Lists the counters of all devices by their index, and nothing else (Linux 4.7; [`NetlinkError::is_unsupported`]
/// before): an eighth of the cost of [`links`].
pub fn stats(socket: &mut Socket) -> Result<impl Iterator<Item = (u32, LinkStats)>, NetlinkError> {
    // struct if_stats_msg: family, padding, index, a mask of what is wanted.
    let mut request = [0; STATS_HEADER];
    request[8..].copy_from_slice(&LINK_64.to_ne_bytes());
    Ok(socket.dump(GET_STATS, &request)?.filter(|m| m.kind == NEW_STATS).filter_map(|m| parse_stats(m.payload)))
}

fn parse_stats(payload: &[u8]) -> Option<(u32, LinkStats)> {
    let index = u32(payload.get(4..)?)?;
    let counters = attributes(payload.get(STATS_HEADER..)?).find(|a| a.kind == 1)?;
    Some((index, LinkStats::parse(counters.value, 8, u64)?))
}

const HEADER: usize = Link::HEADER;
/// Up to `tx_compressed`, as Linux 2.6 had them.
const OLDEST_COUNT: usize = 23;
const NEW_LINK: u16 = 16;
const GET_LINK: u16 = 18;
const EXT_MASK: u16 = 29;
/// `RTEXT_FILTER_SKIP_STATS`.
const SKIP_STATS: u32 = 8;
const ALTERNATIVE_NAME: u16 = 53;
const NEW_STATS: u16 = 92;
const GET_STATS: u16 = 94;
const STATS_HEADER: usize = 12;
/// `IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)`.
const LINK_64: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Channel;
    use proptest::prelude::*;

    fn payload(stats: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; HEADER];
        bytes[2] = 1;
        bytes[4] = 7;
        bytes[8] = 0x43;
        push_attribute(&mut bytes, 3, b"eth7\0");
        push_attribute(&mut bytes, 1, &[2, 0, 0, 0, 0, 9]);
        push_attribute(&mut bytes, 35, &4u32.to_ne_bytes());
        let stats: Vec<u8> = stats.iter().flat_map(|n| n.to_ne_bytes()).collect();
        push_attribute(&mut bytes, 23, &stats);
        let mut names = Vec::new();
        push_attribute(&mut names, ALTERNATIVE_NAME, b"enp0s7\0");
        push_attribute(&mut bytes, 0x8034, &names);
        bytes
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_link() {
        let bytes = payload(&(1..=25).collect::<Vec<u64>>());
        let link = Link::parse(&bytes).unwrap();
        assert_eq!((link.index, link.kind, link.flags, link.name), (7, 1, 0x43, &b"eth7"[..]));
        assert_eq!(link.address, [2, 0, 0, 0, 0, 9]);
        assert_eq!((link.carrier_changes, link.mtu), (Some(4), None));
        assert_eq!(link.alternative_names().collect::<Vec<_>>(), [b"enp0s7"]);
        let stats = link.stats().unwrap();
        assert_eq!((stats.rx_packets, stats.rx_nohandler, stats.rx_otherhost_dropped), (1, 24, 25));
    }

    #[test]
    fn an_old_kernel_s_counters() {
        let bytes = payload(&(1..=23).collect::<Vec<u64>>());
        let stats = Link::parse(&bytes).unwrap().stats().unwrap();
        assert_eq!((stats.tx_compressed, stats.rx_nohandler), (23, 0));
        assert!(Link::parse(&payload(&[1])).unwrap().stats().is_none());
    }

    #[test]
    fn this_machine_s_loopback() {
        let channel = Channel::route();
        assert!(channel.with(|s| Ok(link(s, 1)?.is_some_and(|l| l.name == b"lo"))).unwrap());
        assert!(channel.with(|s| link(s, 0x7fff_fff0).map(|_| ())).unwrap_err().is_gone());
        for stats in [true, false] {
            let (found, counted) = channel
                .with(|s| {
                    let lo = links(s, stats)?.find(|l| l.name == b"lo");
                    Ok((lo.is_some_and(|l| l.index == 1 && l.mtu.is_some()), lo.is_some_and(|l| l.stats().is_some())))
                })
                .unwrap();
            assert!(found);
            assert!(counted || !stats);
        }
    }

    #[test]
    fn counters_by_index() {
        let channel = Channel::route();
        let of_lo = channel.with(|s| Ok(stats(s)?.find(|(index, _)| *index == 1))).unwrap();
        let (packets, bytes) = of_lo.map(|(_, s)| (s.rx_packets, s.rx_bytes)).unwrap();
        assert!(bytes >= packets);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_stats(&bytes);
            if let Some(link) = Link::parse(&bytes) {
                link.stats();
                link.alternative_names().count();
            }
        }
    }
}
