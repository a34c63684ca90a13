//! What each provider wants to be sent, and what its answers mean.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};
use service::client::Reply;

use super::config::{Kind, Target};
use super::escape::cut;
use super::note::Note;

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

/// Characters that a provider takes in the text that we fill.
pub(crate) fn limit(kind: Kind) -> usize {
    match kind {
        // A section or attachment of Slack; longer ones are folded or refused.
        Kind::Slack | Kind::SlackBot => 2900,
        // Description of an embed: 4096.
        Kind::Discord => 4000,
        // Telegram: 4096 after entities are parsed; Google Chat: 4096 characters of text.
        Kind::Telegram | Kind::GoogleChat => 3900,
        // The whole payload at most 28 KB, in bytes: room for three-byte characters.
        Kind::Teams => 7000,
        Kind::Mattermost => 16_000,
        Kind::Email | Kind::Command | Kind::Http => 200_000,
    }
}

/// The request for a message. `thread` names the message of this group's round that is already there.
pub(super) fn post(target: &Target, note: &Note, text: &str, thread: Option<&str>) -> Result<Post, String> {
    let escaped = |text: &str| {
        let mut out = String::new();
        super::escape::value(target.kind, text, &mut out);
        out
    };
    let head = cut(&escaped(&note.headline()), 250);
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
    let body = json!({ "channel": channel, "thread_ts": ts, "text": cut(&format!("*{head}*\n{text}"), 3900), "unfurl_links": false });
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
        |v: &Value| v.as_f64().filter(|s| s.is_finite() && *s >= 0.0).map(|s| Duration::from_secs_f64(s.min(86_400.0)));
    let after = reply
        .headers
        .get("retry-after")
        .and_then(|v| v.to_str().ok()?.trim().parse::<f64>().ok())
        .and_then(|s| seconds(&s.into()))
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

/// The same for every message of a group.
pub(super) fn key(note: &Note) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in note.receiver.bytes().chain([0]).chain(note.group_key.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
