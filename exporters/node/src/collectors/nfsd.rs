//! The NFS server, from `/proc/net/rpc/nfsd` (`fs/nfsd/stats.c`).

use super::nfs::{Lines, V2, V3};
use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::KeptFile;

/// Registers the collector.
pub(crate) const NFSD: Entry = Entry {
    name: "nfsd",
    default: Default::On,
    about: "requests, traffic and caches of the NFS server, from /proc/net/rpc/nfsd",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Nfsd { file: sources.kept_proc(format!("{dir}/rpc/nfsd")) }))
    },
};

const REPLY_CACHE: [Desc; 3] = [
    Desc::counter(
        "node_nfsd_reply_cache_hits_total",
        "Total number of NFSd Reply Cache hits (client lost server response).",
    ),
    Desc::counter(
        "node_nfsd_reply_cache_misses_total",
        "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
    ),
    Desc::counter(
        "node_nfsd_reply_cache_nocache_total",
        "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).",
    ),
];
const STALE: Desc = Desc::counter("node_nfsd_file_handles_stale_total", "Total number of NFSd stale file handles");
const BYTES_READ: Desc = Desc::counter("node_nfsd_disk_bytes_read_total", "Total NFSd bytes read.");
const BYTES_WRITTEN: Desc = Desc::counter("node_nfsd_disk_bytes_written_total", "Total NFSd bytes written.");
const THREADS: Desc = Desc::gauge("node_nfsd_server_threads", "Total number of NFSd kernel threads that are running.");
const CACHE_SIZE: Desc =
    Desc::gauge("node_nfsd_read_ahead_cache_size_blocks", "How large the read ahead cache is in blocks.");
const CACHE_NOT_FOUND: Desc =
    Desc::counter("node_nfsd_read_ahead_cache_not_found_total", "Total number of NFSd read ahead cache not found.");
const PACKETS: Desc =
    Desc::counter("node_nfsd_packets_total", "Total NFSd network packets (sent+received) by protocol type.");
const CONNECTIONS: Desc = Desc::counter("node_nfsd_connections_total", "Total number of NFSd TCP connections.");
const RPC_ERRORS: Desc = Desc::counter("node_nfsd_rpc_errors_total", "Total number of NFSd RPC errors by error type.");
const RPCS: Desc = Desc::counter("node_nfsd_server_rpcs_total", "Total number of NFSd RPCs.");
const REQUESTS: Desc = Desc::counter("node_nfsd_requests_total", "Total number NFSd Requests by method and protocol.");

struct Nfsd {
    file: KeptFile,
}

impl Collector for Nfsd {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let lines = Lines(self.file.read(cx.buf).or_no_data()?);
        for (desc, count) in REPLY_CACHE.iter().zip(lines.numbers::<3>("rc")) {
            out.family(desc).sample(&[], count);
        }
        // The other numbers of this line are not used by the kernel.
        let [stale] = lines.numbers("fh");
        out.family(&STALE).sample(&[], stale);
        let [read, written] = lines.numbers("io");
        out.family(&BYTES_READ).sample(&[], read);
        out.family(&BYTES_WRITTEN).sample(&[], written);
        let [threads] = lines.numbers("th");
        out.family(&THREADS).sample(&[], threads);
        // Size, a histogram of ten depths, not found.
        let [size, .., not_found] = lines.numbers::<12>("ra");
        out.family(&CACHE_SIZE).sample(&[], size);
        out.family(&CACHE_NOT_FOUND).sample(&[], not_found);
        let [_, udp, tcp, connections] = lines.numbers("net");
        out.family(&PACKETS).sample(&[("proto", b"udp")], udp).sample(&[("proto", b"tcp")], tcp);
        out.family(&CONNECTIONS).sample(&[], connections);
        let [calls, _, bad_format, bad_auth, bad_client] = lines.numbers("rpc");
        out.family(&RPC_ERRORS)
            .sample(&[("error", b"fmt")], bad_format)
            .sample(&[("error", b"auth")], bad_auth)
            .sample(&[("error", b"cInt")], bad_client);
        out.family(&RPCS).sample(&[], calls);
        lines.emit_requests("proc2", b"2", &without_null(V2), &REQUESTS, out);
        lines.emit_requests("proc3", b"3", &without_null(V3), &REQUESTS, out);
        lines.emit_requests("proc4ops", b"4", &V4_OPERATIONS, &REQUESTS, out);
        let [delegations] = lines.numbers("wdeleg_getattr");
        out.family(&REQUESTS).sample(&[("method", b"WdelegGetattr"), ("proto", b"4")], delegations);
        Ok(())
    }
}

/// The server's pings are not shown.
fn without_null<const N: usize>(mut procedures: [&str; N]) -> [&str; N] {
    procedures[0] = "";
    procedures
}

/// Operations of RFC 7530 by their number; those without a name are not shown, nor are later ones.
const V4_OPERATIONS: [&str; 40] = [
    "",
    "",
    "",
    "Access",
    "Close",
    "Commit",
    "Create",
    "DelegPurge",
    "DelegReturn",
    "GetAttr",
    "GetFH",
    "Link",
    "Lock",
    "Lockt",
    "Locku",
    "Lookup",
    "LookupRoot",
    "Nverify",
    "Open",
    "OpenAttr",
    "OpenConfirm",
    "OpenDgrd",
    "PutFH",
    "",
    "",
    "Read",
    "ReadDir",
    "ReadLink",
    "Remove",
    "Rename",
    "Renew",
    "RestoreFH",
    "SaveFH",
    "SecInfo",
    "SetAttr",
    "SetClientID",
    "SetClientIDConfirm",
    "Verify",
    "Write",
    "RelLockOwner",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn counters_and_procedures() {
        let tree = Tree::of(&[(
            "proc/net/rpc/nfsd",
            b"rc 1 6 18622\nfh 3 0 0 0 0\nio 157286400 72864\nth 8 0 0.000\nra 32 0 0 0 0 0 0 0 0 0 0 9\n\
              net 972 55 917 1\nrpc 18628 3 1 2 4\nproc3 3 7 8 9\nproc4ops 5 0 0 0 1098 2\nwdeleg_getattr 15\n",
        )]);
        let (text, result) = exporter::testing::collect(&NFSD, &[], &tree.sources());
        result.unwrap();
        for line in [
            "node_nfsd_reply_cache_hits_total 1",
            "node_nfsd_file_handles_stale_total 3",
            "node_nfsd_server_threads 8",
            "node_nfsd_read_ahead_cache_not_found_total 9",
            "node_nfsd_rpc_errors_total{error=\"fmt\"} 1",
            "node_nfsd_rpc_errors_total{error=\"cInt\"} 4",
            "node_nfsd_requests_total{method=\"GetAttr\",proto=\"3\"} 8",
            "node_nfsd_requests_total{method=\"Access\",proto=\"4\"} 1098",
            "node_nfsd_requests_total{method=\"Close\",proto=\"4\"} 2",
            "node_nfsd_requests_total{method=\"WdelegGetattr\",proto=\"4\"} 15",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("Null"));
        assert_eq!(text.lines().filter(|l| l.starts_with("node_nfsd_requests_total{")).count(), 17 + 21 + 35 + 1);
    }

    #[test]
    fn a_host_that_serves_no_nfs() {
        let (_, result) = exporter::testing::collect(&NFSD, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }
}
