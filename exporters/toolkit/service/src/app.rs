//! What a program hands over to be served.

use crate::flags::Flags;
use crate::landing::Landing;
use crate::program::Version;
use crate::shutdown::Shutdown;
use crate::web::WebConfig;
use axum::Router;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// What a program builds its [`App`] from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// All flags.
    pub flags: Flags,
    /// What was built.
    pub version: Version,
    /// Requested once the service is told to stop: background tasks and answers without an end watch it.
    pub shutdown: Shutdown,
}

/// A program that is ready to be served. Built inside the async runtime, so background tasks may be spawned.
///
/// A route that takes bodies sets its own limit with `.layer(axum::extract::DefaultBodyLimit::max(bytes))`; without
/// one the limit is 2 MiB.
pub struct App {
    pub(crate) router: Router,
    pub(crate) landing: Option<Landing>,
    pub(crate) ready: Arc<ReadyFn>,
    pub(crate) before: Option<Starting>,
    pub(crate) after: Option<Stopping>,
    pub(crate) redirects: bool,
    pub(crate) web: Option<WebConfig>,
}

/// Says whether the service can do its work now.
pub type ReadyFn = dyn Fn() -> bool + Send + Sync;
type Starting = Pin<Box<dyn Future<Output = Result<(), StartError>> + Send>>;
type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

impl App {
    /// An app with these routes, always ready, without a page at `/`. `/-/healthy` and `/-/ready` are added.
    pub fn new(router: Router) -> Self {
        Self { router, landing: None, ready: Arc::new(|| true), before: None, after: None, redirects: true, web: None }
    }

    /// The same app with a landing page at `/`; the router must not have a route there then.
    #[must_use]
    pub fn landing(mut self, landing: Landing) -> Self {
        self.landing = Some(landing);
        self
    }

    /// The same app, where `/-/ready` answers 503 while `ready` says no.
    #[must_use]
    pub fn ready(mut self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.ready = Arc::new(ready);
        self
    }

    /// The same app, where a path with `//`, `.` or `..` is served as the clean one instead of redirected to it: a sender
    /// that follows a redirect with a GET would lose its body.
    #[must_use]
    pub fn without_redirects(mut self) -> Self {
        self.redirects = false;
        self
    }

    /// The same app, where `work` is done after the sockets are bound and before the first connection is taken.
    #[must_use]
    pub fn before_serving(mut self, work: impl Future<Output = Result<(), StartError>> + Send + 'static) -> Self {
        self.before = Some(Box::pin(work));
        self
    }

    /// The same app, served as this says where no `--web.config.file` is given.
    #[must_use]
    pub fn web(mut self, web: WebConfig) -> Self {
        self.web = Some(web);
        self
    }

    /// The same app, where `work` is done after the last connection has ended; it has the drain time-out once more.
    #[must_use]
    pub fn after_serving(mut self, work: impl Future<Output = ()> + Send + 'static) -> Self {
        self.after = Some(Box::pin(work));
        self
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("router", &self.router).field("landing", &self.landing).finish_non_exhaustive()
    }
}

/// Why a service did not start: one line that names the flag, file or line to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StartError(String);

impl StartError {
    /// An error with this text.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(crate::program::one_line(&text.to_string()))
    }
}

impl From<String> for StartError {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&str> for StartError {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}
