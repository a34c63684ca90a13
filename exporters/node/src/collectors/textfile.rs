//! Metrics that other programs left in `*.prom` files, in text format 0.0.4.

mod glob;

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use exposition::{Kind, ParsedFamily};
use hostfs::{Buf, ReadError, Sources};
use service::FlagKind;
use std::collections::{BTreeSet, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

const DIRECTORY: Flag = Flag::new(
    "collector.textfile.directory",
    FlagKind::Texts,
    "",
    "Directory to read text files with metrics from, supports glob matching. (repeatable)",
);

/// Registers the collector.
pub(crate) const TEXTFILE: Entry = Entry {
    name: "textfile",
    default: Default::On,
    about: "metrics that other programs wrote to *.prom files in the directories of --collector.textfile.directory",
    flags: &[DIRECTORY],
    build: |flags, _| {
        Ok(Box::new(Textfile { directories: flags.texts(DIRECTORY.name).to_vec(), known: Mutex::default() }))
    },
};

const MTIME: Desc = Desc::gauge("node_textfile_mtime_seconds", "Unixtime mtime of textfiles successfully read.");
const SCRAPE_ERROR: Desc =
    Desc::gauge("node_textfile_scrape_error", "1 if there was an error opening or reading a file, 0 otherwise");

struct Textfile {
    directories: Vec<String>,
    /// Files as of the last scrape: one that has not changed is not parsed again.
    known: Mutex<HashMap<PathBuf, Arc<Read>>>,
}

/// A file that was read and understood.
struct Read {
    identity: Identity,
    families: Vec<ParsedFamily>,
}

/// What changes when a file is written to or replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

impl Collector for Textfile {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut errored = false;
        let mut files = Vec::new();
        for path in self.paths(cx.sources, &mut errored) {
            match read(cx.sources, &path, known.get(&path), cx.now, cx.buf) {
                Ok(file) => files.push((path, file)),
                Err(error) => {
                    tracing::error!(file = %path.display(), %error, "failed to collect textfile data");
                    errored = true;
                }
            }
        }
        errored |= emit(&files, out);
        for (path, file) in &files {
            out.family(&MTIME).sample(&[("file", path.as_os_str().as_bytes())], file.identity.mtime.0);
        }
        out.family(&SCRAPE_ERROR).sample(&[], errored);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = files.into_iter().collect();
        Ok(())
    }
}

impl Textfile {
    /// The files of all directories, in order.
    fn paths(&self, sources: &Sources, errored: &mut bool) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in self.directories.iter().filter(|p| !p.is_empty()) {
            for directory in glob::expand(sources, pattern) {
                match sources.named(&directory).entries() {
                    Ok(names) => {
                        let files = names.iter().filter(|name| name.ends_with(b".prom"));
                        paths.extend(files.map(|name| glob::clean(&directory.join(std::ffi::OsStr::from_bytes(name)))));
                    }
                    Err(error) => {
                        tracing::error!(path = %directory.display(), %error, "failed to read textfile collector directory");
                        *errored = true;
                    }
                }
            }
        }
        // Two patterns may name the same directory.
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        paths
    }
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Parse(#[from] exposition::ParseError),
    #[error("contains unsupported client-side timestamps, skipping entire file")]
    Timestamps,
}

fn read(
    sources: &Sources,
    path: &Path,
    known: Option<&Arc<Read>>,
    now: SystemTime,
    buf: &mut Buf,
) -> Result<Arc<Read>, FileError> {
    let file = sources.named(path);
    let metadata = file.metadata()?;
    let identity = Identity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        ctime: (metadata.ctime(), metadata.ctime_nsec()),
    };
    // A file written to this very moment may be written to again without a later time.
    let settled = metadata.modified().is_ok_and(|m| now.duration_since(m).is_ok_and(|age| age > TIME_GRAIN));
    if let Some(known) = known.filter(|k| settled && k.identity == identity) {
        return Ok(Arc::clone(known));
    }
    let mut families = exposition::parse_text(file.read(buf)?)?;
    if families.iter().flat_map(|f| &f.samples).any(|s| s.timestamp_ms.is_some()) {
        return Err(FileError::Timestamps);
    }
    families.iter_mut().for_each(same_labels);
    Ok(Arc::new(Read { identity, families }))
}

const TIME_GRAIN: Duration = Duration::from_secs(2);

/// Samples of a family get the labels that only others have, empty: upstream's registry wants it so.
fn same_labels(family: &mut ParsedFamily) {
    let all: BTreeSet<String> = family.samples.iter().flat_map(|s| s.labels.iter().map(|(n, _)| n.clone())).collect();
    for sample in family.samples.iter_mut().filter(|s| s.labels.len() < all.len()) {
        for name in &all {
            if !sample.labels.iter().any(|(n, _)| n == name) {
                sample.labels.push((name.clone(), String::new()));
            }
        }
    }
}

/// What the files that were read so far say of a family.
struct Merged<'a> {
    help: Option<&'a str>,
    kind: Kind,
    /// Where it stands; for the help of one that has none.
    files: Vec<&'a Path>,
    inconsistent: bool,
}

/// Emits the families of all files; says whether some were left out because files contradict each other.
fn emit(files: &[(PathBuf, Arc<Read>)], out: &mut Part) -> bool {
    let mut merged: HashMap<&str, Merged<'_>> = HashMap::new();
    let mut kept: Vec<&ParsedFamily> = Vec::new();
    for (path, family) in files.iter().flat_map(|(path, file)| file.families.iter().map(move |f| (&**path, f))) {
        let help = family.help.as_deref();
        let all = merged.entry(&family.name).or_insert_with(|| Merged {
            help: None,
            kind: family.kind,
            files: Vec::new(),
            inconsistent: false,
        });
        // The first help counts; once two differ, upstream takes no more of the family.
        let differs = match (all.help, help) {
            (Some(first), Some(help)) => first != help,
            _ => false,
        };
        if differs || all.inconsistent || family.kind != all.kind {
            all.inconsistent |= differs;
            tracing::error!(
                metric = %family.name,
                file = %path.display(),
                first = %all.files.first().map_or(Path::new(""), |p| p).display(),
                "inconsistent metric help text or type"
            );
            continue;
        }
        all.help = all.help.or(help);
        all.files.push(path);
        kept.push(family);
    }
    for (name, all) in &merged {
        let read_from = || {
            let files: Vec<_> = all.files.iter().map(|p| p.display().to_string()).collect();
            format!("Metric read from {}", files.join(", "))
        };
        let help = all.help.map_or_else(|| read_from().into(), std::borrow::Cow::Borrowed);
        out.family_named(name, &help, all.kind);
    }
    let total: usize = files.iter().map(|(_, file)| file.families.len()).sum();
    for family in &kept {
        family.emit(out);
    }
    kept.len() < total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    fn run(tree: &Tree, directory: &str) -> String {
        let flag = format!("--collector.textfile.directory={}", tree.path().join(directory).display());
        let (text, result) = exporter::testing::collect(&TEXTFILE, &[&flag], &tree.sources());
        result.unwrap();
        let text = text.replace(&tree.path().display().to_string(), "");
        // Times are the test's own.
        text.lines()
            .filter(|l| !l.contains("node_textfile_mtime_seconds"))
            .filter(|l| !l.starts_with("# HELP node_textfile") && !l.starts_with("# TYPE node_textfile"))
            .fold(String::new(), |all, line| all + line + "\n")
    }

    #[test]
    fn files_are_merged() {
        let tree = Tree::of(&[
            ("t/a.prom", b"# HELP events_total\nevents_total{file=\"a\"} 10\n"),
            ("t/b.prom", b"events_total{file=\"b\"} 30\n"),
            ("t/c.txt", b"other 1\n"),
        ]);
        assert_eq!(
            run(&tree, "t"),
            "# HELP events_total Metric read from /t/a.prom, /t/b.prom\n# TYPE events_total untyped\n\
             events_total{file=\"a\"} 10\nevents_total{file=\"b\"} 30\nnode_textfile_scrape_error 0\n"
        );
    }

    #[test]
    fn help_that_differs() {
        let tree = Tree::of(&[
            ("t/a.prom", b"# HELP e One\n# TYPE e counter\ne{file=\"a\"} 10\n"),
            ("t/b.prom", b"# HELP e Two\n# TYPE e counter\ne{file=\"b\"} 30\n"),
        ]);
        assert_eq!(run(&tree, "t"), "# HELP e One\n# TYPE e counter\ne{file=\"a\"} 10\nnode_textfile_scrape_error 1\n");
    }

    #[test]
    fn types_that_differ() {
        let tree = Tree::of(&[
            ("t/a.prom", b"# TYPE e counter\ne{file=\"a\"} 10\n"),
            ("t/b.prom", b"# TYPE e summary\ne{quantile=\"0.5\"} 30\n"),
        ]);
        let text = run(&tree, "t");
        assert!(text.contains("e{file=\"a\"} 10\n") && !text.contains("30"), "{text}");
        assert!(text.ends_with("node_textfile_scrape_error 1\n"), "{text}");
    }

    #[test]
    fn timestamps_and_what_is_no_text_format() {
        let tree = Tree::of(&[
            ("t/a.prom", b"a 1 1000\nb 2\n"),
            ("t/b.prom", b"{{{\n"),
            ("t/c.prom", b"c{x=\"1\"} 3\nc{y=\"2\"} 4\n"),
            ("t/d.prom/", b""),
        ]);
        assert_eq!(
            run(&tree, "t"),
            "# HELP c Metric read from /t/c.prom\n# TYPE c untyped\nc{x=\"\",y=\"2\"} 4\nc{x=\"1\",y=\"\"} 3\n\
             node_textfile_scrape_error 1\n"
        );
    }

    #[test]
    fn patterns_and_what_is_not_there() {
        let tree = Tree::of(&[("x/one/a.prom", b"a 1\n"), ("x/two/b.prom", b"b 2\n"), ("x/other/c.prom", b"c 3\n")]);
        let text = run(&tree, "x/[ot][nw]*");
        assert!(text.contains("a 1\n") && text.contains("b 2\n") && !text.contains("c 3\n"), "{text}");
        assert_eq!(run(&tree, "nowhere"), "node_textfile_scrape_error 1\n");
        let (text, result) = exporter::testing::collect(&TEXTFILE, &[], &tree.sources());
        result.unwrap();
        assert!(text.ends_with("\nnode_textfile_scrape_error 0\n"), "{text}");
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let tree = Tree::of(&[("t/a.prom", b"a 1\n")]);
        let file = tree.path().join("t/a.prom");
        let set_age = |seconds| {
            let time = SystemTime::now() - Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        };
        set_age(100);
        let flag = format!("--collector.textfile.directory={}", tree.path().join("t").display());
        let flags = service::Flags::from_args(TEXTFILE.flags, &[&flag]).unwrap();
        let collector = (TEXTFILE.build)(&flags, &tree.sources()).unwrap();
        let run = || exporter::testing::collect_from(collector.as_ref(), &tree.sources()).0;
        assert!(run().contains("\na 1\n") && run().contains("\na 1\n"));
        std::fs::write(&file, "a 2\n").unwrap();
        set_age(100);
        assert!(run().contains("\na 2\n"));
        std::fs::remove_file(&file).unwrap();
        assert!(!run().contains("\na "));
    }
}
