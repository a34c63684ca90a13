//! A real Docker engine: the one that runs (`DOCKER_HOST` says which), else one started for the test, of the `dockerd` that
//! PATH finds first; `BONGSU_DOCKERD_FLAGS` are flags more for it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// An engine and what was created in it, which goes when the value is dropped.
#[derive(Debug)]
pub struct Docker {
    /// `unix:///…`.
    pub host: String,
    /// The image that containers are made of.
    pub image: String,
    daemon: Option<(Child, tempfile::TempDir)>,
    /// The bridge that was made for the daemon.
    bridge: Option<String>,
    made: Mutex<Vec<String>>,
}

impl Docker {
    /// The engine, with an image of a static busybox; `None`, and one line that says why, where there is none.
    pub fn start(test: &str) -> Option<Self> {
        let needed = ["docker", "dockerd", "busybox", "tar"];
        if let Some(missing) = needed.iter().find(|n| crate::program(n).is_none()) {
            crate::skip(&format!("{missing} is not installed"));
            return None;
        }
        let mut docker = Self {
            host: std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into()),
            image: format!("bongsu-test/{test}:1"),
            daemon: None,
            bridge: None,
            made: Mutex::default(),
        };
        if !docker.try_run(&["version"]).status.success() && !docker.start_daemon() {
            return None;
        }
        docker.import();
        Some(docker)
    }

    fn start_daemon(&mut self) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        self.host = format!("unix://{}", at("docker.sock"));
        self.bridge = make_bridge(dir.path());
        let bridge = self.bridge.as_deref().unwrap_or("none");
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let flags = std::env::var("BONGSU_DOCKERD_FLAGS").unwrap_or_default();
        let child = Command::new(crate::program("dockerd").unwrap())
            .args(flags.split_whitespace())
            .args(["--host", &self.host, "--data-root", &at("data"), "--exec-root", &at("exec")])
            .args(["--pidfile", &at("pid"), "--bridge", bridge, "--iptables=false", "--ip6tables=false"])
            .arg("--ip-forward=false")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some((child, dir));
        let end = std::time::Instant::now() + Duration::from_mins(1);
        while !self.try_run(&["version"]).status.success() {
            let (child, dir) = self.daemon.as_mut().unwrap();
            if child.try_wait().unwrap().is_some() || std::time::Instant::now() > end {
                let log = crate::log_of(&dir.path().join("log"));
                crate::skip(&format!("dockerd cannot run here: {}", log.lines().last().unwrap_or_default()));
                return false;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        true
    }

    fn import(&self) {
        let dir = tempfile::tempdir().unwrap();
        let tar = dir.path().join("image.tar");
        crate::image::pack_layer(&tar);
        self.run(&["import", &tar.display().to_string(), &self.image]);
    }

    /// Whether containers get a network of their own with an `eth0`.
    pub fn has_network(&self) -> bool {
        self.daemon.is_none() || self.bridge.is_some()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.host.strip_prefix("unix://").unwrap().into()
    }

    /// Runs `docker` with these arguments, for at most a minute; returns what it printed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args);
        assert!(output.status.success(), "docker {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The same, whatever comes of it.
    pub fn try_run(&self, args: &[&str]) -> Output {
        Command::new("timeout").args(["60", "docker", "--host", &self.host]).args(args).output().unwrap()
    }

    /// Starts a container of the test's image with these options and this shell command; returns its id.
    pub fn container(&self, options: &[&str], command: &str) -> String {
        let mut args = vec!["run", "-d", "--label", "bongsu-test=container"];
        args.extend(options);
        args.extend([&*self.image, "sh", "-c", command]);
        let id = self.run(&args);
        self.made.lock().unwrap().push(id.clone());
        id
    }

    /// The writable layer of a container: as Docker tells, or as the kernel does where Docker is silent.
    pub fn writable_layer(&self, id: &str) -> PathBuf {
        let inspected = self.inspect(id);
        if let Some(told) = inspected["GraphDriver"]["Data"]["UpperDir"].as_str() {
            return told.into();
        }
        let table = std::fs::read_to_string(format!("/proc/{}/mountinfo", inspected["State"]["Pid"])).unwrap();
        let root = table.lines().find(|l| l.contains(" / / ")).unwrap();
        root.split(',').find_map(|o| o.strip_prefix("upperdir=")).unwrap().into()
    }

    /// What `docker inspect` says of a container.
    pub fn inspect(&self, id: &str) -> serde_json::Value {
        let all: serde_json::Value = serde_json::from_str(&self.run(&["inspect", id])).unwrap();
        all[0].clone()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let made = std::mem::take(&mut *self.made.lock().unwrap());
        for some in made.chunks(50) {
            let mut args = vec!["rm", "-f", "-v"];
            args.extend(some.iter().map(String::as_str));
            self.try_run(&args);
        }
        self.try_run(&["rmi", "-f", &self.image]);
        if let Some((child, dir)) = &mut self.daemon {
            // A kill would leave its containerd and mounts behind.
            let pid = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
            crate::remains::unmount_below(dir.path());
        }
        if let Some(bridge) = &self.bridge {
            ip(&["link", "delete", bridge]);
        }
    }
}

/// A bridge that is this daemon's alone, if there is the right to make one.
fn make_bridge(dir: &Path) -> Option<String> {
    let random = dir.file_name()?.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let name = format!("bt{}", &random[random.len().saturating_sub(6)..]);
    let spread = random.bytes().fold(0_u32, |h, b| h.wrapping_mul(31).wrapping_add(u32::from(b)));
    let address = format!("10.{}.{}.1/24", 200 + spread % 50, spread / 50 % 256);
    if !ip(&["link", "add", &name, "type", "bridge"]) {
        return None;
    }
    if ip(&["addr", "add", &address, "dev", &name]) && ip(&["link", "set", &name, "up"]) {
        return Some(name);
    }
    ip(&["link", "delete", &name]);
    None
}

fn ip(args: &[&str]) -> bool {
    let Some(program) = crate::program("ip") else { return false };
    Command::new(program).args(args).output().is_ok_and(|o| o.status.success())
}
