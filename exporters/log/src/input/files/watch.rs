//! What the kernel tells of files and folders, through inotify.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The watches of one thread. Files and folders have a queue each: one that overflows with changes of files does not
/// lose renames.
#[derive(Debug)]
pub(super) struct Watcher {
    files: Option<OwnedFd>,
    folders: Option<OwnedFd>,
    by_file: HashMap<i32, Vec<u64>>,
    by_folder: HashMap<i32, PathBuf>,
    wake: Arc<OwnedFd>,
    /// That files are polled has been said.
    complained: bool,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Happened {
    /// Files with these ids have changed.
    pub(super) changed: Vec<u64>,
    /// Names in watched folders, in order.
    pub(super) names: Vec<Name>,
    /// Events were lost: anything may have happened.
    pub(super) lost: bool,
}

/// A name that appeared or vanished.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) path: PathBuf,
    pub(super) what: What,
    /// The name is a folder's, or the watched folder itself is meant.
    pub(super) folder: bool,
}

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Came,
    Went,
    /// Renamed away; both ends of a rename have the same number.
    From(u32),
    /// Renamed to here.
    To(u32),
}

/// How folders are watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watching {
    /// Every one that was asked for.
    pub(super) all: bool,
    /// One that was not watched before: what came to it until now nobody has told.
    pub(super) more: bool,
}

impl Watcher {
    /// Without inotify all of it is polled, which is said.
    pub(super) fn new(wake: Arc<OwnedFd>) -> Self {
        let (by_file, by_folder) = (HashMap::new(), HashMap::new());
        let mut watcher = Self { files: None, folders: None, by_file, by_folder, wake, complained: false };
        watcher.files = watcher.open();
        watcher.folders = watcher.open();
        watcher
    }

    fn open(&mut self) -> Option<OwnedFd> {
        match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
            Ok(queue) => Some(queue),
            Err(e) => {
                self.complain(e, "fs.inotify.max_user_instances");
                None
            }
        }
    }

    /// Says once that files are polled: there may be thousands, looked at every second.
    fn complain(&mut self, error: Errno, setting: &str) {
        if !std::mem::replace(&mut self.complained, true) {
            tracing::warn!(err = %error, setting, "Not everything can be watched, what is not is looked at every second");
        }
    }

    /// Watches an open file; `false` where that cannot be had and it must be polled.
    pub(super) fn file(&mut self, id: u64, file: &File) -> bool {
        let Some(queue) = &self.files else { return false };
        // By descriptor: its name may be another's by now.
        match inotify::add_watch(queue, format!("/proc/self/fd/{}", file.as_raw_fd()), WatchFlags::MODIFY) {
            Ok(watch) => {
                self.by_file.entry(watch).or_default().push(id);
                true
            }
            Err(e) => {
                self.complain(e, WATCHES);
                false
            }
        }
    }

    /// Ends the watch of a file.
    pub(super) fn forget(&mut self, id: u64) {
        let Some(queue) = &self.files else { return };
        self.by_file.retain(|watch, ids| {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                let _ = inotify::remove_watch(queue, *watch);
            }
            !ids.is_empty()
        });
    }

    /// Watches these folders and no others.
    pub(super) fn folders<'p>(&mut self, wanted: impl Iterator<Item = &'p Path>) -> Watching {
        let Some(queue) = &self.folders else { return Watching { all: false, more: false } };
        let mut now = HashMap::new();
        let mut watching = Watching { all: true, more: false };
        let mut wrong = None;
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_FROM | WatchFlags::MOVED_TO | WatchFlags::DELETE;
        let flags = flags | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        for folder in wanted {
            match inotify::add_watch(queue, folder, flags) {
                Ok(watch) => {
                    watching.more |= !self.by_folder.contains_key(&watch);
                    now.insert(watch, folder.to_owned());
                }
                Err(Errno::NOENT | Errno::NOTDIR) => watching.all = false,
                Err(e) => {
                    wrong = Some(e);
                    watching.all = false;
                }
            }
        }
        for watch in self.by_folder.keys().filter(|w| !now.contains_key(w)) {
            let _ = inotify::remove_watch(queue, *watch);
        }
        self.by_folder = now;
        if let Some(e) = wrong {
            self.complain(e, WATCHES);
        }
        watching
    }

    /// Waits until something happens, for at most so long.
    pub(super) fn wait(&mut self, most: Option<Duration>, happened: &mut Happened) {
        happened.changed.clear();
        happened.names.clear();
        happened.lost = false;
        let most = most.map(|m| Timespec { tv_sec: m.as_secs() as i64, tv_nsec: i64::from(m.subsec_nanos()) });
        let mut polled = Vec::with_capacity(3);
        polled.push(PollFd::new(&*self.wake, PollFlags::IN));
        polled.extend([&self.files, &self.folders].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)));
        // A signal may end it early: what has come by then is taken all the same.
        let _ = rustix::event::poll(&mut polled, most.as_ref());
        drop(polled);
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut count);
        self.take_folders(happened);
        self.take_files(happened);
    }

    /// What has come of names meanwhile, without waiting.
    pub(super) fn names(&mut self, happened: &mut Happened) {
        happened.names.clear();
        self.take_folders(happened);
    }

    fn take_files(&mut self, happened: &mut Happened) {
        let Some(queue) = &self.files else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut events = inotify::Reader::new(queue, &mut buffer);
        while let Ok(event) = events.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                happened.changed.extend(self.by_file.values().flatten());
            } else if event.events().contains(ReadFlags::IGNORED) {
                self.by_file.remove(&event.wd());
            } else if let Some(ids) = self.by_file.get(&event.wd()) {
                happened.changed.extend(ids);
            }
        }
        happened.changed.sort_unstable();
        happened.changed.dedup();
    }

    fn take_folders(&mut self, happened: &mut Happened) {
        let Some(queue) = &self.folders else { return };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut events = inotify::Reader::new(queue, &mut buffer);
        while let Ok(event) = events.next() {
            let flags = event.events();
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                happened.lost = true;
                continue;
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.by_folder.remove(&event.wd());
                continue;
            }
            let Some(folder) = self.by_folder.get(&event.wd()) else { continue };
            let what = if flags.contains(ReadFlags::MOVED_FROM) {
                What::From(event.cookie())
            } else if flags.contains(ReadFlags::MOVED_TO) {
                What::To(event.cookie())
            } else if flags.contains(ReadFlags::CREATE) {
                What::Came
            } else {
                What::Went
            };
            let (path, itself) = match event.file_name() {
                // Relative patterns watch `.`, and their paths have no dot in front.
                Some(name) if folder == Path::new(".") => (PathBuf::from(OsStr::from_bytes(name.to_bytes())), false),
                Some(name) => (folder.join(OsStr::from_bytes(name.to_bytes())), false),
                None => (folder.clone(), true),
            };
            happened.names.push(Name { path, what, folder: itself || flags.contains(ReadFlags::ISDIR) });
        }
    }
}

const WATCHES: &str = "fs.inotify.max_user_watches";
