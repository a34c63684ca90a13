//! Counters of SCSI tape drives, from `/sys/class/scsi_tape/st*/stats` (`Documentation/scsi/st.rst`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{KeptFiles, scan};

const IGNORED: Flag =
    Flag::regex("collector.tapestats.ignored-devices", "^$", "Regexp of devices to ignore for tapestats.");

/// Registers the collector.
pub(crate) const TAPESTATS: Entry = Entry {
    name: "tapestats",
    default: Default::On,
    about: "reads, writes and times of SCSI tape drives, from /sys/class/scsi_tape",
    flags: &[IGNORED],
    build: |flags, sources| Ok(Box::new(Tapestats { ignored: flags.regex(IGNORED.name), files: sources.kept_files() })),
};

/// Attribute, family, and what a unit of the kernel's is in ours (nanoseconds).
const COUNTERS: [(&str, Desc, f64); 10] = [
    ("in_flight", Desc::gauge("node_tape_io_now", "The number of I/Os currently outstanding to this device."), 1.0),
    (
        "io_ns",
        Desc::counter(
            "node_tape_io_time_seconds_total",
            "The amount of time spent waiting for all I/O to complete (including read and write). This includes tape movement commands such as seeking between file or set marks and implicit tape movement such as when rewind on close tape devices are used.",
        ),
        1e-9,
    ),
    (
        "other_cnt",
        Desc::counter(
            "node_tape_io_others_total",
            "The number of I/Os issued to the tape drive other than read or write commands. The time taken to complete these commands uses the following calculation io_time_seconds_total-read_time_seconds_total-write_time_seconds_total",
        ),
        1.0,
    ),
    (
        "read_byte_cnt",
        Desc::counter("node_tape_read_bytes_total", "The number of bytes read from the tape drive."),
        1.0,
    ),
    (
        "read_cnt",
        Desc::counter("node_tape_reads_completed_total", "The number of read requests issued to the tape drive."),
        1.0,
    ),
    (
        "read_ns",
        Desc::counter(
            "node_tape_read_time_seconds_total",
            "The amount of time spent waiting for read requests to complete.",
        ),
        1e-9,
    ),
    (
        "resid_cnt",
        Desc::counter(
            "node_tape_residual_total",
            "The number of times during a read or write we found the residual amount to be non-zero. This should mean that a program is issuing a read larger thean the block size on tape. For write not all data made it to tape.",
        ),
        1.0,
    ),
    (
        "write_byte_cnt",
        Desc::counter("node_tape_written_bytes_total", "The number of bytes written to the tape drive."),
        1.0,
    ),
    (
        "write_cnt",
        Desc::counter("node_tape_writes_completed_total", "The number of write requests issued to the tape drive."),
        1.0,
    ),
    (
        "write_ns",
        Desc::counter(
            "node_tape_write_time_seconds_total",
            "The amount of time spent waiting for write requests to complete.",
        ),
        1e-9,
    ),
];

struct Tapestats {
    ignored: Option<service::Regex>,
    files: KeptFiles,
}

impl Collector for Tapestats {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/scsi_tape");
        let names = class.entries().or_no_data()?;
        let files = self.files.round();
        let ignored = |name: &[u8]| self.ignored.as_ref().is_some_and(|r| r.is_match(name));
        for device in names.iter().filter(|n| is_drive(n) && !ignored(n)) {
            let stats = class.child(device).join("stats");
            for (attribute, desc, unit) in &COUNTERS {
                let count = files.read_trimmed(&stats.join(attribute), cx.buf).ok().and_then(scan::u64);
                if let Some(count) = count {
                    out.family(desc).sample(&[("device", device)], count as f64 * unit);
                }
            }
        }
        Ok(())
    }
}

/// `st0`; the same drive has further names (`nst0`, `st0a`, …) for its modes.
fn is_drive(name: &[u8]) -> bool {
    name.strip_prefix(b"st").is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn drives() {
        let tree = Tree::of(&[
            ("sys/class/scsi_tape/st0/stats/in_flight", b"1\n"),
            ("sys/class/scsi_tape/st0/stats/io_ns", b"9247011087720\n"),
            ("sys/class/scsi_tape/st1/stats/in_flight", b"2\n"),
            ("sys/class/scsi_tape/nst0/stats/in_flight", b"1\n"),
            ("sys/class/scsi_tape/st0a/stats/in_flight", b"1\n"),
        ]);
        let args = ["--collector.tapestats.ignored-devices=^st1$"];
        let (text, result) = exporter::testing::collect(&TAPESTATS, &args, &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            ["node_tape_io_now{device=\"st0\"} 1", "node_tape_io_time_seconds_total{device=\"st0\"} 9247.01108772"]
        );
    }

    #[test]
    fn no_tapes_is_no_data() {
        let tree = Tree::of(&[("sys/", b"")]);
        assert!(matches!(exporter::testing::collect(&TAPESTATS, &[], &tree.sources()).1, Err(CollectError::NoData)));
    }
}
