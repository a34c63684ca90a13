//! Mail through a real server: Exim from Debian's packages, with STARTTLS, TLS, a login and addressees it does not know.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests fail by panic

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tests::{Service, free_port, get, post, program, skip, wait_until};

struct Exim {
    dir: tempfile::TempDir,
    smtp: u16,
    smtps: u16,
    _service: Service,
}

fn run(dir: &Path, program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).current_dir(dir).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// An authority and a certificate of it for `localhost`.
fn certificates(dir: &Path) {
    let ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    run(
        dir,
        "openssl",
        &[&["req", "-x509"], &ec[..], &["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"]].concat(),
    );
    run(
        dir,
        "openssl",
        &[&["req"], &ec[..], &["-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=localhost"]].concat(),
    );
    std::fs::write(dir.join("san"), "subjectAltName=DNS:localhost\n").unwrap();
    let sign = "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile san -out cert.pem";
    run(dir, "openssl", &sign.split(' ').collect::<Vec<_>>());
}

impl Exim {
    /// Queues what it accepts and delivers nothing; `None`, and one line that says why, where it cannot run.
    fn start() -> Option<Self> {
        let (Some(exim), Some(_)) = (program("exim4"), program("openssl")) else {
            skip("exim4 or openssl is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        certificates(at);
        for folder in ["spool", "log"] {
            std::fs::create_dir(at.join(folder)).unwrap();
        }
        // As root it serves under its own user's rights.
        let root = std::fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap() == 0;
        if root {
            run(at, "chmod", &["755", "."]);
            run(at, "chmod", &["644", "key.pem"]);
            run(at, "chown", &["-R", "Debian-exim", "spool", "log"]);
        }
        let (smtp, smtps) = (free_port(), free_port());
        let text = include_str!("webhook_sink_mail/exim.conf")
            .replace("DIR", &at.display().to_string())
            .replace("SMTPS", &smtps.to_string())
            .replace("SMTP", &smtp.to_string());
        std::fs::write(at.join("exim.conf"), text).unwrap();
        let mut command = Command::new(exim);
        command.arg("-C").arg(at.join("exim.conf")).arg("-bdf");
        let service = Service::start(command, smtp);
        Some(Self { dir, smtp, smtps, _service: service })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Envelope with header, and body, of each mail in the queue.
    fn queue(&self) -> Vec<(String, String)> {
        let Ok(files) = std::fs::read_dir(self.path("spool/input")) else { return Vec::new() };
        let mut names: Vec<PathBuf> = files.flatten().map(|f| f.path()).collect();
        names.sort();
        let heads = names.into_iter().filter(|p| p.to_string_lossy().ends_with("-H"));
        heads
            .filter_map(|head| {
                let body = head.to_string_lossy().replace("-H", "-D");
                let read = |path: &Path| std::fs::read(path).ok().map(|b| String::from_utf8_lossy(&b).into_owned());
                Some((read(&head)?, read(Path::new(&body))?))
            })
            .collect()
    }

    fn wait_for(&self, n: usize) -> Vec<(String, String)> {
        wait_until(&format!("{n} mails"), Duration::from_mins(1), || self.queue().len() >= n);
        self.queue()
    }

    fn sink(&self, data: &Path, tls: &str, port: u16, password: &str, to: &str) -> Service {
        std::fs::write(self.path("password"), password).unwrap();
        let config = format!(
            "targets:\n- name: mail\n  type: email\n  ca_file: {ca}\n  mail: {{server: 'localhost:{port}', tls: {tls}, username: sink, \
             password_file: {password}, from: 'Sink <sink@mail.test>', to: [{to}]}}\nroutes: [{{targets: [mail]}}]\n",
            ca = self.path("ca.pem").display(),
            password = self.path("password").display(),
        );
        let file = data.join("sink.yml");
        std::fs::write(&file, config).unwrap();
        let storage = format!("--storage.path={}", data.join("data").display());
        Service::ours("webhook-sink", &[storage, format!("--config.file={}", file.display()), "--print=off".into()])
    }
}

fn message(status: &str) -> Vec<u8> {
    let end = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T14:00:00Z" };
    format!(
        r#"{{"receiver":"r","status":"{status}","alerts":[{{"status":"{status}","labels":{{"alertname":"디스크","severity":"critical"}},"annotations":{{"summary":"가득 참\r\nBcc: all@mail.test\r\n.\r\nQUIT"}},"startsAt":"2026-11-22T13:00:00Z","endsAt":"{end}"}}],"commonLabels":{{"alertname":"디스크\r\nX-Evil: yes"}},"groupKey":"k"}}"#
    )
    .into_bytes()
}

fn entry(sink: &Service) -> Value {
    get(&sink.url("/api/v1/outbox")).unwrap().json()["outbox"][0].clone()
}

/// The answer to the first attempt.
fn wait_for_answer(sink: &Service) -> String {
    let answer = || entry(sink)["answer"].as_str().unwrap_or_default().to_owned();
    wait_until("the first attempt", Duration::from_mins(1), || !answer().is_empty());
    answer()
}

fn wait_for_state(sink: &Service, state: &str) -> Value {
    wait_until(&format!("the state {state}"), Duration::from_mins(1), || entry(sink)["state"] == state);
    entry(sink)
}

#[test]
fn a_group_is_one_thread_of_mails_and_no_label_becomes_a_header() {
    let Some(exim) = Exim::start() else { return };
    let data = tempfile::tempdir().unwrap();
    let sink = exim.sink(data.path(), "starttls", exim.smtp, "pa ss", "ops@mail.test, boss@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    exim.wait_for(1);
    wait_for_state(&sink, "sent");
    post(&sink.url("/alerts"), &message("resolved")).unwrap();
    let mails = exim.wait_for(2);
    for (head, body) in &mails {
        assert!(head.contains("ops@mail.test") && head.contains("boss@mail.test"), "{head}");
        assert!(head.contains("-tls_cipher") || head.contains("tls_cipher"), "{head}");
        assert!(head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(!head.lines().any(|l| l.contains("X-Evil:") && !l.contains("Subject")), "{head}");
        assert!(!head.contains("Bcc") && !head.contains("all@mail.test"), "{head}");
        assert!(body.lines().count() > 1, "{body}");
    }
    let field = |head: &str, name: &str| {
        let line = head.lines().find_map(|l| l.split_once(&format!("{name}: ")).map(|(_, v)| v.to_owned()));
        line.unwrap_or_else(|| panic!("no {name} in {head}"))
    };
    assert_eq!(field(&mails[0].0, "References"), field(&mails[1].0, "References"), "one thread");
    assert_ne!(field(&mails[0].0, "Message-ID"), field(&mails[1].0, "Message-ID"));
    assert!(!sink.log().contains("pa ss"));
}

#[test]
fn tls_from_the_first_byte_works_and_a_strange_certificate_does_not() {
    let Some(exim) = Exim::start() else { return };
    let data = tempfile::tempdir().unwrap();
    let sink = exim.sink(data.path(), "tls", exim.smtps, "pa ss", "ops@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    exim.wait_for(1);
    wait_for_state(&sink, "sent");
    drop(sink);
    // The authority of somebody else.
    let ec =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out ca.pem -subj /CN=other";
    run(exim.dir.path(), "openssl", &ec.split(' ').collect::<Vec<_>>());
    let other = tempfile::tempdir().unwrap();
    let sink = exim.sink(other.path(), "starttls", exim.smtp, "pa ss", "ops@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    let answer = wait_for_answer(&sink);
    assert!(answer.contains("certificate"), "{answer}");
    assert_eq!(exim.queue().len(), 1);
}

#[test]
fn a_refused_addressee_is_a_dead_letter_unless_others_take_it() {
    let Some(exim) = Exim::start() else { return };
    let data = tempfile::tempdir().unwrap();
    let sink = exim.sink(data.path(), "starttls", exim.smtp, "pa ss", "nobody@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    let dead = wait_for_state(&sink, "dead");
    assert!(dead["answer"].as_str().unwrap().contains("no such user here"), "{dead}");
    assert_eq!(dead["attempts"], 1);
    drop(sink);
    let other = tempfile::tempdir().unwrap();
    let sink = exim.sink(other.path(), "starttls", exim.smtp, "pa ss", "nobody@mail.test, ops@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    wait_for_state(&sink, "sent");
    let mails = exim.wait_for(1);
    assert_eq!(mails.len(), 1);
    assert!(sink.log().contains("nobody@mail.test") && sink.log().contains("no such user here"), "{}", sink.log());
}

#[test]
fn a_wrong_password_is_a_dead_letter() {
    let Some(exim) = Exim::start() else { return };
    let data = tempfile::tempdir().unwrap();
    let sink = exim.sink(data.path(), "starttls", exim.smtp, "wr0ng-secret", "ops@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    let dead = wait_for_state(&sink, "dead");
    assert!(dead["answer"].as_str().unwrap().contains("535"), "{dead}");
    assert!(!sink.log().contains("wr0ng-secret") && !dead.to_string().contains("wr0ng-secret"));
}

#[test]
fn a_busy_mailbox_is_tried_again_until_it_takes_the_mail() {
    let Some(exim) = Exim::start() else { return };
    std::fs::write(exim.path("busy"), "").unwrap();
    let data = tempfile::tempdir().unwrap();
    let sink = exim.sink(data.path(), "starttls", exim.smtp, "pa ss", "ops@mail.test");
    post(&sink.url("/alerts"), &message("firing")).unwrap();
    let answer = wait_for_answer(&sink);
    assert!(answer.contains("mailbox busy"), "{answer}");
    assert_eq!(entry(&sink)["state"], "pending");
    std::fs::remove_file(exim.path("busy")).unwrap();
    wait_for_state(&sink, "sent");
    assert_eq!(exim.queue().len(), 1);
}
