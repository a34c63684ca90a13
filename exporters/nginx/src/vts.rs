//! The JSON of nginx-module-vts (`/status/format/json`), under the names of the module's own Prometheus page.
//!
//! Never run against the real thing: made from the module's source and documentation.

use crate::stub_status::StubStatus;
use crate::tree::{self, Rule};
use exporter::{Desc, Part};
use exposition::{Bucket, Histogram};
use serde_json::Value;

const INFO: Desc = Desc::gauge("nginx_vts_info", "Nginx info");
const SERVER_DURATION: Desc =
    Desc::histogram("nginx_vts_server_request_duration_seconds", "The histogram of request processing time");
const FILTER_DURATION: Desc =
    Desc::histogram("nginx_vts_filter_request_duration_seconds", "The histogram of request processing time");
const UPSTREAM_DURATION: Desc = Desc::histogram(
    "nginx_vts_upstream_request_duration_seconds",
    "The histogram of request processing time including upstream",
);
const RESPONSE_DURATION: Desc = Desc::histogram(
    "nginx_vts_upstream_response_duration_seconds",
    "The histogram of only upstream response processing time",
);

/// What the module says.
#[derive(Debug)]
pub(crate) struct Status(Value);

impl Status {
    /// An answer, if it is one of this module.
    pub(crate) fn of(answer: Value) -> Option<Self> {
        let is_it = answer.get("nginxVersion").is_some() && answer.get("connections").is_some_and(Value::is_object);
        is_it.then_some(Self(answer))
    }

    /// The numbers that stub_status has too.
    pub(crate) fn stub(&self) -> Option<StubStatus> {
        let number = |name: &str| self.0.get("connections")?.get(name)?.as_i64();
        Some(StubStatus {
            active: number("active")?,
            accepted: number("accepted")?,
            handled: number("handled")?,
            requests: number("requests")?,
            reading: number("reading")?,
            writing: number("writing")?,
            waiting: number("waiting")?,
        })
    }

    /// Emits all families.
    pub(crate) fn emit(&self, labels: &[(&str, &[u8])], out: &mut Part) {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default().as_bytes();
        let mut info = labels.to_vec();
        for (label, member) in
            [("hostname", "hostName"), ("module_version", "moduleVersion"), ("version", "nginxVersion")]
        {
            info.retain(|(name, _)| *name != label);
            info.push((label, text(member)));
        }
        out.family(&INFO).sample(&info, 1u64);
        tree::emit(RULES, &self.0, labels, out);
        for (desc, path, buckets, sum) in HISTOGRAMS {
            tree::each(&self.0, path, &mut |found, zone| {
                let Some(histogram) = histogram(zone, buckets, sum) else { return };
                let mut all = labels.to_vec();
                for (label, value) in found {
                    all.retain(|(name, _)| name != label);
                    all.push((label, value.as_bytes()));
                }
                out.family(desc).histogram(&all, histogram);
            });
        }
    }
}

/// A zone's histogram, where the module is told to keep one.
fn histogram(zone: &Value, buckets: &str, sum: &str) -> Option<Histogram> {
    let list = |name: &str| zone.get(buckets)?.get(name)?.as_array();
    let (bounds, counters) = (list("msecs")?, list("counters")?);
    if bounds.is_empty() {
        return None;
    }
    let buckets = bounds
        .iter()
        .zip(counters)
        .filter_map(|(bound, counter)| Some(Bucket { le: bound.as_f64()? / 1e3, cumulative: counter.as_u64()? }));
    Some(Histogram {
        buckets: buckets.collect(),
        sum: zone.get(sum)?.as_f64()? / 1e3,
        count: zone.get("requestCounter")?.as_u64()?,
        ..Histogram::default()
    })
}

/// Family, its zones, the member with its buckets, and that with its sum.
const HISTOGRAMS: &[(&Desc, &str, &str, &str)] = &[
    (&SERVER_DURATION, "serverZones/{host}", "requestBuckets", "requestMsecCounter"),
    (&FILTER_DURATION, "filterZones/{filter}/{filter_name}", "requestBuckets", "requestMsecCounter"),
    (&UPSTREAM_DURATION, "upstreamZones/{upstream}/[backend=server]", "requestBuckets", "requestMsecCounter"),
    (&RESPONSE_DURATION, "upstreamZones/{upstream}/[backend=server]", "responseBuckets", "responseMsecCounter"),
];

const RULES: &[Rule] = &[
    Rule::new(Desc::gauge("nginx_vts_start_time_seconds", "Nginx start time"), "loadMsec").seconds(),
    Rule::new(Desc::gauge("nginx_vts_main_connections", "Nginx connections"), "connections/{status}"),
    Rule::new(Desc::gauge("nginx_vts_main_shm_usage_bytes", "Shared memory info"), "sharedZones/maxSize")
        .with(&[("shared", "max_size")]),
    Rule::new(Desc::gauge("nginx_vts_main_shm_usage_bytes", "Shared memory info"), "sharedZones/usedSize")
        .with(&[("shared", "used_size")]),
    Rule::new(Desc::gauge("nginx_vts_main_shm_usage_bytes", "Shared memory info"), "sharedZones/usedNode")
        .with(&[("shared", "used_node")]),
    Rule::new(Desc::gauge("nginx_vts_main_shm_usage_bytes", "Shared memory info"), "sharedZones/freeSize")
        .with(&[("shared", "free_size")]),
    Rule::new(
        Desc::counter("nginx_vts_server_bytes_total", "The request/response bytes"),
        "serverZones/{host}/inBytes",
    )
    .with(&[("direction", "in")]),
    Rule::new(
        Desc::counter("nginx_vts_server_bytes_total", "The request/response bytes"),
        "serverZones/{host}/outBytes",
    )
    .with(&[("direction", "out")]),
    Rule::new(
        Desc::counter("nginx_vts_server_requests_total", "The requests counter"),
        "serverZones/{host}/responses/{code:1xx|2xx|3xx|4xx|5xx}",
    ),
    Rule::new(
        Desc::counter("nginx_vts_server_request_seconds_total", "The request processing time in seconds"),
        "serverZones/{host}/requestMsecCounter",
    )
    .seconds(),
    Rule::new(
        Desc::gauge("nginx_vts_server_request_seconds", "The average of request processing times in seconds"),
        "serverZones/{host}/requestMsec",
    )
    .seconds(),
    Rule::new(
        Desc::counter("nginx_vts_server_cache_total", "The requests cache counter"),
        "serverZones/{host}/responses/{status:miss|bypass|expired|stale|updating|revalidated|hit|scarce}",
    ),
    Rule::new(
        Desc::counter("nginx_vts_status_code_requests_total", "The requests counter by status code"),
        "serverZones/{host}/statusCodes/{code}",
    ),
    Rule::new(
        Desc::counter("nginx_vts_filter_bytes_total", "The request/response bytes"),
        "filterZones/{filter}/{filter_name}/inBytes",
    )
    .with(&[("direction", "in")]),
    Rule::new(
        Desc::counter("nginx_vts_filter_bytes_total", "The request/response bytes"),
        "filterZones/{filter}/{filter_name}/outBytes",
    )
    .with(&[("direction", "out")]),
    Rule::new(
        Desc::counter("nginx_vts_filter_requests_total", "The requests counter"),
        "filterZones/{filter}/{filter_name}/responses/{code:1xx|2xx|3xx|4xx|5xx}",
    ),
    Rule::new(
        Desc::counter("nginx_vts_filter_request_seconds_total", "The request processing time in seconds counter"),
        "filterZones/{filter}/{filter_name}/requestMsecCounter",
    )
    .seconds(),
    Rule::new(
        Desc::gauge("nginx_vts_filter_request_seconds", "The average of request processing times in seconds"),
        "filterZones/{filter}/{filter_name}/requestMsec",
    )
    .seconds(),
    Rule::new(
        Desc::counter("nginx_vts_filter_cache_total", "The requests cache counter"),
        "filterZones/{filter}/{filter_name}/responses/{status:miss|bypass|expired|stale|updating|revalidated|hit|scarce}",
    ),
    Rule::new(
        Desc::counter("nginx_vts_upstream_bytes_total", "The request/response bytes"),
        "upstreamZones/{upstream}/[backend=server]/inBytes",
    )
    .with(&[("direction", "in")]),
    Rule::new(
        Desc::counter("nginx_vts_upstream_bytes_total", "The request/response bytes"),
        "upstreamZones/{upstream}/[backend=server]/outBytes",
    )
    .with(&[("direction", "out")]),
    Rule::new(
        Desc::counter("nginx_vts_upstream_requests_total", "The upstream requests counter"),
        "upstreamZones/{upstream}/[backend=server]/responses/{code:1xx|2xx|3xx|4xx|5xx}",
    ),
    Rule::new(
        Desc::counter(
            "nginx_vts_upstream_request_seconds_total",
            "The request processing time including upstream in seconds",
        ),
        "upstreamZones/{upstream}/[backend=server]/requestMsecCounter",
    )
    .seconds(),
    Rule::new(
        Desc::gauge(
            "nginx_vts_upstream_request_seconds",
            "The average of request processing times including upstream in seconds",
        ),
        "upstreamZones/{upstream}/[backend=server]/requestMsec",
    )
    .seconds(),
    Rule::new(
        Desc::counter(
            "nginx_vts_upstream_response_seconds_total",
            "The only upstream response processing time in seconds",
        ),
        "upstreamZones/{upstream}/[backend=server]/responseMsecCounter",
    )
    .seconds(),
    Rule::new(
        Desc::gauge(
            "nginx_vts_upstream_response_seconds",
            "The average of only upstream response processing times in seconds",
        ),
        "upstreamZones/{upstream}/[backend=server]/responseMsec",
    )
    .seconds(),
    Rule::new(Desc::gauge("nginx_vts_cache_usage_bytes", "The cache zones info"), "cacheZones/{cache_zone}/maxSize")
        .with(&[("cache_size", "max")]),
    Rule::new(Desc::gauge("nginx_vts_cache_usage_bytes", "The cache zones info"), "cacheZones/{cache_zone}/usedSize")
        .with(&[("cache_size", "used")]),
    Rule::new(
        Desc::counter("nginx_vts_cache_bytes_total", "The cache zones request/response bytes"),
        "cacheZones/{cache_zone}/inBytes",
    )
    .with(&[("direction", "in")]),
    Rule::new(
        Desc::counter("nginx_vts_cache_bytes_total", "The cache zones request/response bytes"),
        "cacheZones/{cache_zone}/outBytes",
    )
    .with(&[("direction", "out")]),
    Rule::new(
        Desc::counter("nginx_vts_cache_requests_total", "The cache requests counter"),
        "cacheZones/{cache_zone}/responses/{status:miss|bypass|expired|stale|updating|revalidated|hit|scarce}",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_answers_are_taken() {
        let of = |json: &str| Status::of(serde_json::from_str(json).unwrap());
        assert!(of(r#"{"nginxVersion":"1.28.0","connections":{"active":1}}"#).is_some());
        assert!(of(r#"{"nginxVersion":"1.28.0","connections":{"active":1}}"#).unwrap().stub().is_none());
        for other in ["{}", "[]", r#"{"connections":{}}"#, r#"{"nginxVersion":"1","connections":7}"#] {
            assert!(of(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_histogram_needs_bounds_and_counts() {
        let of = |json: &str| histogram(&serde_json::from_str(json).unwrap(), "requestBuckets", "requestMsecCounter");
        let whole =
            r#"{"requestCounter":9,"requestMsecCounter":2500,"requestBuckets":{"msecs":[5,10],"counters":[4,8]}}"#;
        let histogram = of(whole).unwrap();
        assert_eq!((histogram.sum, histogram.count), (2.5, 9));
        assert_eq!(histogram.buckets, [Bucket { le: 0.005, cumulative: 4 }, Bucket { le: 0.01, cumulative: 8 }]);
        for other in [
            "{}",
            r#"{"requestBuckets":{"msecs":[],"counters":[]}}"#,
            r#"{"requestBuckets":{"msecs":[1],"counters":[1]}}"#,
        ] {
            assert!(of(other).is_none(), "{other}");
        }
    }
}
