//! TCP sockets by state, from `sock_diag` netlink (`net/ipv4/inet_diag.c`) or `/proc/net/tcp` and `/proc/net/tcp6`.

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::netlink::{self, Channel, NetlinkError};
use hostfs::{Network, scan};

/// Registers the collector.
pub(crate) const TCPSTAT: Entry = Entry {
    name: "tcpstat",
    default: Default::Off,
    about: "TCP sockets by state and the bytes in their queues, from sock_diag netlink or /proc/net/tcp",
    flags: &[],
    build: |_, sources| {
        let network = sources.network();
        Ok(Box::new(Tcpstat {
            // Netlink shows this process's network namespace, and never a recorded tree.
            channel: (network == Network::Own && sources.is_live()).then(Channel::sock_diag),
            dir: network.proc_dir(),
        }))
    },
};

const STATES: Desc = Desc::gauge("node_tcp_connection_states", "Number of connection states.");
/// `enum tcp_states` (`include/net/tcp_states.h`), from 1 on.
const NAMES: [&str; 11] = [
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
];

struct Tcpstat {
    channel: Option<Channel>,
    dir: &'static str,
}

impl Collector for Tcpstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let by_netlink = self.channel.as_ref().map(ask);
        let sums = match by_netlink {
            Some(Ok(sums)) => sums,
            // A kernel without inet_diag, or a sandbox that forbids the family.
            Some(Err(e)) if !e.is_unsupported() => return Err(e.into()),
            Some(Err(_)) | None => self.read(cx)?,
        };
        sums.emit(out);
        Ok(())
    }
}

impl Tcpstat {
    fn read(&self, cx: &mut Cx<'_>) -> Result<Sums, CollectError> {
        let mut sums = Sums::default();
        sums.parse(cx.sources.proc(self.dir).join("tcp").read(cx.buf)?);
        match cx.sources.proc(self.dir).join("tcp6").read(cx.buf) {
            Ok(table) => sums.parse(table),
            Err(e) if e.is_absent() => {}
            Err(e) => return Err(e.into()),
        }
        Ok(sums)
    }
}

fn ask(channel: &Channel) -> Result<Sums, NetlinkError> {
    channel.with(|socket| {
        let mut sums = Sums::default();
        for family in [AF_INET, AF_INET6] {
            let mut request = [0; REQUEST];
            request[..2].copy_from_slice(&[family, IPPROTO_TCP]);
            request[4..8].copy_from_slice(&ALL_STATES.to_ne_bytes());
            socket.dump_each(SOCK_DIAG_BY_FAMILY, &request, |m| sums.add_message(m.payload))?;
        }
        Ok(sums)
    })
}

#[derive(Debug, PartialEq, Eq, Default)]
struct Sums {
    states: [u64; NAMES.len()],
    unknown: u64,
    rx_queued: u64,
    tx_queued: u64,
    sockets: u64,
}

impl Sums {
    fn add(&mut self, state: u64, tx_queue: u64, rx_queue: u64) {
        match usize::try_from(state).ok().and_then(|s| self.states.get_mut(s.checked_sub(1)?)) {
            Some(count) => *count += 1,
            None => self.unknown += 1,
        }
        self.tx_queued = self.tx_queued.wrapping_add(tx_queue);
        self.rx_queued = self.rx_queued.wrapping_add(rx_queue);
        self.sockets += 1;
    }

    /// `struct inet_diag_msg`.
    fn add_message(&mut self, payload: &[u8]) {
        let queue = |at| payload.get(at..).and_then(netlink::u32).map(u64::from);
        if let (Some(&state), Some(rx_queue), Some(tx_queue)) = (payload.get(1), queue(56), queue(60)) {
            self.add(u64::from(state), tx_queue, rx_queue);
        }
    }

    /// `sl local_address rem_address st tx_queue:rx_queue …`; lines that are none are left out.
    fn parse(&mut self, table: &[u8]) {
        for line in scan::lines(table).skip(1) {
            let mut fields = scan::fields(line).skip(3);
            let state = fields.next().and_then(scan::hex);
            let queues = fields.next().and_then(|f| scan::key_value(f, b':'));
            let queues = queues.and_then(|(tx, rx)| Some((scan::hex(tx)?, scan::hex(rx)?)));
            if let (Some(state), Some((tx, rx))) = (state, queues) {
                self.add(state, tx, rx);
            }
        }
    }

    /// States without a socket are left out.
    fn emit(&self, out: &mut Part) {
        let mut family = out.family(&STATES);
        for (name, count) in NAMES.iter().zip(self.states).chain([(&"unknown", self.unknown)]) {
            if count > 0 {
                family.sample(&[("state", name.as_bytes())], count);
            }
        }
        if self.sockets > 0 {
            family.sample(&[("state", b"rx_queued_bytes")], self.rx_queued);
            family.sample(&[("state", b"tx_queued_bytes")], self.tx_queued);
        }
    }
}

const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `struct inet_diag_req_v2`.
const REQUEST: usize = 56;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const ALL_STATES: u32 = 0xfff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const TABLE: &[u8] =
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \x20  0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0        0 2740\n\
        \x20  1: 0F02000A:0016 0202000A:8B6B 01 00000015:00000001 02:000AC99B 00000000     0        0 3652\n\
        \x20  2: 0F02000A:0016 0202000A:8B6C 0D 0:0\n  short\n";

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[("proc/net/tcp", TABLE)]);
        let (text, result) = exporter::testing::collect(&TCPSTAT, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_tcp_connection_states Number of connection states.\n\
             # TYPE node_tcp_connection_states gauge\n\
             node_tcp_connection_states{state=\"established\"} 1\n\
             node_tcp_connection_states{state=\"listen\"} 1\n\
             node_tcp_connection_states{state=\"rx_queued_bytes\"} 1\n\
             node_tcp_connection_states{state=\"tx_queued_bytes\"} 42\n\
             node_tcp_connection_states{state=\"unknown\"} 1\n"
        );
    }

    #[test]
    fn netlink_sees_a_listener() {
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let sums = ask(&Channel::sock_diag()).unwrap();
        assert!(sums.states[9] >= 1, "{sums:?}");
    }

    #[test]
    fn a_message() {
        let mut message = [0; 72];
        message[1] = 6;
        message[56..60].copy_from_slice(&3u32.to_ne_bytes());
        message[60..64].copy_from_slice(&4u32.to_ne_bytes());
        let mut sums = Sums::default();
        sums.add_message(&message);
        assert_eq!((sums.states[5], sums.rx_queued, sums.tx_queued, sums.sockets), (1, 3, 4, 1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut sums = Sums::default();
            sums.parse(&bytes);
            sums.add_message(&bytes);
        }
    }
}
