//! One episode of an alert: from its start to its end, whoever tells of it.

use std::time::Duration;

use crate::clock::Nanos;
use crate::message::{Pairs, Status};

/// What is known of an episode. The numbers are those in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EpisodeState {
    Firing = 0,
    Resolved = 1,
    /// Silenced, inhibited, cut off or forgotten: it vanished from its group without a resolution, and none will come.
    Stale = 2,
}

impl EpisodeState {
    pub(crate) fn of(n: i64) -> Self {
        match n {
            0 => Self::Firing,
            1 => Self::Resolved,
            _ => Self::Stale,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Stale => "stale",
        }
    }

    /// What becomes of an episode in this state when a message shows it as `status`.
    ///
    /// Messages of one Alertmanager come in order, so its firing after a resolution is a new turn (a Prometheus that was
    /// away long enough). Another Alertmanager of the same cluster may be late by its place in line and its retries: its
    /// firing soon after the resolution is old news.
    pub(crate) fn shown(self, status: Status, since_last: Duration, same_sender: bool) -> Self {
        match (self, status) {
            (_, Status::Resolved) => Self::Resolved,
            (Self::Resolved, Status::Firing) if !same_sender && since_last < PEER_LATE => Self::Resolved,
            (_, Status::Firing) => Self::Firing,
        }
    }
}

/// How long another Alertmanager of the same cluster may be late: its place in line times `cluster.peer-timeout`, and
/// its retries. Shorter than the default `group_interval`, after which it may have reason to send the same again.
pub(crate) const PEER_LATE: Duration = Duration::from_mins(4);
/// How long the same Alertmanager may take to send again what it got no answer for: its back-off ends at 60 s.
pub(crate) const RETRY_LATE: Duration = Duration::from_mins(1);
/// The same where it says itself that this is a repetition.
pub(crate) const TOLD_RETRY_LATE: Duration = Duration::from_secs(20);

/// A rank from the `severity` label; higher is worse.
pub(crate) fn severity(labels: &Pairs<'_>) -> i64 {
    let Some(word) = labels.value("severity").or_else(|| labels.value("priority")) else { return 1 };
    match word.to_ascii_lowercase().as_str() {
        "critical" | "page" | "disaster" | "emergency" | "fatal" | "p1" => 4,
        "error" | "high" | "major" | "p2" => 3,
        "warning" | "warn" | "average" | "minor" | "p3" => 2,
        "none" => 0,
        _ => 1,
    }
}

/// The rank's name, for metrics and pages.
pub(crate) fn severity_name(rank: i64) -> &'static str {
    match rank {
        4 => "critical",
        3 => "error",
        2 => "warning",
        0 => "none",
        _ => "info",
    }
}

/// One number for the set of (fingerprint, start, status) of a message: equal sets, equal state.
pub(crate) fn state_hash<'a>(alerts: impl Iterator<Item = (&'a str, Nanos, Status)>) -> i64 {
    // A sum of hashes does not depend on the order, which changes between versions.
    let mut sum = 0_u64;
    for (fingerprint, starts, status) in alerts {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in fingerprint.bytes().chain(starts.0.to_le_bytes()).chain([u8::from(status == Status::Firing)]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        sum = sum.wrapping_add(hash ^ (hash >> 29));
    }
    sum as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_news_of_a_peer_does_not_reopen() {
        let (soon, later) = (Duration::from_secs(30), Duration::from_mins(10));
        assert_eq!(EpisodeState::Resolved.shown(Status::Firing, soon, false), EpisodeState::Resolved);
        assert_eq!(EpisodeState::Resolved.shown(Status::Firing, later, false), EpisodeState::Firing);
        assert_eq!(EpisodeState::Resolved.shown(Status::Firing, soon, true), EpisodeState::Firing);
        assert_eq!(EpisodeState::Stale.shown(Status::Firing, soon, false), EpisodeState::Firing);
        assert_eq!(EpisodeState::Stale.shown(Status::Resolved, soon, false), EpisodeState::Resolved);
    }

    #[test]
    fn the_order_of_alerts_does_not_change_the_state() {
        let a = ("1381c85e734c63fd", Nanos(1), Status::Firing);
        let b = ("a22ed2feab1e6aba", Nanos(2), Status::Resolved);
        assert_eq!(state_hash([a, b].into_iter()), state_hash([b, a].into_iter()));
        assert_ne!(state_hash([a].into_iter()), state_hash([a, b].into_iter()));
        assert_ne!(state_hash([a].into_iter()), state_hash([(a.0, a.1, Status::Resolved)].into_iter()));
    }
}
