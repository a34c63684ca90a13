//! The parts of the engine API's answers that are read. Fields that an engine leaves out are empty.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// `GET /version`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Version {
    #[serde(rename = "Version")]
    pub(crate) engine: String,
    #[serde(rename = "ApiVersion")]
    pub(crate) newest: String,
    #[serde(rename = "MinAPIVersion")]
    pub(crate) oldest: String,
}

/// One container of `GET /containers/json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed<'a> {
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(crate) names: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow, default)]
    pub(crate) image: Option<Cow<'a, str>>,
    /// A number from Docker; Podman writes a time.
    #[serde(borrow, default)]
    pub(crate) created: Option<&'a RawValue>,
    /// `Up 5 minutes (healthy)`.
    #[serde(borrow, default)]
    pub(crate) status: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) labels: Option<&'a RawValue>,
}

/// `GET /containers/ID/json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Inspected {
    pub(crate) created: Option<String>,
    pub(crate) state: Option<State>,
    pub(crate) restart_count: Option<u64>,
    pub(crate) config: Option<Config>,
    pub(crate) graph_driver: Option<GraphDriver>,
    pub(crate) log_path: Option<String>,
    pub(crate) hostname_path: Option<String>,
    pub(crate) host_config: Option<HostConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct State {
    pub(crate) pid: Option<u32>,
    pub(crate) started_at: Option<String>,
    #[serde(alias = "Healthcheck")]
    pub(crate) health: Option<HealthState>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HealthState {
    pub(crate) status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    pub(crate) image: Option<String>,
    pub(crate) env: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct GraphDriver {
    pub(crate) data: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct HostConfig {
    pub(crate) network_mode: Option<String>,
    pub(crate) cpu_shares: Option<u64>,
}

/// Labels as sorted pairs; a value that is no text is left out.
pub(crate) fn labels(raw: &str) -> Vec<(String, String)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Text {
        Text(String),
        Other(IgnoredAny),
    }
    let map: BTreeMap<String, Text> = serde_json::from_str(raw).unwrap_or_default();
    map.into_iter()
        .filter_map(|(k, v)| match v {
            Text::Text(v) => Some((k, v)),
            Text::Other(IgnoredAny) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_with_holes() {
        let list: Vec<Listed<'_>> = serde_json::from_str(
            r#"[{"Id":"a","Names":["/x\"y"],"Image":"i","Created":17,"Status":"Up","Labels":{"k":"v\n","n":null}},
                {"Id":"b","Names":null,"Labels":null}]"#,
        )
        .unwrap();
        assert_eq!(list[0].names.as_ref().unwrap()[0], "/x\"y");
        assert_eq!(labels(list[0].labels.unwrap().get()), [("k".to_owned(), "v\n".to_owned())]);
        assert!(list[1].labels.is_none_or(|l| labels(l.get()).is_empty()));
        let inspected: Inspected = serde_json::from_str(
            r#"{"State":{"Pid":7,"Health":null},"Config":{"Env":null},"GraphDriver":{"Data":null}}"#,
        )
        .unwrap();
        assert_eq!(inspected.state.unwrap().pid, Some(7));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in ".{0,40}") {
            let _ = serde_json::from_slice::<Vec<Listed<'_>>>(&bytes);
            let _ = serde_json::from_slice::<Inspected>(&bytes);
            labels(&text);
        }
    }
}
