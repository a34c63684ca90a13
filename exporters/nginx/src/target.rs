//! One nginx and what it answers.

use crate::format::Format;
use crate::stub_status::{self, StubStatus};
use crate::{angie, plus, vts};
use exporter::{Desc, FetchError, Part, Source};
use service::client::{self, Client, ClientError};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const UP: Desc = Desc::gauge("nginx_up", "Status of the last metric scrape");
const PLUS_UP: Desc = Desc::gauge("nginxplus_up", "Status of the last metric scrape");
const ACTIVE: Desc = Desc::gauge("nginx_connections_active", "Active client connections");
const ACCEPTED: Desc = Desc::counter("nginx_connections_accepted", "Accepted client connections");
const HANDLED: Desc = Desc::counter("nginx_connections_handled", "Handled client connections");
const READING: Desc = Desc::gauge("nginx_connections_reading", "Connections where NGINX is reading the request header");
const WRITING: Desc =
    Desc::gauge("nginx_connections_writing", "Connections where NGINX is writing the response back to the client");
const WAITING: Desc = Desc::gauge("nginx_connections_waiting", "Idle client connections");
const REQUESTS: Desc = Desc::counter("nginx_http_requests_total", "Total http requests");

/// A status page and the labels that its numbers get.
#[derive(Debug)]
pub(crate) struct Target {
    address: String,
    client: Client,
    format: Format,
    /// Its last good answer was NGINX Plus': then its failures are too.
    plus: AtomicBool,
    timeout: Duration,
    /// Const labels, and `addr` where there are several targets.
    labels: Vec<(String, String)>,
}

/// What a target said.
#[derive(Debug)]
pub(crate) enum Status {
    Stub(StubStatus),
    Plus(plus::Status),
    Angie(angie::Status),
    Vts(vts::Status),
}

impl Target {
    /// A target at `uri`: `http://…`, `https://…` or `unix:SOCKET[:PATH]`.
    pub(crate) fn new(
        uri: &str,
        format: Format,
        timeout: Duration,
        mut options: client::Options,
        labels: Vec<(String, String)>,
    ) -> Result<Self, ClientError> {
        let address = match uri.strip_prefix("unix:") {
            Some(rest) => {
                let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
                options.unix = Some(PathBuf::from(socket));
                format!("http://unix{}{path}", if path.starts_with('/') { "" } else { "/" })
            }
            None => uri.to_owned(),
        };
        client::check_address(&address)?;
        options.max_body = format.most_bytes();
        let plus = AtomicBool::new(format == Format::Plus);
        Ok(Self { address, client: Client::new(options)?, format, plus, timeout, labels })
    }

    async fn ask(&self, deadline: Instant) -> Result<Status, FetchError> {
        let reply = self.client.get(&self.address, deadline).await.map_err(|e| FetchError(e.to_string()))?;
        let wrong = |what: String| FetchError(format!("{}: {what}", client::without_credentials(&self.address)));
        if reply.status != 200 {
            return Err(wrong(format!("expected status 200, got {}", reply.status)));
        }
        let format = match self.format {
            Format::Auto => Format::of(&reply.body).ok_or_else(|| wrong("no status page that is known".to_owned()))?,
            given => given,
        };
        let none = || wrong(format!("the answer is no {}", format.page()));
        let json = || {
            serde_json::from_slice(&reply.body).map_err(|e| wrong(format!("the answer is no {}: {e}", format.page())))
        };
        match format {
            Format::Auto | Format::Stub => stub_status::parse(&reply.body).map(Status::Stub).ok_or_else(none),
            Format::Angie => angie::Status::of(json()?).map(Status::Angie).ok_or_else(none),
            Format::Vts => vts::Status::of(json()?).map(Status::Vts).ok_or_else(none),
            Format::Plus => {
                let offered = plus::versions(&reply.body).ok_or_else(none)?;
                let asked = plus::Status::fetch(&self.client, &self.address, &offered, deadline);
                asked.await.map(Status::Plus).map_err(|e| FetchError(e.to_string()))
            }
        }
    }
}

impl Source for Target {
    type Snapshot = Status;

    async fn fetch(&self, deadline: Instant) -> Result<Status, FetchError> {
        let status = self.ask(deadline.min(Instant::now() + self.timeout)).await;
        if let (Format::Auto, Ok(status)) = (self.format, &status) {
            self.plus.store(matches!(status, Status::Plus(_)), Ordering::Relaxed);
        }
        status
    }

    fn emit(&self, status: Result<&Status, &FetchError>, out: &mut Part) {
        let labels: Vec<(&str, &[u8])> = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        let up = if self.plus.load(Ordering::Relaxed) { &PLUS_UP } else { &UP };
        out.family(up).sample(&labels, status.is_ok());
        match status {
            Ok(Status::Stub(stub)) => emit_stub(*stub, &labels, out),
            Ok(Status::Plus(plus)) => plus.emit(&labels, out),
            Ok(Status::Angie(angie)) => angie.emit(&labels, out),
            Ok(Status::Vts(vts)) => {
                if let Some(stub) = vts.stub() {
                    emit_stub(stub, &labels, out);
                }
                vts.emit(&labels, out);
            }
            Err(_) => {}
        }
    }
}

fn emit_stub(s: StubStatus, labels: &[(&str, &[u8])], out: &mut Part) {
    for (desc, value) in [
        (&ACTIVE, s.active),
        (&ACCEPTED, s.accepted),
        (&HANDLED, s.handled),
        (&READING, s.reading),
        (&WRITING, s.writing),
        (&WAITING, s.waiting),
        (&REQUESTS, s.requests),
    ] {
        out.family(desc).sample(labels, value);
    }
}
