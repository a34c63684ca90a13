//! Flags, and the targets that they name.

use crate::format::Format;
use crate::target::Target;
use exporter::{Flag, FlagKind, Flags, Peers, Program, Served, StartError};
use service::{Setup, client};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The program without its targets.
pub(crate) fn program() -> Program {
    let mut program = Program::new(
        "nginx_exporter",
        "NGINX Prometheus Exporter",
        "nginx metrics from stub_status, under nginx-prometheus-exporter's names; NGINX Plus, Angie and the VTS module too.",
        ":9113",
    )
    .flags(FLAGS.iter().copied());
    program.single_dash = true;
    program
}

/// Makes the targets.
pub(crate) fn build(setup: &Setup) -> Result<Served, StartError> {
    let flags = &setup.flags;
    let timeout = flags.duration(TIMEOUT.name);
    if flags.text(TIMEOUT.name).starts_with('-') || timeout == Duration::ZERO {
        return Err(StartError::new(format!("--{}: expected a time above 0", TIMEOUT.name)));
    }
    let consts = const_labels(flags)?;
    let format = format(flags)?;
    let uris = flags.texts(SCRAPE_URI.name);
    let mut targets = Vec::with_capacity(uris.len());
    for (i, uri) in uris.iter().enumerate() {
        if uris[..i].contains(uri) {
            let shown = client::without_credentials(uri);
            return Err(StartError::new(format!("--{}={shown}: given twice", SCRAPE_URI.name)));
        }
        let mut labels = consts.clone();
        if uris.len() > 1 {
            // A password in the address is no label.
            labels.push(("addr".to_owned(), client::without_credentials(uri)));
        }
        let target = Target::new(uri, format, timeout, options(flags, setup.version.version), labels);
        targets.push(target.map_err(|e| StartError::new(format!("--{}: {e}", SCRAPE_URI.name)))?);
    }
    Ok(Served::new(Arc::new(Peers::new(targets))))
}

fn format(flags: &Flags) -> Result<Format, StartError> {
    let format = Format::from_word(flags.text(FORMAT.name));
    match (flags.on(PLUS.name), flags.given(FORMAT.name)) {
        (true, true) if format != Format::Plus => Err(StartError::new(format!(
            "--{} does not go with --{}={}",
            PLUS.name,
            FORMAT.name,
            flags.text(FORMAT.name)
        ))),
        (true, _) => Ok(Format::Plus),
        _ => Ok(format),
    }
}

fn options(flags: &Flags, version: &str) -> client::Options {
    let file = |flag: &Flag| Some(flags.text(flag.name)).filter(|p| !p.is_empty()).map(PathBuf::from);
    client::Options {
        user_agent: format!("NGINX-Prometheus-Exporter/v{version}"),
        unix: None,
        proxy_protocol: flags.on(PROXY_PROTOCOL.name),
        tls: client::Tls {
            verify: flags.on(SSL_VERIFY.name),
            ca: file(&SSL_CA_CERT),
            identity: file(&SSL_CLIENT_CERT).zip(file(&SSL_CLIENT_KEY)),
        },
        redirects: 10,
        ..client::Options::default()
    }
}

/// `label=value` pairs, cut at the first `=`.
fn const_labels(flags: &Flags) -> Result<Vec<(String, String)>, StartError> {
    let mut labels: Vec<(String, String)> = Vec::new();
    for pair in flags.texts(CONST_LABEL.name).iter().filter(|p| !p.is_empty()) {
        let bad = |what: &str| StartError::new(format!("--{}={pair:?}: {what}", CONST_LABEL.name));
        let (name, value) = pair.split_once('=').ok_or_else(|| bad("expected label=value"))?;
        if name.is_empty() {
            return Err(bad("the label has no name"));
        }
        let name = exposition::sanitize_label_name(name).into_owned();
        if labels.iter().any(|(n, _)| *n == name) {
            return Err(bad("this label comes twice"));
        }
        labels.push((name, value.to_owned()));
    }
    Ok(labels)
}

const SCRAPE_URI: Flag = Flag::new(
    "nginx.scrape-uri",
    FlagKind::Texts,
    "http://127.0.0.1:8080/stub_status",
    "A URI or unix domain socket path (unix:SOCKET[:PATH]) for scraping NGINX metrics. For NGINX, the stub_status page must \
     be available through the URI. For NGINX Plus -- the API. Repeatable for multiple URIs.",
)
.env("SCRAPE_URI");
const PLUS: Flag = Flag::switch("nginx.plus", "Start the exporter for NGINX Plus.").env("NGINX_PLUS");
const FORMAT: Flag = Flag::new(
    "nginx.format",
    FlagKind::Choice(Format::WORDS),
    "stub",
    "What the URIs answer with: stub_status, the API of NGINX Plus (as --nginx.plus), /status/ of Angie, or \
     /status/format/json of nginx-module-vts; auto: each answer tells.",
);
const SSL_VERIFY: Flag = Flag::switch("nginx.ssl-verify", "Perform SSL certificate verification.").env("SSL_VERIFY");
const SSL_CA_CERT: Flag = Flag::text(
    "nginx.ssl-ca-cert",
    "",
    "Path to the PEM encoded CA certificate file used to validate the servers SSL certificate.",
)
.env("SSL_CA_CERT");
const SSL_CLIENT_CERT: Flag = Flag::text(
    "nginx.ssl-client-cert",
    "",
    "Path to the PEM encoded client certificate file to use when connecting to the server.",
)
.env("SSL_CLIENT_CERT");
const SSL_CLIENT_KEY: Flag = Flag::text(
    "nginx.ssl-client-key",
    "",
    "Path to the PEM encoded client certificate key file to use when connecting to the server.",
)
.env("SSL_CLIENT_KEY");
const PROXY_PROTOCOL: Flag =
    Flag::switch("nginx.proxy-protocol", "Pass proxy protocol payload to nginx listeners.").env("PROXY_PROTOCOL");
const TIMEOUT: Flag =
    Flag::new("nginx.timeout", FlagKind::Duration, "5s", "A timeout for scraping metrics from nginx.").env("TIMEOUT");
const CONST_LABEL: Flag = Flag::new(
    "prometheus.const-label",
    FlagKind::Texts,
    "",
    "Label that will be used in every metric. Format is label=value. It can be repeated multiple times.",
)
.env("CONST_LABELS");
const LISTEN_ADDRESS: Flag = Flag::new(
    "web.listen-address",
    FlagKind::Texts,
    ":9113",
    "Addresses on which to expose metrics and web interface. Repeatable for multiple addresses.",
)
.env("LISTEN_ADDRESS");

const FLAGS: &[&Flag] = &[
    &PLUS,
    &FORMAT,
    &SCRAPE_URI,
    &SSL_VERIFY,
    &SSL_CA_CERT,
    &SSL_CLIENT_CERT,
    &SSL_CLIENT_KEY,
    &PROXY_PROTOCOL,
    &TIMEOUT,
    &CONST_LABEL,
    &LISTEN_ADDRESS,
];
