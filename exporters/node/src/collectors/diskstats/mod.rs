//! I/O counters of block devices, from `/proc/diskstats` (`Documentation/admin-guide/iostats.rst`), with what udev and
//! `/sys/block` know of them.

mod queue;
mod udev;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use hostfs::{Buf, KeptFile, Sources, scan};
use queue::Queue;
use std::sync::{Mutex, PoisonError};
use udev::Properties;

/// Registers the collector.
pub(crate) const DISKSTATS: Entry = Entry {
    name: "diskstats",
    default: Default::On,
    about: "I/O counters of block devices, from /proc/diskstats; their models and file systems, from udev's database \
            and /sys/block",
    flags: &[EXCLUDE, INCLUDE, IGNORED],
    build: |flags, sources| {
        Ok(Box::new(Diskstats {
            file: sources.kept_proc("diskstats"),
            filter: NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?,
            known: Mutex::default(),
        }))
    },
};

const EXCLUDE: Flag = Flag::regex(
    "collector.diskstats.device-exclude",
    r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "Regexp of diskstats devices to exclude (mutually exclusive to device-include).",
);
const INCLUDE: Flag = Flag::regex(
    "collector.diskstats.device-include",
    "",
    "Regexp of diskstats devices to include (mutually exclusive to device-exclude).",
);
const IGNORED: Flag =
    Flag::regex("collector.diskstats.ignored-devices", "", "DEPRECATED: Use collector.diskstats.device-exclude")
        .alias(EXCLUDE.name);

const INFO: Desc = Desc::gauge("node_disk_info", "Info of /sys/block/<block_device>.");
const FILESYSTEM_INFO: Desc = Desc::gauge("node_disk_filesystem_info", "Info about disk filesystem.");
const DEVICE_MAPPER_INFO: Desc = Desc::gauge("node_disk_device_mapper_info", "Info about disk device mapper.");
/// Properties of ATA disks that are numbers.
const ATA: [(&str, Desc); 3] = [
    ("ID_ATA_WRITE_CACHE", Desc::gauge("node_disk_ata_write_cache", "ATA disk has a write cache.")),
    (
        "ID_ATA_WRITE_CACHE_ENABLED",
        Desc::gauge("node_disk_ata_write_cache_enabled", "ATA disk has its write cache enabled."),
    ),
    (
        "ID_ATA_ROTATION_RATE_RPM",
        Desc::gauge("node_disk_ata_rotation_rate_rpm", "ATA disk rotation rate in RPMs (0 for SSDs)."),
    ),
];

/// Sectors are of this size whatever the disk's own (`Documentation/block/stat.rst`).
const SECTOR_BYTES: f64 = 512.0;
/// Times are in milliseconds.
const SECONDS: f64 = 0.001;

/// The columns behind the device's name: 11 since 2.6, 15 since 4.18, 17 since 5.5.
const COLUMNS: [(Desc, f64); 17] = [
    (Desc::counter("node_disk_reads_completed_total", "The total number of reads completed successfully."), 1.0),
    (Desc::counter("node_disk_reads_merged_total", "The total number of reads merged."), 1.0),
    (Desc::counter("node_disk_read_bytes_total", "The total number of bytes read successfully."), SECTOR_BYTES),
    (Desc::counter("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads."), SECONDS),
    (Desc::counter("node_disk_writes_completed_total", "The total number of writes completed successfully."), 1.0),
    (Desc::counter("node_disk_writes_merged_total", "The number of writes merged."), 1.0),
    (Desc::counter("node_disk_written_bytes_total", "The total number of bytes written successfully."), SECTOR_BYTES),
    (
        Desc::counter("node_disk_write_time_seconds_total", "This is the total number of seconds spent by all writes."),
        SECONDS,
    ),
    (Desc::gauge("node_disk_io_now", "The number of I/Os currently in progress."), 1.0),
    (Desc::counter("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os."), SECONDS),
    (Desc::counter("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os."), SECONDS),
    (Desc::counter("node_disk_discards_completed_total", "The total number of discards completed successfully."), 1.0),
    (Desc::counter("node_disk_discards_merged_total", "The total number of discards merged."), 1.0),
    (Desc::counter("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully."), 1.0),
    (
        Desc::counter(
            "node_disk_discard_time_seconds_total",
            "This is the total number of seconds spent by all discards.",
        ),
        SECONDS,
    ),
    (Desc::counter("node_disk_flush_requests_total", "The total number of flush requests completed successfully"), 1.0),
    (
        Desc::counter(
            "node_disk_flush_requests_time_seconds_total",
            "This is the total number of seconds spent by all flush requests.",
        ),
        SECONDS,
    ),
];
/// Rows of partitions had 4 columns until 2.6.25: such rows are left out.
const FEWEST_COLUMNS: usize = 11;

struct Diskstats {
    file: KeptFile,
    filter: NameFilter,
    known: Mutex<Known>,
}

/// What was found out about the devices at earlier scrapes, in the order of the file.
#[derive(Default)]
struct Known {
    devices: Vec<Device>,
    udev: udev::Changes,
}

struct Device {
    major: Box<[u8]>,
    minor: Box<[u8]>,
    name: Box<[u8]>,
    ignored: bool,
    queue: Queue,
    properties: Properties,
}

impl Collector for Diskstats {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf)?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { devices, udev } = &mut *known;
        let udev_changed = udev.changed(cx.sources, cx.now);
        let mut seen = 0;
        for row in scan::lines(text).filter_map(parse_row) {
            let same = |d: &Device| *d.name == *row.name && *d.major == *row.major && *d.minor == *row.minor;
            if !devices.get(seen).is_some_and(same) {
                match devices.iter().skip(seen).position(same) {
                    Some(later) => devices.swap(seen, seen + later),
                    None => devices.insert(seen, self.found(&row, cx.sources, cx.buf2)),
                }
            }
            let device = &mut devices[seen];
            seen += 1;
            if device.ignored {
                continue;
            }
            if udev_changed {
                device.properties = udev::read(&device.major, &device.minor, cx.sources, cx.buf2);
            }
            device.emit_info(device.queue.is_rotational(cx.buf2), out);
            for ((desc, unit), value) in COLUMNS.iter().zip(&row.values[..row.columns]) {
                out.family(desc).sample(&[("device", row.name)], *value as f64 * unit);
            }
        }
        devices.truncate(seen);
        Ok(())
    }
}

impl Diskstats {
    fn found(&self, row: &Row<'_>, sources: &Sources, buf: &mut Buf) -> Device {
        let ignored = self.filter.ignores(row.name);
        Device {
            major: row.major.into(),
            minor: row.minor.into(),
            name: row.name.into(),
            ignored,
            queue: if ignored { Queue::default() } else { Queue::of(row.name, sources, buf) },
            properties: if ignored { Properties::default() } else { udev::read(row.major, row.minor, sources, buf) },
        }
    }
}

impl Device {
    fn emit_info(&self, rotational: bool, out: &mut Part) {
        let (device, p) = (&*self.name, &self.properties);
        out.family(&INFO).sample(
            &[
                ("device", device),
                ("major", &self.major),
                ("minor", &self.minor),
                ("model", p.get("ID_MODEL")),
                ("path", p.get("ID_PATH")),
                ("revision", p.get("ID_REVISION")),
                ("rotational", if rotational { b"1" } else { b"0" }),
                ("serial", p.serial()),
                ("wwn", p.get("ID_WWN")),
            ],
            1u64,
        );
        if !p.get("ID_FS_TYPE").is_empty() {
            out.family(&FILESYSTEM_INFO).sample(
                &[
                    ("device", device),
                    ("type", p.get("ID_FS_TYPE")),
                    ("usage", p.get("ID_FS_USAGE")),
                    ("uuid", p.get("ID_FS_UUID")),
                    ("version", p.get("ID_FS_VERSION")),
                ],
                1u64,
            );
        }
        if !p.get("DM_NAME").is_empty() {
            out.family(&DEVICE_MAPPER_INFO).sample(
                &[
                    ("device", device),
                    ("lv_layer", p.get("DM_LV_LAYER")),
                    ("lv_name", p.get("DM_LV_NAME")),
                    ("name", p.get("DM_NAME")),
                    ("uuid", p.get("DM_UUID")),
                    ("vg_name", p.get("DM_VG_NAME")),
                ],
                1u64,
            );
        }
        if !p.get("ID_ATA").is_empty() {
            for (property, desc) in ATA {
                if let Some(value) = scan::f64(p.get(property)) {
                    out.family(&desc).sample(&[("device", device)], value);
                }
            }
        }
    }
}

struct Row<'a> {
    major: &'a [u8],
    minor: &'a [u8],
    name: &'a [u8],
    values: [u64; COLUMNS.len()],
    columns: usize,
}

fn parse_row(line: &[u8]) -> Option<Row<'_>> {
    let mut fields = scan::fields(line);
    let (major, minor, name) = (fields.next()?, fields.next()?, fields.next()?);
    let mut values = [0; COLUMNS.len()];
    let mut columns = 0;
    for (value, field) in values.iter_mut().zip(fields) {
        *value = scan::u64(field)?;
        columns += 1;
    }
    (columns >= FEWEST_COLUMNS).then_some(Row { major, minor, name, values, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;
    use std::time::{Duration, SystemTime};

    fn collect(tree: &Tree, args: &[&str]) -> String {
        let (text, result) = exporter::testing::collect(&DISKSTATS, args, &tree.sources());
        result.unwrap();
        text
    }

    #[test]
    fn kernels_of_all_ages() {
        let tree = Tree::of(&[(
            "proc/diskstats",
            b"   8  0 sda 1 2 3 4 5 6 7 8 9 10 11\n   8 1 sda1 1 2 3 4\n   8 2 sda2 1 2 3 4 5 6 7 8 9 10 11\n\
              8 16 sdb 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19\n",
        )]);
        let text = collect(&tree, &[]);
        for line in [
            "node_disk_read_bytes_total{device=\"sda\"} 1536\n",
            "node_disk_read_time_seconds_total{device=\"sda\"} 0.004\n",
            "node_disk_io_now{device=\"sda\"} 9\n",
            "node_disk_flush_requests_time_seconds_total{device=\"sdb\"} 0.017\n",
            "node_disk_info{device=\"sdb\",major=\"8\",minor=\"16\",model=\"\",path=\"\",revision=\"\",\
             rotational=\"0\",serial=\"\",wwn=\"\"} 1\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("discards_completed_total{device=\"sda\"") && !text.contains("sda1"), "{text}");
        assert!(collect(&tree, &["--collector.diskstats.device-include=^sda2$"]).contains("{device=\"sda2\"} 1"));
        assert!(collect(&tree, &["--collector.diskstats.ignored-devices=b$"]).contains("{device=\"sda2\"} 1"));
    }

    #[test]
    fn both_filters_are_refused() {
        let args = ["--collector.diskstats.device-include=a", "--collector.diskstats.device-exclude=b"];
        let flags = exporter::Flags::from_args(DISKSTATS.flags, &args).unwrap();
        let refused = (DISKSTATS.build)(&flags, &hostfs::Sources::live()).err().unwrap();
        assert!(refused.to_string().contains("mutually exclusive"), "{refused}");
    }

    #[test]
    fn what_udev_knows_and_learns() {
        let tree = Tree::of(&[
            ("proc/diskstats", b"252 0 dm-0 1 2 3 4 5 6 7 8 9 10 11\n"),
            (
                "udev/data/b252:0",
                b"S:x\nE:DM_NAME=vg-lv\nE:DM_UUID=LVM-1\nE:ID_FS_TYPE=ext4\nE:ID_ATA=1\nE:ID_ATA_ROTATION_RATE_RPM=7200\n\
                  E:ID_ATA_WRITE_CACHE=x\nE:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\n",
            ),
        ]);
        let sources = tree.sources();
        let collector = (DISKSTATS.build)(&exporter::Flags::defaults(DISKSTATS.flags), &sources).unwrap();
        let collect = || exporter::testing::collect_from(collector.as_ref(), &sources).0;
        let text = collect();
        for part in [
            "node_disk_device_mapper_info{device=\"dm-0\",lv_layer=\"\",lv_name=\"\",name=\"vg-lv\",uuid=\"LVM-1\",",
            "node_disk_filesystem_info{device=\"dm-0\",type=\"ext4\",usage=\"\",uuid=\"\",version=\"\"} 1\n",
            "node_disk_ata_rotation_rate_rpm{device=\"dm-0\"} 7200\n",
            "serial=\"short\"",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("write_cache"), "{text}");
        // An old folder is taken at its word; udev renames a file into it at each change.
        let folder = std::fs::File::open(tree.path().join("udev/data")).unwrap();
        folder.set_modified(SystemTime::now() - Duration::from_hours(1)).unwrap();
        collect();
        std::fs::write(tree.path().join("udev/data/new"), "E:DM_NAME=other\n").unwrap();
        std::fs::rename(tree.path().join("udev/data/new"), tree.path().join("udev/data/b252:0")).unwrap();
        assert!(collect().contains("name=\"other\""));
    }

    #[test]
    fn devices_come_and_go() {
        let tree =
            Tree::of(&[("proc/diskstats", b"8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n")]);
        let sources = tree.sources();
        let collector = (DISKSTATS.build)(&exporter::Flags::defaults(DISKSTATS.flags), &sources).unwrap();
        exporter::testing::collect_from(collector.as_ref(), &sources).1.unwrap();
        std::fs::write(tree.path().join("proc/diskstats"), "8 16 sdb 1 2 3 4 5 6 7 8 9 10 11\n").unwrap();
        let (text, _) = exporter::testing::collect_from(collector.as_ref(), &sources);
        assert!(text.contains("\"sdb\"") && !text.contains("\"sda\""), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "([0-9]{1,3} ){2}[a-z]{0,4}( [0-9]{0,20}){0,19}") {
            for line in scan::lines(&bytes) {
                parse_row(line);
            }
            parse_row(text.as_bytes());
        }
    }
}
