//! Angie's `/status/` (its `http_api` module), under the names of its own Prometheus template `all`.
//!
//! Never run against the real thing: made from Angie's documentation and the template that it ships.

use crate::tree::{self, Rule};
use exporter::{Desc, Part};
use serde_json::Value;

/// What Angie says.
#[derive(Debug)]
pub(crate) struct Status(Value);

impl Status {
    /// An answer, if it is one of Angie's root.
    pub(crate) fn of(answer: Value) -> Option<Self> {
        let is_it = answer.get("angie").is_some_and(Value::is_object) && answer.get("connections").is_some();
        is_it.then_some(Self(answer))
    }

    /// Emits all families.
    pub(crate) fn emit(&self, labels: &[(&str, &[u8])], out: &mut Part) {
        tree::emit(RULES, &self.0, labels, out);
    }
}

/// States of a peer, numbered from 1 as the template numbers them.
const STATES: &[&str] = &["up", "down", "unavailable", "recovering"];

const RULES: &[Rule] = &[
    Rule::new(Desc::counter("angie_connections_accepted", "The total number of accepted client connections."), "connections/accepted"),
    Rule::new(Desc::counter("angie_connections_dropped", "The total number of dropped client connections."), "connections/dropped"),
    Rule::new(Desc::gauge("angie_connections_active", "The current number of active client connections."), "connections/active"),
    Rule::new(Desc::gauge("angie_connections_idle", "The current number of idle client connections."), "connections/idle"),
    Rule::new(Desc::gauge("angie_slabs_pages_used", "The number of currently used memory pages in a slab zone."), "slabs/{zone}/pages/used"),
    Rule::new(Desc::gauge("angie_slabs_pages_free", "The number of currently free memory pages in a slab zone."), "slabs/{zone}/pages/free"),
    Rule::new(Desc::gauge("angie_slabs_pages_slots_used", "The number of currently used memory slots of a specific size in a slab zone."), "slabs/{zone}/slots/{size}/used"),
    Rule::new(Desc::gauge("angie_slabs_pages_slots_free", "The number of currently free memory slots of a specific size in a slab zone."), "slabs/{zone}/slots/{size}/free"),
    Rule::new(Desc::counter("angie_slabs_pages_slots_reqs", "The total number of attempts to allocate a memory slot of a specific size in a slab zone."), "slabs/{zone}/slots/{size}/reqs"),
    Rule::new(Desc::counter("angie_slabs_pages_slots_fails", "The number of unsuccessful attempts to allocate a memory slot of a specific size in a slab zone."), "slabs/{zone}/slots/{size}/fails"),
    Rule::new(Desc::counter("angie_resolvers_queries", "The number of queries of a specific type to resolve in a resolver zone."), "resolvers/{zone}/queries/{type}"),
    Rule::new(Desc::counter("angie_resolvers_responses", "The number of resolution results with a specific status in a resolver zone."), "resolvers/{zone}/responses/{status}"),
    Rule::new(Desc::counter("angie_http_server_zones_ssl_handshaked", "The total number of successful SSL handshakes in an HTTP server zone."), "http/server_zones/{zone}/ssl/handshaked"),
    Rule::new(Desc::counter("angie_http_server_zones_ssl_reuses", "The total number of session reuses during SSL handshakes in an HTTP server zone."), "http/server_zones/{zone}/ssl/reuses"),
    Rule::new(Desc::counter("angie_http_server_zones_ssl_timedout", "The total number of timed-out SSL handshakes in an HTTP server zone."), "http/server_zones/{zone}/ssl/timedout"),
    Rule::new(Desc::counter("angie_http_server_zones_ssl_failed", "The total number of failed SSL handshakes in an HTTP server zone."), "http/server_zones/{zone}/ssl/failed"),
    Rule::new(Desc::counter("angie_http_server_zones_requests_total", "The total number of client requests received in an HTTP server zone."), "http/server_zones/{zone}/requests/total"),
    Rule::new(Desc::gauge("angie_http_server_zones_requests_processing", "The number of client requests currently being processed in an HTTP server zone."), "http/server_zones/{zone}/requests/processing"),
    Rule::new(Desc::counter("angie_http_server_zones_requests_discarded", "The total number of client requests completed in an HTTP server zone without sending a response."), "http/server_zones/{zone}/requests/discarded"),
    Rule::new(Desc::counter("angie_http_server_zones_responses", "The number of responses with a specific status in an HTTP server zone."), "http/server_zones/{zone}/responses/{code}"),
    Rule::new(Desc::counter("angie_http_server_zones_data_received", "The total number of bytes received from clients in an HTTP server zone."), "http/server_zones/{zone}/data/received"),
    Rule::new(Desc::counter("angie_http_server_zones_data_sent", "The total number of bytes sent to clients in an HTTP server zone."), "http/server_zones/{zone}/data/sent"),
    Rule::new(Desc::counter("angie_http_location_zones_requests_total", "The total number of client requests in an HTTP location zone."), "http/location_zones/{zone}/requests/total"),
    Rule::new(Desc::counter("angie_http_location_zones_requests_discarded", "The total number of client requests completed in an HTTP location zone without sending a response."), "http/location_zones/{zone}/requests/discarded"),
    Rule::new(Desc::counter("angie_http_location_zones_responses", "The number of responses with a specific status in an HTTP location zone."), "http/location_zones/{zone}/responses/{code}"),
    Rule::new(Desc::counter("angie_http_location_zones_data_received", "The total number of bytes received from clients in an HTTP location zone."), "http/location_zones/{zone}/data/received"),
    Rule::new(Desc::counter("angie_http_location_zones_data_sent", "The total number of bytes sent to clients in an HTTP location zone."), "http/location_zones/{zone}/data/sent"),
    Rule::new(Desc::gauge("angie_http_upstreams_peers_state", "The current state of an upstream peer in \"HTTP\": 1 - up, 2 - down, 3 - unavailable, or 4 - recovering."), "http/upstreams/{upstream}/peers/{peer}/state").words(STATES),
    Rule::new(Desc::gauge("angie_http_upstreams_peers_selected_current", "The number of requests currently being processed by an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/selected/current"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_selected_total", "The total number of attempts to use an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/selected/total"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_responses", "The number of responses with a specific status received from an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/responses/{code}"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_data_sent", "The total number of bytes sent to an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/data/sent"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_data_received", "The total number of bytes received from an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/data/received"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_health_fails", "The total number of unsuccessful attempts to communicate with an upstream peer in \"HTTP\"."), "http/upstreams/{upstream}/peers/{peer}/health/fails"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_health_unavailable", "The number of times when an upstream peer in \"HTTP\" became \"unavailable\" due to reaching the max_fails limit."), "http/upstreams/{upstream}/peers/{peer}/health/unavailable"),
    Rule::new(Desc::counter("angie_http_upstreams_peers_health_downtime", "The total time (in milliseconds) that an upstream peer in \"HTTP\" was \"unavailable\"."), "http/upstreams/{upstream}/peers/{peer}/health/downtime"),
    Rule::new(Desc::gauge("angie_http_upstreams_keepalive", "The number of currently cached keepalive connections for an HTTP upstream."), "http/upstreams/{upstream}/keepalive"),
    Rule::new(Desc::counter("angie_http_caches_responses", "The total number of responses processed in an HTTP cache zone with a specific cache status."), "http/caches/{zone}/{status}/responses"),
    Rule::new(Desc::counter("angie_http_caches_bytes", "The total number of bytes processed in an HTTP cache zone with a specific cache status."), "http/caches/{zone}/{status}/bytes"),
    Rule::new(Desc::counter("angie_http_caches_responses_written", "The total number of responses written to an HTTP cache zone with a specific cache status."), "http/caches/{zone}/{status}/responses_written"),
    Rule::new(Desc::counter("angie_http_caches_bytes_written", "The total number of bytes written to an HTTP cache zone with a specific cache status."), "http/caches/{zone}/{status}/bytes_written"),
    Rule::new(Desc::gauge("angie_http_caches_size", "The current size (in bytes) of cached responses in an HTTP cache zone."), "http/caches/{zone}/size"),
    Rule::new(Desc::gauge("angie_http_caches_shards_size", "The current size (in bytes) of cached responses in a shard path of an HTTP cache zone."), "http/caches/{zone}/shards/{path}/size"),
    Rule::new(Desc::counter("angie_http_limit_conns", "The number of requests processed by an HTTP limit_conn zone with a specific result."), "http/limit_conns/{zone}/{status}"),
    Rule::new(Desc::counter("angie_http_limit_reqs", "The number of requests processed by an HTTP limit_reqs zone with a specific result."), "http/limit_reqs/{zone}/{status}"),
    Rule::new(Desc::counter("angie_stream_server_zones_ssl_handshaked", "The total number of successful SSL handshakes in a stream server zone."), "stream/server_zones/{zone}/ssl/handshaked"),
    Rule::new(Desc::counter("angie_stream_server_zones_ssl_reuses", "The total number of session reuses during SSL handshakes in a stream server zone."), "stream/server_zones/{zone}/ssl/reuses"),
    Rule::new(Desc::counter("angie_stream_server_zones_ssl_timedout", "The total number of timed-out SSL handshakes in a stream server zone."), "stream/server_zones/{zone}/ssl/timedout"),
    Rule::new(Desc::counter("angie_stream_server_zones_ssl_failed", "The total number of failed SSL handshakes in a stream server zone."), "stream/server_zones/{zone}/ssl/failed"),
    Rule::new(Desc::counter("angie_stream_server_zones_connections_total", "The total number of client connections received in a stream server zone."), "stream/server_zones/{zone}/connections/total"),
    Rule::new(Desc::gauge("angie_stream_server_zones_connections_processing", "The number of client connections currently being processed in a stream server zone."), "stream/server_zones/{zone}/connections/processing"),
    Rule::new(Desc::counter("angie_stream_server_zones_connections_discarded", "The total number of client connections completed in a stream server zone without establishing a session."), "stream/server_zones/{zone}/connections/discarded"),
    Rule::new(Desc::counter("angie_stream_server_zones_sessions", "The number of sessions finished with a specific status in a stream server zone."), "stream/server_zones/{zone}/sessions/{status}"),
    Rule::new(Desc::counter("angie_stream_server_zones_data_received", "The total number of bytes received from clients in a stream server zone."), "stream/server_zones/{zone}/data/received"),
    Rule::new(Desc::counter("angie_stream_server_zones_data_sent", "The total number of bytes sent to clients in a stream server zone."), "stream/server_zones/{zone}/data/sent"),
    Rule::new(Desc::gauge("angie_stream_upstreams_peers_state", "The current state of an upstream peer in \"stream\": 1 - up, 2 - down, 3 - unavailable, or 4 - recovering."), "stream/upstreams/{upstream}/peers/{peer}/state").words(STATES),
    Rule::new(Desc::gauge("angie_stream_upstreams_peers_selected_current", "The number of sessions currently being processed by an upstream peer in \"stream\"."), "stream/upstreams/{upstream}/peers/{peer}/selected/current"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_selected_total", "The total number of attempts to use an upstream peer in \"stream\"."), "stream/upstreams/{upstream}/peers/{peer}/selected/total"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_data_sent", "The total number of bytes sent to an upstream peer in \"stream\"."), "stream/upstreams/{upstream}/peers/{peer}/data/sent"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_data_received", "The total number of bytes received from an upstream peer in \"stream\"."), "stream/upstreams/{upstream}/peers/{peer}/data/received"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_health_fails", "The total number of unsuccessful attempts to communicate with an upstream peer in \"stream\"."), "stream/upstreams/{upstream}/peers/{peer}/health/fails"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_health_unavailable", "The number of times when an upstream peer in \"stream\" became \"unavailable\" due to reaching the max_fails limit."), "stream/upstreams/{upstream}/peers/{peer}/health/unavailable"),
    Rule::new(Desc::counter("angie_stream_upstreams_peers_health_downtime", "The total time (in milliseconds) that an upstream peer in \"stream\" was \"unavailable\"."), "stream/upstreams/{upstream}/peers/{peer}/health/downtime"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_answers_are_taken() {
        let of = |json: &str| Status::of(serde_json::from_str(json).unwrap());
        assert!(of(r#"{"angie":{"version":"1.10.0"},"connections":{}}"#).is_some());
        for other in ["{}", "[]", r#"{"connections":{}}"#, r#"{"angie":1,"connections":{}}"#] {
            assert!(of(other).is_none(), "{other}");
        }
    }
}
