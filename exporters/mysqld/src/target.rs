//! A server that is scraped: its kept connections, who waits for them, and what was learnt about it.

use crate::account::Account;
use crate::collectors::{ALL, Collect, Entry};
use crate::drive::{Failure, Heard, Job, drive};
use crate::session::{ConnectError, Session, SessionSettings, abandon, kill};
use exposition::Part;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// The collectors that are switched on.
pub(crate) struct Collectors {
    pub(crate) built: Vec<(&'static Entry, Box<dyn Collect>)>,
}

/// Some of [`Collectors`], as bits in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen(pub(crate) u64);

const _: () = assert!(ALL.len() <= 64, "a set of collectors is 64 bits");

/// What all targets share.
pub(crate) struct Policy {
    pub(crate) collectors: Collectors,
    pub(crate) session: SessionSettings,
    pub(crate) connections: usize,
    /// A connection older than this is replaced: a changed password shows that soon.
    pub(crate) max_age: Duration,
    /// Time limit of one collector's statement, if there is one.
    pub(crate) query_timeout: Option<Duration>,
    /// Parts of answered scrapes, for their memory.
    pub(crate) spare: Mutex<Vec<Part>>,
}

/// What a scrape of one server gave.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// How long it took to hear from the server; `None` if it was not heard.
    pub(crate) connected: Option<Duration>,
    pub(crate) runs: Vec<Ran>,
}

/// What one collector gave.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    pub(crate) entry: &'static Entry,
    pub(crate) success: bool,
    pub(crate) took: Duration,
    /// Rows that were left out.
    pub(crate) odd: u64,
    pub(crate) part: Part,
}

/// A server and the account it is asked as.
pub(crate) struct Target {
    pub(crate) account: Account,
    policy: Arc<Policy>,
    /// Connections that may be open at once.
    slots: Semaphore,
    /// One more for ending statements on the server: an account limited to three connections is never refused.
    kills: Semaphore,
    idle: Mutex<Vec<Session>>,
    /// Scrapes that have not begun; others that ask for the same wait with them.
    waiting: Mutex<Vec<Waiting>>,
    memory: Mutex<Memory>,
}

struct Waiting {
    ticket: u64,
    chosen: Chosen,
    deadline: Instant,
    answers: Vec<oneshot::Sender<Outcome>>,
}

/// What a run leaves to be tidied up once its answer is on its way.
enum Left {
    Nothing,
    /// A connection past its age.
    Old(Session),
    /// A connection that was cut off; what it did may still run on the server.
    Running(u32),
}

/// What earlier scrapes have shown.
#[derive(Default)]
struct Memory {
    next_ticket: u64,
    /// Collectors whose statements failed: they are asked in packets of their own.
    alone: u64,
    /// Collectors whose statements were cut off by a deadline: they are asked last.
    slow: u64,
    /// The last error of each collector, and of connecting under the empty name: logged when it changes.
    errors: HashMap<&'static str, String>,
    last_heard: Option<Instant>,
}

impl Target {
    /// A server that has not been asked yet.
    pub(crate) fn new(account: Account, policy: Arc<Policy>) -> Self {
        let slots = Semaphore::new(policy.connections);
        Self {
            account,
            policy,
            slots,
            kills: Semaphore::new(1),
            idle: Mutex::default(),
            waiting: Mutex::default(),
            memory: Mutex::default(),
        }
    }

    /// Scrapes the server. Scrapes that wait for a connection share one run: it begins after all of them have asked.
    pub(crate) async fn scrape(self: &Arc<Self>, chosen: Chosen, deadline: Instant) -> Outcome {
        let begun = Instant::now();
        let (send, receive) = oneshot::channel();
        if let Some(ticket) = self.join(chosen, deadline, send) {
            // A task of its own: a scraper that hangs up must not leave a connection in the middle of an answer.
            let target = Arc::clone(self);
            tokio::spawn(async move { target.lead(ticket, chosen, deadline).await });
        }
        match timeout_at(deadline + GRACE, receive).await {
            Ok(Ok(outcome)) => outcome,
            _ => self.missed(chosen, begun),
        }
    }

    /// Joins a run that has not begun, or opens one: then its ticket is returned.
    fn join(&self, chosen: Chosen, deadline: Instant, send: oneshot::Sender<Outcome>) -> Option<u64> {
        let mut waiting = lock(&self.waiting);
        let near = |a: Instant, b: Instant| a.max(b) - a.min(b) < SAME_DEADLINE;
        if let Some(same) = waiting.iter_mut().find(|w| w.chosen == chosen && near(w.deadline, deadline)) {
            same.answers.push(send);
            return None;
        }
        let mut memory = lock(&self.memory);
        let ticket = memory.next_ticket;
        memory.next_ticket += 1;
        waiting.push(Waiting { ticket, chosen, deadline, answers: vec![send] });
        Some(ticket)
    }

    async fn lead(self: Arc<Self>, ticket: u64, chosen: Chosen, deadline: Instant) {
        let begun = Instant::now();
        let slot = timeout_at(deadline, self.slots.acquire()).await;
        // From here on whoever asks needs a newer answer.
        let answers = {
            let mut waiting = lock(&self.waiting);
            let at = waiting.iter().position(|w| w.ticket == ticket);
            at.map(|i| waiting.swap_remove(i).answers).unwrap_or_default()
        };
        let mut left = Left::Nothing;
        let outcome = match &slot {
            Ok(Ok(_slot)) => self.run(chosen, deadline, &mut left).await,
            _ => self.missed(chosen, begun),
        };
        let mut answers = answers.into_iter();
        let last = answers.next_back();
        for answer in answers {
            drop(answer.send(outcome.clone()));
        }
        if let Some(answer) = last {
            drop(answer.send(outcome));
        }
        // The slot is held until the server has ended the connection: it counts there as long.
        match left {
            Left::Nothing => {}
            Left::Old(session) => session.close().await,
            Left::Running(id) => self.kill(id).await,
        }
    }

    /// No connection became free in time. The server is up if it answered another scrape meanwhile.
    fn missed(&self, chosen: Chosen, begun: Instant) -> Outcome {
        let heard = lock(&self.memory).last_heard.is_some_and(|at| at >= begun);
        let runs = self.chosen(chosen).map(|(entry, _)| Ran::failed(entry)).collect();
        Outcome { connected: heard.then(|| begun.elapsed()), runs }
    }

    fn chosen(&self, chosen: Chosen) -> impl Iterator<Item = (&'static Entry, &dyn Collect)> {
        let all = self.policy.collectors.built.iter().enumerate();
        all.filter(move |(i, _)| chosen.0 >> i & 1 == 1).map(|(_, (entry, collect))| (*entry, &**collect))
    }

    async fn run(&self, chosen: Chosen, deadline: Instant, left: &mut Left) -> Outcome {
        let begun = Instant::now();
        let mut kept = self.kept().await;
        loop {
            let fresh = kept.is_none();
            let opened = match kept.take() {
                Some(session) => Ok(session),
                None => self.open(deadline).await,
            };
            let session = match opened {
                Ok(session) => session,
                Err(e) => {
                    self.complain("", Some(format!("cannot connect to {}: {e}", self.account.address)));
                    return Outcome { connected: None, runs: Vec::new() };
                }
            };
            let mut heard = Heard { first: fresh.then(Instant::now) };
            let runs = self.converse(session, chosen, deadline, &mut heard, fresh, left).await;
            if let Some(at) = heard.first {
                self.complain("", None);
                lock(&self.memory).last_heard = Some(at);
                return Outcome { connected: Some(at - begun), runs };
            }
            if fresh || Instant::now() >= deadline {
                self.complain("", Some(format!("no answer from {}", self.account.address)));
                return Outcome { connected: None, runs: Vec::new() };
            }
            // A kept connection that the server had closed: once more, with a new one.
        }
    }

    /// Asks the statements over a session and keeps it for the next scrape if it is still good.
    async fn converse(
        &self,
        mut session: Session,
        chosen: Chosen,
        deadline: Instant,
        heard: &mut Heard,
        fresh: bool,
        left: &mut Left,
    ) -> Vec<Ran> {
        let server = Arc::clone(&session.server);
        let (alone, slow) = {
            let memory = lock(&self.memory);
            (memory.alone, memory.slow)
        };
        let mut jobs: Vec<Job<'_>> = Vec::new();
        for (entry, collect) in self.chosen(chosen).filter(|(entry, _)| server.meets(entry.min)) {
            let part = lock(&self.policy.spare).pop().unwrap_or_default();
            let mut job = Job::new(entry, collect, &server, part);
            job.alone = (alone | slow) & bit(entry) != 0;
            job.slow = slow & bit(entry) != 0;
            jobs.push(job);
        }
        let batch = self.policy.query_timeout.is_none();
        let time = deadline.saturating_duration_since(Instant::now());
        let limit = self.policy.query_timeout.map_or(time, |t| t.min(time));
        let talk = async {
            session.limit(limit).await?;
            drive(&mut session.conn, &mut jobs, heard, !fresh, batch).await
        };
        let (error, late) = match timeout_at(deadline, talk).await {
            Ok(Ok(())) => (None, false),
            Ok(Err(e)) => (Some(e.to_string()), false),
            Err(_) => (None, true),
        };
        if late {
            let id = session.conn.id();
            abandon(session);
            // A server that said nothing at all would not hear of it either.
            if heard.first.is_some() {
                *left = Left::Running(id);
            }
        } else if error.is_some() {
            abandon(session);
        } else if session.opened.elapsed() >= self.policy.max_age {
            *left = Left::Old(session);
        } else {
            lock(&self.idle).push(session);
        }
        let gone = || error.clone().map_or(Failure::Deadline, Failure::Lost);
        jobs.into_iter().map(|job| self.finish(job, gone)).collect()
    }

    fn finish(&self, job: Job<'_>, gone: impl Fn() -> Failure) -> Ran {
        let Job { entry, mut part, odd, took, outcome, alone, underway, .. } = job;
        let cut_off = outcome.is_none();
        let result = outcome.unwrap_or_else(|| {
            part.clear();
            Err(gone())
        });
        let success = result.is_ok();
        {
            // One that failed, or was cut off, goes by itself until it works by itself.
            let mut memory = lock(&self.memory);
            memory.alone = with(memory.alone, entry, cut_off || alone && !success);
            memory.slow = with(memory.slow, entry, cut_off && underway);
        }
        self.complain(entry.name, result.err().map(|e| e.to_string()));
        Ran { entry, success, took, odd, part }
    }

    /// A kept connection that is young enough; those that are not are closed first.
    async fn kept(&self) -> Option<Session> {
        loop {
            let session = lock(&self.idle).pop()?;
            if session.opened.elapsed() < self.policy.max_age {
                return Some(session);
            }
            session.close().await;
        }
    }

    async fn open(&self, deadline: Instant) -> Result<Session, ConnectError> {
        let mut pause = Duration::from_millis(10);
        loop {
            let opened = Session::open(&self.account, &self.policy.session, deadline).await;
            match opened {
                // The server may still be busy ending the connection that this one replaces.
                Err(e) if e.is_full() && pause < FULL_PATIENCE && Instant::now() + pause < deadline => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    /// Ends a connection's statement on the server. One such connection at a time; others are left to the server's own
    /// time limit.
    async fn kill(&self, id: u32) {
        if let Ok(_one) = self.kills.try_acquire() {
            kill(&self.account, id).await;
        }
    }

    /// Closes connections that no scrape would use any more.
    pub(crate) async fn sweep(&self) {
        let old: Vec<Session> = {
            let mut idle = lock(&self.idle);
            let (old, young) = idle.drain(..).partition(|s| s.opened.elapsed() >= self.policy.max_age);
            *idle = young;
            old
        };
        for session in old {
            session.close().await;
        }
    }

    /// Closes all connections that are not in use.
    pub(crate) async fn close(&self) {
        let all = std::mem::take(&mut *lock(&self.idle));
        for session in all {
            session.close().await;
        }
    }

    /// Logs an error where it is another one than the last time, and its end.
    fn complain(&self, about: &'static str, error: Option<String>) {
        let mut memory = lock(&self.memory);
        let before = memory.errors.get(about);
        if before == error.as_ref() {
            return;
        }
        let target = &self.account.address;
        if let Some(err) = error {
            tracing::error!(target_server = %target, collector = about, err = %err, "Error from scraper");
            memory.errors.insert(about, err);
        } else {
            tracing::info!(target_server = %target, collector = about, "works again");
            memory.errors.remove(about);
        }
    }
}

impl Ran {
    fn failed(entry: &'static Entry) -> Self {
        Self { entry, success: false, took: Duration::ZERO, odd: 0, part: Part::new() }
    }
}

/// A set with a collector put in or taken out.
fn with(set: u64, entry: &Entry, put_in: bool) -> u64 {
    if put_in { set | bit(entry) } else { set & !bit(entry) }
}

/// A collector's bit among all there are.
fn bit(entry: &Entry) -> u64 {
    ALL.iter().position(|e| e.name == entry.name).map_or(0, |i| 1 << i)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Deadlines this near are met by one run.
const SAME_DEADLINE: Duration = Duration::from_millis(500);
/// What a run may need beyond its deadline to hand over what it has.
const GRACE: Duration = Duration::from_millis(100);
/// The longest pause before a full server is asked again.
const FULL_PATIENCE: Duration = Duration::from_millis(320);
