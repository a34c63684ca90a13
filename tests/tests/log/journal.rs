//! systemd's journal: a real journald in a mount namespace of its own.

use crate::exporter::Place;
use std::process::Command;
use tests::{binary, free_port, program, skip};

#[test]
fn the_journal_is_followed_and_taken_up_again() {
    let journald = std::path::Path::new("/lib/systemd/systemd-journald");
    let needed = ["unshare", "logger", "curl", "journalctl"];
    if !journald.is_file() || needed.iter().any(|n| program(n).is_none()) {
        skip("systemd-journald, journalctl, unshare, logger or curl is not installed");
        return;
    }
    let port = free_port();
    let place = Place::new(
        "inputs:
  - {type: journal, matches: [SYSLOG_IDENTIFIER=bongsu]}
rules:
  - name: lines
    regex: '^line'
    metrics:
      - {type: counter, name: lines_seen_total, help: Lines., labels: {priority: '{{index .extra \"PRIORITY\"}}'}}
  - name: probes
    regex: '^probe'
    metrics:
      - {type: counter, name: probes_seen_total, help: Probes.}
",
    );
    let dir = place.dir.path().display();
    let exporter = binary("log-exporter").display().to_string();
    let script = format!(
        r#"
mount -t tmpfs none /run && mount -t tmpfs none /var/log && mkdir -p /run/systemd/journal /run/log/journal || exit 9
/lib/systemd/systemd-journald >{dir}/journald.log 2>&1 &
journald=$!
trap 'kill $journald $exporter 2>/dev/null' EXIT
say() {{ printf 'SYSLOG_IDENTIFIER=bongsu\nPRIORITY=4\nMESSAGE=%s\n' "$1" | logger --journald; }}
start() {{ {exporter} --config.file={dir}/config.yml --storage.path={dir}/state --web.listen-address=127.0.0.1:{port} 2>>{dir}/log & exporter=$!; }}
within() {{ for _ in $(seq 100); do if "$@"; then return 0; fi; sleep 0.1; done; return 1; }}
shows() {{ curl -s 127.0.0.1:{port}/metrics | grep -qF "$1"; }}
within test -S /run/systemd/journal/socket || exit 9
within say 'line before the first start'
start
within shows log_exporter_build_info
# journalctl begins at the end of the journal, wherever that is when it gets there.
probe() {{ say probe; curl -s 127.0.0.1:{port}/metrics | grep -q '^probes_seen_total [1-9]'; }}
within probe || exit 3
say 'line one'; say other; say 'line two'
within shows 'lines_seen_total{{priority="4"}} 2' || exit 1
kill $exporter; wait $exporter
say 'line while it was down'
start
within shows 'lines_seen_total{{priority="4"}} 3' || exit 2
"#
    );
    let out = Command::new("timeout").args(["60", "unshare", "-m", "sh", "-c", &script]).output().unwrap();
    if out.status.code() == Some(9) || String::from_utf8_lossy(&out.stderr).contains("unshare failed") {
        skip("no mount namespace can be had, or journald does not run in it");
        return;
    }
    let log = std::fs::read_to_string(place.path("log")).unwrap_or_default();
    assert!(out.status.success(), "{:?}\n{}{log}", out.status, String::from_utf8_lossy(&out.stderr));
}
