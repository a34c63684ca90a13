//! IP virtual servers, from `/proc/net/ip_vs_stats` and `/proc/net/ip_vs` (`net/netfilter/ipvs/ip_vs_ctl.c`).

use exporter::{AbsentIsNoData, BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{KeptFile, scan};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Registers the collector.
pub(crate) const IPVS: Entry = Entry {
    name: "ipvs",
    default: Default::On,
    about: "traffic of IP virtual servers and connections of their backends, from /proc/net/ip_vs_stats and /proc/net/ip_vs",
    flags: &[Flag::text(
        BACKEND_LABELS,
        "local_address,local_port,remote_address,remote_port,proto,local_mark",
        "Comma separated list for IPVS backend stats labels.",
    )],
    build: |flags, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Ipvs {
            labels: parse_labels(flags.text(BACKEND_LABELS))?,
            stats: sources.kept_proc(format!("{dir}/ip_vs_stats")),
            table: sources.kept_proc(format!("{dir}/ip_vs")),
        }))
    },
};

const BACKEND_LABELS: &str = "collector.ipvs.backend-labels";
/// The columns of the third line of `ip_vs_stats`.
const TOTALS: [Desc; 5] = [
    Desc::counter("node_ipvs_connections_total", "The total number of connections made."),
    Desc::counter("node_ipvs_incoming_packets_total", "The total number of incoming packets."),
    Desc::counter("node_ipvs_outgoing_packets_total", "The total number of outgoing packets."),
    Desc::counter("node_ipvs_incoming_bytes_total", "The total amount of incoming data."),
    Desc::counter("node_ipvs_outgoing_bytes_total", "The total amount of outgoing data."),
];
/// In the order of [`Backend::counts`].
const BACKEND: [Desc; 3] = [
    Desc::gauge("node_ipvs_backend_weight", "The current backend weight by local and remote address."),
    Desc::gauge("node_ipvs_backend_connections_active", "The current active connections by local and remote address."),
    Desc::gauge(
        "node_ipvs_backend_connections_inactive",
        "The current inactive connections by local and remote address.",
    ),
];
/// In the order of their names, as samples want them.
const LABELS: [&str; 6] = ["local_address", "local_mark", "local_port", "proto", "remote_address", "remote_port"];

struct Ipvs {
    /// Which of [`LABELS`] are wanted.
    labels: [bool; LABELS.len()],
    stats: KeptFile,
    table: KeptFile,
}

impl Collector for Ipvs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.stats.read(cx.buf).or_no_data()?;
        let totals = parse_totals(text).ok_or_else(|| {
            CollectError::failed(format!("{}: the third line is no five numbers", self.stats.path().display()))
        })?;
        for (desc, total) in TOTALS.iter().zip(totals) {
            out.family(desc).sample(&[], total);
        }
        let mut backends: Vec<Backend<'_>> = parse(self.table.read(cx.buf)?).map(|b| self.project(b)).collect();
        backends.sort_unstable();
        let mut texts = Texts::default();
        for same in backends.chunk_by(|a, b| a.key == b.key) {
            self.emit(same, &mut texts, out);
        }
        Ok(())
    }
}

impl Ipvs {
    /// Drops the parts of the key that are no labels, so that backends that differ in nothing else are added up.
    fn project<'a>(&self, mut backend: Backend<'a>) -> Backend<'a> {
        let [local_address, local_mark, local_port, proto, remote_address, remote_port] = self.labels;
        let key = &mut backend.key;
        key.local_address = key.local_address.filter(|_| local_address);
        key.local_mark = if local_mark { key.local_mark } else { b"" };
        key.local_port = if local_port { key.local_port } else { 0 };
        key.proto = if proto { key.proto } else { b"" };
        key.remote_address = key.remote_address.filter(|_| remote_address);
        key.remote_port = if remote_port { key.remote_port } else { 0 };
        backend
    }

    fn emit(&self, same: &[Backend<'_>], texts: &mut Texts, out: &mut Part) {
        let key = &same[0].key;
        write_text(key.local_address, &mut texts.local_address);
        write_text(Some(key.local_port), &mut texts.local_port);
        write_text(key.remote_address, &mut texts.remote_address);
        write_text(Some(key.remote_port), &mut texts.remote_port);
        let values = [
            &texts.local_address,
            key.local_mark,
            &texts.local_port,
            key.proto,
            &texts.remote_address,
            &texts.remote_port,
        ];
        let mut labels = [("", &b""[..]); LABELS.len()];
        let mut wanted = 0;
        for ((name, value), _) in LABELS.iter().zip(values).zip(self.labels).filter(|(_, wanted)| *wanted) {
            labels[wanted] = (name, value);
            wanted += 1;
        }
        for (at, desc) in BACKEND.iter().enumerate() {
            let sum = same.iter().fold(0u64, |sum, backend| sum.wrapping_add(backend.counts[at]));
            out.family(desc).sample(&labels[..wanted], sum);
        }
    }
}

fn write_text(value: Option<impl std::fmt::Display>, text: &mut Vec<u8>) {
    text.clear();
    if let Some(value) = value {
        // Writing to a Vec cannot fail.
        let _ = write!(text, "{value}");
    }
}

/// Addresses and ports as text, used again for each backend.
#[derive(Default)]
struct Texts {
    local_address: Vec<u8>,
    local_port: Vec<u8>,
    remote_address: Vec<u8>,
    remote_port: Vec<u8>,
}

/// One real server of one virtual service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Backend<'a> {
    key: Key<'a>,
    /// Weight, active and inactive connections.
    counts: [u64; 3],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    /// A service by firewall mark has none.
    local_address: Option<IpAddr>,
    local_mark: &'a [u8],
    local_port: u16,
    proto: &'a [u8],
    remote_address: Option<IpAddr>,
    remote_port: u16,
}

fn parse_labels(list: &str) -> Result<[bool; LABELS.len()], BuildError> {
    let mut labels = [false; LABELS.len()];
    for name in list.split(',').filter(|name| !name.is_empty()) {
        match LABELS.iter().position(|label| *label == name) {
            Some(at) => labels[at] = true,
            None => return Err(BuildError(format!("--{BACKEND_LABELS}: unknown IPVS backend label {name:?}"))),
        }
    }
    Ok(labels)
}

fn parse_totals(text: &[u8]) -> Option<[u64; TOTALS.len()]> {
    let mut fields = scan::fields(scan::lines(text).nth(2)?).map(scan::hex);
    Some([fields.next()??, fields.next()??, fields.next()??, fields.next()??, fields.next()??])
}

/// The real servers; lines that are none, or that cannot be read, are left out.
fn parse(table: &[u8]) -> impl Iterator<Item = Backend<'_>> {
    let mut service = None;
    scan::lines(table).filter_map(move |line| {
        let mut fields = scan::fields(line);
        match fields.next()? {
            proto @ (b"TCP" | b"UDP" | b"SCTP") => {
                service = fields.next().and_then(parse_address).map(|(address, port)| Key {
                    proto,
                    local_address: Some(address),
                    local_port: port,
                    ..Key::default()
                });
                None
            }
            proto @ b"FWM" => {
                service = fields.next().map(|local_mark| Key { local_mark, proto, ..Key::default() });
                None
            }
            b"->" => {
                let (address, port) = parse_address(fields.next()?)?;
                // The way that packets are forwarded is no label.
                let mut counts = fields.skip(1).map(scan::u64);
                Some(Backend {
                    key: Key { remote_address: Some(address), remote_port: port, ..service? },
                    counts: [counts.next()??, counts.next()??, counts.next()??],
                })
            }
            _ => None,
        }
    })
}

/// `C0A80016:0CEA` or `[2620:0000:0000:0000:0000:0000:0000:0001]:0050`.
fn parse_address(text: &[u8]) -> Option<(IpAddr, u16)> {
    let colon = text.iter().rposition(|&b| b == b':')?;
    let port = u16::try_from(scan::hex(&text[colon + 1..])?).ok()?;
    let address = match text[..colon].strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")) {
        Some(v6) => std::str::from_utf8(v6).ok()?.parse::<Ipv6Addr>().ok()?.into(),
        None => Ipv4Addr::from_bits(u32::try_from(scan::hex(&text[..colon])?).ok()?).into(),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const STATS: &[u8] = b"   Total Incoming Outgoing         Incoming         Outgoing\n\
        \x20  Conns  Packets  Packets            Bytes            Bytes\n 16AA370 E33656E5        0     51D8C8883AB3 0\n";
    const TABLE: &[u8] = b"IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n\
        \x20 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
        TCP  C0A80016:0CEA wlc\n  -> C0A85216:0CEA      Tunnel  100    248        2\n  -> C0A85216:0CEB      Tunnel  1 2 3\n\
        FWM  10001000 wlc\n  -> C0A8321A:0CEA      Route   20     64         1\n\
        TCP  [2620:0000:0000:0000:0000:0000:0000:0001]:0050 sh\n  -> [2620:0000:0000:0000:0000:0000:0000:0002]:0050 Route 1 0 0\n";

    #[test]
    fn a_tree_s_text() {
        let tree = Tree::of(&[("proc/net/ip_vs_stats", STATS), ("proc/net/ip_vs", TABLE)]);
        let (text, result) = exporter::testing::collect(&IPVS, &[], &tree.sources());
        result.unwrap();
        assert!(text.contains("\nnode_ipvs_connections_total 2.3765872e+07\n"), "{text}");
        let weights: Vec<_> = text.lines().filter(|l| l.starts_with("node_ipvs_backend_weight")).collect();
        assert_eq!(
            weights,
            [
                "node_ipvs_backend_weight{local_address=\"\",local_mark=\"10001000\",local_port=\"0\",proto=\"FWM\",\
                 remote_address=\"192.168.50.26\",remote_port=\"3306\"} 20",
                "node_ipvs_backend_weight{local_address=\"192.168.0.22\",local_mark=\"\",local_port=\"3306\",\
                 proto=\"TCP\",remote_address=\"192.168.82.22\",remote_port=\"3306\"} 100",
                "node_ipvs_backend_weight{local_address=\"192.168.0.22\",local_mark=\"\",local_port=\"3306\",\
                 proto=\"TCP\",remote_address=\"192.168.82.22\",remote_port=\"3307\"} 1",
                "node_ipvs_backend_weight{local_address=\"2620::1\",local_mark=\"\",local_port=\"80\",\
                 proto=\"TCP\",remote_address=\"2620::2\",remote_port=\"80\"} 1",
            ]
        );
    }

    #[test]
    fn fewer_labels_add_up() {
        let tree = Tree::of(&[("proc/net/ip_vs_stats", STATS), ("proc/net/ip_vs", TABLE)]);
        let args = ["--collector.ipvs.backend-labels=remote_address"];
        let (text, result) = exporter::testing::collect(&IPVS, &args, &tree.sources());
        result.unwrap();
        assert!(
            text.contains("\nnode_ipvs_backend_connections_active{remote_address=\"192.168.82.22\"} 250\n"),
            "{text}"
        );
        let args = ["--collector.ipvs.backend-labels="];
        let (text, _) = exporter::testing::collect(&IPVS, &args, &tree.sources());
        assert!(text.contains("\nnode_ipvs_backend_connections_active 314\n"), "{text}");
    }

    #[test]
    fn an_unknown_label_and_a_host_without_any() {
        let args = ["--collector.ipvs.backend-labels=remote_address,nope"];
        let flags = service::Flags::from_args(IPVS.flags, &args).unwrap();
        let refused = (IPVS.build)(&flags, &Tree::of(&[]).sources()).err().unwrap().to_string();
        assert!(refused.contains("\"nope\""), "{refused}");
        let (_, result) = exporter::testing::collect(&IPVS, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes).count();
            parse_totals(&bytes);
            parse_address(&bytes);
        }
    }
}
