//! The web config file: TLS, logins, headers, rate limit, read again when it changes.

mod bucket;
mod client_certs;
pub(crate) mod der;
mod file;
mod live;
mod logins;
mod pem;
mod tls;
mod watched;

pub use live::WebConfig;
pub(crate) use live::{Headers, turns_tls_on};

use crate::yaml::YamlError;
use rustls::ServerConfig;
use std::path::Path;
use std::sync::Arc;

/// The TLS side of a listener that speaks something else than HTTP; with `client_ca` clients must show a certificate.
pub fn server_tls(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Arc<ServerConfig>, WebError> {
    let client_auth = if client_ca.is_some() { "RequireAndVerifyClientCert" } else { "" };
    let mut config = tls::server(&file::Tls::of_files(cert, key, client_ca, client_auth), Path::new(""), false)?;
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

/// Why a web config file cannot be used: one line that names file, field and value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebError(String);

impl WebError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The same with the config file in front.
    fn of(path: &Path, error: &Self) -> Self {
        Self(format!("{}: {}", path.display(), error.0))
    }
}

impl From<YamlError> for WebError {
    fn from(error: YamlError) -> Self {
        Self(error.to_string())
    }
}
