//! Mail over SMTP.

use lettre::address::Envelope;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::config::{Mail, MailTls, Target};
use super::note::Note;
use super::provider::{Outcome, key};
use crate::secret;

/// Sends one mail to all addressees; messages of one group belong to one thread.
///
/// A server refuses the whole mail for one addressee that it does not know. Then each gets it by itself, and it counts as
/// sent when somebody did; who did not is in the log.
pub(super) async fn send(target: &Target, note: &Note, text: &str) -> Outcome {
    let Some(mail) = &target.mail else { return Outcome::Never { text: "no mail settings".into() } };
    let message = match compose(mail, note, text) {
        Ok(message) => message,
        Err(text) => return Outcome::Never { text },
    };
    let transport = match transport(target, mail) {
        Ok(transport) => transport,
        Err(text) => return Outcome::Later { after: None, text },
    };
    let (all, bytes) = (message.envelope().clone(), message.formatted());
    let first = attempt(target, &transport, &all, &bytes).await;
    if !matches!(first, Outcome::Never { .. }) || all.to().len() < 2 {
        return first;
    }
    let (mut taken, mut later) = (false, None);
    for to in all.to() {
        let Ok(envelope) = Envelope::new(all.from().cloned(), vec![to.clone()]) else { continue };
        match attempt(target, &transport, &envelope, &bytes).await {
            Outcome::Sent { .. } => taken = true,
            Outcome::Never { text } => {
                tracing::warn!(target_name = target.name, to = %to, answer = text, "a mail was refused for one addressee");
            }
            // The others will get it twice, under the same Message-ID; nobody may go without.
            other @ Outcome::Later { .. } => later = Some(other),
        }
    }
    match later {
        Some(later) => later,
        None if taken => Outcome::Sent { reference: String::new() },
        None => first,
    }
}

async fn attempt(
    target: &Target,
    transport: &AsyncSmtpTransport<Tokio1Executor>,
    envelope: &Envelope,
    bytes: &[u8],
) -> Outcome {
    match tokio::time::timeout(target.timeout.max(TIMEOUT), transport.send_raw(envelope, bytes)).await {
        Err(_) => Outcome::Later { after: None, text: "the mail server took too long".into() },
        Ok(Ok(_)) => Outcome::Sent { reference: String::new() },
        Ok(Err(e)) if e.is_permanent() => Outcome::Never { text: e.to_string() },
        Ok(Err(e)) => Outcome::Later { after: None, text: e.to_string() },
    }
}

/// What of the settings can be checked before the first mail.
pub(super) fn check(mail: &Mail) -> Result<(), String> {
    endpoint(mail)?;
    for text in std::iter::once(&mail.from).chain(&mail.to) {
        mailbox(text)?;
    }
    Ok(())
}

fn endpoint(mail: &Mail) -> Result<(&str, u16), String> {
    let split = mail.server.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let parsed = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parsed.ok_or_else(|| format!("mail.server {}: expected host:port", mail.server))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|e| format!("mail address {text}: {e}"))
}

fn compose(mail: &Mail, note: &Note, text: &str) -> Result<Message, String> {
    let from = mailbox(&mail.from)?;
    let domain = from.email.domain().to_owned();
    let thread = format!("<{}@{domain}>", key(note));
    // lettre encodes what is not ASCII; a line break would end the header, so there is none.
    let subject: String = note.headline().chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    let mut builder = Message::builder()
        .from(from)
        .subject(subject)
        .message_id(Some(format!("<{}.{}@{domain}>", key(note), note.delivery)))
        .in_reply_to(thread.clone())
        .references(thread)
        .header(AutoSubmitted);
    for to in &mail.to {
        builder = builder.to(mailbox(to)?);
    }
    builder.header(ContentType::TEXT_PLAIN).body(text.to_owned()).map_err(|e| e.to_string())
}

fn transport(target: &Target, mail: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
    let (host, port) = endpoint(mail)?;
    let tls = |host: &str| -> Result<TlsParameters, String> {
        let mut parameters = TlsParameters::builder(host.to_owned());
        if let Some(file) = &target.ca_file {
            let pem = std::fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
            let certificate = Certificate::from_pem(&pem).map_err(|e| format!("{}: {e}", file.display()))?;
            parameters = parameters.add_root_certificate(certificate);
        }
        parameters.build().map_err(|e| e.to_string())
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(port).timeout(Some(TIMEOUT));
    builder = match mail.tls {
        MailTls::None => builder,
        MailTls::Starttls => builder.tls(Tls::Required(tls(host)?)),
        MailTls::Tls => builder.tls(Tls::Wrapper(tls(host)?)),
    };
    if let Some(user) = &mail.username {
        let password = mail.password_file.as_deref().map_or_else(|| Ok(String::new()), secret::read)?;
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(20);

/// RFC 3834: no holiday notice is wanted in return.
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".into())
    }
}
