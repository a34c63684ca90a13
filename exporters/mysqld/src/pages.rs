//! The service: accounts and targets, `/metrics`, `/probe` and `/-/reload`.

use crate::account::{Address, Secret};
use crate::accounts::{AccountSource, Accounts, CLIENT};
use crate::collectors::{ALL, Entry};
use crate::options;
use crate::session::SessionSettings;
use crate::target::{Chosen, Collectors, Outcome, Policy, Target};
use axum::Router;
use axum::routing::any;
use exporter::prometheus_client::metrics::counter::Counter;
use exporter::prometheus_client::registry::Registry;
use exporter::{Answer, Refused, Scrape, Scraper, Served};
use exposition::{Desc, Part};
use service::{Flags, Setup, StartError};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::time::Instant;

/// Everything that lives as long as the program.
pub(crate) struct Exporter {
    source: AccountSource,
    accounts: RwLock<Accounts>,
    policy: Arc<Policy>,
    timeout_offset: f64,
    targets: Mutex<Targets>,
    max_targets: usize,
    odd_rows: Counter,
}

#[derive(Default)]
struct Targets {
    /// By auth module and address.
    known: HashMap<(String, Address), Known>,
}

struct Known {
    target: Arc<Target>,
    used: Instant,
}

/// Builds what is served.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    let mut instruments = Registry::default();
    let odd_rows = Counter::default();
    instruments.register(
        "mysqld_exporter_rows_left_out",
        "Rows that did not hold what they should and were left out",
        odd_rows.clone(),
    );
    let exporter = Arc::new(Exporter::from_flags(&setup.flags, odd_rows)?);
    let sweeper = Arc::clone(&exporter);
    let shutdown = setup.shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = tokio::time::sleep(SWEEP_PERIOD) => sweeper.sweep().await,
                () = shutdown.requested() => break,
            }
        }
    });
    let mut served = Served::new(Arc::new(Pages { exporter: Arc::clone(&exporter), probe: false }));
    served.probes.push(("/probe", Arc::new(Pages { exporter: Arc::clone(&exporter), probe: true })));
    served.instruments = instruments;
    served.routes = Router::new().route("/-/reload", any(move || async move { exporter.reload().await }));
    Ok(served)
}

/// Where accounts come from, by flags and environment.
pub(crate) fn account_source(flags: &Flags) -> AccountSource {
    let secret = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty()).map(Secret);
    AccountSource {
        file: PathBuf::from(flags.text(options::MY_CNF.name)),
        address: flags.text(options::ADDRESS.name).to_owned(),
        user: flags.text(options::USERNAME.name).to_owned(),
        skip_verify: flags.on(options::SKIP_VERIFY.name),
        password: secret("MYSQLD_EXPORTER_PASSWORD"),
        data_source_name: secret("DATA_SOURCE_NAME"),
    }
}

/// What sessions are told, by flags.
pub(crate) fn session_settings(flags: &Flags) -> Result<SessionSettings, StartError> {
    let lock_wait = options::bounded(flags, &options::LOCK_WAIT_TIMEOUT, 0, 31_536_000)?;
    let enabled = flags.on(options::ENABLE_LOCK_WAIT_TIMEOUT.name);
    Ok(SessionSettings {
        lock_wait_timeout: u64::try_from(lock_wait).ok().filter(|_| enabled),
        log_slow_filter: flags.on(options::LOG_SLOW_FILTER.name),
    })
}

impl Exporter {
    fn from_flags(flags: &Flags, odd_rows: Counter) -> Result<Self, StartError> {
        let source = account_source(flags);
        let accounts = source.load(&from_environment).map_err(StartError::new)?;
        let built = ALL.iter().filter(|e| flags.on(e.switch.name)).map(|e| (e, (e.build)(flags))).collect();
        let query_timeout = options::bounded(flags, &options::QUERY_TIMEOUT, 0, 86_400)?;
        let connections = options::bounded(flags, &options::MAX_OPEN_CONNECTIONS, 1, 100)?;
        let max_targets = options::bounded(flags, &options::MAX_TARGETS, 1, 100_000)?;
        let policy = Policy {
            collectors: Collectors { built },
            session: session_settings(flags)?,
            connections: connections as usize,
            max_age: flags.duration(options::CONNECTION_MAX_AGE.name),
            query_timeout: options::seconds_or_none(query_timeout),
            spare: Mutex::default(),
        };
        Ok(Self {
            source,
            accounts: RwLock::new(accounts),
            policy: Arc::new(policy),
            timeout_offset: flags.float(options::TIMEOUT_OFFSET.name),
            targets: Mutex::default(),
            max_targets: max_targets as usize,
            odd_rows,
        })
    }

    /// Reads the accounts again. The answer is upstream's: `ok`, or nothing when it failed.
    async fn reload(&self) -> &'static str {
        match self.source.load(&from_environment) {
            Ok(accounts) => {
                *self.accounts.write().unwrap_or_else(PoisonError::into_inner) = accounts;
                let old = std::mem::take(&mut *self.lock_targets());
                for known in old.known.into_values() {
                    known.target.close().await;
                }
                tracing::info!(file = %self.source.file.display(), "Reloaded the accounts");
                "ok"
            }
            Err(e) => {
                tracing::error!(err = %e, "Error reloading the accounts, the old ones stay");
                ""
            }
        }
    }

    fn lock_targets(&self) -> std::sync::MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server that a request means.
    fn target(&self, scrape: &Scrape, probe: bool) -> Result<Arc<Target>, Refused> {
        let refuse = |text: &str| Refused { status: 400, text: text.to_owned() };
        let asked = scrape.first("target").unwrap_or_default();
        if probe && asked.is_empty() {
            return Err(refuse("target is required"));
        }
        let module = scrape.first("auth_module").filter(|m| probe && !m.is_empty()).unwrap_or(CLIENT);
        let address = match asked {
            "" => None,
            asked => Some(Address::parse(asked).ok_or_else(|| refuse("target is neither host:port nor unix:///path"))?),
        };
        let account = {
            let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
            let account = accounts.get(module).ok_or_else(|| {
                refuse(&format!("no account [{module}] with a user in the my.cnf file: check auth_module"))
            })?;
            match &address {
                Some(address) => account.at(address.clone()),
                None => account.clone(),
            }
        };
        let mut targets = self.lock_targets();
        let key = (module.to_owned(), account.address.clone());
        let now = Instant::now();
        if let Some(known) = targets.known.get_mut(&key) {
            known.used = now;
            return Ok(Arc::clone(&known.target));
        }
        if targets.known.len() >= self.max_targets {
            let oldest = targets.known.iter().min_by_key(|(_, k)| k.used).map(|(key, _)| key.clone());
            if let Some(known) = oldest.and_then(|key| targets.known.remove(&key)) {
                tokio::spawn(async move { known.target.close().await });
            }
        }
        let target = Arc::new(Target::new(account, Arc::clone(&self.policy)));
        targets.known.insert(key, Known { target: Arc::clone(&target), used: now });
        Ok(target)
    }

    /// `collect[]` picks among the collectors that are on; if it names none of them, all run.
    fn chosen(&self, scrape: &Scrape) -> Chosen {
        let built = &self.policy.collectors.built;
        let bits = |wanted: &dyn Fn(&Entry) -> bool| {
            built.iter().enumerate().filter(|(_, (entry, _))| wanted(entry)).fold(0, |bits, (i, _)| bits | 1 << i)
        };
        let asked: Vec<&str> = scrape.all("collect[]").collect();
        match bits(&|entry| asked.contains(&entry.name)) {
            0 => Chosen(bits(&|_| true)),
            some => Chosen(some),
        }
    }

    fn deadline(&self, scrape: &Scrape) -> Instant {
        let budget = scrape.timeout_seconds.and_then(|seconds| {
            let left = Duration::try_from_secs_f64(seconds - self.timeout_offset).ok().filter(|left| !left.is_zero());
            if left.is_none() {
                tracing::warn!(
                    timeout = seconds,
                    offset = self.timeout_offset,
                    "The scrape's time-out is not above --timeout-offset, it is not regarded"
                );
            }
            left
        });
        match budget {
            Some(left) => Instant::now() + left.min(LONGEST),
            None if scrape.timeout_seconds.is_some() => Instant::now() + UNBOUNDED,
            None => scrape.deadline.into(),
        }
    }

    async fn sweep(&self) {
        let targets: Vec<_> = self.lock_targets().known.values().map(|k| Arc::clone(&k.target)).collect();
        for target in targets {
            target.sweep().await;
        }
    }

    fn emit(&self, outcome: Outcome) -> Vec<Part> {
        let mut own = self.policy.spare.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        own.family(&UP).sample(&[], outcome.connected.is_some());
        let mut parts = Vec::with_capacity(outcome.runs.len() + 1);
        if let Some(connected) = outcome.connected {
            own.family(&DURATION).sample(&[("collector", b"connection")], connected.as_secs_f64());
        }
        let heard = outcome.connected.is_some();
        for ran in outcome.runs.into_iter().filter(|_| heard) {
            // Flags are named `collect.NAME`, and so are these labels.
            let label = [("collector", ran.entry.switch.name.as_bytes())];
            own.family(&DURATION).sample(&label, ran.took.as_secs_f64());
            own.family(&SUCCESS).sample(&label, ran.success);
            self.odd_rows.inc_by(ran.odd);
            parts.push(ran.part);
        }
        parts.push(own);
        parts
    }
}

/// `/metrics` and `/probe`.
struct Pages {
    exporter: Arc<Exporter>,
    probe: bool,
}

impl Scraper for Pages {
    fn scrape<'a>(&'a self, scrape: &'a Scrape) -> Answer<'a> {
        Box::pin(async move {
            let target = self.exporter.target(scrape, self.probe)?;
            let outcome = target.scrape(self.exporter.chosen(scrape), self.exporter.deadline(scrape)).await;
            Ok(self.exporter.emit(outcome))
        })
    }

    fn recycle(&self, parts: Vec<Part>) {
        let mut spare = self.exporter.policy.spare.lock().unwrap_or_else(PoisonError::into_inner);
        for mut part in parts {
            // A part that once held ten thousand tables would hold their memory for ever.
            if spare.len() < MOST_SPARE && part.len() <= LARGEST_SPARE {
                part.clear();
                spare.push(part);
            }
        }
    }
}

pub(crate) fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

const UP: Desc = Desc::gauge("mysql_up", "Whether the MySQL server is up.");
const DURATION: Desc = Desc::gauge("mysql_exporter_collector_duration_seconds", "Collector time duration.");
const SUCCESS: Desc =
    Desc::gauge("mysql_exporter_collector_success", "mysqld_exporter: Whether a collector succeeded.");
const SWEEP_PERIOD: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(10);
/// For a scraper that names a time-out which is none.
const UNBOUNDED: Duration = Duration::from_mins(2);
const MOST_SPARE: usize = 16;
const LARGEST_SPARE: usize = 4096;
