//! Whose network a procfs shows.

use crate::Sources;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Where the host's network is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// This process is in the host's network namespace, or nothing says otherwise: netlink and `net/…` of procfs.
    Own,
    /// The host's procfs is mounted and its init is in another network namespace: `1/net/…` of that procfs alone.
    OfInit,
}

impl Network {
    /// The folder below procfs that holds `dev`, `snmp` and the like.
    pub fn proc_dir(self) -> &'static str {
        match self {
            Self::Own => "net",
            Self::OfInit => "1/net",
        }
    }

    pub(crate) fn seen_through(sources: &Sources) -> Self {
        let root = &sources.roots().proc;
        // Who reads the own /proc means the own namespace, be it that of `ip netns exec`; a recorded tree is none at all.
        if root == Path::new("/proc") || !is_procfs(root) {
            return Self::Own;
        }
        // Each network namespace has its own inode for net/dev, and all mounts of procfs agree on it. Unlike the link
        // 1/ns/net it may be looked at without the right to trace that process.
        match (inode(&root.join("1/net/dev")), inode(Path::new("/proc/self/net/dev"))) {
            (Some(host), Some(own)) if host != own => Self::OfInit,
            _ => Self::Own,
        }
    }
}

fn is_procfs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|s| s.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|m| m.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_tree_is_read_as_it_stands() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("proc/1/net")).unwrap();
        std::fs::write(dir.path().join("proc/1/net/dev"), "").unwrap();
        assert_eq!(Sources::under(dir.path()).network(), Network::Own);
        assert_eq!(Network::Own.proc_dir(), "net");
    }
}
