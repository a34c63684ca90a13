//! A registry of prometheus-client comes out of our writers.

#![allow(clippy::unwrap_used, reason = "a test")]

use exposition::{Escaping, Format, Page, Part, parse_openmetrics, parse_openmetrics_into};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::{CounterWithExemplar, HistogramWithExemplars};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

type Labels = Vec<(String, String)>;

fn label(name: &str, value: &str) -> Labels {
    vec![(name.to_owned(), value.to_owned())]
}

fn registry() -> Registry {
    let mut registry = Registry::with_prefix("app");
    let requests = Family::<Labels, Counter>::default();
    requests.get_or_create(&label("code", "200")).inc_by(1_234_567);
    requests.get_or_create(&label("code", "a \"b\" \\ \n c")).inc();
    drop(requests.get_or_create(&Labels::new()));
    registry.register("requests", "Requests with a \\ in the help", requests);
    let seconds = Counter::<f64, AtomicU64>::default();
    seconds.inc_by(0.5);
    registry.register_with_unit("busy", "Time spent", Unit::Seconds, seconds);
    let temperature = Gauge::<f64, AtomicU64>::default();
    temperature.set(f64::NEG_INFINITY);
    registry.register("temperature", "Cold", temperature);
    registry.register("depth", "Unused", Family::<Labels, Gauge>::default());
    let duration = Histogram::new([0.1, 1.0]);
    duration.observe(0.05);
    duration.observe(50.0);
    registry.register_with_unit("duration", "How long", Unit::Seconds, duration);
    registry.register("build", "What it is", Info::new(label("version", "1")));
    registry
}

fn page(openmetrics: &str, format: Format) -> String {
    let mut part = Part::new();
    parse_openmetrics_into(openmetrics.as_bytes(), &mut part).unwrap();
    let (page, conflicts) = Page::merge(vec![part]);
    assert_eq!(conflicts, []);
    let mut out = Vec::new();
    page.write(format, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_registry_becomes_a_text_page() {
    let mut text = String::new();
    encode(&mut text, &registry()).unwrap();
    assert_eq!(
        page(&text, Format::default()),
        r#"# HELP app_build_info What it is.
# TYPE app_build_info gauge
app_build_info{version="1"} 1
# HELP app_busy_seconds_total Time spent.
# TYPE app_busy_seconds_total counter
app_busy_seconds_total 0.5
# HELP app_duration_seconds How long.
# TYPE app_duration_seconds histogram
app_duration_seconds_bucket{le="0.1"} 1
app_duration_seconds_bucket{le="1"} 1
app_duration_seconds_bucket{le="+Inf"} 2
app_duration_seconds_sum 50.05
app_duration_seconds_count 2
# HELP app_requests_total Requests with a \\ in the help.
# TYPE app_requests_total counter
app_requests_total 0
app_requests_total{code="200"} 1.234567e+06
app_requests_total{code="a \"b\" \\ \n c"} 1
# HELP app_temperature Cold.
# TYPE app_temperature gauge
app_temperature -Inf
"#
    );
}

#[test]
fn exemplars_survive() {
    let mut registry = Registry::default();
    let requests = CounterWithExemplar::<Labels>::default();
    requests.inc_by(3, Some(label("trace_id", "abc")), None);
    registry.register("requests", "Requests", requests);
    let duration = HistogramWithExemplars::<Labels>::new([1.0, 2.0].into_iter());
    duration.observe(1.5, Some(label("trace_id", "def")), None);
    duration.observe(5.0, Some(label("trace_id", "ghi")), None);
    registry.register("duration", "How long", duration);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    let ours = page(&text, Format::OpenMetrics(Escaping::AllowUtf8));
    assert_eq!(
        ours,
        r#"# HELP duration How long.
# TYPE duration histogram
duration_bucket{le="1.0"} 0
duration_bucket{le="2.0"} 1 # {trace_id="def"} 1.5
duration_bucket{le="+Inf"} 2 # {trace_id="ghi"} 5.0
duration_sum 6.5
duration_count 2
# HELP requests Requests.
# TYPE requests counter
requests_total 3.0 # {trace_id="abc"} 3.0
# EOF
"#
    );
    assert_eq!(page(&ours, Format::OpenMetrics(Escaping::AllowUtf8)), ours);
}

#[test]
fn other_kinds_times_and_what_is_left_out() {
    let text = r#"# TYPE a stateset
# UNIT a 
a{a="x"} 1
# TYPE s summary
s{quantile="0.5"} 1.5 12.5
s_count 3
s_sum 4
s_created 1.5e9
# TYPE c counter
c_total{x="1"} 1 1520879607.789 # {id="z"} 0.5 1520879607.789
c_created{x="1"} 1.5e9
loose 4
# TYPE u unknown
u 5
# EOF"#;
    assert_eq!(
        page(text, Format::default()),
        r#"# HELP a 
# TYPE a gauge
a{a="x"} 1
# HELP c_total 
# TYPE c_total counter
c_total{x="1"} 1 1520879607789
# HELP loose 
# TYPE loose untyped
loose 4
# HELP s 
# TYPE s summary
s{quantile="0.5"} 1.5 12500
s_sum 4 12500
s_count 3 12500
# HELP u 
# TYPE u untyped
u 5
"#
    );
}

#[test]
fn refusals_name_the_line() {
    for (page, error) in [
        ("", "line 1: data does not end with # EOF"),
        ("a 1\n", "line 2: data does not end with # EOF"),
        ("# EOF\n# EOF\n", "line 1: unknown keyword \"EOF\""),
        ("\n# EOF\n", "line 1: invalid metric name"),
        ("# TYPE a gaugehistogram\n# EOF\n", "line 1: unknown metric type \"gaugehistogram\""),
        ("# TYPE a gauge\n# TYPE a gauge\n# EOF\n", "line 2: second TYPE line for \"a\", or after samples"),
        ("a b\n# EOF\n", "line 1: expected float as value, got \"b\""),
        ("a{b=\"c\" 1\n# EOF\n", "line 1: unexpected end of label value \"c\""),
        ("a 1 # x\n# EOF\n", "line 1: expected '{' at start of exemplar"),
        ("a 1 2 3\n# EOF\n", "line 1: spurious string after sample: \"3\""),
        ("a 1 now\n# EOF\n", "line 1: expected float as timestamp, got \"now\""),
        ("a 1\nb 2", "line 2: unexpected end of input stream"),
    ] {
        let got = parse_openmetrics(page.as_bytes()).unwrap_err().to_string();
        assert_eq!(got, format!("text format parsing error in {error}"), "{page}");
    }
}
