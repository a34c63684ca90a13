//! One attempt.

use std::process::Stdio;
use std::time::Instant;

use axum::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use service::client::{Client, ClientError, Options, Tls};
use tokio::io::AsyncWriteExt;

use super::config::{Config, Kind, Target};
use super::note::Note;
use super::provider::{self, Outcome, Post};
use super::{email, provider::judge};

/// Sends to one target over connections that are kept.
pub(super) struct Sender {
    client: Result<Client, String>,
}

impl Sender {
    pub(super) fn new(target: &Target) -> Self {
        let options = Options {
            user_agent: concat!("webhook-sink/", env!("CARGO_PKG_VERSION")).into(),
            tls: Tls { verify: true, ca: target.ca_file.clone(), identity: None },
            // Nobody but the configuration says where to: not a template, and not a provider's redirect.
            redirects: 0,
            ..Options::default()
        };
        Self { client: Client::new(options).map_err(|e| e.to_string()) }
    }

    /// Sends a note. `thread` is the message that is there already; it is changed in place where the provider can.
    pub(super) async fn send(&self, config: &Config, target: &Target, note: &Note, thread: Option<&str>) -> Outcome {
        let never = |text: String| Outcome::Never { text };
        let limit = provider::limit(target.kind);
        let text = match config.templates.render_anyway(target.kind, target.template.as_deref(), note, limit) {
            Ok(text) => text,
            Err(e) => return never(e),
        };
        match target.kind {
            Kind::Command => return command(target, note).await,
            Kind::Email => return email::send(target, note, &text).await,
            _ => {}
        }
        let first = match provider::post(target, note, &text, thread) {
            Ok(post) => self.ask(target, note, post).await,
            // A secret's file that cannot be read may be there in a moment.
            Err(text) => Outcome::Later { after: None, text },
        };
        let Some(thread) = thread else { return first };
        match first {
            // Somebody deleted the message: a new one takes its place.
            Outcome::Never { text } if text.contains("message_not_found") => {
                Box::pin(self.send(config, target, note, None)).await
            }
            Outcome::Sent { .. } => {
                if let Ok(Some(post)) = provider::reply(target, note, &text, thread) {
                    // The message itself is up to date; a detail in its thread is not worth sending all again.
                    let _ = self.ask(target, note, post).await;
                }
                Outcome::Sent { reference: thread.to_owned() }
            }
            other => other,
        }
    }

    async fn ask(&self, target: &Target, note: &Note, post: Post) -> Outcome {
        let client = match &self.client {
            Ok(client) => client,
            Err(e) => return Outcome::Never { text: e.clone() },
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if target.kind == Kind::Http {
            headers.insert("idempotency-key", HeaderValue::from(note.delivery));
        }
        if let Some(token) = &post.token {
            match HeaderValue::from_str(&format!("Bearer {token}")) {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    headers.insert(header::AUTHORIZATION, value);
                }
                Err(_) => return Outcome::Never { text: "token_file holds what cannot stand in a header".into() },
            }
        }
        let body = Bytes::from(post.body.to_string());
        let deadline = Instant::now() + target.timeout;
        match client.send(Method::POST, &post.address, headers, body, deadline).await {
            Ok(reply) => judge(target.kind, &reply),
            Err(e) => Outcome::Later { after: None, text: harmless(&e) },
        }
    }
}

/// What went wrong without the address: a webhook's address is its password.
fn harmless(e: &ClientError) -> String {
    match e {
        ClientError::Peer { source, .. } => {
            let text = source.to_string();
            format!("cannot be reached: {}", text.split(" (os error").next().unwrap_or_default())
        }
        ClientError::Timeout { seconds, .. } => format!("no answer within {seconds:.1} s"),
        ClientError::TooLarge { limit, .. } => format!("answer larger than {limit} bytes"),
        ClientError::Redirects { .. } => "redirects are not followed".into(),
        ClientError::Address { what, .. } => format!("bad address: {what}"),
        ClientError::Options(text) => text.clone(),
    }
}

/// Runs the command with the note as JSON on its standard input; exit code 0 is success, 64 to 78 (but 75, "try again")
/// are taken as sysexits.h means them: trying again would not help.
async fn command(target: &Target, note: &Note) -> Outcome {
    let later = |text: String| Outcome::Later { after: None, text };
    let Some((program, args)) = target.command.split_first() else {
        return Outcome::Never { text: "no command".into() };
    };
    let started = tokio::process::Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(e) => return later(format!("cannot start {program}: {e}")),
    };
    let body = serde_json::to_vec(note).unwrap_or_default();
    let run = async {
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read its input may still succeed.
            let _ = stdin.write_all(&body).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(target.timeout, run).await {
        Err(_) => later(format!("{program} was still running after {:?} and was ended", target.timeout)),
        Ok(Err(e)) => later(format!("{program}: {e}")),
        Ok(Ok(done)) if done.status.success() => Outcome::Sent { reference: String::new() },
        Ok(Ok(done)) => {
            let said: String =
                String::from_utf8_lossy(&done.stderr).chars().filter(|c| !c.is_control()).take(200).collect();
            let text = format!("{program}: {}: {said}", done.status);
            match done.status.code() {
                Some(75) | None => later(text),
                Some(64..=78) => Outcome::Never { text },
                Some(_) => later(text),
            }
        }
    }
}
