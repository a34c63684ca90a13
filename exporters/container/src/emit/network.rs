//! Traffic by interface of a container's network namespace.

use super::Out;
use exporter::Desc;
use hostfs::{Buf, Sources, scan};

const RX_BYTES: Desc = Desc::counter("container_network_receive_bytes_total", "Cumulative count of bytes received");
const RX_PACKETS: Desc =
    Desc::counter("container_network_receive_packets_total", "Cumulative count of packets received");
const RX_DROPPED: Desc = Desc::counter(
    "container_network_receive_packets_dropped_total",
    "Cumulative count of packets dropped while receiving",
);
const RX_ERRORS: Desc =
    Desc::counter("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving");
const TX_BYTES: Desc = Desc::counter("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted");
const TX_PACKETS: Desc =
    Desc::counter("container_network_transmit_packets_total", "Cumulative count of packets transmitted");
const TX_DROPPED: Desc = Desc::counter(
    "container_network_transmit_packets_dropped_total",
    "Cumulative count of packets dropped while transmitting",
);
const TX_ERRORS: Desc = Desc::counter(
    "container_network_transmit_errors_total",
    "Cumulative count of errors encountered while transmitting",
);

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] =
    &[RX_BYTES, RX_PACKETS, RX_DROPPED, RX_ERRORS, TX_BYTES, TX_PACKETS, TX_DROPPED, TX_ERRORS];

/// Emits what the interfaces of a process' network counted.
///
/// The file is opened each time: an open one would keep a dead container's network alive.
pub(crate) fn emit(sources: &Sources, pid: u32, buf: &mut Buf, out: &mut Out<'_>) {
    let Ok(table) = sources.proc_records(format!("{pid}/net/dev")).read(buf) else { return };
    for (interface, n) in parse(table).filter(|(name, _)| !is_ignored(name)) {
        let mut out = out.with(&[("interface", interface)]);
        // receive: bytes packets errs drop fifo frame compressed multicast; transmit: bytes packets errs drop …
        for (desc, column) in [
            (&RX_BYTES, 0),
            (&RX_PACKETS, 1),
            (&RX_DROPPED, 3),
            (&RX_ERRORS, 2),
            (&TX_BYTES, 8),
            (&TX_PACKETS, 9),
            (&TX_DROPPED, 11),
            (&TX_ERRORS, 10),
        ] {
            out.put(desc, n[column]);
        }
    }
}

/// cAdvisor's list, in any case of letters.
fn is_ignored(interface: &[u8]) -> bool {
    [&b"lo"[..], b"veth", b"docker", b"nerdctl"]
        .iter()
        .any(|p| interface.get(..p.len()).is_some_and(|start| start.eq_ignore_ascii_case(p)))
}

/// The rows of `net/dev`: name and 16 numbers.
fn parse(table: &[u8]) -> impl Iterator<Item = (&[u8], [u64; 16])> {
    scan::lines(table).filter_map(|line| {
        // An alias has a colon of its own.
        let at = line.iter().rposition(|&b| b == b':')?;
        let mut numbers = [0; 16];
        let mut fields = scan::fields(&line[at + 1..]);
        for n in &mut numbers {
            *n = scan::u64(fields.next()?)?;
        }
        Some((line[..at].trim_ascii(), numbers))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_and_names_that_are_left_out() {
        let table = b"Inter-|   Receive                                                |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
            lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n  eth0:17 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
        let rows: Vec<_> = parse(table).map(|(name, n)| (name, n[0], n[15])).collect();
        assert_eq!(rows, [(&b"lo"[..], 1, 16), (b"eth0", 17, 16)]);
        for name in ["lo", "LO1", "veth1a2b", "docker0", "nerdctl0"] {
            assert!(is_ignored(name.as_bytes()), "{name}");
        }
        for name in ["eth0", "br-1", "ifb0", "l"] {
            assert!(!is_ignored(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = parse(&bytes).filter(|(n, _)| is_ignored(n)).count();
        }
    }
}
