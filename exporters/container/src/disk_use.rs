//! What the writable layers and logs of containers take: walked behind the scrapes, one folder at a time, seldom.

use crate::emit::space::{Volume, device_number};
use crate::engine::Container;
use hostfs::{Bounds, Sources};
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) bytes: u64,
    pub(crate) inodes: u64,
    /// Size of the whole file system.
    pub(crate) limit: u64,
    /// The device below it.
    pub(crate) device: Vec<u8>,
}

/// The sums, and the walk that makes them.
#[derive(Debug)]
pub(crate) struct DiskUse {
    sources: Sources,
    every: Duration,
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    walking: AtomicBool,
    sums: Mutex<HashMap<String, Sum>>,
}

#[derive(Clone, Debug)]
struct Sum {
    found: Option<Found>,
    due: Instant,
    /// How long after this walk the next may come.
    pause: Duration,
}

struct Job {
    id: String,
    folders: Vec<PathBuf>,
}

impl DiskUse {
    pub(crate) fn new(sources: Sources, every: Duration) -> Self {
        Self { sources, every, inner: Arc::default() }
    }

    /// What is known of a container.
    pub(crate) fn found(&self, id: &str) -> Option<Found> {
        self.inner.sums().get(id)?.found.clone()
    }

    /// Starts a walk of what is due, and forgets containers that have gone. Must be called inside the async runtime.
    pub(crate) fn look_after<'c>(&self, containers: impl Iterator<Item = &'c Container>, volumes: &[Volume]) {
        let now = Instant::now();
        let mut sums = self.inner.sums();
        let (mut old, mut jobs) = (std::mem::take(&mut *sums), Vec::new());
        for container in containers.filter(|c| !c.folders.is_empty()) {
            let sum = old.remove(&container.id);
            if sum.as_ref().is_none_or(|s| s.due <= now) {
                jobs.push(Job { id: container.id.clone(), folders: container.folders.clone() });
            }
            let fresh = Sum { found: None, due: now, pause: self.every };
            sums.insert(container.id.clone(), sum.unwrap_or(fresh));
        }
        drop(sums);
        if jobs.is_empty() || self.inner.walking.swap(true, Ordering::Relaxed) {
            return;
        }
        let (sources, inner, every, volumes) =
            (self.sources.clone(), Arc::clone(&self.inner), self.every, volumes.to_vec());
        tokio::task::spawn_blocking(move || {
            let end = Instant::now() + LONGEST_ROUND;
            for job in jobs {
                let start = Instant::now();
                if start > end {
                    break;
                }
                let found = walk(&sources, &job.folders, &volumes);
                let took = start.elapsed();
                if let Some(sum) = inner.sums().get_mut(&job.id) {
                    // A walk that failed or is costly comes less often.
                    sum.pause =
                        if found.is_some() { every.max(took * REST) } else { (sum.pause * 2).min(LONGEST_PAUSE) };
                    sum.due = Instant::now() + sum.pause;
                    sum.found = found.or(sum.found.take());
                }
            }
            inner.walking.store(false, Ordering::Relaxed);
        });
    }
}

impl Inner {
    fn sums(&self) -> std::sync::MutexGuard<'_, HashMap<String, Sum>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sums the folders; inodes are those of the first, the writable layer.
fn walk(sources: &Sources, folders: &[PathBuf], volumes: &[Volume]) -> Option<Found> {
    let mut found = Found::default();
    for (i, folder) in folders.iter().enumerate() {
        let file = sources.rootfs(folder);
        let bounds = Bounds { until: Instant::now() + LONGEST_WALK, inodes: MOST_INODES, depth: DEEPEST };
        let Ok(Some(usage)) = file.usage(bounds) else { return None };
        found.bytes += usage.bytes;
        if i == 0 {
            let number = device_number(file.metadata().ok()?.dev());
            let stat = rustix::fs::statvfs(file.path()).ok()?;
            found.inodes = usage.inodes;
            found.limit = stat.f_blocks * stat.f_frsize;
            found.device = volumes.iter().find(|v| v.number == number).map(|v| v.device.clone()).unwrap_or_default();
        }
    }
    Some(found)
}

/// The most that one folder may take, and one round of all.
const LONGEST_WALK: Duration = Duration::from_secs(10);
const LONGEST_ROUND: Duration = Duration::from_mins(1);
/// A walk may take this part of the time.
const REST: u32 = 50;
/// Failures are tried again at least so often.
const LONGEST_PAUSE: Duration = Duration::from_mins(20);
const MOST_INODES: u64 = 2_000_000;
const DEEPEST: usize = 256;
