//! Asks Alertmanager's own API what became of alerts that its webhook no longer speaks of.
//!
//! A silenced, inhibited or muted alert vanishes from its group's messages and its end is never sent. What is found here
//! changes what the sink shows; nothing is passed on because of it, for Alertmanager itself chose to be silent.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use service::client::{Client, Options, Tls};
use service::{Flag, FlagKind, Flags, Shutdown};

use crate::api::stream::Nudge;
use crate::clock::Nanos;
use crate::index::{self, EpisodeState};
use crate::metrics::{Metrics, One};
use crate::secret;
use crate::store::Store;
use crate::store::sql::{Connection, Lock, StoreError, args};

/// `--alertmanager.url`.
pub(crate) const URL: Flag = Flag::new(
    "alertmanager.url",
    FlagKind::Texts,
    "",
    "Alertmanager to ask what became of alerts that its webhook no longer speaks of, such as http://alertmanager:9093. \
     Repeatable, for the members of one cluster.",
);
/// `--alertmanager.interval`.
pub(crate) const INTERVAL: Flag =
    Flag::new("alertmanager.interval", FlagKind::Duration, "1m", "How often --alertmanager.url is asked.");
/// `--alertmanager.grace`.
pub(crate) const GRACE: Flag = Flag::new(
    "alertmanager.grace",
    FlagKind::Duration,
    "10m",
    "An alert that fires here and that Alertmanager no longer has is taken for ended after this time. Longer than every \
     group_interval, within which its own word comes, and than a restarted Alertmanager needs to hear of all alerts.",
);
/// `--alertmanager.external-url`.
pub(crate) const EXTERNAL_URL: Flag = Flag::new(
    "alertmanager.external-url",
    FlagKind::Texts,
    "",
    "Only alerts whose message had this externalURL are compared with --alertmanager.url; all if not given. Needed where \
     several clusters send here. Repeatable.",
);
/// `--alertmanager.authorization-file`.
pub(crate) const AUTHORIZATION: Flag = Flag::text(
    "alertmanager.authorization-file",
    "",
    "File with the value of the Authorization header for --alertmanager.url, such as `Bearer TOKEN`.",
);
/// `--alertmanager.ca-file`.
pub(crate) const CA: Flag =
    Flag::text("alertmanager.ca-file", "", "PEM file of the authorities to trust for --alertmanager.url.");

/// All of them.
pub(crate) const FLAGS: [&Flag; 6] = [&URL, &INTERVAL, &GRACE, &EXTERNAL_URL, &AUTHORIZATION, &CA];

/// The Alertmanagers of one cluster, and what is known from asking them before.
pub(crate) struct Reconciler {
    peers: Vec<(String, Client)>,
    authorization: Option<PathBuf>,
    interval: Duration,
    grace: Duration,
    external: Vec<String>,
    /// Since when an episode that fires here is not there any more.
    absent: HashMap<i64, Nanos>,
}

/// What one cluster shows.
#[derive(Debug, Default)]
struct View {
    alerts: HashMap<String, Shown>,
    /// Every member answered, and has run long enough to have heard of all that fires.
    complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    /// To the millisecond: the API says no more.
    starts_ms: i64,
    verdict: Verdict,
    by: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Firing,
    Silenced,
    Inhibited,
    Muted,
    Ended,
}

/// An episode that may need a correction.
#[derive(Clone, Debug)]
struct Episode {
    id: i64,
    fingerprint: String,
    starts: Nanos,
    state: EpisodeState,
    last: i64,
    said: String,
    said_at: Nanos,
}

#[derive(Debug)]
struct Correction {
    episode: Episode,
    to: EpisodeState,
    verdict: Verdict,
    by: String,
    ended: Option<Nanos>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiAlert {
    fingerprint: String,
    starts_at: String,
    status: ApiStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiStatus {
    state: String,
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
    #[serde(default)]
    muted_by: Vec<String>,
}

#[derive(Deserialize)]
struct ApiUptime {
    uptime: String,
}

impl Reconciler {
    /// `None` when no Alertmanager is named.
    pub(crate) fn of(flags: &Flags) -> Result<Option<Self>, String> {
        let path = |flag: &Flag| Some(flags.text(flag.name)).filter(|p| !p.is_empty()).map(PathBuf::from);
        let mut peers = Vec::new();
        for url in flags.texts(URL.name).iter().filter(|u| !u.is_empty()) {
            service::client::check_address(url).map_err(|e| format!("--{}: {e}", URL.name))?;
            if service::client::without_credentials(url) != *url {
                return Err(format!("--{}: no password here, use --{}", URL.name, AUTHORIZATION.name));
            }
            let options = Options {
                user_agent: concat!("webhook-sink/", env!("CARGO_PKG_VERSION")).into(),
                tls: Tls { verify: true, ca: path(&CA), identity: None },
                max_body: BODY,
                redirects: 0,
                ..Options::default()
            };
            let client = Client::new(options).map_err(|e| format!("--{}: {e}", CA.name))?;
            peers.push((url.trim_end_matches('/').to_owned(), client));
        }
        if peers.is_empty() {
            return Ok(None);
        }
        let authorization = path(&AUTHORIZATION);
        if let Some(file) = &authorization {
            secret::read(file).map_err(|e| format!("--{}: {e}", AUTHORIZATION.name))?;
        }
        Ok(Some(Self {
            peers,
            authorization,
            interval: flags.duration(INTERVAL.name).max(Duration::from_millis(100)),
            grace: flags.duration(GRACE.name),
            external: flags.texts(EXTERNAL_URL.name).iter().filter(|u| !u.is_empty()).cloned().collect(),
            absent: HashMap::new(),
        }))
    }

    /// Asks again and again; ends with the service.
    pub(crate) async fn run(
        mut self,
        store: Store,
        metrics: std::sync::Arc<Metrics>,
        nudge: Nudge,
        shutdown: Shutdown,
    ) {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = tokio::time::sleep(self.interval) => {}
            }
            let view = self.ask(&metrics).await;
            match self.turn(&store, &view, &metrics).await {
                Ok(0) => {}
                Ok(changed) => {
                    tracing::info!(changed, "corrected alerts after asking Alertmanager");
                    nudge.send_modify(|n| *n += 1);
                }
                Err(e) => tracing::warn!(error = %e, "cannot compare the alerts with Alertmanager's"),
            }
        }
    }

    async fn ask(&self, metrics: &Metrics) -> View {
        let mut view = View { complete: true, ..View::default() };
        for (url, client) in &self.peers {
            let answer = self.ask_one(url, client).await;
            let up = metrics.alertmanagers.get_or_create(&One([("alertmanager", url.clone())]));
            up.set(i64::from(answer.is_ok()));
            match answer {
                Ok((alerts, started)) => {
                    view.complete &= started.until(Nanos::now()) > self.grace;
                    for (fingerprint, shown) in alerts {
                        let kept = view.alerts.entry(fingerprint).or_insert_with(|| shown.clone());
                        // One member that shows it as firing is enough: silences may be on their way to it.
                        if shown.verdict == Verdict::Firing || shown.starts_ms > kept.starts_ms {
                            *kept = shown;
                        }
                    }
                }
                Err(e) => {
                    tracing::warn!(alertmanager = url, error = e, "cannot ask Alertmanager for its alerts");
                    view.complete = false;
                }
            }
        }
        view
    }

    async fn ask_one(&self, url: &str, client: &Client) -> Result<(Vec<(String, Shown)>, Nanos), String> {
        let status: ApiUptime = self.get(client, &format!("{url}/api/v2/status")).await?;
        let started = Nanos::parse(&status.uptime).ok_or("its status has no start time")?;
        let alerts: Vec<ApiAlert> = self.get(client, &format!("{url}/api/v2/alerts")).await?;
        let shown = alerts.into_iter().filter_map(|alert| {
            let starts_ms = Nanos::parse(&alert.starts_at)?.0.div_euclid(1_000_000);
            let (verdict, by) = alert.status.verdict()?;
            Some((alert.fingerprint, Shown { starts_ms, verdict, by }))
        });
        Ok((shown.collect(), started))
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, client: &Client, url: &str) -> Result<T, String> {
        let mut headers = HeaderMap::new();
        if let Some(file) = &self.authorization {
            let text = secret::read(file)?;
            let mut value = HeaderValue::from_str(&text).map_err(|_| format!("{}: not a header", file.display()))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let deadline = Instant::now() + TIMEOUT;
        let reply = client.send(Method::GET, url, headers, Bytes::new(), deadline).await.map_err(|e| e.to_string())?;
        if reply.status != StatusCode::OK {
            return Err(format!("{url} answered {}", reply.status));
        }
        serde_json::from_slice(&reply.body).map_err(|e| format!("{url}: {e}"))
    }

    /// Compares and corrects; answers how many episodes changed.
    async fn turn(&mut self, store: &Store, view: &View, metrics: &Metrics) -> Result<usize, StoreError> {
        let external = self.external.clone();
        let episodes = store.read(move |db| open_episodes(db, &external)).await?;
        let now = Nanos::now();
        let open: HashSet<i64> = episodes.iter().map(|e| e.id).collect();
        self.absent.retain(|id, _| open.contains(id));
        let corrections: Vec<Correction> =
            episodes.into_iter().filter_map(|episode| self.judge(episode, view, now)).collect();
        let mut changed = 0;
        let mut rest = corrections.into_iter().peekable();
        while rest.peek().is_some() {
            let piece: Vec<Correction> = rest.by_ref().take(PIECE).collect();
            let done = store
                .write(move |db| {
                    db.lock(Lock::Index)?;
                    let mut done = Vec::new();
                    for correction in &piece {
                        if correct(db, correction, now)? {
                            done.push(correction.verdict);
                        }
                    }
                    Ok(done)
                })
                .await?;
            for verdict in &done {
                metrics.reconciled.get_or_create(&One([("to", verdict.name().into())])).inc();
            }
            changed += done.len();
        }
        Ok(changed)
    }

    /// What has to change about an episode, if anything.
    fn judge(&mut self, episode: Episode, view: &View, now: Nanos) -> Option<Correction> {
        let starts_ms = episode.starts.0.div_euclid(1_000_000);
        let shown = view.alerts.get(&episode.fingerprint).filter(|s| (s.starts_ms - starts_ms).abs() <= 1);
        if let Some(shown) = shown {
            self.absent.remove(&episode.id);
            let to = if shown.verdict == Verdict::Firing { EpisodeState::Firing } else { EpisodeState::Stale };
            let by = shown.by.join(" ");
            let said = format!("{} {by}", shown.verdict.name());
            // What stays the same is written down again from time to time, so that it does not count as forgotten.
            let fresh = episode.said == said && episode.said_at.until(now) < AGAIN;
            if episode.state == to && fresh {
                return None;
            }
            return Some(Correction { episode, to, verdict: shown.verdict, by, ended: None });
        }
        if !view.complete {
            return None;
        }
        let since = *self.absent.entry(episode.id).or_insert(now);
        // No end of a stale one will ever be sent; that of a firing one may be on its way.
        if episode.state == EpisodeState::Firing && since.until(now) < self.grace {
            return None;
        }
        let (to, verdict, by) = (EpisodeState::Resolved, Verdict::Ended, String::new());
        Some(Correction { episode, to, verdict, by, ended: Some(since) })
    }
}

impl ApiStatus {
    /// `None` for one that Alertmanager itself has not looked at yet.
    fn verdict(self) -> Option<(Verdict, Vec<String>)> {
        match self.state.as_str() {
            "active" => Some((Verdict::Firing, Vec::new())),
            "suppressed" if !self.silenced_by.is_empty() => Some((Verdict::Silenced, self.silenced_by)),
            "suppressed" if !self.inhibited_by.is_empty() => Some((Verdict::Inhibited, self.inhibited_by)),
            "suppressed" => Some((Verdict::Muted, self.muted_by)),
            _ => None,
        }
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Silenced => "silenced",
            Self::Inhibited => "inhibited",
            Self::Muted => "muted",
            Self::Ended => "ended",
        }
    }
}

/// What Alertmanager said of an episode last: the word, by what, and when.
pub(crate) fn said(db: &mut dyn Connection, episode: i64) -> Result<Option<(String, String, Nanos)>, StoreError> {
    db.first("SELECT verdict, by_what, at_ns FROM checks WHERE episode_id = ?1", args![episode], |row| {
        Ok((row.text(0)?, row.text(1)?, Nanos(row.int(2)?)))
    })
}

/// Episodes that fire or are stale. Those without an external URL are not Alertmanager's, such as the sink's own.
fn open_episodes(db: &mut dyn Connection, external: &[String]) -> Result<Vec<Episode>, StoreError> {
    let mut found = Vec::new();
    db.query(
        "SELECT e.id, e.fingerprint, e.starts_ns, e.state, e.last_ns, e.external_url, c.verdict, c.by_what, c.at_ns
         FROM episodes e LEFT JOIN checks c ON c.episode_id = e.id
         WHERE e.state IN (0, 2) AND e.external_url <> '' ORDER BY e.id DESC LIMIT ?1",
        args![MOST],
        &mut |row| {
            let sender = row.text(5)?;
            if external.is_empty() || external.iter().any(|u| u.trim_end_matches('/') == sender.trim_end_matches('/')) {
                found.push(Episode {
                    id: row.int(0)?,
                    fingerprint: row.text(1)?,
                    starts: Nanos(row.int(2)?),
                    state: EpisodeState::of(row.int(3)?),
                    last: row.int(4)?,
                    said: format!("{} {}", row.text(6)?, row.text(7)?),
                    said_at: Nanos(row.int(8)?),
                });
            }
            Ok(())
        },
    )?;
    Ok(found)
}

/// Applies one correction, unless a message told something newer meanwhile. Answers whether the state changed.
fn correct(db: &mut dyn Connection, c: &Correction, now: Nanos) -> Result<bool, StoreError> {
    let changes = c.episode.state != c.to;
    let still = db.execute(
        "UPDATE episodes SET state = ?4, ends_ns = ?5, changed_ns = CASE WHEN ?6 = 1 THEN ?7 ELSE changed_ns END
         WHERE id = ?1 AND state = ?2 AND last_ns = ?3",
        args![
            c.episode.id,
            c.episode.state as i64,
            c.episode.last,
            c.to as i64,
            c.ended.map(|n| n.0),
            i64::from(changes),
            now.0
        ],
    )?;
    if still == 0 {
        return Ok(false);
    }
    db.execute(
        "INSERT INTO checks (episode_id, verdict, by_what, at_ns) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (episode_id) DO UPDATE SET verdict = excluded.verdict, by_what = excluded.by_what, at_ns = excluded.at_ns",
        args![c.episode.id, c.verdict.name(), &c.by, now.0],
    )?;
    if !changes {
        return Ok(false);
    }
    index::follow_members(db, c.episode.id, c.to, now)?;
    Ok(true)
}

/// How long Alertmanager may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer: a hundred thousand alerts.
const BODY: usize = 64 << 20;
/// Episodes compared at a time, and corrected in one transaction.
const MOST: i64 = 100_000;
const PIECE: usize = 200;
/// How old a note may be that says the same.
const AGAIN: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn reconciler() -> Reconciler {
        Reconciler {
            peers: Vec::new(),
            authorization: None,
            interval: Duration::from_secs(1),
            grace: Duration::from_mins(10),
            external: Vec::new(),
            absent: HashMap::new(),
        }
    }

    fn episode(state: EpisodeState) -> Episode {
        Episode {
            id: 1,
            fingerprint: "f".into(),
            starts: Nanos(1_500_000_999),
            state,
            last: 0,
            said: " ".into(),
            said_at: Nanos(0),
        }
    }

    fn view(starts_ms: i64, state: &str, complete: bool) -> View {
        let status: ApiStatus = serde_json::from_str(state).expect("a status");
        let (verdict, by) = status.verdict().expect("a verdict");
        View { alerts: HashMap::from([("f".to_owned(), Shown { starts_ms, verdict, by })]), complete }
    }

    #[test]
    fn what_alertmanager_shows_decides() {
        let now = Nanos(10_000_000_000_000);
        let silenced = r#"{"state":"suppressed","silencedBy":["s1","s2"],"inhibitedBy":["x"]}"#;
        for (before, status, to, verdict, by) in [
            (EpisodeState::Firing, silenced, EpisodeState::Stale, Verdict::Silenced, "s1 s2"),
            (EpisodeState::Stale, silenced, EpisodeState::Stale, Verdict::Silenced, "s1 s2"),
            (
                EpisodeState::Firing,
                r#"{"state":"suppressed","inhibitedBy":["x"]}"#,
                EpisodeState::Stale,
                Verdict::Inhibited,
                "x",
            ),
            (
                EpisodeState::Firing,
                r#"{"state":"suppressed","mutedBy":["night"]}"#,
                EpisodeState::Stale,
                Verdict::Muted,
                "night",
            ),
            (EpisodeState::Stale, r#"{"state":"active"}"#, EpisodeState::Firing, Verdict::Firing, ""),
        ] {
            let found = reconciler().judge(episode(before), &view(1500, status, false), now).expect(status);
            assert_eq!((found.to, found.verdict, found.by.as_str()), (to, verdict, by), "{status}");
        }
        assert!(serde_json::from_str::<ApiStatus>(r#"{"state":"unprocessed"}"#).expect("reads").verdict().is_none());
    }

    #[test]
    fn the_same_news_is_written_down_once_an_hour() {
        let now = Nanos(10_000_000_000_000);
        let known = |ago: Duration| Episode {
            said: "firing ".into(),
            said_at: now.before(ago),
            ..episode(EpisodeState::Firing)
        };
        let view = view(1500, r#"{"state":"active"}"#, true);
        assert!(reconciler().judge(known(Duration::from_mins(5)), &view, now).is_none());
        assert!(reconciler().judge(known(Duration::from_mins(70)), &view, now).is_some());
    }

    #[test]
    fn an_absent_alert_ends_when_everybody_has_been_asked_and_the_grace_is_over() {
        let mut reconciler = reconciler();
        let (now, later) = (Nanos(10_000_000_000_000), Nanos(10_000_000_000_000).after(Duration::from_mins(11)));
        let nothing = |complete| View { alerts: HashMap::new(), complete };
        assert!(reconciler.judge(episode(EpisodeState::Firing), &nothing(false), now).is_none(), "one did not answer");
        assert!(reconciler.judge(episode(EpisodeState::Firing), &nothing(true), now).is_none(), "its word may come");
        let ended = reconciler.judge(episode(EpisodeState::Firing), &nothing(true), later).expect("ended");
        assert_eq!((ended.to, ended.ended), (EpisodeState::Resolved, Some(now)));
        let stale = reconciler.judge(Episode { id: 2, ..episode(EpisodeState::Stale) }, &nothing(true), now);
        assert_eq!(stale.expect("ended").to, EpisodeState::Resolved);
        // The same alert began anew: this episode of it is over.
        let other = view(99_000, r#"{"state":"active"}"#, true);
        assert_eq!(
            reconciler.judge(Episode { id: 3, ..episode(EpisodeState::Stale) }, &other, now).expect("ended").to,
            EpisodeState::Resolved
        );
    }
}
