//! Flags: cAdvisor's own, and what is made of them.

use crate::emit::machine::IdFiles;
use crate::engine::{Address, Containerd, Cri, Engine, Labelling, Source, Watch};
use crate::page::{Options, Reader};
use crate::scraper::Containers;
use crate::switches::{OFF_BY_DEFAULT, Switches};
use crate::unneeded::UNNEEDED;
use axum::Router;
use axum::routing::get;
use exporter::{Flag, FlagKind, Flags, Program, Served, StartError};
use hostfs::{Roots, Sources};
use service::{Command, Setup, client};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// The program without its scraper.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "container_exporter",
        "Container Exporter",
        "Metrics of containers and cgroups, under cAdvisor's names.",
        ":8080",
    )
    .flags(FLAGS.iter().copied())
    .flags(UNNEEDED.iter().copied())
    .command(Command::new("doctor", "Say what can be read here, and what is missing.", |flags, _| {
        match parts(flags) {
            Ok(parts) => crate::doctor::run(parts),
            Err(e) => {
                tracing::error!("{e}");
                ExitCode::FAILURE
            }
        }
    }));
    let families = Command::new("families", "Print all families as a Markdown table.", |_, _| {
        let printed = std::io::stdout().write_all(crate::families::table().as_bytes());
        if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    });
    program = program.command(families.hidden());
    program.single_dash = true;
    program.switch_values = true;
    program.settle = Some(settle);
    program
}

/// Makes the scraper.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    let parts = parts(&setup.flags)?;
    let containers = Containers::new(parts.watch, parts.reader);
    containers.warm_up();
    let mut served = Served::new(Arc::new(containers));
    let health = format!("{}/healthz", prefix(&setup.flags));
    served.routes = Router::new().route(&health, get(|| async { "ok" }));
    Ok(served)
}

/// What the program is made of.
pub(crate) struct Made {
    pub(crate) sources: Sources,
    pub(crate) watch: Watch,
    pub(crate) reader: Reader,
    pub(crate) options: Options,
}

fn parts(flags: &Flags) -> Result<Made, StartError> {
    let wrong = |e: String| StartError::new(e);
    let sources = sources(flags)?;
    let switches =
        Switches::from_lists(flags.text(DISABLE_METRICS.name), flags.text(ENABLE_METRICS.name)).map_err(wrong)?;
    let list = |flag: &Flag| -> Vec<String> {
        flags.text(flag.name).split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
    };
    let env = [&ENV_WHITELIST, &DOCKER_ENV_WHITELIST, &CONTAINERD_ENV_WHITELIST];
    let labelling = Labelling {
        all: flags.on(STORE_LABELS.name),
        listed: list(&WHITELISTED_LABELS),
        env: env.into_iter().flat_map(list).collect(),
    };
    let options = Options {
        switches,
        docker_only: flags.on(DOCKER_ONLY.name),
        raw_prefixes: list(&RAW_PREFIXES),
        hide_root: flags.on(DISABLE_ROOT.name),
        timestamps: flags.on(TIMESTAMPS.name),
        states: flags.on(LOAD_READER.name),
        ids: IdFiles { machine: list(&MACHINE_ID_FILE), boot: list(&BOOT_ID_FILE) },
    };
    let watch = Watch::new(engines(flags)?, &labelling, &sources, flags.duration(ENGINE_TIMEOUT.name));
    let reader = Reader::new(sources.clone(), options.clone(), flags.duration(DISK_EVERY.name));
    Ok(Made { sources, watch, reader, options })
}

/// The engines that may be there; one whose flag is empty is not asked.
fn engines(flags: &Flags) -> Result<Vec<Source>, StartError> {
    let file = |flag: &Flag| Some(flags.text(flag.name)).filter(|p| !p.is_empty()).map(PathBuf::from);
    let tls = flags.on(DOCKER_TLS.name);
    let address = |flag: &Flag, tls: bool| {
        let text = Some(flags.text(flag.name)).filter(|text| !text.is_empty());
        let parsed = text.map(|text| Address::parse(text, tls)).transpose();
        parsed.map_err(|e| StartError::new(format_args!("--{}: {e}", flag.name)))
    };
    let socket = |flag: &Flag| match address(flag, false)? {
        Some(Address::Http(_)) => {
            Err(StartError::new(format_args!("--{}: expected a Unix socket, as unix:///path", flag.name)))
        }
        Some(Address::Unix(path)) => Ok(Some(path)),
        None => Ok(None),
    };
    let mut engines = Vec::new();
    for (flag, tls) in [(&DOCKER, tls), (&PODMAN, false)] {
        let Some(address) = address(flag, tls)? else { continue };
        let identity = file(&DOCKER_CERT).zip(file(&DOCKER_KEY)).filter(|_| tls);
        let ca = file(&DOCKER_CA).filter(|_| tls);
        let engine = Engine::new(address, client::Tls { verify: true, ca, identity })
            .map_err(|e| StartError::new(format_args!("--{}: {e}", flag.name)))?;
        engines.push(Source::Docker(Box::new(engine)));
    }
    if let Some(path) = socket(&CONTAINERD)? {
        let namespaces = flags.text(CONTAINERD_NAMESPACE.name).split(',').map(str::trim).filter(|n| !n.is_empty());
        engines.push(Source::Containerd(Containerd::new(path, namespaces.map(str::to_owned).collect())));
    }
    if let Some(path) = socket(&CRI)? {
        engines.push(Source::Cri(Cri::new(path)));
    }
    Ok(engines)
}

/// The roots. `/rootfs`, where cAdvisor's documented command line mounts the host, is found without a flag.
fn sources(flags: &Flags) -> Result<Sources, StartError> {
    let inside = Path::new("/rootfs/proc").is_dir();
    let root = |flag: &Flag, otherwise: &str| {
        let given = flags.text(flag.name);
        let path = PathBuf::from(match given {
            "" if inside => otherwise,
            "" => otherwise.strip_prefix("/rootfs").filter(|p| !p.is_empty()).unwrap_or("/"),
            given => given,
        });
        let here = path.is_dir();
        here.then_some(())
            .ok_or_else(|| StartError::new(format_args!("--{}={}: no such directory", flag.name, path.display())))?;
        Ok::<_, StartError>(path)
    };
    Ok(Sources::new(Roots {
        proc: root(&PROCFS, "/rootfs/proc")?,
        sys: root(&SYSFS, "/rootfs/sys")?,
        rootfs: root(&ROOTFS, "/rootfs")?,
        ..Roots::default()
    }))
}

/// cAdvisor's address and path, where they are given, become those of the toolkit.
fn settle(flags: &mut Flags) -> Result<(), String> {
    for name in [AUTH_FILE.name, DIGEST_FILE.name] {
        if !flags.text(name).is_empty() {
            return Err(format!("--{name} is not supported: put the users into the file that --web.config.file names"));
        }
    }
    if flags.given(PORT.name) || flags.given(LISTEN_IP.name) {
        if flags.given(LISTEN) {
            return Err(format!("--{} and --{} do not go with --{LISTEN}", PORT.name, LISTEN_IP.name));
        }
        let (ip, port) = (flags.text(LISTEN_IP.name), flags.integer(PORT.name));
        let port = u16::try_from(port).map_err(|_| format!("flag '--{}': {port} is no port", PORT.name))?;
        let address = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        flags.settle(LISTEN, vec![address]);
    }
    let prefix = prefix(flags);
    let endpoint = flags.given(ENDPOINT.name).then(|| flags.text(ENDPOINT.name).to_owned());
    if endpoint.is_some() && flags.given(TELEMETRY_PATH) {
        return Err(format!("--{} does not go with --{TELEMETRY_PATH}", ENDPOINT.name));
    }
    if endpoint.is_some() || !prefix.is_empty() {
        let path = endpoint.unwrap_or_else(|| flags.text(TELEMETRY_PATH).to_owned());
        let slash = if path.starts_with('/') { "" } else { "/" };
        flags.settle(TELEMETRY_PATH, vec![format!("{prefix}{slash}{path}")]);
    }
    let unneeded: Vec<&str> = UNNEEDED.iter().map(|f| f.name).filter(|n| flags.given(n)).collect();
    if !unneeded.is_empty() {
        let names: Vec<String> = unneeded.iter().map(|n| format!("--{n}")).collect();
        flags.notice(format!(
            "not needed here, the host is read at each scrape and nothing is stored: {}",
            names.join(", ")
        ));
    }
    Ok(())
}

/// `--url_base_prefix`, with a slash before it and none behind it.
fn prefix(flags: &Flags) -> String {
    let prefix = flags.text(URL_PREFIX.name).trim_matches('/');
    if prefix.is_empty() { String::new() } else { format!("/{prefix}") }
}

const LISTEN: &str = "web.listen-address";
const TELEMETRY_PATH: &str = "web.telemetry-path";

const PROCFS: Flag = Flag::text("path.procfs", "", "procfs of the host: /rootfs/proc where it is, else /proc.");
const SYSFS: Flag = Flag::text("path.sysfs", "", "sysfs of the host: /rootfs/sys where it is, else /sys.");
const ROOTFS: Flag = Flag::text("path.rootfs", "", "Root of the host's files: /rootfs where it is, else /.");
const DISABLE_METRICS: Flag = Flag::text(
    "disable_metrics",
    OFF_BY_DEFAULT,
    "Comma-separated list of metrics to be disabled. Options are advtcp,app,cpu,cpuLoad,cpu_topology,cpuset,disk,diskIO,\
     hugetlb,memory,memory_numa,network,oom_event,percpu,perf_event,pressure,process,referenced_memory,resctrl,sched,tcp,udp.",
);
const ENABLE_METRICS: Flag = Flag::text(
    "enable_metrics",
    "",
    "Comma-separated list of metrics to be enabled. If set, overrides --disable_metrics. Options are those of \
     --disable_metrics; percpu gives one series a CPU in place of their sum.",
);
const DOCKER_ONLY: Flag = Flag::switch("docker_only", "Only report containers of a runtime in addition to root stats.");
const RAW_PREFIXES: Flag = Flag::text(
    "raw_cgroup_prefix_whitelist",
    "",
    "A comma-separated list of cgroup path prefixes that are shown even when --docker_only is given.",
);
const DISABLE_ROOT: Flag = Flag::switch("disable_root_cgroup_stats", "Disable collecting root Cgroup stats.");
const STORE_LABELS: Flag = Flag::switch_on(
    "store_container_labels",
    "Convert container labels and environment variables into labels on prometheus metrics for each container. If off, \
     only container name, first alias, and image name.",
);
const WHITELISTED_LABELS: Flag = Flag::text(
    "whitelisted_container_labels",
    "",
    "Comma separated list of container labels to be converted to labels on prometheus metrics for each container. \
     --no-store_container_labels must be given for this to take effect.",
);
const ENV_WHITELIST: Flag = Flag::text(
    "env_metadata_whitelist",
    "",
    "A comma-separated list of prefixes of the environment variables that are collected for containers.",
);
const DOCKER_ENV_WHITELIST: Flag =
    Flag::text("docker_env_metadata_whitelist", "", "Deprecated, as --env_metadata_whitelist.");
const CONTAINERD_ENV_WHITELIST: Flag =
    Flag::text("containerd_env_metadata_whitelist", "", "Deprecated, as --env_metadata_whitelist.");
const DOCKER: Flag = Flag::text(
    "docker",
    "unix:///var/run/docker.sock",
    "Docker endpoint: unix:///path, or tcp://host:port of a socket proxy. Empty: Docker is not asked.",
);
const PODMAN: Flag =
    Flag::text("podman", "unix:///var/run/podman/podman.sock", "Podman endpoint. Empty: Podman is not asked.");
const CONTAINERD: Flag = Flag::text(
    "containerd",
    "/run/containerd/containerd.sock",
    "containerd endpoint: unix:///path or a path. Empty: containerd is not asked.",
);
const CONTAINERD_NAMESPACE: Flag = Flag::text(
    "containerd-namespace",
    "",
    "Comma-separated list of containerd's namespaces that are looked at. Empty: all but moby, which is Docker's.",
);
const CRI: Flag = Flag::text(
    "cri",
    "unix:///var/run/crio/crio.sock",
    "Endpoint of CRI-O, or of another engine that speaks Kubernetes' runtime.v1. Empty: it is not asked.",
);
const ENGINE_TIMEOUT: Flag = Flag::new(
    "engine.timeout",
    FlagKind::Duration,
    "1s",
    "The longest that a scrape waits for an engine; names and labels are those of the last answer then.",
);
const DOCKER_TLS: Flag = Flag::switch("docker-tls", "Use TLS to connect to docker.");
const DOCKER_CERT: Flag = Flag::text("docker-tls-cert", "cert.pem", "Path to client certificate.");
const DOCKER_KEY: Flag = Flag::text("docker-tls-key", "key.pem", "Path to private key.");
const DOCKER_CA: Flag = Flag::text("docker-tls-ca", "ca.pem", "Path to trusted CA.");
const DISK_EVERY: Flag = Flag::new(
    "disk.interval",
    FlagKind::Duration,
    "1m",
    "The least time between two walks of a container's writable layer; --disable_metrics=disk stops them.",
);
const LOAD_READER: Flag = Flag::switch(
    "enable_load_reader",
    "Whether to count tasks by state (container_tasks_state), which reads a file for each process.",
);
const TIMESTAMPS: Flag = Flag::switch(
    "timestamps",
    "Write the time of the reading beside each sample, as cAdvisor does. Prometheus then shows containers for five \
     minutes after their end.",
);
const MACHINE_ID_FILE: Flag = Flag::text(
    "machine_id_file",
    "/etc/machine-id,/var/lib/dbus/machine-id",
    "Comma-separated list of files to check for machine-id. Use the first one that exists.",
);
const BOOT_ID_FILE: Flag = Flag::text(
    "boot_id_file",
    "/proc/sys/kernel/random/boot_id",
    "Comma-separated list of files to check for boot-id. Use the first one that exists.",
);
const PORT: Flag = Flag::new("port", FlagKind::Integer, "8080", "Port to listen, as in --web.listen-address=:PORT.");
const LISTEN_IP: Flag = Flag::text("listen_ip", "", "IP to listen on, defaults to all IPs.");
const URL_PREFIX: Flag = Flag::text(
    "url_base_prefix",
    "",
    "Prefix path that will be prepended to all paths to support some reverse proxies.",
);
const ENDPOINT: Flag =
    Flag::text("prometheus_endpoint", "/metrics", "Endpoint to expose Prometheus metrics on, as --web.telemetry-path.");
const AUTH_FILE: Flag = Flag::text("http_auth_file", "", "Refused: use --web.config.file.");
const DIGEST_FILE: Flag = Flag::text("http_digest_file", "", "Refused: use --web.config.file.");

const FLAGS: &[&Flag] = &[
    &PROCFS,
    &SYSFS,
    &ROOTFS,
    &DISABLE_METRICS,
    &ENABLE_METRICS,
    &DOCKER_ONLY,
    &RAW_PREFIXES,
    &DISABLE_ROOT,
    &STORE_LABELS,
    &WHITELISTED_LABELS,
    &ENV_WHITELIST,
    &DOCKER_ENV_WHITELIST,
    &CONTAINERD_ENV_WHITELIST,
    &DOCKER,
    &PODMAN,
    &CONTAINERD,
    &CONTAINERD_NAMESPACE,
    &CRI,
    &ENGINE_TIMEOUT,
    &DOCKER_TLS,
    &DOCKER_CERT,
    &DOCKER_KEY,
    &DOCKER_CA,
    &DISK_EVERY,
    &LOAD_READER,
    &TIMESTAMPS,
    &MACHINE_ID_FILE,
    &BOOT_ID_FILE,
    &PORT,
    &LISTEN_IP,
    &URL_PREFIX,
    &ENDPOINT,
    &AUTH_FILE,
    &DIGEST_FILE,
];
