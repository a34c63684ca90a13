//! Health of disks as they report it themselves: SMART of ATA disks and the health log of NVMe controllers, by the
//! kernel's pass-through ioctls, without external commands. Beyond upstream.

mod ata;
mod nvme;

use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, NameFilter, Part};
use hostfs::Sources;
use service::FlagKind;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const INTERVAL: Flag = Flag::new(
    "collector.smart.interval",
    FlagKind::Duration,
    "60s",
    "How often a disk is asked at most; scrapes between get its last answer.",
);
const INCLUDE: Flag = Flag::regex(
    "collector.smart.device-include",
    "",
    "Regexp of disks to ask for their health (mutually exclusive to device-exclude).",
);
const EXCLUDE: Flag = Flag::regex(
    "collector.smart.device-exclude",
    "",
    "Regexp of disks not to ask for their health (mutually exclusive to device-include).",
);

/// Registers the collector.
pub(crate) const SMART: Entry = Entry {
    name: "smart",
    default: Default::Off,
    about: "SMART attributes of ATA disks and the health log of NVMe controllers, from the disks themselves (needs CAP_SYS_RAWIO and CAP_SYS_ADMIN)",
    flags: &[INTERVAL, INCLUDE, EXCLUDE],
    build: |flags, _| {
        Ok(Box::new(Smart {
            interval: flags.duration(INTERVAL.name),
            devices: NameFilter::from_flags(flags, INCLUDE.name, EXCLUDE.name)?,
            known: Mutex::default(),
        }))
    },
};

struct Smart {
    interval: Duration,
    devices: NameFilter,
    known: Mutex<BTreeMap<Vec<u8>, Arc<Asked>>>,
}

/// A disk's last answer.
struct Asked {
    at: Instant,
    answer: Result<Answer, String>,
}

enum Answer {
    Nvme(Box<nvme::Health>),
    Ata(Box<ata::Health>),
    /// It sleeps; asking for its attributes would spin it up.
    Standby,
    /// It has none, as behind many USB bridges.
    Unsupported,
}

/// How a disk is asked.
#[derive(Clone, Copy)]
enum Kind {
    Nvme,
    Ata,
}

impl Collector for Smart {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut now = BTreeMap::new();
        let mut result = Ok(());
        for (device, kind) in disks(cx) {
            if self.devices.ignores(&device) {
                continue;
            }
            let fresh = known.remove(&device).filter(|asked| asked.at.elapsed() < self.interval);
            let asked = fresh.unwrap_or_else(|| {
                let answer = ask(cx.sources, &device, kind, cx.wait_until());
                Arc::new(Asked { at: Instant::now(), answer })
            });
            match &asked.answer {
                Ok(answer) => answer.emit(&device, out),
                Err(why) => result = Err(CollectError::failed(why.clone())),
            }
            now.insert(device, asked);
        }
        if now.is_empty() {
            return Err(CollectError::NoData);
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = now;
        result
    }
}

/// NVMe controllers, and SCSI disks that are ATA behind the SCSI layer.
fn disks(cx: &mut Cx<'_>) -> Vec<(Vec<u8>, Kind)> {
    let mut disks = Vec::new();
    if let Ok(controllers) = cx.sources.sys("class/nvme").entries() {
        disks.extend(controllers.iter().map(|name| (name.to_vec(), Kind::Nvme)));
    }
    let block = cx.sources.sys("block");
    if let Ok(names) = block.entries() {
        for name in names.iter().filter(|n| n.starts_with(b"sd")) {
            let vendor = block.child(name).join("device/vendor").read_optional(cx.buf);
            if vendor == Some(b"ATA") {
                disks.push((name.to_vec(), Kind::Ata));
            }
        }
    }
    disks
}

fn ask(sources: &Sources, device: &[u8], kind: Kind, until: Instant) -> Result<Answer, String> {
    let file = sources.rootfs("dev").child(device);
    let left = until.saturating_duration_since(Instant::now()).min(LONGEST_COMMAND);
    let timeout_ms = left.as_millis().max(100) as u32;
    let answer = match kind {
        Kind::Nvme => nvme::ask(file.path(), timeout_ms).map(|health| Answer::Nvme(Box::new(health))),
        Kind::Ata => ata::ask(file.path(), timeout_ms),
    };
    answer.or_else(|error| match error {
        rustix::io::Errno::PERM | rustix::io::Errno::ACCESS | rustix::io::Errno::NOENT => Err(format!(
            "ask {} for its health: {}; the device node and CAP_SYS_RAWIO (ATA) or CAP_SYS_ADMIN (NVMe) are needed",
            file.path().display(),
            std::io::Error::from(error)
        )),
        _ => Ok(Answer::Unsupported),
    })
}

/// No healthy disk takes longer for a log page.
const LONGEST_COMMAND: Duration = Duration::from_secs(5);

impl Answer {
    fn emit(&self, device: &[u8], out: &mut Part) {
        match self {
            Self::Nvme(health) => health.emit(device, out),
            Self::Ata(health) => {
                out.family(&ata::STANDBY).sample(&[("device", device)], false);
                health.emit(device, out);
            }
            Self::Standby => drop(out.family(&ata::STANDBY).sample(&[("device", device)], true)),
            Self::Unsupported => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn disks_that_can_be_asked() {
        let tree = Tree::of(&[
            ("sys/class/nvme/nvme0/", b""),
            ("sys/block/sda/device/vendor", b"ATA     \n"),
            ("sys/block/sdb/device/vendor", b"SEAGATE \n"),
            ("sys/block/vda/", b""),
        ]);
        let sources = tree.sources();
        let (mut buf, mut buf2) = (hostfs::Buf::new(), hostfs::Buf::new());
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut cx =
            Cx { sources: &sources, buf: &mut buf, buf2: &mut buf2, deadline, now: std::time::SystemTime::now() };
        let names: Vec<_> = disks(&mut cx).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [b"nvme0".to_vec(), b"sda".to_vec()]);
    }

    #[test]
    fn a_disk_without_a_node_is_a_failure_that_names_it() {
        let tree = Tree::of(&[("sys/class/nvme/nvme0/", b""), ("dev/", b"")]);
        let (text, result) = exporter::testing::collect(&SMART, &[], &tree.sources());
        assert_eq!(text, "");
        assert!(result.unwrap_err().to_string().contains("/dev/nvme0 for its health: No such file"));
        let args = ["--collector.smart.device-exclude=^nvme"];
        assert!(matches!(exporter::testing::collect(&SMART, &args, &tree.sources()).1, Err(CollectError::NoData)));
    }
}
