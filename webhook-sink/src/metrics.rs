//! The sink's own metrics.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use service::{Flag, Shutdown};

use crate::clock::Nanos;
use crate::deliver::Outcome;
use crate::deliver::config::Config;
use crate::deliver::live::Current;
use crate::history::stats;
use crate::index::{Applied, Follow, severity_name};
use crate::message::Reason;
use crate::store::sql::{Connection, StoreError, args};
use crate::store::{Store, Watch};

/// `--metrics.alertnames`.
pub(crate) const NAMES: Flag = Flag::text(
    "metrics.alertnames",
    "",
    "Names of alerts, with commas, that get a series webhook_sink_named_firing_alerts each; no other metric is labelled by \
     a name that comes from outside.",
);

/// One label of a name known at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct One<const N: usize>(pub(crate) [(&'static str, String); N]);

impl<const N: usize> EncodeLabelSet for One<N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        use prometheus_client::encoding::EncodeLabel;
        for (name, value) in &self.0 {
            (*name, value.as_str()).encode(encoder.encode_label())?;
        }
        Ok(())
    }
}

/// All of them; cheap to clone.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) deliveries: Family<One<1>, Counter>,
    pub(crate) refused: Family<One<1>, Counter>,
    pub(crate) invalid: Family<One<1>, Counter>,
    pub(crate) unauthorized: Counter,
    pub(crate) bytes: Counter,
    pub(crate) last_delivery: Gauge<f64, std::sync::atomic::AtomicU64>,
    firing: Family<One<1>, Gauge>,
    stale: Gauge,
    database: Gauge,
    behind: Gauge,
    outbox: Family<One<2>, Gauge>,
    oldest: Family<One<1>, Gauge<f64, std::sync::atomic::AtomicU64>>,
    attempts: Family<One<2>, Counter>,
    lag: Histogram,
    messages: Family<One<1>, Counter>,
    alerts: Family<One<2>, Counter>,
    resolve: Family<One<1>, Histogram>,
    commits: Histogram,
    batch: Histogram,
    pub(crate) alertmanagers: Family<One<1>, Gauge>,
    pub(crate) reconciled: Family<One<1>, Counter>,
    named: Family<One<1>, Gauge>,
    /// Alerts that have a series of their own.
    names: Vec<String>,
    reload_ok: Gauge,
    differing: Gauge,
    reload_time: Gauge<f64, std::sync::atomic::AtomicU64>,
}

impl Metrics {
    /// Makes them and registers each with its help.
    pub(crate) fn register(registry: &mut Registry, names: Vec<String>) -> Arc<Self> {
        let seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];
        let this = Self {
            deliveries: Family::default(),
            refused: Family::default(),
            invalid: Family::default(),
            unauthorized: Counter::default(),
            bytes: Counter::default(),
            last_delivery: Gauge::default(),
            firing: Family::default(),
            stale: Gauge::default(),
            database: Gauge::default(),
            behind: Gauge::default(),
            outbox: Family::default(),
            oldest: Family::default(),
            attempts: Family::default(),
            lag: Histogram::new([0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0]),
            messages: Family::default(),
            alerts: Family::default(),
            resolve: Family::new_with_constructor(|| {
                Histogram::new([60.0, 300.0, 900.0, 1800.0, 3600.0, 4.0 * 3600.0, 86_400.0, 7.0 * 86_400.0])
            }),
            commits: Histogram::new(seconds),
            batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            alertmanagers: Family::default(),
            reconciled: Family::default(),
            named: Family::default(),
            names,
            reload_ok: Gauge::default(),
            differing: Gauge::default(),
            reload_time: Gauge::default(),
        };
        // Every series is there from the start, so that rate() sees the first event.
        for kind in ["alerts", "events", "raw"] {
            let _ = this.deliveries.get_or_create(&One([("kind", kind.into())]));
        }
        for reason in Reason::ALL {
            let _ = this.invalid.get_or_create(&One([("reason", reason.name().into())]));
        }
        for reason in ["overload", "store"] {
            let _ = this.refused.get_or_create(&One([("reason", reason.into())]));
        }
        for kind in ["first", "change", "repeat", "duplicate"] {
            let _ = this.messages.get_or_create(&One([("kind", kind.into())]));
        }
        for severity in (0..=4).map(severity_name) {
            let _ = this.resolve.get_or_create(&One([("severity", severity.into())]));
            for status in ["firing", "resolved"] {
                let _ = this.alerts.get_or_create(&One([("severity", severity.into()), ("status", status.into())]));
            }
        }
        registry.register("webhook_sink_deliveries", "Deliveries stored and acknowledged.", this.deliveries.clone());
        registry.register("webhook_sink_refused", "Deliveries answered 503, to be sent again.", this.refused.clone());
        registry.register("webhook_sink_invalid", "Bodies answered 4xx.", this.invalid.clone());
        registry.register(
            "webhook_sink_unauthorized",
            "Requests answered 401 for want of the token of --web.receive-token-file.",
            this.unauthorized.clone(),
        );
        registry.register("webhook_sink_received_bytes", "Bytes of the bodies stored.", this.bytes.clone());
        registry.register(
            "webhook_sink_last_delivery_timestamp_seconds",
            "When the newest delivery was acknowledged; 0 before the first since the start.",
            this.last_delivery.clone(),
        );
        registry.register("webhook_sink_firing_alerts", "Alerts that fire, by severity.", this.firing.clone());
        registry.register(
            "webhook_sink_stale_alerts",
            "Alerts that vanished from their group without a resolution.",
            this.stale.clone(),
        );
        registry.register("webhook_sink_database_bytes", "Size of the database with its log.", this.database.clone());
        registry.register(
            "webhook_sink_unindexed_deliveries",
            "Deliveries stored, not indexed yet.",
            this.behind.clone(),
        );
        registry.register("webhook_sink_messages", "Messages indexed, by what they were.", this.messages.clone());
        registry.register(
            "webhook_sink_alerts",
            "Alerts that began (firing) or ended (resolved), by severity.",
            this.alerts.clone(),
        );
        registry.register(
            "webhook_sink_time_to_resolve_seconds",
            "From the start to the end of each alert, by severity.",
            this.resolve.clone(),
        );
        registry.register(
            "webhook_sink_outbox_messages",
            "Messages in the outbox by target and state.",
            this.outbox.clone(),
        );
        registry.register(
            "webhook_sink_outbox_oldest_seconds",
            "Age of the oldest message that a target has not taken yet.",
            this.oldest.clone(),
        );
        registry.register(
            "webhook_sink_notification_attempts",
            "Attempts by target and outcome: sent, later, later_as_told (the target named a time), never.",
            this.attempts.clone(),
        );
        registry.register(
            "webhook_sink_notification_lag_seconds",
            "From the arrival of a message to its acceptance by a target.",
            this.lag.clone(),
        );
        registry.register(
            "webhook_sink_commit_duration_seconds",
            "Time of one commit with its fsync.",
            this.commits.clone(),
        );
        registry.register("webhook_sink_commit_batch", "Deliveries acknowledged by one commit.", this.batch.clone());
        registry.register(
            "webhook_sink_alertmanager_reachable",
            "Whether each --alertmanager.url told its alerts when it was asked last.",
            this.alertmanagers.clone(),
        );
        registry.register(
            "webhook_sink_reconciled_alerts",
            "Alerts whose state was corrected after asking Alertmanager, by what it said.",
            this.reconciled.clone(),
        );
        if !this.names.is_empty() {
            registry.register(
                "webhook_sink_named_firing_alerts",
                "Alerts that fire, by name, of those that --metrics.alertnames lists.",
                this.named.clone(),
            );
        }
        registry.register(
            "webhook_sink_config_last_reload_successful",
            "Whether --config.file was good when it was read last.",
            this.reload_ok.clone(),
        );
        registry.register(
            "webhook_sink_config_last_reload_success_timestamp_seconds",
            "When --config.file was read with success last.",
            this.reload_time.clone(),
        );
        registry.register(
            "webhook_sink_differing_replicas",
            "Replicas on the same store that go by another --config.file than this one.",
            this.differing.clone(),
        );
        Arc::new(this)
    }
}

impl Metrics {
    /// Says how reading the configuration went.
    pub(crate) fn reloaded(&self, good: bool) {
        self.reload_ok.set(i64::from(good));
        if good {
            self.reload_time.set(Nanos::now().seconds());
        }
    }

    /// Says how many replicas go by another configuration.
    pub(crate) fn differing_replicas(&self, n: usize) {
        self.differing.set(n as i64);
    }

    /// Counts an attempt; `age` is that of the message.
    pub(crate) fn attempt(&self, target: &str, outcome: &Outcome, age: Duration) {
        let word = match outcome {
            Outcome::Sent { .. } => "sent",
            Outcome::Later { after: Some(_), .. } => "later_as_told",
            Outcome::Later { after: None, .. } => "later",
            Outcome::Never { .. } => "never",
        };
        self.attempts.get_or_create(&One([("outcome", word.into()), ("target", target.into())])).inc();
        if word == "sent" {
            self.lag.observe(age.as_secs_f64());
        }
    }

    /// Keeps the numbers that only the database knows; ends with the service.
    pub(crate) async fn follow(self: Arc<Self>, store: Store, current: Current, shutdown: Shutdown) {
        loop {
            if let Err(e) = self.look(&store, &current.get()).await {
                tracing::debug!(error = %e, "cannot count for /metrics");
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(Duration::from_secs(5)) => {}
            }
        }
    }

    /// Counts the alerts that have a series of their own.
    async fn look_for_names(&self, store: &Store) -> Result<(), StoreError> {
        for name in &self.names {
            let asked = name.clone();
            let count = "SELECT count(*) FROM episodes WHERE state = 0 AND alertname = ?1";
            let n = store.read(move |db| db.int(count, args![&asked])).await?;
            self.named.get_or_create(&One([("alertname", name.clone())])).set(n.unwrap_or(0));
        }
        Ok(())
    }

    async fn look(&self, store: &Store, config: &Config) -> Result<(), StoreError> {
        let (now, outbox) = store
            .read(|db| {
                let outbox = db.all(
                    "SELECT target, state, count(*), min(created_ns) FROM outbox
                     WHERE state IN ('pending', 'sending', 'dead') GROUP BY target, state",
                    &[],
                    |row| Ok((row.text(0)?, row.text(1)?, row.int(2)?, row.int(3)?)),
                )?;
                Ok((stats::now(db)?, outbox))
            })
            .await?;
        for rank in 0..=4 {
            let n = now.firing.get(&rank).copied().unwrap_or(0);
            self.firing.get_or_create(&One([("severity", severity_name(rank).into())])).set(n);
        }
        self.look_for_names(store).await?;
        self.stale.set(now.stale);
        self.database.set(store.size() as i64);
        self.behind.set(store.stored() - *store.indexed().borrow());
        self.outbox.clear();
        self.oldest.clear();
        // Each target has its series from the start, so that rules see it become more than none.
        for target in &config.targets {
            self.oldest.get_or_create(&One([("target", target.name.clone())])).set(0.0);
            for state in ["pending", "dead"] {
                let _ = self.outbox.get_or_create(&One([("state", state.into()), ("target", target.name.clone())]));
            }
            for outcome in ["sent", "later", "later_as_told", "never"] {
                let labels = One([("outcome", outcome.into()), ("target", target.name.clone())]);
                let _ = self.attempts.get_or_create(&labels);
            }
        }
        for (target, state, n, oldest) in outbox {
            if state != "dead" {
                let age = Nanos(oldest).until(Nanos::now()).as_secs_f64();
                let known = self.oldest.get_or_create(&One([("target", target.clone())]));
                known.set(known.get().max(age));
            }
            self.outbox.get_or_create(&One([("state", state), ("target", target)])).set(n);
        }
        Ok(())
    }
}

impl Follow for Arc<Metrics> {
    fn applied(&mut self, _: &mut dyn Connection, applied: &Applied<'_>) -> Result<(), StoreError> {
        self.messages.get_or_create(&One([("kind", applied.kind.name().into())])).inc();
        let count = |status: &str, rank: i64| {
            let labels = One([("severity", severity_name(rank).into()), ("status", status.into())]);
            self.alerts.get_or_create(&labels).inc();
        };
        for rank in &applied.opened {
            count("firing", *rank);
        }
        for (rank, seconds) in &applied.resolved {
            count("resolved", *rank);
            self.resolve.get_or_create(&One([("severity", severity_name(*rank).into())])).observe(*seconds);
        }
        Ok(())
    }
}

impl Watch for Arc<Metrics> {
    fn committed(&self, deliveries: usize, took: Duration) {
        self.commits.observe(took.as_secs_f64());
        self.batch.observe(deliveries as f64);
    }
}
