//! TCP and UDP sockets of a container's network, and the kernel's TCP counters there.

use super::Out;
use exporter::Desc;
use hostfs::{Buf, Sources, scan};

const TCP: Desc = Desc::gauge("container_network_tcp_usage_total", "tcp connection usage statistic for container");
const TCP6: Desc = Desc::gauge("container_network_tcp6_usage_total", "tcp6 connection usage statistic for container");
const ADVANCED: Desc =
    Desc::gauge("container_network_advance_tcp_stats_total", "advance tcp connections statistic for container");
const UDP: Desc = Desc::gauge("container_network_udp_usage_total", "udp connection usage statistic for container");
const UDP6: Desc = Desc::gauge("container_network_udp6_usage_total", "udp6 connection usage statistic for container");

/// Of the switch `tcp`.
pub(crate) const TCP_FAMILIES: &[Desc] = &[TCP, TCP6];
/// Of the switch `udp`.
pub(crate) const UDP_FAMILIES: &[Desc] = &[UDP, UDP6];
/// Of the switch `advtcp`.
pub(crate) const ADVANCED_FAMILIES: &[Desc] = &[ADVANCED];

/// Emits TCP sockets by state.
pub(crate) fn tcp(sources: &Sources, pid: u32, buf: &mut Buf, out: &mut Out<'_>) {
    for (desc, file) in [(&TCP, "tcp"), (&TCP6, "tcp6")] {
        let Ok(table) = sources.proc(format!("{pid}/net/{file}")).read(buf) else { continue };
        for (state, count) in STATES.iter().zip(states(table)) {
            out.with(&[("tcp_state", state.as_bytes())]).put(desc, count);
        }
    }
}

/// Emits UDP sockets and their queues.
pub(crate) fn udp(sources: &Sources, pid: u32, buf: &mut Buf, out: &mut Out<'_>) {
    for (desc, file) in [(&UDP, "udp"), (&UDP6, "udp6")] {
        let Ok(table) = sources.proc(format!("{pid}/net/{file}")).read(buf) else { continue };
        let udp = Udp::parse(table);
        for (state, n) in
            [("dropped", udp.dropped), ("listen", udp.listen), ("rxqueued", udp.rxqueued), ("txqueued", udp.txqueued)]
        {
            out.with(&[("udp_state", state.as_bytes())]).put(desc, n);
        }
    }
}

/// Emits the kernel's TCP counters, names in lower case.
pub(crate) fn advanced(sources: &Sources, pid: u32, buf: &mut Buf, out: &mut Out<'_>) {
    for (file, prefix) in [("netstat", &b"TcpExt:"[..]), ("snmp", b"Tcp:")] {
        let Ok(table) = sources.proc(format!("{pid}/net/{file}")).read(buf) else { continue };
        for (name, n) in counters(table, prefix) {
            out.with(&[("tcp_state", &name.to_ascii_lowercase())]).put(&ADVANCED, n);
        }
    }
}

/// `include/net/tcp_states.h`, from 1 on.
const STATES: [&str; 11] = [
    "established",
    "synsent",
    "synrecv",
    "finwait1",
    "finwait2",
    "timewait",
    "close",
    "closewait",
    "lastack",
    "listen",
    "closing",
];

fn states(table: &[u8]) -> [u64; 11] {
    let mut counts = [0; 11];
    for line in scan::lines(table).skip(1) {
        let state = scan::fields(line).nth(3).and_then(scan::hex).and_then(|s| usize::try_from(s).ok());
        // TCP_NEW_SYN_RECV (12) is a half-open request, which readers of the file see as SYN_RECV.
        if let Some(count) = state.and_then(|s| counts.get_mut(s.checked_sub(1)?)) {
            *count += 1;
        }
    }
    counts
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Udp {
    listen: u64,
    dropped: u64,
    rxqueued: u64,
    txqueued: u64,
}

impl Udp {
    fn parse(table: &[u8]) -> Self {
        let mut udp = Self::default();
        for line in scan::lines(table).skip(1) {
            let mut fields = scan::fields(line);
            let (Some(state), Some(queues)) = (fields.nth(3), fields.next()) else { continue };
            // A socket that is bound and not connected stands in state CLOSE.
            udp.listen += u64::from(state == b"07");
            if let Some((tx, rx)) = scan::key_value(queues, b':') {
                udp.txqueued = udp.txqueued.saturating_add(scan::hex(tx).unwrap_or(0));
                udp.rxqueued = udp.rxqueued.saturating_add(scan::hex(rx).unwrap_or(0));
            }
            let dropped = fields.last().and_then(scan::u64).unwrap_or(0);
            udp.dropped = udp.dropped.saturating_add(dropped);
        }
        udp
    }
}

fn counters<'t>(table: &'t [u8], prefix: &'static [u8]) -> impl Iterator<Item = (&'t [u8], i64)> {
    let mut lines = scan::lines(table).filter_map(move |l| l.strip_prefix(prefix));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    scan::fields(names).zip(scan::fields(values)).filter_map(|(name, value)| Some((name, scan::i64(value)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tables() {
        let tcp = b"  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1\n\
            1: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000 0 0 2\n";
        let counts = states(tcp);
        assert_eq!((counts[0], counts[9], counts.iter().sum::<u64>()), (1, 1, 2));
        let udp = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            1: 00000000:0044 00000000:0000 07 00000001:0000000A 00:00000000 00000000 0 0 9 2 ffff 5\n";
        assert_eq!(Udp::parse(udp), Udp { listen: 1, dropped: 5, rxqueued: 10, txqueued: 1 });
        let snmp = b"Ip: A\nIp: 1\nTcp: MaxConn ActiveOpens\nTcp: -1 7\n";
        assert_eq!(counters(snmp, b"Tcp:").collect::<Vec<_>>(), [(&b"MaxConn"[..], -1), (b"ActiveOpens", 7)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            states(&bytes);
            Udp::parse(&bytes);
            let _ = counters(&bytes, b"Tcp:").count();
        }
    }
}
