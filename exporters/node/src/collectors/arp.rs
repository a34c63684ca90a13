//! Neighbours by device, from rtnetlink (`RTM_GETNEIGH`) or `/proc/net/arp` (`net/ipv4/arp.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use hostfs::netlink::{self, Channel};
use hostfs::{KeptFile, Network, scan};
use std::collections::BTreeMap;

/// Registers the collector.
pub(crate) const ARP: Entry = Entry {
    name: "arp",
    default: Default::On,
    about: "ARP entries by device, from rtnetlink or /proc/net/arp",
    flags: &[
        Flag::regex(INCLUDE, "", "Regexp of arp devices to include (mutually exclusive to device-exclude)."),
        Flag::regex(EXCLUDE, "", "Regexp of arp devices to exclude (mutually exclusive to device-include)."),
        Flag::switch_on(NETLINK, "Use netlink to gather stats instead of /proc/net/arp."),
    ],
    build: |flags, sources| {
        let network = sources.network();
        Ok(Box::new(Arp {
            filter: NameFilter::from_flags(flags, INCLUDE, EXCLUDE)?,
            // Netlink shows this process's network namespace only.
            netlink: (flags.on(NETLINK) && network == Network::Own).then(Channel::route),
            table: sources.kept_proc(format!("{}/arp", network.proc_dir())),
        }))
    },
};

const INCLUDE: &str = "collector.arp.device-include";
const EXCLUDE: &str = "collector.arp.device-exclude";
const NETLINK: &str = "collector.arp.netlink";
const ENTRIES: Desc = Desc::gauge("node_arp_entries", "ARP entries by device");

struct Arp {
    filter: NameFilter,
    netlink: Option<Channel>,
    table: KeptFile,
}

impl Collector for Arp {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let Some(channel) = &self.netlink else {
            let counts = parse(self.table.read(cx.buf)?);
            self.emit(counts.into_iter(), out);
            return Ok(());
        };
        let mut counts = BTreeMap::<u32, u64>::new();
        channel.with(|socket| {
            socket.dump_each(GET_NEIGHBOUR, &NEIGHBOURS_V4, |message| {
                if let Some(index) = parse_neighbour(message.payload) {
                    *counts.entry(index).or_default() += 1;
                }
            })
        })?;
        if !counts.is_empty() {
            // A device that went meanwhile took its neighbours with it.
            let links = cx.sources.links().read()?;
            let named = counts.iter().filter_map(|(index, count)| Some((links.by_index(*index)?.name, *count)));
            self.emit(named, out);
        }
        Ok(())
    }
}

impl Arp {
    fn emit<'n>(&self, counts: impl Iterator<Item = (&'n [u8], u64)>, out: &mut Part) {
        for (device, count) in counts.filter(|(device, _)| !self.filter.ignores(device)) {
            out.family(&ENTRIES).sample(&[("device", device)], count);
        }
    }
}

/// The device of a `RTM_NEWNEIGH`; `None` for those that need no ARP, which `/proc/net/arp` does not show either.
fn parse_neighbour(payload: &[u8]) -> Option<u32> {
    let index = netlink::u32(payload.get(4..)?)?;
    let state = netlink::u16(payload.get(8..)?)?;
    (state & NOARP == 0).then_some(index)
}

/// Counts the last column of all rows but the heading.
fn parse(table: &[u8]) -> BTreeMap<&[u8], u64> {
    let mut counts = BTreeMap::new();
    for line in scan::lines(table) {
        // IP address, HW type, flags, HW address, mask, device.
        let mut fields = scan::fields(line);
        let (Some(address), Some(device)) = (fields.next(), fields.nth(4)) else { continue };
        if address != b"IP" {
            *counts.entry(device).or_default() += 1;
        }
    }
    counts
}

/// `RTM_GETNEIGH`.
const GET_NEIGHBOUR: u16 = 30;
/// `struct ndmsg` with `AF_INET`: ARP is of IPv4.
const NEIGHBOURS_V4: [u8; 12] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// `NUD_NOARP`.
const NOARP: u16 = 0x40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "IP address       HW type     Flags       HW address            Mask     Device\n\
        192.168.1.1    0x1         0x2         cc:aa:dd:ee:aa:bb     *        eth0\n\
        192.168.1.2    0x1         0x2         bb:cc:dd:ee:ff:aa     *        eth0\n\
        10.0.0.1       0x1         0x2         de:ad:be:ef:00:00     *        nope\nshort\n";

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        std::fs::write(dir.path().join("proc/net/arp"), TABLE).unwrap();
        let args = ["--no-collector.arp.netlink", "--collector.arp.device-exclude=nope"];
        let (text, result) = exporter::testing::collect(&ARP, &args, &hostfs::Sources::under(dir.path()));
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_arp_entries ARP entries by device\n# TYPE node_arp_entries gauge\n\
             node_arp_entries{device=\"eth0\"} 2\n"
        );
    }

    #[test]
    fn netlink_and_the_table_of_this_machine_agree() {
        let sources = hostfs::Sources::live();
        let (by_netlink, result) = exporter::testing::collect(&ARP, &[], &sources);
        result.unwrap();
        let (by_table, result) = exporter::testing::collect(&ARP, &["--no-collector.arp.netlink"], &sources);
        result.unwrap();
        assert_eq!(by_netlink, by_table);
    }

    #[test]
    fn neighbours_without_arp_do_not_count() {
        let mut neighbour = [0u8; 12];
        neighbour[4..8].copy_from_slice(&3u32.to_ne_bytes());
        neighbour[8..10].copy_from_slice(&2u16.to_ne_bytes());
        assert_eq!(parse_neighbour(&neighbour), Some(3));
        neighbour[8..10].copy_from_slice(&NOARP.to_ne_bytes());
        assert_eq!(parse_neighbour(&neighbour), None);
        assert_eq!(parse_neighbour(&neighbour[..9]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
            parse_neighbour(&bytes);
        }
    }
}
