//! What a restart keeps.

use crate::exporter::{Place, RULES, SEEN, append, open, settles, value};
use rustix::process::Signal;
use std::io::Write as _;
use tests::{Service, refused};

fn stop(mut service: Service) {
    service.signal(Signal::TERM);
    assert_eq!(service.wait(), Some(0), "{}", service.log());
}

#[test]
fn counters_go_on_and_no_line_is_lost() {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\nline two\nli");
    let service = place.start();
    settles(&service, SEEN, 2.0);
    stop(service);
    append(&place.log("app.log"), "ne three\n");
    append(&place.log("other.log"), "line of a file that came meanwhile\n");
    let service = place.start();
    settles(&service, SEEN, 4.0);
    let lines = format!(
        "log_exporter_file_lines_total{{file=\"{}\",input=\"file\",status=\"matched\"}}",
        place.log("app.log").display()
    );
    assert_eq!(value(&service, &lines), Some(3.0));
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_read_to_its_end() {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\n");
    let service = place.start();
    settles(&service, SEEN, 1.0);
    stop(service);
    append(&place.log("app.log"), "line two\n");
    std::fs::rename(place.log("app.log"), place.log("app.log.2")).unwrap();
    append(&place.log("app.log.1"), "line in a file that came and went\n");
    append(&place.log("app.log"), "line in the newest\n");
    let service = place.start();
    settles(&service, SEEN, 4.0);
    stop(service);
    let service = place.start();
    settles(&service, SEEN, 4.0);
}

#[test]
fn a_file_that_was_copied_and_truncated_meanwhile() {
    let place = Place::usual();
    let text = (0..200).fold(String::new(), |text, i| text + &format!("line number {i}\n"));
    append(&place.log("app.log"), &text);
    let service = place.start();
    settles(&service, SEEN, 200.0);
    stop(service);
    append(&place.log("app.log"), "line only the copy has\n");
    std::fs::copy(place.log("app.log"), place.log("app.log.1")).unwrap();
    std::fs::write(place.log("app.log"), "line new\n").unwrap();
    let service = place.start();
    settles(&service, SEEN, 202.0);
}

#[test]
fn the_first_start_begins_at_the_end_unless_told() {
    let place = Place::new(&format!("inputs:\n  - {{type: file, paths: ['DIR/logs/*.log']}}\n{RULES}"));
    append(&place.log("app.log"), "line old\nline half");
    let service = place.start();
    append(&place.log("app.log"), " written\n");
    settles(&service, SEEN, 1.0);
    append(&place.log("later.log"), "line\n");
    settles(&service, SEEN, 2.0);
    stop(service);
    append(&place.log("app.log"), "line\n");
    append(&place.log("meanwhile.log"), "line\n");
    let service = place.start();
    settles(&service, SEEN, 4.0);
}

#[test]
fn a_kill_loses_and_doubles_nothing() {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\n");
    let args = [format!("--storage.path={}", place.path("state").display()), "--storage.save-interval=200ms".into()];
    let mut service = place.start_with(&args);
    settles(&service, SEEN, 1.0);
    let mut log = open(&place.log("app.log"));
    for round in 0..3 {
        for _ in 0..1000 {
            log.write_all(b"line more\n").unwrap();
        }
        settles(&service, SEEN, 1.0 + 1000.0 * f64::from(round + 1));
        service.signal(Signal::KILL);
        service.wait();
        service = place.start_with(&args);
    }
    settles(&service, SEEN, 3001.0);
}

#[test]
fn a_damaged_state_is_put_aside() {
    let place = Place::usual();
    append(&place.log("app.log"), "line one\n");
    let service = place.start();
    settles(&service, SEEN, 1.0);
    stop(service);
    let state = place.path("state/state");
    let mut bytes = std::fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&state, bytes).unwrap();
    let service = place.start();
    settles(&service, SEEN, 1.0);
    assert!(service.log().contains("Saved state cannot be used"), "{}", service.log());
    assert!(place.path("state/state.damaged").exists());
}

#[test]
fn two_processes_do_not_share_a_state() {
    let place = Place::usual();
    let _service = place.start();
    let args = [
        format!("--config.file={}", place.path("config.yml").display()),
        format!("--storage.path={}", place.path("state").display()),
    ];
    let out = refused("log-exporter", &args);
    let text = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && text.contains("another log-exporter uses this folder"), "{text}");
}

#[test]
fn standard_input_ends_the_exporter_where_it_should() {
    let place = Place::new(&format!("inputs:\n  - {{type: stdin, exit_at_end: true}}\n{RULES}"));
    let state = format!("--storage.path={}", place.path("state").display());
    let run = |lines: &str| {
        let mut child = std::process::Command::new(tests::binary("log-exporter"))
            .arg(format!("--config.file={}", place.path("config.yml").display()))
            .args([&state, "--web.listen-address=127.0.0.1:0"])
            .stdin(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    };
    run("line one\nnone\nline two");
    run("line three\n");
    // Another input, so that it stays up and can be asked.
    place.configure(&format!("inputs: []\n{RULES}"));
    let service = place.start();
    settles(&service, SEEN, 3.0);
}
