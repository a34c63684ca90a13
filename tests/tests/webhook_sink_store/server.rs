//! A PostgreSQL of the distribution, in a temporary folder and on loopback; no cluster of the system is touched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tests::{Service, free_port, program, skip, wait_until};

pub(crate) struct Postgres {
    bin: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    options: Vec<String>,
    running: Option<Service>,
}

impl Postgres {
    /// Starts a server whose user `sink` needs [`PASSWORD`]; says why not where that is impossible.
    pub(crate) fn start(tls: bool) -> Option<Self> {
        let Some(bin) = newest() else {
            skip("no PostgreSQL server is installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("password"), format!("{PASSWORD}\n")).unwrap();
        let mut options = vec!["-c".to_owned(), "listen_addresses=127.0.0.1".to_owned()];
        options.extend(["-c".to_owned(), "unix_socket_directories=".to_owned()]);
        if tls {
            let Some(openssl) = program("openssl") else {
                skip("no openssl");
                return None;
            };
            let made = Command::new(openssl)
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:prime256v1",
                    "-nodes",
                    "-days",
                    "2",
                ])
                .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
                .args(["-keyout", "key.pem", "-out", "cert.pem"])
                .current_dir(dir.path())
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            for (name, file) in [("ssl_cert_file", "cert.pem"), ("ssl_key_file", "key.pem")] {
                options.extend(["-c".to_owned(), format!("{name}={}", dir.path().join(file).display())]);
            }
            options.extend(["-c".to_owned(), "ssl=on".to_owned()]);
        }
        if rustix::process::geteuid().is_root() {
            let given = Command::new("chown").args(["-R", "nobody:nogroup"]).arg(dir.path()).status().unwrap();
            assert!(given.success());
        }
        let mut server = Self { bin, dir, port: free_port(), options, running: None };
        let made = server
            .command("initdb")
            .args(["--username=sink", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg(format!("--pwfile={}", server.password_file().display()))
            .arg(server.dir.path().join("data"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if tls {
            // Nobody who speaks in the clear is let in.
            let rules = server.dir.path().join("data/pg_hba.conf");
            std::fs::write(rules, "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        }
        server.up();
        Some(server)
    }

    pub(crate) fn up(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.dir.path().join("data")).arg(format!("--port={}", self.port)).args(&self.options);
        self.running = Some(Service::start(command, self.port));
    }

    /// Ends it as an administrator would who is in a hurry.
    pub(crate) fn down(&mut self) {
        let mut running = self.running.take().unwrap();
        running.signal(rustix::process::Signal::INT);
        running.wait();
    }

    /// Stops and continues it: it neither answers nor closes its connections.
    pub(crate) fn hang(&self, hang: bool) {
        let signal = if hang { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        self.running.as_ref().unwrap().signal(signal);
    }

    pub(crate) fn url(&self) -> String {
        format!("--storage.url=postgres://sink@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.dir.path().join("password")
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Its log, which must never hold what only the password file may.
    pub(crate) fn log(&self) -> String {
        self.running.as_ref().unwrap().log()
    }

    /// The first column of what a statement answers.
    pub(crate) fn sql(&self, sql: &str) -> Vec<String> {
        let asked = Command::new(self.bin.join("psql"))
            .env("PGPASSWORD", PASSWORD)
            .args(["--host=127.0.0.1", "--username=sink", "--dbname=postgres", "--tuples-only", "--no-align"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--command={sql}"))
            .output()
            .unwrap();
        assert!(asked.status.success(), "{sql}: {}", String::from_utf8_lossy(&asked.stderr));
        String::from_utf8_lossy(&asked.stdout).lines().map(str::to_owned).collect()
    }

    /// PostgreSQL refuses to run as root.
    fn command(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut other = Command::new("setpriv");
            other.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all"]).arg(path);
            other
        } else {
            Command::new(path)
        };
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub(crate) fn sink(&self, args: &[&str]) -> Service {
        let (url, password) = (self.url(), format!("--storage.password-file={}", self.password_file().display()));
        let mut all = vec![url.as_str(), password.as_str(), "--print=off"];
        all.extend(args);
        let sink = Service::ours("webhook-sink", &all);
        ready(&sink);
        sink
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.running.is_some() {
            self.down();
        }
    }
}

pub(crate) fn ready(sink: &Service) {
    wait_until("the sink to be ready", Duration::from_mins(1), || {
        tests::get(&sink.url("/-/ready")).is_some_and(|a| a.status == 200)
    });
}

fn newest() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<PathBuf> = versions.flatten().map(|v| v.path().join("bin")).collect();
    found.retain(|bin| bin.join("postgres").is_file() && bin.join("initdb").is_file());
    found.sort_by_key(|bin| bin.parent().and_then(Path::file_name).and_then(|v| v.to_str()?.parse::<u32>().ok()));
    found.pop()
}

/// Must stand in no log, no answer and no argument.
pub(crate) const PASSWORD: &str = "correct-horse-4711";
