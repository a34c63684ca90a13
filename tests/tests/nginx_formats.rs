//! NGINX Plus, Angie and the VTS module: answers in their documented form, served by a real nginx. None of the three was
//! ever asked itself.
#![allow(clippy::unwrap_used)] // a test fails by panic

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use tests::{Service, free_port, get, parity, program, refused, repo, skip};

/// An nginx that serves a folder.
struct Files {
    service: Service,
    dir: tempfile::TempDir,
}

impl Files {
    fn start() -> Option<Self> {
        let Some(nginx) = program("nginx") else {
            skip("nginx is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let port = free_port();
        fs::create_dir(dir.path().join("root")).unwrap();
        let config = format!(
            "daemon off; user root; pid {path}/pid; error_log {path}/error.log; events {{}}
             http {{
               access_log {path}/access.log; client_body_temp_path {path}/a; proxy_temp_path {path}/b;
               fastcgi_temp_path {path}/c; uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
               server {{
                 listen 127.0.0.1:{port}; root {path}/root; index index.json; absolute_redirect off;
                 location /stub {{ stub_status; }}
                 location /broken/9/ssl {{ return 500; }}
                 location /broken/ {{ alias {path}/root/api/; }}
               }}
             }}"
        );
        fs::write(dir.path().join("nginx.conf"), config).unwrap();
        let mut command = Command::new(nginx);
        command.arg("-c").arg(dir.path().join("nginx.conf"));
        let files = Self { service: Service::start(command, port), dir };
        let plus: Value = serde_json::from_str(&fixture("plus.json")).unwrap();
        files.write("api/index.json", "[1,2,3,4,5,6,7,8,9]");
        files.element("api/9", &plus, 2);
        files.write("status/index.json", &fixture("angie.json"));
        files.write("vts.json", &fixture("vts.json"));
        Some(files)
    }

    /// An element of the API: branches down to `depth` list their members.
    fn element(&self, path: &str, value: &Value, depth: usize) {
        let branch = depth == 2 || path.ends_with("/http") || path.ends_with("/stream");
        if !branch || depth == 0 {
            self.write(path, &value.to_string());
            return;
        }
        let members = value.as_object().unwrap();
        let names: Vec<&String> = members.keys().collect();
        self.write(&format!("{path}/index.json"), &serde_json::to_string(&names).unwrap());
        for (name, member) in members {
            self.element(&format!("{path}/{name}"), member, depth - 1);
        }
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.dir.path().join("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn exporter(&self, path: &str, args: &[&str]) -> Service {
        let mut all = vec![format!("--nginx.scrape-uri={}", self.service.url(path))];
        all.extend(args.iter().map(|a| (*a).to_owned()));
        Service::ours("nginx-exporter", &all)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.service.signal(rustix::process::Signal::TERM);
        self.service.wait();
    }
}

fn fixture(name: &str) -> String {
    fs::read_to_string(repo().join("tests/fixtures/nginx").join(name)).unwrap()
}

/// The page's series of these prefixes, after the strict parser has read it.
fn series(service: &Service) -> BTreeSet<String> {
    let page = get(&service.url("/metrics")).unwrap();
    assert_eq!(page.status, 200);
    exposition::parse_text(&page.body).unwrap();
    let text = page.text();
    let own =
        |l: &&str| ["nginx_", "nginxplus_", "angie_"].iter().any(|p| l.starts_with(p)) && !l.contains("build_info");
    text.lines().filter(own).map(str::to_owned).collect()
}

fn holds(series: &BTreeSet<String>, expected: &[&str]) {
    for line in expected {
        assert!(series.contains(*line), "{line}\n{series:#?}");
    }
}

fn names(series: &BTreeSet<String>) -> BTreeSet<&str> {
    series.iter().map(|l| l.split(['{', ' ']).next().unwrap()).collect()
}

#[test]
fn plus_shows_all_families() {
    let Some(files) = Files::start() else { return };
    for args in [&["--nginx.plus"][..], &["--nginx.format=plus"], &["--nginx.format=auto"]] {
        let found = series(&files.exporter("/api", args));
        holds(
            &found,
            &[
                "nginxplus_up 1",
                "nginxplus_connections_accepted 4.968119e+06",
                "nginxplus_server_zone_responses{code=\"2xx\",server_zone=\"site1\"} 727290",
                "nginxplus_server_zone_responses_codes{code=\"418\",server_zone=\"site1\"} 4",
                "nginxplus_server_zone_requests{server_zone=\"a\\\"b\\\\c\"} 1",
                "nginxplus_upstream_server_state{server=\"10.0.0.1:8088\",upstream=\"trac-backend\"} 1",
                "nginxplus_upstream_server_state{server=\"10.0.0.1:8089\",upstream=\"trac-backend\"} 6",
                "nginxplus_upstream_server_limit{server=\"10.0.0.1:8089\",upstream=\"trac-backend\"} 0",
                "nginxplus_stream_upstream_server_state{server=\"10.0.0.1:12345\",upstream=\"mysql_backends\"} 2",
                "nginxplus_stream_zone_sync_zone_records_total{zone=\"zone1\"} 2061",
                "nginxplus_stream_zone_sync_status_nodes_online 15",
                "nginxplus_cache_cold{zone=\"http_cache\"} 0",
                "nginxplus_worker_http_requests_total{id=\"1\",pid=\"32214\"} 13",
                "nginxplus_license_reporting_healthy 1",
            ],
        );
        assert!(!names(&found).contains("nginx_up"));
        assert_eq!(names(&found).len(), 133, "{args:?}");
    }
}

#[test]
fn plus_has_the_names_of_the_contract() {
    let (Some(files), Some(contract)) = (Files::start(), parity("nginx/plus-families.tsv")) else { return };
    let page = get(&files.exporter("/api/", &["--nginx.plus"]).url("/metrics")).unwrap();
    let families = exposition::parse_text(&page.body).unwrap();
    for line in fs::read_to_string(contract).unwrap().lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        // Where the original's README and its code do not agree the code decides.
        let name = columns[0]
            .replace("nginxplus_server_ssl_", "nginxplus_server_zone_ssl_")
            .replace("nginxplus_stream_server_ssl_", "nginxplus_stream_server_zone_ssl_");
        let name = if columns[2].is_empty() { name.replace("zone_sync_zone_", "zone_sync_status_") } else { name };
        let family = families.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(family.kind.word(), columns[1].to_lowercase(), "{name}");
        let labels: BTreeSet<&str> = family.samples[0].labels.iter().map(|l| l.0.as_str()).collect();
        let expected: BTreeSet<&str> = columns[2].split(' ').filter(|l| !l.is_empty()).collect();
        let expected = if expected == ["cache"].into() { ["zone"].into() } else { expected };
        assert_eq!(labels, expected, "{name}");
    }
}

#[test]
fn plus_without_some_parts_and_with_broken_ones() {
    let Some(files) = Files::start() else { return };
    // No licence, no stream module, caches listed and gone again.
    files.write("old/index.json", "[1,2,3,4,5,6]");
    files.write("old/6/index.json", r#"["nginx","connections","http","slabs"]"#);
    files.write("old/6/connections", r#"{"accepted":1,"dropped":0,"active":1,"idle":0}"#);
    files.write("old/6/http/index.json", r#"["requests","caches","keyvals"]"#);
    files.write("old/6/http/requests", r#"{"total":9,"current":1}"#);
    let found = series(&files.exporter("/old/", &["--nginx.plus"]));
    assert_eq!(found.len(), 7, "{found:#?}");
    holds(&found, &["nginxplus_up 1", "nginxplus_http_requests_total 9"]);

    files.write("ancient/index.json", "[1,2,3]");
    files.write("html/index.json", "<html>");
    for (path, said) in [
        ("/ancient/", "versions [1, 2, 3]"),
        ("/html/", "no list of API versions"),
        ("/stub", "no list of API versions"),
        ("/broken/", "expected status 200, got 500"),
        ("/nothing", "got 404"),
    ] {
        let service = files.exporter(path, &["--nginx.plus"]);
        assert_eq!(series(&service), ["nginxplus_up 0".to_owned()].into(), "{path}");
        assert!(service.log().contains(said), "{path}: {}", service.log());
    }
}

#[test]
fn angie_under_the_names_of_its_own_template() {
    let Some(files) = Files::start() else { return };
    for format in ["angie", "auto"] {
        let found = series(&files.exporter("/status/", &[&format!("--nginx.format={format}")]));
        holds(
            &found,
            &[
                "nginx_up 1",
                "angie_connections_accepted 2257",
                "angie_slabs_pages_slots_fails{size=\"64\",zone=\"cache\"} 6",
                "angie_http_server_zones_responses{code=\"xxx\",zone=\"www\"} 1",
                "angie_http_upstreams_peers_state{peer=\"192.168.16.5:80\",upstream=\"backend\"} 3",
                "angie_http_upstreams_peers_responses{code=\"302\",peer=\"192.168.16.4:80\",upstream=\"backend\"} 12",
                "angie_http_caches_bytes_written{status=\"bypass\",zone=\"cache\"} 20",
                "angie_http_caches_shards_size{path=\"/var/cache/a\",zone=\"cache\"} 21",
                "angie_http_limit_reqs{status=\"exhausted\",zone=\"limit_reqs_zone\"} 6",
                "angie_stream_server_zones_sessions{status=\"bad_gateway\",zone=\"ssh\"} 3",
                "angie_stream_upstreams_peers_state{peer=\"192.168.16.6:22\",upstream=\"ssh_backend\"} 2",
                "angie_resolvers_responses{status=\"not_found\",zone=\"resolver_zone\"} 4",
            ],
        );
        assert!(names(&found).len() > 55, "{}", names(&found).len());
    }
}

#[test]
fn vts_under_the_names_of_its_own_page() {
    let Some(files) = Files::start() else { return };
    for format in ["vts", "auto"] {
        let found = series(&files.exporter("/vts.json", &[&format!("--nginx.format={format}")]));
        holds(
            &found,
            &[
                "nginx_up 1",
                "nginx_connections_handled 99",
                "nginx_vts_info{hostname=\"edge-1\",module_version=\"v0.2.4\",version=\"1.27.4\"} 1",
                "nginx_vts_start_time_seconds 1.737000000123e+09",
                "nginx_vts_main_connections{status=\"requests\"} 500",
                "nginx_vts_main_shm_usage_bytes{shared=\"used_node\"} 7",
                "nginx_vts_server_bytes_total{direction=\"out\",host=\"example.org\"} 2000",
                "nginx_vts_server_requests_total{code=\"4xx\",host=\"*\"} 5",
                "nginx_vts_server_cache_total{host=\"example.org\",status=\"scarce\"} 17",
                "nginx_vts_server_request_seconds_total{host=\"example.org\"} 12.5",
                "nginx_vts_server_request_duration_seconds_bucket{host=\"example.org\",le=\"0.01\"} 200",
                "nginx_vts_server_request_duration_seconds_bucket{host=\"example.org\",le=\"+Inf\"} 400",
                "nginx_vts_server_request_duration_seconds_sum{host=\"example.org\"} 12.5",
                "nginx_vts_status_code_requests_total{code=\"other\",host=\"example.org\"} 2",
                "nginx_vts_filter_requests_total{code=\"2xx\",filter=\"country::example.org\",filter_name=\"KR\"} 59",
                "nginx_vts_upstream_response_seconds{backend=\"10.0.0.1:80\",upstream=\"backend\"} 0.02",
                "nginx_vts_upstream_requests_total{backend=\"10.0.0.9:80\",code=\"2xx\",upstream=\"::nogroups\"} 1",
                "nginx_vts_upstream_response_duration_seconds_bucket{backend=\"10.0.0.1:80\",upstream=\"backend\",le=\"0.005\"} 8",
                "nginx_vts_cache_usage_bytes{cache_size=\"used\",cache_zone=\"static\"} 4096",
                "nginx_vts_cache_requests_total{cache_zone=\"static\",status=\"hit\"} 7",
            ],
        );
        assert!(
            !found.iter().any(|l| l.starts_with("nginx_vts_server_request_duration_seconds") && l.contains("\"*\""))
        );
    }
}

#[test]
fn several_kinds_side_by_side_and_what_is_none() {
    let Some(files) = Files::start() else { return };
    files.write("zone.json", &fixture("plus.json"));
    let second = format!("--nginx.scrape-uri={}", files.service.url("/vts.json"));
    let third = format!("--nginx.scrape-uri={}", files.service.url("/zone.json"));
    let api = files.service.url("/api/");
    let service = files.exporter("/api/", &[&second, &third, "--nginx.format=auto", "--prometheus.const-label=code=x"]);
    let found = series(&service);
    holds(
        &found,
        &[
            &format!("nginxplus_up{{addr=\"{api}\",code=\"x\"}} 1"),
            &format!("nginx_up{{addr=\"{}\",code=\"x\"}} 1", files.service.url("/vts.json")),
            &format!("nginx_up{{addr=\"{}\",code=\"x\"}} 0", files.service.url("/zone.json")),
            &format!("nginxplus_server_zone_responses{{addr=\"{api}\",code=\"5xx\",server_zone=\"site1\"}} 1535"),
        ],
    );
    assert!(service.log().contains("no status page that is known"), "{}", service.log());
    // Once known for what it is, its failure is told as such.
    fs::remove_dir_all(Path::new(files.dir.path()).join("root/api/9")).unwrap();
    fs::write(files.dir.path().join("root/api/index.json"), "{").unwrap();
    holds(&series(&service), &[&format!("nginxplus_up{{addr=\"{api}\",code=\"x\"}} 0")]);
    // Without the flag nothing has changed: only stub_status is read.
    assert_eq!(series(&files.exporter("/vts.json", &[])), ["nginx_up 0".to_owned()].into());
    assert_eq!(series(&files.exporter("/stub", &[])).len(), 8);
    assert_eq!(series(&files.exporter("/stub", &["--nginx.format=auto"])).len(), 8);
}

#[test]
fn flags_that_contradict_are_refused() {
    for (args, words) in [
        (&["--nginx.plus", "--nginx.format=vts"][..], "--nginx.plus does not go with --nginx.format=vts"),
        (&["--nginx.format=json"], "nginx.format"),
    ] {
        let out = refused("nginx-exporter", args);
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
    }
}
