//! Mounts that do not answer: FUSE file systems whose daemon reads nothing, in a mount namespace of their own.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::{Service, binary, free_port, get_with, program, skip, wait_until};

/// Mounts `$4`… with descriptors that background processes hold until somebody writes into `$1`, then becomes `$2` on port
/// `$3`.
const SCRIPT: &str = r#"
set -e
release=$1 exporter=$2 port=$3; shift 3
proc=$(dirname "$1")/proc
for at; do
    exec 3<>/dev/fuse
    mount -i -t fuse.hung -o fd=3,rootmode=40000,user_id=0,group_id=0 hung "$at"
    timeout 120 cat "$release" >/dev/null &
done
exec 3>&-
exec "$exporter" --web.listen-address=127.0.0.1:$port --path.procfs="$proc" --collector.disable-defaults \
    --collector.filesystem --collector.loadavg --collector.filesystem.mount-points-exclude='^/(proc|sys|dev)'
"#;

const HUNG: usize = 6;

fn threads(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/task", service.pid())).unwrap().count()
}

fn start(dir: &Path) -> Option<Service> {
    let Some(unshare) = program("unshare").filter(|_| rustix::process::geteuid().is_root()) else {
        skip("mounting needs root and unshare");
        return None;
    };
    if rustix::fs::access("/dev/fuse", rustix::fs::Access::WRITE_OK).is_err() {
        skip("no /dev/fuse");
        return None;
    }
    // The exporter asks for process 1's mounts, which are those of the machine: show it its own.
    std::fs::create_dir_all(dir.join("proc/1")).unwrap();
    std::os::unix::fs::symlink("/proc/self/mountinfo", dir.join("proc/1/mountinfo")).unwrap();
    std::os::unix::fs::symlink("/proc/loadavg", dir.join("proc/loadavg")).unwrap();
    let mkfifo = Command::new("mkfifo").arg(dir.join("release")).status().unwrap();
    assert!(mkfifo.success());
    let port = free_port();
    let mut command = Command::new(unshare);
    command.args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"]);
    command.arg(dir.join("release")).arg(binary("node-exporter")).arg(port.to_string());
    for n in 0..HUNG {
        let at = dir.join(format!("hung{n}"));
        std::fs::create_dir(&at).unwrap();
        command.arg(at);
    }
    Some(Service::start(command, port))
}

#[test]
fn a_hung_mount_costs_only_its_own_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let Some(service) = start(dir.path()) else { return };
    let scrape = || {
        let start = Instant::now();
        let header = [("X-Prometheus-Scrape-Timeout-Seconds", "4")];
        let text = get_with(&service.url("/metrics"), &header).unwrap().text();
        (text, start.elapsed())
    };
    let timeouts = |text: &str| {
        text.lines()
            .filter(|l| l.starts_with("node_filesystem_device_error{") && l.ends_with("} 1"))
            .filter(|l| l.contains("device_error=\"mountpoint timeout\""))
            .count()
    };
    let root = "node_filesystem_size_bytes{device=\"";
    let healthy = |text: &str| {
        text.lines().any(|l| l.starts_with(root) && l.contains("mountpoint=\"/\"}"))
            && text.contains("node_scrape_collector_success{collector=\"filesystem\"} 1\n")
            && text.contains("\nnode_load1 ")
    };

    let (text, took) = scrape();
    // A loaded machine may be late; a scrape that waits for the mounts never ends.
    assert!(took < Duration::from_secs(15), "the first scrape took {took:?}");
    assert_eq!((timeouts(&text), healthy(&text)), (HUNG, true), "{text}");

    // Now they are known: no scrape waits for them, or adds a thread.
    let before = threads(&service);
    let start = Instant::now();
    for _ in 0..50 {
        let (text, _) = scrape();
        assert_eq!((timeouts(&text), healthy(&text)), (HUNG, true), "{text}");
    }
    assert!(start.elapsed() < Duration::from_mins(1), "50 scrapes took {:?}", start.elapsed());
    assert!(threads(&service) <= before + 1, "{} threads became {}", before, threads(&service));

    // The daemons end: the mounts answer (with an error) and say so at the next scrape.
    let fifo = std::fs::OpenOptions::new().write(true).open(dir.path().join("release"));
    fifo.unwrap().write_all(b"go\n").unwrap();
    wait_until("the mounts to be asked again", Duration::from_secs(20), || timeouts(&scrape().0) == 0);
    let (text, _) = scrape();
    assert!(text.contains("device_error=\"transport endpoint is not connected\""), "{text}");
}
