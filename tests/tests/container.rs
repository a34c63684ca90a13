//! The container exporter beside a real Docker engine and the kernel's own files, and on built trees of other hosts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::float_cmp)] // a test fails by panic; numbers here are whole

use exposition::{ParsedFamily, ParsedValue, Value, parse_text};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tests::{Docker, Service, get, refused, wait_until};

/// One page, parsed by the strict parser.
struct Page(Vec<ParsedFamily>, String);

impl Page {
    fn of(service: &Service) -> Self {
        Self::at(service, "/metrics")
    }

    fn at(service: &Service, path: &str) -> Self {
        let answer = get(&service.url(path)).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        Self(parse_text(&answer.body).unwrap(), answer.text())
    }

    fn samples<'p>(&'p self, family: &str, labels: &[(&str, &str)]) -> Vec<(&'p [(String, String)], f64)> {
        let has = |own: &[(String, String)]| labels.iter().all(|l| own.iter().any(|(n, v)| (&**n, &**v) == *l));
        let found = self.0.iter().find(|f| f.name == family);
        let samples = found.map_or(&[][..], |f| &f.samples).iter().filter(|s| has(&s.labels));
        samples
            .map(|s| {
                let ParsedValue::Number(value) = &s.value else { panic!("{family}: no number") };
                let value = match value {
                    Value::U64(n) => *n as f64,
                    Value::I64(n) => *n as f64,
                    Value::F64(n) => *n,
                };
                (&*s.labels, value)
            })
            .collect()
    }

    /// The one sample with these labels.
    fn value(&self, family: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.samples(family, labels);
        assert_eq!(found.len(), 1, "{family} {labels:?}: {found:?}");
        found[0].1
    }

    fn has(&self, family: &str, labels: &[(&str, &str)]) -> bool {
        !self.samples(family, labels).is_empty()
    }

    fn ids(&self) -> BTreeSet<String> {
        let seen = self.samples("container_last_seen", &[]);
        seen.iter().flat_map(|s| s.0.iter().filter(|l| l.0 == "id").map(|l| l.1.clone())).collect()
    }
}

fn exporter(docker: &Docker, args: &[&str]) -> Service {
    let mut all = vec![format!("--docker={}", docker.host), "--podman=".to_owned(), "--containerd=".to_owned()];
    all.extend(args.iter().map(|a| (*a).to_owned()));
    Service::ours("container-exporter", &all)
}

/// A number of a cgroup file of a container, v1 or v2.
fn kernel(cgroup: &str, v1: (&str, &str), v2: &str) -> f64 {
    let paths = [format!("/sys/fs/cgroup/{}{cgroup}/{}", v1.0, v1.1), format!("/sys/fs/cgroup{cgroup}/{v2}")];
    let text = paths.iter().find_map(|p| fs::read_to_string(p).ok()).unwrap_or_else(|| panic!("{paths:?}"));
    text.trim().parse().unwrap_or_else(|_| panic!("{paths:?}: {text}"))
}

fn epoch(docker_time: &str) -> i64 {
    let output = std::process::Command::new("date").args(["-d", docker_time, "+%s"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
fn the_engine_and_the_kernel_agree_with_the_page() {
    let Some(docker) = Docker::start("agree") else { return };
    let limits = ["--memory=64m", "--memory-reservation=32m", "--cpus=.5", "--cpu-shares=512", "--pids-limit=50"];
    let mut options = vec!["--name=bt-limit", "--label=com.example.team=blue"];
    options.extend(limits);
    let limited = docker.container(&options, "dd if=/dev/zero of=/tmp/f bs=1M count=20; sleep 1000");
    let busy = docker.container(&["--name=bt-busy"], "while :; do :; done");
    let share = docker.container(&["--name=bt-share", "--network=container:bt-limit"], "sleep 1000");
    let host = docker.container(&["--name=bt-host", "--network=host"], "sleep 1000");
    let service = exporter(&docker, &["--disk.interval=1s"]);
    let of = |name: &'static str| [("name", name)];
    let page = Page::of(&service);
    assert_eq!(page.value("container_scrape_error", &[]), 0.0);

    // What was asked for.
    let inspected = docker.inspect(&limited);
    for (family, expected) in [
        ("container_spec_memory_limit_bytes", inspected["HostConfig"]["Memory"].as_f64().unwrap()),
        ("container_spec_memory_reservation_limit_bytes", 33_554_432.0),
        ("container_spec_cpu_quota", inspected["HostConfig"]["NanoCpus"].as_f64().unwrap() / 1e4),
        ("container_spec_cpu_period", 100_000.0),
        ("container_start_time_seconds", epoch(inspected["State"]["StartedAt"].as_str().unwrap()) as f64),
        ("container_creation_time_seconds", epoch(inspected["Created"].as_str().unwrap()) as f64),
        ("container_restarts_total", 0.0),
        ("container_health_state", -1.0),
    ] {
        assert_eq!(page.value(family, &of("bt-limit")), expected, "{family}");
    }
    let shares = page.value("container_spec_cpu_shares", &of("bt-limit"));
    assert!((480.0..=520.0).contains(&shares), "{shares}");
    assert_eq!(page.value("container_spec_memory_limit_bytes", &of("bt-busy")), 0.0);
    assert!(!page.has("container_spec_cpu_quota", &of("bt-busy")));
    let labels = page.samples("container_last_seen", &of("bt-limit"))[0].0;
    let label = |name: &str| labels.iter().find(|l| l.0 == name).map(|l| l.1.as_str());
    assert_eq!(label("image"), Some(&*docker.image));
    assert_eq!(label("container_label_com_example_team"), Some("blue"));
    let cgroup = label("id").unwrap().to_owned();
    assert!(cgroup.contains(&limited), "{cgroup}");

    // What the kernel counts moves: before, page, after.
    let busy_group = page.samples("container_last_seen", &of("bt-busy"))[0].0;
    let busy_group = busy_group.iter().find(|l| l.0 == "id").unwrap().1.clone();
    assert!(busy_group.contains(&busy));
    let cpu = || kernel(&busy_group, ("cpuacct", "cpuacct.usage"), "cpu.stat.usage") / 1e9;
    if Path::new("/sys/fs/cgroup/cpuacct").is_dir() {
        let before = cpu();
        let page = Page::of(&service);
        let shown = page.value("container_cpu_usage_seconds_total", &of("bt-busy"));
        assert!((before..=cpu()).contains(&shown), "{before} {shown}");
        let (user, system) = (
            page.value("container_cpu_user_seconds_total", &of("bt-busy")),
            page.value("container_cpu_system_seconds_total", &of("bt-busy")),
        );
        assert!((user + system - shown).abs() < shown.mul_add(0.2, 0.1), "{user} + {system} / {shown}");
    }
    let memory = || kernel(&cgroup, ("memory", "memory.usage_in_bytes"), "memory.current");
    wait_until("memory that holds still", Duration::from_secs(30), || {
        let before = memory();
        let page = Page::of(&service);
        let (usage, working) = (
            page.value("container_memory_usage_bytes", &of("bt-limit")),
            page.value("container_memory_working_set_bytes", &of("bt-limit")),
        );
        let inactive = page.value("container_memory_total_inactive_file_bytes", &of("bt-limit"));
        usage == before && before == memory() && (working - (usage - inactive).max(0.0)).abs() < 1.0
    });

    // One network, one owner.
    if !docker.has_network() {
        return;
    }
    let page = Page::of(&service);
    assert_eq!(page.samples("container_network_receive_bytes_total", &of("bt-limit")).len(), 1);
    for name in ["bt-share", "bt-host"] {
        assert!(!page.has("container_network_receive_bytes_total", &of(name)), "{name}");
        assert!(page.has("container_memory_usage_bytes", &of(name)), "{name}");
    }
    assert!(page.has("container_network_receive_bytes_total", &[("id", "/"), ("interface", "eth0")]));
    let pid = inspected["State"]["Pid"].as_u64().unwrap();
    let table = fs::read_to_string(format!("/proc/{pid}/net/dev")).unwrap();
    let row = table.lines().find_map(|l| l.trim().strip_prefix("eth0:")).unwrap();
    let bytes: f64 = row.split_whitespace().next().unwrap().parse().unwrap();
    let shown = page.value("container_network_receive_bytes_total", &[("name", "bt-limit"), ("interface", "eth0")]);
    assert!((bytes - shown).abs() <= 2000.0, "{bytes} {shown}");

    // The writable layer and the log, as du counts them.
    let upper = docker.writable_layer(&limited);
    let logs = Path::new(inspected["LogPath"].as_str().unwrap()).parent().unwrap();
    let output = std::process::Command::new("du").args(["-s", "-B1"]).arg(&upper).arg(logs).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let sum: f64 = text.lines().map(|l| l.split('\t').next().unwrap().parse::<f64>().unwrap()).sum();
    wait_until("the walk", Duration::from_secs(30), || {
        let page = Page::of(&service);
        page.samples("container_fs_usage_bytes", &of("bt-limit")).first().is_some_and(|s| s.1 == sum)
    });
    let page = Page::of(&service);
    assert_eq!(page.value("container_fs_inodes_total", &of("bt-limit")), 3.0);
    drop((share, host));
}

#[test]
fn renames_restarts_and_ends_are_seen_at_the_next_scrape() {
    let Some(docker) = Docker::start("changes") else { return };
    let id = docker.container(&["--name=bt-old", "--network=none"], "sleep 1000");
    let service = exporter(&docker, &["--docker_only"]);
    let started = Page::of(&service).value("container_start_time_seconds", &[("name", "bt-old")]);
    docker.run(&["rename", &id, "bt-new"]);
    let page = Page::of(&service);
    assert!(page.has("container_last_seen", &[("name", "bt-new")]));
    assert!(!page.has("container_last_seen", &[("name", "bt-old")]));
    std::thread::sleep(Duration::from_secs(1));
    docker.run(&["restart", "-t", "0", &id]);
    let page = Page::of(&service);
    assert!(page.value("container_start_time_seconds", &[("name", "bt-new")]) > started);
    docker.run(&["update", "--memory=32m", "--memory-swap=64m", &id]);
    let page = Page::of(&service);
    assert_eq!(page.value("container_spec_memory_limit_bytes", &[("name", "bt-new")]), 33_554_432.0);
    docker.run(&["rm", "-f", &id]);
    let again = docker.container(&["--name=bt-new", "--network=none", "--label=v=2"], "sleep 1000");
    let page = Page::of(&service);
    assert!(page.has("container_last_seen", &[("name", "bt-new"), ("container_label_v", "2")]));
    assert_eq!(page.samples("container_last_seen", &[("name", "bt-new")]).len(), 1);
    docker.run(&["rm", "-f", &again]);
    let page = Page::of(&service);
    assert!(!page.1.contains("bt-new") && !page.1.contains(&again), "{}", page.1);
}

#[test]
fn short_lived_containers_leave_nothing_behind() {
    let Some(docker) = Docker::start("churn") else { return };
    let service = exporter(&docker, &[]);
    let before = Page::of(&service);
    let (mut seen, mut made) = (0, Vec::new());
    for round in 0..20 {
        let name = format!("bt-churn-{round}");
        // Half of them end by themselves, half are killed while a scrape is under way.
        let (name, command) = (format!("--name={name}"), if round % 2 == 0 { "sleep 0.3" } else { "sleep 1000" });
        made.push(docker.run(&["run", "-d", "--rm", &name, &docker.image, "sh", "-c", command]));
        seen += Page::of(&service).samples("container_last_seen", &[("image", &docker.image)]).len();
        if round % 2 == 1 {
            docker.run(&["kill", &name["--name=".len()..]]);
            Page::of(&service);
        }
    }
    // Those that end by themselves may have done so before the scrape.
    assert!(seen >= 10, "{seen}");
    wait_until("all to be gone", Duration::from_secs(30), || docker.run(&["ps", "-aq"]).is_empty());
    let page = Page::of(&service);
    assert!(!page.1.contains("bt-churn") && !made.iter().any(|id| page.1.contains(id)), "{}", page.1);
    no_more_descriptors(&page, &before);
}

/// Other tests' cgroups come and go too, each with its files: more of them mean more descriptors, and nothing else does.
fn no_more_descriptors(page: &Page, before: &Page) {
    let (fds, cgroups) = (|p: &Page| p.value("process_open_fds", &[]), |p: &Page| p.ids().len() as f64);
    let allowed = (cgroups(page) - cgroups(before)).max(0.0).mul_add(24.0, fds(before) + 60.0);
    assert!(fds(page) <= allowed, "{} in {}, {} in {}", fds(page), cgroups(page), fds(before), cgroups(before));
}

#[test]
fn health_and_restarts_are_those_of_the_engine() {
    let Some(docker) = Docker::start("health") else { return };
    let check = |command: &'static str| ["--health-cmd", command, "--health-interval=1s", "--health-retries=1"];
    let options = |name: &'static str, command| [&["--network=none", name][..], &check(command)].concat();
    docker.container(&options("--name=bt-healthy", "true"), "sleep 1000");
    docker.container(&options("--name=bt-ill", "false"), "sleep 1000");
    docker.container(&["--network=none", "--name=bt-again", "--restart=always"], "sleep 1; exit 1");
    let service = exporter(&docker, &[]);
    let value = |page: &Page, family: &str, name: &str| page.samples(family, &[("name", name)]).first().map(|s| s.1);
    wait_until("health and restarts", Duration::from_mins(1), || {
        let page = Page::of(&service);
        value(&page, "container_health_state", "bt-healthy") == Some(1.0)
            && value(&page, "container_health_state", "bt-ill") == Some(0.0)
            && value(&page, "container_restarts_total", "bt-again").is_some_and(|n| n >= 2.0)
    });
    let page = Page::of(&service);
    assert_eq!(value(&page, "container_restarts_total", "bt-ill"), Some(0.0));
    assert!(!page.1.contains("restartcount"), "restarts are no label");
}

#[test]
fn parallel_scrapes_share_one_reading() {
    let service = Service::ours("container-exporter", &["--docker=", "--podman=", "--containerd="]);
    let reads = || {
        let io = fs::read_to_string(format!("/proc/{}/io", service.pid())).unwrap();
        io.lines().find_map(|l| l.strip_prefix("syscr: ")).unwrap().parse::<u64>().unwrap()
    };
    // The first one opens what the others keep.
    for _ in 0..3 {
        Page::of(&service);
    }
    let before = reads();
    Page::of(&service);
    let one = reads() - before;
    assert!(one > 100, "{one}");
    let before = reads();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| Page::of(&service));
        }
    });
    let many = reads() - before;
    assert!(many < one * 12, "20 scrapes made {many} reads, one makes {one}");
}

#[test]
fn an_oom_kill_is_counted() {
    let Some(docker) = Docker::start("oom") else { return };
    docker.container(
        &["--name=bt-oom", "--network=none", "--memory=16m", "--memory-swap=16m"],
        "dd if=/dev/zero of=/dev/null bs=100M count=1; sleep 1000",
    );
    let service = exporter(&docker, &[]);
    wait_until("the kill", Duration::from_secs(30), || {
        Page::of(&service).value("container_oom_events_total", &[("name", "bt-oom")]) == 1.0
    });
}

#[test]
fn weird_names_and_labels_make_a_page_that_parses() {
    let Some(docker) = Docker::start("weird") else { return };
    docker.container(
        &[
            "--name=bt-weird_1.x",
            "--network=none",
            "--label=quote=a\"b\\c\nd",
            "--label=a.b=dot",
            "--label=a-b=dash",
            "--label=empty=",
            "--label=한글=값",
            "--env=APP_MODE=x=y",
        ],
        "sleep 1000",
    );
    let service = exporter(&docker, &["--env_metadata_whitelist=APP_"]);
    let page = Page::of(&service);
    let labels = page.samples("container_last_seen", &[("name", "bt-weird_1.x")])[0].0;
    let label = |name: &str| labels.iter().find(|l| l.0 == name).map(|l| l.1.as_str());
    assert_eq!(label("container_label_quote"), Some("a\"b\\c\nd"));
    assert_eq!(label("container_label_a_b"), Some("dash"));
    assert_eq!(label("container_label_empty"), None);
    assert!(labels.iter().any(|l| l.1 == "값"), "{labels:?}");
    assert_eq!(label("container_env_app_mode"), Some("x=y"));
    assert!(labels.iter().all(|l| !l.1.is_empty()));
    let empty = page.1.lines().find(|l| l.contains("id=\"/") && l.contains("=\"\""));
    assert_eq!(empty, None, "an empty label");
}

#[test]
fn flags_of_cadvisor_are_understood() {
    let Some(docker) = Docker::start("flags") else { return };
    docker.container(&["--name=bt-flags", "--network=none", "--label=team=red", "--label=other=1"], "sleep 1000");
    let only = exporter(
        &docker,
        &[
            "-docker_only=true",
            "--store_container_labels=false",
            "--whitelisted_container_labels=team",
            "--enable_metrics=cpu,percpu,process,sched",
            "--housekeeping_interval=10s",
            "-logtostderr",
            "--v=2",
            "--storage_driver_kafka_ssl_verify=false",
            "--bq_id=x",
            "--url_base_prefix=/some/where/",
            "--prometheus_endpoint=/numbers",
        ],
    );
    let page = Page::at(&only, "/some/where/numbers");
    let labels = page.samples("container_last_seen", &[("name", "bt-flags")])[0].0;
    let names: Vec<&str> = labels.iter().map(|l| l.0.as_str()).collect();
    assert_eq!(names, ["container_label_team", "id", "image", "name"]);
    assert!(!page.ids().contains("/docker"));
    assert!(page.ids().contains("/"));
    assert!(!page.has("container_memory_usage_bytes", &[]));
    assert_eq!(page.value("container_processes", &[("name", "bt-flags")]), 1.0);
    assert!(page.value("container_cpu_schedstat_run_seconds_total", &[("name", "bt-flags")]) > 0.0);
    if Path::new("/sys/fs/cgroup/cpuacct").is_dir() {
        let cpus = page.samples("container_cpu_usage_seconds_total", &[("name", "bt-flags")]);
        assert!(cpus.iter().all(|s| s.0.iter().any(|l| l.0 == "cpu" && l.1.starts_with("cpu0"))), "{cpus:?}");
    }
    assert_eq!(get(&only.url("/some/where/healthz")).unwrap().text(), "ok");
    assert!(only.log().contains("not needed here") && only.log().contains("--housekeeping_interval"));

    let most = exporter(&docker, &["--disable_metrics=memory,disk,diskIO", "--timestamps"]);
    let answer = get(&most.url("/metrics")).unwrap();
    let families = parse_text(&answer.body).unwrap();
    let named = |name: &str| families.iter().find(|f| f.name == name);
    assert!(named("container_memory_usage_bytes").is_none() && named("container_fs_usage_bytes").is_none());
    assert!(named("container_network_tcp_usage_total").is_some(), "the flag replaces the default list");
    assert!(named("container_last_seen").unwrap().samples.iter().all(|s| s.timestamp_ms.is_some()));
    assert!(named("container_spec_cpu_shares").unwrap().samples.iter().all(|s| s.timestamp_ms.is_none()));
}

#[test]
fn what_docker_and_its_containerd_both_know_is_dockers() {
    let Some(docker) = Docker::start("both") else { return };
    let socket = docker.socket().with_file_name("exec").join("containerd/containerd.sock");
    if !socket.exists() {
        tests::skip("this Docker's containerd is not the test's own");
        return;
    }
    let id = docker.container(&["--name=bt-both", "--network=none"], "sleep 1000");
    let containerd = format!("--containerd={}", socket.display());
    let docker_flag = format!("--docker={}", docker.host);
    for (args, name) in [
        (vec![&*docker_flag, &*containerd, "--containerd-namespace=moby"], Some("bt-both")),
        (vec![&*docker_flag, &*containerd], Some("bt-both")),
        (vec!["--docker=", &*containerd, "--containerd-namespace=moby"], Some(&*id)),
        (vec!["--docker=", &*containerd], None),
    ] {
        let all = [&args[..], &["--podman=", "--cri="]].concat();
        let page = Page::of(&Service::ours("container-exporter", &all));
        let seen = page.samples("container_last_seen", &[]);
        let own: Vec<_> = seen.iter().filter(|s| s.0.iter().any(|l| l.0 == "id" && l.1.contains(&id))).collect();
        assert_eq!(own.len(), 1, "{args:?}: {own:?}");
        let shown = own[0].0.iter().find(|l| l.0 == "name").map(|l| l.1.as_str());
        assert_eq!(shown, name, "{args:?}");
    }
}

#[test]
fn wrong_flags_are_refused() {
    for (args, said) in [
        (vec!["--disable_metrics=dsk"], "--disable_metrics"),
        (vec!["--enable_metrics=nope"], "--enable_metrics"),
        (vec!["--http_auth_file=/x"], "--web.config.file"),
        (vec!["--docker=nowhere"], "--docker"),
        (vec!["--port=1"], "--port"),
        (vec!["--path.procfs=/nowhere"], "--path.procfs"),
        (vec!["--docker_only=perhaps"], "docker_only"),
    ] {
        let output = refused("container-exporter", &args);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
}

#[test]
fn cgroups_that_come_and_go_leave_nothing_behind() {
    let mounts: Vec<PathBuf> = ["memory", "cpuacct", "pids"]
        .iter()
        .map(|c| Path::new("/sys/fs/cgroup").join(c))
        .filter(|p| p.is_dir())
        .chain(Path::new("/sys/fs/cgroup/cgroup.controllers").exists().then(|| "/sys/fs/cgroup".into()))
        .collect();
    let parent = format!("bongsu-test-{}", std::process::id());
    if mounts.is_empty() || mounts.iter().any(|m| fs::create_dir(m.join(&parent)).is_err()) {
        tests::skip("no right to make cgroups here");
        return;
    }
    let service = Service::ours("container-exporter", &["--docker=", "--podman=", "--containerd="]);
    let before = Page::of(&service);
    let mut resident = Vec::new();
    for round in 0..10 {
        let paths: Vec<PathBuf> =
            (0..100).flat_map(|i| mounts.iter().map(move |m| m.join(format!("{round}-{i}")))).collect();
        let place = |p: &PathBuf| p.parent().unwrap().join(&parent).join(p.file_name().unwrap());
        for path in &paths {
            fs::create_dir(place(path)).unwrap();
        }
        let page = Page::of(&service);
        let shown = page.ids().iter().filter(|id| id.starts_with(&format!("/{parent}/{round}-"))).count();
        for path in &paths {
            fs::remove_dir(place(path)).unwrap();
        }
        assert_eq!(shown, 100);
        let page = Page::of(&service);
        assert!(!page.1.contains(&format!("/{parent}/{round}-")), "round {round}");
        no_more_descriptors(&page, &before);
        resident.push(service.resident_bytes());
    }
    for mount in &mounts {
        fs::remove_dir(mount.join(&parent)).unwrap();
    }
    assert!(resident[9] < resident[2] + (2 << 20), "{resident:?}");
}

#[test]
fn an_engine_that_never_answers_costs_no_more_than_its_time_out() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("hung.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let docker = format!("--docker=unix://{}", socket.display());
    let service = Service::ours("container-exporter", &[&*docker, "--podman=", "--containerd=", "--engine.timeout=2s"]);
    for limit in [8, 8, 8] {
        let start = std::time::Instant::now();
        assert!(Page::of(&service).ids().contains("/"));
        assert!(start.elapsed() < Duration::from_secs(limit), "{:?}", start.elapsed());
    }
    wait_until("the log", Duration::from_secs(30), || service.log().contains("no metadata from the engine"));
}

#[test]
fn a_cgroup_with_a_weird_name_makes_a_page_that_parses() {
    use std::os::unix::ffi::OsStrExt as _;
    let mount = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].iter().find(|m| Path::new(m).join("cgroup.procs").exists());
    let name = [format!("bongsu-weird-{}-", std::process::id()).as_bytes(), b"\"\\ {}\xff\xfe"].concat();
    let made = mount.map(|m| Path::new(m).join(std::ffi::OsStr::from_bytes(&name)));
    let Some(made) = made.filter(|m| fs::create_dir(m).is_ok()) else {
        tests::skip("no right to make cgroups here");
        return;
    };
    let service = Service::ours("container-exporter", &["--docker=", "--podman=", "--containerd="]);
    let answer = get(&service.url("/metrics")).unwrap();
    fs::remove_dir(made).unwrap();
    let families = parse_text(&answer.body).unwrap();
    let seen = families.iter().find(|f| f.name == "container_last_seen").unwrap();
    let shown = seen.samples.iter().flat_map(|s| &s.labels).find(|(n, v)| n == "id" && v.contains("bongsu-weird-"));
    assert!(shown.is_some_and(|(_, v)| v.contains("-\"\\ {}\u{fffd}")), "{shown:?}");
}

/// A Kubernetes node with cgroup v1 and joined controllers, and one with cgroup v2 and the systemd driver.
#[test]
fn kubernetes_names_on_built_trees() {
    let ids: Vec<String> = (1..=3).map(|i| format!("{i:x}").repeat(64)).collect();
    let v1_mounts = "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    let v2_mounts = "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let pod = "pod2c48913c-b29f-11e7-9350-020968147796";
    let slice =
        "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2c48913c_b29f_11e7_9350_020968147796.slice";
    for (mounts, cpu, memory, usage, usage_text, containers, others) in [
        (
            v1_mounts,
            "cpu,cpuacct",
            "memory",
            ("cpuacct.usage", "memory.usage_in_bytes"),
            ("2500000000\n", "4096\n"),
            [
                format!("kubepods/burstable/{pod}/{}", ids[0]),
                format!("kubepods/besteffort/{pod}/{}", ids[1]),
                format!("kubepods/{pod}/crio-{}", ids[2]),
            ],
            [format!("kubepods/{pod}/crio-conmon-{}", ids[2]), "kubepods/burstable".to_owned()],
        ),
        (
            v2_mounts,
            "",
            "",
            ("cpu.stat", "memory.current"),
            ("usage_usec 2500000\nuser_usec 1\nsystem_usec 1\n", "4096\n"),
            [
                format!("{slice}/cri-containerd-{}.scope", ids[0]),
                format!("{slice}/crio-{}.scope", ids[1]),
                format!("machine.slice/libpod-{}.scope", ids[2]),
            ],
            [format!("{slice}/crio-conmon-{}.scope", ids[1]), slice.to_owned()],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: String, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/mountinfo".to_owned(), mounts);
        write("proc/meminfo".to_owned(), "MemTotal: 1024 kB\n");
        for path in containers.iter().chain(&others) {
            write(format!("sys/fs/cgroup/{cpu}/{path}/{}", usage.0), usage_text.0);
            write(format!("sys/fs/cgroup/{memory}/{path}/{}", usage.1), usage_text.1);
            write(format!("sys/fs/cgroup/{memory}/{path}/memory.stat"), "cache 0\nfile 0\n");
        }
        let root = |flag: &str, path: &str| format!("--path.{flag}={}", dir.path().join(path).display());
        let args = [root("procfs", "proc"), root("sysfs", "sys"), root("rootfs", "")];
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        args.extend(["--docker=", "--podman=", "--containerd=", "--cri=", "--docker_only"]);
        let page = Page::of(&Service::ours("container-exporter", &args));
        let shown: BTreeSet<String> = containers.iter().map(|c| format!("/{c}")).chain(["/".to_owned()]).collect();
        assert_eq!(page.ids(), shown);
        for id in shown.iter().filter(|id| *id != "/") {
            assert_eq!(page.value("container_cpu_usage_seconds_total", &[("id", id)]), 2.5, "{id}");
            assert_eq!(page.value("container_memory_usage_bytes", &[("id", id)]), 4096.0, "{id}");
        }
    }
}

/// A host with cgroup v2 and the systemd driver, built from what such hosts have in these files.
#[test]
fn cgroup_v2_with_the_systemd_driver_on_a_built_tree() {
    let dir = tempfile::tempdir().unwrap();
    let id = "0123456789abcdef".repeat(4);
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("proc/self/mountinfo", "29 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
    write("proc/meminfo", "MemTotal:       16318644 kB\nSwapTotal:       2097148 kB\n");
    write("proc/uptime", "1000.00 2000.00\n");
    let scope = format!("sys/fs/cgroup/system.slice/docker-{id}.scope");
    for (name, text) in [
        (
            "cpu.stat",
            "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 8\nnr_throttled 2\nthrottled_usec 7000\nnr_bursts 0\nburst_usec 0\n",
        ),
        ("cpu.max", "50000 100000\n"),
        ("cpu.weight", "100\n"),
        ("memory.current", "21905408\n"),
        ("memory.max", "67108864\n"),
        ("memory.swap.max", "max\n"),
        ("memory.low", "33554432\n"),
        (
            "memory.stat",
            "anon 65536\nfile 20971520\nkernel 434176\nfile_mapped 4096\nfile_dirty 8192\ninactive_file 20971520\nactive_file 0\npgfault 1492\npgmajfault 3\npgscan 7\npgsteal 6\n",
        ),
        ("memory.events", "low 0\nhigh 4\nmax 5\noom 1\noom_kill 1\noom_group_kill 0\n"),
        ("memory.peak", "23420928\n"),
        ("io.stat", "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"),
        (
            "cpu.pressure",
            "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n",
        ),
        ("pids.max", "50\n"),
        ("cgroup.procs", ""),
    ] {
        write(&format!("{scope}/{name}"), text);
    }
    write(&format!("sys/fs/cgroup/machine.slice/libpod-conmon-{id}.scope/cpu.stat"), "usage_usec 1\n");
    write("proc/diskstats", "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11 0 0 0 0 0 0\n");
    let root = |flag: &str, path: &str| format!("--path.{flag}={}", dir.path().join(path).display());
    let args = [root("procfs", "proc"), root("sysfs", "sys"), root("rootfs", "")];
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.extend(["--docker=", "--podman=", "--containerd=", "--docker_only"]);
    let page = Page::of(&Service::ours("container-exporter", &args));
    let path = format!("/system.slice/docker-{id}.scope");
    let own = [("id", &*path)];
    assert_eq!(page.ids(), ["/".to_owned(), path.clone()].into());
    for (family, expected) in [
        ("container_cpu_usage_seconds_total", 2.5),
        ("container_cpu_cfs_throttled_seconds_total", 0.007),
        ("container_spec_cpu_quota", 50_000.0),
        ("container_spec_cpu_shares", 2597.0),
        ("container_spec_memory_limit_bytes", 67_108_864.0),
        ("container_spec_memory_swap_limit_bytes", 0.0),
        ("container_spec_memory_reservation_limit_bytes", 33_554_432.0),
        ("container_memory_usage_bytes", 21_905_408.0),
        ("container_memory_working_set_bytes", 933_888.0),
        ("container_memory_rss", 65_536.0),
        ("container_memory_max_usage_bytes", 23_420_928.0),
        ("container_memory_failcnt", 5.0),
        ("container_memory_events_high_total", 4.0),
        ("container_memory_pgscan_total", 7.0),
        ("container_oom_events_total", 1.0),
        ("container_pressure_cpu_stalled_seconds_total", 0.5),
        ("container_fs_writes_total", 2.0),
    ] {
        assert_eq!(page.value(family, &own), expected, "{family}");
    }
    assert!(page.has("container_fs_reads_bytes_total", &[("id", &path), ("device", "/dev/sda")]));
    assert_eq!(page.value("container_spec_memory_limit_bytes", &[("id", "/")]), 16_318_644.0 * 1024.0);
}
