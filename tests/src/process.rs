//! Starting programs, ours and others', and ending them again.

use std::ffi::OsStr;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program that runs until the value is dropped.
#[derive(Debug)]
pub struct Service {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    log: tempfile::NamedTempFile,
}

impl Service {
    /// Starts one of our binaries with `--web.listen-address` on a free port, and waits until it accepts.
    pub fn ours<A: AsRef<OsStr>>(name: &str, args: &[A]) -> Self {
        let port = super::free_port();
        let mut command = Command::new(binary(name));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(args);
        Self::start(command, port)
    }

    /// Starts any command that will listen on `port`, and waits until it accepts.
    pub fn start(mut command: Command, port: u16) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.reopen().unwrap())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut service = Self { port, child, log };
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        super::wait_until(&format!("{command:?} to accept"), START, || {
            if let Some(status) = service.child.try_wait().unwrap() {
                panic!("{command:?} ended with {status}:\n{}", service.log());
            }
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
        service
    }

    /// `http://127.0.0.1:PORT` with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        log_of(self.log.path())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for its end and returns the exit code; `None` if a signal ended it.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Resident memory in bytes, from `/proc/PID/status`.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs one of our binaries that ought to refuse its flags and end; one that starts instead fails the test.
pub fn refused<A: AsRef<OsStr>>(name: &str, args: &[A]) -> std::process::Output {
    let mut child = Command::new(binary(name))
        .arg("--web.listen-address=127.0.0.1:0")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > end {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("started and should have refused: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// The path of one of our binaries, from `BONGSU_BIN_DIR` or beside the test's own.
pub fn binary(name: &str) -> PathBuf {
    let dir = std::env::var_os("BONGSU_BIN_DIR").map_or_else(
        || {
            let test = std::env::current_exe().unwrap();
            test.ancestors().nth(2).unwrap().to_owned()
        },
        PathBuf::from,
    );
    let path = dir.join(name);
    assert!(path.is_file(), "{} is not built: cargo build --workspace", path.display());
    path
}

/// Where a program of the system is; looks beyond PATH in the folders of daemons.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into(), "/usr/bin".into()]);
    dirs.map(|d| d.join(name)).find(|p| p.is_file())
}

/// A file's text, whatever its bytes.
pub fn log_of(path: &Path) -> String {
    let mut bytes = Vec::new();
    std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The most that a start may take on a loaded machine.
const START: Duration = Duration::from_mins(1);
