//! Interrupts by CPU and source, from `/proc/interrupts` (`Documentation/filesystems/proc.rst` 1.2, `kernel/irq/proc.c`).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, NameFilter, Part};
use hostfs::{KeptFile, scan};

/// Registers the collector.
pub(crate) const INTERRUPTS: Entry = Entry {
    name: "interrupts",
    default: Default::Off,
    about: "interrupts by CPU, number, controller and devices, from /proc/interrupts",
    flags: &[NAME_INCLUDE, NAME_EXCLUDE, INCLUDE_ZEROS],
    build: |flags, sources| {
        Ok(Box::new(Interrupts {
            file: sources.kept_proc("interrupts"),
            filter: NameFilter::from_flags(flags, NAME_INCLUDE.name, NAME_EXCLUDE.name)?,
            include_zeros: flags.on(INCLUDE_ZEROS.name),
        }))
    },
};

const NAME_INCLUDE: Flag = Flag::regex(
    "collector.interrupts.name-include",
    "",
    "Regexp of interrupts name to include (mutually exclusive to --collector.interrupts.name-exclude).",
);
const NAME_EXCLUDE: Flag = Flag::regex(
    "collector.interrupts.name-exclude",
    "",
    "Regexp of interrupts name to exclude (mutually exclusive to --collector.interrupts.name-include).",
);
const INCLUDE_ZEROS: Flag =
    Flag::switch_on("collector.interrupts.include-zeros", "Include interrupts that have a zero value");

const TOTAL: Desc = Desc::counter("node_interrupts_total", "Interrupt details.");

struct Interrupts {
    file: KeptFile,
    filter: NameFilter,
    include_zeros: bool,
}

impl Collector for Interrupts {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let mut lines = scan::lines(self.file.read(cx.buf)?);
        let Some(head) = lines.next() else {
            return Err(CollectError::failed(format!("{}: empty", self.file.path().display())));
        };
        let cpus = scan::fields(head).count();
        let mut family = out.family(&TOTAL);
        let mut digits = itoa::Buffer::new();
        for row in lines.filter_map(|line| Row::parse(line, cpus)) {
            let name = [row.name, row.info.as_slice(), row.devices.as_slice()].join(&b';');
            if self.filter.ignores(&name) {
                continue;
            }
            // Columns stand for CPUs by their place, as node_exporter has it: the kernel leaves out those offline.
            for (cpu, count) in row.counts().enumerate() {
                let count = count.ok_or_else(|| {
                    let (path, name) = (self.file.path().display(), scan::lossy(row.name));
                    CollectError::failed(format!("{path}: interrupt {name}: no number for CPU {cpu}"))
                })?;
                if count > 0 || self.include_zeros {
                    let cpu = digits.format(cpu).as_bytes();
                    let labels: [(&str, &[u8]); 4] =
                        [("cpu", cpu), ("devices", &row.devices), ("info", &row.info), ("type", row.name)];
                    family.sample(&labels, count);
                }
            }
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Row<'a> {
    name: &'a [u8],
    columns: Vec<&'a [u8]>,
    info: Vec<u8>,
    devices: Vec<u8>,
}

impl<'a> Row<'a> {
    /// Name, a column for each CPU, and words on the source; rows without words (`ERR`, `MIS`) are left out.
    fn parse(line: &'a [u8], cpus: usize) -> Option<Self> {
        // On arm64 nothing need be between the colon and the first number, so the colon parts them.
        let colon = line.iter().position(|&b| b == b':')?;
        let name = line[..colon].trim_ascii_start();
        let mut columns: Vec<&[u8]> = scan::fields(&line[colon + 1..]).collect();
        if columns.len() <= cpus {
            return None;
        }
        let words = columns.split_off(cpus);
        // A numbered interrupt names its controller first; the others have a description.
        let (info, devices) = words.split_at(if scan::i64(name).is_some() { 1 } else { words.len() });
        Some(Self { name, columns, info: info.join(&b' '), devices: devices.join(&b' ') })
    }

    fn counts(&self) -> impl Iterator<Item = Option<u64>> {
        self.columns.iter().map(|column| scan::u64(column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    const TABLE: &[u8] =
        b"           CPU0       CPU1\n  0:  18  0  IR-IO-APIC 2-edge  timer\nNMI:  1 2 Non-maskable interrupts\n\
        ERR:  5\n 24: 1 2\nIPI0:3 4 Rescheduling interrupts\n";

    fn collect(args: &[&str]) -> String {
        let tree = Tree::of(&[("proc/interrupts", TABLE)]);
        let (text, result) = exporter::testing::collect(&INTERRUPTS, args, &tree.sources());
        result.unwrap();
        text
    }

    #[test]
    fn a_tree_s_text() {
        assert_eq!(
            collect(&[]),
            "# HELP node_interrupts_total Interrupt details.\n# TYPE node_interrupts_total counter\n\
             node_interrupts_total{cpu=\"0\",devices=\"\",info=\"Non-maskable interrupts\",type=\"NMI\"} 1\n\
             node_interrupts_total{cpu=\"0\",devices=\"\",info=\"Rescheduling interrupts\",type=\"IPI0\"} 3\n\
             node_interrupts_total{cpu=\"0\",devices=\"2-edge timer\",info=\"IR-IO-APIC\",type=\"0\"} 18\n\
             node_interrupts_total{cpu=\"1\",devices=\"\",info=\"Non-maskable interrupts\",type=\"NMI\"} 2\n\
             node_interrupts_total{cpu=\"1\",devices=\"\",info=\"Rescheduling interrupts\",type=\"IPI0\"} 4\n\
             node_interrupts_total{cpu=\"1\",devices=\"2-edge timer\",info=\"IR-IO-APIC\",type=\"0\"} 0\n"
        );
    }

    #[test]
    fn filters() {
        let text =
            collect(&["--collector.interrupts.name-exclude=^NMI;Non", "--no-collector.interrupts.include-zeros"]);
        assert!(!text.contains("NMI") && !text.contains("} 0\n") && text.contains("IPI0"), "{text}");
        let text = collect(&["--collector.interrupts.name-include=timer$"]);
        assert!(!text.contains("NMI") && text.contains("type=\"0\""), "{text}");
    }

    #[test]
    fn a_broken_column_fails_after_the_rest() {
        let tree = Tree::of(&[("proc/interrupts", b"CPU0\n0: 1 a\n1: x b\n")]);
        let (text, result) = exporter::testing::collect(&INTERRUPTS, &[], &tree.sources());
        assert!(text.contains("} 1\n") && result.unwrap_err().to_string().contains("interrupt 1"), "{text}");
        let tree = Tree::of(&[("proc/interrupts", b"")]);
        assert!(exporter::testing::collect(&INTERRUPTS, &[], &tree.sources()).1.is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, cpus in 0usize..4) {
            for line in scan::lines(&bytes) {
                if let Some(row) = Row::parse(line, cpus) {
                    row.counts().count();
                }
            }
        }
    }
}
