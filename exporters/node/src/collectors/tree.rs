//! For the collectors' tests: a host's tree made of literal bytes.

use hostfs::Sources;
use std::path::Path;

/// Files below a temporary folder, which goes with the value.
pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// Writes each file with the folders above it; a path that ends in `/` is an empty folder.
    pub(crate) fn of(files: &[(&str, &[u8])]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, bytes) in files {
            let at = tree.path().join(path);
            if path.ends_with('/') {
                std::fs::create_dir_all(at).unwrap();
            } else {
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                std::fs::write(at, bytes).unwrap();
            }
        }
        tree
    }

    /// Adds a link with folders above it.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let at = self.path().join(path);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, at).unwrap();
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn sources(&self) -> Sources {
        Sources::under(self.path())
    }
}
