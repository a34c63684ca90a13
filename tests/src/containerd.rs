//! A real containerd with folders of its own, which ends with the test.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// A containerd and what was started in it.
#[derive(Debug)]
pub struct Containerd {
    /// Name of the image that containers are made of.
    pub image: String,
    child: Child,
    dir: tempfile::TempDir,
}

impl Containerd {
    /// Starts it, with an image in each of these namespaces; `None`, and one line that says why, where it cannot be.
    pub fn start(namespaces: &[&str]) -> Option<Self> {
        let needed = ["containerd", "ctr", "runc", "busybox", "tar", "sha256sum"];
        if let Some(missing) = needed.iter().find(|n| crate::program(n).is_none()) {
            crate::skip(&format!("{missing} is not installed"));
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let image = "docker.io/bongsu-test/box:1".to_owned();
        // Without the right to make a process harder to kill, pods cannot start unless that is restricted.
        let config = format!(
            r#"version = 2
            root = "{path}/root"
            state = "{path}/state"
            [grpc]
              address = "{path}/containerd.sock"
            [ttrpc]
              address = "{path}/ttrpc.sock"
            [plugins."io.containerd.internal.v1.opt"]
              path = "{path}/opt"
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "{image}"
              restrict_oom_score_adj = true
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "{path}/cni"
                conf_dir = "{path}/cni"
            "#
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(crate::program("containerd").unwrap())
            .arg("--config")
            .arg(dir.path().join("config.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut containerd = Self { image, child, dir };
        let end = std::time::Instant::now() + Duration::from_secs(30);
        while !containerd.try_run("default", &["version"]).status.success() {
            if containerd.child.try_wait().unwrap().is_some() || std::time::Instant::now() > end {
                let log = crate::log_of(&containerd.dir.path().join("log"));
                crate::skip(&format!("containerd cannot run here: {}", log.lines().last().unwrap_or_default()));
                return None;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let archive = containerd.dir.path().join("image.tar");
        crate::image::pack_image(&archive, &containerd.image);
        for namespace in namespaces {
            containerd.run(namespace, &["images", "import", &archive.display().to_string()]);
        }
        Some(containerd)
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("containerd.sock")
    }

    /// Runs `ctr` in a namespace.
    pub fn run(&self, namespace: &str, args: &[&str]) -> String {
        let output = self.try_run(namespace, args);
        assert!(output.status.success(), "ctr {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn try_run(&self, namespace: &str, args: &[&str]) -> Output {
        let socket = self.socket();
        Command::new("timeout").args(["60", "ctr", "-n", namespace, "-a"]).arg(socket).args(args).output().unwrap()
    }

    /// Starts a container with these options and this shell command.
    pub fn container(&self, namespace: &str, options: &[&str], id: &str, command: &str) {
        let mut args = vec!["run", "-d"];
        args.extend(options);
        args.extend([&*self.image, id, "sh", "-c", command]);
        self.run(namespace, &args);
    }

    /// Ends a container and removes it.
    pub fn remove(&self, namespace: &str, id: &str) {
        self.try_run(namespace, &["task", "kill", "-s", "KILL", id]);
        for _ in 0..50 {
            let alive = self.run(namespace, &["task", "ls"]);
            if !alive.lines().any(|l| l.starts_with(id) && l.contains("RUNNING")) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.try_run(namespace, &["task", "rm", "-f", id]);
        self.try_run(namespace, &["containers", "rm", id]);
    }

    /// Calls a method of `runtime.v1.RuntimeService`; returns the message of the answer, `None` if there is none.
    pub fn cri(&self, method: &str, message: &[u8]) -> Option<Vec<u8>> {
        let (request, answer) = (self.dir.path().join("request"), self.dir.path().join("answer"));
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        std::fs::write(&request, [&[0][..], &length, message].concat()).unwrap();
        let asked = Command::new("curl")
            .args(["-s", "--max-time", "60", "--http2-prior-knowledge", "-H", "content-type: application/grpc"])
            .args(["-H", "te: trailers", "--unix-socket"])
            .arg(self.socket())
            .arg("--data-binary")
            .arg(format!("@{}", request.display()))
            .arg("-o")
            .arg(&answer)
            .arg(format!("http://localhost/runtime.v1.RuntimeService/{method}"))
            .status();
        asked.ok().filter(std::process::ExitStatus::success)?;
        let answer = std::fs::read(answer).ok()?;
        answer.get(5..).map(<[u8]>::to_vec)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let namespaces = self.try_run("default", &["namespaces", "ls", "-q"]).stdout;
        for namespace in String::from_utf8_lossy(&namespaces).lines() {
            let listed = self.try_run(namespace, &["containers", "ls", "-q"]).stdout;
            for id in String::from_utf8_lossy(&listed).lines() {
                self.remove(namespace, id);
            }
            // Its containers lay in a cgroup of its name.
            crate::remains::remove_cgroup(namespace);
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
        // Pods' shared memory stays mounted without their runtime.
        crate::remains::unmount_below(self.dir.path());
    }
}
