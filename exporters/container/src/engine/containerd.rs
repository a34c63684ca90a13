//! containerd's own API: which tasks run, and what their containers are.

use super::api::ApiError;
use super::described::Described;
use super::grpc::Channel;
use super::protobuf::{self, Malformed, map, messages, number, put, text};
use bytes::Bytes;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A containerd.
#[derive(Debug)]
pub(crate) struct Containerd {
    channel: Channel,
    /// Which are looked at; all but Docker's if empty.
    namespaces: Vec<String>,
    known: Mutex<Kept>,
}

/// What containers are, by namespace and id, and since when that is known.
#[derive(Debug, Default)]
struct Kept {
    listed: Option<Instant>,
    containers: HashMap<Key, Meta>,
}

/// Namespace and id.
type Key = (String, String);

/// What stands fast of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Meta {
    described: Described,
    snapshotter: String,
    snapshot: String,
}

impl Containerd {
    pub(crate) fn new(socket: PathBuf, namespaces: Vec<String>) -> Self {
        Self { channel: Channel::new(socket), namespaces, known: Mutex::default() }
    }

    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// What runs. Tasks are listed each time; what their containers are only for new ones, and once a minute.
    pub(crate) async fn running(&self, deadline: Instant) -> Result<Vec<Described>, ApiError> {
        let mut tasks: HashMap<Key, u32> = HashMap::new();
        for namespace in self.namespaces(deadline).await? {
            let answer = self.ask(TASKS, &namespace, &[], deadline).await?;
            for (id, pid) in running(&answer).map_err(|e| malformed(TASKS, e))? {
                tasks.insert((namespace.clone(), id), pid);
            }
        }
        let (stale, mut old) = {
            let mut known = self.known();
            let stale = known.listed.is_none_or(|l| l.elapsed() >= LISTED_EVERY)
                || tasks.keys().any(|key| !known.containers.contains_key(key));
            (stale, std::mem::take(&mut known.containers))
        };
        let listed = if stale {
            old = self.list(&tasks, old, deadline).await?;
            Some(Instant::now())
        } else {
            self.known().listed
        };
        let mut found = Vec::with_capacity(tasks.len());
        old.retain(|key, meta| {
            let pid = tasks.get(key);
            found.extend(pid.map(|pid| Described { pid: Some(*pid), ..meta.described.clone() }));
            pid.is_some()
        });
        found.sort_by(|a, b| a.id.cmp(&b.id));
        *self.known() = Kept { listed, containers: old };
        Ok(found)
    }

    async fn namespaces(&self, deadline: Instant) -> Result<Vec<String>, ApiError> {
        if !self.namespaces.is_empty() {
            return Ok(self.namespaces.clone());
        }
        let answer = self.channel.call(NAMESPACES, None, &[], deadline).await?;
        let names = messages(&answer, 1).map(|namespace| text(namespace?, 1));
        let mut names = names.collect::<Result<Vec<String>, _>>().map_err(|e| malformed(NAMESPACES, e))?;
        // Docker tells more of its own.
        names.retain(|name| name != "moby");
        Ok(names)
    }

    /// What the containers of these tasks are; their writable layers are asked for once.
    async fn list(
        &self,
        tasks: &HashMap<Key, u32>,
        mut old: HashMap<Key, Meta>,
        deadline: Instant,
    ) -> Result<HashMap<Key, Meta>, ApiError> {
        let namespaces: BTreeSet<&String> = tasks.keys().map(|(namespace, _)| namespace).collect();
        let mut found = HashMap::with_capacity(tasks.len());
        for namespace in namespaces {
            let answer = self.ask(CONTAINERS, namespace, &[], deadline).await?;
            for mut meta in containers(&answer).map_err(|e| malformed(CONTAINERS, e))? {
                let key = (namespace.clone(), meta.described.id.clone());
                if !tasks.contains_key(&key) {
                    continue;
                }
                let before =
                    old.remove(&key).filter(|o| (&o.snapshotter, &o.snapshot) == (&meta.snapshotter, &meta.snapshot));
                meta.described.folder = match before {
                    Some(before) => before.described.folder,
                    None if meta.snapshot.is_empty() => None,
                    None => self.writable_layer(namespace, &meta, deadline).await,
                };
                found.insert(key, meta);
            }
        }
        Ok(found)
    }

    /// The upper folder of an overlay; other snapshotters have none that could be walked.
    async fn writable_layer(&self, namespace: &str, meta: &Meta, deadline: Instant) -> Option<PathBuf> {
        let mut request = Vec::new();
        put(&mut request, 1, meta.snapshotter.as_bytes());
        put(&mut request, 2, meta.snapshot.as_bytes());
        match self.ask(MOUNTS, namespace, &request, deadline).await {
            Ok(answer) => upper(&answer).ok().flatten(),
            Err(e) => {
                tracing::debug!(err = %e, snapshot = meta.snapshot, "no mounts of a snapshot");
                None
            }
        }
    }

    async fn ask(
        &self,
        method: &'static str,
        namespace: &str,
        message: &[u8],
        deadline: Instant,
    ) -> Result<Bytes, ApiError> {
        self.channel.call(method, Some(("containerd-namespace", namespace)), message, deadline).await
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn malformed(method: &'static str, e: Malformed) -> ApiError {
    ApiError::Rpc { method, what: e.to_string() }
}

/// Id and process of the tasks that run or are paused, from `ListTasksResponse`.
fn running(answer: &[u8]) -> Result<Vec<(String, u32)>, Malformed> {
    let mut found = Vec::new();
    for task in messages(answer, 1) {
        let task = task?;
        // What runs is named by its container; the field for that is only set in other answers.
        let id = match text(task, 1)? {
            id if id.is_empty() => text(task, 2)?,
            id => id,
        };
        let alive = matches!(number(task, 4)?, RUNNING | PAUSED | PAUSING);
        let pid = u32::try_from(number(task, 3)?).map_err(|_| Malformed)?;
        if alive && pid > 0 {
            found.push((id, pid));
        }
    }
    Ok(found)
}

/// The containers of `ListContainersResponse`.
fn containers(answer: &[u8]) -> Result<Vec<Meta>, Malformed> {
    messages(answer, 1).map(|container| meta(container?)).collect()
}

fn meta(container: &[u8]) -> Result<Meta, Malformed> {
    let (id, image, labels) = (text(container, 1)?, text(container, 3)?, map(container, 2)?);
    let mut described = Described { id, image, labels, ..Described::default() };
    // As cAdvisor has it, but that nerdctl's users know their containers by a name.
    described.name.clone_from(described.labels.get("nerdctl/name").unwrap_or(&described.id));
    let seconds = number(protobuf::bytes(container, 8)?, 1)? as i64;
    described.created = (seconds > 0).then_some(seconds);
    let spec = protobuf::bytes(protobuf::bytes(container, 5)?, 2)?;
    // A runtime's own specification that is no JSON has nothing for us.
    let spec: Spec = serde_json::from_slice(spec).unwrap_or_default();
    described.env = spec.process.env;
    described.shares = spec.linux.resources.cpu.shares.filter(|&shares| shares > 0);
    described.joined = spec.linux.namespaces.iter().any(|n| n.kind == "network" && !n.path.is_empty())
        || !spec.linux.namespaces.iter().any(|n| n.kind == "network");
    Ok(Meta { described, snapshotter: text(container, 6)?, snapshot: text(container, 7)? })
}

/// The `upperdir` of `MountsResponse`.
fn upper(answer: &[u8]) -> Result<Option<PathBuf>, Malformed> {
    for mount in messages(answer, 1) {
        for option in messages(mount?, 4) {
            if let Some(path) = option?.strip_prefix(b"upperdir=") {
                return Ok(Some(PathBuf::from(String::from_utf8_lossy(path).into_owned())));
            }
        }
    }
    Ok(None)
}

/// As much of the OCI runtime specification as is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    process: Process,
    linux: Linux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    env: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    namespaces: Vec<Namespace>,
    resources: Resources,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Resources {
    cpu: Cpu,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cpu {
    shares: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    path: String,
}

const NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";
const TASKS: &str = "/containerd.services.tasks.v1.Tasks/List";
const CONTAINERS: &str = "/containerd.services.containers.v1.Containers/List";
const MOUNTS: &str = "/containerd.services.snapshots.v1.Snapshots/Mounts";

/// States of a task.
const RUNNING: u64 = 2;
const PAUSED: u64 = 4;
const PAUSING: u64 = 5;

/// How long labels may have changed unseen: a list carries each container's whole specification.
const LISTED_EVERY: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::super::protobuf::message;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tasks_that_are_alive() {
        let task = |id: &[u8], more: &[u8]| [message(&[(2, id)]), more.to_vec()].concat();
        let list = message(&[
            (1, &task(b"run", b"\x18\xd2\x09\x20\x02")),
            (1, &task(b"paused", b"\x18\x07\x20\x04")),
            (1, &task(b"stopped", b"\x18\x08\x20\x03")),
            (1, &task(b"created", b"\x20\x01")),
        ]);
        assert_eq!(running(&list).unwrap(), [("run".to_owned(), 1234), ("paused".to_owned(), 7)]);
        assert_eq!(running(b"\x0a\x05"), Err(Malformed));
    }

    #[test]
    fn what_a_container_is() {
        let spec = br#"{"process":{"env":["A=1"]},"linux":{"resources":{"cpu":{"shares":512}},"namespaces":[{"type":"pid"},{"type":"network","path":"/proc/7/ns/net"}]}}"#;
        let any = message(&[(1, b"types.containerd.io/opencontainers/runtime-spec/1/Spec"), (2, spec)]);
        let label = |k: &[u8], v: &[u8]| message(&[(1, k), (2, v)]);
        let container = message(&[
            (1, b"0123"),
            (2, &label(b"nerdctl/name", b"web")),
            (2, &label(b"team", b"a\"b")),
            (3, b"docker.io/library/nginx:1"),
            (5, &any),
            (6, b"overlayfs"),
            (7, b"0123"),
            (8, b"\x08\xc0\x84\x3d"),
        ]);
        let found = &containers(&message(&[(1, &container)])).unwrap()[0];
        let described = &found.described;
        assert_eq!((described.id.as_str(), described.name.as_str()), ("0123", "web"));
        assert_eq!((described.image.as_str(), described.created), ("docker.io/library/nginx:1", Some(1_000_000)));
        assert_eq!((described.env.as_slice(), described.joined), (&["A=1".to_owned()][..], true));
        assert_eq!(described.shares, Some(512));
        assert_eq!((found.snapshotter.as_str(), found.snapshot.as_str()), ("overlayfs", "0123"));
        let own =
            meta(&message(&[(1, b"x"), (5, &message(&[(2, br#"{"linux":{"namespaces":[{"type":"network"}]}}"#)]))]))
                .unwrap();
        assert_eq!((own.described.name.as_str(), own.described.joined), ("x", false));
    }

    #[test]
    fn the_upper_folder_of_an_overlay() {
        let mount =
            message(&[(1, b"overlay"), (2, b"overlay"), (4, b"workdir=/w"), (4, b"upperdir=/up"), (4, b"lowerdir=/l")]);
        assert_eq!(upper(&message(&[(1, &mount)])).unwrap(), Some("/up".into()));
        assert_eq!(upper(&message(&[(1, &message(&[(1, b"bind"), (4, b"rw")]))])).unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            for message in [bytes.clone(), message(&[(1, &bytes)]), message(&[(1, &message(&[(2, &bytes), (5, &bytes)]))])] {
                let _ = running(&message);
                let _ = containers(&message);
                let _ = upper(&message);
            }
        }
    }
}
