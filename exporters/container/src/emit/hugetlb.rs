//! Huge pages by size.

use super::{Out, Subject};
use crate::cgroups::Controller;
use exporter::Desc;
use hostfs::scan;

const FAILCNT: Desc = Desc::counter("container_hugetlb_failcnt", "Number of hugepage usage hits limits");
const USAGE: Desc = Desc::gauge("container_hugetlb_usage_bytes", "Current hugepage usage in bytes");
const MAX_USAGE: Desc = Desc::gauge("container_hugetlb_max_usage_bytes", "Maximum hugepage usage recorded in bytes");

/// All families of this kind, for docs.
pub(crate) const FAMILIES: &[Desc] = &[FAILCNT, USAGE, MAX_USAGE];

/// Emits it, for the sizes that the host has.
pub(crate) fn emit(s: &mut Subject<'_>, sizes: &[String], out: &mut Out<'_>) {
    let v2 = s.v2(Controller::Hugetlb);
    let Some(dir) = s.cgroup.files.dir(s.at.hierarchies, Controller::Hugetlb) else { return };
    for size in sizes {
        let mut out = out.with(&[("pagesize", size.as_bytes())]);
        let file = |name: &str| s.at.sources.sys(dir.join(format!("hugetlb.{size}.{name}")));
        if v2 {
            out.maybe(&USAGE, file("current").read_u64(s.buf).ok());
            let events = file("events").read(s.buf).ok();
            let max = events.and_then(|t| scan::lines(t).find_map(|l| l.strip_prefix(b"max ")).and_then(scan::u64));
            out.maybe(&FAILCNT, max);
        } else {
            out.maybe(&USAGE, file("usage_in_bytes").read_u64(s.buf).ok());
            out.maybe(&MAX_USAGE, file("max_usage_in_bytes").read_u64(s.buf).ok());
            out.maybe(&FAILCNT, file("failcnt").read_u64(s.buf).ok());
        }
    }
}

/// The name of a size in cgroup files, from that of a folder such as `hugepages-2048kB`.
pub(crate) fn size(folder: &[u8]) -> Option<String> {
    let kb = scan::u64(folder.strip_prefix(b"hugepages-")?.strip_suffix(b"kB")?)?;
    Some(match kb {
        kb if kb >= 1 << 20 => format!("{}GB", kb >> 20),
        kb if kb >= 1 << 10 => format!("{}MB", kb >> 10),
        kb => format!("{kb}KB"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_cgroup_files_write_them() {
        assert_eq!(size(b"hugepages-2048kB").as_deref(), Some("2MB"));
        assert_eq!(size(b"hugepages-1048576kB").as_deref(), Some("1GB"));
        assert_eq!(size(b"hugepages-64kB").as_deref(), Some("64KB"));
        assert_eq!(size(b"hugepages-xkB"), None);
    }
}
