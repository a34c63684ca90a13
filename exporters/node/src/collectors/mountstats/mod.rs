//! NFS mounts of this host, from `/proc/self/mountstats` (`fs/nfs/super.c`, `nfs_show_stats`) and `/proc/self/mountinfo`.

mod families;

use exporter::{CollectError, Collector, Cx, Default, Entry, Part};
use families::{AGE, BYTES, EVENTS, MOUNT_POINT, OPERATION_COUNTS, OPERATION_TIMES, TRANSPORT};
use hostfs::{Buf, File, Sources, scan};
use std::collections::BTreeSet;

/// Registers the collector.
pub(crate) const MOUNTSTATS: Entry = Entry {
    name: "mountstats",
    default: Default::Off,
    about: "traffic, events and operations of NFS mounts, from /proc/self/mountstats",
    flags: &[],
    build: |_, _| Ok(Box::new(Mountstats)),
};

struct Mountstats;

impl Collector for Mountstats {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        // Init's table is the host's where this process has its own mounts; it takes root to read it.
        let in_init = cx.sources.proc("1/mountstats");
        let (process, stats) = if let Ok(stats) = in_init.read(cx.buf) {
            (cx.sources.proc("1"), stats)
        } else {
            let process = own_process(cx.sources, cx.buf2);
            let stats = process.join("mountstats").read(cx.buf)?;
            (process, stats)
        };
        let info = process.join("mountinfo").read(cx.buf2)?;
        emit(stats, info, out);
        Ok(())
    }
}

/// `self` is a link; in a recorded tree that lost its links it is a file with the target's name.
fn own_process<'s>(sources: &'s Sources, buf: &mut Buf) -> File<'s> {
    let own = sources.proc("self");
    let pid = if own.is_dir() { None } else { own.read_u64(buf).ok() };
    pid.map_or(own, |pid| sources.proc(pid.to_string()))
}

/// Both tables list the same mounts in the same order. Several mounts of one export share the numbers: they are shown
/// once, and each mount point has its own information sample.
fn emit(stats: &[u8], info: &[u8], out: &mut Part) {
    let (mut exports, mut mount_points) = (BTreeSet::new(), BTreeSet::new());
    for (mount, info) in mounts(stats).zip(scan::lines(info).chain(std::iter::repeat(&b""[..]))) {
        let Some(lines) = mount.stats else { continue };
        let address = server_address(info);
        for transport in lines.clone().filter_map(parse_transport) {
            let protocol = transport.protocol;
            let export = [("export", mount.export), ("mountaddr", address), ("protocol", protocol)];
            if mount_points.insert((mount.export, protocol, address, mount.target)) {
                let [export, address, protocol] = export;
                out.family(&MOUNT_POINT).sample(&[export, address, ("mountpoint", mount.target), protocol], 1u8);
            }
            if !exports.insert((mount.export, protocol, address)) {
                break;
            }
            emit_stats(lines.clone(), &export, out);
        }
    }
}

type Labels<'a> = [(&'static str, &'a [u8]); 3];

fn emit_stats<'t>(lines: impl Iterator<Item = &'t [u8]> + Clone, export: &Labels<'t>, out: &mut Part) {
    let numbers = |word: &[u8]| {
        let line = lines.clone().map(scan::fields).find_map(|mut f| (f.next() == Some(word)).then_some(f));
        line.into_iter().flatten().map(|n| scan::u64(n).unwrap_or(0)).chain(std::iter::repeat(0))
    };
    out.family(&AGE).sample(export, numbers(b"age:").next().unwrap_or(0));
    for (desc, value) in BYTES.iter().zip(numbers(b"bytes:")) {
        out.family(desc).sample(export, value);
    }
    for (place, desc) in &EVENTS {
        out.family(desc).sample(export, numbers(b"events:").nth(*place).unwrap_or(0));
    }
    let [name, address, protocol] = *export;
    for (number, transport) in lines.clone().filter_map(parse_transport).enumerate() {
        let mut digits = itoa::Buffer::new();
        let labels = [name, address, protocol, ("transport", digits.format(number).as_bytes())];
        for (place, desc) in &TRANSPORT {
            // Without traffic yet the kernel subtracts from nothing; upstream keeps such numbers within a float.
            let value = transport.numbers[*place];
            out.family(desc).sample(&labels, if *place == IDLE { value % MANTISSA } else { value });
        }
    }
    for line in lines.skip_while(|l| !l.trim_ascii_start().starts_with(b"per-op")).skip(1) {
        emit_operation(line, export, out);
    }
}

/// `READ: 1298 1298 0 207680 1210292152 6 79386 79407`.
fn emit_operation(line: &[u8], &[name, address, protocol]: &Labels<'_>, out: &mut Part) {
    let mut fields = scan::fields(line);
    let Some(operation) = fields.next().and_then(|f| f.strip_suffix(b":")) else { return };
    let labels = [name, address, ("operation", operation), protocol];
    let mut numbers = fields.map(scan::u64);
    for desc in &OPERATION_COUNTS {
        if let Some(Some(value)) = numbers.next() {
            out.family(desc).sample(&labels, value);
        }
    }
    for desc in &OPERATION_TIMES {
        if let Some(Some(value)) = numbers.next() {
            out.family(desc).sample(&labels, (value % MANTISSA) as f64 / 1000.0);
        }
    }
}

/// One mount; only those of NFS have lines of statistics.
struct Mount<'t, L> {
    export: &'t [u8],
    target: &'t [u8],
    stats: Option<L>,
}

/// `device EXPORT mounted on MOUNT_POINT with fstype nfs4 statvers=1.1`, lines up to the next empty one.
fn mounts(text: &[u8]) -> impl Iterator<Item = Mount<'_, impl Iterator<Item = &[u8]> + Clone>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (line, tail) = split_line(rest)?;
            rest = tail;
            let mut fields = scan::fields(line);
            if fields.next() != Some(b"device") {
                continue;
            }
            let export = fields.next()?;
            let target = fields.nth(2).unwrap_or_default();
            let file_system = fields.nth(2).unwrap_or_default();
            let has_stats = matches!(file_system, b"nfs" | b"nfs4") && fields.next().is_some();
            let lines = tail.split(|&b| b == b'\n').take_while(|l| !l.trim_ascii().is_empty());
            return Some(Mount { export, target, stats: has_stats.then_some(lines) });
        }
    })
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|&b| b == b'\n').unwrap_or(text.len());
    Some((&text[..end], text.get(end + 1..).unwrap_or_default()))
}

struct Transport<'t> {
    protocol: &'t [u8],
    /// As `tcp` has them.
    numbers: [u64; 13],
}

/// `xprt: tcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726`. UDP has no connections and thus lacks the numbers 2 to 4;
/// RDMA has others than TCP from the tenth on.
fn parse_transport(line: &[u8]) -> Option<Transport<'_>> {
    let mut fields = scan::fields(line);
    if fields.next() != Some(b"xprt:") {
        return None;
    }
    let protocol = fields.next()?;
    let mut numbers = [0; 13];
    for (at, field) in fields.enumerate() {
        let place = match protocol {
            b"udp" if at >= 2 => at + 3,
            b"rdma" if at >= 10 => break,
            _ => at,
        };
        if let Some(number) = numbers.get_mut(place) {
            *number = scan::u64(field).unwrap_or(0);
        }
    }
    Some(Transport { protocol, numbers })
}

/// `addr=` of the file system's own options, the last field of mountinfo.
fn server_address(info: &[u8]) -> &[u8] {
    let options = scan::fields(info).last().unwrap_or_default();
    options.split(|&b| b == b',').find_map(|o| o.strip_prefix(b"addr=")).unwrap_or_default()
}

/// Place of the idle time among a transport's numbers.
const IDLE: usize = 4;
/// Integers up to here are floats exactly.
const MANTISSA: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const STATS: &[u8] = b"device rootfs mounted on / with fstype rootfs\n\
        device srv:/a mounted on /mnt/a with fstype nfs4 statvers=1.1\n\topts:\trw\n\tage:\t13968\n\
        \tevents:\t52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 9 2 0 0 0 0 0 0 0\n\tbytes:\t1 2 3 4 5 6 7 8\n\
        \txprt:\ttcp 832 0 1 0 18446744073709551615 6428 6429 0 12154 0 24 26 5726\n\tper-op statistics\n\
        \t        READ: 1298 1299 0 207680 1210292152 6 79386 79407\n\n\
        device srv:/a mounted on /mnt/b with fstype nfs4 statvers=1.1\n\txprt:\ttcp 1 2 3\n\n\
        device srv:/u mounted on /mnt/u with fstype nfs statvers=1.1\n\txprt:\tudp 832 5 6428 6427 0 12154 0 24 26 5726\n";
    const INFO: &[u8] = b"1 0 0:1 / / rw - rootfs rootfs rw\n2 1 0:2 / /mnt/a rw - nfs4 srv:/a rw,addr=10.0.0.1\n\
        3 1 0:2 / /mnt/b rw - nfs4 srv:/a rw,addr=10.0.0.1\n4 1 0:3 / /mnt/u rw - nfs srv:/u rw\n";

    #[test]
    fn exports_once_and_mount_points_each() {
        let tree = Tree::of(&[("proc/self/mountstats", STATS), ("proc/self/mountinfo", INFO)]);
        let (text, result) = exporter::testing::collect(&MOUNTSTATS, &[], &tree.sources());
        result.unwrap();
        let a = "export=\"srv:/a\",mountaddr=\"10.0.0.1\"";
        let u = "export=\"srv:/u\",mountaddr=\"\"";
        for line in [
            format!("node_mountstats_nfs_age_seconds_total{{{a},protocol=\"tcp\"}} 13968"),
            format!("node_mountstats_nfs_mountpoint_info{{{a},mountpoint=\"/mnt/a\",protocol=\"tcp\"}} 1"),
            format!("node_mountstats_nfs_mountpoint_info{{{a},mountpoint=\"/mnt/b\",protocol=\"tcp\"}} 1"),
            format!("node_mountstats_nfs_write_pages_total{{{a},protocol=\"tcp\"}} 8"),
            format!("node_mountstats_nfs_event_truncation_total{{{a},protocol=\"tcp\"}} 2"),
            format!("node_mountstats_nfs_transport_receives_total{{{a},protocol=\"tcp\",transport=\"0\"}} 6429"),
            format!(
                "node_mountstats_nfs_transport_idle_time_seconds{{{a},protocol=\"tcp\",transport=\"0\"}} 9.007199254740991e+15"
            ),
            format!("node_mountstats_nfs_transport_bind_total{{{u},protocol=\"udp\",transport=\"0\"}} 5"),
            format!("node_mountstats_nfs_transport_connect_total{{{u},protocol=\"udp\",transport=\"0\"}} 0"),
            format!("node_mountstats_nfs_transport_sends_total{{{u},protocol=\"udp\",transport=\"0\"}} 6428"),
            format!("node_mountstats_nfs_transport_pending_queue_total{{{u},protocol=\"udp\",transport=\"0\"}} 5726"),
            format!(
                "node_mountstats_nfs_operations_transmissions_total{{{a},operation=\"READ\",protocol=\"tcp\"}} 1299"
            ),
            format!(
                "node_mountstats_nfs_operations_response_time_seconds_total{{{a},operation=\"READ\",protocol=\"tcp\"}} 79.386"
            ),
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
        assert_eq!(text.matches("\nnode_mountstats_nfs_age_seconds_total{").count(), 2);
    }

    #[test]
    fn a_tree_that_lost_its_links() {
        let tree = Tree::of(&[("proc/self", b"10"), ("proc/10/mountstats", STATS), ("proc/10/mountinfo", INFO)]);
        let (text, result) = exporter::testing::collect(&MOUNTSTATS, &[], &tree.sources());
        result.unwrap();
        assert!(text.contains("mountaddr=\"10.0.0.1\""));
    }

    #[test]
    fn without_the_table_the_collector_fails() {
        let (_, result) = exporter::testing::collect(&MOUNTSTATS, &[], &Tree::of(&[]).sources());
        assert!(result.unwrap_err().to_string().contains("proc/self/mountstats"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(stats: Vec<u8>, info: Vec<u8>) {
            emit(&[&b"device x mounted on y with fstype nfs statvers=1.1\n"[..], &stats].concat(), &info, &mut Part::new());
        }
    }
}
