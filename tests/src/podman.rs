//! A real Podman with folders of its own, and its API service.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A Podman and what was started in it.
#[derive(Debug)]
pub struct Podman {
    /// Name of the image that containers are made of.
    pub image: String,
    service: Option<Child>,
    dir: tempfile::TempDir,
}

impl Podman {
    /// Starts its API; `None`, and one line that says why, where it cannot be.
    pub fn start() -> Option<Self> {
        let needed = ["podman", "runc", "busybox", "tar"];
        if let Some(missing) = needed.iter().find(|n| crate::program(n).is_none()) {
            crate::skip(&format!("{missing} is not installed"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut podman = Self { image: "localhost/bongsu-test/box:1".to_owned(), service: None, dir };
        let layer = podman.dir.path().join("layer.tar");
        crate::image::pack_layer(&layer);
        let imported = podman.try_run(&["import", "-q", &layer.display().to_string(), &podman.image]);
        if !imported.status.success() {
            crate::skip(&format!("podman cannot run here: {}", String::from_utf8_lossy(&imported.stderr).trim()));
            return None;
        }
        let socket = format!("unix://{}", podman.socket().display());
        let log = std::fs::File::create(podman.dir.path().join("log")).unwrap();
        let mut command = podman.command(&["system", "service", "-t", "0", &socket]);
        podman.service = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        crate::wait_until("podman's socket", Duration::from_secs(30), || podman.socket().exists());
        Some(podman)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    fn command(&self, args: &[&str]) -> Command {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        let mut command = Command::new("podman");
        command
            .args(["--root", &at("root"), "--runroot", &at("run"), "--tmpdir", &at("tmp"), "--runtime", "runc"])
            .args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "file"])
            .args(args);
        command
    }

    /// Runs `podman` with these arguments, whatever comes of it.
    pub fn try_run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a container; `None`, and one line, where this machine does not let it.
    pub fn container(&self, options: &[&str], command: &str) -> Option<String> {
        // Small limits: to raise them takes a right that not every machine gives.
        let limits = ["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"];
        let args =
            [&["run", "-d", "--network", "none"], &limits[..], options, &[&*self.image, "sh", "-c", command]].concat();
        let output = self.try_run(&args);
        if !output.status.success() {
            crate::skip(&format!("podman starts no container: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.try_run(&["rm", "-a", "-f", "-t", "0"]);
        if let Some(service) = &mut self.service {
            let pid = rustix::process::Pid::from_child(service);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = service.wait();
        }
        crate::remains::remove_cgroup("libpod_parent");
        crate::remains::unmount_below(self.dir.path());
    }
}
