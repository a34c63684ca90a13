//! The file: checked, read anew, asked when it says.

use super::Exporter;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;
use tests::{binary, get, post, refused, wait_until};

const GOOD: &str = "sources: [{name: a, command: {run: [echo, '1']}, metrics: [{name: a}]}]\n";

#[test]
fn a_fault_names_file_line_and_field() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    let check = || {
        let args = [format!("--config.file={path}"), "--config.check".to_owned()];
        let out = Command::new(binary("custom-exporter")).args(args).output().unwrap();
        (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    std::fs::write(file.path(), GOOD).unwrap();
    let (code, said) = check();
    assert!(code == Some(0) && said.contains("the configuration is good"), "{said}");
    std::fs::write(file.path(), "sources:\n- name: a\n  file: {path: /x}\n  timeout: soon\n").unwrap();
    let (code, said) = check();
    let wanted = format!("--config.file: {path}: line 4: timeout: invalid duration");
    assert!(code == Some(1) && said.contains(&wanted), "{said}");
    // The same without the switch: it does not start with half of its metrics.
    let out = refused("custom-exporter", &[format!("--config.file={path}")]);
    assert!(String::from_utf8_lossy(&out.stderr).contains(&wanted));
    let out = refused("custom-exporter", &["--config.file=/nonexistent/x.yml"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("/nonexistent/x.yml: cannot be read"));
}

#[test]
fn a_new_file_counts_and_a_wrong_one_does_not() {
    let bad = GOOD.replace("echo, '1'", "'false'");
    let exporter = Exporter::start(&bad);
    assert_eq!(exporter.page().errors("a", "answer"), 1);
    // The signal is heard some time later; until then the old command fails again.
    std::fs::write(exporter.file.path(), GOOD).unwrap();
    exporter.service.signal(rustix::process::Signal::HUP);
    wait_until("the new file to count", Duration::from_secs(10), || exporter.page().up("a"));
    let page = exporter.page();
    assert_eq!(page.value("a"), Some("1"));
    assert!(page.errors("a", "answer") >= 1, "counters go on");
    assert_eq!(page.value("custom_exporter_config_last_reload_successful"), Some("1"));

    std::fs::write(exporter.file.path(), "sources: [{name: b}]").unwrap();
    let answer = post(&exporter.service.url("/-/reload"), b"").unwrap();
    assert!(
        answer.status == 500 && answer.text().contains("line 1: source \"b\": expected one of"),
        "{}",
        answer.text()
    );
    let page = exporter.page();
    assert_eq!(page.value("a"), Some("1"), "the old one stays");
    assert_eq!(page.value("custom_exporter_config_last_reload_successful"), Some("0"));

    std::fs::write(exporter.file.path(), GOOD.replace("'1'", "'2'")).unwrap();
    assert_eq!(post(&exporter.service.url("/-/reload"), b"").unwrap().status, 200);
    let page = exporter.page();
    assert_eq!(page.value("a"), Some("2"));
    assert_eq!(page.value("custom_exporter_config_last_reload_successful"), Some("1"));
    assert_eq!(get(&exporter.service.url("/-/reload")).unwrap().status, 405);
}

#[test]
fn sources_are_asked_when_the_file_says() {
    let dir = tempfile::tempdir().unwrap();
    let mut yaml = String::from("sources:\n");
    for (name, when) in [("each", ""), ("cached", "cache: 1h"), ("clock", "interval: 300ms"), ("rare", "interval: 1h")]
    {
        let file = dir.path().join(name);
        let (file, command) = (file.display(), "echo >>$0; sleep 0.2; wc -l <$0");
        let _ = write!(
            yaml,
            "- name: {name}\n  command: {{run: [sh, -c, '{command}', {file}]}}\n  metrics: [{{name: {name}}}]\n  {when}\n"
        );
    }
    let exporter = Exporter::start(&yaml);
    let runs = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap_or_default().lines().count();
    wait_until("the clock to tick", Duration::from_secs(20), || runs("clock") >= 3);
    assert_eq!((runs("each"), runs("cached"), runs("rare")), (0, 0, 1));
    // Six scrapes at once share one run, or wait for the next.
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert!(exporter.page().up("each")));
        }
    });
    assert!((1..=2).contains(&runs("each")), "{}", runs("each"));
    exporter.page();
    assert_eq!((runs("cached"), runs("rare")), (1, 1));
    assert!((2..=3).contains(&runs("each")));
    let page = exporter.page_of("/metrics?collect[]=cached");
    assert!(page.value("cached") == Some("1") && !page.0.contains("system_") && !page.0.contains("rare"));
    let page = exporter.page_of("/metrics?exclude[]=each&exclude[]=cpu");
    assert!(page.0.contains("system_load1") && !page.0.contains("system_cpu_usage") && !page.0.contains("\"each\""));
    // A clock of the old file stops with it.
    std::fs::write(exporter.file.path(), "sources: []").unwrap();
    assert_eq!(post(&exporter.service.url("/-/reload"), b"").unwrap().status, 200);
    std::thread::sleep(Duration::from_millis(700));
    let then = runs("clock");
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(runs("clock"), then);
}

#[test]
fn try_asks_once_and_prints() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let run = |yaml: &str| {
        std::fs::write(file.path(), yaml).unwrap();
        let args = ["try".to_owned(), format!("--config.file={}", file.path().display())];
        let out = Command::new(binary("custom-exporter")).args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let (code, out, _) = run(GOOD);
    assert_eq!((code, out.as_str()), (Some(0), "# HELP a \n# TYPE a gauge\na 1\n"));
    let (code, out, said) = run(&GOOD.replace("echo, '1'", "'false'"));
    assert!(code == Some(1) && out.is_empty() && said.contains("false: exit status: 1"), "{code:?} {out} {said}");
}
