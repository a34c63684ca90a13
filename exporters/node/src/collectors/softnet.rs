//! Receive path of each processor, from `/proc/net/softnet_stat` (`net/core/net-procfs.c`, `softnet_seq_show`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const SOFTNET: Entry = Entry {
    name: "softnet",
    default: Default::On,
    about: "packets that each processor took, dropped and left behind, from /proc/net/softnet_stat",
    flags: &[],
    build: |_, sources| {
        let dir = sources.network().proc_dir();
        Ok(Box::new(Softnet { file: sources.kept_proc(format!("{dir}/softnet_stat")) }))
    },
};

/// A column and the family that it fills.
const COLUMNS: [(usize, Desc); 7] = [
    (0, Desc::counter("node_softnet_processed_total", "Number of processed packets")),
    (1, Desc::counter("node_softnet_dropped_total", "Number of dropped packets")),
    (2, Desc::counter("node_softnet_times_squeezed_total", "Number of times processing packets ran out of quota")),
    (
        8,
        Desc::counter(
            "node_softnet_cpu_collision_total",
            "Number of collision occur while obtaining device lock while transmitting",
        ),
    ),
    (9, Desc::counter("node_softnet_received_rps_total", "Number of times cpu woken up received_rps")),
    (10, Desc::counter("node_softnet_flow_limit_count_total", "Number of times flow limit has been reached")),
    (11, Desc::gauge("node_softnet_backlog_len", "Softnet backlog status")),
];
/// Since Linux 5.14: processors that are offline have no line.
const CPU_COLUMN: usize = 12;
const WIDTH: usize = CPU_COLUMN + 1;
/// Linux 2.6.23 had nine columns; fewer is no such table.
const NARROWEST: usize = 9;

struct Softnet {
    file: KeptFile,
}

impl Collector for Softnet {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        for row in parse(self.file.read(cx.buf)?) {
            let row = row.ok_or_else(|| {
                CollectError::failed(format!("{}: a line has fewer than 9 numbers", self.file.path().display()))
            })?;
            let mut digits = itoa::Buffer::new();
            let cpu = digits.format(row[CPU_COLUMN]);
            for (column, desc) in &COLUMNS {
                out.family(desc).sample(&[("cpu", cpu.as_bytes())], row[*column]);
            }
        }
        Ok(())
    }
}

/// One row of numbers a processor; `None` for a row that is too short.
fn parse(text: &[u8]) -> impl Iterator<Item = Option<[u64; WIDTH]>> {
    scan::lines(text).enumerate().map(|(number, line)| {
        let mut row = [0; WIDTH];
        let mut width = 0;
        for (cell, field) in row.iter_mut().zip(scan::fields(line)) {
            *cell = scan::hex(field)?;
            width += 1;
        }
        if width < WIDTH {
            row[CPU_COLUMN] = number as u64;
        }
        (width >= NARROWEST).then_some(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_of_old_and_new_kernels() {
        let old = b"00358fe3 00006283 00000002 00000000 00000000 00000000 00000000 00000000 00000003\n";
        let row = parse(old).next().unwrap().unwrap();
        assert_eq!((row[0], row[1], row[8], row[CPU_COLUMN]), (0x0035_8fe3, 0x6283, 3, 0));
        let new = b"01 02 03 0 0 0 0 0 4 5 6 00000007 00000005 8 9\n";
        assert_eq!(parse(new).next().unwrap().unwrap(), [1, 2, 3, 0, 0, 0, 0, 0, 4, 5, 6, 7, 5]);
        assert_eq!(parse(b"01 02\n").collect::<Vec<_>>(), [None]);
        assert_eq!(parse(b"").count(), 0);
    }

    #[test]
    fn a_tree_s_text() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/net")).unwrap();
        std::fs::write(dir.path().join("proc/net/softnet_stat"), "0f 0 1 0 0 0 0 0 0 0 0 2 3\n").unwrap();
        let (text, result) = exporter::testing::collect(&SOFTNET, &[], &hostfs::Sources::under(dir.path()));
        result.unwrap();
        assert!(text.contains("\nnode_softnet_processed_total{cpu=\"3\"} 15\n"), "{text}");
        assert!(
            text.contains("# TYPE node_softnet_backlog_len gauge\nnode_softnet_backlog_len{cpu=\"3\"} 2\n"),
            "{text}"
        );
        assert_eq!(text.lines().filter(|l| !l.starts_with('#')).count(), 7);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            parse(&bytes).count();
        }
    }
}
