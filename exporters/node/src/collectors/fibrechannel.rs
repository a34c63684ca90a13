//! Fibre Channel host ports, from `/sys/class/fc_host` (`drivers/scsi/scsi_transport_fc.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFiles, scan};

/// Registers the collector.
pub(crate) const FIBRECHANNEL: Entry = Entry {
    name: "fibrechannel",
    default: Default::On,
    about: "frames, words and errors of Fibre Channel ports, from /sys/class/fc_host",
    flags: &[],
    build: |_, sources| Ok(Box::new(Fibrechannel { files: sources.kept_files() })),
};

const INFO: Desc =
    Desc::gauge("node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.");
/// Attributes that are labels of the info family, which has them under the same names.
const LABELS: [&str; 10] = [
    "dev_loss_tmo",
    "fabric_name",
    "port_id",
    "port_name",
    "port_state",
    "port_type",
    "speed",
    "supported_classes",
    "supported_speeds",
    "symbolic_name",
];
/// Labels that are hexadecimal and shown without their `0x`.
const HEXADECIMAL: [&str; 3] = ["fabric_name", "port_id", "port_name"];
/// Files of `statistics` and their families.
const COUNTERS: [(&str, Desc); 14] = [
    ("dumped_frames", Desc::counter("node_fibrechannel_dumped_frames_total", "Number of dumped frames")),
    ("error_frames", Desc::counter("node_fibrechannel_error_frames_total", "Number of errors in frames")),
    (
        "invalid_crc_count",
        Desc::counter("node_fibrechannel_invalid_crc_total", "Invalid Cyclic Redundancy Check count"),
    ),
    ("rx_frames", Desc::counter("node_fibrechannel_rx_frames_total", "Number of frames received")),
    ("rx_words", Desc::counter("node_fibrechannel_rx_words_total", "Number of words received by host port")),
    ("tx_frames", Desc::counter("node_fibrechannel_tx_frames_total", "Number of frames transmitted by host port")),
    ("tx_words", Desc::counter("node_fibrechannel_tx_words_total", "Number of words transmitted by host port")),
    (
        "seconds_since_last_reset",
        Desc::counter(
            "node_fibrechannel_seconds_since_last_reset_total",
            "Number of seconds since last host port reset",
        ),
    ),
    (
        "invalid_tx_word_count",
        Desc::counter("node_fibrechannel_invalid_tx_words_total", "Number of invalid words transmitted by host port"),
    ),
    (
        "link_failure_count",
        Desc::counter("node_fibrechannel_link_failure_total", "Number of times the host port link has failed"),
    ),
    (
        "loss_of_sync_count",
        Desc::counter(
            "node_fibrechannel_loss_of_sync_total",
            "Number of failures on either bit or transmission word boundaries",
        ),
    ),
    (
        "loss_of_signal_count",
        Desc::counter("node_fibrechannel_loss_of_signal_total", "Number of times signal has been lost"),
    ),
    (
        "nos_count",
        Desc::counter("node_fibrechannel_nos_total", "Number Not_Operational Primitive Sequence received by host port"),
    ),
    ("fcp_packet_aborts", Desc::counter("node_fibrechannel_fcp_packet_aborts_total", "Number of aborted packets")),
];

struct Fibrechannel {
    files: KeptFiles,
}

impl Collector for Fibrechannel {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/fc_host");
        let round = self.files.round();
        for name in class.entries().or_no_data()?.iter() {
            let host = class.child(name);
            let values = LABELS.map(|label| {
                let value = round.read_trimmed(&host.join(label), cx.buf).unwrap_or_default();
                let is_hexadecimal = HEXADECIMAL.contains(&label);
                if is_hexadecimal { value.strip_prefix(b"0x").unwrap_or(value) } else { value }.to_vec()
            });
            let mut labels = [("fc_host", name); LABELS.len() + 1];
            for (label, (key, value)) in labels[1..].iter_mut().zip(LABELS.iter().zip(&values)) {
                *label = (key, value);
            }
            out.family(&INFO).sample(&labels, 1u8);
            let statistics = host.join("statistics");
            for (attribute, desc) in &COUNTERS {
                let text = round.read_trimmed(&statistics.join(attribute), cx.buf);
                // All ones is how firmware says that it does not count this.
                if let Some(count) = text.ok().and_then(scan::hex).filter(|&n| n != u64::MAX) {
                    out.family(desc).sample(&[("fc_host", name)], count);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn labels_and_counters() {
        let tree = Tree::of(&[
            ("sys/class/fc_host/host0/port_name", b"0x1000e0071bce95f2\n"),
            ("sys/class/fc_host/host0/fabric_name", b"0x0\n"),
            ("sys/class/fc_host/host0/speed", b"16 Gbit\n"),
            ("sys/class/fc_host/host0/statistics/rx_frames", b"0x13\n"),
            ("sys/class/fc_host/host0/statistics/tx_frames", b"0xffffffffffffffff\n"),
        ]);
        let (text, result) = exporter::testing::collect(&FIBRECHANNEL, &[], &tree.sources());
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_fibrechannel_info Non-numeric data from /sys/class/fc_host/<host>, value is always 1.\n\
             # TYPE node_fibrechannel_info gauge\n\
             node_fibrechannel_info{dev_loss_tmo=\"\",fabric_name=\"0\",fc_host=\"host0\",port_id=\"\",\
             port_name=\"1000e0071bce95f2\",port_state=\"\",port_type=\"\",speed=\"16 Gbit\",supported_classes=\"\",\
             supported_speeds=\"\",symbolic_name=\"\"} 1\n\
             # HELP node_fibrechannel_rx_frames_total Number of frames received\n\
             # TYPE node_fibrechannel_rx_frames_total counter\nnode_fibrechannel_rx_frames_total{fc_host=\"host0\"} 19\n"
        );
    }

    #[test]
    fn a_host_without_any() {
        let (_, result) = exporter::testing::collect(&FIBRECHANNEL, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }
}
