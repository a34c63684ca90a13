//! Replicated block devices, from `/proc/drbd` (DRBD 8, `drivers/block/drbd/drbd_proc.c`).

use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const DRBD: Entry = Entry {
    name: "drbd",
    default: Default::Off,
    about: "state and traffic of DRBD devices, from /proc/drbd",
    flags: &[],
    build: |_, sources| Ok(Box::new(Drbd { file: sources.kept_proc("drbd") })),
};

/// Keys whose value is a number, the family and what the number is multiplied by: the kernel counts in KiB. That `nr` is
/// taken as bytes is upstream's, and what its dashboards expect.
const NUMBERS: [(&[u8], Desc, f64); 12] = [
    (b"ns", Desc::counter("node_drbd_network_sent_bytes_total", "Total number of bytes sent via the network."), 1024.0),
    (
        b"nr",
        Desc::counter("node_drbd_network_received_bytes_total", "Total number of bytes received via the network."),
        1.0,
    ),
    (
        b"dw",
        Desc::counter("node_drbd_disk_written_bytes_total", "Net data written on local hard disk; in bytes."),
        1024.0,
    ),
    (b"dr", Desc::counter("node_drbd_disk_read_bytes_total", "Net data read from local hard disk; in bytes."), 1024.0),
    (
        b"al",
        Desc::counter(
            "node_drbd_activitylog_writes_total",
            "Number of updates of the activity log area of the meta data.",
        ),
        1.0,
    ),
    (
        b"bm",
        Desc::counter("node_drbd_bitmap_writes_total", "Number of updates of the bitmap area of the meta data."),
        1.0,
    ),
    (b"lo", Desc::gauge("node_drbd_local_pending", "Number of open requests to the local I/O sub-system."), 1.0),
    (
        b"pe",
        Desc::gauge(
            "node_drbd_remote_pending",
            "Number of requests sent to the peer, but that have not yet been answered by the latter.",
        ),
        1.0,
    ),
    (
        b"ua",
        Desc::gauge(
            "node_drbd_remote_unacknowledged",
            "Number of requests received by the peer via the network connection, but that have not yet been answered.",
        ),
        1.0,
    ),
    (
        b"ap",
        Desc::gauge(
            "node_drbd_application_pending",
            "Number of block I/O requests forwarded to DRBD, but not yet answered by DRBD.",
        ),
        1.0,
    ),
    (b"ep", Desc::gauge("node_drbd_epochs", "Number of Epochs currently on the fly."), 1.0),
    (b"oos", Desc::gauge("node_drbd_out_of_sync_bytes", "Amount of data known to be out of sync; in bytes."), 1024.0),
];
/// Keys whose value is `local/remote`, the family and the word that counts as 1.
const PAIRS: [(&[u8], Desc, &[u8]); 2] = [
    (
        b"ro",
        Desc::gauge("node_drbd_node_role_is_primary", "Whether the role of the node is in the primary state."),
        b"Primary",
    ),
    (
        b"ds",
        Desc::gauge("node_drbd_disk_state_is_up_to_date", "Whether the disk of the node is up to date."),
        b"UpToDate",
    ),
];
const CONNECTED: Desc = Desc::gauge("node_drbd_connected", "Whether DRBD is connected to the peer.");

struct Drbd {
    file: KeptFile,
}

impl Collector for Drbd {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf).or_no_data()?;
        emit(text, out).map_err(|field| {
            CollectError::failed(format!("{}: {:?} holds no number", self.file.path().display(), scan::lossy(field)))
        })
    }
}

/// Emits the fields that are known; the error is the one that should have held a number.
fn emit<'t>(text: &'t [u8], out: &mut Part) -> Result<(), &'t [u8]> {
    let mut device = b"unknown".to_vec();
    for field in scan::fields(text) {
        let mut parts = field.split(|&b| b == b':');
        let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else { continue };
        if let Some(minor) = scan::u64(key)
            && value.is_empty()
        {
            device = format!("drbd{minor}").into_bytes();
        } else if let Some((_, desc, scale)) = NUMBERS.iter().find(|(k, ..)| *k == key) {
            let value = scan::f64(value).ok_or(field)?;
            out.family(desc).sample(&[("device", &device)], value * scale);
        } else if let Some((_, desc, good)) = PAIRS.iter().find(|(k, ..)| *k == key) {
            for (node, state) in [&b"local"[..], b"remote"].into_iter().zip(value.split(|&b| b == b'/')) {
                out.family(desc).sample(&[("device", &device), ("node", node)], state == *good);
            }
        } else if key == b"cs" {
            out.family(&CONNECTED).sample(&[("device", &device)], value == b"Connected");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_connected_and_a_lone_device() {
        let tree = Tree::of(&[(
            "proc/drbd",
            b"version: 8.4.3 (api:1/proto:86-101)\n\n 1: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----\n\
              \x20   ns:2 nr:3 wo:d oos:1\n 2: cs:StandAlone ro:Secondary/Unknown ds:Inconsistent\n",
        )]);
        let (text, result) = exporter::testing::collect(&DRBD, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_drbd_connected{device=\"drbd1\"} 1",
                "node_drbd_connected{device=\"drbd2\"} 0",
                "node_drbd_disk_state_is_up_to_date{device=\"drbd1\",node=\"local\"} 1",
                "node_drbd_disk_state_is_up_to_date{device=\"drbd1\",node=\"remote\"} 1",
                "node_drbd_disk_state_is_up_to_date{device=\"drbd2\",node=\"local\"} 0",
                "node_drbd_network_received_bytes_total{device=\"drbd1\"} 3",
                "node_drbd_network_sent_bytes_total{device=\"drbd1\"} 2048",
                "node_drbd_node_role_is_primary{device=\"drbd1\",node=\"local\"} 1",
                "node_drbd_node_role_is_primary{device=\"drbd1\",node=\"remote\"} 0",
                "node_drbd_node_role_is_primary{device=\"drbd2\",node=\"local\"} 0",
                "node_drbd_node_role_is_primary{device=\"drbd2\",node=\"remote\"} 0",
                "node_drbd_out_of_sync_bytes{device=\"drbd1\"} 1024",
            ]
        );
    }

    #[test]
    fn no_module_and_no_number() {
        let (_, result) = exporter::testing::collect(&DRBD, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
        let tree = Tree::of(&[("proc/drbd", b"1: ns:many")]);
        let (_, result) = exporter::testing::collect(&DRBD, &[], &tree.sources());
        assert!(result.unwrap_err().to_string().ends_with("\"ns:many\" holds no number"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = emit(&bytes, &mut Part::new());
        }
    }
}
