//! All open connections in one table: what each is doing and since when. One task closes those that are overdue; a
//! newcomer to a full table takes the place of the one that waits longest. So a connection needs no timer of its own,
//! and thousands of half-open ones cannot keep a scrape out.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
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
    /// The most connections since the heap was trimmed.
    peak: usize,
}

impl Open {
    /// Whether a flood is over, whose memory can be given back.
    fn ebbed(&mut self) -> bool {
        let over = self.peak >= FLOOD && self.slots.len() < self.peak / 4;
        if over {
            self.peak = self.slots.len();
        }
        over
    }
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
    /// When it last took something.
    took: AtomicU64,
    /// Requests being answered; more than one only in HTTP/2.
    active: AtomicU32,
    /// How many of them have a handler at work that does not wait for the client itself.
    working: AtomicI32,
    /// How many have an answer that goes on and waits for us, such as a stream of events.
    streaming: AtomicI32,
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
            let victim = open.slots.iter().filter_map(|(&id, s)| Some((s.expendable(&self.limits)?, id))).min();
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
        open.peak = open.peak.max(open.slots.len());
        drop(open);
        if left == 0 {
            self.changed.notify_waiters();
        }
        Some(Place { table: Arc::clone(self), id, slot, peer: Arc::default() })
    }

    /// Closes the connection that waits longest, to free its descriptor.
    pub(crate) fn evict_one(&self) {
        let mut open = self.lock();
        let victim = open.slots.iter().filter_map(|(&id, s)| Some((s.expendable(&self.limits)?, id))).min();
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
            if self.sweep() {
                changed.await;
            } else {
                tokio::time::sleep(tick).await;
            }
        }
    }

    /// Closes what is overdue; whether no connection is open.
    fn sweep(&self) -> bool {
        let mut open = self.lock();
        open.slots.values().filter(|s| s.overdue(&self.limits)).for_each(|s| s.abort());
        let (empty, ebbed) = (open.slots.is_empty(), open.ebbed());
        drop(open);
        if ebbed {
            crate::sys::trim_heap();
        }
        empty
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
            took: AtomicU64::new(0),
            active: AtomicU32::new(0),
            working: AtomicI32::new(0),
            streaming: AtomicI32::new(0),
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
        Busy { working: Some(Count::add(self, |slot| &slot.working, 1)), slot: Arc::clone(self) }
    }

    /// A handler waits for the client until the returned value is dropped.
    pub(crate) fn wait_for_client(self: &Arc<Self>) -> Count {
        Count::add(self, |slot| &slot.working, -1)
    }

    /// An answer waits for us until the returned value is dropped.
    pub(crate) fn stream(self: &Arc<Self>) -> Count {
        Count::add(self, |slot| &slot.streaming, 1)
    }

    /// The client took something, or (`false`) had no room for it.
    pub(crate) fn wrote(&self, progress: bool) {
        if progress {
            self.stalled.store(0, Relaxed);
            self.took.store(self.now(), Relaxed);
        } else if self.stalled.load(Relaxed) == 0 {
            self.stalled.store(self.now(), Relaxed);
        }
    }

    /// How gladly it is given up, smaller is gladder, longest waiting first; never while a handler is at work.
    fn expendable(&self, limits: &Limits) -> Option<(u8, u64)> {
        let since = self.since.load(Relaxed);
        let rank = match self.phase() {
            Phase::Fresh | Phase::Header | Phase::Closing => 0,
            Phase::Idle => 1,
            // A client that takes its time, or a stream without an end, has had a newcomer's time to itself.
            Phase::Active if self.working.load(Relaxed) > 0 => return None,
            Phase::Active if self.now().saturating_sub(since) < millis(limits.header) => return None,
            Phase::Active if self.streaming.load(Relaxed) > 0 => 3,
            Phase::Active => 2,
        };
        Some((rank, since))
    }

    fn overdue(&self, limits: &Limits) -> bool {
        let now = self.now();
        let longer = |since: u64, limit: Duration| now.saturating_sub(since) > millis(limit);
        let stalled = self.stalled.load(Relaxed);
        if stalled != 0 && longer(stalled, limits.write_stall) {
            return true;
        }
        let since = self.since.load(Relaxed);
        match self.phase() {
            Phase::Fresh | Phase::Header => longer(since, limits.header),
            Phase::Idle => longer(since, limits.idle),
            Phase::Closing => longer(since, CLOSING),
            // In HTTP/2 a client can refuse an answer while its socket takes everything.
            Phase::Active => {
                let ours = self.working.load(Relaxed) > 0 || self.streaming.load(Relaxed) > 0;
                !ours && longer(since.max(self.took.load(Relaxed)), limits.write_stall.max(limits.body))
            }
        }
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
pub(crate) struct Busy {
    slot: Arc<Slot>,
    working: Option<Count>,
}

impl Busy {
    /// The handler is done; what is left is the client's to take.
    pub(crate) fn answered(&mut self) -> &Arc<Slot> {
        self.working = None;
        self.slot.enter(Phase::Active);
        &self.slot
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if self.slot.active.fetch_sub(1, Relaxed) == 1 {
            self.slot.enter(Phase::Idle);
        }
    }
}

/// Something counted in a slot while this lives.
#[derive(Debug)]
pub(crate) struct Count {
    slot: Arc<Slot>,
    counter: fn(&Slot) -> &AtomicI32,
    by: i32,
}

impl Count {
    fn add(slot: &Arc<Slot>, counter: fn(&Slot) -> &AtomicI32, by: i32) -> Self {
        counter(slot).fetch_add(by, Relaxed);
        Self { slot: Arc::clone(slot), counter, by }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        (self.counter)(&self.slot).fetch_sub(self.by, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How long a client may go on sending after we have closed our end.
const CLOSING: Duration = Duration::from_secs(2);
/// So many connections leave enough behind to be worth a walk through the heap.
const FLOOD: usize = 64;

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
    fn a_flood_is_over_once() {
        let table = table(512);
        let mut places: Vec<_> = (0..100).map(|_| table.admit().unwrap()).collect();
        assert!(!table.lock().ebbed());
        places.truncate(10);
        assert!(table.lock().ebbed());
        places.clear();
        assert!(!table.lock().ebbed());
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

    #[test]
    fn whoever_is_waited_for_decides_what_may_be_given_up() {
        let limits =
            Limits { header: Duration::ZERO, body: Duration::ZERO, write_stall: Duration::ZERO, ..Limits::default() };
        let slot = Arc::new(Slot::new(Instant::now()));
        let rank = || slot.expendable(&limits).map(|(rank, _)| rank);
        let pass = || std::thread::sleep(Duration::from_millis(5));
        let mut busy = slot.begin();
        pass();
        assert_eq!((rank(), slot.overdue(&limits)), (None, false), "the handler is at work");
        let body = slot.wait_for_client();
        assert_eq!((rank(), slot.overdue(&limits)), (Some(2), true), "the client's body is awaited");
        drop(body);
        assert_eq!(rank(), None);
        busy.answered();
        pass();
        assert_eq!((rank(), slot.overdue(&limits)), (Some(2), true), "the client does not take its answer");
        let stream = slot.stream();
        assert_eq!((rank(), slot.overdue(&limits)), (Some(3), false), "a stream waits for news");
        drop(stream);
        drop(busy);
        assert_eq!(rank(), Some(1));
        assert_eq!((slot.working.load(Relaxed), slot.streaming.load(Relaxed)), (0, 0));
    }
}
