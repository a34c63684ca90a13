//! The distribution's name and version, from `os-release` (os-release(5)).

use exporter::{CollectError, Collector, Cx, Default, Desc, Entry, Part};
use hostfs::{ReadError, scan};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Registers the collector.
pub(crate) const OS: Entry = Entry {
    name: "os",
    default: Default::On,
    about: "name, version and end of support of the distribution, from /etc/os-release or /usr/lib/os-release",
    flags: &[],
    build: |_, _| Ok(Box::new(Os { known: Mutex::default() })),
};

const INFO: Desc = Desc::gauge(
    "node_os_info",
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, \
     pretty_name, variant, variant_id, version, version_codename, version_id.",
);
const VERSION: Desc = Desc::gauge("node_os_version", "Metric containing the major.minor part of the OS version.");
const SUPPORT_END: Desc =
    Desc::gauge("node_os_support_end_timestamp_seconds", "Metric containing the end-of-life date timestamp of the OS.");

const PATHS: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

struct Os {
    /// What was read last: read again when the file is another one.
    known: Mutex<Option<Arc<Known>>>,
}

struct Known {
    identity: Identity,
    release: Release,
}

#[derive(Clone, Copy, PartialEq)]
struct Identity {
    path: &'static str,
    device: u64,
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Collector for Os {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let identity = identify(cx)?.ok_or(CollectError::NoData)?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = if let Some(known) = known.filter(|k| k.identity == identity) {
            known
        } else {
            let release = parse(cx.sources.rootfs(identity.path).read(cx.buf)?);
            let known = Arc::new(Known { identity, release });
            *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
            known
        };
        known.release.emit(out);
        match known.release.support_end {
            SupportEnd::Unreadable(ref text) => {
                Err(CollectError::failed(format!("{}: SUPPORT_END is no date: {text:?}", identity.path)))
            }
            _ => Ok(()),
        }
    }
}

/// The first of the files that is there.
fn identify(cx: &Cx<'_>) -> Result<Option<Identity>, ReadError> {
    for path in PATHS {
        match cx.sources.rootfs(path).metadata() {
            Ok(m) => {
                return Ok(Some(Identity {
                    path,
                    device: m.dev(),
                    inode: m.ino(),
                    modified: (m.mtime(), m.mtime_nsec()),
                    size: m.size(),
                }));
            }
            Err(e) if e.is_absent() => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Variables, in the order of the labels.
const KEYS: [&str; 12] = [
    "BUILD_ID",
    "ID",
    "ID_LIKE",
    "IMAGE_ID",
    "IMAGE_VERSION",
    "NAME",
    "PRETTY_NAME",
    "VARIANT",
    "VARIANT_ID",
    "VERSION",
    "VERSION_CODENAME",
    "VERSION_ID",
];
const LABELS: [&str; 12] = [
    "build_id",
    "id",
    "id_like",
    "image_id",
    "image_version",
    "name",
    "pretty_name",
    "variant",
    "variant_id",
    "version",
    "version_codename",
    "version_id",
];
const ID: usize = 1;
const ID_LIKE: usize = 2;
const NAME: usize = 5;
const VERSION_ID: usize = 11;

#[derive(Debug, Default)]
struct Release {
    values: [Vec<u8>; KEYS.len()],
    support_end: SupportEnd,
}

#[derive(Debug, Default, PartialEq)]
enum SupportEnd {
    #[default]
    Unsaid,
    /// Seconds since 1970.
    At(i64),
    Unreadable(String),
}

impl Release {
    fn emit(&self, out: &mut Part) {
        let labels: [(&str, &[u8]); KEYS.len()] = std::array::from_fn(|i| (LABELS[i], self.values[i].as_slice()));
        out.family(&INFO).sample(&labels, 1u64);
        let version = major_minor(&self.values[VERSION_ID]);
        if version > 0.0 {
            out.family(&VERSION).sample(&[labels[ID], labels[ID_LIKE], labels[NAME]], version);
        }
        if let SupportEnd::At(seconds) = self.support_end {
            out.family(&SUPPORT_END).sample(&[], seconds);
        }
    }
}

/// `20.04` of `20.04.2`; 0 where there is no number.
fn major_minor(version: &[u8]) -> f64 {
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = digits(version);
    if end > 0 && version.get(end) == Some(&b'.') {
        end += 1 + digits(&version[end + 1..]);
    }
    scan::f64(&version[..end]).unwrap_or_default()
}

fn parse(text: &[u8]) -> Release {
    let mut release = Release::default();
    for line in scan::lines(text) {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let Some((key, value)) = scan::key_value(line, b'=').filter(|_| !line.starts_with(b"#")) else { continue };
        if key == b"SUPPORT_END" {
            let value = unquote(value);
            release.support_end = match parse_date(&value) {
                _ if value.is_empty() => SupportEnd::Unsaid,
                Some(seconds) => SupportEnd::At(seconds),
                None => SupportEnd::Unreadable(scan::lossy(&value).into_owned()),
            };
        } else if let Some(i) = KEYS.iter().position(|k| k.as_bytes() == key) {
            release.values[i] = unquote(value);
        }
    }
    release
}

/// A value as a shell reads it: `'…'` as it stands, `"…"` with escapes undone, else up to a comment.
fn unquote(value: &[u8]) -> Vec<u8> {
    match value.split_first() {
        Some((b'\'', rest)) => rest.iter().copied().take_while(|&b| b != b'\'').collect(),
        Some((b'"', rest)) => {
            let mut text = Vec::with_capacity(rest.len());
            let mut bytes = rest.iter().copied();
            while let Some(b) = bytes.next() {
                match b {
                    b'"' => break,
                    b'\\' => match bytes.next() {
                        Some(b'n') => text.push(b'\n'),
                        Some(b't') => text.push(b'\t'),
                        Some(b'r') => text.push(b'\r'),
                        Some(escaped) => text.push(escaped),
                        None => break,
                    },
                    b => text.push(b),
                }
            }
            text
        }
        _ => {
            let comment = value.windows(2).position(|w| w == b" #" || w == b"\t#");
            value[..comment.unwrap_or(value.len())].trim_ascii_end().to_vec()
        }
    }
}

/// Midnight of `YYYY-MM-DD` in seconds since 1970.
fn parse_date(text: &[u8]) -> Option<i64> {
    if text.len() != 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let (year, month, day) = (scan::i64(&text[..4])?, scan::i64(&text[5..7])?, scan::i64(&text[8..])?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        _ => return None,
    };
    if year < 0 || !(1..=days_in_month).contains(&day) {
        return None;
    }
    // Days from a year that starts in March, so that leap days come last (Gregorian calendar, 400 years = 146 097 days).
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) + (153 * m + 2) / 5 + day - 1;
    Some((days - 719_468) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;
    use proptest::prelude::*;

    const UBUNTU: &str = "NAME=\"Ubuntu\"\nVERSION=\"20.04.2 LTS (Focal Fossa)\"\nID=ubuntu\nID_LIKE=debian\n\
        PRETTY_NAME=\"Ubuntu 20.04.2 LTS\"\nVERSION_ID=\"20.04\"\nVERSION_CODENAME=focal\nUBUNTU_CODENAME=focal\n";

    #[test]
    fn values_as_a_shell_reads_them() {
        assert_eq!(unquote(b"\"a \\\"b\\\" \\$c\""), b"a \"b\" $c");
        assert_eq!(unquote(b"'a \"b\\'"), b"a \"b\\");
        assert_eq!(unquote(b"plain # comment"), b"plain");
        assert_eq!(unquote(b"\"open"), b"open");
        assert_eq!(unquote(b""), b"");
    }

    #[test]
    fn dates() {
        assert_eq!(parse_date(b"1970-01-01"), Some(0));
        assert_eq!(parse_date(b"2024-02-29"), Some(1_709_164_800));
        assert_eq!(parse_date(b"2023-02-29"), None);
        assert_eq!(parse_date(b"2026-13-01"), None);
        assert_eq!(parse_date(b"soon"), None);
    }

    #[test]
    fn versions() {
        assert!((major_minor(b"20.04.2") - 20.04).abs() < 1e-12);
        assert!((major_minor(b"41") - 41.0).abs() < 1e-12);
        assert!((major_minor(b"2.") - 2.0).abs() < 1e-12);
        assert!(major_minor(b"rolling").abs() < 1e-12);
    }

    fn write(dir: &std::path::Path, path: &str, text: &str) {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn files_appear_change_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let sources = Sources::under(dir.path());
        let collector = (OS.build)(&exporter::Flags::defaults(OS.flags), &sources).unwrap();
        let collect = || exporter::testing::collect_from(collector.as_ref(), &sources);
        assert!(matches!(collect().1, Err(CollectError::NoData)));

        write(dir.path(), "usr/lib/os-release", UBUNTU);
        let (text, result) = collect();
        result.unwrap();
        assert_eq!(
            text,
            "# HELP node_os_info A metric with a constant '1' value labeled by build_id, id, id_like, image_id, \
             image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.\n\
             # TYPE node_os_info gauge\n\
             node_os_info{build_id=\"\",id=\"ubuntu\",id_like=\"debian\",image_id=\"\",image_version=\"\",\
             name=\"Ubuntu\",pretty_name=\"Ubuntu 20.04.2 LTS\",variant=\"\",variant_id=\"\",\
             version=\"20.04.2 LTS (Focal Fossa)\",version_codename=\"focal\",version_id=\"20.04\"} 1\n\
             # HELP node_os_version Metric containing the major.minor part of the OS version.\n\
             # TYPE node_os_version gauge\n\
             node_os_version{id=\"ubuntu\",id_like=\"debian\",name=\"Ubuntu\"} 20.04\n"
        );

        write(dir.path(), "etc/os-release", "ID=fedora\nSUPPORT_END=2026-05-13\n");
        let (text, result) = collect();
        result.unwrap();
        assert!(text.contains("node_os_support_end_timestamp_seconds 1.7786304e+09\n"), "{text}");

        write(dir.path(), "etc/os-release", "ID=fedora\nSUPPORT_END=some day\n");
        let (text, result) = collect();
        assert!(text.contains("id=\"fedora\""), "{text}");
        assert!(result.unwrap_err().to_string().contains("SUPPORT_END"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let mut part = Part::new();
            parse(&bytes).emit(&mut part);
            parse_date(&bytes);
            unquote(&bytes);
        }
    }
}
