//! `--config.file`: targets, routes and watchdogs. Secrets are read from files, each time one is needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use super::note::Templates;
use crate::matcher::{self, Matcher};
use crate::secret;

/// The whole file, checked.
#[derive(Debug, Default)]
pub(crate) struct Config {
    pub(crate) targets: Vec<Target>,
    pub(crate) routes: Vec<Route>,
    pub(crate) watchdogs: Vec<Watchdog>,
    pub(crate) failing_targets: Option<FailingTargets>,
    pub(crate) templates: Templates,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    targets: Vec<Target>,
    #[serde(default)]
    routes: Vec<Route>,
    #[serde(default)]
    watchdogs: Vec<Watchdog>,
    failing_targets: Option<FailingTargets>,
    #[serde(default)]
    templates: BTreeMap<String, String>,
}

/// Somewhere to send to.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// Address of the webhook, or of the provider's API where another than its own is wanted.
    pub(crate) url: Option<String>,
    pub(crate) url_file: Option<PathBuf>,
    /// A bot's token.
    pub(crate) token_file: Option<PathBuf>,
    /// Slack's or Mattermost's channel, Telegram's chat.
    pub(crate) channel: Option<String>,
    /// Mail.
    #[serde(default)]
    pub(crate) mail: Option<Mail>,
    /// The command and its arguments; the message comes on its standard input.
    #[serde(default)]
    pub(crate) command: Vec<String>,
    /// Name of a template under `templates`.
    pub(crate) template: Option<String>,
    /// A file with authorities to trust beside the usual ones.
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(default = "yes")]
    pub(crate) send_resolved: bool,
    #[serde(default = "yes")]
    pub(crate) send_repeats: bool,
    /// Messages a second, at most; the default is what the provider allows.
    pub(crate) rate: Option<f64>,
    #[serde(default = "five_seconds", deserialize_with = "duration")]
    pub(crate) timeout: Duration,
    /// After this long without success a message becomes a dead letter.
    #[serde(default = "a_day", deserialize_with = "duration")]
    pub(crate) give_up_after: Duration,
}

/// How to send mail.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mail {
    /// `host:port`.
    pub(crate) server: String,
    #[serde(default)]
    pub(crate) tls: MailTls,
    pub(crate) username: Option<String>,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MailTls {
    #[default]
    Starttls,
    Tls,
    None,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Slack,
    SlackBot,
    Teams,
    Discord,
    Telegram,
    GoogleChat,
    Mattermost,
    Email,
    Command,
    Http,
}

/// Which messages go where. A message takes the first route that fits, and the next ones while `continue` is set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Route {
    /// All must fit one of the message's alerts; the label `receiver` is the Alertmanager receiver's name.
    #[serde(default, deserialize_with = "matchers")]
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) targets: Vec<String>,
    #[serde(default, rename = "continue")]
    pub(crate) go_on: bool,
}

/// An alert that must keep coming.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Watchdog {
    pub(crate) name: String,
    #[serde(deserialize_with = "matchers")]
    pub(crate) matchers: Vec<Matcher>,
    #[serde(deserialize_with = "duration")]
    pub(crate) after: Duration,
    pub(crate) targets: Vec<String>,
}

/// Who is told when a target has failed for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailingTargets {
    #[serde(deserialize_with = "duration")]
    pub(crate) after: Duration,
    pub(crate) targets: Vec<String>,
}

impl Config {
    /// Reads and checks the file, templates included.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let file: File = service::yaml::parse_file(path).map_err(|e| e.to_string())?;
        Self::check(file).map_err(|e| format!("{}: {e}", path.display()))
    }

    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        Self::check(service::yaml::from_str(text).map_err(|e| e.to_string())?)
    }

    fn check(file: File) -> Result<Self, String> {
        let templates = Templates::compile(&file.templates)?;
        let mut names = std::collections::HashSet::new();
        for target in &file.targets {
            if !names.insert(target.name.as_str()) {
                return Err(format!("target {}: the name is taken", target.name));
            }
            target.check(&templates).map_err(|e| format!("target {}: {e}", target.name))?;
        }
        let known = |what: &str, used: &[String]| match used.iter().find(|t| !names.contains(t.as_str())) {
            Some(name) => Err(format!("{what}: no target is called {name}")),
            None if used.is_empty() => Err(format!("{what}: no targets")),
            None => Ok(()),
        };
        for (i, route) in file.routes.iter().enumerate() {
            known(&format!("route {}", i + 1), &route.targets)?;
        }
        for watchdog in &file.watchdogs {
            known(&format!("watchdog {}", watchdog.name), &watchdog.targets)?;
        }
        if let Some(failing) = &file.failing_targets {
            known("failing_targets", &failing.targets)?;
        }
        let File { targets, routes, watchdogs, failing_targets, .. } = file;
        Ok(Self { targets, routes, watchdogs, failing_targets, templates })
    }
}

impl Target {
    fn check(&self, templates: &Templates) -> Result<(), String> {
        let need = |there: bool, what: &str| if there { Ok(()) } else { Err(format!("needs {what}")) };
        if let Some(url) = &self.url {
            service::client::check_address(url).map_err(|e| e.to_string())?;
        }
        match self.kind {
            Kind::SlackBot | Kind::Telegram => {
                need(self.token_file.is_some(), "token_file")?;
                need(self.channel.is_some(), "channel")?;
            }
            Kind::Email => {
                let mail = self.mail.as_ref().filter(|m| !m.to.is_empty());
                super::email::check(mail.ok_or("needs mail with server, from and to")?)?;
            }
            Kind::Command => need(!self.command.is_empty(), "command")?,
            _ => need(self.url.is_some() || self.url_file.is_some(), "url or url_file")?,
        }
        if let Some(name) = &self.template {
            need(templates.has(name), &format!("templates.{name}"))?;
        }
        if self.timeout.is_zero() {
            return Err("timeout must be above 0s".into());
        }
        if self.rate.is_some_and(|r| !(r.is_finite() && r > 0.0)) {
            return Err("rate must be above 0".into());
        }
        Ok(())
    }

    /// Files that it needs and that cannot be read now. They may come later, as secrets do.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mail = self.mail.as_ref().and_then(|m| m.password_file.as_deref());
        let files = [
            ("url_file", self.url_file.as_deref()),
            ("token_file", self.token_file.as_deref()),
            ("ca_file", self.ca_file.as_deref()),
            ("mail.password_file", mail),
        ];
        let unread = |(name, file): (&str, Option<&Path>)| {
            let error = std::fs::File::open(file?).err()?;
            Some(format!("{name} {}: {error}", file?.display()))
        };
        files.into_iter().filter_map(unread).collect()
    }

    /// The address to post to.
    pub(super) fn address(&self, default: &str) -> Result<String, String> {
        match (&self.url_file, &self.url) {
            (Some(file), _) => secret::read(file),
            (None, Some(url)) => Ok(url.clone()),
            (None, None) => Ok(default.to_owned()),
        }
    }

    pub(super) fn token(&self) -> Result<String, String> {
        self.token_file.as_deref().map_or_else(|| Ok(String::new()), secret::read)
    }

    /// Messages a second that the provider takes from one webhook or bot in one channel.
    pub(super) fn rate(&self) -> f64 {
        self.rate.unwrap_or(match self.kind {
            Kind::Slack | Kind::SlackBot | Kind::GoogleChat => 1.0,
            Kind::Discord => 0.4,
            Kind::Telegram => 0.33,
            Kind::Teams => 4.0,
            Kind::Mattermost | Kind::Email => 10.0,
            Kind::Command | Kind::Http => 50.0,
        })
    }
}

impl Kind {
    /// The type as the file spells it.
    pub(crate) fn of(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// The same word.
    pub(crate) fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

fn yes() -> bool {
    true
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn a_day() -> Duration {
    Duration::from_hours(24)
}

fn duration<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(d)?;
    service::parse_duration(&text).map_err(de::Error::custom)
}

fn matchers<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Matcher>, D::Error> {
    let mut all = Vec::new();
    for text in Vec::<String>::deserialize(d)? {
        all.extend(matcher::parse(&text).map_err(de::Error::custom)?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        for (text, wanted) in [
            ("targets: [{name: a, type: slack}]", "target a: needs url or url_file"),
            ("targets: [{name: a, type: slac, url: http://x}]", "slac"),
            ("targets: [{name: a, type: slack, url: http://x, colour: red}]", "colour"),
            ("targets: [{name: a, type: slack, url: http://x, template: t}]", "templates.t"),
            ("routes: [{matchers: ['a=b'], targets: [x]}]", "no target is called x"),
            ("routes: [{matchers: ['a=~\"(\"'], targets: [x]}]", "bad regular expression"),
            ("templates: {t: '{{ oops'}", "template t"),
            ("templates: {t: '{{ title|toUper }}'}", "toUper"),
            ("targets: [{name: a, type: email, mail: {server: smtp, from: a@b.c, to: [d@e.f]}}]", "expected host:port"),
            ("targets: [{name: a, type: email, mail: {server: 'smtp:25', from: a, to: [d@e.f]}}]", "mail address a"),
            ("targets: [{name: a, type: http, url: http://x, timeout: 0s}]", "timeout must be above"),
        ] {
            let error = Config::parse(text).expect_err(text);
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
