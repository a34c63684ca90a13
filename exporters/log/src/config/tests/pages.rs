//! The examples of the documentation are configurations that work.

use super::*;
use crate::engine::{Engine, Outcome};

#[test]
fn the_rules_page_shows_what_works() {
    let page = include_str!("../../../../../docs/log-exporter-rules.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (yaml, _) = rest.split_once("```").unwrap();
    let config = loaded(yaml);
    let mut engine = Engine::new(config.rules, config.limits);
    let mut take = |request: &str, status: &str| {
        let text = format!("1.2.3.4 - - [22/Nov/2026:13:20:21 +0000] \"{request}\" {status} 5 \"-\" \"-\" 0.300 -");
        let line = crate::line::Line { bytes: text.as_bytes(), file: "", input: "access", extra: None };
        engine.take(&line, std::time::SystemTime::now())
    };
    for (request, status) in
        [("POST /wp-login.php HTTP/1.1", "302"), ("POST /wp-login.php HTTP/1.1", "200"), ("GET / HTTP/1.1", "200")]
    {
        assert_eq!(take(request, status), Outcome::Matched);
    }
    let mut part = exposition::Part::new();
    engine.emit(std::time::SystemTime::now(), &mut part);
    let mut out = Vec::new();
    exposition::Page::merge(vec![part]).0.write_text(&mut out);
    let text = String::from_utf8(out).unwrap();
    for line in [
        "wordpress_logins_total{outcome=\"accepted\"} 1\n",
        "wordpress_logins_total{outcome=\"refused\"} 1\n",
        "wordpress_login_seconds_bucket{le=\"0.25\"} 0\nwordpress_login_seconds_bucket{le=\"0.5\"} 2\n",
        "nginx_http_response_count_total{method=\"GET\",status=\"200\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for name in crate::engine::OWN_NAMES {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
    }
    // Each ready-made set is named, with the beginning of each metric's name.
    for (name, rules) in super::super::SETS {
        assert!(page.contains(&format!("| `{name}` |")), "{name}");
        for metric in rules.lines().filter_map(|l| l.trim().strip_prefix("name: ")).filter(|n| n.contains('_')) {
            let tail = metric.splitn(4, '_').nth(3).map_or(metric.to_owned(), |t| format!("_{t}"));
            assert!(page.contains(metric) || page.contains(&tail) || metric.ends_with("_hist"), "{metric}");
        }
    }
}

/// What is deployed can be read, with the patterns that Logstash has.
#[test]
fn the_deployed_configurations_work() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");
    for file in ["log-exporter/lab.yml", "kubernetes/base/log-exporter.config.yml"] {
        let yaml = std::fs::read_to_string(format!("{root}/{file}")).unwrap();
        let config = loaded(&yaml.replace("/etc/log-exporter/patterns", &format!("{root}/logstash/patterns")));
        assert!(!config.rules.is_empty(), "{file}");
    }
}
