//! Files as they grow: one thread finds, watches and reads all of them.

mod decode;
mod docker;
mod mark;
mod search;
mod tail;
mod thread;
mod watch;

pub(crate) use mark::Mark;
#[cfg(test)]
pub(crate) use mark::{Identity, Print};

use super::Files;
use super::batch::{Counters, Feed, Source};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::SystemTime;

/// The thread, as the rest of the program sees it.
#[derive(Debug)]
pub(crate) struct Reader {
    orders: mpsc::Sender<Order>,
    wake: Arc<OwnedFd>,
    open: Arc<Open>,
    thread: Option<std::thread::JoinHandle<()>>,
    caught_up: Arc<AtomicBool>,
}

/// Files that are open now, by the id of their source.
#[derive(Debug, Default)]
pub(crate) struct Open(Mutex<BTreeMap<u64, Arc<File>>>);

/// One input for the thread.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) settings: Files,
    pub(crate) counters: Arc<Counters>,
}

/// What the thread is told.
enum Order {
    /// Read these and no others. Answered when all of them have been looked for.
    Read(Vec<Wanted>, mpsc::Sender<Result<(), String>>),
    Stop,
}

/// What a process before this one had read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Where each file stood.
    pub(crate) files: Vec<Stood>,
    /// The patterns that were looked for: a file that is new under one of them is read from its start.
    pub(crate) patterns: Vec<String>,
    /// When that was.
    pub(crate) saved: Option<SystemTime>,
}

/// Where a file stood.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stood {
    pub(crate) input: String,
    pub(crate) path: String,
    pub(crate) mark: Mark,
}

impl Reader {
    /// Starts the thread; it reads nothing yet.
    pub(crate) fn start(feed: Feed, before: Before) -> std::io::Result<Self> {
        let wake =
            rustix::event::eventfd(0, rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC)?;
        let wake = Arc::new(wake);
        let (orders, taken) = mpsc::channel();
        let (open, caught_up) = (Arc::<Open>::default(), Arc::<AtomicBool>::default());
        let thread =
            thread::Thread::new(feed, before, taken, Arc::clone(&wake), Arc::clone(&open), Arc::clone(&caught_up));
        let thread = crate::vital::spawn("files", move || thread.run())?;
        Ok(Self { orders, wake, open, thread: Some(thread), caught_up })
    }

    /// Reads these inputs from now on; says what keeps one from being read.
    pub(crate) fn read(&self, wanted: Vec<Wanted>) -> Result<(), String> {
        let (answer, answered) = mpsc::channel();
        self.order(Order::Read(wanted, answer));
        answered.recv().unwrap_or_else(|_| Err("the thread that reads files has ended".into()))
    }

    /// Whether what stood in the files at the start has been read.
    pub(crate) fn caught_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.caught_up)
    }

    /// The open files.
    pub(crate) fn open(&self) -> Arc<Open> {
        Arc::clone(&self.open)
    }

    fn order(&self, order: Order) {
        // An error says that the thread has ended, which its own message has said.
        let _ = self.orders.send(order);
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    /// Ends the thread; what it has read is in the channel then.
    pub(crate) fn stop(&mut self) {
        self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Open {
    fn insert(&self, source: &Arc<Source>, file: Arc<File>) {
        self.lock().insert(source.id, file);
    }

    fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// Size of a file now.
    pub(crate) fn size(&self, id: u64) -> Option<u64> {
        self.lock().get(&id).and_then(|file| file.metadata().ok()).map(|m| m.len())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that the files have been read once, when all messages before it are counted.
fn mark_caught_up(feed: &Feed, flag: &Arc<AtomicBool>) {
    let flag = Arc::clone(flag);
    let said = crate::input::batch::Message::Ask(Box::new(move |_| flag.store(true, Ordering::Release)));
    let _ = feed.tap.blocking_send(said);
}
