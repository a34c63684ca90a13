//! All inputs of a configuration, and what becomes of them when it changes.

use super::batch::{Counters, Feed, Message};
use super::files::{Before, Open, Reader, Wanted};
use super::http::{Routes, Webhook};
use super::listen::{Address, Bound};
use super::lumberjack::Server;
use super::selector::Selector;
use super::{Settings, Tls, journal, lumberjack, stdin, syslog};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// The inputs that run.
pub(crate) struct Inputs {
    feed: Feed,
    runtime: Handle,
    files: Reader,
    routes: Arc<Routes>,
    tallies: Arc<Tallies>,
    /// Where the journal was left.
    cursors: BTreeMap<String, String>,
    settings: Vec<Settings>,
    tasks: Vec<(Settings, JoinHandle<()>)>,
    reads_stdin: bool,
}

/// What each input counts, by its name; kept when a configuration leaves it out, so that no counter goes back.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<BTreeMap<String, Arc<Counters>>>);

impl Tallies {
    fn of(&self, name: &str) -> Arc<Counters> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(name.to_owned()).or_default())
    }

    /// All of them.
    pub(crate) fn each(&self, mut show: impl FnMut(&str, &Counters)) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().for_each(|(name, counters)| show(name, counters));
    }
}

impl Inputs {
    /// Prepares for inputs; none runs yet. To be called inside the async runtime.
    pub(crate) fn new(feed: Feed, before: Before, cursors: BTreeMap<String, String>) -> std::io::Result<Self> {
        Ok(Self {
            files: Reader::start(feed.clone(), before)?,
            feed,
            runtime: Handle::current(),
            routes: Arc::default(),
            tallies: Arc::default(),
            cursors,
            settings: Vec::new(),
            tasks: Vec::new(),
            reads_stdin: false,
        })
    }

    /// The paths that take lines.
    pub(crate) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes)
    }

    /// What the inputs count.
    pub(crate) fn tallies(&self) -> Arc<Tallies> {
        Arc::clone(&self.tallies)
    }

    /// The open files.
    pub(crate) fn open_files(&self) -> Arc<Open> {
        self.files.open()
    }

    /// Whether files have been read up to where they stood at the start.
    pub(crate) fn caught_up(&self) -> Arc<AtomicBool> {
        self.files.caught_up()
    }

    /// Runs these inputs and no others; those that are as before run on. Where one of them cannot be had, the old ones
    /// run again and the text says why.
    pub(crate) fn apply(&mut self, settings: Vec<Settings>) -> Result<(), String> {
        let old = std::mem::take(&mut self.settings);
        match self.try_apply(&settings) {
            Ok(()) => {
                self.settings = settings;
                Ok(())
            }
            Err(why) => {
                if let Err(again) = self.try_apply(&old) {
                    tracing::error!(err = again, "An input could not be taken up again");
                }
                self.settings = old;
                Err(why)
            }
        }
    }

    fn try_apply(&mut self, settings: &[Settings]) -> Result<(), String> {
        let _inside = self.runtime.enter();
        for input in settings {
            input.check().map_err(|e| format!("input {}: {e}", input.name()))?;
        }
        let wants_stdin = settings.iter().filter(|s| matches!(s, Settings::Stdin(_))).count();
        if wants_stdin > 1 {
            return Err("standard input can be read by one input only".into());
        }
        let mut webhooks: Vec<Webhook> = Vec::new();
        let mut paths: Vec<&str> = Vec::new();
        for input in settings {
            let Settings::Http(http) = input else { continue };
            if paths.contains(&http.path.as_str()) {
                return Err(format!("input {}: path {} is taken by another input", http.name, http.path));
            }
            paths.push(&http.path);
            webhooks.push(Webhook::new(http, &self.feed, self.tallies.of(&http.name))?);
        }
        self.end_tasks(|task| !settings.contains(task));
        for input in settings {
            if self.tasks.iter().any(|(task, _)| task == input) {
                continue;
            }
            let task = self.start(input).map_err(|e| format!("input {}: {e}", input.name()))?;
            self.tasks.extend(task.map(|task| (input.clone(), task)));
        }
        let files = settings.iter().filter_map(|s| match s {
            Settings::File(files) => Some(Wanted { settings: files.clone(), counters: self.tallies.of(&files.name) }),
            _ => None,
        });
        let files: Vec<Wanted> = files.collect();
        let mut patterns: Vec<String> = files.iter().flat_map(|f| f.settings.paths.clone()).collect();
        patterns.sort();
        self.files.read(files)?;
        self.routes.set(webhooks.into_iter());
        let noted = Message::Ask(Box::new(move |worker| worker.ledger.patterns = patterns));
        self.tell(noted);
        Ok(())
    }

    /// To the engine's thread, from wherever this is called.
    fn tell(&self, message: Message) {
        let tap = self.feed.tap.clone();
        self.runtime.spawn(async move { drop(tap.send(message).await) });
    }

    fn start(&mut self, input: &Settings) -> Result<Option<JoinHandle<()>>, String> {
        let counters = self.tallies.of(input.name());
        let feed = self.feed.clone();
        let source = || self.feed.source(&Arc::from(input.name()), String::new());
        Ok(match input {
            Settings::File(_) | Settings::Http(_) => None,
            Settings::Stdin(settings) => {
                if !self.reads_stdin {
                    stdin::start(settings, feed, counters).map_err(|e| e.to_string())?;
                    self.reads_stdin = true;
                }
                None
            }
            Settings::Syslog(settings) => match Address::parse(&settings.listen)?.bind()? {
                Bound::Tcp(socket) => Some(self.runtime.spawn(syslog::tcp(socket, feed, source(), counters))),
                Bound::Udp(socket) => Some(self.runtime.spawn(syslog::udp(socket, feed, source(), counters))),
            },
            Settings::Lumberjack(settings) => {
                let selector = Arc::new(Selector::parse(&settings.selector)?);
                let tls = settings.tls.as_ref().map(acceptor).transpose()?;
                let acknowledge = settings.acknowledge;
                let server = Server { feed, source: source(), selector, counters, acknowledge, tls };
                match Address::parse_tcp(&settings.listen)?.bind()? {
                    Bound::Tcp(socket) => Some(self.runtime.spawn(lumberjack::run(socket, server))),
                    Bound::Udp(_) => None,
                }
            }
            Settings::Journal(settings) => {
                let cursor = self.cursors.remove(&settings.name);
                Some(self.runtime.spawn(journal::run(settings.clone(), cursor, feed, source(), counters)))
            }
        })
    }

    /// Ends tasks and waits until their sockets are closed.
    fn end_tasks(&mut self, ends: impl Fn(&Settings) -> bool) {
        let (ending, stay): (Vec<_>, Vec<_>) = std::mem::take(&mut self.tasks).into_iter().partition(|(s, _)| ends(s));
        self.tasks = stay;
        for (_, task) in ending {
            task.abort();
            // Only a reload ends any, and that has a thread of its own.
            let _ = self.runtime.block_on(task);
        }
    }

    /// Ends all of them; what they have read is in the channel then.
    pub(crate) fn stop(&mut self) {
        self.files.stop();
        for (_, task) in &self.tasks {
            task.abort();
        }
        self.routes.set(std::iter::empty());
    }
}

fn acceptor(tls: &Tls) -> Result<TlsAcceptor, String> {
    let config = service::server_tls(&tls.cert, &tls.key, tls.client_ca.as_deref());
    config.map(TlsAcceptor::from).map_err(|e| format!("tls: {e}"))
}
