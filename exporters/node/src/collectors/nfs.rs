//! Remote procedure calls of the NFS client, from `/proc/net/rpc/nfs` (`net/sunrpc/stats.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const NFS: Entry = Entry {
    name: "nfs",
    default: Default::On,
    about: "requests of the NFS client by procedure, from /proc/net/rpc/nfs",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Nfs { file: sources.kept_proc(format!("{dir}/rpc/nfs")) }))
    },
};

const PACKETS: Desc =
    Desc::counter("node_nfs_packets_total", "Total NFSd network packets (sent+received) by protocol type.");
const CONNECTIONS: Desc = Desc::counter("node_nfs_connections_total", "Total number of NFSd TCP connections.");
const RPCS: Desc = Desc::counter("node_nfs_rpcs_total", "Total number of RPCs performed.");
const RETRANSMISSIONS: Desc =
    Desc::counter("node_nfs_rpc_retransmissions_total", "Number of RPC transmissions performed.");
const REFRESHES: Desc =
    Desc::counter("node_nfs_rpc_authentication_refreshes_total", "Number of RPC authentication refreshes performed.");
const REQUESTS: Desc = Desc::counter("node_nfs_requests_total", "Number of NFS procedures invoked.");

struct Nfs {
    file: KeptFile,
}

impl Collector for Nfs {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let lines = Lines(self.file.read(cx.buf).or_no_data()?);
        let [_, udp, tcp, connections] = lines.numbers("net");
        out.family(&PACKETS).sample(&[("protocol", b"udp")], udp).sample(&[("protocol", b"tcp")], tcp);
        out.family(&CONNECTIONS).sample(&[], connections);
        let [calls, retransmissions, refreshes] = lines.numbers("rpc");
        out.family(&RPCS).sample(&[], calls);
        out.family(&RETRANSMISSIONS).sample(&[], retransmissions);
        out.family(&REFRESHES).sample(&[], refreshes);
        lines.emit_requests("proc2", b"2", &V2, &REQUESTS, out);
        lines.emit_requests("proc3", b"3", &V3, &REQUESTS, out);
        lines.emit_requests("proc4", b"4", &V4, &REQUESTS, out);
        Ok(())
    }
}

/// A file of lines that begin with a word and hold numbers.
pub(super) struct Lines<'t>(pub(super) &'t [u8]);

impl Lines<'_> {
    /// The numbers behind a word; those that are missing are 0, as is a line of a version that this kernel lacks.
    pub(super) fn numbers<const N: usize>(&self, word: &str) -> [u64; N] {
        let mut numbers = [0; N];
        for line in scan::lines(self.0) {
            let mut fields = scan::fields(line);
            if fields.next() == Some(word.as_bytes()) {
                for (number, field) in numbers.iter_mut().zip(fields) {
                    *number = scan::u64(field).unwrap_or(0);
                }
                break;
            }
        }
        numbers
    }

    /// Emits a line of numbers of requests: their count comes first, then one for each procedure. Procedures with an
    /// empty name are not shown.
    pub(super) fn emit_requests<const N: usize>(
        &self,
        word: &str,
        proto: &[u8],
        procedures: &[&str; N],
        desc: &Desc,
        out: &mut Part,
    ) {
        let mut family = out.family(desc);
        let numbers = scan::lines(self.0)
            .map(scan::fields)
            .find_map(|mut fields| (fields.next() == Some(word.as_bytes())).then_some(fields.skip(1).map(scan::u64)));
        let mut numbers = numbers.into_iter().flatten();
        for procedure in procedures {
            let count = numbers.next().flatten().unwrap_or(0);
            if !procedure.is_empty() {
                family.sample(&[("method", procedure.as_bytes()), ("proto", proto)], count);
            }
        }
    }
}

/// `fs/nfs/nfs2xdr.c`.
pub(super) const V2: [&str; 18] = [
    "Null", "GetAttr", "SetAttr", "Root", "Lookup", "ReadLink", "Read", "WrCache", "Write", "Create", "Remove",
    "Rename", "Link", "SymLink", "MkDir", "RmDir", "ReadDir", "FsStat",
];
/// `fs/nfs/nfs3xdr.c`.
pub(super) const V3: [&str; 22] = [
    "Null",
    "GetAttr",
    "SetAttr",
    "Lookup",
    "Access",
    "ReadLink",
    "Read",
    "Write",
    "Create",
    "MkDir",
    "SymLink",
    "MkNod",
    "Remove",
    "RmDir",
    "Rename",
    "Link",
    "ReadDir",
    "ReadDirPlus",
    "FsStat",
    "FsInfo",
    "PathConf",
    "Commit",
];
/// `fs/nfs/nfs4xdr.c`, as far as upstream names them.
const V4: [&str; 59] = [
    "Null",
    "Read",
    "Write",
    "Commit",
    "Open",
    "OpenConfirm",
    "OpenNoattr",
    "OpenDowngrade",
    "Close",
    "Setattr",
    "FsInfo",
    "Renew",
    "SetClientID",
    "SetClientIDConfirm",
    "Lock",
    "Lockt",
    "Locku",
    "Access",
    "Getattr",
    "Lookup",
    "LookupRoot",
    "Remove",
    "Rename",
    "Link",
    "Symlink",
    "Create",
    "Pathconf",
    "StatFs",
    "ReadLink",
    "ReadDir",
    "ServerCaps",
    "DelegReturn",
    "GetACL",
    "SetACL",
    "FsLocations",
    "ReleaseLockowner",
    "Secinfo",
    "FsidPresent",
    "ExchangeID",
    "CreateSession",
    "DestroySession",
    "Sequence",
    "GetLeaseTime",
    "ReclaimComplete",
    "GetDeviceInfo",
    "LayoutGet",
    "LayoutCommit",
    "LayoutReturn",
    "SecinfoNoName",
    "TestStateID",
    "FreeStateID",
    "GetDeviceList",
    "BindConnToSession",
    "DestroyClientID",
    "Seek",
    "Allocate",
    "DeAllocate",
    "LayoutStats",
    "Clone",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn counters_and_procedures() {
        let tree = Tree::of(&[(
            "proc/net/rpc/nfs",
            b"net 70 71 69 45\nrpc 1218785755 374636 1218815394\nproc3 3 1 2 3\nproc4 2 98 51\n",
        )]);
        let (text, result) = exporter::testing::collect(&NFS, &[], &tree.sources());
        result.unwrap();
        for line in [
            "node_nfs_packets_total{protocol=\"udp\"} 71",
            "node_nfs_connections_total 45",
            "node_nfs_rpc_authentication_refreshes_total 1.218815394e+09",
            "node_nfs_requests_total{method=\"SetAttr\",proto=\"3\"} 3",
            "node_nfs_requests_total{method=\"Lookup\",proto=\"3\"} 0",
            "node_nfs_requests_total{method=\"Read\",proto=\"4\"} 51",
            "node_nfs_requests_total{method=\"WrCache\",proto=\"2\"} 0",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
        assert_eq!(text.lines().filter(|l| l.starts_with("node_nfs_requests_total{")).count(), 18 + 22 + 59);
    }

    #[test]
    fn a_host_without_nfs() {
        let (_, result) = exporter::testing::collect(&NFS, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let lines = Lines(&bytes);
            let _: [u64; 4] = lines.numbers("net");
            lines.emit_requests("proc2", b"2", &V2, &REQUESTS, &mut Part::new());
        }
    }
}
