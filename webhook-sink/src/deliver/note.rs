//! What is said of a group: its newest state, put into words by a template.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, State};
use serde::Serialize;

use super::config::Kind;
use super::{escape, functions};
use crate::clock::Nanos;
use crate::message::{Message, Status};

/// The state of a group as templates see it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) status: &'static str,
    pub(crate) receiver: String,
    pub(crate) title: String,
    pub(crate) firing: usize,
    pub(crate) resolved: usize,
    /// Alerts that Alertmanager cut off.
    pub(crate) truncated: u64,
    pub(crate) severity: String,
    pub(crate) alerts: Vec<Line>,
    pub(crate) group_labels: BTreeMap<String, String>,
    pub(crate) common_labels: BTreeMap<String, String>,
    pub(crate) common_annotations: BTreeMap<String, String>,
    pub(crate) external_url: String,
    pub(crate) group_key: String,
    pub(crate) delivery: i64,
    /// The first attempt's outcome is unknown, so this may be its repetition.
    pub(crate) again: bool,
    /// This sink's page of the alert, or of the delivery of several; empty where it does not know its own address.
    pub(crate) page: String,
}

/// One alert of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) status: &'static str,
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) starts_at: String,
    pub(crate) ends_at: String,
    pub(crate) lasted: String,
    pub(crate) fingerprint: String,
    pub(crate) generator_url: String,
    /// Its history on this sink's page.
    pub(crate) page: String,
}

impl Note {
    /// `external` is this sink's own address, or empty.
    pub(crate) fn of(message: &Message<'_>, delivery: i64, again: bool, external: &str) -> Self {
        let link = |path: &str| if external.is_empty() { String::new() } else { format!("{external}{path}") };
        let map = |pairs: &crate::message::Pairs<'_>| -> BTreeMap<String, String> {
            pairs.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        let mut alerts: Vec<Line> = message
            .alerts
            .iter()
            .map(|a| {
                let (labels, annotations) = (map(&a.labels), map(&a.annotations));
                let name = labels.get("alertname").cloned().unwrap_or_default();
                let said = ["summary", "title", "message", "description"].iter().find_map(|n| annotations.get(*n));
                let place = ["instance", "pod", "host", "job"].iter().find_map(|n| labels.get(*n));
                Line {
                    status: if a.status == Status::Firing { "firing" } else { "resolved" },
                    summary: short(said.or(place).unwrap_or(&name)),
                    name,
                    starts_at: a.starts().rfc3339_seconds(),
                    ends_at: a.ends().map(Nanos::rfc3339_seconds).unwrap_or_default(),
                    lasted: a.ends().map(|e| span(a.starts().until(e).as_secs())).unwrap_or_default(),
                    page: link(&format!("/alert/{}", a.fingerprint())),
                    fingerprint: a.fingerprint(),
                    generator_url: a.generator_url.0.to_string(),
                    labels,
                    annotations,
                }
            })
            .collect();
        // Firing ones first: they survive a cut.
        alerts.sort_by_key(|a| a.status != "firing");
        let firing = alerts.iter().filter(|a| a.status == "firing").count();
        let common_labels = map(&message.common_labels);
        let group_labels = map(&message.group_labels);
        let title = common_labels.get("alertname").cloned().unwrap_or_else(|| {
            let labels: Vec<&str> = group_labels.values().map(String::as_str).collect();
            if labels.is_empty() { message.receiver_name() } else { labels.join(" ") }
        });
        let page = match alerts.as_slice() {
            [one] => one.page.clone(),
            _ => link(&format!("/delivery/{delivery}")),
        };
        let worst = message.alerts.iter().map(|a| crate::index::severity(&a.labels)).max().unwrap_or(1);
        Self {
            status: if message.status == Status::Firing { "firing" } else { "resolved" },
            receiver: message.receiver_name(),
            title,
            firing,
            resolved: alerts.len() - firing,
            truncated: message.truncated_alerts,
            severity: crate::index::severity_name(worst).to_owned(),
            alerts,
            group_labels,
            common_labels,
            common_annotations: map(&message.common_annotations),
            external_url: message.external_url.0.to_string(),
            group_key: message.group_key.0.to_string(),
            delivery,
            again,
            page,
        }
    }

    /// 0xRRGGBB by state and severity.
    pub(super) fn colour(&self) -> u32 {
        match (self.status, self.severity.as_str()) {
            ("resolved", _) => 0x001a_7f37,
            (_, "critical") => 0x00b4_161b,
            (_, "error") => 0x00d0_5a12,
            (_, "warning") => 0x00d4_a017,
            _ => 0x000b_5cad,
        }
    }

    pub(super) fn headline(&self) -> String {
        let count = if self.status == "firing" { format!("FIRING:{}", self.firing) } else { "RESOLVED".to_owned() };
        let again = if self.again { " (possibly repeated)" } else { "" };
        format!("[{count}] {}{again}", self.title)
    }
}

/// One alert's summary must not push all others out of a message; its annotations keep the whole.
fn short(text: &str) -> String {
    let mut out: String = text.chars().take(SUMMARY).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// The users' templates and ours, compiled.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    sources: BTreeMap<String, String>,
}

impl Templates {
    pub(crate) fn compile(sources: &BTreeMap<String, String>) -> Result<Self, String> {
        let this = Self { sources: sources.clone() };
        let mut env = environment(Kind::Http);
        for (name, source) in &this.sources {
            env.add_template(name, source).map_err(|e| format!("template {name}: {e}"))?;
        }
        for name in this.sources.keys() {
            this.try_out(name)?;
        }
        Ok(this)
    }

    /// A name that is mistyped shows only when it is used, so the template is used: on a group of one alert, of many, and
    /// on one that is over. Whatever else goes wrong may be the sample's fault, and is only told.
    fn try_out(&self, name: &str) -> Result<(), String> {
        use minijinja::ErrorKind::{UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
        for (status, alerts) in [("firing", 1), ("firing", 30), ("resolved", 2)] {
            let alert = format!(
                r#"{{"status":"{status}","labels":{{"alertname":"Sample","severity":"warning","instance":"db1:9100","job":"node"}},
                "annotations":{{"summary":"a sample","description":"a sample","runbook_url":"https://runbooks.example/"}},
                "startsAt":"2026-11-22T13:09:50Z","endsAt":"{}","generatorURL":"http://prometheus.example/graph"}}"#,
                if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T14:09:50Z" }
            );
            let body = format!(
                r#"{{"receiver":"sample","status":"{status}","groupKey":"{{}}:{{}}","externalURL":"http://alertmanager.example",
                "groupLabels":{{"alertname":"Sample"}},"commonLabels":{{"alertname":"Sample","severity":"warning"}},
                "commonAnnotations":{{"summary":"a sample"}},"alerts":[{}]}}"#,
                vec![alert; alerts].join(",")
            );
            let message = Message::parse(body.as_bytes()).map_err(|e| format!("template {name}: {e}"))?;
            let note = Note::of(&message, 1, false, "https://sink.example");
            match self.fill(Kind::Http, Some(name), &note, usize::MAX) {
                Err(e) if matches!(e.kind(), UnknownFilter | UnknownFunction | UnknownMethod | UnknownTest) => {
                    return Err(format!("template {name}: {e}"));
                }
                Err(e) => {
                    tracing::warn!(template = name, error = %e, "cannot put a sample into words; such messages go out in the built-in words");
                    break;
                }
                Ok(_) => {}
            }
        }
        Ok(())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.sources.contains_key(name)
    }

    /// Puts a note into words, as many alerts as fit into `limit` characters, the rest as a count.
    pub(crate) fn render(
        &self,
        kind: Kind,
        template: Option<&str>,
        note: &Note,
        limit: usize,
    ) -> Result<String, String> {
        self.fill(kind, template, note, limit).map_err(|e| format!("template {}: {e}", template.unwrap_or(OWN)))
    }

    /// The same where a template that fails must not keep the message back: then it goes out in the built-in words, and
    /// says why.
    pub(super) fn render_anyway(
        &self,
        kind: Kind,
        template: Option<&str>,
        note: &Note,
        limit: usize,
    ) -> Result<String, String> {
        self.render(kind, template, note, limit).or_else(|e| {
            tracing::error!(error = e, delivery = note.delivery, "sent in the built-in words");
            let why: String = e.chars().filter(|c| !c.is_control()).take(200).collect();
            let mut escaped = String::new();
            escape::value(kind, &why, &mut escaped);
            let room = limit.saturating_sub(escape::size(kind, &escaped) + 4);
            Ok(format!("{}\n({escaped})", self.render(kind, None, note, room)?))
        })
    }

    fn fill(&self, kind: Kind, template: Option<&str>, note: &Note, limit: usize) -> Result<String, minijinja::Error> {
        let mut env = environment(kind);
        let name = template.unwrap_or(OWN);
        let source = template.and_then(|t| self.sources.get(t)).map_or(BUILT_IN, String::as_str);
        env.add_template(name, source)?;
        let template = env.get_template(name)?;
        let mut head = note.clone();
        let alerts = std::mem::take(&mut head.alerts);
        let head = Value::from(Serde(head));
        let total = alerts.len();
        let mut shown = total.min(SHOWN);
        loop {
            let more = total - shown;
            let context = minijinja::context! { more, alerts => Value::from(Serde(&alerts[..shown])), ..head.clone() };
            let text = template.render(context)?;
            let text = text.trim().to_owned();
            if escape::size(kind, &text) <= limit || shown == 0 {
                return Ok(escape::cut(kind, &text, limit));
            }
            shown /= 2;
        }
    }
}

/// An environment whose every `{{ value }}` is escaped for the provider; what the template itself says is not.
fn environment(kind: Kind) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_fuel(Some(1_000_000));
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        env.set_syntax(syntax);
    }
    env.set_formatter(move |out, _: &mut State<'_, '_>, value| {
        if value.is_undefined() || value.is_none() {
            return Ok(());
        }
        let text = value.to_string();
        let done = if value.is_safe() {
            out.write_str(&text)
        } else {
            let mut escaped = String::with_capacity(text.len());
            escape::value(kind, &text, &mut escaped);
            out.write_str(&escaped)
        };
        done.map_err(|_| minijinja::Error::new(minijinja::ErrorKind::WriteFailure, "the output is full"))
    });
    functions::add(&mut env, kind);
    env
}

pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h{}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Characters of one alert's summary.
const SUMMARY: usize = 500;
/// Alerts put into words at most; the rest is a count.
const SHOWN: usize = 20;

/// The name of our own template.
const OWN: &str = "(built in)";

/// One line an alert, in every provider's own marks.
const BUILT_IN: &str = "\
{% for a in alerts %}
{{ '🔴' if a.status == 'firing' else '✅' }} {{ a.name|bold }} {{ a.summary }}\
{% if a.lasted %} ({{ a.lasted }}){% endif %}{% if a.annotations.runbook_url %} {{ a.annotations.runbook_url }}{% endif %}

{% endfor %}
{% if more %}
… +{{ more }}
{% endif %}
{% if truncated %}
… +{{ truncated }} (max_alerts)
{% endif %}
{% if page %}
{{ page }}
{% endif %}
";

#[cfg(test)]
mod tests {
    use super::*;

    fn note(n: usize) -> Note {
        let alerts: Vec<String> = (0..n)
            .map(|i| {
                format!(
                    r#"{{"status":"firing","labels":{{"alertname":"A","instance":"<!channel>{i}"}},"annotations":{{"summary":"{}"}},"startsAt":"2026-11-22T13:09:50Z"}}"#,
                    "디스크 ".repeat(40)
                )
            })
            .collect();
        let body = format!(
            r#"{{"receiver":"r","status":"firing","alerts":[{}],"commonLabels":{{"alertname":"A"}},"groupKey":"k"}}"#,
            alerts.join(",")
        );
        Note::of(&Message::parse(body.as_bytes()).expect("a message"), 1, false, "")
    }

    #[test]
    fn many_alerts_are_cut_with_a_visible_count() {
        let templates = Templates::default();
        let text = templates.render(Kind::Slack, None, &note(500), 3000).expect("renders");
        assert!(text.chars().count() <= 3000, "{}", text.chars().count());
        let shown = text.matches("🔴").count();
        assert!(shown > 0 && text.contains(&format!("… +{}", 500 - shown)), "{shown}: {text}");
    }

    #[test]
    fn what_a_template_says_stays_and_what_an_alert_says_is_escaped() {
        let sources =
            BTreeMap::from([("t".to_owned(), "<b>{{ alerts[0].labels.instance }}</b> {{ title|toLower }}".to_owned())]);
        let templates = Templates::compile(&sources).expect("compiles");
        let text = templates.render(Kind::Telegram, Some("t"), &note(1), 4096).expect("renders");
        assert_eq!(text, "<b>&lt;!channel&gt;0</b> a");
    }

    #[test]
    fn what_is_called_safe_is_not_taken_for_it() {
        let sources = BTreeMap::from([("t".to_owned(), "{{ alerts[0].labels.instance|safeHtml }}".to_owned())]);
        let templates = Templates::compile(&sources).expect("compiles");
        assert_eq!(templates.render(Kind::Slack, Some("t"), &note(1), 4096).expect("renders"), "&lt;!channel&gt;0");
    }

    #[test]
    fn a_template_that_fails_keeps_no_message_back() {
        let sources = BTreeMap::from([
            (
                "endless".to_owned(),
                "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}".to_owned(),
            ),
            ("second".to_owned(), "{{ alerts[1].labels.instance }}".to_owned()),
        ]);
        let templates = Templates::compile(&sources).expect("compiles");
        for name in ["endless", "second"] {
            assert!(templates.render(Kind::Slack, Some(name), &note(1), 4096).is_err(), "{name}");
            let text = templates.render_anyway(Kind::Slack, Some(name), &note(1), 300).expect("words");
            assert!(text.contains("디스크") && text.contains(&format!("(template {name}: ")), "{text}");
            assert!(text.chars().count() <= 300, "{text}");
        }
    }
}
