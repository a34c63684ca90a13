//! Kubernetes' Container Runtime Interface (`runtime.v1`), which CRI-O and containerd speak.

use super::api::ApiError;
use super::described::Described;
use super::grpc::Channel;
use super::protobuf::{self, Malformed, map, messages, number, text};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

/// A runtime.
#[derive(Debug)]
pub(crate) struct Cri(Channel);

impl Cri {
    pub(crate) fn new(socket: PathBuf) -> Self {
        Self(Channel::new(socket))
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.0
    }

    /// What runs: pods' sandboxes and containers.
    pub(crate) async fn running(&self, deadline: Instant) -> Result<Vec<Described>, ApiError> {
        let sandboxes = self.0.call(SANDBOXES, None, ONLY_READY, deadline).await?;
        let containers = self.0.call(CONTAINERS, None, ONLY_RUNNING, deadline).await?;
        decode(&sandboxes, &containers).map_err(|e| ApiError::Rpc { method: CONTAINERS, what: e.to_string() })
    }
}

/// The pod that a sandbox holds.
#[derive(Debug, Default)]
struct Pod {
    name: String,
    uid: String,
    namespace: String,
}

fn decode(sandboxes: &[u8], containers: &[u8]) -> Result<Vec<Described>, Malformed> {
    let mut pods: HashMap<String, Pod> = HashMap::new();
    let mut found = Vec::new();
    for message in messages(sandboxes, 1) {
        let message = message?;
        let (mut container, pod) = sandbox(message)?;
        let attempt = number(protobuf::bytes(message, 2)?, 4)?;
        container.name = format!("k8s_POD_{}_{}_{}_{attempt}", pod.name, pod.namespace, pod.uid);
        pods.insert(container.id.clone(), pod);
        found.push(container);
    }
    for message in messages(containers, 1) {
        let message = message?;
        let mut container = common(message, 7, 8)?;
        container.image = text(protobuf::bytes(message, 4)?, 18)?;
        if container.image.is_empty() {
            container.image = text(protobuf::bytes(message, 4)?, 1)?;
        }
        let metadata = protobuf::bytes(message, 3)?;
        let (name, attempt) = (text(metadata, 1)?, number(metadata, 2)?);
        let pod = pods.get(&text(message, 2)?);
        container.name = match pod {
            // The name that Kubernetes gave containers when Docker ran them, and CRI-O gives them still.
            Some(pod) => format!("k8s_{name}_{}_{}_{}_{attempt}", pod.name, pod.namespace, pod.uid),
            None => name,
        };
        container.joined = true;
        found.push(container);
    }
    Ok(found)
}

fn sandbox(message: &[u8]) -> Result<(Described, Pod), Malformed> {
    let metadata = protobuf::bytes(message, 2)?;
    let pod = Pod { name: text(metadata, 1)?, uid: text(metadata, 2)?, namespace: text(metadata, 3)? };
    let mut container = common(message, 4, 5)?;
    for (label, value) in [
        ("io.kubernetes.pod.name", &pod.name),
        ("io.kubernetes.pod.namespace", &pod.namespace),
        ("io.kubernetes.pod.uid", &pod.uid),
    ] {
        container.labels.entry(label.to_owned()).or_insert_with(|| value.clone());
    }
    Ok((container, pod))
}

/// What sandboxes and containers have alike, at different numbers.
fn common(message: &[u8], created: u64, labels: u64) -> Result<Described, Malformed> {
    let nanoseconds = number(message, created)? as i64;
    Ok(Described {
        id: text(message, 1)?,
        labels: map(message, labels)?,
        created: (nanoseconds > 0).then_some(nanoseconds / 1_000_000_000),
        ..Described::default()
    })
}

const SANDBOXES: &str = "/runtime.v1.RuntimeService/ListPodSandbox";
const CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";

/// `filter { state { state: SANDBOX_READY } }`; that state is 0.
const ONLY_READY: &[u8] = b"\x0a\x02\x12\x00";
/// `filter { state { state: CONTAINER_RUNNING } }`.
const ONLY_RUNNING: &[u8] = b"\x0a\x04\x12\x02\x08\x01";

#[cfg(test)]
mod tests {
    use super::super::protobuf::message;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn containers_get_the_names_of_their_pods() {
        let metadata = message(&[(1, b"web-0"), (2, b"uid-1"), (3, b"shop")]);
        let mut sandbox = message(&[(1, b"s1"), (2, &metadata), (5, &message(&[(1, b"app"), (2, b"web")]))]);
        sandbox.extend(b"\x20\x80\x94\xeb\xdc\x03");
        let mut metadata = message(&[(1, b"nginx")]);
        metadata.extend(b"\x10\x02");
        let container = message(&[
            (1, b"c1"),
            (2, b"s1"),
            (3, &metadata),
            (4, &message(&[(1, b"nginx:1.28")])),
            (8, &message(&[(1, b"k"), (2, b"v")])),
        ]);
        let lost = message(&[(1, b"c2"), (2, b"s9"), (3, &message(&[(1, b"alone")]))]);
        let found = decode(&message(&[(1, &sandbox)]), &message(&[(1, &container), (1, &lost)])).unwrap();
        let names: Vec<&str> = found.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["k8s_POD_web-0_shop_uid-1_0", "k8s_nginx_web-0_shop_uid-1_2", "alone"]);
        assert_eq!((found[0].created, found[1].created, found[1].image.as_str()), (Some(1), None, "nginx:1.28"));
        assert_eq!(found[0].labels["io.kubernetes.pod.name"], "web-0");
        assert_eq!((found[0].labels["app"].as_str(), found[1].labels["k"].as_str()), ("web", "v"));
        assert!(found[1].joined && !found[0].joined);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(first: Vec<u8>, second: Vec<u8>) {
            let _ = decode(&first, &second);
            let _ = decode(&message(&[(1, &first)]), &message(&[(1, &second)]));
        }
    }
}
