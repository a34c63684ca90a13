//! `process_*` of the service itself, as the Go client has them, from `/proc/self`.

use crate::{Desc, Part};
use hostfs::{Buf, KeptFile, Sources, scan};

const CPU: Desc = Desc::counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
const OPEN_FDS: Desc = Desc::gauge("process_open_fds", "Number of open file descriptors.");
const MAX_FDS: Desc = Desc::gauge("process_max_fds", "Maximum number of open file descriptors.");
const VIRTUAL: Desc = Desc::gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
const VIRTUAL_MAX: Desc =
    Desc::gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.");
const RESIDENT: Desc = Desc::gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
const START: Desc = Desc::gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
const RECEIVED: Desc =
    Desc::counter("process_network_receive_bytes_total", "Number of bytes received by the process over the network.");
const TRANSMITTED: Desc =
    Desc::counter("process_network_transmit_bytes_total", "Number of bytes sent by the process over the network.");

/// The files that tell of this process, kept open.
#[derive(Debug)]
pub(crate) struct Process {
    sources: Sources,
    stat: KeptFile,
    netstat: KeptFile,
    /// When the machine started, in seconds since the epoch: read once, so that a set clock does not move it.
    boot: Option<u64>,
}

impl Process {
    pub(crate) fn new() -> Self {
        let sources = Sources::live();
        let (stat, netstat) = (sources.kept_proc("self/stat"), sources.kept_proc("self/net/netstat"));
        let boot = boot_time(&sources);
        Self { sources, stat, netstat, boot }
    }

    /// Reads and emits them; what cannot be read is left out.
    pub(crate) fn emit(&self, out: &mut Part) {
        let mut buf = Buf::new();
        if let Some(stat) = self.stat.read(&mut buf).ok().and_then(parse_stat) {
            out.family(&CPU).sample(&[], stat.cpu_ticks as f64 / TICKS);
            out.family(&VIRTUAL).sample(&[], stat.virtual_bytes);
            out.family(&RESIDENT).sample(&[], stat.resident_pages * rustix::param::page_size() as u64);
            if let Some(boot) = self.boot {
                out.family(&START).sample(&[], boot as f64 + stat.start_ticks as f64 / TICKS);
            }
        }
        let fds = self.sources.proc("self/fd");
        // Linux 6.2 and later tell how many as the folder's size; thousands are costly to list.
        let told = fds.metadata().map(|m| m.len()).ok().filter(|n| *n > 0);
        // A listing itself holds one.
        let listed = || fds.entries().ok().map(|e| e.len().saturating_sub(1) as u64);
        if let Some(open) = told.or_else(listed) {
            out.family(&OPEN_FDS).sample(&[], open);
        }
        let limit = |resource| rustix::process::getrlimit(resource).current.unwrap_or(u64::MAX);
        out.family(&MAX_FDS).sample(&[], limit(rustix::process::Resource::Nofile));
        out.family(&VIRTUAL_MAX).sample(&[], limit(rustix::process::Resource::As));
        if let Some((received, sent)) = self.netstat.read(&mut buf).ok().and_then(parse_octets) {
            out.family(&RECEIVED).sample(&[], received);
            out.family(&TRANSMITTED).sample(&[], sent);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// `proc_pid_stat(5)`: the fields after the command, which may itself hold blanks and parentheses.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after = text.iter().rposition(|&b| b == b')')? + 1;
    let fields = || scan::fields(&text[after..]).map(scan::u64);
    let at = |n: usize| fields().nth(n - 3).flatten();
    Some(Stat {
        cpu_ticks: at(14)?.checked_add(at(15)?)?,
        start_ticks: at(22)?,
        virtual_bytes: at(23)?,
        resident_pages: at(24)?,
    })
}

/// The `IpExt` octets of the network name space, as the Go client reads them.
fn parse_octets(text: &[u8]) -> Option<(u64, u64)> {
    let mut lines = scan::lines(text).filter(|l| l.starts_with(b"IpExt:"));
    let (names, values) = (lines.next()?, lines.next()?);
    let find = |wanted: &[u8]| {
        let at = scan::fields(names).position(|n| n == wanted)?;
        scan::fields(values).nth(at).and_then(scan::u64)
    };
    Some((find(b"InOctets")?, find(b"OutOctets")?))
}

fn boot_time(sources: &Sources) -> Option<u64> {
    let mut buf = Buf::new();
    let text = sources.proc("stat").read(&mut buf).ok()?;
    scan::lines(text).find_map(|l| l.strip_prefix(b"btime ")).and_then(|v| scan::u64(v.trim_ascii()))
}

/// `USER_HZ`, 100 on every architecture that Linux runs on today.
const TICKS: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_command_with_blanks_and_parentheses() {
        let line = b"26231 (vim) (x) R 5392 7446 5392 34835 7446 4218880 32533 309516 26 82 1677 44 158 99 20 0 1 0 \
            82375 56274944 1981 18446744073709551615 4194304 6294284 0 0 0 0 0 8913 12 1 0 0 17 0 0 0\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!(
            stat,
            Stat { cpu_ticks: 1677 + 44, start_ticks: 82375, virtual_bytes: 56_274_944, resident_pages: 1981 }
        );
    }

    #[test]
    fn octets_are_found_by_name() {
        assert_eq!(parse_octets(b"TcpExt: a\nTcpExt: 1\nIpExt: X InOctets OutOctets\nIpExt: 9 7 8\n"), Some((7, 8)));
    }

    #[test]
    fn this_process_has_them_all() {
        let mut part = Part::new();
        Process::new().emit(&mut part);
        assert_eq!(part.len(), 9);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_stat(&bytes);
            parse_octets(&bytes);
        }
    }
}
