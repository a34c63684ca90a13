//! Watchdog timers, from `/sys/class/watchdog` (`Documentation/ABI/testing/sysfs-class-watchdog`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{File, KeptFiles, Round, scan};

/// Registers the collector.
pub(crate) const WATCHDOG: Entry = Entry {
    name: "watchdog",
    default: Default::On,
    about: "state and time-outs of watchdog timers, from /sys/class/watchdog",
    flags: &[],
    build: |_, sources| Ok(Box::new(Watchdog { files: sources.kept_files() })),
};

const NUMBERS: [(&str, Desc); 7] = [
    ("bootstatus", Desc::gauge("node_watchdog_bootstatus", "Value of /sys/class/watchdog/<watchdog>/bootstatus")),
    ("fw_version", Desc::gauge("node_watchdog_fw_version", "Value of /sys/class/watchdog/<watchdog>/fw_version")),
    ("nowayout", Desc::gauge("node_watchdog_nowayout", "Value of /sys/class/watchdog/<watchdog>/nowayout")),
    ("timeleft", Desc::gauge("node_watchdog_timeleft_seconds", "Value of /sys/class/watchdog/<watchdog>/timeleft")),
    ("timeout", Desc::gauge("node_watchdog_timeout_seconds", "Value of /sys/class/watchdog/<watchdog>/timeout")),
    (
        "pretimeout",
        Desc::gauge("node_watchdog_pretimeout_seconds", "Value of /sys/class/watchdog/<watchdog>/pretimeout"),
    ),
    ("access_cs0", Desc::gauge("node_watchdog_access_cs0", "Value of /sys/class/watchdog/<watchdog>/access_cs0")),
];
const INFO: Desc = Desc::gauge("node_watchdog_info", "Info of /sys/class/watchdog/<watchdog>");
/// Files that are labels of the same names.
const LABELS: [&str; 5] = ["identity", "options", "pretimeout_governor", "state", "status"];

struct Watchdog {
    files: KeptFiles,
}

impl Collector for Watchdog {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let class = cx.sources.sys("class/watchdog");
        let entries = match class.entries() {
            Ok(entries) => entries,
            Err(e) if e.is_absent() || e.is_denied() => return Err(CollectError::NoData),
            Err(e) => return Err(e.into()),
        };
        let round = self.files.round();
        for name in entries.iter() {
            collect(&class.child(name), name, &round, cx, out);
        }
        Ok(())
    }
}

/// A driver has the files that its hardware supports.
fn collect(watchdog: &File<'_>, name: &[u8], round: &Round<'_>, cx: &mut Cx<'_>, out: &mut Part) {
    for (file, desc) in &NUMBERS {
        if let Ok(text) = round.read_trimmed(&watchdog.join(file), cx.buf)
            && let Some(number) = scan::i64(text)
        {
            out.family(desc).sample(&[("name", name)], number);
        }
    }
    let mut values: [Vec<u8>; LABELS.len()] = std::array::from_fn(|_| Vec::new());
    for (file, value) in LABELS.iter().zip(&mut values) {
        if let Ok(text) = round.read_trimmed(&watchdog.join(file), cx.buf) {
            value.extend_from_slice(text);
        }
    }
    let [identity, options, governor, state, status] = &values;
    out.family(&INFO).sample(
        &[
            ("identity", identity),
            ("name", name),
            ("options", options),
            ("pretimeout_governor", governor),
            ("state", state),
            ("status", status),
        ],
        1u64,
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    fn collected(tree: &Tree) -> (String, Result<(), CollectError>) {
        exporter::testing::collect(&WATCHDOG, &[], &tree.sources())
    }

    #[test]
    fn what_a_driver_has_and_has_not() {
        let tree = Tree::of(&[
            ("sys/class/watchdog/watchdog0/bootstatus", b"1\n"),
            ("sys/class/watchdog/watchdog0/timeleft", b"soon\n"),
            ("sys/class/watchdog/watchdog0/identity", b"Software Watchdog\n"),
            ("sys/class/watchdog/watchdog0/state", b"active\n"),
            ("sys/class/watchdog/watchdog1/", b""),
        ]);
        let (text, result) = collected(&tree);
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_watchdog_bootstatus Value of /sys/class/watchdog/<watchdog>/bootstatus\n\
             # TYPE node_watchdog_bootstatus gauge\nnode_watchdog_bootstatus{name=\"watchdog0\"} 1\n\
             # HELP node_watchdog_info Info of /sys/class/watchdog/<watchdog>\n# TYPE node_watchdog_info gauge\n\
             node_watchdog_info{identity=\"\",name=\"watchdog1\",options=\"\",pretimeout_governor=\"\",state=\"\",status=\"\"} 1\n\
             node_watchdog_info{identity=\"Software Watchdog\",name=\"watchdog0\",options=\"\",pretimeout_governor=\"\",\
             state=\"active\",status=\"\"} 1\n"
        );
    }

    #[test]
    fn hosts_without_one() {
        assert!(matches!(collected(&Tree::of(&[])).1, Err(CollectError::NoData)));
        collected(&Tree::of(&[("sys/class/watchdog/", b"")])).1.unwrap();
    }
}
