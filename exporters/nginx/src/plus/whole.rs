//! Families of the server as a whole: connections, TLS, resolvers, workers, licence.

use crate::tree::Rule;
use exporter::Desc;

pub(super) const RULES: &[Rule] = &[
    Rule::new(Desc::counter("nginxplus_connections_accepted", "Accepted client connections"), "connections/accepted"),
    Rule::new(Desc::counter("nginxplus_connections_dropped", "Dropped client connections"), "connections/dropped"),
    Rule::new(Desc::gauge("nginxplus_connections_active", "Active client connections"), "connections/active"),
    Rule::new(Desc::gauge("nginxplus_connections_idle", "Idle client connections"), "connections/idle"),
    Rule::new(Desc::counter("nginxplus_ssl_handshakes", "Successful SSL handshakes"), "ssl/handshakes"),
    Rule::new(Desc::counter("nginxplus_ssl_handshakes_failed", "Failed SSL handshakes"), "ssl/handshakes_failed"),
    Rule::new(
        Desc::counter("nginxplus_ssl_session_reuses", "Session reuses during SSL handshake"),
        "ssl/session_reuses",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_name", "Total requests to resolve names to addresses"),
        "resolvers/{resolver}/requests/name",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_srv", "Total requests to resolve SRV records"),
        "resolvers/{resolver}/requests/srv",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_addr", "Total requests to resolve addresses to names"),
        "resolvers/{resolver}/requests/addr",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_noerror", "Total number of successful responses"),
        "resolvers/{resolver}/responses/noerror",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_formerr", "Total number of FORMERR responses"),
        "resolvers/{resolver}/responses/formerr",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_servfail", "Total number of SERVFAIL responses"),
        "resolvers/{resolver}/responses/servfail",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_nxdomain", "Total number of NXDOMAIN responses"),
        "resolvers/{resolver}/responses/nxdomain",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_notimp", "Total number of NOTIMP responses"),
        "resolvers/{resolver}/responses/notimp",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_refused", "Total number of REFUSED responses"),
        "resolvers/{resolver}/responses/refused",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_timedout", "Total number of timed out requests"),
        "resolvers/{resolver}/responses/timedout",
    ),
    Rule::new(
        Desc::counter("nginxplus_resolver_unknown", "Total requests completed with an unknown error"),
        "resolvers/{resolver}/responses/unknown",
    ),
    Rule::new(
        Desc::counter("nginxplus_worker_connection_accepted", "The total number of accepted client connections"),
        "workers/[id=id,pid=pid]/connections/accepted",
    ),
    Rule::new(
        Desc::counter("nginxplus_worker_connection_dropped", "The total number of dropped client connections"),
        "workers/[id=id,pid=pid]/connections/dropped",
    ),
    Rule::new(
        Desc::gauge("nginxplus_worker_connection_active", "The current number of active client connections"),
        "workers/[id=id,pid=pid]/connections/active",
    ),
    Rule::new(
        Desc::gauge("nginxplus_worker_connection_idle", "The current number of idle client connections"),
        "workers/[id=id,pid=pid]/connections/idle",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_worker_http_requests_total",
            "The total number of client requests received by the worker process",
        ),
        "workers/[id=id,pid=pid]/http/requests/total",
    ),
    Rule::new(
        Desc::gauge(
            "nginxplus_worker_http_requests_current",
            "The current number of client requests that are currently being processed by the worker process",
        ),
        "workers/[id=id,pid=pid]/http/requests/current",
    ),
    Rule::new(
        Desc::gauge(
            "nginxplus_license_expiration_timestamp_seconds",
            "License expiration date (expressed as Unix Epoch Time)",
        ),
        "license/active_till",
    ),
    Rule::new(
        Desc::gauge(
            "nginxplus_license_reporting_healthy",
            "Indicates whether the reporting state is still considered healthy despite recent failed attempts",
        ),
        "license/reporting/healthy",
    ),
    Rule::new(
        Desc::gauge(
            "nginxplus_license_reporting_fails_count",
            "Number of failed reporting attempts, reset each time the usage report is successfully sent",
        ),
        "license/reporting/fails",
    ),
    Rule::new(
        Desc::gauge(
            "nginxplus_license_reporting_grace_period_seconds",
            "Number of seconds before traffic processing is stopped after unsuccessful report attempt",
        ),
        "license/reporting/grace",
    ),
];
