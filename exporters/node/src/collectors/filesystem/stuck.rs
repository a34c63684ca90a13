//! Asks the mounts that may hang, on threads that a hung one keeps for itself.
//!
//! A few workers wait for work between scrapes. A mount that does not answer in time keeps its worker until the kernel
//! lets go of it, is known as stuck and not asked again until then; another worker takes over, so that the number of
//! threads is bounded by the number of hung mounts, not of scrapes.

use rustix::fs::StatFs;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What came of asking one mount.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Answered(rustix::io::Result<StatFs>),
    Stuck,
}

/// statfs(2); tests put in one that hangs.
type Ask = dyn Fn(&Path) -> rustix::io::Result<StatFs> + Send + Sync;

/// The workers.
pub(super) struct Prober {
    shared: Arc<Shared>,
}

struct Shared {
    ask: Box<Ask>,
    /// Workers that are not lost to a stuck mount.
    most: usize,
    state: Mutex<State>,
    /// There is work, or the prober has gone.
    work: Condvar,
    /// A mount has answered.
    answer: Condvar,
}

#[derive(Default)]
struct State {
    /// Mounts waiting for an answer, with those who asked.
    asked: HashMap<Arc<Path>, Asked>,
    /// Those that no worker has taken yet.
    queue: VecDeque<Arc<Path>>,
    /// Outcomes by scrape.
    scrapes: HashMap<u64, Scrape>,
    last_scrape: u64,
    workers: usize,
    idle: usize,
    gone: bool,
}

#[derive(Default)]
struct Asked {
    stuck: bool,
    /// Scrape and place in its outcomes.
    by: Vec<(u64, usize)>,
}

struct Scrape {
    outcomes: Vec<Outcome>,
    unanswered: usize,
}

/// A queue that stands still for this long gets one more worker.
const STANDSTILL: Duration = Duration::from_millis(50);

impl Prober {
    pub(super) fn new(
        workers: usize,
        ask: impl Fn(&Path) -> rustix::io::Result<StatFs> + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            ask: Box::new(ask),
            most: workers,
            state: Mutex::default(),
            work: Condvar::new(),
            answer: Condvar::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks all of them and waits until `limit`; outcomes come in the order of the paths.
    pub(super) fn ask(&self, paths: &[Arc<Path>], limit: Instant) -> Vec<Outcome> {
        let shared = &self.shared;
        let mut state = shared.state();
        state.last_scrape += 1;
        let scrape = state.last_scrape;
        let mut unanswered = 0;
        for (place, path) in paths.iter().enumerate() {
            let known = state.asked.contains_key(path);
            let asked = state.asked.entry(Arc::clone(path)).or_default();
            if asked.stuck {
                continue;
            }
            asked.by.push((scrape, place));
            unanswered += 1;
            if !known {
                state.queue.push_back(Arc::clone(path));
            }
        }
        state.scrapes.insert(scrape, Scrape { outcomes: vec![Outcome::Stuck; paths.len()], unanswered });
        let busy = |state: &State| state.asked.values().filter(|a| a.stuck).count();
        while state.idle < state.queue.len() && state.workers < shared.most + busy(&state) && shared.hire(&mut state) {}
        shared.work.notify_all();
        loop {
            let now = Instant::now();
            if state.scrapes.get(&scrape).is_none_or(|s| s.unanswered == 0) || now >= limit {
                break;
            }
            let queued = state.queue.len();
            let wait = (limit - now).min(STANDSTILL);
            let (guard, waited) = shared.answer.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
            state = guard;
            // All workers wait for mounts that may be hung: the others must not wait with them.
            if waited.timed_out() && queued > 0 && state.queue.len() == queued && state.idle == 0 {
                shared.hire(&mut state);
            }
        }
        state.give_up(scrape)
    }

    /// Threads alive now.
    #[cfg(test)]
    fn workers(&self) -> usize {
        self.shared.state().workers
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.state().gone = true;
        self.shared.work.notify_all();
    }
}

impl State {
    /// Ends a scrape: what it still waits for is stuck.
    fn give_up(&mut self, scrape: u64) -> Vec<Outcome> {
        let queue = &self.queue;
        self.asked.retain(|path, asked| {
            let before = asked.by.len();
            asked.by.retain(|(by, _)| *by != scrape);
            if asked.by.len() == before {
                return true;
            }
            if queue.contains(path) {
                // Nobody has asked it yet, so it is not known to hang: the next scrape asks.
                return !asked.by.is_empty();
            }
            if !asked.stuck {
                tracing::warn!(mountpoint = %path.display(), "mount point does not answer, it is left out until it does");
            }
            asked.stuck = true;
            true
        });
        let asked = &self.asked;
        self.queue.retain(|path| asked.contains_key(path));
        self.scrapes.remove(&scrape).map(|s| s.outcomes).unwrap_or_default()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts one more worker; says whether there is one more.
    fn hire(self: &Arc<Self>, state: &mut State) -> bool {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("mount-stat".into()).stack_size(STACK);
        let hired = thread.spawn(move || shared.work());
        if let Err(error) = &hired {
            tracing::warn!(%error, "cannot start a thread to ask a mount point");
        }
        state.workers += usize::from(hired.is_ok());
        state.idle += usize::from(hired.is_ok());
        hired.is_ok()
    }

    /// A worker's life.
    fn work(&self) {
        let mut state = self.state();
        loop {
            let Some(path) = state.queue.pop_front() else {
                let stuck = state.asked.values().filter(|a| a.stuck).count();
                // Those hired for hung mounts leave when the mounts answer again.
                if state.gone || state.workers > self.most + stuck {
                    break;
                }
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.idle -= 1;
            drop(state);
            let answer = (self.ask)(&path);
            state = self.state();
            state.idle += 1;
            let Some(asked) = state.asked.remove(&path) else { continue };
            if asked.stuck {
                tracing::info!(mountpoint = %path.display(), "mount point answers again");
            }
            for (scrape, place) in asked.by {
                if let Some(scrape) = state.scrapes.get_mut(&scrape) {
                    scrape.outcomes[place] = Outcome::Answered(answer);
                    scrape.unanswered -= 1;
                }
            }
            self.answer.notify_all();
        }
        state.workers -= 1;
        state.idle -= 1;
    }
}

/// statfs(2) needs little; a hung mount's thread should cost little.
const STACK: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Mounts that hang until they are let go.
    #[derive(Default)]
    struct Hung {
        paths: Mutex<HashSet<&'static str>>,
        changed: Condvar,
    }

    impl Hung {
        fn set(&self, paths: &[&'static str]) {
            *self.paths.lock().unwrap() = paths.iter().copied().collect();
            self.changed.notify_all();
        }
    }

    fn prober(workers: usize, hung: &Arc<Hung>) -> Prober {
        let hung = Arc::clone(hung);
        Prober::new(workers, move |path| {
            let mut paths = hung.paths.lock().unwrap();
            while paths.contains(path.to_str().unwrap()) {
                paths = hung.changed.wait(paths).unwrap();
            }
            Err(rustix::io::Errno::IO)
        })
    }

    fn ask(prober: &Prober, paths: &[&str], patience_ms: u64) -> Vec<bool> {
        let paths: Vec<Arc<Path>> = paths.iter().map(|p| Arc::from(Path::new(p))).collect();
        let limit = Instant::now() + Duration::from_millis(patience_ms);
        prober.ask(&paths, limit).iter().map(|o| matches!(o, Outcome::Answered(_))).collect()
    }

    #[test]
    fn hung_mounts_cost_only_their_own_numbers() {
        let hung = Arc::new(Hung::default());
        hung.set(&["/h1", "/h2", "/h3"]);
        let prober = prober(2, &hung);
        // More hung mounts than workers, and healthy ones behind them in the queue.
        let paths = ["/h1", "/h2", "/h3", "/a", "/b"];
        assert_eq!(ask(&prober, &paths, 2000), [false, false, false, true, true]);
        // From now on they are known: no waiting, no thread a scrape.
        let start = Instant::now();
        for _ in 0..50 {
            assert_eq!(ask(&prober, &paths, 2000), [false, false, false, true, true]);
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        assert!(prober.workers() <= 5, "{}", prober.workers());

        hung.set(&[]);
        let limit = Instant::now() + Duration::from_secs(5);
        while ask(&prober, &paths, 2000) != [true; 5] {
            assert!(Instant::now() < limit, "hung mounts are not asked again");
            std::thread::sleep(Duration::from_millis(5));
        }
        while prober.workers() > 2 {
            assert!(Instant::now() < limit, "the workers of hung mounts stay");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn scrapes_at_the_same_time_ask_a_mount_once() {
        let hung = Arc::new(Hung::default());
        hung.set(&["/h"]);
        let prober = prober(4, &hung);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(ask(&prober, &["/h", "/a"], 2000), [false, true]));
            }
        });
        assert!(prober.workers() <= 5, "{}", prober.workers());
        hung.set(&[]);
    }

    #[test]
    fn no_time_left_blames_no_mount_that_was_not_asked() {
        let hung = Arc::new(Hung::default());
        let prober = prober(1, &hung);
        ask(&prober, &["/a", "/b", "/c"], 0);
        let limit = Instant::now() + Duration::from_secs(5);
        while ask(&prober, &["/a", "/b", "/c"], 1000) != [true; 3] {
            assert!(Instant::now() < limit);
        }
    }
}
