//! One nginx and what it answers.

use crate::stub_status::{self, StubStatus};
use exporter::{Desc, FetchError, Part, Source};
use service::client::{self, Client, ClientError};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const UP: Desc = Desc::gauge("nginx_up", "Status of the last metric scrape");
const ACTIVE: Desc = Desc::gauge("nginx_connections_active", "Active client connections");
const ACCEPTED: Desc = Desc::counter("nginx_connections_accepted", "Accepted client connections");
const HANDLED: Desc = Desc::counter("nginx_connections_handled", "Handled client connections");
const READING: Desc = Desc::gauge("nginx_connections_reading", "Connections where NGINX is reading the request header");
const WRITING: Desc =
    Desc::gauge("nginx_connections_writing", "Connections where NGINX is writing the response back to the client");
const WAITING: Desc = Desc::gauge("nginx_connections_waiting", "Idle client connections");
const REQUESTS: Desc = Desc::counter("nginx_http_requests_total", "Total http requests");

/// A stub_status page and the labels that its numbers get.
#[derive(Debug)]
pub(crate) struct Target {
    address: String,
    client: Client,
    timeout: Duration,
    /// Const labels, and `addr` where there are several targets.
    labels: Vec<(String, String)>,
}

impl Target {
    /// A target at `uri`: `http://…`, `https://…` or `unix:SOCKET[:PATH]`.
    pub(crate) fn new(
        uri: &str,
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
        Ok(Self { address, client: Client::new(options)?, timeout, labels })
    }
}

impl Source for Target {
    type Snapshot = StubStatus;

    async fn fetch(&self, deadline: Instant) -> Result<StubStatus, FetchError> {
        let deadline = deadline.min(Instant::now() + self.timeout);
        let reply = self.client.get(&self.address, deadline).await.map_err(|e| FetchError(e.to_string()))?;
        let shown = || client::without_credentials(&self.address);
        if reply.status != 200 {
            return Err(FetchError(format!("{}: expected status 200, got {}", shown(), reply.status)));
        }
        stub_status::parse(&reply.body)
            .ok_or_else(|| FetchError(format!("{}: the answer is no stub_status page", shown())))
    }

    fn emit(&self, snapshot: Result<&StubStatus, &FetchError>, out: &mut Part) {
        let labels: Vec<(&str, &[u8])> = self.labels.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        out.family(&UP).sample(&labels, snapshot.is_ok());
        let Ok(s) = snapshot else { return };
        for (desc, value) in [
            (&ACTIVE, s.active),
            (&ACCEPTED, s.accepted),
            (&HANDLED, s.handled),
            (&READING, s.reading),
            (&WRITING, s.writing),
            (&WAITING, s.waiting),
            (&REQUESTS, s.requests),
        ] {
            out.family(desc).sample(&labels, value);
        }
    }
}
