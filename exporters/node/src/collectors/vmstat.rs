//! Counters of the memory manager, from `/proc/vmstat` (`mm/vmstat.c`).

use exporter::{CollectError, Collector, Cx, Default, Entry, Flag, Part};
use exposition::Kind;
use hostfs::{KeptFile, scan};
use std::sync::{Mutex, PoisonError};

/// Registers the collector.
pub(crate) const VMSTAT: Entry = Entry {
    name: "vmstat",
    default: Default::On,
    about: "counters of the memory manager whose names match an expression, from /proc/vmstat",
    flags: &[FIELDS],
    build: |flags, sources| {
        Ok(Box::new(Vmstat {
            file: sources.kept_proc("vmstat"),
            fields: flags.regex(FIELDS.name),
            rows: Mutex::default(),
        }))
    },
};

const FIELDS: Flag = Flag::regex(
    "collector.vmstat.fields",
    "^(oom_kill|pgpg|pswp|pg.*fault).*",
    "Regexp of fields to return for vmstat collector.",
);

struct Vmstat {
    file: KeptFile,
    fields: Option<service::Regex>,
    /// What the expression said of each row at the scrape before: a running kernel keeps its rows.
    rows: Mutex<Vec<Row>>,
}

struct Row {
    field: Box<[u8]>,
    /// Name and help, where the field is wanted.
    family: Option<(String, String)>,
}

impl Collector for Vmstat {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let text = self.file.read(cx.buf)?;
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        for (at, (field, value)) in scan::lines(text).filter_map(parse_line).enumerate() {
            if rows.get(at).is_none_or(|row| *row.field != *field) {
                rows.truncate(at);
                rows.push(self.row(field));
            }
            let Some((name, help)) = &rows[at].family else { continue };
            let value = scan::f64(value).ok_or_else(|| {
                let path = self.file.path().display();
                CollectError::failed(format!("{path}: {}: no number: {:?}", scan::lossy(field), scan::lossy(value)))
            })?;
            out.family_named(name, help, Kind::Untyped).sample(&[], value);
        }
        Ok(())
    }
}

impl Vmstat {
    fn row(&self, field: &[u8]) -> Row {
        let wanted = self.fields.as_ref().is_none_or(|r| r.is_match(field));
        let family = wanted.then(|| {
            let field = scan::lossy(field);
            (
                exposition::sanitize_name(&format!("node_vmstat_{field}")).into_owned(),
                format!("/proc/vmstat information field {field}."),
            )
        });
        Row { field: field.into(), family }
    }
}

fn parse_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = scan::fields(line);
    Some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;
    use proptest::prelude::*;

    fn tree(text: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("proc")).unwrap();
        std::fs::write(dir.path().join("proc/vmstat"), text).unwrap();
        dir
    }

    #[test]
    fn fields_that_match() {
        let dir = tree(b"nr_free_pages 977769\npgpgin 7344136\npgmajfault 1\noom_kill 0\nnonsense\n");
        let (text, result) = exporter::testing::collect(&VMSTAT, &[], &Sources::under(dir.path()));
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_vmstat_oom_kill /proc/vmstat information field oom_kill.\n\
             # TYPE node_vmstat_oom_kill untyped\nnode_vmstat_oom_kill 0\n\
             # HELP node_vmstat_pgmajfault /proc/vmstat information field pgmajfault.\n\
             # TYPE node_vmstat_pgmajfault untyped\nnode_vmstat_pgmajfault 1\n\
             # HELP node_vmstat_pgpgin /proc/vmstat information field pgpgin.\n\
             # TYPE node_vmstat_pgpgin untyped\nnode_vmstat_pgpgin 7.344136e+06\n"
        );
    }

    #[test]
    fn another_expression() {
        let dir = tree(b"nr_free_pages 977769\npgpgin 7344136\n");
        let args = ["--collector.vmstat.fields=^nr_"];
        let (text, result) = exporter::testing::collect(&VMSTAT, &args, &Sources::under(dir.path()));
        result.unwrap();
        assert!(text.contains("node_vmstat_nr_free_pages 977769\n"), "{text}");
        assert!(!text.contains("pgpgin"), "{text}");
    }

    #[test]
    fn rows_that_move_between_scrapes() {
        let dir = tree(b"a 1\npgpgin 2\npgpgout 3\n");
        let sources = Sources::under(dir.path());
        let flags = exporter::Flags::defaults(VMSTAT.flags);
        let collector = (VMSTAT.build)(&flags, &sources).unwrap();
        exporter::testing::collect_from(collector.as_ref(), &sources).1.unwrap();
        std::fs::write(dir.path().join("proc/vmstat"), "pgpgin 4\n").unwrap();
        let (text, _) = exporter::testing::collect_from(collector.as_ref(), &sources);
        assert!(text.ends_with("node_vmstat_pgpgin 4\n"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let dir = tree(&bytes);
            let args = ["--collector.vmstat.fields="];
            let _ = exporter::testing::collect(&VMSTAT, &args, &Sources::under(dir.path()));
        }
    }
}
