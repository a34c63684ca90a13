//! Sockets by protocol, from `/proc/net/sockstat` and `/proc/net/sockstat6` (`net/ipv4/proc.c`, `sockstat_seq_show`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use exposition::Kind;
use hostfs::{KeptFile, scan};
use std::fmt::Write;

/// Registers the collector.
pub(crate) const SOCKSTAT: Entry = Entry {
    name: "sockstat",
    default: Default::On,
    about: "sockets in use and their memory by protocol, from /proc/net/sockstat and /proc/net/sockstat6",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Sockstat {
            v4: sources.kept_proc(format!("{dir}/sockstat")),
            v6: sources.kept_proc(format!("{dir}/sockstat6")),
            page_size: rustix::param::page_size() as i64,
        }))
    },
};

const SOCKETS_USED: Desc = Desc::gauge("node_sockstat_sockets_used", "Number of IPv4 sockets in use.");
/// The states that are known; `inuse` stands for every protocol.
const STATES: [&str; 6] = ["inuse", "orphan", "tw", "alloc", "mem", "memory"];
const INUSE: usize = 0;
const MEM: usize = 4;

struct Sockstat {
    v4: KeptFile,
    v6: KeptFile,
    page_size: i64,
}

impl Collector for Sockstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut text = Texts::default();
        for (file, is_v4) in [(&self.v4, true), (&self.v6, false)] {
            let table = match file.read(cx.buf) {
                Ok(table) => table,
                // A kernel without IPv4 or without IPv6.
                Err(e) if e.is_absent() => continue,
                Err(e) => return Err(e.into()),
            };
            for line in parse(table) {
                match line {
                    Line::Used(used) if is_v4 => {
                        out.family(&SOCKETS_USED).sample(&[], used);
                    }
                    Line::Used(_) => {}
                    Line::Protocol(protocol, states) => self.protocol(protocol, &states, &mut text, out),
                }
            }
        }
        Ok(())
    }
}

impl Sockstat {
    fn protocol(&self, protocol: &[u8], states: &States, text: &mut Texts, out: &mut Part) {
        let protocol = scan::lossy(protocol);
        for (state, value) in STATES.iter().zip(states) {
            if let Some(value) = *value {
                text.gauge(&protocol, state, value, out);
            }
        }
        if let Some(pages) = states[MEM] {
            text.gauge(&protocol, "mem_bytes", pages.wrapping_mul(self.page_size), out);
        }
    }
}

/// Name and help of the family at hand: used again for each.
#[derive(Default)]
struct Texts {
    name: String,
    help: String,
}

impl Texts {
    fn gauge(&mut self, protocol: &str, state: &str, value: i64, out: &mut Part) {
        self.name.clear();
        self.help.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.name, "node_sockstat_{protocol}_{state}");
        let _ = write!(self.help, "Number of {protocol} sockets in state {state}.");
        out.family_named(&self.name, &self.help, Kind::Gauge).sample(&[], value);
    }
}

type States = [Option<i64>; STATES.len()];

#[derive(Debug, PartialEq)]
enum Line<'a> {
    Used(i64),
    Protocol(&'a [u8], States),
}

/// The lines of a table; those that are no `NAME: word number …` are left out.
fn parse(table: &[u8]) -> impl Iterator<Item = Line<'_>> {
    scan::lines(table).filter_map(|line| {
        let (protocol, pairs) = scan::key_value(line, b':')?;
        if protocol.is_empty() || !protocol.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
            return None;
        }
        let mut fields = scan::fields(pairs);
        if protocol == b"sockets" {
            return fields.nth(1).and_then(scan::i64).map(Line::Used);
        }
        let mut states = [None; STATES.len()];
        states[INUSE] = Some(0);
        while let (Some(state), Some(value)) = (fields.next(), fields.next()) {
            if let Some(at) = STATES.iter().position(|s| s.as_bytes() == state) {
                states[at] = scan::i64(value).or(states[at]);
            }
        }
        Some(Line::Protocol(protocol, states))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_both_kinds() {
        let table = b"sockets: used 229\nTCP: inuse 4 orphan 0 tw 4 alloc 17 mem 1\nFRAG: inuse 0 memory 3\n\nbad\n";
        assert_eq!(
            parse(table).collect::<Vec<_>>(),
            [
                Line::Used(229),
                Line::Protocol(b"TCP", [Some(4), Some(0), Some(4), Some(17), Some(1), None]),
                Line::Protocol(b"FRAG", [Some(0), None, None, None, None, Some(3)]),
            ]
        );
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        std::fs::write(dir.path().join("proc/net/sockstat"), "sockets: used 3\nUDP: inuse 2 mem 1\n").unwrap();
        std::fs::write(dir.path().join("proc/net/sockstat6"), "UDP6: inuse 9\n").unwrap();
        let sources = hostfs::Sources::under(dir.path());
        let (text, result) = exporter::testing::collect(&SOCKSTAT, &[], &sources);
        result.unwrap();
        let page = rustix::param::page_size();
        assert_eq!(
            text,
            format!(
                "# HELP node_sockstat_UDP6_inuse Number of UDP6 sockets in state inuse.\n\
                 # TYPE node_sockstat_UDP6_inuse gauge\nnode_sockstat_UDP6_inuse 9\n\
                 # HELP node_sockstat_UDP_inuse Number of UDP sockets in state inuse.\n\
                 # TYPE node_sockstat_UDP_inuse gauge\nnode_sockstat_UDP_inuse 2\n\
                 # HELP node_sockstat_UDP_mem Number of UDP sockets in state mem.\n\
                 # TYPE node_sockstat_UDP_mem gauge\nnode_sockstat_UDP_mem 1\n\
                 # HELP node_sockstat_UDP_mem_bytes Number of UDP sockets in state mem_bytes.\n\
                 # TYPE node_sockstat_UDP_mem_bytes gauge\nnode_sockstat_UDP_mem_bytes {page}\n\
                 # HELP node_sockstat_sockets_used Number of IPv4 sockets in use.\n\
                 # TYPE node_sockstat_sockets_used gauge\nnode_sockstat_sockets_used 3\n"
            )
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes).count();
        }
    }
}
