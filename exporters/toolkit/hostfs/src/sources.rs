//! The roots of a host's pseudo-file systems.

use crate::file::End;
use crate::netlink::LinkTable;
use crate::{File, KeptFile, KeptFiles, SharedFile};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a host's file systems are mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// procfs, `/proc`.
    pub proc: PathBuf,
    /// sysfs, `/sys`.
    pub sys: PathBuf,
    /// The host's root, `/`.
    pub rootfs: PathBuf,
    /// udev's database, `/run/udev/data`.
    pub udev: PathBuf,
}

impl Default for Roots {
    fn default() -> Self {
        Self { proc: "/proc".into(), sys: "/sys".into(), rootfs: "/".into(), udev: "/run/udev/data".into() }
    }
}

/// The only way to a host file: roots, and the budget of descriptors that are kept open.
#[derive(Clone, Debug)]
pub struct Sources {
    roots: Arc<Roots>,
    budget: Arc<Budget>,
    shared: Arc<Mutex<HashMap<PathBuf, Arc<SharedFile>>>>,
    links: Arc<LinkTable>,
}

impl Sources {
    /// This machine as the process sees it.
    pub fn live() -> Self {
        Self::new(Roots::default())
    }

    /// A recorded tree with `proc`, `sys` and `udev` below `dir`, which is itself the root file system.
    pub fn under(dir: &Path) -> Self {
        Self::new(Roots {
            proc: dir.join("proc"),
            sys: dir.join("sys"),
            rootfs: dir.to_owned(),
            udev: dir.join("udev/data"),
        })
    }

    /// A host mounted anywhere.
    pub fn new(roots: Roots) -> Self {
        Self {
            roots: Arc::new(roots),
            budget: Arc::new(Budget::from_limit()),
            shared: Arc::default(),
            links: Arc::default(),
        }
    }

    /// The roots themselves, for labels and messages.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Whether this is the machine's own `/proc` and `/sys`: only then do netlink and system calls show the same host.
    pub fn is_live(&self) -> bool {
        self.roots.proc == Path::new("/proc") && self.roots.sys == Path::new("/sys")
    }

    /// Where the host's network is to be read.
    pub fn network(&self) -> crate::Network {
        crate::Network::seen_through(self)
    }

    /// The network devices of this process's network namespace.
    pub fn links(&self) -> &LinkTable {
        &self.links
    }

    /// A file below procfs.
    pub fn proc(&self, rel: impl AsRef<Path>) -> File<'_> {
        File::new(self, self.roots.proc.join(rel), End::Empty)
    }
    /// A file below procfs with records shorter than 512 bytes each, such as `net/dev`: a small one takes one read.
    pub fn proc_records(&self, rel: impl AsRef<Path>) -> File<'_> {
        File::new(self, self.roots.proc.join(rel), End::Records)
    }
    /// A file below sysfs.
    pub fn sys(&self, rel: impl AsRef<Path>) -> File<'_> {
        File::new(self, self.roots.sys.join(rel), End::Short)
    }
    /// A file below the host's root; a leading `/` of `rel` is that root.
    pub fn rootfs(&self, rel: impl AsRef<Path>) -> File<'_> {
        let rel = rel.as_ref();
        File::new(self, self.roots.rootfs.join(rel.strip_prefix("/").unwrap_or(rel)), End::Empty)
    }
    /// A file of udev's database.
    pub fn udev(&self, rel: impl AsRef<Path>) -> File<'_> {
        File::new(self, self.roots.udev.join(rel), End::Empty)
    }
    /// A file that the user named (a flag's value), outside the roots.
    pub fn named(&self, path: impl Into<PathBuf>) -> File<'_> {
        File::new(self, path.into(), End::Empty)
    }

    /// A file below procfs that is read at each scrape: its descriptor stays open.
    pub fn kept_proc(&self, rel: impl AsRef<Path>) -> KeptFile {
        KeptFile::new(self.roots.proc.join(rel), End::Empty, Arc::clone(&self.budget))
    }
    /// The same of a file with records shorter than 512 bytes each: a small one takes one read.
    pub fn kept_proc_records(&self, rel: impl AsRef<Path>) -> KeptFile {
        KeptFile::new(self.roots.proc.join(rel), End::Records, Arc::clone(&self.budget))
    }
    /// A file below sysfs that is read at each scrape: its descriptor stays open.
    pub fn kept_sys(&self, rel: impl AsRef<Path>) -> KeptFile {
        KeptFile::new(self.roots.sys.join(rel), End::Short, Arc::clone(&self.budget))
    }
    /// Any path that is read at each scrape.
    pub fn kept_named(&self, path: impl Into<PathBuf>) -> KeptFile {
        KeptFile::new(path.into(), End::Empty, Arc::clone(&self.budget))
    }
    /// A file that was found below one of the roots and is read at each scrape.
    pub fn kept(&self, file: &File<'_>) -> KeptFile {
        KeptFile::new(file.path().to_owned(), file.end(), Arc::clone(&self.budget))
    }
    /// A set of files that is found anew at each scrape and read through kept descriptors.
    pub fn kept_files(&self) -> KeptFiles {
        KeptFiles::new(Arc::clone(&self.budget))
    }
    /// A file below procfs that several readers want at each scrape: it is read for the first of them.
    pub fn shared_proc(&self, rel: impl AsRef<Path>) -> Arc<SharedFile> {
        let path = self.roots.proc.join(rel);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let file = shared.entry(path).or_insert_with_key(|path| {
            Arc::new(SharedFile::new(KeptFile::new(path.clone(), End::Empty, Arc::clone(&self.budget))))
        });
        Arc::clone(file)
    }
    /// Descriptors kept open now.
    pub fn kept_open(&self) -> usize {
        self.budget.used.load(Ordering::Relaxed)
    }
}

/// How many descriptors may be kept: half of the soft limit, and never so many that connections starve.
#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    cap: usize,
}

impl Budget {
    fn from_limit() -> Self {
        let soft = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Self { used: AtomicUsize::new(0), cap: usize::try_from(soft / 2).unwrap_or(usize::MAX).min(MOST_KEPT) }
    }

    pub(crate) fn take(&self) -> bool {
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < self.cap).then_some(n + 1)).is_ok()
    }

    pub(crate) fn give_back(&self) {
        self.used.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Enough for some 700 containers. The kernel keeps a page for each.
const MOST_KEPT: usize = 16_384;
