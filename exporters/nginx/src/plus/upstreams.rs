//! Families of HTTP upstreams.

use super::STATES;
use crate::tree::Rule;
use exporter::Desc;

pub(super) const RULES: &[Rule] = &[
    Rule::new(Desc::gauge("nginxplus_upstream_server_state", "Current state"), "http/upstreams/{upstream}/peers/[server=server]/state").words(STATES),
    Rule::new(Desc::gauge("nginxplus_upstream_server_active", "Active connections"), "http/upstreams/{upstream}/peers/[server=server]/active"),
    Rule::new(Desc::gauge("nginxplus_upstream_server_limit", "Limit for connections which corresponds to the max_conns parameter of the upstream server. Zero value means there is no limit"), "http/upstreams/{upstream}/peers/[server=server]/max_conns").or_zero(),
    Rule::new(Desc::counter("nginxplus_upstream_server_requests", "Total client requests"), "http/upstreams/{upstream}/peers/[server=server]/requests"),
    Rule::new(Desc::counter("nginxplus_upstream_server_responses", "Total responses sent to clients"), "http/upstreams/{upstream}/peers/[server=server]/responses/{code:1xx|2xx|3xx|4xx|5xx}"),
    Rule::new(Desc::counter("nginxplus_upstream_server_responses_codes", "Total responses sent to clients"), "http/upstreams/{upstream}/peers/[server=server]/responses/codes/{code}"),
    Rule::new(Desc::counter("nginxplus_upstream_server_sent", "Bytes sent to this server"), "http/upstreams/{upstream}/peers/[server=server]/sent"),
    Rule::new(Desc::counter("nginxplus_upstream_server_received", "Bytes received to this server"), "http/upstreams/{upstream}/peers/[server=server]/received"),
    Rule::new(Desc::counter("nginxplus_upstream_server_fails", "Number of unsuccessful attempts to communicate with the server"), "http/upstreams/{upstream}/peers/[server=server]/fails"),
    Rule::new(Desc::counter("nginxplus_upstream_server_unavail", "How many times the server became unavailable for client requests (state 'unavail') due to the number of unsuccessful attempts reaching the max_fails threshold"), "http/upstreams/{upstream}/peers/[server=server]/unavail"),
    Rule::new(Desc::gauge("nginxplus_upstream_server_header_time", "Average time to get the response header from the server"), "http/upstreams/{upstream}/peers/[server=server]/header_time"),
    Rule::new(Desc::gauge("nginxplus_upstream_server_response_time", "Average time to get the full response from the server"), "http/upstreams/{upstream}/peers/[server=server]/response_time"),
    Rule::new(Desc::counter("nginxplus_upstream_server_health_checks_checks", "Total health check requests"), "http/upstreams/{upstream}/peers/[server=server]/health_checks/checks"),
    Rule::new(Desc::counter("nginxplus_upstream_server_health_checks_fails", "Failed health checks"), "http/upstreams/{upstream}/peers/[server=server]/health_checks/fails"),
    Rule::new(Desc::counter("nginxplus_upstream_server_health_checks_unhealthy", "How many times the server became unhealthy (state 'unhealthy')"), "http/upstreams/{upstream}/peers/[server=server]/health_checks/unhealthy"),
    Rule::new(Desc::counter("nginxplus_upstream_server_ssl_handshakes", "Successful SSL handshakes"), "http/upstreams/{upstream}/peers/[server=server]/ssl/handshakes"),
    Rule::new(Desc::counter("nginxplus_upstream_server_ssl_handshakes_failed", "Failed SSL handshakes"), "http/upstreams/{upstream}/peers/[server=server]/ssl/handshakes_failed"),
    Rule::new(Desc::counter("nginxplus_upstream_server_ssl_session_reuses", "Session reuses during SSL handshake"), "http/upstreams/{upstream}/peers/[server=server]/ssl/session_reuses"),
    Rule::new(Desc::gauge("nginxplus_upstream_keepalive", "Idle keepalive connections"), "http/upstreams/{upstream}/keepalive"),
    Rule::new(Desc::gauge("nginxplus_upstream_zombies", "Servers removed from the group but still processing active client requests"), "http/upstreams/{upstream}/zombies"),
];
