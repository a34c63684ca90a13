//! The web config file while the service runs.

use super::WebError;
use super::bucket::Bucket;
use super::file::{File, Tls};
use super::logins::{Login, Logins, Users};
use super::tls;
use super::watched::Watched;
use crate::answer;
use crate::logs::Quota;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use rustls::ServerConfig;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The web config file of a running service: what counts from its start on, and what is looked up again.
pub struct WebConfig {
    path: PathBuf,
    /// Whether TLS is spoken: decided at the start, so that a changed file never makes a server fall back to plain.
    tls_on: bool,
    http2: bool,
    limit: Option<(Bucket, Duration, i64)>,
    logins: Logins,
    settings: Mutex<Watched<Settings>>,
    tls: Mutex<Option<Tunnel>>,
    complaints: Quota,
}

/// What each request asks for.
#[derive(Debug)]
struct Settings {
    users: Users,
    headers: Vec<(HeaderName, HeaderValue)>,
    tls: Option<Tls>,
}

/// A TLS configuration, made under these settings from the files that they name.
struct Tunnel {
    settings: Arc<Settings>,
    config: Watched<ServerConfig>,
}

/// Headers to set on an answer that has no value of its own for them.
#[derive(Debug, Default)]
pub(crate) struct Headers(Option<Arc<Settings>>);

impl WebConfig {
    /// Reads the file and checks all of it, so that a mistake stops the start.
    pub fn open(path: &Path) -> Result<Self, WebError> {
        let of_file = |e: WebError| WebError::of(path, &e);
        let file = read(path).map_err(of_file)?;
        let settings = Watched::new(vec![path.to_owned()], || read(path).and_then(|f| Settings::of(&f)));
        settings.made().map_err(of_file)?.users.check().map_err(of_file)?;
        let limit = file.rate_limit().map_err(of_file)?;
        let live = Self {
            path: path.to_owned(),
            tls_on: file.tls().is_some(),
            http2: file.http2(),
            limit: limit.map(|(interval, burst)| (Bucket::new(interval, burst, Instant::now()), interval, burst)),
            logins: Logins::new()?,
            settings: Mutex::new(settings),
            tls: Mutex::new(None),
            complaints: Quota::per_minute(10),
        };
        if live.tls_on {
            live.tls().map_err(of_file)?;
            if let Some(tls) = file.tls().filter(|_| live.http2) {
                tls::check_http2(tls).map_err(of_file)?;
            }
        }
        Ok(live)
    }

    /// TLS alone, with the certificate, key and clients' authorities in these files and one of Go's words for whether
    /// clients must show a certificate: for services whose own configuration names them.
    pub fn of_files(cert: &Path, key: &Path, client_ca: Option<&Path>, client_auth: &str) -> Result<Self, WebError> {
        let tls = Tls::of_files(cert, key, client_ca, client_auth);
        let settings =
            move || Ok(Settings { users: Users::new(std::iter::empty()), headers: Vec::new(), tls: Some(tls) });
        let live = Self {
            path: PathBuf::new(),
            tls_on: true,
            http2: true,
            limit: None,
            logins: Logins::new()?,
            // Made of no file, so never made again; the files that it names are watched.
            settings: Mutex::new(Watched::new(Vec::new(), settings)),
            tls: Mutex::new(None),
            complaints: Quota::per_minute(10),
        };
        live.tls()?;
        Ok(live)
    }

    /// Whether connections are TLS.
    pub(crate) fn tls_on(&self) -> bool {
        self.tls_on
    }

    /// Whether HTTP/2 may be spoken.
    pub(crate) fn http2(&self) -> bool {
        self.tls_on && self.http2
    }

    /// Says what the file has turned on, for the start.
    pub(crate) fn announce(&self) {
        if let Some((_, interval, burst)) = &self.limit {
            tracing::info!(burst, interval = ?interval, "Rate Limiter is enabled.");
        }
    }

    /// The configuration for a new connection, from the files as they are now.
    pub(crate) fn tls(&self) -> Result<Arc<ServerConfig>, WebError> {
        let settings = self.settings()?;
        let Some(tls) = &settings.tls else { return Err(WebError::new("TLS config is not present")) };
        let mut held = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tunnel) = &*held
            && Arc::ptr_eq(&tunnel.settings, &settings)
            && !tunnel.config.is_stale()
        {
            return tunnel.config.made();
        }
        let dir = self.path.parent().unwrap_or(Path::new(""));
        let config = Watched::new(tls::files(tls, dir), || tls::server(tls, dir, self.http2));
        let made = config.made();
        *held = Some(Tunnel { settings: Arc::clone(&settings), config });
        made
    }

    /// Lets a request through, or answers it. In this order: is the file readable, the rate limit, the login.
    pub(crate) async fn admit(&self, request: &HeaderMap) -> Result<Headers, Response> {
        let settings = self.settings().map_err(|error| {
            if let Some(suppressed) = self.complaints.take() {
                tracing::error!(err = %WebError::of(&self.path, &error), suppressed, "Unable to parse configuration");
            }
            answer::text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error\n")
        })?;
        if self.limit.as_ref().is_some_and(|(bucket, ..)| !bucket.take(Instant::now())) {
            return Err(answer::text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n"));
        }
        let authorization = request.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let login = if settings.users.is_empty() {
            Login::Good
        } else {
            self.logins.check(&settings.users, authorization).await
        };
        let headers = Headers(Some(settings));
        let mut refusal = match login {
            Login::Good => return Ok(headers),
            Login::Bad => unauthorized(),
            Login::Busy => answer::text(StatusCode::SERVICE_UNAVAILABLE, "Too many logins at once\n"),
        };
        headers.set(refusal.headers_mut());
        Err(refusal)
    }

    fn settings(&self) -> Result<Arc<Settings>, WebError> {
        let mut held = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_stale() {
            *held = Watched::new(vec![self.path.clone()], || read(&self.path).and_then(|f| Settings::of(&f)));
        }
        held.made()
    }
}

impl fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebConfig").field("path", &self.path).field("tls_on", &self.tls_on).finish_non_exhaustive()
    }
}

/// Whether a web config file turns TLS on.
pub(crate) fn turns_tls_on(path: &Path) -> Result<bool, WebError> {
    read(path).map(|file| file.tls().is_some()).map_err(|e| WebError::of(path, &e))
}

impl Settings {
    fn of(file: &File) -> Result<Self, WebError> {
        Ok(Self { users: Users::new(file.users()), headers: file.headers()?, tls: file.tls().cloned() })
    }
}

impl Headers {
    /// A handler's own value stays.
    pub(crate) fn set(&self, answer: &mut HeaderMap) {
        let configured = self.0.iter().flat_map(|settings| &settings.headers);
        for (name, value) in configured {
            answer.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn read(path: &Path) -> Result<File, WebError> {
    let bytes = fs::read(path).map_err(|e| WebError::new(format!("open: {}", crate::yaml::reason(&e))))?;
    File::parse(std::str::from_utf8(&bytes).map_err(|_| WebError::new("is not UTF-8"))?)
}

fn unauthorized() -> Response {
    let mut response = answer::text(StatusCode::UNAUTHORIZED, "Unauthorized\n");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
    response
}
