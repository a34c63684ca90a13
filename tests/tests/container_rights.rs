//! The container exporter without the rights that cAdvisor asks for: as root without capabilities, and behind a proxy that
//! lets only reading through.
#![allow(clippy::unwrap_used)] // a test fails by panic

use std::fs;
use std::process::Command;
use std::time::Duration;
use tests::{Docker, Service, binary, free_port, get, program, repo, skip, wait_until};

/// The exporter's command as root with no capabilities but these.
fn bounded(capabilities: &str, docker: &Docker, args: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", capabilities, "--inh-caps", "-all", "--ambient-caps", "-all", "--no-new-privs"])
        .arg(binary("container-exporter"))
        .arg(format!("--docker={}", docker.host))
        .args(["--podman=", "--containerd=", "--cri="])
        .args(args);
    command
}

fn service(capabilities: &str, docker: &Docker, args: &[&str]) -> Service {
    let port = free_port();
    let mut command = bounded(capabilities, docker, &["--disk.interval=1s"]);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}")).args(args);
    Service::start(command, port)
}

fn page(service: &Service) -> String {
    get(&service.url("/metrics")).unwrap().text()
}

fn has(page: &str, family: &str, name: &str) -> bool {
    page.lines().any(|l| l.starts_with(&format!("{family}{{")) && l.contains(&format!("name=\"{name}\"")))
}

#[test]
fn root_without_capabilities_reads_all_but_hidden_folders() {
    if program("setpriv").is_none() {
        skip("setpriv is not installed");
        return;
    }
    let Some(docker) = Docker::start("rights") else { return };
    // A folder that only its owner may open, as databases make theirs.
    let hidden = "mkdir /tmp/d && dd if=/dev/zero of=/tmp/d/f bs=1M count=1 && chown 70:70 /tmp/d && chmod 700 /tmp/d; sleep 1000";
    let hidden =
        hidden.replace("mkdir", "busybox mkdir").replace("chown", "busybox chown").replace("chmod", "busybox chmod");
    docker.container(&["--name=bt-open"], "sleep 1000");
    docker.container(&["--name=bt-hidden"], &hidden);
    let bare = service("-all", &docker, &["--disable_metrics=tcp,udp"]);
    wait_until("the walk of what is open", Duration::from_secs(30), || {
        has(&page(&bare), "container_fs_usage_bytes", "bt-open")
    });
    let text = page(&bare);
    for family in ["container_memory_usage_bytes", "container_cpu_usage_seconds_total", "container_processes"] {
        assert!(has(&text, family, "bt-hidden"), "{family}\n{text}");
    }
    if docker.has_network() {
        assert!(has(&text, "container_network_receive_bytes_total", "bt-hidden"), "{text}");
    }
    assert!(!has(&text, "container_fs_usage_bytes", "bt-hidden"), "it is walked without the right to");
    assert!(!has(&text, "container_sockets", "bt-hidden"), "they are counted without the right to");

    let able = service("-all,+dac_read_search,+sys_ptrace", &docker, &["--disable_metrics=tcp,udp"]);
    wait_until("the walk of all", Duration::from_secs(30), || {
        has(&page(&able), "container_fs_usage_bytes", "bt-hidden")
    });
    assert!(has(&page(&able), "container_sockets", "bt-hidden"));

    let doctor = |capabilities: &str| {
        let mut command = bounded(capabilities, &docker, &["--disable_metrics=tcp"]);
        let path = command.get_args().position(|a| a == binary("container-exporter").as_os_str()).unwrap();
        let mut args: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        args.insert(path + 1, "doctor".into());
        command = Command::new("setpriv");
        String::from_utf8(command.args(args).output().unwrap().stdout).unwrap()
    };
    let said = doctor("-all");
    for word in ["CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "ok   network"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let said = doctor("-all,+dac_read_search,+sys_ptrace");
    assert!(said.contains("ok   descriptors") && !said.contains("warn"), "{said}");
}

/// The proxy of docs/container-exporter.md, as it stands there.
#[test]
fn the_proxy_of_the_docs_lets_reading_through_and_nothing_else() {
    let Some(nginx) = program("nginx") else {
        skip("nginx is not installed");
        return;
    };
    let Some(docker) = Docker::start("proxy") else { return };
    let id = docker.container(&["--name=bt-proxied", "--label=team=blue", "--network=none"], "sleep 1000");
    let docs = fs::read_to_string(repo().join("docs/container-exporter.md")).unwrap();
    let server = docs.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (path, port) = (dir.path().display(), free_port());
    let server = server
        .replace("listen 2375", &format!("listen 127.0.0.1:{port}"))
        .replace("/var/run/docker.sock", &docker.socket().display().to_string());
    let config = format!(
        "daemon off; user root; pid {path}/pid; error_log {path}/error.log; events {{}}
         http {{
           access_log off; client_body_temp_path {path}/a; proxy_temp_path {path}/b; fastcgi_temp_path {path}/c;
           uwsgi_temp_path {path}/d; scgi_temp_path {path}/e;
           {server}
         }}"
    );
    fs::write(dir.path().join("nginx.conf"), config).unwrap();
    let mut command = Command::new(nginx);
    command.arg("-c").arg(dir.path().join("nginx.conf"));
    let mut proxy = Service::start(command, port);
    let address = format!("--docker=tcp://127.0.0.1:{port}");
    let exporter = Service::ours("container-exporter", &[&*address, "--podman=", "--containerd=", "--cri="]);
    let text = page(&exporter);
    assert!(has(&text, "container_spec_memory_limit_bytes", "bt-proxied"), "{text}");
    assert!(text.contains("container_label_team=\"blue\""));
    assert!(has(&text, "container_restarts_total", "bt-proxied"), "the inspection goes through");
    for refused in
        ["/info", "/images/json", "/v1.41/secrets", &format!("/containers/{id}/logs?stdout=1"), "/containers/x/json"]
    {
        assert_eq!(get(&proxy.url(refused)).unwrap().status, 403, "{refused}");
    }
    assert_eq!(tests::post(&proxy.url(&format!("/containers/{id}/json")), b"{}").unwrap().status, 403);
    assert_eq!(tests::post(&proxy.url("/containers/create"), b"{}").unwrap().status, 403);
    proxy.signal(rustix::process::Signal::TERM);
    proxy.wait();
}
