//! Bytes that wait in UDP sockets, from `/proc/net/udp` and `/proc/net/udp6` (`net/ipv4/udp.c`, `udp4_seq_show`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const UDP_QUEUES: Entry = Entry {
    name: "udp_queues",
    default: Default::On,
    about: "bytes queued in UDP sockets, from /proc/net/udp and /proc/net/udp6",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(UdpQueues {
            tables: [("v4", sources.kept_proc(format!("{dir}/udp"))), ("v6", sources.kept_proc(format!("{dir}/udp6")))],
        }))
    },
};

const QUEUES: Desc =
    Desc::gauge("node_udp_queues", "Number of allocated memory in the kernel for UDP datagrams in bytes.");

struct UdpQueues {
    tables: [(&'static str, KeptFile); 2],
}

impl Collector for UdpQueues {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut tables = 0;
        for (ip, file) in &self.tables {
            let queues = match file.read(cx.buf) {
                Ok(table) => parse(table),
                // A kernel without IPv4 or without IPv6.
                Err(e) if e.is_absent() => continue,
                Err(e) => return Err(e.into()),
            };
            tables += 1;
            out.family(&QUEUES)
                .sample(&[("ip", ip.as_bytes()), ("queue", b"tx")], queues.tx)
                .sample(&[("ip", ip.as_bytes()), ("queue", b"rx")], queues.rx);
        }
        if tables == 0 { Err(CollectError::NoData) } else { Ok(()) }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Queues {
    tx: u64,
    rx: u64,
}

/// Adds up `tx_queue:rx_queue`, the fifth column; rows without one are left out.
fn parse(table: &[u8]) -> Queues {
    let mut sum = Queues::default();
    for line in scan::lines(table).skip(1) {
        let Some((tx, rx)) = scan::fields(line).nth(4).and_then(|field| scan::key_value(field, b':')) else { continue };
        if let (Some(tx), Some(rx)) = (scan::hex(tx), scan::hex(rx)) {
            sum.tx = sum.tx.wrapping_add(tx);
            sum.rx = sum.rx.wrapping_add(rx);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &[u8] =
        b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
          \x20  0: 00000000:0016 00000000:0000 0A 00000015:00000000 00:00000000 00000000     0        0 2740\n\
          \x20  1: 00000000:0017 00000000:0000 07 00000001:000000F0 00:00000000 00000000     0        0 2741\n";

    #[test]
    fn queues_are_added_up() {
        assert_eq!(parse(TABLE), Queues { tx: 0x16, rx: 0xf0 });
        assert_eq!(parse(b""), Queues::default());
        assert_eq!(parse(b"header\n 0: short\n"), Queues::default());
    }

    #[test]
    fn a_host_without_ipv6_and_one_without_any() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        std::fs::write(dir.path().join("proc/net/udp"), TABLE).unwrap();
        let sources = hostfs::Sources::under(dir.path());
        let (text, result) = exporter::testing::collect(&UDP_QUEUES, &[], &sources);
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_udp_queues Number of allocated memory in the kernel for UDP datagrams in bytes.\n\
             # TYPE node_udp_queues gauge\n\
             node_udp_queues{ip=\"v4\",queue=\"rx\"} 240\nnode_udp_queues{ip=\"v4\",queue=\"tx\"} 22\n"
        );
        std::fs::remove_file(dir.path().join("proc/net/udp")).unwrap();
        let (_, result) = exporter::testing::collect(&UDP_QUEUES, &[], &sources);
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes);
        }
    }
}
