//! Queueing disciplines at the root of devices, from rtnetlink (`RTM_GETQDISC`, `include/uapi/linux/gen_stats.h`).

mod fixture;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use hostfs::netlink::{self, Channel, attributes};

/// Registers the collector.
pub(crate) const QDISC: Entry = Entry {
    name: "qdisc",
    default: Default::Off,
    about: "traffic and queues of the root queueing disciplines of devices, from rtnetlink",
    flags: &[
        Flag::text(FIXTURES, "", "test fixtures to use for qdisc collector end-to-end testing"),
        Flag::regex(INCLUDE, "", "Regexp of qdisc devices to include (mutually exclusive to device-exclude)."),
        Flag::regex("collector.qdisk.device-include", "", "DEPRECATED: Use collector.qdisc.device-include")
            .alias(INCLUDE),
        Flag::regex(EXCLUDE, "", "Regexp of qdisc devices to exclude (mutually exclusive to device-include)."),
        Flag::regex("collector.qdisk.device-exclude", "", "DEPRECATED: Use collector.qdisc.device-exclude")
            .alias(EXCLUDE),
    ],
    build: |flags, _| {
        Ok(Box::new(Qdisc {
            filter: NameFilter::from_flags(flags, INCLUDE, EXCLUDE)?,
            fixtures: flags.text(FIXTURES).to_owned(),
            channel: Channel::route(),
        }))
    },
};

const FIXTURES: &str = "collector.qdisc.fixtures";
const INCLUDE: &str = "collector.qdisc.device-include";
const EXCLUDE: &str = "collector.qdisc.device-exclude";

type Counter = (Desc, fn(&Stats) -> u64);
const COUNTERS: [Counter; 7] = [
    (Desc::counter("node_qdisc_bytes_total", "Number of bytes sent."), |s| s.bytes),
    (Desc::counter("node_qdisc_packets_total", "Number of packets sent."), |s| s.packets),
    (Desc::counter("node_qdisc_drops_total", "Number of packets dropped."), |s| s.drops),
    (Desc::counter("node_qdisc_requeues_total", "Number of packets dequeued, not transmitted, and requeued."), |s| {
        s.requeues
    }),
    (Desc::counter("node_qdisc_overlimits_total", "Number of overlimit packets."), |s| s.overlimits),
    (Desc::gauge("node_qdisc_current_queue_length", "Number of packets currently in queue to be sent."), |s| {
        s.queue_length
    }),
    (Desc::gauge("node_qdisc_backlog", "Number of bytes currently in queue to be sent."), |s| s.backlog),
];

struct Qdisc {
    filter: NameFilter,
    /// A folder to read instead of asking the kernel; empty for the latter.
    fixtures: String,
    channel: Channel,
}

impl Collector for Qdisc {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        if !self.fixtures.is_empty() {
            let file = cx.sources.named(&self.fixtures).join("results.json");
            return fixture::read(file.read(cx.buf)?, |device, kind, stats| self.emit(device, kind, stats, out))
                .map_err(|e| CollectError::failed(format!("{}: {e}", file.path().display())));
        }
        let links = cx.sources.links().read()?;
        self.channel.with(|socket| {
            socket.dump_each(GET_QDISC, &[0; HEADER], |message| {
                if let Some((index, kind, stats)) = parse(message.payload)
                    && let Some(link) = links.by_index(index)
                {
                    self.emit(link.name, kind, &stats, out);
                }
            })
        })?;
        Ok(())
    }
}

impl Qdisc {
    fn emit(&self, device: &[u8], kind: &[u8], stats: &Stats, out: &mut Part) {
        if self.filter.ignores(device) {
            return;
        }
        for (desc, count) in &COUNTERS {
            out.family(desc).sample(&[("device", device), ("kind", kind)], count(stats));
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stats {
    bytes: u64,
    packets: u64,
    drops: u64,
    requeues: u64,
    overlimits: u64,
    queue_length: u64,
    backlog: u64,
}

/// The payload of a `RTM_NEWQDISC`: device, kind and counters; `None` for those that are not at the root.
fn parse(payload: &[u8]) -> Option<(u32, &[u8], Stats)> {
    let (header, rest) = payload.split_at_checked(HEADER)?;
    if ![0, ROOT].contains(&netlink::u32(&header[12..])?) {
        return None;
    }
    let (mut kind, mut stats) = (&b""[..], Stats::default());
    for a in attributes(rest) {
        match a.kind {
            1 => kind = netlink::text(a.value),
            3 => stats.read_old(a.value),
            7 => stats.read_new(a.value),
            _ => {}
        }
    }
    Some((netlink::u32(&header[4..])?, kind, stats))
}

impl Stats {
    /// `struct tc_stats`, which kernels send beside the new form.
    fn read_old(&mut self, value: &[u8]) {
        let number = |at| value.get(at..).and_then(netlink::u32).map_or(0, u64::from);
        self.bytes = netlink::u64(value).unwrap_or(0);
        (self.packets, self.drops, self.overlimits) = (number(8), number(12), number(16));
        (self.queue_length, self.backlog) = (number(28), number(32));
    }

    /// `TCA_STATS2`: each group of counters in an attribute of its own.
    fn read_new(&mut self, value: &[u8]) {
        for a in attributes(value) {
            let number = |at| a.value.get(at..).and_then(netlink::u32).map_or(0, u64::from);
            match a.kind {
                1 => (self.bytes, self.packets) = (netlink::u64(a.value).unwrap_or(0), number(8)),
                3 => {
                    (self.queue_length, self.backlog) = (number(0), number(4));
                    (self.drops, self.requeues, self.overlimits) = (number(8), number(12), number(16));
                }
                // Differs from node_exporter: packets beyond 2^32 are not cut. The kernel sends this after the basic
                // counters, where these do not fit.
                8 => self.packets = netlink::u64(a.value).unwrap_or(self.packets),
                _ => {}
            }
        }
    }
}

/// `struct tcmsg`.
const HEADER: usize = 20;
/// `RTM_GETQDISC`.
const GET_QDISC: u16 = 38;
/// `TC_H_ROOT`.
const ROOT: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use hostfs::netlink::push_attribute;
    use proptest::prelude::*;

    fn payload(parent: u32) -> Vec<u8> {
        let mut payload = vec![0; HEADER];
        payload[4..8].copy_from_slice(&2u32.to_ne_bytes());
        payload[12..16].copy_from_slice(&parent.to_ne_bytes());
        push_attribute(&mut payload, 1, b"fq_codel\0");
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_ne_bytes()).collect::<Vec<u8>>();
        let mut groups = Vec::new();
        push_attribute(&mut groups, 1, &[5u64.to_ne_bytes().to_vec(), numbers(&[6, 0])].concat());
        push_attribute(&mut groups, 3, &numbers(&[1, 2, 3, 4, 5]));
        push_attribute(&mut groups, 8, &(1u64 << 33).to_ne_bytes());
        push_attribute(&mut payload, 7, &groups);
        payload
    }

    #[test]
    fn counters_of_the_root() {
        let payload_of_root = payload(ROOT);
        let (index, kind, stats) = parse(&payload_of_root).unwrap();
        assert_eq!((index, kind), (2, &b"fq_codel"[..]));
        let expected =
            Stats { bytes: 5, packets: 1 << 33, queue_length: 1, backlog: 2, drops: 3, requeues: 4, overlimits: 5 };
        assert_eq!(stats, expected);
        assert_eq!(parse(&payload(0x10001)), None);
    }

    #[test]
    fn fixtures_stand_in() {
        let tree = Tree::of(&[(
            "qdisc/results.json",
            br#"[{"IfaceName": "wlan0", "Bytes": 42, "Packets": 43, "Requeues": 1, "Kind": "fq", "Drops": 2},
                {"IfaceName": "eth0", "Kind": "mq", "Parent": 3}, {"IfaceName": "eth1", "Kind": "mq"}]"#,
        )]);
        let fixtures = format!("--collector.qdisc.fixtures={}", tree.path().join("qdisc").display());
        let args = [fixtures.as_str(), "--collector.qdisk.device-exclude=eth1"];
        let (text, result) = exporter::testing::collect(&QDISC, &args, &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_qdisc_backlog{device=\"wlan0\",kind=\"fq\"} 0",
                "node_qdisc_bytes_total{device=\"wlan0\",kind=\"fq\"} 42",
                "node_qdisc_current_queue_length{device=\"wlan0\",kind=\"fq\"} 0",
                "node_qdisc_drops_total{device=\"wlan0\",kind=\"fq\"} 2",
                "node_qdisc_overlimits_total{device=\"wlan0\",kind=\"fq\"} 0",
                "node_qdisc_packets_total{device=\"wlan0\",kind=\"fq\"} 43",
                "node_qdisc_requeues_total{device=\"wlan0\",kind=\"fq\"} 1",
            ]
        );
    }

    #[test]
    fn the_kernel_answers() {
        let (_, result) = exporter::testing::collect(&QDISC, &[], &hostfs::Sources::live());
        result.unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
            let mut stats = Stats::default();
            stats.read_old(&bytes);
            stats.read_new(&bytes);
        }
    }
}
