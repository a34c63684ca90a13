//! Protocol counters, from `/proc/net/netstat`, `/proc/net/snmp` (`net/ipv4/proc.c`) and `/proc/net/snmp6`
//! (`net/ipv6/proc.c`).

use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, Part};
use exposition::Kind;
use hostfs::{KeptFile, scan};
use service::Regex;
use std::sync::{Mutex, PoisonError};

/// Registers the collector.
pub(crate) const NETSTAT: Entry = Entry {
    name: "netstat",
    default: Default::On,
    about: "protocol counters of IP, ICMP, TCP and UDP, from /proc/net/netstat, /proc/net/snmp and /proc/net/snmp6",
    flags: &[Flag::regex(
        FIELDS,
        "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|\
         TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|\
         Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|\
         Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
        "Regexp of fields to return for netstat collector.",
    )],
    build: |flags, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Netstat {
            fields: flags.regex(FIELDS),
            tcp_ext: Table::new(sources.kept_proc(format!("{dir}/netstat"))),
            snmp: Table::new(sources.kept_proc(format!("{dir}/snmp"))),
            snmp6: Table::new(sources.kept_proc(format!("{dir}/snmp6"))),
        }))
    },
};

const FIELDS: &str = "collector.netstat.fields";

struct Netstat {
    /// `None` takes all.
    fields: Option<Regex>,
    tcp_ext: Table,
    snmp: Table,
    snmp6: Table,
}

/// A file, and what was made of its headings: they stay the same, so the expression is asked once for each name.
struct Table {
    file: KeptFile,
    plan: Mutex<Vec<Heading>>,
}

impl Table {
    fn new(file: KeptFile) -> Self {
        Self { file, plan: Mutex::default() }
    }
}

/// One line of names, or one name of snmp6.
#[derive(Debug, Default)]
struct Heading {
    line: Vec<u8>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    /// Which value of the line.
    column: usize,
    name: String,
    help: String,
}

impl Collector for Netstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let netstat = self.collect_pairs(&self.tcp_ext, cx, out);
        let snmp = self.collect_pairs(&self.snmp, cx, out);
        let snmp6 = self.collect_snmp6(cx, out);
        netstat.and(snmp).and(snmp6)
    }
}

impl Netstat {
    fn collect_pairs(&self, table: &Table, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut plan = table.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan { headings: &mut plan, next: 0 };
        for (names, values) in pairs(table.file.read(cx.buf)?) {
            let heading = plan.heading(names, |line| self.pair_heading(line));
            let mut values = values.split(|&b| b == b' ').skip(1);
            let mut column = 0;
            for wanted in &heading.wanted {
                let Some(value) = values.nth(wanted.column - column) else {
                    return Err(bad(table, wanted, b""));
                };
                column = wanted.column + 1;
                emit(table, wanted, value, out)?;
            }
        }
        Ok(())
    }

    fn collect_snmp6(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let table = &self.snmp6;
        let text = match table.file.read(cx.buf) {
            Ok(text) => text,
            // IPv6 is off.
            Err(e) if e.is_absent() => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let mut plan = table.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let mut plan = Plan { headings: &mut plan, next: 0 };
        for (key, value) in lines_of_two(text) {
            for wanted in &plan.heading(key, |key| self.single_heading(key)).wanted {
                emit(table, wanted, value, out)?;
            }
        }
        Ok(())
    }

    fn pair_heading(&self, line: &[u8]) -> Vec<Wanted> {
        let mut words = line.split(|&b| b == b' ');
        let protocol = words.next().and_then(|w| w.strip_suffix(b":")).unwrap_or_default();
        words.enumerate().filter_map(|(column, name)| self.wanted(column, protocol, name)).collect()
    }

    /// `Ip6InOctets` is `InOctets` of `Ip6`; names without a 6 are left out.
    fn single_heading(&self, key: &[u8]) -> Vec<Wanted> {
        let six = key.iter().position(|&b| b == b'6');
        six.and_then(|at| self.wanted(0, &key[..=at], &key[at + 1..])).into_iter().collect()
    }

    fn wanted(&self, column: usize, protocol: &[u8], name: &[u8]) -> Option<Wanted> {
        let is_word = |w: &[u8]| !w.is_empty() && w.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
        if !is_word(protocol) || !is_word(name) {
            return None;
        }
        let (protocol, name) = (scan::lossy(protocol), scan::lossy(name));
        let key = format!("{protocol}_{name}");
        self.fields.as_ref().is_none_or(|r| r.is_match(key.as_bytes())).then(|| Wanted {
            column,
            name: format!("node_netstat_{key}"),
            help: format!("Statistic {protocol}{name}."),
        })
    }
}

/// The headings in the order in which the file has them.
struct Plan<'p> {
    headings: &'p mut Vec<Heading>,
    next: usize,
}

impl Plan<'_> {
    fn heading(&mut self, line: &[u8], make: impl FnOnce(&[u8]) -> Vec<Wanted>) -> &Heading {
        if self.next == self.headings.len() {
            self.headings.push(Heading::default());
        }
        let heading = &mut self.headings[self.next];
        self.next += 1;
        if heading.line != line {
            *heading = Heading { line: line.to_vec(), wanted: make(line) };
        }
        heading
    }
}

fn emit(table: &Table, wanted: &Wanted, value: &[u8], out: &mut Part) -> Result<(), CollectError> {
    let mut family = out.family_named(&wanted.name, &wanted.help, Kind::Untyped);
    if let Some(value) = scan::u64(value) {
        family.sample(&[], value);
    } else if let Some(value) = scan::f64(value) {
        family.sample(&[], value);
    } else {
        return Err(bad(table, wanted, value));
    }
    Ok(())
}

fn bad(table: &Table, wanted: &Wanted, value: &[u8]) -> CollectError {
    let (path, value) = (table.file.path().display(), scan::lossy(value));
    CollectError::failed(format!("{path}: {value:?} of {} is no number", wanted.name))
}

/// A line of names and the line of values below it.
fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut lines = scan::lines(text);
    std::iter::from_fn(move || Some((lines.next()?, lines.next().unwrap_or_default())))
}

fn lines_of_two(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    scan::lines(text).filter_map(|line| {
        let mut fields = scan::fields(line);
        Some((fields.next()?, fields.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join("proc/net").join(name), text).unwrap();
        }
        dir
    }

    const NETSTAT_TEXT: &str = "TcpExt: SyncookiesSent SyncookiesRecv Other ListenDrops\nTcpExt: 1 2 3 4\n";
    const SNMP: &str = "Ip: Forwarding DefaultTTL\nIp: 1 64\nTcp: MaxConn ActiveOpens\nTcp: -1 3556\n";

    #[test]
    fn a_tree_s_text() {
        let dir = tree(&[
            ("netstat", NETSTAT_TEXT),
            ("snmp", SNMP),
            ("snmp6", "Ip6InReceives \t7\nIp6InOctets \t460\nno number\n"),
        ]);
        let (text, result) = exporter::testing::collect(&NETSTAT, &[], &Sources::under(dir.path()));
        result.unwrap();
        assert!(text.starts_with(
            "# HELP node_netstat_Ip6_InOctets Statistic Ip6InOctets.\n# TYPE node_netstat_Ip6_InOctets untyped\n\
             node_netstat_Ip6_InOctets 460\n"
        ));
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_netstat_Ip6_InOctets 460",
                "node_netstat_Ip_Forwarding 1",
                "node_netstat_TcpExt_ListenDrops 4",
                "node_netstat_TcpExt_SyncookiesRecv 2",
                "node_netstat_TcpExt_SyncookiesSent 1",
                "node_netstat_Tcp_ActiveOpens 3556",
            ]
        );
    }

    #[test]
    fn negative_numbers_and_other_fields() {
        let dir = tree(&[("netstat", NETSTAT_TEXT), ("snmp", SNMP)]);
        let args = ["--collector.netstat.fields=^Tcp_MaxConn$"];
        let (text, result) = exporter::testing::collect(&NETSTAT, &args, &Sources::under(dir.path()));
        result.unwrap();
        assert!(text.ends_with("\nnode_netstat_Tcp_MaxConn -1\n"));
    }

    #[test]
    fn headings_that_change_are_read_again() {
        let dir = tree(&[("netstat", NETSTAT_TEXT), ("snmp", SNMP)]);
        let sources = Sources::under(dir.path());
        let flags = service::Flags::from_args(NETSTAT.flags, &[] as &[&str]).unwrap();
        let collector = (NETSTAT.build)(&flags, &sources).unwrap();
        exporter::testing::collect_from(collector.as_ref(), &sources).1.unwrap();
        std::fs::write(dir.path().join("proc/net/netstat"), "TcpExt: ListenDrops\nTcpExt: 9\n").unwrap();
        let (text, result) = exporter::testing::collect_from(collector.as_ref(), &sources);
        result.unwrap();
        assert!(text.contains("\nnode_netstat_TcpExt_ListenDrops 9\n"));
        assert!(!text.contains("Syncookies"));
    }

    #[test]
    fn a_missing_value_fails_and_the_rest_is_served() {
        let dir = tree(&[("netstat", "TcpExt: A ListenDrops\nTcpExt: 1\n"), ("snmp", SNMP)]);
        let (text, result) = exporter::testing::collect(&NETSTAT, &[], &Sources::under(dir.path()));
        assert!(result.unwrap_err().to_string().ends_with("\"\" of node_netstat_TcpExt_ListenDrops is no number"));
        assert!(text.contains("node_netstat_Ip_Forwarding 1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, wanted in 0..3usize) {
            let dir = tree(&[]);
            for name in ["netstat", "snmp", "snmp6"] {
                std::fs::write(dir.path().join("proc/net").join(name), &bytes).unwrap();
            }
            let args = [["--collector.netstat.fields="], ["--collector.netstat.fields=."], ["--collector.netstat.fields=^x"]];
            let _ = exporter::testing::collect(&NETSTAT, &args[wanted], &Sources::under(dir.path()));
        }
    }
}
