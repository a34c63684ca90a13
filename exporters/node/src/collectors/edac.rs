//! Memory errors that the memory controllers counted, from `/sys/devices/system/edac/mc`
//! (`Documentation/ABI/testing/sysfs-devices-edac`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, File, KeptFiles, Round, scan};

/// Registers the collector.
pub(crate) const EDAC: Entry = Entry {
    name: "edac",
    default: Default::On,
    about: "memory errors by controller, row and channel, from /sys/devices/system/edac/mc",
    flags: &[],
    build: |_, sources| Ok(Box::new(Edac { files: sources.kept_files() })),
};

const CE: Desc = Desc::counter("node_edac_correctable_errors_total", "Total correctable memory errors.");
const UE: Desc = Desc::counter("node_edac_uncorrectable_errors_total", "Total uncorrectable memory errors.");
const ROW_CE: Desc =
    Desc::counter("node_edac_csrow_correctable_errors_total", "Total correctable memory errors for this csrow.");
const ROW_UE: Desc =
    Desc::counter("node_edac_csrow_uncorrectable_errors_total", "Total uncorrectable memory errors for this csrow.");
const CHANNEL_CE: Desc =
    Desc::counter("node_edac_channel_correctable_errors_total", "Total correctable memory errors for this channel.");
const CHANNEL_UE: Desc = Desc::counter(
    "node_edac_channel_uncorrectable_errors_total",
    "Total uncorrectable memory errors for this channel.",
);

struct Edac {
    files: KeptFiles,
}

impl Collector for Edac {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let root = cx.sources.sys("devices/system/edac/mc");
        let controllers = match root.entries() {
            // No controller that the kernel knows: no failure for upstream either.
            Err(e) if e.is_absent() => return Ok(()),
            controllers => controllers?,
        };
        let mut scrape = Scrape { files: self.files.round(), buf: cx.buf, out, failed: None };
        for name in controllers.iter() {
            if let Some(controller) = number_after(name, b"mc") {
                scrape.controller(&root.child(name), controller)?;
            }
        }
        scrape.failed.map_or(Ok(()), Err)
    }
}

struct Scrape<'a> {
    files: Round<'a>,
    buf: &'a mut Buf,
    out: &'a mut Part,
    failed: Option<CollectError>,
}

impl Scrape<'_> {
    fn controller(&mut self, dir: &File<'_>, controller: &[u8]) -> Result<(), CollectError> {
        let labels: [(&str, &[u8]); 1] = [("controller", controller)];
        self.count(&CE, dir, "ce_count", &labels);
        self.count(&UE, dir, "ue_count", &labels);
        // What happened in no known row.
        let labels: [(&str, &[u8]); 2] = [("controller", controller), ("csrow", b"unknown")];
        self.count(&ROW_CE, dir, "ce_noinfo_count", &labels);
        self.count(&ROW_UE, dir, "ue_noinfo_count", &labels);
        for name in dir.entries()?.iter() {
            let Some(row) = number_after(name, b"csrow") else { continue };
            let row_dir = dir.child(name);
            let labels: [(&str, &[u8]); 2] = [("controller", controller), ("csrow", row)];
            self.count(&ROW_CE, &row_dir, "ce_count", &labels);
            self.count(&ROW_UE, &row_dir, "ue_count", &labels);
            self.channels(&row_dir, controller, row)?;
        }
        Ok(())
    }

    fn channels(&mut self, dir: &File<'_>, controller: &[u8], row: &[u8]) -> Result<(), CollectError> {
        for name in dir.entries()?.iter() {
            let Some(channel) = name.strip_suffix(b"_ce_count").and_then(|n| number_after(n, b"ch")) else { continue };
            let attribute = |what: &str| format!("ch{}_{what}", scan::lossy(channel));
            let label = match self.files.read_trimmed(&dir.join(attribute("dimm_label")), self.buf) {
                Ok(label) => dimm_label(label),
                Err(_) => b"unknown".to_vec(),
            };
            let labels: [(&str, &[u8]); 4] =
                [("channel", channel), ("controller", controller), ("csrow", row), ("dimm_label", &label)];
            self.count(&CHANNEL_CE, dir, &attribute("ce_count"), &labels);
            self.count(&CHANNEL_UE, dir, &attribute("ue_count"), &labels);
        }
        Ok(())
    }

    /// An attribute that is not there gives no sample; one that holds no number fails the collector at the end.
    fn count(&mut self, desc: &Desc, dir: &File<'_>, attribute: &str, labels: &[(&str, &[u8])]) {
        let file = dir.join(attribute);
        match self.files.read_trimmed(&file, self.buf) {
            Ok(text) => {
                if let Some(count) = scan::u64(text) {
                    self.out.family(desc).sample(labels, count);
                } else {
                    let (path, shown) = (file.path().display(), scan::lossy(text));
                    self.failed = Some(CollectError::failed(format!("parse {path}: no number: {shown:?}")));
                }
            }
            Err(e) if e.is_absent() => {}
            Err(e) => self.failed = Some(e.into()),
        }
    }
}

/// The digits after `prefix`, where nothing else follows.
fn number_after<'n>(name: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    name.strip_prefix(prefix).filter(|n| !n.is_empty() && n.iter().all(u8::is_ascii_digit))
}

/// The label as upstream rewrites it: `mc#0csrow#1channel#0` becomes `mc0_csrow1_channel0`.
fn dimm_label(text: &[u8]) -> Vec<u8> {
    scan::lossy(text).replace('#', "").replace("csrow", "_csrow").replace("channel", "_channel").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_controller() {
        let tree = Tree::of(&[
            ("sys/devices/system/edac/mc/power/", b""),
            ("sys/devices/system/edac/mc/mc0/ce_count", b"1\n"),
            ("sys/devices/system/edac/mc/mc0/ue_count", b"5\n"),
            ("sys/devices/system/edac/mc/mc0/ce_noinfo_count", b"2\n"),
            ("sys/devices/system/edac/mc/mc0/ue_noinfo_count", b"6\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ce_count", b"3\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ue_count", b"4\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_ce_count", b"7\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_ue_count", b"8\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch0_dimm_label", b"mc#0csrow#0channel#0\n"),
            ("sys/devices/system/edac/mc/mc0/csrow0/ch1_ce_count", b"9\n"),
        ]);
        let (text, result) = exporter::testing::collect(&EDAC, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_edac_channel_correctable_errors_total{channel=\"0\",controller=\"0\",csrow=\"0\",dimm_label=\"mc0_csrow0_channel0\"} 7",
                "node_edac_channel_correctable_errors_total{channel=\"1\",controller=\"0\",csrow=\"0\",dimm_label=\"unknown\"} 9",
                "node_edac_channel_uncorrectable_errors_total{channel=\"0\",controller=\"0\",csrow=\"0\",dimm_label=\"mc0_csrow0_channel0\"} 8",
                "node_edac_correctable_errors_total{controller=\"0\"} 1",
                "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"0\"} 3",
                "node_edac_csrow_correctable_errors_total{controller=\"0\",csrow=\"unknown\"} 2",
                "node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"0\"} 4",
                "node_edac_csrow_uncorrectable_errors_total{controller=\"0\",csrow=\"unknown\"} 6",
                "node_edac_uncorrectable_errors_total{controller=\"0\"} 5",
            ]
        );
    }

    #[test]
    fn a_count_that_is_no_number_fails_after_the_rest() {
        let tree = Tree::of(&[
            ("sys/devices/system/edac/mc/mc0/ce_count", b"many\n"),
            ("sys/devices/system/edac/mc/mc0/ue_count", b"5\n"),
        ]);
        let (text, result) = exporter::testing::collect(&EDAC, &[], &tree.sources());
        assert!(text.contains("node_edac_uncorrectable_errors_total{controller=\"0\"} 5\n"));
        assert!(result.unwrap_err().to_string().ends_with("mc0/ce_count: no number: \"many\""));
    }

    proptest! {
        #[test]
        fn any_label_is_survived(bytes: Vec<u8>) {
            prop_assert!(!dimm_label(&bytes).contains(&b'#'));
        }
    }
}
