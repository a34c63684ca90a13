//! One target's worker: claims what is due, sends it, writes down what came of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use service::Shutdown;

use super::config::{Config, Target};
use super::live::Current;
use super::note::Note;
use super::provider::Outcome;
use super::send::Sender;
use crate::api::outbox::Wake;
use crate::clock::Nanos;
use crate::message::Message;
use crate::metrics::Metrics;
use crate::store::Store;
use crate::store::claims::{self, Claim};
use crate::store::sql::{StoreError, args};

pub(super) struct Worker {
    /// What is in force, and what of it this worker goes by: its target's place in it is `at`.
    current: Current,
    config: Arc<Config>,
    at: usize,
    store: Store,
    metrics: Arc<Metrics>,
    wake: Wake,
    /// This sink's own address, for links; or empty.
    external: Arc<str>,
    sender: Sender,
    /// Messages that may be sent at once now, and when that was reckoned.
    bucket: (f64, Instant),
}

impl Worker {
    /// The worker of the target at this place of the configuration.
    pub(super) fn new(
        config: &Arc<Config>,
        at: usize,
        current: Current,
        store: Store,
        metrics: Arc<Metrics>,
        wake: Wake,
        external: Arc<str>,
    ) -> Self {
        let sender = Sender::new(&config.targets[at]);
        let config = Arc::clone(config);
        Self { current, config, at, store, metrics, wake, external, sender, bucket: (BURST, Instant::now()) }
    }

    /// Works until the sink stops or its target is no more.
    pub(super) async fn run(mut self, shutdown: Shutdown, gone: Shutdown) {
        let mut indexed = self.store.indexed();
        let mut news_of_config = self.current.clone();
        self.forget_claims().await;
        loop {
            let pause = match self.step().await {
                _ if gone.is_requested() => return,
                Ok(Some(pause)) => pause,
                Ok(None) => continue,
                Err(e) => {
                    tracing::warn!(target_name = self.target().name, error = %e, "the outbox cannot be read");
                    Duration::from_secs(5)
                }
            };
            // `changed` fails only when the writer is gone, and then there is nothing more to do.
            tokio::select! {
                () = shutdown.requested() => return,
                () = gone.requested() => return,
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                () = news_of_config.changed() => {}
                news = indexed.changed() => if news.is_err() { return },
            }
            // A burst of messages to one group becomes one.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Goes by the configuration in force. What failed under an older form of the target is due at once.
    async fn keep_up(&mut self) -> Result<(), StoreError> {
        let now = self.current.get();
        if Arc::ptr_eq(&now, &self.config) {
            return Ok(());
        }
        let Some(at) = now.targets.iter().position(|t| t.name == self.target().name) else { return Ok(()) };
        let changed = now.targets[at] != *self.target();
        (self.config, self.at) = (now, at);
        if changed {
            self.sender = Sender::new(self.target());
            let name = self.target().name.clone();
            let due = "UPDATE outbox SET next_ns = 0 WHERE target = ?1 AND state = 'pending'";
            self.store.write(move |db| db.execute(due, args![&name])).await?;
        }
        Ok(())
    }

    fn target(&self) -> &Target {
        &self.config.targets[self.at]
    }

    /// What was being sent when the last process ended has an unknown outcome: it is sent once more, and says so.
    async fn forget_claims(&self) {
        let name = self.target().name.clone();
        if let Err(e) = self.store.write(move |db| claims::forget(db, &name)).await {
            tracing::warn!(error = %e, "cannot look for interrupted attempts");
        }
    }

    /// Sends one message if one is due. Answers how long to wait, or `None` to go on at once.
    async fn step(&mut self) -> Result<Option<Duration>, StoreError> {
        self.keep_up().await?;
        if let Some(wait) = self.wait_for_turn() {
            return Ok(Some(wait));
        }
        let name = self.target().name.clone();
        let now = Nanos::now();
        // Looking does not need the writer.
        match self.store.read(move |db| claims::next(db, &name)).await? {
            None => return Ok(Some(IDLE)),
            Some(next) if next > now => return Ok(Some(now.until(next).min(IDLE))),
            Some(_) => {}
        }
        let name = self.target().name.clone();
        let Some(job) = self.store.write(move |db| claims::take(db, &name)).await? else {
            // Another replica has it, or is sending an older state of the same group.
            return Ok(Some(TAKEN));
        };
        self.bucket.0 -= 1.0;
        let began = Nanos::now();
        let outcome = {
            let attempt = std::pin::pin!(self.attempt(&job));
            self.keep(job, attempt).await?
        };
        self.settle(job, began, outcome).await?;
        Ok(None)
    }

    /// The token bucket: `None` when a message may go now.
    fn wait_for_turn(&mut self) -> Option<Duration> {
        let rate = self.target().rate();
        let now = Instant::now();
        let grown = self.bucket.0 + now.duration_since(self.bucket.1).as_secs_f64() * rate;
        self.bucket = (grown.min(BURST), now);
        (self.bucket.0 < 1.0).then(|| Duration::from_secs_f64(((1.0 - self.bucket.0) / rate).min(60.0)))
    }

    /// Waits for an attempt and keeps its claim meanwhile.
    async fn keep(
        &self,
        job: Claim,
        mut attempt: Pin<&mut impl Future<Output = Result<Outcome, StoreError>>>,
    ) -> Result<Outcome, StoreError> {
        loop {
            tokio::select! {
                outcome = &mut attempt => return outcome,
                () = tokio::time::sleep(claims::RENEW) => {
                    // A claim that cannot be renewed runs out; whoever sends then says that it is perhaps the second time.
                    let _ = self.store.write(move |db| claims::renew(db, job)).await;
                }
            }
        }
    }

    async fn attempt(&self, job: &Claim) -> Result<Outcome, StoreError> {
        let (delivery, group, round, name) = (job.delivery, job.group, job.round, self.target().name.clone());
        let (body, thread) = self
            .store
            .read(move |db| {
                let mut body = None;
                db.query("SELECT body FROM deliveries WHERE id = ?1", args![delivery], &mut |row| {
                    row.blob(0, &mut |raw| body = Some(raw.to_vec()))
                })?;
                let thread = db.first(
                    "SELECT reference FROM threads WHERE target = ?1 AND group_id = ?2 AND round = ?3",
                    args![&name, group, round],
                    |row| row.text(0),
                )?;
                Ok((body, thread))
            })
            .await?;
        let Some(body) = body else { return Ok(Outcome::Never { text: "the delivery is not kept any more".into() }) };
        let note = match Message::parse(&body) {
            Ok(message) => Note::of(&message, job.delivery, job.again, &self.external),
            Err(e) => return Ok(Outcome::Never { text: e.to_string() }),
        };
        Ok(self.sender.send(&self.config, self.target(), &note, thread.as_deref()).await)
    }

    async fn settle(&self, job: Claim, began: Nanos, outcome: Outcome) -> Result<(), StoreError> {
        let target = self.target();
        let now = Nanos::now();
        self.metrics.attempt(&target.name, &outcome, job.created.until(now));
        let too_old = job.created.until(now) > target.give_up_after;
        let (state, next, answer, reference, word) = match outcome {
            Outcome::Sent { reference } => ("sent", 0, String::new(), reference, "sent"),
            Outcome::Later { text, .. } if too_old => ("dead", 0, text, String::new(), "failed"),
            Outcome::Later { after, text } => {
                let wait = after.unwrap_or_else(|| back_off(job.attempts, job.id)).max(Duration::from_millis(200));
                ("pending", now.after(wait).0, text, String::new(), "failed")
            }
            Outcome::Never { text } => ("dead", 0, text, String::new(), "refused"),
        };
        if state != "sent" {
            tracing::warn!(target_name = target.name, attempt = job.attempts, state, answer, "a message was not taken");
        }
        let name = target.name.clone();
        self.store
            .write(move |db| {
                db.execute(
                    "INSERT INTO attempts (outbox_id, at_ns, took_ns, outcome, answer) VALUES (?1, ?2, ?3, ?4, ?5)",
                    args![job.id, began.0, now.0 - began.0, word, &answer],
                )?;
                let overtaken = db.int(
                    "SELECT count(*) FROM outbox WHERE target = ?1 AND group_id = ?2 AND id > ?3 AND state <> 'overtaken'",
                    args![&name, job.group, job.id],
                )?;
                // While this one failed a newer state of the group came up: it alone is worth sending.
                let state = if state == "pending" && overtaken.unwrap_or(0) > 0 { "overtaken" } else { state };
                db.execute(
                    "UPDATE outbox SET state = ?2, next_ns = ?3, answer = ?4, lease_ns = 0,
                       done_ns = CASE WHEN ?2 = 'pending' THEN NULL ELSE ?5 END
                     WHERE id = ?1 AND state = 'sending' AND attempts = ?6",
                    args![job.id, state, next, &answer, now.0, job.attempts],
                )?;
                if !reference.is_empty() {
                    db.execute(
                        "INSERT INTO threads (target, group_id, round, reference, at_ns) VALUES (?1, ?2, ?3, ?4, ?5)
                         ON CONFLICT (target, group_id, round) DO UPDATE SET reference = excluded.reference",
                        args![&name, job.group, job.round, &reference, now.0],
                    )?;
                }
                Ok(())
            })
            .await
    }
}

/// 1 s, 2 s, 4 s … 5 min, each between half of it and all of it.
fn back_off(attempts: i64, id: i64) -> Duration {
    let full = 1000_u64 << attempts.clamp(1, 9).saturating_sub(1);
    let full = full.min(300_000);
    let chance =
        (Nanos::now().0 ^ id.wrapping_mul(0x9e37_79b9)).unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    Duration::from_millis(full / 2 + chance % (full / 2))
}

/// Messages that may go out at once after a quiet time.
const BURST: f64 = 3.0;
/// How long to wait when what is due is somebody else's.
const TAKEN: Duration = Duration::from_millis(500);
/// How often the outbox is looked at when nothing happens.
const IDLE: Duration = Duration::from_secs(15);
