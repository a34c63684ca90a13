//! A line whose series exist allocates nothing.

use super::*;
use counting::allocations;

#[test]
fn known_series_cost_no_allocation() {
    let grok = grok(
        "- {type: counter, name: a, help: h, match: '%{COMBINEDAPACHELOG}', labels: {verb: '{{.verb}}', file: '{{.logfile}}'}, retention: 1h}\n\
         - {type: histogram, name: b, help: h, match: '%{COMBINEDAPACHELOG}', value: '{{.bytes}}', labels: {code: '{{.response}}'}}\n\
         - {type: gauge, name: c, help: h, match: 'nothing like it', value: 1, path: /var/log/x}\n",
    );
    for yaml in ["use: [nginx_combined]\n", &*grok] {
        let mut engine = engine(yaml);
        let lines = |engine: &mut Engine| {
            for n in 0..3000 {
                let status = ["200", "404", "500"][n % 3];
                let text = [
                    "1.2.3.4 - - [22/Nov/2026:13:20:21 +0000] \"GET /x HTTP/1.1\" ",
                    status,
                    " 153 \"-\" \"curl/8.5.0\"",
                ];
                let mut bytes = [0; 128];
                let mut len = 0;
                for part in text {
                    bytes[len..len + part.len()].copy_from_slice(part.as_bytes());
                    len += part.len();
                }
                // Some lines fit nothing: the latest are kept in memory that is there.
                let bytes = if n % 50 == 0 { &b"?"[..] } else { &bytes[..len] };
                engine.take(&Line { bytes, file: "/var/log/nginx/access.log", input: "file", extra: None }, at(0));
            }
        };
        lines(&mut engine);
        let before = allocations();
        lines(&mut engine);
        assert_eq!(allocations() - before, 0, "{yaml}");
        assert_eq!(engine.lines, [5880, 0, 120]);
    }
}
