//! The exporter's own metrics: `promhttp_metric_handler_*` under the names that the Go exporters have them, and
//! whatever a service registers with prometheus-client.

use crate::Part;
use crate::process::Process;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use service::Version;

/// The instruments of the `/metrics` handler.
#[derive(Debug)]
pub(crate) struct Own {
    registry: Registry,
    requests: Family<Code, Counter>,
    errors: Family<Cause, Counter>,
    in_flight: Gauge,
    build: Build,
    process: Process,
}

#[derive(Debug)]
struct Build {
    name: String,
    help: String,
    version: Version,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Cause {
    cause: &'static str,
}

impl Own {
    /// Registers the handler's instruments beside those that the service brings.
    pub(crate) fn new(mut registry: Registry, program: &str, version: Version) -> Self {
        let requests = Family::<Code, Counter>::default();
        let errors = Family::<Cause, Counter>::default();
        let in_flight = Gauge::default();
        let prefix = "promhttp_metric_handler";
        registry.register(
            format!("{prefix}_requests"),
            "Total number of scrapes by HTTP status code",
            requests.clone(),
        );
        registry.register(
            format!("{prefix}_errors"),
            "Total number of internal errors encountered by the promhttp metric handler",
            errors.clone(),
        );
        registry.register(
            format!("{prefix}_requests_in_flight"),
            "Current number of scrapes being served",
            in_flight.clone(),
        );
        for code in [200, 500, 503] {
            drop(requests.get_or_create(&Code { code: code.to_string() }));
        }
        for cause in ["encoding", "gathering"] {
            drop(errors.get_or_create(&Cause { cause }));
        }
        let build = Build {
            name: format!("{program}_build_info"),
            help: format!(
                "A metric with a constant '1' value labeled by version, revision, branch, goversion from which {program} \
                 was built, and the goos and goarch for the build."
            ),
            version,
        };
        Self { registry, requests, errors, in_flight, build, process: Process::new() }
    }

    /// Counts a scrape in flight; the returned number includes it.
    pub(crate) fn enter(&self) -> i64 {
        self.in_flight.inc() + 1
    }

    /// Counts an answered scrape.
    pub(crate) fn leave(&self, code: u16) {
        self.in_flight.dec();
        self.requests.get_or_create(&Code { code: code.to_string() }).inc();
    }

    /// Counts what had to be left out of a page.
    pub(crate) fn conflicts(&self, n: usize) {
        self.errors.get_or_create(&Cause { cause: "gathering" }).inc_by(n as u64);
    }

    /// Emits all of it and `process_*`.
    pub(crate) fn emit(&self, out: &mut Part) {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.registry).is_ok()
            && let Err(e) = exposition::parse_openmetrics_into(text.as_bytes(), out)
        {
            tracing::error!(err = %e, "own metrics cannot be rendered");
        }
        self.process.emit(out);
    }

    /// Emits `NAME_build_info`, which stays when the exporter's other own metrics are switched off.
    pub(crate) fn emit_build(&self, out: &mut Part) {
        let Build { name, help, version } = &self.build;
        out.family_named(name, help, exposition::Kind::Gauge).sample(
            &[
                ("branch", version.branch.as_bytes()),
                ("goarch", arch().as_bytes()),
                ("goos", std::env::consts::OS.as_bytes()),
                // The label stays for queries that name it; there is no Go in here.
                ("goversion", b""),
                ("revision", version.revision.as_bytes()),
                ("tags", b""),
                ("version", version.version.as_bytes()),
            ],
            1u64,
        );
    }
}

/// The architecture in Go's words, which dashboards filter by.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
