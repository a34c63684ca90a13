//! Families of HTTP: zones, limits and caches.

use crate::tree::Rule;
use exporter::Desc;

pub(super) const RULES: &[Rule] = &[
    Rule::new(Desc::counter("nginxplus_http_requests_total", "Total http requests"), "http/requests/total"),
    Rule::new(Desc::gauge("nginxplus_http_requests_current", "Current http requests"), "http/requests/current"),
    Rule::new(
        Desc::gauge("nginxplus_server_zone_processing", "Client requests that are currently being processed"),
        "http/server_zones/{server_zone}/processing",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_requests", "Total client requests"),
        "http/server_zones/{server_zone}/requests",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_responses", "Total responses sent to clients"),
        "http/server_zones/{server_zone}/responses/{code:1xx|2xx|3xx|4xx|5xx}",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_responses_codes", "Total responses sent to clients"),
        "http/server_zones/{server_zone}/responses/codes/{code}",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_discarded", "Requests completed without sending a response"),
        "http/server_zones/{server_zone}/discarded",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_received", "Bytes received from clients"),
        "http/server_zones/{server_zone}/received",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_sent", "Bytes sent to clients"),
        "http/server_zones/{server_zone}/sent",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_ssl_handshakes", "Successful SSL handshakes"),
        "http/server_zones/{server_zone}/ssl/handshakes",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_ssl_handshakes_failed", "Failed SSL handshakes"),
        "http/server_zones/{server_zone}/ssl/handshakes_failed",
    ),
    Rule::new(
        Desc::counter("nginxplus_server_zone_ssl_session_reuses", "Session reuses during SSL handshake"),
        "http/server_zones/{server_zone}/ssl/session_reuses",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_requests", "Total client requests"),
        "http/location_zones/{location_zone}/requests",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_responses", "Total responses sent to clients"),
        "http/location_zones/{location_zone}/responses/{code:1xx|2xx|3xx|4xx|5xx}",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_responses_codes", "Total responses sent to clients"),
        "http/location_zones/{location_zone}/responses/codes/{code}",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_discarded", "Requests completed without sending a response"),
        "http/location_zones/{location_zone}/discarded",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_received", "Bytes received from clients"),
        "http/location_zones/{location_zone}/received",
    ),
    Rule::new(
        Desc::counter("nginxplus_location_zone_sent", "Bytes sent to clients"),
        "http/location_zones/{location_zone}/sent",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_limit_request_passed",
            "Total number of requests that were neither limited nor accounted as limited",
        ),
        "http/limit_reqs/{zone}/passed",
    ),
    Rule::new(
        Desc::counter("nginxplus_limit_request_delayed", "Total number of requests that were delayed"),
        "http/limit_reqs/{zone}/delayed",
    ),
    Rule::new(
        Desc::counter("nginxplus_limit_request_rejected", "Total number of requests that were rejected"),
        "http/limit_reqs/{zone}/rejected",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_limit_request_delayed_dry_run",
            "Total number of requests accounted as delayed in the dry run mode",
        ),
        "http/limit_reqs/{zone}/delayed_dry_run",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_limit_request_rejected_dry_run",
            "Total number of requests accounted as rejected in the dry run mode",
        ),
        "http/limit_reqs/{zone}/rejected_dry_run",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_limit_connection_passed",
            "Total number of connections that were neither limited nor accounted as limited",
        ),
        "http/limit_conns/{zone}/passed",
    ),
    Rule::new(
        Desc::counter("nginxplus_limit_connection_rejected", "Total number of connections that were rejected"),
        "http/limit_conns/{zone}/rejected",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_limit_connection_rejected_dry_run",
            "Total number of connections accounted as rejected in the dry run mode",
        ),
        "http/limit_conns/{zone}/rejected_dry_run",
    ),
    Rule::new(Desc::gauge("nginxplus_cache_size", "Total size of the cache"), "http/caches/{zone}/size"),
    Rule::new(Desc::gauge("nginxplus_cache_max_size", "Maximum size of the cache"), "http/caches/{zone}/max_size")
        .or_zero(),
    Rule::new(Desc::gauge("nginxplus_cache_cold", "Is the cache considered cold"), "http/caches/{zone}/cold"),
    Rule::new(
        Desc::counter("nginxplus_cache_hit_responses", "Total number of cache hits"),
        "http/caches/{zone}/hit/responses",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_hit_bytes", "Total number of bytes returned from cache"),
        "http/caches/{zone}/hit/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_stale_responses", "Total number of stale cache hits"),
        "http/caches/{zone}/stale/responses",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_stale_bytes", "Total number of bytes returned from stale cache"),
        "http/caches/{zone}/stale/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_updating_responses", "Total number of cache hits while cache is updating"),
        "http/caches/{zone}/updating/responses",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_cache_updating_bytes",
            "Total number of bytes returned from cache while cache is updating",
        ),
        "http/caches/{zone}/updating/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_revalidated_responses", "Total number of cache revalidations"),
        "http/caches/{zone}/revalidated/responses",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_revalidated_bytes", "Total number of bytes returned from cache revalidations"),
        "http/caches/{zone}/revalidated/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_miss_responses", "Total number of cache misses"),
        "http/caches/{zone}/miss/responses",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_miss_bytes", "Total number of bytes returned from cache misses"),
        "http/caches/{zone}/miss/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_expired_responses", "Total number of cache hits with expired TTL"),
        "http/caches/{zone}/expired/responses",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_cache_expired_bytes",
            "Total number of bytes returned from cache hits with expired TTL",
        ),
        "http/caches/{zone}/expired/bytes",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_bypass_responses", "Total number of cache bypasses"),
        "http/caches/{zone}/bypass/responses",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_bypass_bytes", "Total number of bytes returned from cache bypasses"),
        "http/caches/{zone}/bypass/bytes",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_cache_expired_responses_written",
            "Total number of cache hits with expired TTL written to cache",
        ),
        "http/caches/{zone}/expired/responses_written",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_cache_expired_bytes_written",
            "Total number of bytes written to cache from cache hits with expired TTL",
        ),
        "http/caches/{zone}/expired/bytes_written",
    ),
    Rule::new(
        Desc::counter("nginxplus_cache_bypass_responses_written", "Total number of cache bypasses written to cache"),
        "http/caches/{zone}/bypass/responses_written",
    ),
    Rule::new(
        Desc::counter(
            "nginxplus_cache_bypass_bytes_written",
            "Total number of bytes written to cache from cache bypasses",
        ),
        "http/caches/{zone}/bypass/bytes_written",
    ),
];
