//! NGINX Plus: its API (`ngx_http_api_module`) under nginx-prometheus-exporter's names.
//!
//! Never run against the real thing: made from the module's documentation and the original's client.

mod http;
mod stream;
mod upstreams;
mod whole;

use crate::tree::{self, Rule};
use exporter::Part;
use serde_json::{Map, Value};
use service::client::{Client, ClientError, without_credentials};
use std::time::Instant;

/// States of a peer, numbered from 1 as the original numbers them.
const STATES: &[&str] = &["up", "draining", "down", "unavail", "checking", "unhealthy"];

/// What the API says, as one document in the shape of its tree.
#[derive(Debug)]
pub(crate) struct Status(Value);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlusError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{address}: expected status 200, got {status}")]
    Status { address: String, status: u16 },
    #[error("{address}: {source}")]
    Json { address: String, source: serde_json::Error },
    #[error("{address}: it speaks the API's versions {offered:?}, and this program {OLDEST} to {NEWEST}")]
    Version { address: String, offered: Vec<u32> },
}

/// The API's versions that an answer names; `None` where it is no such answer.
pub(crate) fn versions(body: &[u8]) -> Option<Vec<u32>> {
    let offered: Vec<u32> = serde_json::from_slice(body).ok()?;
    (!offered.is_empty()).then_some(offered)
}

/// The newest version that both know.
fn agree(offered: &[u32]) -> Option<u32> {
    offered.iter().copied().filter(|v| (OLDEST..=NEWEST).contains(v)).max()
}

impl Status {
    /// Asks for all that the API below `base` has, one after the other over one connection.
    pub(crate) async fn fetch(
        client: &Client,
        base: &str,
        offered: &[u32],
        deadline: Instant,
    ) -> Result<Self, PlusError> {
        let version = agree(offered)
            .ok_or_else(|| PlusError::Version { address: without_credentials(base), offered: offered.to_vec() })?;
        let api = Api { client, base: format!("{}/{version}", base.trim_end_matches('/')), deadline };
        let mut all = Map::new();
        let roots = api.names("").await?;
        for root in roots.iter().filter(|r| ROOTS.contains(&r.as_str())) {
            let found = match api.get(root).await {
                // What the licence says is no matter of the server's health.
                Err(e) if root == "license" => {
                    tracing::warn!(err = %e, "no licence information");
                    None
                }
                other => other?,
            };
            all.extend(found.map(|value| (root.clone(), value)));
        }
        for (branch, wanted) in [("http", HTTP), ("stream", STREAM)] {
            if !roots.iter().any(|r| r == branch) {
                continue;
            }
            let mut found = Map::new();
            for name in api.names(branch).await?.into_iter().filter(|n| wanted.contains(&n.as_str())) {
                if let Some(value) = api.get(&format!("{branch}/{name}")).await? {
                    found.insert(name, value);
                }
            }
            all.insert(branch.to_owned(), Value::Object(found));
        }
        Ok(Self(Value::Object(all)))
    }

    /// Emits all families.
    pub(crate) fn emit(&self, labels: &[(&str, &[u8])], out: &mut Part) {
        for rules in RULES {
            tree::emit(rules, &self.0, labels, out);
        }
    }
}

struct Api<'a> {
    client: &'a Client,
    base: String,
    deadline: Instant,
}

impl Api<'_> {
    /// The members of a branch of the tree; none where it has gone.
    async fn names(&self, path: &str) -> Result<Vec<String>, PlusError> {
        let Some(Value::Array(names)) = self.get(path).await? else { return Ok(Vec::new()) };
        Ok(names
            .into_iter()
            .filter_map(|name| if let Value::String(name) = name { Some(name) } else { None })
            .collect())
    }

    /// `None` where there is no such element: a reload may have taken it away since it was listed.
    async fn get(&self, path: &str) -> Result<Option<Value>, PlusError> {
        let address = format!("{}/{path}", self.base);
        let reply = self.client.get(&address, self.deadline).await?;
        let shown = || without_credentials(&address);
        match reply.status.as_u16() {
            200 => serde_json::from_slice(&reply.body)
                .map(Some)
                .map_err(|source| PlusError::Json { address: shown(), source }),
            404 => Ok(None),
            status => Err(PlusError::Status { address: shown(), status }),
        }
    }
}

const RULES: [&[Rule]; 4] = [whole::RULES, http::RULES, upstreams::RULES, stream::RULES];

/// What is asked for, of what the server has.
const ROOTS: &[&str] = &["connections", "license", "resolvers", "ssl", "workers"];
const HTTP: &[&str] =
    &["caches", "limit_conns", "limit_reqs", "location_zones", "requests", "server_zones", "upstreams"];
const STREAM: &[&str] = &["limit_conns", "server_zones", "upstreams", "zone_sync"];

/// The versions whose answers are known.
const OLDEST: u32 = 4;
const NEWEST: u32 = 9;

#[cfg(test)]
impl From<Value> for Status {
    fn from(all: Value) -> Self {
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_both_know() {
        assert_eq!(versions(b"[1,2,3,4,5,6,7,8,9]").as_deref().and_then(agree), Some(9));
        assert_eq!(agree(&[3, 4, 7, 10]), Some(7));
        assert_eq!(agree(&[1, 2, 3]), None);
        for body in ["[]", "{}", "[\"a\"]", "[-1]", "Active connections: 1"] {
            assert_eq!(versions(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn each_rule_has_a_place_of_its_own() {
        let mut names: Vec<&str> = RULES.iter().flat_map(|r| r.iter().map(Rule::name)).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), all), (132, 132));
    }
}
