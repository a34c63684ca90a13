//! All open connections in one table: what each is doing and since when. One task closes those that are overdue; a
//! newcomer to a full table takes the place of the one that waits longest. So a connection needs no timer of its own,
//! and thousands of half-open ones cannot keep a scrape out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// How long a client may take, and how many there may be.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// From the connection, or from a request's first byte, until the end of its header; the TLS handshake too.
    pub header: Duration,
    /// Between two requests. Longer than the five minutes after which a Prometheus hangs up by itself.
    pub idle: Duration,
    /// From the first time a handler waits for a request's body until the end of that body.
    pub body: Duration,
    /// How long a client may take nothing of its answer.
    pub write_stall: Duration,
    /// How long requests under way may go on after a stop.
    pub drain: Duration,
    /// Bytes of a request's line and headers.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            header: Duration::from_secs(10),
            idle: Duration::from_mins(6),
            body: Duration::from_secs(30),
            write_stall: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            header_bytes: 64 * 1024,
        }
    }
}

/// The table.
#[derive(Debug)]
pub(crate) struct Connections {
    limits: Limits,
    start: Instant,
    open: Mutex<Open>,
    /// Wakes the task that closes overdue connections, and whoever waits for the last one to end.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    slots: BTreeMap<u64, Arc<Slot>>,
}

/// What one connection is doing.
#[derive(Debug)]
pub(crate) struct Slot {
    start: Instant,
    phase: AtomicU8,
    /// Milliseconds of `start` at which the phase began.
    since: AtomicU64,
    /// Since when the client takes nothing; 0 while it does.
    stalled: AtomicU64,
    /// Requests being answered; more than one only in HTTP/2.
    active: AtomicU32,
    task: OnceLock<AbortHandle>,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The first byte, or the end of the TLS handshake.
    Fresh,
    /// The end of a request's header.
    Header,
    /// Us.
    Active,
    /// The next request.
    Idle,
    /// The client's end of a connection that we closed.
    Closing,
}

/// A place in the table; dropped with the connection.
#[derive(Debug)]
pub(crate) struct Place {
    table: Arc<Connections>,
    id: u64,
    pub(crate) slot: Arc<Slot>,
    /// Who is at the other end.
    pub(crate) peer: Arc<str>,
}

impl Connections {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, start: Instant::now(), open: Mutex::default(), changed: Notify::new() })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A place for a new connection; `None` when all others are busy with an answer.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Place> {
        let slot = Arc::new(Slot::new(self.start));
        let mut open = self.lock();
        let mut left = open.slots.len();
        if left >= self.limits.connections {
            let victim = open.slots.iter().filter_map(|(&id, s)| Some((s.expendable()?, id))).min();
            if let Some(evicted) = victim.and_then(|(_, id)| open.slots.remove(&id)) {
                evicted.abort();
                left -= 1;
            }
        }
        if left >= self.limits.connections {
            return None;
        }
        let id = open.next;
        open.next += 1;
        open.slots.insert(id, Arc::clone(&slot));
        drop(open);
        if left == 0 {
            self.changed.notify_waiters();
        }
        Some(Place { table: Arc::clone(self), id, slot, peer: Arc::default() })
    }

    /// Closes the connection that waits longest, to free its descriptor.
    pub(crate) fn evict_one(&self) {
        let mut open = self.lock();
        let victim = open.slots.iter().filter_map(|(&id, s)| Some((s.expendable()?, id))).min();
        if let Some(evicted) = victim.and_then(|(_, id)| open.slots.remove(&id)) {
            evicted.abort();
        }
    }

    /// Closes overdue connections for as long as it is polled.
    pub(crate) async fn watch(&self) {
        let Limits { header, idle, write_stall, .. } = self.limits;
        let tick = (header.min(idle).min(write_stall) / 4).clamp(Duration::from_millis(10), Duration::from_secs(5));
        loop {
            let changed = self.changed.notified();
            if self.lock().slots.is_empty() {
                changed.await;
            } else {
                tokio::time::sleep(tick).await;
            }
            self.lock().slots.values().filter(|s| s.overdue(&self.limits)).for_each(|s| s.abort());
        }
    }

    /// Returns once no connection is open.
    pub(crate) async fn all_ended(&self) {
        loop {
            let changed = self.changed.notified();
            if self.lock().slots.is_empty() {
                return;
            }
            changed.await;
        }
    }

    /// Closes all connections where they stand.
    pub(crate) fn abort_all(&self) {
        self.lock().slots.values().for_each(|s| s.abort());
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing in here can panic half way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.table.lock();
        open.slots.remove(&self.id);
        if open.slots.is_empty() {
            self.table.changed.notify_waiters();
        }
    }
}

impl Slot {
    fn new(start: Instant) -> Self {
        let slot = Self {
            start,
            phase: AtomicU8::new(Phase::Fresh as u8),
            since: AtomicU64::new(0),
            stalled: AtomicU64::new(0),
            active: AtomicU32::new(0),
            task: OnceLock::new(),
        };
        slot.enter(Phase::Fresh);
        slot
    }

    /// Names the task that dies when the connection must.
    pub(crate) fn runs_as(&self, task: AbortHandle) {
        let _ = self.task.set(task);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.now(), Relaxed);
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Fresh,
            1 => Phase::Header,
            2 => Phase::Active,
            3 => Phase::Idle,
            _ => Phase::Closing,
        }
    }

    /// A request is being answered until the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.active.fetch_add(1, Relaxed);
        self.enter(Phase::Active);
        Busy(Arc::clone(self))
    }

    /// The client took something, or (`false`) had no room for it.
    pub(crate) fn wrote(&self, progress: bool) {
        if progress {
            self.stalled.store(0, Relaxed);
        } else if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.now(), Relaxed);
        }
    }

    /// How gladly it is given up, smaller is gladder: half-open before idle, longest waiting first.
    fn expendable(&self) -> Option<(u8, u64)> {
        let rank = match self.phase() {
            Phase::Active => return None,
            Phase::Idle => 1,
            Phase::Fresh | Phase::Header | Phase::Closing => 0,
        };
        Some((rank, self.since.load(Relaxed)))
    }

    fn overdue(&self, limits: &Limits) -> bool {
        let now = self.now();
        let stalled = self.stalled.load(Relaxed);
        if stalled != 0 && now.saturating_sub(stalled) > millis(limits.write_stall) {
            return true;
        }
        let allowed = match self.phase() {
            Phase::Fresh | Phase::Header => limits.header,
            Phase::Idle => limits.idle,
            Phase::Closing => CLOSING,
            Phase::Active => return false,
        };
        now.saturating_sub(self.since.load(Relaxed)) > millis(allowed)
    }

    fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Never 0, which `stalled` takes for "not".
    fn now(&self) -> u64 {
        millis(self.start.elapsed()).max(1)
    }
}

/// A request is being answered while this lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Slot>);

impl Drop for Busy {
    fn drop(&mut self) {
        if self.0.active.fetch_sub(1, Relaxed) == 1 {
            self.0.enter(Phase::Idle);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long a client may go on sending after we have closed our end.
const CLOSING: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn table(connections: usize) -> Arc<Connections> {
        Connections::new(Limits { connections, ..Limits::default() })
    }

    #[test]
    fn a_newcomer_replaces_a_half_open_one_before_an_idle_one() {
        let table = table(2);
        let idle = table.admit().unwrap();
        drop(idle.slot.begin());
        let fresh = table.admit().unwrap();
        let third = table.admit().unwrap();
        assert_eq!(table.lock().slots.keys().copied().collect::<Vec<_>>(), [idle.id, third.id]);
        drop(fresh);
        let busy = third.slot.begin();
        let fourth = table.admit().unwrap();
        let both_busy = fourth.slot.begin();
        assert!(table.admit().is_none(), "answers under way are not given up");
        drop((busy, both_busy));
        assert!(table.admit().is_some());
    }

    #[test]
    fn each_phase_has_its_time() {
        let limits = Limits { header: Duration::ZERO, write_stall: Duration::ZERO, ..Limits::default() };
        let slot = Arc::new(Slot::new(Instant::now()));
        std::thread::sleep(Duration::from_millis(5));
        assert!(slot.overdue(&limits), "half-open");
        let busy = slot.begin();
        assert!(!slot.overdue(&limits), "busy");
        slot.wrote(false);
        std::thread::sleep(Duration::from_millis(5));
        assert!(slot.overdue(&limits), "busy, but nobody reads");
        slot.wrote(true);
        drop(busy);
        assert!(!slot.overdue(&limits), "idle");
    }
}
