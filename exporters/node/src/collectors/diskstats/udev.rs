//! Properties of block devices, from udev's database (`/run/udev/data/bMAJOR:MINOR`, written by `udevd`).

use hostfs::{Buf, Sources, scan};
use std::time::{Duration, SystemTime};

/// The properties that are shown.
const KEYS: [&str; 20] = [
    "DM_LV_LAYER",
    "DM_LV_NAME",
    "DM_NAME",
    "DM_UUID",
    "DM_VG_NAME",
    "ID_ATA",
    "ID_ATA_ROTATION_RATE_RPM",
    "ID_ATA_WRITE_CACHE",
    "ID_ATA_WRITE_CACHE_ENABLED",
    "ID_FS_TYPE",
    "ID_FS_USAGE",
    "ID_FS_UUID",
    "ID_FS_VERSION",
    "ID_MODEL",
    "ID_PATH",
    "ID_REVISION",
    "ID_SERIAL",
    "ID_SERIAL_SHORT",
    "ID_WWN",
    "SCSI_IDENT_SERIAL",
];

/// One device's properties; what is not said is empty.
#[derive(Debug, Default)]
pub(super) struct Properties {
    said: Vec<(&'static str, Box<[u8]>)>,
}

impl Properties {
    pub(super) fn get(&self, key: &str) -> &[u8] {
        self.said.iter().find(|(k, _)| *k == key).map_or(&[], |(_, value)| value)
    }

    /// What is printed on the disk, else its short or (virtio) long identification.
    pub(super) fn serial(&self) -> &[u8] {
        ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
            .iter()
            .map(|key| self.get(key))
            .find(|serial| !serial.is_empty())
            .unwrap_or_default()
    }
}

/// Reads what is known of one device: nothing where udev does not run.
pub(super) fn read(major: &[u8], minor: &[u8], sources: &Sources, buf: &mut Buf) -> Properties {
    let file = format!("b{}:{}", scan::lossy(major), scan::lossy(minor));
    sources.udev(file).read(buf).map(parse).unwrap_or_default()
}

fn parse(text: &[u8]) -> Properties {
    let mut properties = Properties::default();
    for line in scan::lines(text).filter_map(|line| line.strip_prefix(b"E:")) {
        let Some(at) = line.iter().position(|&b| b == b'=') else { continue };
        let Some(key) = KEYS.iter().find(|key| key.as_bytes() == &line[..at]) else { continue };
        properties.said.retain(|(k, _)| k != key);
        properties.said.push((key, line[at + 1..].into()));
    }
    properties
}

/// Watches the folder: udev puts each new version of a file in its place by rename(2), which is a change of the folder.
#[derive(Debug, Default)]
pub(super) struct Changes {
    seen: Folder,
}

#[derive(Debug, Default, PartialEq)]
enum Folder {
    /// Looked at so soon after a change that another one may have the same time.
    #[default]
    Unsettled,
    /// udev does not run.
    Absent,
    ChangedAt(SystemTime),
}

impl Changes {
    /// Whether something may have changed since the last call.
    pub(super) fn changed(&mut self, sources: &Sources, now: SystemTime) -> bool {
        let folder = match sources.udev("").metadata().ok().and_then(|m| m.modified().ok()) {
            None => Folder::Absent,
            Some(at) if now.duration_since(at).is_ok_and(|age| age >= SETTLED) => Folder::ChangedAt(at),
            Some(_) => Folder::Unsettled,
        };
        let changed = folder == Folder::Unsettled || folder != self.seen;
        self.seen = folder;
        changed
    }
}

/// Far more than the grain of a file system's times.
const SETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn properties_among_other_lines() {
        let p = parse(b"S:disk/by-id/x\nI:1\nE:ID_MODEL=A=B\nE:ID_MODEL_ENC=A\\x20B\nE:ID_SERIAL=s\nE:ID_WWN\nV:1\n");
        assert_eq!((p.get("ID_MODEL"), p.get("ID_WWN"), p.serial()), (&b"A=B"[..], &b""[..], &b"s"[..]));
    }

    #[test]
    fn serials_by_rank() {
        assert_eq!(parse(b"E:ID_SERIAL=c\nE:ID_SERIAL_SHORT=b\nE:SCSI_IDENT_SERIAL=a\n").serial(), b"a");
        assert_eq!(parse(b"E:ID_SERIAL=c\nE:ID_SERIAL_SHORT=\n").serial(), b"c");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes).serial();
        }
    }
}
