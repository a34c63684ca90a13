//! The example as a whole process: command line, exit codes, signals, systemd's sockets, the health check.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The example, which `cargo test` builds beside the tests.
fn hello() -> Command {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent().and_then(|deps| deps.parent()).unwrap().join("examples/hello");
    assert!(path.exists(), "{} is missing: cargo test -p service builds it", path.display());
    let mut command = Command::new(path);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(args: &[&str]) -> Output {
    hello().args(args).output().unwrap()
}

/// A running example; killed when dropped.
struct Running {
    child: Child,
    log: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Started, and its log up to the line that says it serves.
    fn start(command: &mut Command) -> Self {
        let mut running = Self { child: command.spawn().unwrap(), log: Vec::new() };
        let stderr = running.child.stderr.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        while !running.log.last().is_some_and(|line| line.contains("TLS is")) {
            let line = receiver.recv_timeout(Duration::from_secs(20));
            running.log.push(line.unwrap_or_else(|_| panic!("does not serve: {:?}", running.log)));
        }
        running
    }

    fn address(&self) -> String {
        let line = self.log.iter().find(|line| line.contains("Listening on")).unwrap();
        line.rsplit_once("address=").unwrap().1.to_owned()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Its exit code after a signal.
    fn signal(&mut self, signal: rustix::process::Signal) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

const FREE: &str = "--web.listen-address=127.0.0.1:0";

#[test]
fn mistakes_are_one_line_on_standard_error() {
    for (args, text) in [
        (&["--nosuch"][..], "unknown long flag '--nosuch'"),
        (&["--no-log.level"], "unknown long flag '--no-log.level'"),
        (&["-x"], "unknown short flag '-x'"),
        (&["extra"], "unexpected extra"),
        (&["healthcheck", "extra"], "unexpected extra"),
        (&["--web.systemd-socket=true"], "unexpected true"),
        (&["--web.config.file"], "expected argument for flag '--web.config.file'"),
        (&["--web.listen-address", "-x"], "expected argument for flag '--web.listen-address'"),
        (&["--log.level=foo"], "unrecognized log level foo"),
        (&["--log.format=foo"], "unrecognized log format foo"),
        (&["--log.level=info", "--log.level", "debug"], "flag 'log.level' cannot be repeated"),
        (&["--help", "--nosuch"], "unknown long flag '--nosuch'"),
    ] {
        let out = output(args);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&out.stderr), format!("hello: error: {text}, try --help\n"));
        assert!(out.stdout.is_empty());
    }
}

#[test]
fn help_and_version_go_to_standard_output() {
    for (args, text) in [
        (&["--help"][..], "usage: hello [<flags>] [<command>]\n"),
        (&["-h"], "--web.listen-address=:9999 ...  \n"),
        (&["healthcheck", "--help"], "usage: hello healthcheck [<flags>]\n"),
        (&["--version"], "hello, version "),
        (&["--version", "extra"], "hello, version "),
    ] {
        let out = output(args);
        assert_eq!(out.status.code(), Some(0), "{args:?}");
        assert!(String::from_utf8_lossy(&out.stdout).contains(text), "{args:?}");
        assert!(out.stderr.is_empty());
    }
}

#[test]
fn what_cannot_be_served_is_refused_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--web.listen-address={}", taken.local_addr().unwrap());
    for (args, texts) in [
        (&["--web.listen-address=foo"][..], &["--web.listen-address", "address foo: missing port in address"][..]),
        (&["--web.listen-address=:99999"], &["invalid port"]),
        (&["--web.listen-address=256.1.1.1:1"], &["lookup 256.1.1.1: no such host"]),
        (&[&taken], &["bind", "in use"]),
        (&[FREE, &taken], &["bind", "in use"]),
        (&["--web.systemd-socket"], &["no socket activation file descriptors found"]),
        (&[FREE, "--web.config.file=/nonexistent"], &["--web.config.file: /nonexistent", "no such file or directory"]),
    ] {
        let out = output(args);
        assert_eq!(out.status.code(), Some(1), "{args:?}");
        let log = String::from_utf8_lossy(&out.stderr).into_owned();
        let last = log.lines().last().unwrap();
        assert!(last.contains("level=ERROR") && texts.iter().all(|t| last.contains(t)), "{args:?}: {log}");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[test]
fn both_signals_stop_it_gracefully() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut running = Running::start(hello().arg(FREE));
        assert!(running.get("/hello").ends_with("hello\n"));
        let idle = TcpStream::connect(running.address()).unwrap();
        assert_eq!(running.signal(signal), Some(0), "{signal:?}");
        drop(idle);
    }
}

#[test]
fn logs_come_in_both_formats() {
    let logfmt = Running::start(hello().arg(FREE));
    let line = &logfmt.log[1];
    assert!(line.starts_with("time=20") && line.contains("Z level=INFO source=run.rs:"), "{line}");
    assert!(line.contains(" msg=\"Listening on\" address=127.0.0.1:"), "{line}");
    let mut json = Running::start(hello().args([FREE, "--log.format=json"]));
    let line = &json.log[1];
    assert!(line.starts_with("{\"time\":\"20") && line.contains("\"level\":\"INFO\",\"source\":\"run.rs:"), "{line}");
    assert!(line.contains(",\"msg\":\"Listening on\",\"address\":\"127.0.0.1:"), "{line}");
    assert_eq!(json.signal(rustix::process::Signal::TERM), Some(0));
}

#[test]
fn systemds_socket_is_served_instead_of_the_address() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let program = hello().get_program().to_owned();
    let mut shell = Command::new("sh");
    // The shell becomes the program, so its number is the one that LISTEN_PID must name.
    shell.args(["-c", "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --web.systemd-socket"]);
    shell.arg(program).stdin(Stdio::from(std::os::fd::OwnedFd::from(socket))).stderr(Stdio::piped());
    let mut running = Running::start(&mut shell);
    assert_eq!(running.address(), address.to_string());
    assert!(running.get("/hello").ends_with("hello\n"));
    assert_eq!(running.signal(rustix::process::Signal::TERM), Some(0));
    // What systemd passed to somebody else is not ours.
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=1 LISTEN_FDS=1 exec \"$0\" --web.systemd-socket"]).arg(hello().get_program());
    let out = shell.output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no socket activation file descriptors found"));
}

#[test]
fn the_health_check_asks_whoever_listens_there() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("c"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("k"), made.signing_key.serialize_pem()).unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        format!("--web.config.file={}", dir.path().join(name).display())
    };
    let hash = bcrypt::hash("pw", 4).unwrap();
    let tls = "tls_server_config: {cert_file: c, key_file: k}\n";
    let users = write("users.yml", &format!("{tls}basic_auth_users: {{ann: '{hash}'}}"));
    let mutual = tls.replace('}', ", client_auth_type: RequireAnyClientCert}");
    for more in [None, Some(write("tls.yml", tls)), Some(users), Some(write("mutual.yml", &mutual))] {
        let running = Running::start(hello().arg(FREE).args(&more));
        let address = format!("--web.listen-address={}", running.address());
        let out = hello().args(["healthcheck", &address]).args(&more).output().unwrap();
        assert_eq!(out.status.code(), Some(0), "{more:?}: {}", String::from_utf8_lossy(&out.stderr));
        drop(running);
        let out = hello().args(["healthcheck", &address]).args(&more).output().unwrap();
        assert_eq!(out.status.code(), Some(1), "{more:?}: nobody is there");
        assert!(String::from_utf8_lossy(&out.stderr).contains("connection refused"));
    }
    let socket = format!("--web.listen-address=unix:{}", dir.path().join("s").display());
    let _running = Running::start(hello().arg(&socket));
    assert_eq!(hello().args(["healthcheck", &socket]).output().unwrap().status.code(), Some(0));
}
