//! Alerts and groups as a page shows them.

use serde_json::{Map, Value};

use super::encode;
use super::words::Words;
use crate::clock::Nanos;
use crate::history::alerts::Alert;
use crate::history::label;
use crate::index::{EpisodeState, severity_name};

/// A label that filters when it is clicked.
pub(super) struct Chip {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) with: String,
    pub(super) without: String,
}

/// A way to somewhere else; the address is http or https, or this server's own.
pub(super) struct Link {
    pub(super) href: String,
    pub(super) text: &'static str,
}

/// One line or card.
pub(super) struct Item {
    pub(super) id: i64,
    pub(super) title: String,
    pub(super) href: String,
    pub(super) severity: &'static str,
    pub(super) state: &'static str,
    pub(super) state_text: &'static str,
    pub(super) since: String,
    pub(super) since_text: String,
    pub(super) lasted: String,
    pub(super) chips: Vec<Chip>,
    pub(super) links: Vec<Link>,
}

impl Item {
    /// `q` is the search that a chip adds to.
    pub(super) fn of(alert: &Alert, t: &'static Words, q: &str) -> Self {
        let title = title(alert.name(), &alert.annotations);
        let end = alert.ends.filter(|_| alert.state == EpisodeState::Resolved);
        Self {
            id: alert.id,
            title,
            href: format!("/alert/{}", encode(&alert.fingerprint)),
            severity: severity_name(alert.severity),
            state: alert.state.name(),
            state_text: state_text(alert.state, t),
            since: alert.starts.rfc3339_seconds(),
            since_text: ago(alert.starts, t),
            lasted: end.map(|e| t.span(alert.starts.until(e).as_secs())).unwrap_or_default(),
            chips: chips(&alert.labels, q),
            links: links(&alert.labels, &alert.annotations, &alert.generator_url, &alert.external_url, t),
        }
    }
}

/// The summary first, then the alert's name.
pub(super) fn title(name: &str, annotations: &Map<String, Value>) -> String {
    let summary = ["summary", "title", "message", "description"].iter().find_map(|n| label(annotations, n));
    match summary.map(|s| s.trim().chars().take(300).collect::<String>()).filter(|s| !s.is_empty()) {
        Some(summary) if name.is_empty() => summary,
        Some(summary) => format!("{name}: {summary}"),
        None => name.to_owned(),
    }
}

pub(super) fn state_text(state: EpisodeState, t: &Words) -> &'static str {
    match state {
        EpisodeState::Firing => t.firing,
        EpisodeState::Resolved => t.resolved,
        EpisodeState::Stale => t.stale,
    }
}

pub(super) fn ago(at: Nanos, t: &Words) -> String {
    match at.until(Nanos::now()).as_secs() {
        0 => t.now.to_owned(),
        s => format!("{}{}", t.span(s), t.ago),
    }
}

pub(super) fn chips(labels: &Map<String, Value>, q: &str) -> Vec<Chip> {
    labels
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_str()?)))
        .map(|(name, value)| {
            let matcher = |operator: &str| {
                let plain = name.chars().all(|c| c.is_alphanumeric() || "_.:-/".contains(c));
                let name = if plain { name.clone() } else { quote(name) };
                let all = format!("{q} {name}{operator}{}", quote(value));
                format!("/?q={}", encode(all.trim()))
            };
            Chip { name: name.clone(), value: value.to_owned(), with: matcher("="), without: matcher("!=") }
        })
        .collect()
}

/// A text in quotes, as Alertmanager's matchers read it.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// Silence, runbook, graph, dashboard: those that the alert has.
pub(super) fn links(
    labels: &Map<String, Value>,
    annotations: &Map<String, Value>,
    generator_url: &str,
    external_url: &str,
    t: &'static Words,
) -> Vec<Link> {
    let annotation = |names: &[&str]| names.iter().find_map(|n| label(annotations, n)).unwrap_or_default();
    let matchers: Vec<String> =
        labels.iter().filter_map(|(n, v)| Some(format!("{n}={}", quote(v.as_str()?)))).collect();
    let silence = format!(
        "{}/#/silences/new?filter={}",
        external_url.trim_end_matches('/'),
        encode(&format!("{{{}}}", matchers.join(",")))
    );
    [
        (t.silence, silence.as_str()),
        (t.runbook, annotation(&["runbook_url", "runbook"])),
        (t.graph, generator_url),
        (t.dashboard, annotation(&["dashboard_url", "dashboard", "grafana_url"])),
    ]
    .into_iter()
    .filter(|(_, href)| is_web(href))
    .map(|(text, href)| Link { href: href.to_owned(), text })
    .collect()
}

/// Whether an address from an alert may become a link: `javascript:` and its like may not.
fn is_web(address: &str) -> bool {
    let start = address.get(..8).unwrap_or(address).to_ascii_lowercase();
    (start.starts_with("http://") || start.starts_with("https://")) && !address.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_become_links() {
        for (address, is) in [
            ("https://x.example/a", true),
            ("HTTP://x.example", true),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("//x.example", false),
            ("", false),
            ("http://x\n.example", false),
        ] {
            assert_eq!(is_web(address), is, "{address}");
        }
    }

    #[test]
    fn a_chip_searches_for_what_it_shows() {
        let labels: Map<String, Value> = serde_json::from_str(r#"{"with space":"a\"b\\"}"#).expect("JSON");
        let chips = chips(&labels, "");
        let q = chips[0].with.strip_prefix("/?q=").expect("a search");
        assert_eq!(q, encode(r#""with space"="a\"b\\""#));
        let matchers = crate::matcher::parse(r#""with space"="a\"b\\""#).expect("parses");
        assert!(matchers[0].matches(|n| label(&labels, n)));
    }
}
