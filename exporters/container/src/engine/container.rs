//! One container as its engine describes it, in the form in which pages need it.

use super::answer::{self, Inspected, Listed};
use super::described::Described;
use crate::cgroups::{Controller, path_in};
use crate::names;
use crate::pid::{Process, writable_layer};
use exposition::sanitize_label_name;
use hostfs::{Buf, Sources};
use std::path::PathBuf;

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    /// Name and value of each label but `id`, sorted by name; none is empty.
    pub(crate) labels: Vec<(String, String)>,
    /// Seconds since the epoch.
    pub(crate) created: Option<i64>,
    pub(crate) started: Option<i64>,
    pub(crate) restarts: Option<u64>,
    pub(crate) health: Health,
    pub(crate) share: Share,
    /// CPU shares that were asked for.
    pub(crate) shares: Option<u64>,
    /// Its writable layer and the folder with its logs.
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) process: Option<Process>,
    /// Its own cgroup in v1 hierarchies and in the unified one.
    pub(crate) cgroups: Option<(Vec<u8>, Vec<u8>)>,
    /// `/proc/PID/cgroup` as it was: if it changes, everything is looked at anew.
    table: Vec<u8>,
    /// What the list said, to see changes.
    listed: Summary,
    /// Whether it was inspected.
    pub(crate) complete: bool,
}

/// What `container_health_state` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Unchecked,
    Healthy,
    Failing,
}

impl Health {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Unchecked => -1,
            Self::Healthy => 1,
            Self::Failing => 0,
        }
    }

    /// From the word of an inspection.
    fn of_word(word: &str) -> Self {
        match word {
            "" | "none" => Self::Unchecked,
            "healthy" => Self::Healthy,
            _ => Self::Failing,
        }
    }

    /// From the status of a list; `None` where it does not say (paused).
    fn of_status(status: &str) -> Option<Self> {
        let bracketed = status.rsplit_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        match bracketed {
            "healthy" => Some(Self::Healthy),
            "unhealthy" | "health: starting" => Some(Self::Failing),
            _ => None,
        }
    }
}

/// Whose network a container uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    Own,
    /// Another container's, or the host's.
    Anothers,
}

/// What is compared between two lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Summary {
    name: String,
    image: String,
    /// As JSON.
    labels: String,
    health: Option<i64>,
}

impl Summary {
    fn of(listed: &Listed<'_>) -> Self {
        let name = listed.names.iter().flatten().map(|n| n.trim_start_matches('/'));
        // An alias through a link has another container's name before it.
        let name = name.min_by_key(|n| n.contains('/')).unwrap_or_default();
        Self {
            name: name.to_owned(),
            image: listed.image.as_deref().unwrap_or_default().to_owned(),
            labels: listed.labels.map(|l| l.get().to_owned()).unwrap_or_default(),
            health: Health::of_status(listed.status.as_deref().unwrap_or_default()).map(Health::number),
        }
    }
}

impl From<&Described> for Summary {
    fn from(described: &Described) -> Self {
        Self {
            name: described.name.clone(),
            image: described.image.clone(),
            labels: serde_json::to_string(&described.labels).unwrap_or_default(),
            health: None,
        }
    }
}

/// Which of a container's labels and variables are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labelling {
    pub(crate) all: bool,
    /// Names of labels that are shown when not all are.
    pub(crate) listed: Vec<String>,
    /// Prefixes of variables.
    pub(crate) env: Vec<String>,
}

impl Container {
    /// From the list, and from an inspection where there was one.
    pub(crate) fn new(
        listed: &Listed<'_>,
        inspected: Option<Inspected>,
        labelling: &Labelling,
        sources: &Sources,
        buf: &mut Buf,
    ) -> Self {
        let summary = Summary::of(listed);
        let complete = inspected.is_some();
        let inspected = inspected.unwrap_or_default();
        let state = inspected.state.unwrap_or_default();
        let config = inspected.config.unwrap_or_default();
        let image = config.image.filter(|i| !i.is_empty()).unwrap_or_else(|| summary.image.clone());
        let labels = shown(labelling, &summary.labels, &config.env.unwrap_or_default(), &image, &summary.name);
        let created = listed.created.and_then(|c| {
            let text = c.get().trim_matches('"');
            text.parse().ok().or_else(|| epoch(text))
        });
        let health = Health::of_status(listed.status.as_deref().unwrap_or_default())
            .unwrap_or_else(|| Health::of_word(&state.health.and_then(|h| h.status).unwrap_or_default()));
        let host_config = inspected.host_config.unwrap_or_default();
        let mode = host_config.network_mode.unwrap_or_default();
        let upper = inspected.graph_driver.and_then(|g| g.data?.remove("UpperDir")?).map(PathBuf::from);
        let beside = [inspected.log_path, inspected.hostname_path].into_iter().flatten().find(|p| !p.is_empty());
        let logs = beside.and_then(|p| Some(PathBuf::from(p).parent()?.to_owned()));
        let process = state.pid.filter(|&pid| pid > 0).map(|pid| Process::new(sources, pid));
        let upper = upper.or_else(|| writable_layer(sources, process.as_ref()?.pid, buf));
        let table = process.as_ref().and_then(|p| p.cgroups(buf)).unwrap_or_default().to_vec();
        Self {
            cgroups: own_cgroups(&table, &listed.id),
            id: listed.id.clone().into_owned(),
            labels,
            created: inspected.created.as_deref().and_then(epoch).or(created),
            started: state.started_at.as_deref().and_then(epoch),
            restarts: inspected.restart_count,
            health,
            share: if mode == "host" || mode.starts_with("container:") { Share::Anothers } else { Share::Own },
            shares: host_config.cpu_shares.filter(|&shares| shares > 0),
            // Logs alone are not what it takes.
            folders: upper.map(|upper| [upper].into_iter().chain(logs).collect()).unwrap_or_default(),
            process,
            table,
            listed: summary,
            complete,
        }
    }

    /// From the description of an engine that is no Docker.
    pub(crate) fn described(described: &Described, labelling: &Labelling, sources: &Sources, buf: &mut Buf) -> Self {
        let summary = Summary::from(described);
        let process = described.pid.map(|pid| Process::new(sources, pid));
        let folder = described.folder.clone().or_else(|| writable_layer(sources, described.pid?, buf));
        let table = process.as_ref().and_then(|p| p.cgroups(buf)).unwrap_or_default().to_vec();
        Self {
            cgroups: own_cgroups(&table, &described.id),
            id: described.id.clone(),
            labels: shown(labelling, &summary.labels, &described.env, &described.image, &described.name),
            created: described.created,
            started: None,
            restarts: None,
            health: Health::Unchecked,
            share: if described.joined { Share::Anothers } else { Share::Own },
            shares: described.shares,
            folders: folder.into_iter().collect(),
            process,
            table,
            listed: summary,
            complete: true,
        }
    }

    /// Whether it is still as described, and its process the one that was looked at.
    pub(crate) fn is_as(&self, described: &Described, buf: &mut Buf) -> bool {
        self.process.as_ref().map(|p| p.pid) == described.pid
            && self.listed == Summary::from(described)
            && described.folder.as_ref().is_none_or(|folder| self.folders.first() == Some(folder))
            && match &self.process {
                Some(process) if !self.table.is_empty() => process.is_as(&self.table, buf),
                // Of another pid namespace, or gone when it was looked at.
                Some(_) => self.cgroups.is_some(),
                None => true,
            }
    }

    /// Whether it is still what the list says, and its process the one that was looked at.
    pub(crate) fn is_still(&self, listed: &Listed<'_>, now: i64, buf: &mut Buf) -> bool {
        // The list tells roughly since when it runs: an end is seen where the process cannot be, and where another has
        // come by its number.
        let longest = uptime_at_most(listed.status.as_deref().unwrap_or_default());
        let since = self.started.zip(longest).map(|(started, longest)| now - started - longest);
        self.complete
            && self.listed == Summary::of(listed)
            && since.is_none_or(|late| late < SLACK)
            && self.process.as_ref().is_none_or(|p| self.table.is_empty() || p.is_as(&self.table, buf))
    }
}

/// Its cgroups in v1 and in the unified hierarchy.
fn own_cgroups(table: &[u8], id: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let v1 = [Controller::Memory, Controller::Cpuacct, Controller::Pids].into_iter().find_map(|c| path_in(table, c));
    let unified = path_in(table, Controller::Unified);
    let own = |path: &[u8]| names::own_cgroup(path, id).to_vec();
    // A hybrid host may leave everything at the root of one of them.
    let (first, second) = (v1.or(unified)?, unified.or(v1)?);
    // Seen from inside a cgroup namespace: no path of the host.
    if first.starts_with(b"/..") || second.starts_with(b"/..") {
        return None;
    }
    Some((own(first), own(second)))
}

/// The labels of all series of a container but `id`.
fn shown(labelling: &Labelling, labels: &str, env: &[String], image: &str, name: &str) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = Vec::new();
    for (key, value) in answer::labels(labels) {
        if labelling.all || labelling.listed.contains(&key) {
            shown.push((label_name("container_label_", &key), value));
        }
    }
    for prefix in labelling.env.iter().filter(|p| !p.is_empty()) {
        for (key, value) in env.iter().filter_map(|e| e.split_once('=')) {
            if key.starts_with(prefix.as_str()) {
                shown.push((label_name("container_env_", &key.to_lowercase()), value.to_owned()));
            }
        }
    }
    shown.push(("image".to_owned(), image.to_owned()));
    shown.push(("name".to_owned(), name.to_owned()));
    // Two keys may give one name: the one that sorts first wins, each time.
    shown.sort_by(|a, b| a.0.cmp(&b.0));
    shown.dedup_by(|b, a| a.0 == b.0);
    shown.retain(|(_, value)| !value.is_empty());
    shown
}

fn label_name(prefix: &str, key: &str) -> String {
    sanitize_label_name(&format!("{prefix}{key}")).into_owned()
}

/// The most seconds that a container can have run of which a list says `Up About an hour`; `None` where it says nothing.
fn uptime_at_most(status: &str) -> Option<i64> {
    let text = status.strip_prefix("Up ")?;
    let mut words = text.split(' ');
    let count = match words.next()? {
        "About" | "Less" => {
            words.next()?;
            1
        }
        count => count.parse::<i64>().ok()?,
    };
    let unit = match words.next()?.trim_end_matches('s') {
        // "Less than a second" counts "a".
        "second" | "a" | "an" => 1,
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        "week" => 7 * 86_400,
        "month" => 31 * 86_400,
        "year" => 366 * 86_400,
        _ => return None,
    };
    // Docker rounds, and says "week" from 14 days on.
    count.checked_add(1)?.checked_mul(unit)
}

/// Clocks and rounding, in seconds.
const SLACK: i64 = 5;

/// Seconds since the epoch of a time such as `2026-11-22T13:13:31.5Z`; `None` for Go's zero time.
fn epoch(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' '])?;
    let mut date = date.splitn(3, '-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let clock = time.get(..8)?;
    let mut clock = clock.splitn(3, ':').map(str::parse::<i64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    let zone = time[8..].find(['+', '-']).map(|at| &time[8 + at..]);
    let offset = match zone {
        Some(zone) => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let seconds =
                hours.parse::<i64>().ok()?.checked_mul(3600)?.checked_add(minutes.parse::<i64>().ok()? * 60)?;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
        None => 0,
    };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since the epoch of a date of the proleptic Gregorian calendar, years beginning in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        assert_eq!(epoch("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(epoch("2026-11-22T13:13:31.123456789Z"), Some(1_795_353_211));
        assert_eq!(epoch("2024-02-29T23:59:59+09:00"), Some(1_709_218_799));
        assert_eq!(epoch("2024-03-01 00:00:00 +0000 UTC"), None);
        for none in ["0001-01-01T00:00:00Z", "", "yesterday", "2024-13-01T00:00:00Z"] {
            assert_eq!(epoch(none), None, "{none}");
        }
    }

    #[test]
    fn uptimes_of_a_list() {
        assert_eq!(uptime_at_most("Up 5 seconds"), Some(6));
        assert_eq!(uptime_at_most("Up Less than a second"), Some(2));
        assert_eq!(uptime_at_most("Up About a minute (healthy)"), Some(120));
        assert_eq!(uptime_at_most("Up 3 hours"), Some(4 * 3600));
        assert_eq!(uptime_at_most("Up 9223372036854775807 years"), None);
        for none in ["", "Up", "Created", "Up some"] {
            assert_eq!(uptime_at_most(none), None, "{none}");
        }
    }

    #[test]
    fn health_of_a_list() {
        assert_eq!(Health::of_status("Up 5 minutes (healthy)"), Some(Health::Healthy));
        assert_eq!(Health::of_status("Up 1 second (health: starting)"), Some(Health::Failing));
        assert_eq!(Health::of_status("Up 1 second (unhealthy)"), Some(Health::Failing));
        assert_eq!(Health::of_status("Up 2 hours"), None);
        assert_eq!(Health::of_status("Up 2 hours (Paused)"), None);
    }

    #[test]
    fn labels_that_collide_are_few_or_empty() {
        let all = Labelling { all: true, ..Labelling::default() };
        let json = r#"{"a.b":"dot","a-b":"dash","empty":"","1x":"digit","q":"a\"b\\c\nd"}"#;
        let labels = shown(&all, json, &[], "img", "n");
        let names: Vec<&str> = labels.iter().map(|l| l.0.as_str()).collect();
        assert_eq!(names, ["container_label_1x", "container_label_a_b", "container_label_q", "image", "name"]);
        assert_eq!(labels[1].1, "dash");
        assert_eq!(labels[2].1, "a\"b\\c\nd");
        let some = Labelling { all: false, listed: vec!["a.b".into()], env: vec!["APP_".into()] };
        let env = ["APP_MODE=prod=1".to_owned(), "PATH=/bin".to_owned(), "broken".to_owned()];
        let labels = shown(&some, json, &env, "", "n");
        let pairs: Vec<(&str, &str)> = labels.iter().map(|l| (l.0.as_str(), l.1.as_str())).collect();
        assert_eq!(pairs, [("container_env_app_mode", "prod=1"), ("container_label_a_b", "dot"), ("name", "n")]);
    }

    #[test]
    fn cgroups_come_from_the_table() {
        let id = "a".repeat(64);
        let table = format!("4:memory:/docker/{id}\n0::/docker/{id}/init\n");
        let own = format!("/docker/{id}").into_bytes();
        assert_eq!(own_cgroups(table.as_bytes(), &id), Some((own.clone(), own)));
        assert_eq!(own_cgroups(b"0::/../x\n", &id), None);
        assert_eq!(own_cgroups(b"", &id), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_text_is_survived(text in ".{0,60}", digits in "[0-9T:+Z. -]{0,40}") {
            epoch(&text);
            epoch(&digits);
            Health::of_status(&text);
            uptime_at_most(&text);
        }
    }
}
