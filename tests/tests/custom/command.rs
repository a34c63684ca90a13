//! Commands: what they say, and what those that mean harm cost.

use super::{Exporter, processes_with};
use std::time::{Duration, Instant};
use tests::wait_until;

#[test]
fn a_number_lines_and_a_page() {
    let exporter = Exporter::start(
        r#"
sources:
- name: number
  command: {run: [echo, " 12.5 "]}
  metrics: [{name: a_seconds, help: From milliseconds, scale: 0.001}]
- name: lines
  command: {run: [printf, 'mail 3\nprint 4\n']}
  format: lines
  metrics:
  - {name: jobs, labels: {site: seoul}, labels_from: {queue: name}}
  - {name: mail_jobs, where: {name: mail}, type: counter}
- name: page
  command: {run: [printf, '# TYPE b histogram\nb_bucket{le="+Inf"} 2\nb_sum 3\nb_count 2\nc{x="ö"} 1\n']}
  format: exposition
- name: no-shell
  command: {run: [echo, '$HOME', ';', 'echo', '1']}
  metrics: [{name: never}]
"#,
    );
    let page = exporter.page();
    for (series, value) in [
        ("a_seconds", "0.0125"),
        ("jobs{queue=\"mail\",site=\"seoul\"}", "3"),
        ("jobs{queue=\"print\",site=\"seoul\"}", "4"),
        ("mail_jobs", "3"),
        ("b_sum", "3"),
        ("c{x=\"ö\"}", "1"),
    ] {
        assert_eq!(page.value(series), Some(value), "{series} in\n{}\n{}", page.0, exporter.service.log());
    }
    assert!(page.0.contains("# TYPE mail_jobs counter"));
    assert!(!page.up("no-shell"));
    assert!(exporter.service.log().contains("$HOME ; echo 1"), "{}", exporter.service.log());
}

#[test]
fn failures_are_told_apart_and_secrets_stay() {
    // A shell's `export` would be this process's: the child's environment is given to it alone.
    let exporter = Exporter::start(
        r#"
sources:
- name: exit
  command: {run: [sh, -c, "echo 1; echo no database >&2; exit 3"]}
  metrics: [{name: never}]
- name: absent
  command: {run: [/no/such/program]}
  metrics: [{name: never}]
- name: word
  command: {run: [echo, many]}
  metrics: [{name: never}]
- name: environment
  command: {run: [sh, -c, 'env | grep -vc "^\(PATH\|PWD\|SHLVL\|_\|WORD\)="; [ "$WORD" = "a b" ]'], env: {WORD: a b}}
  metrics: [{name: foreign_variables}]
"#,
    );
    let page = exporter.page();
    assert_eq!(
        (page.errors("exit", "answer"), page.errors("absent", "connect"), page.errors("word", "parse")),
        (1, 1, 1)
    );
    assert!(!page.0.contains("never "), "a failed source has no numbers");
    assert_eq!(page.value("foreign_variables"), Some("0"), "{}", exporter.service.log());
    let log = exporter.service.log();
    assert!(log.contains("exit status: 3: no database"), "{log}");
    // Told once, though it fails at each scrape.
    let page = exporter.page();
    assert_eq!(page.errors("exit", "answer"), 2);
    assert_eq!(exporter.service.log().matches("no database").count(), 1);
}

#[test]
fn harm_costs_its_own_metric_only() {
    let mark = &format!("86399.{}", std::process::id());
    let yaml = r#"
sources:
- name: good
  command: {run: [echo, "1"]}
  metrics: [{name: good}]
- name: sleeps
  command: {run: [sleep, "MARK"]}
  timeout: 1s
  metrics: [{name: a}]
- name: deaf
  command: {run: [sh, -c, "trap '' TERM INT HUP; sleep MARK; sleep MARK"]}
  timeout: 1s
  metrics: [{name: b}]
- name: floods
  command: {run: ["yes"]}
  metrics: [{name: c}]
- name: floods-errors
  command: {run: [sh, -c, "yes >&2"]}
  metrics: [{name: d}]
- name: leaves-one-behind
  command: {run: [sh, -c, "sleep MARK & echo 5"]}
  metrics: [{name: e}]
- name: daemon
  command: {run: [sh, -c, "(setsid sh -c 'sleep MARK & sleep MARK' >/dev/null 2>&1 &) ; echo 6"]}
  metrics: [{name: f}]
- name: forks
  command: {run: [sh, -c, "for i in 1 2 3 4 5 6 7 8; do for j in 1 2 3 4; do setsid sh -c 'setsid sleep MARK & sleep MARK' & done; done; sleep MARK"]}
  timeout: 1s
  metrics: [{name: g}]
"#;
    let exporter = Exporter::start(&yaml.replace("MARK", mark));
    let began = Instant::now();
    let page = exporter.page();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(page.value("good"), Some("1"));
    assert_eq!((page.value("e"), page.value("f")), (Some("5"), Some("6")));
    for source in ["sleeps", "deaf", "forks"] {
        assert_eq!(page.errors(source, "timeout"), 1, "{source}\n{}", page.0);
    }
    assert_eq!((page.errors("floods", "limit"), page.errors("floods-errors", "limit")), (1, 1));
    wait_until("all that was started to be gone", Duration::from_secs(5), || processes_with(mark) == 0);
    assert!(exporter.service.resident_bytes() < 64 << 20, "{}", exporter.service.resident_bytes());
    // And again: nothing is held back by the first time.
    let page = exporter.page();
    assert!(page.up("good") && page.errors("forks", "timeout") == 2);
    wait_until("all that was started to be gone", Duration::from_secs(5), || processes_with(mark) == 0);
}

#[test]
fn what_came_with_the_process_lives() {
    // As entrypoints of images do: something beside, then the exporter in the shell's place.
    let mark = &format!("86397.{}", std::process::id());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sources: [{name: s, command: {run: [echo, '1']}, metrics: [{name: m}]}]").unwrap();
    let port = tests::free_port();
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        "timeout 60 sleep $1 & exec $2 --web.listen-address=127.0.0.1:$3 --config.file=$4",
        "sh",
        mark,
    ]);
    command.arg(tests::binary("custom-exporter")).arg(port.to_string()).arg(file.path());
    let service = tests::Service::start(command, port);
    let exporter = Exporter { service, file };
    assert!(exporter.page().up("s"));
    assert!(processes_with(&format!("sleep {mark}")) >= 2, "timeout and sleep");
    let pid = std::process::Command::new("pgrep").args(["-f", &format!("^timeout 60 sleep {mark}")]).output().unwrap();
    let pid: i32 = String::from_utf8_lossy(&pid.stdout).trim().parse().unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::TERM).unwrap();
}

#[test]
fn nothing_outlives_the_exporter() {
    let mark = &format!("86398.{}", std::process::id());
    let yaml = "sources: [{name: s, command: {run: [sh, -c, 'sleep MARK | sleep MARK']}, interval: 1h, timeout: 1h, \
                metrics: [{name: m}]}]";
    let mut exporter = Exporter::start(&yaml.replace("MARK", mark));
    wait_until("the command to run", Duration::from_secs(10), || processes_with(&format!("sleep {mark}")) >= 2);
    exporter.service.signal(rustix::process::Signal::TERM);
    assert_eq!(exporter.service.wait(), Some(0));
    wait_until("the command to be gone", Duration::from_secs(5), || processes_with(mark) == 0);
}
