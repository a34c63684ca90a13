//! Noticing silence: an alert that must keep coming, and targets that keep failing. Both raise alerts of the sink's own,
//! which take the same way as all others: stored, indexed, shown, forwarded.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use service::Shutdown;

use super::config::Config;
use super::live::Current;
use crate::clock::Nanos;
use crate::history::{label, object};
use crate::message::Message;
use crate::store::sql::{StoreError, args};
use crate::store::{Delivery, Kind, Store};

/// The receiver's name of the sink's own messages.
pub(crate) const OWN: &str = "webhook-sink";
const MISSING: &str = "WatchdogMissing";
const FAILING: &str = "TargetFailing";

/// The targets of one of the sink's own alerts; `None` for everybody else's.
pub(super) fn own_targets<'a>(config: &'a Config, message: &Message<'_>) -> Option<&'a [String]> {
    if &*message.receiver.0 != OWN {
        return None;
    }
    let named = message.common_labels.value("watchdog");
    match message.common_labels.value("alertname") {
        Some(MISSING) => {
            Some(config.watchdogs.iter().find(|w| Some(w.name.as_str()) == named).map_or(&[][..], |w| &w.targets))
        }
        Some(FAILING) => Some(config.failing_targets.as_ref().map_or(&[][..], |f| &f.targets)),
        _ => None,
    }
}

/// Looks again and again; ends with the service.
pub(super) async fn watch(mut current: Current, store: Store, shutdown: Shutdown) {
    let mut known = HashMap::new();
    loop {
        let config = current.get();
        let spans = config.watchdogs.iter().map(|w| w.after).chain(config.failing_targets.iter().map(|f| f.after));
        let every = spans.min().map_or(SLOWEST, |s| (s / 10).clamp(Duration::from_millis(500), SLOWEST));
        tokio::select! {
            () = shutdown.requested() => return,
            () = current.changed() => continue,
            () = tokio::time::sleep(every) => {}
        }
        if let Err(e) = look(&config, &store, &mut known).await {
            tracing::warn!(error = %e, "cannot look after the watchdogs");
        }
    }
}

/// `known` says since when each watchdog is one: after a start, or when it is new in the file, it has its whole time.
async fn look(config: &Config, store: &Store, known: &mut HashMap<String, Nanos>) -> Result<(), StoreError> {
    let now = Nanos::now();
    known.retain(|name, _| config.watchdogs.iter().any(|w| w.name == *name));
    end_what_nobody_watches(config, store, now).await?;
    for watchdog in &config.watchdogs {
        let began = *known.entry(watchdog.name.clone()).or_insert(now);
        let matchers = watchdog.matchers.clone();
        let since = now.before(watchdog.after);
        let seen = store
            .read(move |db| {
                let mut seen = None;
                // One that is late news of the past does not count as alive: only what still fires does.
                db.query(
                    "SELECT last_ns, labels FROM episodes WHERE state = 0 AND last_ns >= ?1",
                    args![since.0],
                    &mut |row| {
                        let labels = object(&row.text(1)?);
                        if matchers.iter().all(|m| m.matches(|n| label(&labels, n))) {
                            seen = seen.max(Some(row.int(0)?));
                        }
                        Ok(())
                    },
                )?;
                Ok(seen)
            })
            .await?;
        if seen.is_none() && began >= since {
            // Too early to say so, and no reason to take back what was said before this start or by another replica.
            continue;
        }
        let missing = seen.is_none();
        let text = format!(
            "no alert of watchdog {} for {:?}: is Prometheus or Alertmanager down?",
            watchdog.name, watchdog.after
        );
        tell(store, MISSING, "watchdog", &watchdog.name, missing, now, &text).await?;
    }
    if let Some(failing) = &config.failing_targets {
        let since = now.before(failing.after);
        for target in &config.targets {
            let name = target.name.clone();
            let oldest = store
                .read(move |db| {
                    db.int(
                        "SELECT min(created_ns) FROM outbox WHERE target = ?1 AND state IN ('pending', 'sending') AND attempts > 0",
                        args![&name],
                    )
                })
                .await?;
            let text = format!("target {} has taken nothing for {:?}", target.name, failing.after);
            tell(store, FAILING, "target", &target.name, oldest.is_some_and(|n| n < since.0), now, &text).await?;
        }
    }
    Ok(())
}

/// Ends alerts of the sink's own about watchdogs and targets that the configuration no longer has.
async fn end_what_nobody_watches(config: &Config, store: &Store, now: Nanos) -> Result<(), StoreError> {
    let open = store
        .read(|db| {
            db.all(
                "SELECT e.labels FROM groups g JOIN members m ON m.group_id = g.id AND m.present = 1
                 JOIN episodes e ON e.id = m.episode_id WHERE g.receiver = ?1",
                args![OWN],
                |row| row.text(0),
            )
        })
        .await?;
    for labels in open.iter().map(|text| object(text)) {
        let (alert, kind, known) = match label(&labels, "alertname") {
            Some(MISSING) => {
                let name = label(&labels, "watchdog");
                (MISSING, "watchdog", config.watchdogs.iter().any(|w| Some(w.name.as_str()) == name))
            }
            Some(FAILING) => {
                let name = label(&labels, "target");
                let there = config.targets.iter().any(|t| Some(t.name.as_str()) == name);
                (FAILING, "target", there && config.failing_targets.is_some())
            }
            _ => continue,
        };
        if let Some(name) = label(&labels, kind).filter(|_| !known) {
            tell(store, alert, kind, name, false, now, "not watched any more").await?;
        }
    }
    Ok(())
}

/// Makes the alert fire or end, if it does not already.
async fn tell(
    store: &Store,
    alert: &'static str,
    kind: &'static str,
    name: &str,
    wrong: bool,
    now: Nanos,
    text: &str,
) -> Result<(), StoreError> {
    let key = format!("{{}}:{{alertname=\"{alert}\", {kind}=\"{name}\"}}");
    let asked = key.clone();
    // What the index says is what was told last; a delivery just stored may not be there yet, hence the check of both.
    if store.stored() > *store.indexed().borrow() {
        return Ok(());
    }
    let open = store
        .read(move |db| {
            db.int(
                "SELECT e.starts_ns FROM groups g JOIN members m ON m.group_id = g.id AND m.present = 1
                 JOIN episodes e ON e.id = m.episode_id WHERE g.receiver = ?1 AND g.group_key = ?2",
                args![OWN, &asked],
            )
        })
        .await?;
    if wrong == open.is_some() {
        return Ok(());
    }
    let status = if wrong { "firing" } else { "resolved" };
    // Every replica notices the same: the first one tells.
    let turn = format!("told {status} {key}");
    let mine = store
        .write(move |db| {
            db.execute(
                "INSERT INTO meta (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE meta.value < ?3",
                args![&turn, now.0, now.before(TURN).0],
            )
        })
        .await?;
    if mine == 0 {
        return Ok(());
    }
    let starts = open.map_or(now, Nanos);
    let ends = if wrong { "0001-01-01T00:00:00Z".to_owned() } else { now.rfc3339() };
    let labels = json!({ "alertname": alert, "severity": "critical", kind: name });
    let body = json!({
        "version": "4", "receiver": OWN, "status": status, "groupKey": key, "externalURL": "", "truncatedAlerts": 0,
        "groupLabels": { "alertname": alert }, "commonLabels": labels, "commonAnnotations": { "summary": text },
        "alerts": [{
            "status": status, "labels": labels, "annotations": { "summary": text }, "startsAt": starts.rfc3339(),
            "endsAt": ends, "generatorURL": "",
        }],
    });
    tracing::warn!(alert, name, status, "{text}");
    let delivery = Delivery {
        received: now,
        kind: Kind::Alerts,
        source: OWN.into(),
        query: String::new(),
        remote: String::new(),
        agent: OWN.into(),
        body: body.to_string().into(),
    };
    store.receive(delivery).await.map(drop)
}

/// How long the replica that tells of something has for it, before another one may.
const TURN: Duration = Duration::from_secs(20);
/// How long it takes at most until something missing is noticed.
const SLOWEST: Duration = Duration::from_secs(15);
