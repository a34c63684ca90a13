//! The control files and what each becomes.

use exporter::{Desc, Part};
use hostfs::scan;

/// A file of a group, and who turns its text into samples.
pub(super) type Reading = (&'static str, fn(&[u8], &[u8], &mut Part));

/// Version 2: all controllers in one hierarchy.
pub(super) const UNIFIED: &[Reading] = &[
    ("cpu.stat", |text, slice, out| {
        cpu(keyed(text, b"user_usec"), keyed(text, b"system_usec"), 1e6, slice, out);
        throttled(keyed(text, b"nr_throttled"), keyed(text, b"throttled_usec"), 1e6, slice, out);
    }),
    ("memory.current", |text, slice, out| number(&MEMORY, text, slice, out)),
    ("memory.max", |text, slice, out| number(&MEMORY_LIMIT, text, slice, out)),
    ("memory.events", |text, slice, out| one(&OOM_KILLS, keyed(text, b"oom_kill"), slice, out)),
    ("io.stat", |text, slice, out| {
        one(&READ_BYTES, io_stat(text, b"rbytes="), slice, out);
        one(&WRITTEN_BYTES, io_stat(text, b"wbytes="), slice, out);
        one(&READS, io_stat(text, b"rios="), slice, out);
        one(&WRITES, io_stat(text, b"wios="), slice, out);
    }),
    ("pids.current", |text, slice, out| number(&TASKS, text, slice, out)),
    ("cpu.pressure", |text, slice, out| pressure(b"cpu", text, slice, out)),
    ("io.pressure", |text, slice, out| pressure(b"io", text, slice, out)),
    ("memory.pressure", |text, slice, out| pressure(b"memory", text, slice, out)),
];

/// Version 1: names that a controller's hierarchy may have, and its files.
pub(super) const LEGACY: &[(&[&str], &[Reading])] = &[
    (
        &["cpuacct", "cpu,cpuacct", "cpuacct,cpu"],
        &[("cpuacct.stat", |text, slice, out| {
            // USER_HZ
            cpu(keyed(text, b"user"), keyed(text, b"system"), 100.0, slice, out);
        })],
    ),
    (
        &["cpu", "cpu,cpuacct", "cpuacct,cpu"],
        &[("cpu.stat", |text, slice, out| {
            throttled(keyed(text, b"nr_throttled"), keyed(text, b"throttled_time"), 1e9, slice, out);
        })],
    ),
    (
        &["memory"],
        &[
            ("memory.usage_in_bytes", |text, slice, out| number(&MEMORY, text, slice, out)),
            ("memory.limit_in_bytes", |text, slice, out| {
                one(&MEMORY_LIMIT, scan::u64(text.trim_ascii()).filter(|limit| *limit < NO_LIMIT), slice, out);
            }),
            ("memory.oom_control", |text, slice, out| one(&OOM_KILLS, keyed(text, b"oom_kill"), slice, out)),
        ],
    ),
    (
        &["blkio"],
        &[
            ("blkio.throttle.io_service_bytes_recursive", |text, slice, out| {
                one(&READ_BYTES, blkio(text, b"Read"), slice, out);
                one(&WRITTEN_BYTES, blkio(text, b"Write"), slice, out);
            }),
            ("blkio.throttle.io_serviced_recursive", |text, slice, out| {
                one(&READS, blkio(text, b"Read"), slice, out);
                one(&WRITES, blkio(text, b"Write"), slice, out);
            }),
        ],
    ),
    (&["pids"], &[("pids.current", |text, slice, out| number(&TASKS, text, slice, out))]),
];

/// Version 1 writes the largest number of pages where there is no limit, whatever the page's size.
const NO_LIMIT: u64 = 1 << 62;

const CPU: Desc = Desc::counter("node_cgroup_slice_cpu_seconds_total", "Seconds the slice's tasks ran in each mode.");
const THROTTLED_PERIODS: Desc = Desc::counter(
    "node_cgroup_slice_cpu_throttled_periods_total",
    "Periods in which the slice used up its share of CPU time.",
);
const THROTTLED: Desc = Desc::counter(
    "node_cgroup_slice_cpu_throttled_seconds_total",
    "Seconds the slice's tasks were kept from running by its limit of CPU time.",
);
const MEMORY: Desc = Desc::gauge("node_cgroup_slice_memory_bytes", "Memory the slice uses, its page cache included.");
const MEMORY_LIMIT: Desc =
    Desc::gauge("node_cgroup_slice_memory_limit_bytes", "Memory the slice may use; absent where there is no limit.");
const OOM_KILLS: Desc = Desc::counter(
    "node_cgroup_slice_memory_oom_kills_total",
    "Processes of the slice that were killed for lack of memory.",
);
const READ_BYTES: Desc = Desc::counter("node_cgroup_slice_io_read_bytes_total", "Bytes the slice read from disks.");
const WRITTEN_BYTES: Desc =
    Desc::counter("node_cgroup_slice_io_written_bytes_total", "Bytes the slice wrote to disks.");
const READS: Desc = Desc::counter("node_cgroup_slice_io_reads_completed_total", "Reads of the slice from disks.");
const WRITES: Desc = Desc::counter("node_cgroup_slice_io_writes_completed_total", "Writes of the slice to disks.");
const TASKS: Desc = Desc::gauge("node_cgroup_slice_tasks", "Processes and threads of the slice.");
const WAITING: Desc = Desc::counter(
    "node_cgroup_slice_pressure_waiting_seconds_total",
    "Seconds in which some task of the slice waited for the resource.",
);
const STALLED: Desc = Desc::counter(
    "node_cgroup_slice_pressure_stalled_seconds_total",
    "Seconds in which all tasks of the slice waited for the resource at once.",
);

fn cpu(user: Option<u64>, system: Option<u64>, per_second: f64, slice: &[u8], out: &mut Part) {
    for (mode, time) in [("system", system), ("user", user)] {
        let Some(time) = time else { continue };
        let labels: [(&str, &[u8]); 2] = [("mode", mode.as_bytes()), ("slice", slice)];
        out.family(&CPU).sample(&labels, time as f64 / per_second);
    }
}

fn throttled(periods: Option<u64>, time: Option<u64>, per_second: f64, slice: &[u8], out: &mut Part) {
    one(&THROTTLED_PERIODS, periods, slice, out);
    if let Some(time) = time {
        out.family(&THROTTLED).sample(&[("slice", slice)], time as f64 / per_second);
    }
}

fn pressure(resource: &[u8], text: &[u8], slice: &[u8], out: &mut Part) {
    for (desc, kind) in [(&WAITING, b"some"), (&STALLED, b"full")] {
        let line = scan::lines(text).find(|line| line.starts_with(kind));
        let total = line.and_then(|line| scan::fields(line).find_map(|f| scan::u64(f.strip_prefix(b"total=")?)));
        if let Some(us) = total {
            out.family(desc).sample(&[("resource", resource), ("slice", slice)], us as f64 / 1e6);
        }
    }
}

fn number(desc: &Desc, text: &[u8], slice: &[u8], out: &mut Part) {
    one(desc, scan::u64(text.trim_ascii()), slice, out);
}

fn one(desc: &Desc, value: Option<u64>, slice: &[u8], out: &mut Part) {
    if let Some(value) = value {
        out.family(desc).sample(&[("slice", slice)], value);
    }
}

/// The number of a line `key number`.
fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    scan::lines(text).find_map(|line| {
        let mut fields = scan::fields(line);
        if fields.next()? == key { scan::u64(fields.next()?) } else { None }
    })
}

/// The sum over the devices of `8:0 rbytes=1 wbytes=2`.
fn io_stat(text: &[u8], key: &[u8]) -> Option<u64> {
    sum(scan::lines(text).map(|line| scan::fields(line).find_map(|f| scan::u64(f.strip_prefix(key)?))))
}

/// The sum over the devices of `8:0 Read 100`; the line with the grand total has no device.
fn blkio(text: &[u8], operation: &[u8]) -> Option<u64> {
    sum(scan::lines(text).map(|line| {
        let mut fields = scan::fields(line).skip(1);
        if fields.next()? == operation { scan::u64(fields.next()?) } else { None }
    }))
}

/// `None` where no device has said anything.
fn sum(values: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    values.flatten().reduce(u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_of_files() {
        assert_eq!(keyed(b"user_usec 1\nuser 2\n", b"user"), Some(2));
        assert_eq!(io_stat(b"8:0 rbytes=1\n8:16\n8:32 rbytes=5\n", b"rbytes="), Some(6));
        assert_eq!(io_stat(b"", b"rbytes="), None);
        assert_eq!(blkio(b"8:0 Read 1\n8:0 Write 2\nTotal 3\n", b"Read"), Some(1));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut part = Part::new();
            let legacy = LEGACY.iter().flat_map(|(_, readings)| readings.iter());
            for (_, emit) in UNIFIED.iter().chain(legacy) {
                emit(&bytes, b"slice", &mut part);
            }
        }
    }
}
