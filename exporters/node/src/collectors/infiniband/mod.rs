//! InfiniBand and RoCE ports, from `/sys/class/infiniband` (`Documentation/ABI/stable/sysfs-class-infiniband`).

mod counters;

use counters::{COUNTERS, COUNTERS_EXT, Counter, HW_COUNTERS};
use exporter::{AbsentIsNoData, CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{Buf, File, KeptFiles, Round, scan};

/// Registers the collector.
pub(crate) const INFINIBAND: Entry = Entry {
    name: "infiniband",
    default: Default::On,
    about: "state, rate, traffic and errors of InfiniBand ports, from /sys/class/infiniband",
    flags: &[],
    build: |_, sources| Ok(Box::new(Infiniband { files: sources.kept_files() })),
};

const INFO: Desc =
    Desc::gauge("node_infiniband_info", "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.");
const STATE: Desc = Desc::gauge(
    "node_infiniband_state_id",
    "State of the InfiniBand port (0: no change, 1: down, 2: init, 3: armed, 4: active, 5: act defer)",
);
const PHYSICAL_STATE: Desc = Desc::gauge(
    "node_infiniband_physical_state_id",
    "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, 4: shift, 5: link up, \
     6: link error recover, 7: phytest)",
);
const RATE: Desc = Desc::gauge("node_infiniband_rate_bytes_per_second", "Maximum signal transfer rate");
const LIFESPAN: Desc = Desc::gauge(
    "node_infiniband_lifespan_seconds",
    "The maximum period in ms which defines the aging of the counter reads. Two consecutive reads within this period \
     might return the same values.",
);

struct Infiniband {
    files: KeptFiles,
}

impl Collector for Infiniband {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/infiniband");
        let round = self.files.round();
        for device in class.entries().or_no_data()?.iter() {
            let device_dir = class.child(device);
            let [board_id, firmware_version, hca_type] = ["board_id", "fw_ver", "hca_type"]
                .map(|name| round.read_trimmed(&device_dir.join(name), cx.buf).unwrap_or_default().to_vec());
            out.family(&INFO).sample(
                &[
                    ("board_id", &board_id),
                    ("device", device),
                    ("firmware_version", &firmware_version),
                    ("hca_type", &hca_type),
                ],
                1u8,
            );
            // A device may have no port at all.
            let ports = device_dir.join("ports");
            if let Ok(numbers) = ports.entries() {
                for number in numbers.iter() {
                    Port { labels: [("device", device), ("port", number)], dir: ports.child(number), round: &round }
                        .emit(cx.buf, out);
                }
            }
        }
        Ok(())
    }
}

struct Port<'a> {
    labels: [(&'static str, &'a [u8]); 2],
    dir: File<'a>,
    round: &'a Round<'a>,
}

impl Port<'_> {
    fn emit(&self, buf: &mut Buf, out: &mut Part) {
        for (file, desc) in [("state", &STATE), ("phys_state", &PHYSICAL_STATE)] {
            // "4: ACTIVE"
            let text = self.round.read(&self.dir.join(file), buf).ok();
            if let Some(id) = text.and_then(|t| scan::key_value(t, b':')).and_then(|(id, _)| scan::u64(id)) {
                out.family(desc).sample(&self.labels, id);
            }
        }
        if let Some(rate) = self.round.read(&self.dir.join("rate"), buf).ok().and_then(parse_rate) {
            out.family(&RATE).sample(&self.labels, rate);
        }
        self.emit_counters("counters", &COUNTERS, buf, out);
        self.emit_counters("counters_ext", &COUNTERS_EXT, buf, out);
        self.emit_counters("hw_counters", &HW_COUNTERS, buf, out);
    }

    fn emit_counters(&self, folder: &str, counters: &[Counter], buf: &mut Buf, out: &mut Part) {
        let folder = self.dir.join(folder);
        let Ok(files) = folder.entries() else { return };
        for name in files.iter() {
            let known = counters.binary_search_by(|(file, ..)| file.as_bytes().cmp(name)).ok().map(|at| &counters[at]);
            if known.is_none() && name != b"lifespan" {
                continue;
            }
            // Ports without a performance manager say "N/A (no PMA)".
            let text = self.round.read_trimmed(&folder.child(name), buf);
            let Some(value) = text.ok().and_then(scan::u64) else { continue };
            match known {
                Some((_, scale, desc)) => out.family(desc).sample(&self.labels, value.wrapping_mul(*scale)),
                None => out.family(&LIFESPAN).sample(&self.labels, value / 1000),
            };
        }
    }
}

/// `40 Gb/sec (4X QDR)` in bytes a second.
fn parse_rate(text: &[u8]) -> Option<u64> {
    let gigabits: f32 = std::str::from_utf8(scan::fields(text).next()?).ok()?.parse().ok()?;
    (gigabits.is_finite() && gigabits >= 0.0).then_some((f64::from(gigabits) * 125_000_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    #[test]
    fn a_port() {
        let tree = Tree::of(&[
            ("sys/class/infiniband/mlx5_0/fw_ver", b"2.31.5050\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/state", b"4: ACTIVE\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/rate", b"2.5 Gb/sec (1X SDR)\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data", b"100\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/counters/VL15_dropped", b"2\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/counters/symbol_error", b"N/A (no PMA)\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/counters/unknown", b"1\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/hw_counters/lifespan", b"10000\n"),
            ("sys/class/infiniband/mlx5_0/ports/1/hw_counters/out_of_buffer", b"7\n"),
            ("sys/class/infiniband/portless/hca_type", b"X\n"),
        ]);
        let (text, result) = exporter::testing::collect(&INFINIBAND, &[], &tree.sources());
        result.unwrap();
        let samples: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "node_infiniband_info{board_id=\"\",device=\"mlx5_0\",firmware_version=\"2.31.5050\",hca_type=\"\"} 1",
                "node_infiniband_info{board_id=\"\",device=\"portless\",firmware_version=\"\",hca_type=\"X\"} 1",
                "node_infiniband_lifespan_seconds{device=\"mlx5_0\",port=\"1\"} 10",
                "node_infiniband_out_of_buffer_drops_total{device=\"mlx5_0\",port=\"1\"} 7",
                "node_infiniband_port_data_received_bytes_total{device=\"mlx5_0\",port=\"1\"} 400",
                "node_infiniband_rate_bytes_per_second{device=\"mlx5_0\",port=\"1\"} 3.125e+08",
                "node_infiniband_state_id{device=\"mlx5_0\",port=\"1\"} 4",
                "node_infiniband_vl15_dropped_total{device=\"mlx5_0\",port=\"1\"} 2",
            ]
        );
    }

    #[test]
    fn a_host_without_any() {
        let (_, result) = exporter::testing::collect(&INFINIBAND, &[], &Tree::of(&[]).sources());
        assert!(matches!(result, Err(CollectError::NoData)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse_rate(&bytes);
        }
    }
}
