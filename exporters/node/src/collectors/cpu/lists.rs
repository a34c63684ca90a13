//! The kernel's lists of CPUs, which say whether what was found out about them still holds.

use hostfs::{Buf, KeptFile, Sources};
use std::path::Path;

/// Where the kernel describes its CPUs.
pub(in crate::collectors) const FOLDER: &str = "devices/system/cpu";

/// `present` and `online` of [`FOLDER`].
pub(in crate::collectors) struct Lists {
    files: [KeptFile; 2],
}

impl Lists {
    pub(in crate::collectors) fn new(sources: &Sources) -> Self {
        Self { files: ["present", "online"].map(|name| sources.kept_sys(Path::new(FOLDER).join(name))) }
    }

    /// Both lists; `None` where the kernel has none.
    pub(in crate::collectors) fn read(&self, buf: &mut Buf) -> Option<Vec<u8>> {
        self.files.iter().try_fold(Vec::new(), |mut lists, file| {
            lists.extend_from_slice(file.read(buf).ok()?);
            Some(lists)
        })
    }

    /// Whether they are what [`Lists::read`] gave before.
    pub(in crate::collectors) fn are_still(&self, before: Option<&[u8]>, buf: &mut Buf) -> bool {
        let Some(mut rest) = before else { return false };
        self.files.iter().all(|file| {
            let same = file.read(buf).ok().and_then(|text| rest.strip_prefix(text));
            same.is_some_and(|after| {
                rest = after;
                true
            })
        }) && rest.is_empty()
    }
}

/// `cpu0`, not `cpufreq`.
pub(in crate::collectors) fn number(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"cpu").filter(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;

    #[test]
    fn a_change_is_seen() {
        let online = "sys/devices/system/cpu/online";
        let tree = Tree::of(&[("sys/devices/system/cpu/present", b"0-3\n"), (online, b"0-3\n")]);
        let (lists, mut buf) = (Lists::new(&tree.sources()), Buf::new());
        assert!(!lists.are_still(None, &mut buf));
        let before = lists.read(&mut buf);
        assert!(lists.are_still(before.as_deref(), &mut buf));
        std::fs::write(tree.path().join(online), "0-3\n0").unwrap();
        assert!(!lists.are_still(before.as_deref(), &mut buf));
        std::fs::remove_file(tree.path().join(online)).unwrap();
        assert!(!lists.are_still(before.as_deref(), &mut buf));
        assert_eq!(lists.read(&mut buf), None);
    }

    #[test]
    fn names_of_cpus() {
        assert_eq!(number(b"cpu12"), Some(&b"12"[..]));
        assert_eq!((number(b"cpufreq"), number(b"cpu"), number(b"node0")), (None, None, None));
    }
}
