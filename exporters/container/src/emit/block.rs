//! Bytes and requests by block device.

use super::{Out, Subject};
use crate::cgroups::{Controller, Pseudo};
use exporter::Desc;
use hostfs::scan;
use std::collections::BTreeMap;

const READS_BYTES: Desc = Desc::counter("container_fs_reads_bytes_total", "Cumulative count of bytes read");
const READS: Desc = Desc::counter("container_fs_reads_total", "Cumulative count of reads completed");
const SECTOR_READS: Desc =
    Desc::counter("container_fs_sector_reads_total", "Cumulative count of sector reads completed");
const READS_MERGED: Desc = Desc::counter("container_fs_reads_merged_total", "Cumulative count of reads merged");
const READ_SECONDS: Desc =
    Desc::counter("container_fs_read_seconds_total", "Cumulative count of seconds spent reading");
const WRITES_BYTES: Desc = Desc::counter("container_fs_writes_bytes_total", "Cumulative count of bytes written");
const WRITES: Desc = Desc::counter("container_fs_writes_total", "Cumulative count of writes completed");
const SECTOR_WRITES: Desc =
    Desc::counter("container_fs_sector_writes_total", "Cumulative count of sector writes completed");
const WRITES_MERGED: Desc = Desc::counter("container_fs_writes_merged_total", "Cumulative count of writes merged");
const WRITE_SECONDS: Desc =
    Desc::counter("container_fs_write_seconds_total", "Cumulative count of seconds spent writing");
const IO_CURRENT: Desc = Desc::gauge("container_fs_io_current", "Number of I/Os currently in progress");
const IO_TIME: Desc =
    Desc::counter("container_fs_io_time_seconds_total", "Cumulative count of seconds spent doing I/Os");
const IO_WEIGHTED: Desc =
    Desc::counter("container_fs_io_time_weighted_seconds_total", "Cumulative weighted I/O time in seconds");
const COST_USAGE: Desc =
    Desc::counter("container_fs_io_cost_usage_seconds_total", "Cumulative IOCost usage in seconds");
const COST_WAIT: Desc = Desc::counter("container_fs_io_cost_wait_seconds_total", "Cumulative IOCost wait in seconds");
const COST_INDEBT: Desc =
    Desc::counter("container_fs_io_cost_indebt_seconds_total", "Cumulative IOCost debt in seconds");
const COST_INDELAY: Desc =
    Desc::counter("container_fs_io_cost_indelay_seconds_total", "Cumulative IOCost delay in seconds");
const BLKIO: Desc = Desc::counter("container_blkio_device_usage_total", "Blkio Device bytes usage");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] = &[
    READS_BYTES,
    READS,
    SECTOR_READS,
    READS_MERGED,
    READ_SECONDS,
    WRITES_BYTES,
    WRITES,
    SECTOR_WRITES,
    WRITES_MERGED,
    WRITE_SECONDS,
    IO_CURRENT,
    IO_TIME,
    IO_WEIGHTED,
    COST_USAGE,
    COST_WAIT,
    COST_INDEBT,
    COST_INDELAY,
    BLKIO,
];

/// The host's block devices by number, from `/proc/diskstats`.
#[derive(Debug, Default)]
pub(crate) struct Disks(BTreeMap<(u64, u64), Disk>);

#[derive(Debug)]
struct Disk {
    /// `/dev/NAME`.
    path: Vec<u8>,
    /// Fields from the fourth on (`Documentation/admin-guide/iostats.rst`).
    fields: [u64; 11],
}

impl Disks {
    /// Parses the table; lines without 14 columns are left out.
    pub(crate) fn parse(table: &[u8]) -> Self {
        let disks = scan::lines(table).filter_map(|line| {
            let mut columns = scan::fields(line);
            let number = (scan::u64(columns.next()?)?, scan::u64(columns.next()?)?);
            let path = [b"/dev/", columns.next()?].concat();
            let mut fields = [0; 11];
            for field in &mut fields {
                *field = scan::u64(columns.next()?)?;
            }
            Some((number, Disk { path, fields }))
        });
        Self(disks.collect())
    }

    fn path(&self, number: (u64, u64)) -> &[u8] {
        self.0.get(&number).map_or(b"", |d| &d.path)
    }

    /// Emits all that the kernel counts of the whole devices with these numbers: what the root cgroup shows.
    pub(crate) fn whole(&self, numbers: impl Iterator<Item = (u64, u64)>, out: &mut Out<'_>) {
        for disk in numbers.filter_map(|n| self.0.get(&n)) {
            let mut out = out.with(&[("device", &disk.path)]);
            let f = &disk.fields;
            // Differs from cAdvisor, which divides milliseconds by 10^9.
            let seconds = |ms: u64| ms as f64 / 1e3;
            out.put(&READS_BYTES, f[2] * SECTOR);
            out.put(&READS, f[0]);
            out.put(&READS_MERGED, f[1]);
            out.put(&SECTOR_READS, f[2]);
            out.put(&READ_SECONDS, seconds(f[3]));
            out.put(&WRITES_BYTES, f[6] * SECTOR);
            out.put(&WRITES, f[4]);
            out.put(&WRITES_MERGED, f[5]);
            out.put(&SECTOR_WRITES, f[6]);
            out.put(&WRITE_SECONDS, seconds(f[7]));
            out.put(&IO_CURRENT, f[8]);
            out.put(&IO_TIME, seconds(f[9]));
            out.put(&IO_WEIGHTED, seconds(f[10]));
        }
    }
}

/// Emits what one cgroup asked of the devices. Differs from cAdvisor, which shows the whole disk's numbers on each container.
pub(crate) fn emit(s: &mut Subject<'_>, disks: &Disks, out: &mut Out<'_>) {
    let mut devices: BTreeMap<(u64, u64), Device> = BTreeMap::new();
    if s.v2(Controller::Blkio) {
        if let Some(text) = s.read(Pseudo::IoBytes) {
            parse_v2(text, &mut devices);
        }
    } else {
        for (file, ops) in [(Pseudo::IoBytes, false), (Pseudo::IoOps, true)] {
            if let Some(text) = s.read(file) {
                parse_v1(text, ops, &mut devices);
            }
        }
    }
    for (&number, device) in &devices {
        emit_device(number, device, disks, s.root, out);
    }
}

fn emit_device(number: (u64, u64), device: &Device, disks: &Disks, root: bool, out: &mut Out<'_>) {
    let path = disks.path(number);
    // The root's are the whole disk's, which come from elsewhere.
    if !root {
        let mut out = out.with(&[("device", path)]);
        out.maybe(&READS_BYTES, device.read.bytes);
        out.maybe(&READS, device.read.ops);
        out.maybe(&SECTOR_READS, device.read.bytes.map(|b| b / SECTOR));
        out.maybe(&WRITES_BYTES, device.write.bytes);
        out.maybe(&WRITES, device.write.ops);
        out.maybe(&SECTOR_WRITES, device.write.bytes.map(|b| b / SECTOR));
        for (desc, us) in [&COST_USAGE, &COST_WAIT, &COST_INDEBT, &COST_INDELAY].into_iter().zip(device.cost) {
            out.maybe(desc, us.map(|us| us as f64 / 1e6));
        }
    }
    let (major, minor) = (number.0.to_string(), number.1.to_string());
    let mut out = out.with(&[("device", path), ("major", major.as_bytes()), ("minor", minor.as_bytes())]);
    for (operation, bytes) in &device.operations {
        out.with(&[("operation", operation)]).put(&BLKIO, *bytes);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Device {
    read: Amount,
    write: Amount,
    /// Bytes by operation, as the kernel names them.
    operations: Vec<(Vec<u8>, u64)>,
    /// Usage, wait, indebt and indelay of the cost model, microseconds.
    cost: [Option<u64>; 4],
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Amount {
    bytes: Option<u64>,
    ops: Option<u64>,
}

/// `blkio.throttle.*_recursive`: lines such as `253:0 Read 4096`.
fn parse_v1(text: &[u8], ops: bool, devices: &mut BTreeMap<(u64, u64), Device>) {
    for line in scan::lines(text) {
        let mut fields = scan::fields(line);
        let Some(number) = fields.next().and_then(device_number) else { continue };
        let (Some(operation), Some(n)) = (fields.next(), fields.next().and_then(scan::u64)) else { continue };
        let device = devices.entry(number).or_default();
        let amount = match operation {
            b"Read" => Some(&mut device.read),
            b"Write" => Some(&mut device.write),
            _ => None,
        };
        match amount {
            Some(amount) if ops => amount.ops = Some(n),
            Some(amount) => amount.bytes = Some(n),
            None => {}
        }
        if !ops {
            device.operations.push((operation.to_vec(), n));
        }
    }
}

/// `io.stat`: lines such as `253:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`.
fn parse_v2(text: &[u8], devices: &mut BTreeMap<(u64, u64), Device>) {
    for line in scan::lines(text) {
        let mut fields = scan::fields(line);
        let Some(number) = fields.next().and_then(device_number) else { continue };
        let device = devices.entry(number).or_default();
        for (key, value) in fields.filter_map(|f| scan::key_value(f, b'=')) {
            let n = scan::u64(value);
            match key {
                b"rbytes" => device.read.bytes = n,
                b"wbytes" => device.write.bytes = n,
                b"rios" => device.read.ops = n,
                b"wios" => device.write.ops = n,
                b"cost.usage" => device.cost[0] = n,
                b"cost.wait" => device.cost[1] = n,
                b"cost.indebt" => device.cost[2] = n,
                b"cost.indelay" => device.cost[3] = n,
                _ => {}
            }
        }
        for (operation, bytes) in [("Read", device.read.bytes), ("Write", device.write.bytes)] {
            device.operations.extend(bytes.map(|b| (operation.as_bytes().to_vec(), b)));
        }
    }
}

fn device_number(text: &[u8]) -> Option<(u64, u64)> {
    let (major, minor) = scan::key_value(text, b':')?;
    Some((scan::u64(major)?, scan::u64(minor)?))
}

/// The kernel's, whatever the device's own is.
const SECTOR: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms() {
        let mut v1 = BTreeMap::new();
        parse_v1(b"253:0 Read 4096\n253:0 Write 512\n253:0 Sync 0\n253:0 Total 4608\nTotal 4608\n", false, &mut v1);
        parse_v1(b"253:0 Read 2\n253:0 Write 1\nTotal 3\n", true, &mut v1);
        let device = &v1[&(253, 0)];
        assert_eq!((device.read.bytes, device.read.ops, device.write.ops), (Some(4096), Some(2), Some(1)));
        assert_eq!(device.operations.len(), 4);
        let mut v2 = BTreeMap::new();
        parse_v2(b"8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=5\n7:0 \n", &mut v2);
        assert_eq!((v2[&(8, 16)].write.ops, v2[&(8, 16)].cost[0]), (Some(4), Some(5)));
        assert_eq!(v2[&(7, 0)], Device::default());
    }

    #[test]
    fn disks_have_paths() {
        let disks = Disks::parse(b" 253       0 vda 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n 1 0 ram0 1\n");
        assert_eq!(disks.path((253, 0)), b"/dev/vda");
        assert_eq!(disks.path((1, 0)), b"");
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut devices = BTreeMap::new();
            parse_v1(&bytes, true, &mut devices);
            parse_v1(&bytes, false, &mut devices);
            parse_v2(&bytes, &mut devices);
            Disks::parse(&bytes);
        }
    }
}
