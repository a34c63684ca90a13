//! What each provider wants to be sent, and what its answers mean.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use service::client::Reply;

use super::config::{Kind, Target};
use super::escape::cut;
use super::note::Note;
use crate::clock::Nanos;

/// One HTTP request.
pub(super) struct Post {
    pub(super) address: String,
    pub(super) token: Option<String>,
    pub(super) body: Value,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Taken; with what names it there, where it can be changed later.
    Sent { reference: String },
    /// Not now; perhaps not before a time that the provider named.
    Later { after: Option<Duration>, text: String },
    /// Never, unless somebody changes something.
    Never { text: String },
}

/// What a provider takes in the text that we fill, beside a head of [`HEAD`], as [`super::escape::size`] counts it.
pub(crate) fn limit(kind: Kind) -> usize {
    match kind {
        // A section or attachment of Slack; longer ones are folded or refused.
        Kind::Slack | Kind::SlackBot => 2900,
        // Description of an embed: 4096.
        Kind::Discord => 4000,
        // Telegram: 4096 with the head, after entities are parsed; Google Chat: 4096 characters of text.
        Kind::Telegram | Kind::GoogleChat => 3800,
        // The whole payload at most 28 KB, in bytes.
        Kind::Teams => 24_000,
        // 16383 characters.
        Kind::Mattermost => 16_000,
        Kind::Email | Kind::Command | Kind::Http => 200_000,
    }
}

/// The longest headline: 256 is Discord's limit of a title.
const HEAD: usize = 250;

/// The request for a message. `thread` names the message of this group's round that is already there.
pub(super) fn post(target: &Target, note: &Note, text: &str, thread: Option<&str>) -> Result<Post, String> {
    let escaped = |text: &str| {
        let mut out = String::new();
        super::escape::value(target.kind, text, &mut out);
        out
    };
    let head = cut(target.kind, &escaped(&note.headline()), HEAD);
    let colour = format!("#{:06x}", note.colour());
    let slack = || json!([{ "color": colour, "text": text, "fallback": head, "mrkdwn_in": ["text"] }]);
    let token = match target.kind {
        Kind::SlackBot | Kind::Http => Some(target.token()?).filter(|t| !t.is_empty()),
        _ => None,
    };
    let (address, body) = match target.kind {
        Kind::Slack => (target.address("")?, json!({ "text": head, "attachments": slack(), "unfurl_links": false })),
        Kind::SlackBot => {
            let api = target.address("https://slack.com/api")?;
            let mut body = json!({ "text": head, "attachments": slack(), "unfurl_links": false });
            let method = if let Some((channel, ts)) = thread.and_then(|t| t.split_once(' ')) {
                body["channel"] = channel.into();
                body["ts"] = ts.into();
                "chat.update"
            } else {
                body["channel"] = target.channel.as_deref().unwrap_or_default().into();
                "chat.postMessage"
            };
            (format!("{}/{method}", api.trim_end_matches('/')), body)
        }
        Kind::Mattermost => {
            let mut body = json!({ "text": format!("**{head}**\n{text}") });
            if let Some(channel) = &target.channel {
                body["channel"] = channel.as_str().into();
            }
            (target.address("")?, body)
        }
        Kind::Discord => (
            target.address("")?,
            json!({
                "embeds": [{ "title": head, "description": text, "color": note.colour() }],
                "allowed_mentions": { "parse": [] },
            }),
        ),
        Kind::Telegram => {
            let api = target.address("https://api.telegram.org")?;
            let body = json!({
                "chat_id": target.channel, "text": format!("<b>{head}</b>\n{text}"), "parse_mode": "HTML",
                "link_preview_options": { "is_disabled": true },
            });
            (format!("{}/bot{}/sendMessage", api.trim_end_matches('/'), target.token()?), body)
        }
        Kind::GoogleChat => {
            // Messages of one group belong to one thread.
            let body = json!({ "text": format!("*{head}*\n{text}"), "thread": { "threadKey": key(note) } });
            let address = target.address("")?;
            let join = if address.contains('?') { '&' } else { '?' };
            (format!("{address}{join}messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"), body)
        }
        Kind::Teams => {
            let style = match (note.status, note.severity.as_str()) {
                ("resolved", _) => "good",
                (_, "critical" | "error") => "attention",
                _ => "warning",
            };
            let card = json!({
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
                "msteams": { "width": "Full" },
                "body": [
                    { "type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": true, "color": style, "text": head },
                    // A line break of Adaptive Cards' Markdown.
                    { "type": "TextBlock", "wrap": true, "text": text.replace('\n', "\n\n") },
                ],
            });
            let attachment = json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
            (target.address("")?, json!({ "type": "message", "attachments": [attachment] }))
        }
        Kind::Http => {
            let mut body = serde_json::to_value(note).map_err(|e| e.to_string())?;
            if target.template.is_some() {
                body["text"] = text.into();
            }
            (target.address("")?, body)
        }
        Kind::Email | Kind::Command => return Err("not sent over HTTP".into()),
    };
    Ok(Post { address, token, body })
}

/// What goes into the thread of a message that was changed in place.
pub(super) fn reply(target: &Target, note: &Note, text: &str, thread: &str) -> Result<Option<Post>, String> {
    let (Kind::SlackBot, Some((channel, ts))) = (target.kind, thread.split_once(' ')) else { return Ok(None) };
    let mut head = String::new();
    super::escape::value(target.kind, &note.headline(), &mut head);
    let api = target.address("https://slack.com/api")?;
    let body = json!({ "channel": channel, "thread_ts": ts, "text": cut(target.kind, &format!("*{head}*\n{text}"), 3900), "unfurl_links": false });
    let address = format!("{}/chat.postMessage", api.trim_end_matches('/'));
    Ok(Some(Post { address, token: Some(target.token()?), body }))
}

/// What an answer means.
pub(super) fn judge(kind: Kind, reply: &Reply) -> Outcome {
    let said = String::from_utf8_lossy(&reply.body);
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let text = format!(
        "{}: {}",
        reply.status.as_u16(),
        said.chars().filter(|c| !c.is_control()).take(200).collect::<String>()
    );
    let seconds =
        |v: &Value| v.as_f64().filter(|s| s.is_finite() && *s >= 0.0).map(|s| Duration::from_secs_f64(s.min(LONGEST)));
    let after = reply
        .headers
        .get("retry-after")
        .and_then(|v| retry_after(v.to_str().ok()?))
        .or_else(|| seconds(&body["retry_after"]))
        .or_else(|| seconds(&body["parameters"]["retry_after"]));
    match reply.status {
        s if s.is_success() && matches!(kind, Kind::SlackBot | Kind::Telegram) => {
            if body["ok"] == true {
                let reference = match (body["channel"].as_str(), body["ts"].as_str()) {
                    (Some(channel), Some(ts)) => format!("{channel} {ts}"),
                    _ => String::new(),
                };
                return Outcome::Sent { reference };
            }
            // Slack answers 200 to everything, with the error inside.
            match body["error"].as_str().unwrap_or_default() {
                "ratelimited"
                | "rate_limited"
                | "internal_error"
                | "fatal_error"
                | "service_unavailable"
                | "request_timeout" => Outcome::Later { after, text },
                _ => Outcome::Never { text },
            }
        }
        s if s.is_success() => Outcome::Sent { reference: String::new() },
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => {
            Outcome::Later { after, text }
        }
        s if s.is_server_error() => Outcome::Later { after, text },
        _ => Outcome::Never { text },
    }
}

/// Seconds, or a date of HTTP (`Wed, 21 Oct 2015 07:28:00 GMT`), as RFC 9110, 10.2.3 has it.
fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST)));
    }
    let mut words = text.split(' ').skip(1);
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|m| *m == month)? + 1;
    let at = Nanos::parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))?;
    Some(Nanos::now().until(at).min(Duration::from_secs_f64(LONGEST)))
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Whoever names a time beyond a day is asked again after a day.
const LONGEST: f64 = 86_400.0;

/// The same for every message of a group.
pub(super) fn key(note: &Note) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in note.receiver.bytes().chain([0]).chain(note.group_key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::config::Config;
    use crate::deliver::note::Templates;
    use crate::message::Message;

    fn reply(status: u16, header: &str, body: &str) -> Reply {
        let mut headers = axum::http::HeaderMap::new();
        if !header.is_empty() {
            headers.insert("retry-after", header.parse().expect("a value"));
        }
        Reply { status: StatusCode::from_u16(status).expect("a status"), headers, body: body.to_owned().into() }
    }

    /// The answers as the providers document them.
    #[test]
    fn each_providers_answers_are_understood() {
        let later = |seconds: Option<f64>| Some(seconds.map(Duration::from_secs_f64));
        for (kind, status, header, body, wanted) in [
            (Kind::Slack, 200, "", "ok", None),
            (Kind::Slack, 429, "30", "rate_limited", later(Some(30.0))),
            (Kind::SlackBot, 429, "1", r#"{"ok":false,"error":"ratelimited"}"#, later(Some(1.0))),
            (Kind::SlackBot, 200, "", r#"{"ok":false,"error":"fatal_error"}"#, later(None)),
            (Kind::Discord, 204, "", "", None),
            (Kind::Discord, 429, "", r#"{"message":"x","retry_after":0.64,"global":false}"#, later(Some(0.64))),
            (Kind::Telegram, 200, "", r#"{"ok":true,"result":{"message_id":7}}"#, None),
            (
                Kind::Telegram,
                429,
                "",
                r#"{"ok":false,"error_code":429,"description":"x","parameters":{"retry_after":12}}"#,
                later(Some(12.0)),
            ),
            (Kind::Teams, 202, "", "", None),
            (Kind::Teams, 429, "10", "", later(Some(10.0))),
            (Kind::GoogleChat, 429, "", r#"{"error":{"status":"RESOURCE_EXHAUSTED"}}"#, later(None)),
            (Kind::Mattermost, 200, "", "ok", None),
            (Kind::Http, 503, "7", "", later(Some(7.0))),
            (Kind::Http, 502, "soon", "", later(None)),
            (Kind::Http, 503, "-1", "", later(None)),
            (Kind::Http, 503, "1e300", "", later(Some(86_400.0))),
            (Kind::Http, 503, "Wed, 21 Oct 2015 07:28:00 GMT", "", later(Some(0.0))),
            (Kind::Http, 408, "", "", later(None)),
        ] {
            let found = judge(kind, &reply(status, header, body));
            match (wanted, &found) {
                (None, Outcome::Sent { .. }) => {}
                (Some(wanted), Outcome::Later { after, .. }) => assert_eq!(*after, wanted, "{kind:?} {body}"),
                _ => panic!("{kind:?} {status} {body}: {found:?}"),
            }
        }
        for (kind, status, body) in [
            (Kind::Slack, 404, "no_team"),
            (Kind::Slack, 302, ""),
            (Kind::SlackBot, 200, r#"{"ok":false,"error":"channel_not_found"}"#),
            (Kind::SlackBot, 200, "<html>a proxy's page</html>"),
            (Kind::Discord, 404, r#"{"message":"Unknown Webhook","code":10015}"#),
            (Kind::Telegram, 400, r#"{"ok":false,"description":"Bad Request: chat not found"}"#),
            (Kind::Telegram, 401, r#"{"ok":false,"description":"Unauthorized"}"#),
            (Kind::Teams, 413, ""),
            (Kind::GoogleChat, 403, ""),
            (Kind::Mattermost, 400, ""),
            (Kind::Http, 401, ""),
        ] {
            assert!(matches!(judge(kind, &reply(status, "", body)), Outcome::Never { .. }), "{kind:?} {status}");
        }
    }

    #[test]
    fn a_date_to_come_again_is_waited_for() {
        let at = Nanos::now().after(Duration::from_mins(2)).rfc3339_seconds();
        let month = MONTHS[at[5..7].parse::<usize>().expect("a month") - 1];
        let date = format!("Sun, {} {month} {} {} GMT", &at[8..10], &at[..4], &at[11..19]);
        let wait = retry_after(&date).expect("a date");
        assert!((100..=120).contains(&wait.as_secs()), "{date}: {wait:?}");
    }

    /// Whatever alerts hold, what is sent keeps within what the provider takes, as it counts.
    #[test]
    fn no_message_is_larger_than_its_provider_takes() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("token"), "t").expect("writes");
        for text in ["🔴\n", "\"\\", "*_<&@", "디", "x", "\u{1}\u{7f}", "</b>"] {
            let long = text.repeat(5_000);
            let alerts: Vec<Value> = (0..25)
                .map(|i| {
                    json!({
                        "status": "firing", "labels": {"alertname": long, "i": i.to_string()},
                        "annotations": {"summary": long, "runbook_url": format!("https://x/{long}")},
                        "startsAt": "2026-11-22T13:00:00Z",
                    })
                })
                .collect();
            let body = json!({
                "receiver": "r", "status": "firing", "alerts": alerts, "commonLabels": {"alertname": long}, "groupKey": "k",
            });
            let body = body.to_string();
            let note = Note::of(&Message::parse(body.as_bytes()).expect("a message"), 1, true, "");
            for (kind, most) in [
                ("slack", 40_000),
                ("slack_bot", 40_000),
                ("teams", 28 * 1024),
                ("discord", 6000),
                ("telegram", 4096),
                ("google_chat", 4096),
                ("mattermost", 16_383),
            ] {
                let file = dir.path().join("token").display().to_string();
                let config =
                    format!("targets: [{{name: a, type: {kind}, url: 'http://x/', token_file: {file}, channel: c}}]");
                let config = Config::parse(&config).expect("a configuration");
                let target = &config.targets[0];
                let text = Templates::default().render(target.kind, None, &note, limit(target.kind)).expect("renders");
                let post = post(target, &note, &text, None).expect("a request");
                let sent = &post.body;
                let units = |v: &Value| v.as_str().expect("a text").encode_utf16().count();
                let size = match kind {
                    "teams" => sent.to_string().len(),
                    "discord" => {
                        assert!(units(&sent["embeds"][0]["title"]) <= 256);
                        assert!(units(&sent["embeds"][0]["description"]) <= 4096);
                        units(&sent["embeds"][0]["title"]) + units(&sent["embeds"][0]["description"])
                    }
                    "telegram" => {
                        let text = sent["text"].as_str().expect("a text");
                        assert_eq!(text.matches("<b>").count(), text.matches("</b>").count(), "{text}");
                        units(&sent["text"])
                    }
                    "google_chat" | "mattermost" => sent["text"].as_str().expect("a text").chars().count(),
                    _ => sent["attachments"][0]["text"].as_str().expect("a text").chars().count(),
                };
                assert!(size <= most, "{kind}, {text:?}: {size}", text = &text[..text.len().min(20)]);
            }
        }
    }
}
