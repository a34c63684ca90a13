//! PCI devices: identity, link speed and width, power state and SR-IOV, from `/sys/bus/pci/devices`
//! (`Documentation/ABI/testing/sysfs-bus-pci`).

mod names;

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use hostfs::{Buf, File, KeptFiles, Round, scan};
use names::{Identity, Names};
use std::sync::{Mutex, PoisonError};

const IDS_FILE: Flag =
    Flag::text("collector.pcidevice.idsfile", "", "Path to pci.ids file to use for PCI device identification.");
const NAMES: Flag =
    Flag::switch("collector.pcidevice.names", "Enable PCI device name resolution (requires pci.ids file).");

/// Registers the collector.
pub(crate) const PCIDEVICE: Entry = Entry {
    name: "pcidevice",
    default: Default::Off,
    about: "PCI devices with their links, power states and virtual functions, from /sys/bus/pci/devices",
    flags: &[IDS_FILE, NAMES],
    build: |flags, sources| {
        let names = flags.on(NAMES.name).then(|| Mutex::new(Names::new(flags.text(IDS_FILE.name))));
        Ok(Box::new(PciDevice { names, files: sources.kept_files() }))
    },
};

const INFO: Desc =
    Desc::gauge("node_pcidevice_info", "Non-numeric data from /sys/bus/pci/devices/<location>, value is always 1.");
const MAX_SPEED: Desc =
    Desc::gauge("node_pcidevice_max_link_transfers_per_second", "Value of maximum link's transfers per second (T/s)");
const CURRENT_SPEED: Desc = Desc::gauge(
    "node_pcidevice_current_link_transfers_per_second",
    "Value of current link's transfers per second (T/s)",
);
const POWER_STATE: Desc = Desc::gauge(
    "node_pcidevice_power_state",
    "PCIe device power state, one of: D0, D1, D2, D3hot, D3cold, unknown or error.",
);
const NUMA_NODE: Desc = Desc::gauge(
    "node_pcidevice_numa_node",
    "NUMA node number for the PCI device. -1 indicates unknown or not available.",
);

/// Attribute, family, and what stands for one that is not there.
const NUMBERS: [(&str, Desc, i64); 7] = [
    (
        "max_link_width",
        Desc::gauge("node_pcidevice_max_link_width", "Value of maximum link's width (number of lanes)"),
        -1,
    ),
    (
        "current_link_width",
        Desc::gauge("node_pcidevice_current_link_width", "Value of current link's width (number of lanes)"),
        -1,
    ),
    (
        "d3cold_allowed",
        Desc::gauge("node_pcidevice_d3cold_allowed", "Whether the PCIe device supports D3cold power state (0/1)."),
        0,
    ),
    (
        "sriov_drivers_autoprobe",
        Desc::gauge(
            "node_pcidevice_sriov_drivers_autoprobe",
            "Whether SR-IOV drivers autoprobe is enabled for the device (0/1).",
        ),
        0,
    ),
    (
        "sriov_numvfs",
        Desc::gauge("node_pcidevice_sriov_numvfs", "Number of Virtual Functions (VFs) currently enabled for SR-IOV."),
        0,
    ),
    (
        "sriov_totalvfs",
        Desc::gauge(
            "node_pcidevice_sriov_totalvfs",
            "Total number of Virtual Functions (VFs) supported by the device.",
        ),
        0,
    ),
    (
        "sriov_vf_total_msix",
        Desc::gauge("node_pcidevice_sriov_vf_total_msix", "Total number of MSI-X vectors for Virtual Functions."),
        0,
    ),
];

const STATES: [&str; 7] = ["D0", "D1", "D2", "D3cold", "D3hot", "error", "unknown"];

struct PciDevice {
    names: Option<Mutex<Names>>,
    files: KeptFiles,
}

impl Collector for PciDevice {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("bus/pci/devices");
        let names = root.entries().or_no_data()?;
        let files = self.files.round();
        let mut found = Vec::with_capacity(names.len());
        for name in names.iter() {
            if let Some(location) = Location::parse(name) {
                let dir = root.child(name);
                let identity = identity(&files, &dir, cx.buf);
                found.push((dir, location, identity));
            }
        }
        let mut resolver = self.names.as_ref().map(|n| n.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(resolver) = &mut resolver {
            resolver.learn(cx.sources, found.iter().map(|(_, _, identity)| *identity));
        }
        for (dir, location, identity) in &found {
            info(dir, location, *identity, resolver.as_deref(), out);
            numbers(&files, dir, location, cx.buf, out);
        }
        Ok(())
    }
}

fn identity(files: &Round<'_>, dir: &File<'_>, buf: &mut Buf) -> Identity {
    let mut id =
        |attribute: &str| files.read_trimmed(&dir.join(attribute), buf).ok().and_then(scan::hex).unwrap_or(0) as u32;
    Identity {
        class: id("class"),
        vendor: id("vendor"),
        device: id("device"),
        subsystem_vendor: id("subsystem_vendor"),
        subsystem_device: id("subsystem_device"),
        revision: id("revision"),
    }
}

fn info(dir: &File<'_>, location: &Location, id: Identity, names: Option<&Names>, out: &mut Part) {
    // The device's folder stands in that of the bridge above it.
    let link = dir.read_link().ok();
    let parent = link.as_ref().and_then(|l| l.parent()).and_then(|p| p.file_name());
    let parent = parent.and_then(|p| Location::parse(std::os::unix::ffi::OsStrExt::as_bytes(p)));
    let parent = parent.unwrap_or_else(Location::none);
    let ids = [
        format!("0x{:06x}", id.class),
        format!("0x{:04x}", id.vendor),
        format!("0x{:04x}", id.device),
        format!("0x{:04x}", id.subsystem_vendor),
        format!("0x{:04x}", id.subsystem_device),
        format!("0x{:02x}", id.revision),
    ];
    let [class, vendor, device, subsystem_vendor, subsystem_device, revision] = &ids;
    let resolved;
    let mut labels: Vec<(&str, &[u8])> = vec![
        ("segment", location.segment.as_bytes()),
        ("bus", location.bus.as_bytes()),
        ("device", location.device.as_bytes()),
        ("function", location.function.as_bytes()),
        ("parent_segment", parent.segment.as_bytes()),
        ("parent_bus", parent.bus.as_bytes()),
        ("parent_device", parent.device.as_bytes()),
        ("parent_function", parent.function.as_bytes()),
        ("class_id", class.as_bytes()),
        ("vendor_id", vendor.as_bytes()),
        ("device_id", device.as_bytes()),
        ("subsystem_vendor_id", subsystem_vendor.as_bytes()),
        ("subsystem_device_id", subsystem_device.as_bytes()),
        ("revision", revision.as_bytes()),
    ];
    if let Some(names) = names {
        resolved = names.of(id);
        labels.extend(resolved.iter().map(|(label, name)| (*label, name.as_bytes())));
    }
    labels.sort_unstable_by_key(|(name, _)| *name);
    out.family(&INFO).sample(&labels, 1u64);
}

fn numbers(files: &Round<'_>, dir: &File<'_>, location: &Location, buf: &mut Buf, out: &mut Part) {
    let labels: [(&str, &[u8]); 4] = [
        ("bus", location.bus.as_bytes()),
        ("device", location.device.as_bytes()),
        ("function", location.function.as_bytes()),
        ("segment", location.segment.as_bytes()),
    ];
    for (attribute, desc) in [("max_link_speed", &MAX_SPEED), ("current_link_speed", &CURRENT_SPEED)] {
        let speed = files.read_trimmed(&dir.join(attribute), buf).ok().and_then(gigatransfers);
        out.family(desc).sample(&labels, speed.map_or(-1.0, |gt| gt * 1e9));
    }
    for (attribute, desc, absent) in &NUMBERS {
        let number = files.read_trimmed(&dir.join(attribute), buf).ok().and_then(scan::i64).unwrap_or(*absent);
        out.family(desc).sample(&labels, number);
    }
    if let Ok(current) = files.read_trimmed(&dir.join("power_state"), buf) {
        let mut family = out.family(&POWER_STATE);
        for state in STATES {
            let [bus, device, function, segment] = labels;
            let labels = [bus, device, function, segment, ("state", state.as_bytes())];
            family.sample(&labels, current == state.as_bytes());
        }
    }
    let node = files.read_trimmed(&dir.join("numa_node"), buf).ok().and_then(scan::i64);
    if let Some(node) = node.filter(|n| *n != -1) {
        out.family(&NUMA_NODE).sample(&labels, node);
    }
}

/// `8.0 GT/s PCIe`; a link that is down is `Unknown`.
fn gigatransfers(text: &[u8]) -> Option<f64> {
    let number = scan::fields(text).next()?;
    number.first().filter(|b| b.is_ascii_digit())?;
    scan::f64(number)
}

/// `0000:45:00.0`, its parts in lower case hexadecimal of fixed width.
struct Location {
    segment: String,
    bus: String,
    device: String,
    function: String,
}

impl Location {
    fn parse(name: &[u8]) -> Option<Self> {
        let (rest, function) = scan::key_value(name, b'.')?;
        let mut parts = rest.split(|&b| b == b':').map(scan::hex);
        let (segment, bus, device) = (parts.next()??, parts.next()??, parts.next()??);
        if parts.next().is_some() {
            return None;
        }
        Some(Self {
            segment: format!("{segment:04x}"),
            bus: format!("{bus:02x}"),
            device: format!("{device:02x}"),
            function: format!("{:x}", scan::hex(function)?),
        })
    }

    /// A device right below its host bridge.
    fn none() -> Self {
        let any = || "*".to_owned();
        Self { segment: any(), bus: any(), device: any(), function: any() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    fn tree() -> Tree {
        let at = "sys/devices/pci0000:40/0000:40:01.3/0000:45:00.0";
        let tree = Tree::of(&[
            (&format!("{at}/class"), b"0x020000\n"),
            (&format!("{at}/vendor"), b"0x8086\n"),
            (&format!("{at}/device"), b"0x1521\n"),
            (&format!("{at}/subsystem_vendor"), b"0x8086\n"),
            (&format!("{at}/subsystem_device"), b"0x00a3\n"),
            (&format!("{at}/revision"), b"0x01\n"),
            (&format!("{at}/max_link_speed"), b"5.0 GT/s PCIe\n"),
            (&format!("{at}/current_link_speed"), b"Unknown\n"),
            (&format!("{at}/max_link_width"), b"4\n"),
            (&format!("{at}/power_state"), b"D3hot\n"),
            (&format!("{at}/numa_node"), b"-1\n"),
            (
                "ids",
                b"# pci.ids\n\n8086  Intel Corporation\n\t1521  I350 Gigabit Network Connection\n\
                  \t\t8086 00a3  Ethernet Network Adapter I350-T4 for OCP NIC 3.0\n\nC 02  Network controller\n\
                  \t00  Ethernet controller\n",
            ),
        ]);
        tree.link("sys/bus/pci/devices/0000:45:00.0", "../../../devices/pci0000:40/0000:40:01.3/0000:45:00.0");
        tree
    }

    #[test]
    fn a_device() {
        let tree = tree();
        let (text, result) = exporter::testing::collect(&PCIDEVICE, &[], &tree.sources());
        result.unwrap();
        for sample in [
            "node_pcidevice_info{bus=\"45\",class_id=\"0x020000\",device=\"00\",device_id=\"0x1521\",function=\"0\",parent_bus=\"40\",parent_device=\"01\",parent_function=\"3\",parent_segment=\"0000\",revision=\"0x01\",segment=\"0000\",subsystem_device_id=\"0x00a3\",subsystem_vendor_id=\"0x8086\",vendor_id=\"0x8086\"} 1\n",
            "node_pcidevice_max_link_transfers_per_second{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\"} 5e+09\n",
            "node_pcidevice_current_link_transfers_per_second{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\"} -1\n",
            "node_pcidevice_max_link_width{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\"} 4\n",
            "node_pcidevice_current_link_width{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\"} -1\n",
            "node_pcidevice_sriov_totalvfs{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\"} 0\n",
            "node_pcidevice_power_state{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\",state=\"D3hot\"} 1\n",
            "node_pcidevice_power_state{bus=\"45\",device=\"00\",function=\"0\",segment=\"0000\",state=\"D0\"} 0\n",
        ] {
            assert!(text.contains(sample), "{sample} is not in {text}");
        }
        assert!(!text.contains("numa_node"), "{text}");
    }

    #[test]
    fn names() {
        let tree = tree();
        let file = format!("--collector.pcidevice.idsfile={}", tree.path().join("ids").display());
        let args = ["--collector.pcidevice.names", &file];
        let (text, result) = exporter::testing::collect(&PCIDEVICE, &args, &tree.sources());
        result.unwrap();
        for label in [
            "class_name=\"Ethernet controller\"",
            "device_name=\"I350 Gigabit Network Connection\"",
            "subsystem_device_name=\"Ethernet Network Adapter I350-T4 for OCP NIC 3.0\"",
            "subsystem_vendor_name=\"Intel Corporation\"",
            "vendor_name=\"Intel Corporation\"",
        ] {
            assert!(text.contains(label), "{label} is not in {text}");
        }
    }

    #[test]
    fn no_bus_is_no_data() {
        let tree = Tree::of(&[("sys/", b"")]);
        assert!(matches!(exporter::testing::collect(&PCIDEVICE, &[], &tree.sources()).1, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            Location::parse(&bytes);
            gigatransfers(&bytes);
        }
    }
}
