//! One monitoring chip: its name, and which sensors its folders hold.

use super::clean;
use super::sensor::{Sensor, explode};
use hostfs::{Buf, File, KeptFile, Sources, scan};
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A chip as it was found: the listing is used again while the folders are the same.
pub(super) struct Chip {
    identity: Identity,
    listed: Instant,
    /// Stable name from the device's path, not yet made unique.
    base: String,
    pub(super) name_file: KeptFile,
    pub(super) sensors: Vec<Sensor>,
}

/// Inode and time of change of the chip's folder and of its device's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity([(u64, i64, i64); 2]);

/// What tells two chips apart that had the same folder name; `None` where there is no folder.
pub(super) fn identity(dir: &File<'_>) -> Option<Identity> {
    let of = |m: &std::fs::Metadata| (m.ino(), m.mtime(), m.mtime_nsec());
    let own = dir.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    Some(Identity([of(&own), dir.join("device").metadata().map_or((0, 0, 0), |m| of(&m))]))
}

impl Chip {
    /// Lists a chip's folders. `None` when it has gone.
    pub(super) fn read(sources: &Sources, dir: &File<'_>, identity: Identity, buf: &mut Buf) -> Option<Self> {
        let base = base_name(dir, buf)?;
        let mut found: BTreeMap<(String, String), Vec<Arc<KeptFile>>> = BTreeMap::new();
        let device = dir.join("device");
        for folder in [dir, &device] {
            let Ok(names) = folder.entries() else { continue };
            for name in names.iter() {
                let Some((kind, number, property)) = std::str::from_utf8(name).ok().and_then(explode) else { continue };
                // What the device's folder holds comes before the chip's own.
                found
                    .entry((format!("{kind}{number}"), property.to_owned()))
                    .or_default()
                    .insert(0, Arc::new(sources.kept(&folder.child(name))));
            }
        }
        let mut sensors: Vec<Sensor> = Vec::new();
        for ((sensor, property), files) in found {
            match sensors.last_mut() {
                Some(last) if last.name == sensor => last.add(property, files),
                _ => {
                    let mut new = Sensor::new(sensor);
                    new.add(property, files);
                    sensors.push(new);
                }
            }
        }
        sensors.iter_mut().for_each(Sensor::name_families);
        let name_file = sources.kept(&dir.join("name"));
        Some(Self { identity, listed: Instant::now(), base, name_file, sensors })
    }

    /// Whether the folders can be taken as they were listed. sysfs does not always change a folder's time when an
    /// attribute appears: look again now and then.
    pub(super) fn is_current(&self, identity: &Identity) -> bool {
        self.identity == *identity && self.listed.elapsed() < RELIST
    }

    /// The chip's label: where several share a device, with the chip's own name, else with the folder's.
    pub(super) fn label(&self, folder: &[u8], own: &[u8], all: &[(&[u8], Arc<Chip>, Vec<u8>)]) -> String {
        let namesakes = || all.iter().filter(|(_, chip, _)| chip.base == self.base);
        if namesakes().count() < 2 {
            return self.base.clone();
        }
        let mut suffix = clean(&scan::lossy(own));
        if suffix.is_empty() || namesakes().filter(|(_, _, name)| name == own).count() > 1 {
            suffix = clean(&scan::lossy(folder));
        }
        format!("{}_{suffix}", self.base)
    }
}

/// The numbers of `hwmonN` depend on the order in which modules were loaded; the device's path does not.
fn base_name(dir: &File<'_>, buf: &mut Buf) -> Option<String> {
    let last = |path: &std::path::Path| path.file_name().map(|n| clean(&scan::lossy(n.as_bytes()))).unwrap_or_default();
    if let Ok(device) = dir.join("device").canonical() {
        let (name, kind) = (last(&device), device.parent().map(last).unwrap_or_default());
        if !name.is_empty() {
            return Some(if kind.is_empty() { name } else { format!("{kind}_{name}") });
        }
    }
    let own = dir.join("name").read_optional(buf).map(|n| clean(&scan::lossy(n))).unwrap_or_default();
    if !own.is_empty() {
        return Some(own);
    }
    dir.canonical().ok().map(|real| last(&real)).filter(|name| !name.is_empty())
}

const RELIST: Duration = Duration::from_mins(1);
