//! What the toolkit writes, read by real Prometheus servers.

#![allow(clippy::unwrap_used, reason = "a test")]

use exposition::{
    Bucket, Escaping, Exemplar, Format, Histogram, Kind, Native, Page, Part, Quantile, Span, Summary, negotiate,
};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tests::{Service, free_port, get, peer, program, skip, wait_until};

#[test]
fn debian_s_prometheus_takes_every_format() {
    match program("prometheus") {
        Some(prometheus) => scrape_with(&prometheus, false),
        None => skip("prometheus is not installed"),
    }
}

#[test]
fn the_newest_prometheus_takes_every_format() {
    if let Some(prometheus) = peer("prometheus") {
        scrape_with(&prometheus, true);
    }
}

/// Metrics paths, each with one format; the last gives what is asked for.
const JOBS: [&str; 4] = ["text", "openmetrics", "protobuf", "negotiated"];

fn scrape_with(prometheus: &Path, utf8_names: bool) {
    let dir = tempfile::tempdir().unwrap();
    let target = serve();
    let jobs = JOBS.map(|job| {
        format!("- {{job_name: {job}, metrics_path: /{job}, static_configs: [{{targets: ['127.0.0.1:{target}']}}]}}\n")
    });
    let config = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{}", jobs.concat());
    std::fs::write(dir.path().join("prometheus.yml"), config).unwrap();
    let port = free_port();
    let mut command = Command::new(prometheus);
    command
        .arg(format!("--config.file={}", dir.path().join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--enable-feature=native-histograms,exemplar-storage");
    let server = Service::start(command, port);

    wait_until("all formats to be scraped", Duration::from_mins(1), || {
        let up = query(&server, "up");
        assert!(!server.log().contains("err=\"invalid"), "{}", server.log());
        JOBS.iter().all(|job| up.iter().any(|(labels, value)| labels["job"] == *job && value == "1"))
    });
    for job in JOBS {
        let value = |expression: &str| {
            let found = query(&server, &expression.replace("JOB", &format!("job=\"{job}\"")));
            assert_eq!(found.len(), 1, "{job}: {expression} gives {found:?}\n{}", server.log());
            found[0].1.clone()
        };
        assert_eq!(value("c_total{a=\"1\",JOB}"), "1234567");
        assert_eq!(value("plain{JOB}"), "7");
        assert_eq!(value("u{a=\"quote \\\" backslash \\\\ line\\n end ü\",JOB}"), "-Inf");
        assert_eq!(value("s{quantile=\"0.5\",JOB}"), "1");
        assert_eq!(value("s_count{JOB}"), "2");
        assert_eq!(value("histogram_quantile(0.5, classic_bucket{JOB})"), "1");
        assert_eq!(value("classic_sum{JOB}"), "5.25");
        if utf8_names && job == "openmetrics" {
            assert_eq!(value("{\"utf.8\",JOB}"), "1");
        } else if job != "negotiated" {
            assert_eq!(value("utf_8{JOB}"), "1");
        }
    }
    assert_eq!(query(&server, "histogram_count(h{job=\"protobuf\"})")[0].1, "4");
    assert_eq!(query(&server, "histogram_sum(h{job=\"protobuf\"})")[0].1, "5.25");
    assert_eq!(query(&server, "histogram_fraction(-Inf, 0, h{job=\"protobuf\"})")[0].1, "0.375");
    let types = get(&server.url("/api/v1/metadata")).unwrap().json();
    for (family, kind) in [("c_total", "counter"), ("classic", "histogram"), ("s", "summary"), ("u", "unknown")] {
        let named = types["data"].get(family).or_else(|| types["data"].get(family.trim_end_matches("_total")));
        assert_eq!(named.unwrap()[0]["type"], kind, "{types}");
    }
    let exemplars = get(&server.url("/api/v1/query_exemplars?query=c_total&start=0&end=9999999999")).unwrap().json();
    assert_eq!(exemplars["data"][0]["exemplars"][0]["labels"]["id"], "abc", "{exemplars}");

    let log = server.log();
    let complaints: Vec<&str> = log
        .lines()
        .filter(|l| {
            l.contains("scrape") && ["level=warn", "level=WARN", "level=err", "level=ERR"].iter().any(|w| l.contains(w))
        })
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// The series of an instant query: labels and value.
fn query(server: &Service, expression: &str) -> Vec<(serde_json::Value, String)> {
    let encoded = expression.bytes().map(|b| format!("%{b:02x}")).collect::<Vec<_>>().concat();
    let Some(answer) = get(&server.url(&format!("/api/v1/query?query={encoded}"))) else { return Vec::new() };
    // Busy starting: the answer is no JSON yet.
    if answer.status == 503 {
        return Vec::new();
    }
    let json = answer.json();
    assert_eq!(json["status"], "success", "{expression}: {json}");
    let series = json["data"]["result"].as_array().unwrap();
    series.iter().map(|s| (s["metric"].clone(), s["value"][1].as_str().unwrap_or_default().to_owned())).collect()
}

/// Serves the page until the test ends; gives the port.
fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let page = page();
        for connection in listener.incoming().flatten() {
            // A client that goes away is none of the test's business.
            let _ = answer(&page, &connection);
        }
    });
    port
}

fn answer(page: &Page, connection: &TcpStream) -> std::io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(connection).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let mut accept = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case("accept")) {
            value.clone_into(&mut accept);
        }
    }
    let utf8 = if accept.contains("allow-utf-8") { Escaping::AllowUtf8 } else { Escaping::Underscores };
    let format = match request.split(' ').nth(1) {
        Some("/text") => Format::default(),
        Some("/openmetrics") => Format::OpenMetrics(utf8),
        Some("/protobuf") => Format::Protobuf(Escaping::Underscores),
        _ => negotiate(&accept, true),
    };
    let mut body = Vec::new();
    page.write(format, &mut body);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        format.content_type(),
        body.len()
    );
    let mut connection = connection;
    connection.write_all(head.as_bytes())?;
    connection.write_all(&body)
}

/// One family of each kind.
fn page() -> Page {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let exemplar = |value| Exemplar { labels: vec![("id".into(), "abc".into())], value, timestamp_ms: Some(now) };
    let bucket = |le, cumulative| Bucket { le, cumulative };
    let mut part = Part::new();
    part.family_named("c_total", "A counter.", Kind::Counter)
        .sample_traced(&[("a", b"1")], 1_234_567u32, exemplar(1.0))
        .sample(&[("a", b"2")], 2.5);
    part.family_named("plain", "A counter without suffix.", Kind::Counter).sample(&[], 7u8);
    part.family_named("u", "", Kind::Untyped)
        .sample(&[("a", "quote \" backslash \\ line\n end ü".as_bytes())], f64::NEG_INFINITY);
    let classic = Histogram {
        buckets: vec![bucket(0.1, 1), bucket(1.0, 2)],
        sum: 5.25,
        count: 4,
        exemplars: vec![exemplar(0.5), exemplar(9.0)],
        native: None,
    };
    let native = Native {
        schema: 0,
        zero_threshold: 1e-128,
        zero_count: 1,
        // Up to 2 and up to 4, and down to -1.
        positive_spans: vec![Span { offset: 1, length: 2 }],
        positive_deltas: vec![1, 0],
        negative_spans: vec![Span { offset: 0, length: 1 }],
        negative_deltas: vec![1],
    };
    part.family_named("classic", "A histogram.", Kind::Histogram).histogram(&[], classic.clone());
    part.family_named("h", "A native histogram.", Kind::Histogram)
        .histogram(&[], Histogram { native: Some(Box::new(native)), ..classic });
    let quantiles = vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.99, value: f64::NAN }];
    part.family_named("s", "A summary.", Kind::Summary).summary(&[], Summary { quantiles, sum: 3.0, count: 2 });
    part.family_named("utf.8", "Ü.", Kind::Gauge).sample(&[("label.ä", b"x")], 1u8);
    let (page, conflicts) = Page::merge(vec![part]);
    assert_eq!(conflicts, []);
    page
}
