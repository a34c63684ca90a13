//! The rotation table of the contract, row by row, and what else happens to log files.

use crate::exporter::{Place, RULES, SEEN, append, open, settles, value};
use std::io::Write as _;
use tests::{Service, get};

/// The usual exporter that has counted two lines of `app.log`.
fn two_lines() -> (Place, Service) {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\nline two\n");
    let service = place.start();
    settles(&service, SEEN, 2.0);
    (place, service)
}

#[test]
fn renamed_with_a_late_line() {
    let (place, service) = two_lines();
    let mut old = open(&place.log("app.log"));
    std::fs::rename(place.log("app.log"), place.log("app.log.1")).unwrap();
    append(&place.log("app.log"), "line in the new file\n");
    old.write_all(b"line that came late\n").unwrap();
    settles(&service, SEEN, 4.0);
    old.write_all(b"line that came later still\n").unwrap();
    settles(&service, SEEN, 5.0);
    assert_eq!(value(&service, "log_exporter_files_rotated_total{input=\"file\"}"), Some(1.0));
    assert_eq!(value(&service, "log_exporter_open_files{input=\"file\"}"), Some(2.0));
}

#[test]
fn copied_and_truncated() {
    let (place, service) = two_lines();
    std::fs::copy(place.log("app.log"), place.log("app.log.1")).unwrap();
    std::fs::File::create(place.log("app.log")).unwrap();
    append(&place.log("app.log"), "line\n");
    settles(&service, SEEN, 3.0);
    assert_eq!(value(&service, "log_exporter_files_truncated_total{input=\"file\"}"), Some(1.0));
}

#[test]
fn truncated_and_filled_past_the_old_offset() {
    let (place, service) = two_lines();
    std::fs::write(place.log("app.log"), "line three\nline four\nline five\nline six\n").unwrap();
    settles(&service, SEEN, 6.0);
}

#[test]
fn removed_and_made_again() {
    let (place, service) = two_lines();
    for round in 1..=5 {
        std::fs::remove_file(place.log("app.log")).unwrap();
        append(&place.log("app.log"), "line of another file\n");
        settles(&service, SEEN, 2.0 + f64::from(round));
    }
}

#[test]
fn a_line_in_two_parts() {
    let (place, service) = two_lines();
    append(&place.log("app.log"), "li");
    settles(&service, SEEN, 2.0);
    append(&place.log("app.log"), "ne in parts\n");
    settles(&service, SEEN, 3.0);
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole() {
    let place = Place::usual();
    let mut writer = std::fs::File::create(place.log("app.log")).unwrap();
    writer.write_all(b"line one\nline two\n").unwrap();
    let service = place.start();
    settles(&service, SEEN, 2.0);
    // As copytruncate does; the writer goes on at its own offset.
    std::fs::OpenOptions::new().write(true).open(place.log("app.log")).unwrap().set_len(0).unwrap();
    writer.write_all(b"line three\n").unwrap();
    settles(&service, SEEN, 3.0);
}

#[test]
fn files_and_folders_that_come_later() {
    let place = Place::new(&format!(
        "inputs:\n  - {{type: file, paths: ['DIR/logs/*/deep/*.log', 'DIR/logs/plain/one.log']}}\n{RULES}"
    ));
    let service = place.start();
    std::fs::create_dir_all(place.log("a/deep")).unwrap();
    append(&place.log("a/deep/x.log"), "line\nline\n");
    std::fs::create_dir(place.log("plain")).unwrap();
    append(&place.log("plain/one.log"), "line\n");
    settles(&service, SEEN, 3.0);
    std::fs::remove_dir_all(place.log("a")).unwrap();
    std::fs::create_dir_all(place.log("a/deep")).unwrap();
    append(&place.log("a/deep/x.log"), "line\n");
    settles(&service, SEEN, 4.0);
}

#[test]
fn a_file_rotated_while_the_reader_is_busy() {
    rotated_often(&Place::usual(), 500);
}

#[test]
fn rotated_files_do_not_count_as_files_that_match() {
    let place = Place::new(&format!(
        "inputs:\n  - {{type: file, paths: ['DIR/logs/*.log'], max_files: 1, read_from_start: true}}\n{RULES}"
    ));
    let service = rotated_often(&place, 100);
    assert_eq!(value(&service, "log_exporter_input_errors_total{input=\"file\"}"), Some(0.0), "{}", service.log());
}

/// Many generations of a file within one look at the folder, each renamed twice: all of them are counted.
#[track_caller]
fn rotated_often(place: &Place, generations: u32) -> Service {
    let service = place.start();
    for i in 0..generations {
        append(&place.log("app.log"), &format!("line {i}\n"));
        std::fs::rename(place.log("app.log"), place.log("app.log.1")).unwrap();
        std::fs::rename(place.log("app.log.1"), place.log(&format!("app.log.{}", i + 2))).unwrap();
    }
    settles(&service, SEEN, f64::from(generations));
    service
}

#[test]
fn what_cannot_be_read_is_said_and_counted() {
    let place = Place::usual();
    std::fs::create_dir(place.log("folder.log")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.log("pipe.log")).status().unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("nowhere", place.log("dangling.log")).unwrap();
    append(&place.log("good.log"), "line\n");
    let service = place.start();
    settles(&service, SEEN, 1.0);
    assert_eq!(value(&service, "log_exporter_open_files{input=\"file\"}"), Some(1.0));
}

#[test]
fn no_more_files_than_allowed() {
    let place = Place::new(&format!(
        "inputs:\n  - {{type: file, paths: ['DIR/logs/*.log'], max_files: 2, read_from_start: true}}\n{RULES}"
    ));
    for name in ["a.log", "b.log", "c.log"] {
        append(&place.log(name), "line\n");
    }
    let service = place.start();
    settles(&service, SEEN, 2.0);
    assert_eq!(value(&service, "log_exporter_open_files{input=\"file\"}"), Some(2.0));
    assert_eq!(service.log().matches("max_files = 2").count(), 1, "{}", service.log());
    assert!(value(&service, "log_exporter_input_errors_total{input=\"file\"}") >= Some(1.0));
}

#[test]
fn any_bytes_and_any_length() {
    let place = Place::usual();
    let mut bytes = b"line \xff\xfe\x00 invalid\r\n\n\r\n".to_vec();
    bytes.extend(b"line ");
    bytes.extend(vec![b'x'; 5 << 20]);
    bytes.extend(b"\nline after\n");
    std::fs::write(place.log("app.log"), bytes).unwrap();
    let service = place.start();
    settles(&service, SEEN, 3.0);
    assert_eq!(value(&service, "log_exporter_lines_cut_total"), Some(1.0));
    assert_eq!(value(&service, "log_exporter_lines_total{status=\"ignored\"}"), Some(2.0));
    let unmatched = get(&service.url("/unmatched")).unwrap();
    assert_eq!((unmatched.status, unmatched.text().lines().count()), (200, 2));
}

#[test]
fn docker_and_multiline() {
    let place = Place::new(
        "inputs:
  - {type: file, name: docker, format: docker, paths: ['DIR/logs/*-json.log'], read_from_start: true}
  - type: file
    name: traces
    paths: ['DIR/logs/trace.log']
    read_from_start: true
    multiline: {pattern: '^\\[', negate: true, timeout: 300ms}
rules:
  - name: docker
    inputs: [docker]
    regex: '^(?<text>.*)$'
    metrics: [{type: gauge, name: docker_length, help: Length., value: '{{len .text}}', labels: {stream: '{{index .extra \"stream\"}}'}}]
  - name: traces
    inputs: [traces]
    regex: '\\A\\[(?<what>\\w+)\\]'
    metrics: [{type: counter, name: traces_total, help: Traces., labels: {what: '{{.what}}'}}]
",
    );
    let part = "x".repeat(16 << 10);
    append(
        &place.log("c1-json.log"),
        &format!("{{\"log\":\"{part}\",\"stream\":\"stderr\"}}\n{{\"log\":\"end\\n\",\"stream\":\"stderr\"}}\n"),
    );
    append(&place.log("trace.log"), "[fatal] oh\n#0 {main}\n  thrown\n[notice] hm\n");
    let service = place.start();
    settles(&service, "docker_length{stream=\"stderr\"}", 16387.0);
    settles(&service, "traces_total{what=\"fatal\"}", 1.0);
    settles(&service, "traces_total{what=\"notice\"}", 1.0);
    settles(&service, "log_exporter_input_lines_total{input=\"traces\",status=\"matched\"}", 2.0);
}

#[test]
fn without_inotify_files_are_polled() {
    let place = Place::new(&format!(
        "inputs:\n  - {{type: file, paths: ['DIR/logs/*.log'], poll_interval: 50ms, read_from_start: true}}\n{RULES}"
    ));
    let service = place.start();
    append(&place.log("app.log"), "line one\nline two\n");
    settles(&service, SEEN, 2.0);
    std::fs::rename(place.log("app.log"), place.log("app.log.1")).unwrap();
    append(&place.log("app.log.1"), "line late\n");
    append(&place.log("app.log"), "line new\n");
    settles(&service, SEEN, 4.0);
    std::fs::write(place.log("app.log"), "line\nline\n").unwrap();
    settles(&service, SEEN, 6.0);
}

#[test]
fn what_was_not_read_of_a_truncated_file_is_read_from_its_copy() {
    let place = Place::new(&format!(
        "inputs:\n  - {{type: file, paths: ['DIR/logs/app.log'], poll_interval: 1s, read_from_start: true}}\n{RULES}"
    ));
    let text: String = (0..200).fold(String::new(), |text, i| text + &format!("line number {i}\n"));
    append(&place.log("app.log"), &text);
    let service = place.start();
    settles(&service, SEEN, 200.0);
    // All of it between two looks.
    append(&place.log("app.log"), "line unread\nline half");
    std::fs::copy(place.log("app.log"), place.log("app.log.1")).unwrap();
    std::fs::write(place.log("app.log"), "line new\n").unwrap();
    settles(&service, SEEN, 202.0);
}

#[test]
fn an_idle_exporter_sleeps() {
    let place = Place::usual();
    for i in 0..200 {
        append(&place.log(&format!("{i}.log")), "line\n");
    }
    let service = place.start();
    settles(&service, SEEN, 200.0);
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", service.pid())).unwrap();
        let fields: Vec<u64> = stat.rsplit(')').next().unwrap().split(' ').filter_map(|f| f.parse().ok()).collect();
        // utime and stime; the state in front is no number.
        fields[10] + fields[11]
    };
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_secs(5));
    let spent = ticks() - before;
    assert!(spent <= 2, "{spent} ticks of 10 ms in 5 idle seconds");
}

#[test]
fn where_watches_run_out_files_are_polled() {
    let place = Place::usual();
    append(&place.log("a.log"), "line\n");
    for limit in ["max_inotify_watches", "max_inotify_instances"] {
        let port = tests::free_port();
        // The limits of a user namespace are its own.
        let script = format!("echo 0 >/proc/sys/user/{limit} && exec \"$@\"");
        let allowed =
            std::process::Command::new("unshare").args(["-U", "-r", "sh", "-c", &script, "sh", "true"]).status();
        if !allowed.is_ok_and(|status| status.success()) {
            tests::skip("no user namespace can be had");
            return;
        }
        let mut command = std::process::Command::new("unshare");
        command.args(["-U", "-r", "sh", "-c", &script, "sh"]).arg(tests::binary("log-exporter"));
        command.arg(format!("--config.file={}", place.path("config.yml").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let service = Service::start(command, port);
        settles(&service, SEEN, 1.0);
        for name in ["b.log", "c.log"] {
            append(&place.log(name), "line\n");
        }
        append(&place.log("a.log"), "line\n");
        settles(&service, SEEN, 4.0);
        let said = service.log().matches("looked at every second").count();
        assert_eq!(said, 1, "{limit}: {}", service.log());
        for name in ["a.log", "b.log", "c.log"] {
            std::fs::remove_file(place.log(name)).unwrap();
        }
        append(&place.log("a.log"), "line\n");
    }
}
