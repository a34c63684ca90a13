//! Bearer tokens: kept in files, so that they stand in no argument and no log, and can change while the sink runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use service::{Flag, Peer};

use crate::metrics::Metrics;

/// `--web.receive-token-file`.
pub(crate) const RECEIVE_TOKEN: Flag = Flag::text(
    "web.receive-token-file",
    "",
    "File with the bearer token that senders must show (Alertmanager: http_config.authorization.credentials_file); \
     without it whoever may connect may send.",
);

/// A token in a file that is looked at again every second.
#[derive(Clone)]
pub(crate) struct Token {
    shared: Arc<Shared>,
}

struct Shared {
    file: PathBuf,
    known: Mutex<(Instant, Result<String, String>)>,
}

impl Token {
    /// Reads the file; one that cannot be read, or is empty, is a mistake at the start.
    pub(crate) fn open(file: &Path) -> Result<Self, String> {
        let text = read(file)?;
        let known = Mutex::new((Instant::now(), Ok(text)));
        Ok(Self { shared: Arc::new(Shared { file: file.to_owned(), known }) })
    }

    /// Whether that is the token; an error says why nobody can know now.
    pub(crate) fn is(&self, given: &str) -> Result<bool, String> {
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.elapsed() >= KEPT {
            *known = (Instant::now(), read(&self.shared.file));
        }
        known.1.as_ref().map(|wanted| same(wanted.as_bytes(), given.as_bytes())).map_err(Clone::clone)
    }
}

/// A secret from its file, without the line end.
pub(crate) fn read(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let text = text.trim();
    if text.is_empty() { Err(format!("{} is empty", file.display())) } else { Ok(text.to_owned()) }
}

/// The bearer token of a request.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Compares without telling by its time where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |d, (x, y)| d | (x ^ y)) == 0
}

/// Lets only senders with the token through to these routes.
pub(crate) fn guard(router: Router, token: Option<Token>, metrics: &Arc<Metrics>) -> Router {
    match token {
        None => router,
        Some(token) => router.route_layer(middleware::from_fn_with_state((token, Arc::clone(metrics)), ask)),
    }
}

async fn ask(State((token, metrics)): State<(Token, Arc<Metrics>)>, request: Request, next: Next) -> Response {
    match bearer(request.headers()).map_or(Ok(false), |given| token.is(given)) {
        Ok(true) => next.run(request).await,
        Ok(false) => {
            metrics.unauthorized.inc();
            let remote = request.extensions().get::<Peer>().map(|p| p.0.to_string()).unwrap_or_default();
            tracing::warn!(remote, path = request.uri().path(), "refused a sender without the token");
            let text = "the token of --web.receive-token-file is missing or wrong\n";
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], text).into_response()
        }
        // The sender may well be right: it is to come again, not to give up.
        Err(e) => {
            tracing::error!(error = e, "--web.receive-token-file");
            let text = "the token of --web.receive-token-file cannot be read now\n";
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], text).into_response()
        }
    }
}

/// How long a file is trusted not to have changed.
const KEPT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_taken_apart() {
        let with = |value: &'static str| HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().expect("value"))]);
        assert_eq!(bearer(&with("Bearer abc")), Some("abc"));
        assert_eq!(bearer(&with("bearer  abc ")), Some("abc"));
        assert_eq!(bearer(&with("Basic abc")), None);
        assert_eq!(bearer(&with("Bearer")), None);
        assert_eq!(bearer(&HeaderMap::new()), None);
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("token");
        assert!(Token::open(&file).is_err(), "there is no file");
        std::fs::write(&file, " \n").expect("writes");
        assert!(Token::open(&file).is_err(), "an empty token would let everybody in");
        std::fs::write(&file, "s3cret\n").expect("writes");
        let token = Token::open(&file).expect("opens");
        for (given, wanted) in [("s3cret", true), ("s3cre", false), ("s3crets", false), ("", false), ("S3cret", false)]
        {
            assert_eq!(token.is(given), Ok(wanted), "{given}");
        }
    }
}
