//! One worker for each target of the configuration in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use service::{Shutdown, Stop};
use tokio::task::JoinHandle;

use super::live::Current;
use super::worker::Worker;
use crate::api::outbox::Wake;
use crate::clock::Nanos;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::sql::{StoreError, args};

/// Hires a worker for a new target and lets that of a removed one finish what it is sending.
pub(super) async fn run(
    mut current: Current,
    store: Store,
    metrics: Arc<Metrics>,
    shutdown: Shutdown,
    wake: Wake,
    external: Arc<str>,
) {
    let mut working: HashMap<String, (Stop, JoinHandle<()>)> = HashMap::new();
    let mut leaving: HashMap<String, JoinHandle<()>> = HashMap::new();
    loop {
        let config = current.get();
        let known: Vec<String> = config.targets.iter().map(|t| t.name.clone()).collect();
        let gone: Vec<String> = working.keys().filter(|name| !known.contains(name)).cloned().collect();
        for name in gone {
            if let Some((stop, task)) = working.remove(&name) {
                stop.stop();
                leaving.insert(name, task);
            }
        }
        leaving.retain(|_, task| !task.is_finished());
        for (at, target) in config.targets.iter().enumerate() {
            if working.contains_key(&target.name) {
                continue;
            }
            let (stop, stopped) = Stop::new();
            let external = Arc::clone(&external);
            let (metrics, wake) = (Arc::clone(&metrics), Arc::clone(&wake));
            let worker = Worker::new(&config, at, current.clone(), store.clone(), metrics, wake, external);
            let (before, shutdown) = (leaving.remove(&target.name), shutdown.clone());
            let task = tokio::spawn(async move {
                // The one that sent to this target before has its last attempt to write down.
                if let Some(before) = before {
                    let _ = before.await;
                }
                worker.run(shutdown, stopped).await;
            });
            working.insert(target.name.clone(), (stop, task));
        }
        tokio::select! {
            () = shutdown.requested() => return,
            () = current.changed() => {}
            () = tokio::time::sleep(SWEEP) => {
                if let Err(e) = sweep(&store, known).await {
                    tracing::warn!(error = %e, "cannot look for messages to targets that are no more");
                }
            }
        }
    }
}

/// What is owed to a target that nobody configures any more becomes a dead letter, after a day: another replica, or the
/// next change of the file, may know it.
async fn sweep(store: &Store, known: Vec<String>) -> Result<(), StoreError> {
    let now = Nanos::now();
    let old = now.before(Duration::from_hours(24));
    let found = store
        .read(move |db| {
            db.all(
                "SELECT DISTINCT target FROM outbox WHERE state IN ('pending', 'sending') AND created_ns < ?1",
                args![old.0],
                |row| row.text(0),
            )
        })
        .await?;
    for name in found.into_iter().filter(|name| !known.contains(name)) {
        tracing::warn!(target_name = name, "no target is called so any more: what it is owed becomes dead letters");
        store
            .write(move |db| {
                db.execute(
                    "UPDATE outbox SET state = 'dead', answer = 'no target is called so any more', done_ns = ?3
                     WHERE target = ?1 AND state IN ('pending', 'sending') AND created_ns < ?2",
                    args![&name, old.0, now.0],
                )
            })
            .await?;
    }
    Ok(())
}

/// How often it is looked for what nobody will send.
const SWEEP: Duration = Duration::from_mins(10);
