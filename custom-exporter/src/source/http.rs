//! An HTTP GET, most often for JSON.

use super::{Thread, file};
use crate::fault::Fault;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use serde::Deserialize;
use service::client::{Client, ClientError, Options, Tls, check_address, without_credentials};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::time::Instant;

/// `http: {url: …}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpText {
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Fields whose values are secrets: each stands in a file, read anew each time.
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    insecure_skip_verify: bool,
}

/// An address and the connection that is kept to it.
#[derive(Debug)]
pub(crate) struct Http {
    url: String,
    headers: HeaderMap,
    header_files: Vec<(HeaderName, PathBuf)>,
    client: Client,
}

impl HttpText {
    /// Checks the texts; connects nowhere.
    pub(crate) fn build(self, max_bytes: usize) -> Result<Http, String> {
        check_address(&self.url).map_err(|e| format!("url: {e}"))?;
        let name = |key: &str, name: &str| {
            HeaderName::try_from(name).map_err(|_| format!("{key}: {name:?} is no name of a header field"))
        };
        let mut headers = HeaderMap::new();
        for (key, value) in &self.headers {
            let value =
                HeaderValue::from_str(value).map_err(|_| format!("headers: the value of {key} cannot be sent"))?;
            headers.insert(name("headers", key)?, value);
        }
        let mut header_files = Vec::new();
        for (key, path) in self.header_files {
            header_files.push((name("header_files", &key)?, path));
        }
        let client = Client::new(Options {
            user_agent: "custom_exporter".to_owned(),
            tls: Tls { verify: !self.insecure_skip_verify, ca: self.ca_file, identity: None },
            max_body: max_bytes,
            redirects: 3,
            ..Options::default()
        });
        Ok(Http { url: self.url, headers, header_files, client: client.map_err(|e| format!("http: {e}"))? })
    }
}

impl Http {
    pub(crate) async fn ask(&self, thread: &Thread, deadline: Instant) -> Result<Vec<u8>, Fault> {
        let headers = self.all_headers(thread, deadline).await?;
        let asked = self.client.send(Method::GET, &self.url, headers, Bytes::new(), deadline.into_std()).await;
        let reply = asked.map_err(|e| match e {
            ClientError::Timeout { .. } => Fault::Timeout,
            ClientError::TooLarge { .. } => Fault::Limit(e.to_string()),
            _ => Fault::Connect(e.to_string()),
        })?;
        if !reply.status.is_success() {
            return Err(Fault::Answer(format!("{}: status {}", without_credentials(&self.url), reply.status)));
        }
        Ok(reply.body.into())
    }

    /// With those whose values stand in files.
    async fn all_headers(&self, thread: &Thread, deadline: Instant) -> Result<HeaderMap, Fault> {
        let mut headers = self.headers.clone();
        if self.header_files.is_empty() {
            return Ok(headers);
        }
        let files = self.header_files.clone();
        let read = move || {
            for (name, path) in files {
                let wrong = |_| Fault::Connect(format!("header_files: what {} holds cannot be sent", path.display()));
                let mut value = HeaderValue::from_str(&file::secret(&path)?).map_err(wrong)?;
                value.set_sensitive(true);
                headers.insert(name, value);
            }
            Ok(headers)
        };
        thread.run(deadline, read).await
    }
}
