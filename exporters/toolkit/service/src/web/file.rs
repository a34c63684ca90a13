//! What stands in a web config file, and whether it may stand there.

use super::WebError;
use crate::duration::parse_nanos;
use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// The file. A key without a value counts as absent, as in Go.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    tls_server_config: Option<Tls>,
    http_server_config: Option<Http>,
    basic_auth_users: Option<BTreeMap<String, Option<String>>>,
    rate_limit: Option<RateLimit>,
}

/// `tls_server_config`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Tls {
    pub(super) cert: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_ca: Option<String>,
    pub(super) client_ca_file: Option<String>,
    pub(super) client_allowed_sans: Option<Vec<String>>,
    pub(super) cipher_suites: Option<Vec<String>>,
    pub(super) curve_preferences: Option<Vec<String>>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    /// Decides nothing in Go since 1.17, nor here.
    prefer_server_cipher_suites: Option<bool>,
}

/// A text that no debug output shows.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Secret(pub(super) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    http2: Option<bool>,
    headers: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RateLimit {
    interval: Option<String>,
    burst: Option<i64>,
}

impl File {
    pub(super) fn parse(text: &str) -> Result<Self, WebError> {
        Ok(crate::yaml::from_str::<Option<Self>>(text)?.unwrap_or_default())
    }

    /// The TLS section, where anything in it turns TLS on.
    pub(super) fn tls(&self) -> Option<&Tls> {
        self.tls_server_config.as_ref().filter(|tls| tls.is_on())
    }

    /// Whether HTTP/2 may be spoken over TLS.
    pub(super) fn http2(&self) -> bool {
        self.http_server_config.as_ref().and_then(|h| h.http2).unwrap_or(true)
    }

    /// The headers for every answer, checked.
    pub(super) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, WebError> {
        let configured = self.http_server_config.iter().filter_map(|h| h.headers.as_ref()).flatten();
        configured.map(|(name, value)| header(name, value.as_deref().unwrap_or_default())).collect()
    }

    /// Users and their hashes.
    pub(super) fn users(&self) -> impl Iterator<Item = (&str, &str)> {
        let users = self.basic_auth_users.iter().flatten();
        users.map(|(name, hash)| (name.as_str(), hash.as_deref().unwrap_or_default()))
    }

    /// Time for one token and depth of the bucket; `None` when there is no limit.
    pub(super) fn rate_limit(&self) -> Result<Option<(Duration, i64)>, WebError> {
        let Some(RateLimit { interval: Some(text), burst }) = &self.rate_limit else { return Ok(None) };
        // A plain number is nanoseconds, as a Go duration is.
        let nanos = match text.parse::<i64>() {
            Ok(number) => number,
            Err(_) => parse_nanos(text).map_err(|e| WebError::new(format!("rate_limit.interval: {e}")))?,
        };
        let interval = u64::try_from(nanos).unwrap_or(0);
        Ok((interval > 0).then(|| (Duration::from_nanos(interval), burst.unwrap_or(0))))
    }
}

impl Tls {
    /// These files and nothing else.
    pub(super) fn of_files(cert: &Path, key: &Path, client_ca: Option<&Path>, client_auth: &str) -> Self {
        let text = |path: &Path| Some(path.to_string_lossy().into_owned());
        Self {
            cert_file: text(cert),
            key_file: text(key),
            client_ca_file: client_ca.and_then(text),
            client_auth_type: Some(client_auth.to_owned()),
            ..Self::default()
        }
    }

    fn is_on(&self) -> bool {
        let key = self.key.as_ref().map(|k| &k.0);
        [&self.cert, &self.cert_file, &self.key_file, &self.client_ca, &self.client_ca_file, &self.client_auth_type]
            .into_iter()
            .filter_map(Option::as_ref)
            .chain(key)
            .any(|text| !text.is_empty())
    }
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), WebError> {
    let (_, allowed) = HEADERS.iter().find(|(known, _)| *known == name).ok_or_else(|| {
        WebError::new(format!("http_server_config.headers: HTTP header {name:?} can not be configured"))
    })?;
    if !allowed.is_empty() && !value.is_empty() && !allowed.contains(&value) {
        return Err(WebError::new(format!(
            "http_server_config.headers: invalid value for {name}. Expected one of: {allowed:?}, but got: {value:?}"
        )));
    }
    let invalid = || WebError::new(format!("http_server_config.headers: {name}: {value:?} is no header value"));
    let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
    Ok((HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value))
}

/// The headers that may be configured, compared with case, and their values (none listed: any).
const HEADERS: &[(&str, &[&str])] = &[
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn why<T: std::fmt::Debug>(result: Result<T, WebError>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn absent_means_absent() {
        for text in ["", "# nothing\n", "null", "tls_server_config:\n", "tls_server_config: {cert_file: \"\"}"] {
            let file = File::parse(text).unwrap();
            assert!(file.tls().is_none() && file.http2() && file.users().next().is_none(), "{text}");
            assert_eq!(file.rate_limit(), Ok(None));
        }
        assert!(File::parse("tls_server_config: {client_auth_type: x}").unwrap().tls().is_some());
    }

    #[test]
    fn mistakes_name_line_field_and_value() {
        assert!(
            why(File::parse("tls_server_config:\n  cert_filse: x")).starts_with("line 2: unknown field `cert_filse`")
        );
        let headers =
            |text: &str| File::parse(&format!("http_server_config: {{headers: {{{text}}}}}")).unwrap().headers();
        assert!(
            why(headers("X-Frame-Options: foo"))
                .contains("X-Frame-Options. Expected one of: [\"deny\", \"sameorigin\"], but got: \"foo\"")
        );
        assert!(why(headers("x-frame-options: deny")).contains("\"x-frame-options\" can not be configured"));
        assert_eq!(headers("X-XSS-Protection: 1").unwrap()[0].1, "1");
        let rate =
            |text: &str| File::parse(&format!("rate_limit: {{interval: {text}, burst: 1}}")).unwrap().rate_limit();
        assert!(why(rate("1 fortnight")).contains("1 fortnight"));
        assert_eq!(rate("0"), Ok(None));
        assert_eq!(rate("1m30s"), Ok(Some((Duration::from_secs(90), 1))));
    }

    #[test]
    fn a_key_is_not_shown() {
        let file = File::parse("tls_server_config: {key: swordfish}").unwrap();
        assert!(!format!("{file:?}").contains("swordfish"));
        let error = why(File::parse("tls_server_config: {key: [swordfish]}"));
        assert!(!error.contains("swordfish"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = File::parse(&text);
        }

        #[test]
        fn any_likely_text_is_answered(text in "(tls_server_config|http_server_config|rate_limit|headers|key|interval|[:{}\\[\\],\\-|>&*!'\" \n\t#a-z0-9~]){0,40}") {
            if let Ok(file) = File::parse(&text) {
                let _ = (file.tls().is_some(), file.http2(), file.headers(), file.rate_limit());
            }
        }
    }
}
