//! The Docker Engine API, which Podman speaks too.

use super::answer::{Inspected, Version};
use service::client::{Client, ClientError, Options, Tls, without_credentials};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// `http://host:port` or `https://…`.
    Http(String),
}

impl Address {
    /// Parses `unix:///run/docker.sock`, `tcp://host:port`, `http://…`, `https://…` or a bare path.
    pub(crate) fn parse(text: &str, tls: bool) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.starts_with('/').then_some(text)) {
            return if path.is_empty() {
                Err(format!("{text}: a path is missing"))
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let http = match text.strip_prefix("tcp://") {
            Some(host) => format!("http{}://{host}", if tls { "s" } else { "" }),
            None if text.starts_with("http://") || text.starts_with("https://") => text.to_owned(),
            None => return Err(format!("{text:?}: expected unix:///path, tcp://host:port or http://host:port")),
        };
        service::client::check_address(&http).map_err(|e| e.to_string())?;
        Ok(Self::Http(http.trim_end_matches('/').to_owned()))
    }
}

/// One engine and the connection to it.
#[derive(Debug)]
pub(crate) struct Engine {
    client: Client,
    base: String,
    socket: Option<PathBuf>,
    agreed: Mutex<Option<Agreed>>,
}

/// What was found out of an engine.
#[derive(Clone, Debug)]
struct Agreed {
    api: String,
    version: String,
}

/// Why an engine did not answer as it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{path}: expected status 200, got {status}: {text}")]
    Status { path: String, status: u16, text: String },
    #[error("{path}: {source}")]
    Json { path: String, source: serde_json::Error },
    #[error("{method}: {what}")]
    Rpc { method: &'static str, what: String },
}

impl Engine {
    pub(crate) fn new(address: Address, tls: Tls) -> Result<Self, ClientError> {
        let (base, socket) = match address {
            Address::Unix(path) => ("http://engine".to_owned(), Some(path)),
            Address::Http(base) => (base, None),
        };
        let options = Options {
            user_agent: concat!("bongsu-container-exporter/", env!("CARGO_PKG_VERSION")).to_owned(),
            unix: socket.clone(),
            tls,
            max_body: BODY_LIMIT,
            redirects: 0,
            ..Options::default()
        };
        Ok(Self { client: Client::new(options)?, base, socket, agreed: Mutex::default() })
    }

    /// For messages.
    pub(crate) fn shown(&self) -> String {
        self.socket.as_ref().map_or_else(|| without_credentials(&self.base), |p| format!("unix://{}", p.display()))
    }

    /// Its Unix socket, if it has one.
    pub(crate) fn socket(&self) -> Option<&std::path::Path> {
        self.socket.as_deref()
    }

    /// The engine's own version, once it has answered.
    pub(crate) fn version(&self) -> Option<String> {
        self.agreed().as_ref().map(|a| a.version.clone())
    }

    /// The version of the API that is spoken.
    pub(crate) fn api_version(&self) -> Option<String> {
        self.agreed().as_ref().map(|a| a.api.clone())
    }

    /// The body of `GET /containers/json`: the running ones.
    pub(crate) async fn list(&self, deadline: Instant) -> Result<axum::body::Bytes, ApiError> {
        self.get("/containers/json", deadline).await
    }

    /// All of one container; `None` if it has gone.
    pub(crate) async fn inspect(&self, id: &str, deadline: Instant) -> Result<Option<Inspected>, ApiError> {
        let path = format!("/containers/{id}/json");
        let body = match self.get(&path, deadline).await {
            Err(ApiError::Status { status: 404, .. }) => return Ok(None),
            other => other?,
        };
        serde_json::from_slice(&body).map(Some).map_err(|source| ApiError::Json { path, source })
    }

    async fn get(&self, path: &str, deadline: Instant) -> Result<axum::body::Bytes, ApiError> {
        let known = self.api_version();
        let api = match &known {
            Some(api) => api.clone(),
            None => self.agree(deadline).await?,
        };
        let answer = self.get_with(&api, path, deadline).await;
        match answer {
            // Another engine answers there since: its range of versions may be another.
            Err(ApiError::Status { status: 400, .. }) if known.is_some() => {
                let api = self.agree(deadline).await?;
                self.get_with(&api, path, deadline).await
            }
            Err(e @ ApiError::Client(_)) => {
                *self.agreed() = None;
                Err(e)
            }
            other => other,
        }
    }

    async fn get_with(&self, api: &str, path: &str, deadline: Instant) -> Result<axum::body::Bytes, ApiError> {
        let prefix = if api.is_empty() { String::new() } else { format!("/v{api}") };
        let reply = self.client.get(&format!("{}{prefix}{path}", self.base), deadline).await?;
        if reply.status == 200 {
            return Ok(reply.body);
        }
        let text = String::from_utf8_lossy(&reply.body).trim().chars().take(200).collect();
        Err(ApiError::Status { path: path.to_owned(), status: reply.status.as_u16(), text })
    }

    /// Agrees on a version of the API: the newest that both know.
    async fn agree(&self, deadline: Instant) -> Result<String, ApiError> {
        let body = match self.get_with("", "/version", deadline).await {
            // A socket proxy that lets only containers through: unversioned paths mean the engine's own version.
            Err(ApiError::Status { status: 403..=405, .. }) => axum::body::Bytes::new(),
            other => other?,
        };
        let version: Version = serde_json::from_slice(&body).unwrap_or_default();
        let api = choose(&version.newest, &version.oldest);
        *self.agreed() = Some(Agreed { api: api.clone(), version: version.engine });
        Ok(api)
    }

    fn agreed(&self) -> std::sync::MutexGuard<'_, Option<Agreed>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The version to speak with an engine that knows those from `least` to `most`.
fn choose(most: &str, least: &str) -> String {
    match (parse(most), parse(least)) {
        (Some(most), least) => {
            let (major, minor) = most.min(NEWEST).max(least.unwrap_or_default());
            format!("{major}.{minor}")
        }
        (None, _) => String::new(),
    }
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The newest API whose answers were read here. What is asked has stood unchanged since 1.24.
const NEWEST: (u32, u32) = (1, 52);
/// A list of some ten thousand containers.
const BODY_LIMIT: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_both_know() {
        for (most, least, spoken) in [
            ("1.41", "1.12", "1.41"),
            ("1.24", "1.12", "1.24"),
            ("1.99", "1.44", "1.52"),
            ("1.99", "1.60", "1.60"),
            ("1.41", "", "1.41"),
            ("", "", ""),
            ("x", "1.2", ""),
        ] {
            assert_eq!(choose(most, least), spoken);
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(Address::parse("unix:///run/d.sock", false).unwrap(), Address::Unix("/run/d.sock".into()));
        assert_eq!(Address::parse("/run/d.sock", false).unwrap(), Address::Unix("/run/d.sock".into()));
        assert_eq!(Address::parse("tcp://proxy:2375", false).unwrap(), Address::Http("http://proxy:2375".into()));
        assert_eq!(Address::parse("tcp://proxy:2376/", true).unwrap(), Address::Http("https://proxy:2376".into()));
        for wrong in ["", "unix://", "docker", "ftp://x"] {
            assert!(Address::parse(wrong, false).is_err(), "{wrong}");
        }
    }
}
