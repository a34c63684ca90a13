//! Load and memory of graphics cards that the amdgpu driver runs, from `/sys/class/drm`
//! (`Documentation/gpu/amdgpu/driver-misc.rst`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{File, KeptFiles, scan};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Registers the collector.
pub(crate) const DRM: Entry = Entry {
    name: "drm",
    default: Default::Off,
    about: "load and memory of amdgpu graphics cards, from /sys/class/drm",
    flags: &[],
    build: |_, sources| Ok(Box::new(Drm { files: sources.kept_files() })),
};

const INFO: Desc = Desc::gauge("node_drm_card_info", "Card information");

const NUMBERS: [(&str, Desc); 7] = [
    ("gpu_busy_percent", Desc::gauge("node_drm_gpu_busy_percent", "How busy the GPU is as a percentage.")),
    (
        "mem_info_gtt_total",
        Desc::gauge(
            "node_drm_memory_gtt_size_bytes",
            "The size of the graphics translation table (GTT) block in bytes.",
        ),
    ),
    (
        "mem_info_gtt_used",
        Desc::gauge(
            "node_drm_memory_gtt_used_bytes",
            "The used amount of the graphics translation table (GTT) block in bytes.",
        ),
    ),
    ("mem_info_vram_total", Desc::gauge("node_drm_memory_vram_size_bytes", "The size of VRAM in bytes.")),
    ("mem_info_vram_used", Desc::gauge("node_drm_memory_vram_used_bytes", "The used amount of VRAM in bytes.")),
    (
        "mem_info_vis_vram_total",
        Desc::gauge("node_drm_memory_vis_vram_size_bytes", "The size of visible VRAM in bytes."),
    ),
    (
        "mem_info_vis_vram_used",
        Desc::gauge("node_drm_memory_vis_vram_used_bytes", "The used amount of visible VRAM in bytes."),
    ),
];

struct Drm {
    files: KeptFiles,
}

impl Collector for Drm {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/drm");
        let names = match class.entries() {
            // No graphics at all: no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            names => names?,
        };
        let files = self.files.round();
        for card in names.iter().filter(|n| is_card(n)) {
            let device = class.child(card).join("device");
            let driven = files
                .read(&device.join("uevent"), cx.buf)
                .is_ok_and(|text| scan::lines(text).any(|line| line == b"DRIVER=amdgpu"));
            if !driven {
                continue;
            }
            let mut text = |attribute: &str| {
                files
                    .read_trimmed(&device.join(attribute), cx.buf)
                    .map(|t| scan::valid_utf8(t).into_owned())
                    .unwrap_or_default()
            };
            let (vendor, level, id) =
                (text("mem_info_vram_vendor"), text("power_dpm_force_performance_level"), text("unique_id"));
            let chip = chip_name(&device);
            let mut labels: Vec<(&str, &[u8])> = vec![
                ("card", card),
                ("memory_vendor", &vendor),
                ("power_performance_level", &level),
                ("unique_id", &id),
                ("vendor", b"amd"),
            ];
            if !chip.is_empty() {
                labels.insert(1, ("chip", chip.as_bytes()));
            }
            out.family(&INFO).sample(&labels, 1u64);
            // What this card does not have is 0, as upstream has it.
            for (attribute, desc) in &NUMBERS {
                let number = files.read_trimmed(&device.join(attribute), cx.buf).ok().and_then(scan::u64).unwrap_or(0);
                out.family(desc).sample(&[("card", card)], number);
            }
        }
        Ok(())
    }
}

/// `card0`; its connectors stand beside it (`card0-HDMI-A-1`).
fn is_card(name: &[u8]) -> bool {
    name.strip_prefix(b"card").is_some_and(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

/// Bus and address of the device, named as the hwmon collector names chips, so that they can be joined.
fn chip_name(device: &File<'_>) -> String {
    let Ok(path) = device.canonical() else { return String::new() };
    let clean = |path: Option<&Path>| {
        path.and_then(Path::file_name)
            .map(|name| super::hwmon::clean(&scan::lossy(name.as_bytes())))
            .unwrap_or_default()
    };
    let (name, kind) = (clean(Some(&path)), clean(path.parent()));
    if kind.is_empty() || name.is_empty() { name } else { format!("{kind}_{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_card() {
        let tree = Tree::of(&[
            ("sys/devices/pci0000:00/0000:09:00.0/uevent", b"DRIVER=amdgpu\nPCI_CLASS=30000\n"),
            ("sys/devices/pci0000:00/0000:09:00.0/gpu_busy_percent", b"4\n"),
            ("sys/devices/pci0000:00/0000:09:00.0/mem_info_vram_total", b"8573157376\n"),
            ("sys/devices/pci0000:00/0000:09:00.0/mem_info_vram_vendor", b"samsung\n"),
            ("sys/devices/pci0000:00/0000:09:00.0/unique_id", b"0123456789abcdef\n"),
            ("sys/class/drm/card1/device/uevent", b"DRIVER=i915\n"),
            ("sys/class/drm/card0-HDMI-A-1/status", b"connected\n"),
            ("sys/class/drm/version", b"drm 1.1.0 20060810\n"),
        ]);
        tree.link("sys/class/drm/card0/device", "../../../devices/pci0000:00/0000:09:00.0");
        let (text, result) = exporter::testing::collect(&DRM, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_drm_card_info{card=\"card0\",chip=\"pci0000:00_0000:09:00_0\",memory_vendor=\"samsung\",power_performance_level=\"\",unique_id=\"0123456789abcdef\",vendor=\"amd\"} 1",
                "node_drm_gpu_busy_percent{card=\"card0\"} 4",
                "node_drm_memory_gtt_size_bytes{card=\"card0\"} 0",
                "node_drm_memory_gtt_used_bytes{card=\"card0\"} 0",
                "node_drm_memory_vis_vram_size_bytes{card=\"card0\"} 0",
                "node_drm_memory_vis_vram_used_bytes{card=\"card0\"} 0",
                "node_drm_memory_vram_size_bytes{card=\"card0\"} 8.573157376e+09",
                "node_drm_memory_vram_used_bytes{card=\"card0\"} 0",
            ]
        );
    }

    #[test]
    fn no_class_is_no_failure() {
        let tree = Tree::of(&[("sys/", b"")]);
        exporter::testing::collect(&DRM, &[], &tree.sources()).1.unwrap();
    }
}
