//! Several replicas, a configuration file each: every one notices that its own file changed, a reload that one is asked for
//! reaches all, and where their files differ it shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use service::{Flag, FlagKind, Shutdown};

use crate::api::Api;
use crate::api::admin::{self, Admin};
use crate::clock::Nanos;
use crate::metrics::Metrics;
use crate::store::sql::{Connection, StoreError, args};
use crate::store::{Store, schema};

/// `--config.auto-reload-interval`.
pub(crate) const AUTO_RELOAD: Flag = Flag::new(
    "config.auto-reload-interval",
    FlagKind::Duration,
    "30s",
    "How often is looked whether --config.file changed, to go by it when it is good; 0s waits for /-/reload or SIGHUP.",
);

/// What a replica knows of the others.
#[derive(Clone, Debug)]
pub(crate) struct Replicas {
    /// Whether there can be any: only those that share a server.
    shared: bool,
    name: String,
    /// The newest reload that was asked of any of them and that this one has done.
    done: Arc<AtomicI64>,
}

/// One of them, as it told last.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) name: String,
    pub(crate) seen: Nanos,
    /// Tells whether two go by the same text.
    pub(crate) config: i64,
    pub(crate) version: String,
}

impl Replicas {
    pub(crate) fn new(shared: bool, port: &str) -> Self {
        let host = rustix::system::uname();
        // Two on one host differ by their port, and those in containers by their host's name.
        let name = format!("{}{port}", host.nodename().to_string_lossy());
        Self { shared, name, done: Arc::default() }
    }

    /// Tells the others to reload, within the transaction that writes down who asked for it.
    pub(crate) fn tell(&self, db: &mut dyn Connection) -> Result<(), StoreError> {
        if self.shared {
            let turn = schema::number(db, RELOAD)?.saturating_add(1).max(Nanos::now().0);
            schema::put(db, RELOAD, turn)?;
            self.done.fetch_max(turn, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Those that told of themselves a moment ago.
    pub(crate) async fn all(&self, store: &Store) -> Result<Vec<Replica>, StoreError> {
        if !self.shared {
            return Ok(Vec::new());
        }
        store
            .read(|db| {
                let since = db.clock()?.before(GONE);
                db.all(
                    "SELECT name, seen_ns, config, version FROM replicas WHERE seen_ns >= ?1 ORDER BY name",
                    args![since.0],
                    |row| {
                        let (name, seen) = (row.text(0)?, Nanos(row.int(1)?));
                        Ok(Replica { name, seen, config: row.int(2)?, version: row.text(3)? })
                    },
                )
            })
            .await
    }

    /// Says that this one is there and what it goes by; answers the newest reload asked for.
    async fn present(&self, store: &Store, config: i64) -> Result<(), StoreError> {
        let name = self.name.clone();
        store
            .write(move |db| {
                let now = db.clock()?;
                db.execute("DELETE FROM replicas WHERE seen_ns < ?1", args![now.before(FORGOTTEN).0])?;
                db.execute(
                    "INSERT INTO replicas (name, seen_ns, config, version) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET seen_ns = excluded.seen_ns, config = excluded.config,
                       version = excluded.version",
                    args![&name, now.0, config, env!("CARGO_PKG_VERSION")],
                )
                .map(drop)
            })
            .await
    }

    /// No longer there.
    pub(crate) async fn leave(&self, store: &Store) {
        if !self.shared {
            return;
        }
        let name = self.name.clone();
        let gone = store.write(move |db| db.execute("DELETE FROM replicas WHERE name = ?1", args![&name]));
        // Else the others see it go in a while.
        let _ = tokio::time::timeout(Duration::from_secs(1), gone).await;
    }
}

/// Follows the file and the other replicas until the service ends.
pub(crate) async fn follow(api: Api, metrics: Arc<Metrics>, every: Duration, shutdown: Shutdown) {
    let replicas = api.replicas.clone();
    let (mut looked, mut waits) = (Instant::now(), None);
    let (mut told, mut first) = (None, true);
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            () = tokio::time::sleep(if every.is_zero() { STEP } else { STEP.min(every) }) => {}
        }
        if !every.is_zero() && (waits.is_some() || looked.elapsed() >= every) {
            looked = Instant::now();
            let now = api.live.changed().await;
            // What is just being written is not read: it has to look the same twice.
            if now.is_some() && now == waits {
                waits = None;
                let _ = admin::reload(&api, Admin::by_itself("file change")).await;
            } else {
                waits = now;
            }
        }
        if !replicas.shared {
            continue;
        }
        match api.store.read(|db| schema::number(db, RELOAD)).await {
            Ok(turn) => {
                let before = replicas.done.fetch_max(turn, Ordering::AcqRel);
                // What was asked before this one started is done: it has just read its file.
                if turn > before && !first {
                    let _ = admin::reload(&api, Admin::by_itself("another replica")).await;
                }
                first = false;
            }
            Err(e) => tracing::debug!(error = %e, "cannot hear of the other replicas just now"),
        }
        let config = api.live.in_force();
        if told.is_none_or(|(at, what): (Instant, i64)| at.elapsed() >= TELL || what != config)
            && replicas.present(&api.store, config).await.is_ok()
        {
            told = Some((Instant::now(), config));
        }
        if let Ok(all) = replicas.all(&api.store).await {
            metrics.differing_replicas(all.iter().filter(|r| r.config != config).count());
        }
    }
}

/// Under this name it is remembered when a reload was asked for last.
const RELOAD: &str = "reload";
/// How often is asked for news.
const STEP: Duration = Duration::from_secs(2);
/// How often a replica says that it is there, after what time it counts as gone, and is forgotten.
const TELL: Duration = Duration::from_secs(10);
const GONE: Duration = Duration::from_secs(45);
const FORGOTTEN: Duration = Duration::from_mins(10);
