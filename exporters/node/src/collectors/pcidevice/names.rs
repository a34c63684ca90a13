//! Names of vendors, devices and classes from pci.ids: only those of this machine's devices are kept, so that the
//! 20 000 others take no memory.

use hostfs::{Buf, Sources, scan};
use std::collections::BTreeMap;

/// The numbers of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) class: u32,
    pub(super) vendor: u32,
    pub(super) device: u32,
    pub(super) subsystem_vendor: u32,
    pub(super) subsystem_device: u32,
    pub(super) revision: u32,
}

pub(super) struct Names {
    /// The file that the user named; empty for the usual places.
    file: String,
    known: BTreeMap<Identity, Found>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    vendor: Option<String>,
    device: Option<String>,
    subsystem_vendor: Option<String>,
    subsystem: Option<String>,
    /// The most precise that there is: programming interface, subclass, class.
    class: Option<(u8, String)>,
}

/// Where distributions put it.
const USUAL: [&str; 2] = ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids"];

impl Names {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), known: BTreeMap::new() }
    }

    /// Reads the file if one of the devices has not been looked up yet.
    pub(super) fn learn(&mut self, sources: &Sources, devices: impl Iterator<Item = Identity>) {
        let mut new: BTreeMap<Identity, Found> =
            devices.filter(|d| !self.known.contains_key(d)).map(|d| (d, Found::default())).collect();
        if new.is_empty() {
            return;
        }
        // The file is large: its buffer goes again.
        let mut buf = Buf::new();
        let text = if self.file.is_empty() {
            // The host's own first, where the exporter runs in a container.
            let files = USUAL.iter().flat_map(|path| [sources.rootfs(path), sources.named(*path)]);
            files.into_iter().find(hostfs::File::exists).and_then(|file| file.read_optional(&mut buf))
        } else {
            sources.named(&self.file).read_optional(&mut buf)
        };
        look_up(text.unwrap_or_default(), &mut new);
        self.known.append(&mut new);
    }

    /// Label and name of each part; the number itself where there is no name.
    pub(super) fn of(&self, id: Identity) -> [(&'static str, String); 5] {
        let found = self.known.get(&id).cloned().unwrap_or_default();
        let or = |name: Option<String>, id: u32| name.unwrap_or_else(|| format!("{id:04x}"));
        [
            ("vendor_name", or(found.vendor, id.vendor)),
            ("device_name", or(found.device, id.device)),
            ("subsystem_vendor_name", or(found.subsystem_vendor, id.subsystem_vendor)),
            ("subsystem_device_name", or(found.subsystem, id.subsystem_device)),
            ("class_name", found.class.map_or_else(|| format!("Unknown class ({:06x})", id.class), |(_, name)| name)),
        ]
    }
}

/// What the indented lines stand below.
#[derive(Clone, Copy)]
enum Under {
    Nothing,
    Vendor(u32),
    Device(u32, u32),
    Class(u32),
    Subclass(u32),
}

/// One pass over the file: vendors and classes at the margin, devices and subclasses behind one tab, subsystems and
/// programming interfaces behind two; number and name parted by two blanks.
fn look_up(text: &[u8], devices: &mut BTreeMap<Identity, Found>) {
    let mut under = Under::Nothing;
    for line in scan::lines(text).filter(|line| !matches!(line.first(), None | Some(b'#'))) {
        let tabs = line.iter().take_while(|&&b| b == b'\t').count();
        let line = &line[tabs..];
        let Some(gap) = line.windows(2).position(|w| w == b"  ") else { continue };
        let name = || scan::lossy(line[gap..].trim_ascii()).into_owned();
        let mut numbers = scan::fields(&line[..gap]);
        let (first, second) = (numbers.next(), numbers.next());
        let hex = |text: Option<&[u8]>| text.and_then(scan::hex).and_then(|n| u32::try_from(n).ok());
        match (tabs, under) {
            (0, _) if first == Some(b"C") => {
                let Some(class) = hex(second) else { continue };
                under = Under::Class(class);
                set_class(devices, 1, |id| id.class >> 16 == class, name);
            }
            (0, _) => {
                let Some(vendor) = hex(first) else { continue };
                under = Under::Vendor(vendor);
                for (id, found) in devices.iter_mut() {
                    if id.vendor == vendor {
                        found.vendor = Some(name());
                    }
                    if id.subsystem_vendor == vendor {
                        found.subsystem_vendor = Some(name());
                    }
                }
            }
            (1, Under::Vendor(vendor) | Under::Device(vendor, _)) => {
                let Some(device) = hex(first) else { continue };
                under = Under::Device(vendor, device);
                for (_, found) in devices.iter_mut().filter(|(id, _)| (id.vendor, id.device) == (vendor, device)) {
                    found.device = Some(name());
                }
            }
            (2, Under::Device(vendor, device)) => {
                let (Some(sub_vendor), Some(sub_device)) = (hex(first), hex(second)) else { continue };
                let wanted = (vendor, device, sub_vendor, sub_device);
                for (id, found) in devices.iter_mut() {
                    if (id.vendor, id.device, id.subsystem_vendor, id.subsystem_device) == wanted {
                        found.subsystem = Some(name());
                    }
                }
            }
            (1, Under::Class(class)) => {
                let Some(subclass) = hex(first) else { continue };
                let full = class << 8 | subclass & 0xff;
                under = Under::Subclass(full);
                set_class(devices, 2, |id| id.class >> 8 == full, name);
            }
            (1, Under::Subclass(full)) => {
                let Some(subclass) = hex(first) else { continue };
                let full = full & !0xff | subclass & 0xff;
                under = Under::Subclass(full);
                set_class(devices, 2, |id| id.class >> 8 == full, name);
            }
            (2, Under::Subclass(full)) => {
                let Some(interface) = hex(first) else { continue };
                let full = full << 8 | interface & 0xff;
                set_class(devices, 3, |id| id.class == full, name);
            }
            _ => {}
        }
    }
}

fn set_class(
    devices: &mut BTreeMap<Identity, Found>,
    precision: u8,
    is_it: impl Fn(&Identity) -> bool,
    name: impl Fn() -> String,
) {
    for (id, found) in devices.iter_mut() {
        if is_it(id) && found.class.as_ref().is_none_or(|(known, _)| *known <= precision) {
            found.class = Some((precision, name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NVME: Identity = Identity {
        class: 0x01_0802,
        vendor: 0xc0a9,
        device: 0x540a,
        subsystem_vendor: 0xc0a9,
        subsystem_device: 0x5021,
        revision: 1,
    };

    #[test]
    fn the_most_precise_class() {
        let file = b"C 01  Mass storage controller\n\t08  Non-Volatile memory controller\n\t\t02  NVM Express\n\
            C 06  Bridge device\n\t04  PCI bridge\n";
        let bridge = Identity { class: 0x06_0400, ..NVME };
        let unknown = Identity { class: 0xff_0000, ..NVME };
        let mut devices = [NVME, bridge, unknown].into_iter().map(|id| (id, Found::default())).collect();
        look_up(file, &mut devices);
        let names = Names { file: String::new(), known: devices };
        assert_eq!(names.of(NVME)[4].1, "NVM Express");
        assert_eq!(names.of(bridge)[4].1, "PCI bridge");
        assert_eq!(names.of(unknown)[4].1, "Unknown class (ff0000)");
        assert_eq!(names.of(NVME)[0].1, "c0a9");
    }

    proptest! {
        #[test]
        fn any_file_is_survived(text in "([C]? ?[0-9a-f\\t ]{0,6}  [a-z]{0,3}\n|.{0,9}\n){0,20}") {
            let mut devices = BTreeMap::from([(NVME, Found::default())]);
            look_up(text.as_bytes(), &mut devices);
        }
    }
}
