//! The container exporter beside real engines that are no Docker: containerd by its own API and by Kubernetes' CRI, and
//! Podman.
#![allow(clippy::unwrap_used, clippy::float_cmp)] // a test fails by panic; numbers here are whole

use exposition::{ParsedFamily, ParsedValue, parse_text};
use std::collections::BTreeMap;
use std::time::Duration;
use tests::{Containerd, Podman, Service, get, skip, wait_until};

/// A page, parsed by the strict parser.
struct Page(Vec<ParsedFamily>);

type Labels = BTreeMap<String, String>;

impl Page {
    fn of(service: &Service) -> Self {
        let answer = get(&service.url("/metrics")).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        Self(parse_text(&answer.body).unwrap())
    }

    /// Labels and values of a family's samples of the container with this name.
    fn named(&self, family: &str, name: &str) -> Vec<(Labels, f64)> {
        let samples = self.0.iter().filter(|f| f.name == family).flat_map(|f| &f.samples);
        samples
            .map(|s| {
                let ParsedValue::Number(value) = &s.value else { panic!("{family}: no number") };
                (s.labels.iter().cloned().collect::<Labels>(), value.as_f64())
            })
            .filter(|(labels, _)| labels.get("name").is_some_and(|n| n == name))
            .collect()
    }

    fn one(&self, family: &str, name: &str) -> (Labels, f64) {
        let found = self.named(family, name);
        assert_eq!(found.len(), 1, "{family} of {name}: {found:?}");
        found.into_iter().next().unwrap()
    }
}

/// The exporter with no engine but those that are given.
fn exporter(args: &[String]) -> Service {
    let mut all: Vec<String> = ["--docker=", "--podman=", "--containerd=", "--cri=", "--docker_only"]
        .iter()
        .filter(|flag| !args.iter().any(|a| a.starts_with(**flag)))
        .map(|flag| (*flag).to_owned())
        .collect();
    all.extend(args.iter().cloned());
    Service::ours("container-exporter", &all)
}

#[test]
fn containerd_tells_names_images_and_labels() {
    let Some(containerd) = Containerd::start(&["bongsu-a", "bongsu-b", "moby"]) else { return };
    let command = "dd if=/dev/zero of=/tmp/f bs=1M count=3; sleep 1000";
    containerd.container("bongsu-a", &["--label", "team=blue", "--label", "quote=a\"b\\c"], "ct-one", command);
    containerd.container(
        "bongsu-b",
        &["--label", "nerdctl/name=ct-two", "--memory-limit", "33554432"],
        "0123abc",
        "sleep 1000",
    );
    containerd.container("moby", &[], "ct-docker", "sleep 1000");
    let socket = format!("--containerd={}", containerd.socket().display());
    let service = exporter(&[socket.clone(), "--env_metadata_whitelist=APP_".into(), "--disk.interval=1s".into()]);
    let page = Page::of(&service);

    let (labels, _) = page.one("container_last_seen", "ct-one");
    assert_eq!(labels["id"], "/bongsu-a/ct-one");
    assert_eq!(labels["image"], containerd.image);
    assert_eq!((&*labels["container_label_team"], &*labels["container_label_quote"]), ("blue", "a\"b\\c"));
    assert_eq!(labels["container_env_app_mode"], "lab");
    assert!(page.one("container_memory_usage_bytes", "ct-one").1 > 0.0);
    let (labels, limit) = page.one("container_spec_memory_limit_bytes", "ct-two");
    assert_eq!((&*labels["id"], limit), ("/bongsu-b/0123abc", 33_554_432.0));
    assert_eq!(page.named("container_last_seen", "ct-docker").len(), 0, "Docker's own namespace");
    // The writable layer, as soon as it is walked: 3 MiB and a few folders.
    wait_until("the walk", Duration::from_secs(30), || {
        let found = Page::of(&service).named("container_fs_usage_bytes", "ct-one");
        found.first().is_some_and(|(_, bytes)| (3_145_728.0..3_300_000.0).contains(bytes))
    });

    // Gone, and made anew under the same name with another label.
    containerd.remove("bongsu-a", "ct-one");
    assert_eq!(Page::of(&service).named("container_last_seen", "ct-one").len(), 0);
    containerd.container("bongsu-a", &["--label", "team=red"], "ct-one", "sleep 1000");
    assert_eq!(Page::of(&service).one("container_last_seen", "ct-one").0["container_label_team"], "red");

    let only = exporter(&[socket, "--containerd-namespace=bongsu-b, moby".into()]);
    let page = Page::of(&only);
    assert_eq!(page.named("container_last_seen", "ct-one").len(), 0);
    assert_eq!(page.named("container_last_seen", "ct-two").len(), 1);
    assert_eq!(page.named("container_last_seen", "ct-docker").len(), 1);

    // The engine goes, and what it told with it.
    drop(containerd);
    assert_eq!(Page::of(&service).named("container_last_seen", "ct-two").len(), 0);
}

/// A field of a protobuf message.
fn field(number: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut length = bytes.len();
    let mut out = vec![number << 3 | 2];
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

fn fields(all: &[(u8, &[u8])]) -> Vec<u8> {
    all.iter().flat_map(|(number, bytes)| field(*number, bytes)).collect()
}

#[test]
fn kubernetes_interface_tells_pods_and_containers() {
    let Some(containerd) = Containerd::start(&["k8s.io"]) else { return };
    // A pod on the host's network needs no network plugin.
    let host_network = field(2, field(1, b"\x08\x02"));
    let metadata = fields(&[(1, b"web-0"), (2, b"uid-1"), (3, b"shop")]);
    let labels = fields(&[(1, b"app"), (2, b"web")]);
    let pod = fields(&[(1, &metadata), (6, &labels), (8, &host_network)]);
    let id = |answer: Option<Vec<u8>>| answer.and_then(|a| String::from_utf8(a.get(2..)?.to_vec()).ok());
    let Some(sandbox) = id(containerd.cri("RunPodSandbox", &field(1, &pod))) else {
        skip("curl without HTTP/2, or pods cannot start here");
        return;
    };
    let mut metadata = field(1, "nginx");
    metadata.extend(b"\x10\x02");
    let image = field(1, &containerd.image);
    let label = fields(&[(1, b"io.kubernetes.container.name"), (2, b"nginx")]);
    let config = fields(&[(1, &metadata), (2, &image), (3, b"sleep"), (4, b"1000"), (9, &label)]);
    let create = fields(&[(1, sandbox.as_bytes()), (2, &config), (3, &pod)]);
    let container = id(containerd.cri("CreateContainer", &create)).unwrap();
    containerd.cri("StartContainer", &field(1, &container)).unwrap();

    let by_cri = exporter(&[format!("--cri=unix://{}", containerd.socket().display())]);
    let page = Page::of(&by_cri);
    let (labels, _) = page.one("container_last_seen", "k8s_nginx_web-0_shop_uid-1_2");
    assert!(labels["id"].ends_with(&container), "{labels:?}");
    assert_eq!(labels["image"], containerd.image);
    assert_eq!(labels["container_label_io_kubernetes_container_name"], "nginx");
    let (labels, _) = page.one("container_last_seen", "k8s_POD_web-0_shop_uid-1_0");
    assert!(labels["id"].ends_with(&sandbox), "{labels:?}");
    assert_eq!(labels["container_label_app"], "web");
    assert_eq!(labels["container_label_io_kubernetes_pod_namespace"], "shop");
    assert!(page.one("container_memory_usage_bytes", "k8s_nginx_web-0_shop_uid-1_2").1 > 0.0);

    // Both at once: each container once, as containerd's own API has it.
    let socket = containerd.socket().display().to_string();
    let both = exporter(&[format!("--cri={socket}"), format!("--containerd={socket}")]);
    let page = Page::of(&both);
    assert_eq!(page.one("container_last_seen", &container).0["container_label_io_cri_containerd_kind"], "container");
    assert_eq!(page.named("container_last_seen", "k8s_nginx_web-0_shop_uid-1_2").len(), 0);

    containerd.cri("StopPodSandbox", &field(1, &sandbox)).unwrap();
    let page = Page::of(&by_cri);
    assert_eq!(page.named("container_last_seen", "k8s_nginx_web-0_shop_uid-1_2").len(), 0);
    containerd.cri("RemovePodSandbox", &field(1, &sandbox)).unwrap();
}

#[test]
fn podman_is_asked_as_docker_is() {
    let Some(podman) = Podman::start() else { return };
    let options = ["--name", "pm-one", "--label", "team=blue", "--label", "quote=a\"b", "--memory", "32m"];
    let Some(id) = podman.container(&options, "sleep 1000") else { return };
    let service = exporter(&[format!("--podman=unix://{}", podman.socket().display()), "--disk.interval=1s".into()]);
    let page = Page::of(&service);
    let (labels, limit) = page.one("container_spec_memory_limit_bytes", "pm-one");
    assert_eq!(limit, 33_554_432.0);
    assert!(labels["id"].ends_with(&format!("libpod-{id}")), "{labels:?}");
    assert_eq!((&*labels["image"], &*labels["container_label_team"]), (&*podman.image, "blue"));
    assert_eq!(labels["container_label_quote"], "a\"b");
    let started = page.one("container_start_time_seconds", "pm-one").1;
    let inspected = podman.try_run(&["inspect", "--format", "{{.State.StartedAt.Unix}}", &id]);
    assert_eq!(started, String::from_utf8(inspected.stdout).unwrap().trim().parse::<f64>().unwrap());
    assert_eq!(page.one("container_health_state", "pm-one").1, -1.0);
    wait_until("the walk", Duration::from_secs(30), || {
        !Page::of(&service).named("container_fs_usage_bytes", "pm-one").is_empty()
    });
    assert!(podman.try_run(&["rename", &id, "pm-two"]).status.success());
    let page = Page::of(&service);
    assert_eq!(page.named("container_last_seen", "pm-one").len(), 0);
    assert_eq!(page.named("container_last_seen", "pm-two").len(), 1);
    assert!(podman.try_run(&["rm", "-f", "-t", "0", &id]).status.success());
    assert_eq!(Page::of(&service).named("container_last_seen", "pm-two").len(), 0);
}

#[test]
fn flags_of_engines_are_checked() {
    for (args, said) in
        [(["--containerd=tcp://x:1"], "--containerd: expected a Unix socket"), (["--cri=nowhere"], "--cri")]
    {
        let output = tests::refused("container-exporter", &args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn an_rpc_server_that_never_answers_costs_no_more_than_its_time_out() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("hung.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let service = exporter(&[
        format!("--containerd={}", socket.display()),
        format!("--cri={}", socket.display()),
        "--engine.timeout=1s".into(),
    ]);
    for _ in 0..3 {
        let start = std::time::Instant::now();
        Page::of(&service);
        assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    }
    wait_until("the log", Duration::from_secs(30), || service.log().contains("no metadata from the engine"));
}
