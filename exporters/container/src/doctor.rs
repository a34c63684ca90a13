//! `doctor`: what can be read here, and what to do about the rest.

use crate::engine::Watch;
use crate::page::Options;
use crate::program::Made;
use crate::switches::Kind;
use exporter::Part;
use exposition::Page;
use hostfs::{Buf, scan};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Reads once and tells.
pub(crate) fn run(mut made: Made) -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return ExitCode::FAILURE;
    };
    let (report, good) = runtime.block_on(async {
        let known = made.watch.refresh(Instant::now() + Duration::from_secs(10)).await;
        let mut reader = made.reader;
        let read = tokio::task::spawn_blocking(move || {
            let mut part = Part::new();
            let start = Instant::now();
            reader.read(&known, &mut part);
            (reader, known, part, start.elapsed())
        });
        let Ok((reader, known, part, took)) = read.await else { return ("reading panicked\n".to_owned(), false) };
        made.reader = reader;
        let mut report = Report::default();
        engines(&mut report, &made.watch, &known.version, known.containers.len());
        let (hierarchies, cgroups) = made.reader.found();
        if hierarchies.any() {
            report.ok("cgroups", &format!("{}, {cgroups} found", hierarchies.version()));
        } else {
            let what = "no cgroup file system below sysfs: mount the host's /sys/fs/cgroup into this container";
            report.fail("cgroups", what);
        }
        // CRI does not say which processes they are.
        let with_process: Vec<_> = known.containers.iter().filter(|c| c.process.is_some()).collect();
        let seen = with_process.iter().filter(|c| c.cgroups.is_some()).count();
        if seen < with_process.len() {
            let what = format!(
                "{seen} of {} containers' processes are visible: run with --pid=host (and --cgroupns=host on cgroup v2)",
                with_process.len()
            );
            report.warn("processes", &what);
        } else {
            report.ok("processes", &format!("{seen} of {seen} containers' processes are visible"));
        }
        files(&mut report, &made.options, &made.sources, &known.containers);
        let samples = part.len();
        let (_, conflicts) = Page::merge(vec![part]);
        for conflict in conflicts.iter().take(3) {
            report.fail("page", &conflict.to_string());
        }
        report.ok("scrape", &format!("{samples} samples in {:.1} ms", took.as_secs_f64() * 1e3));
        (report.text, report.good)
    });
    let _ = std::io::stdout().write_all(report.as_bytes());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn engines(report: &mut Report, watch: &Watch, version: &str, containers: usize) {
    let mut there = 0;
    for (source, told, failure) in watch.told() {
        let shown = source.shown();
        match (source.socket().map(std::os::unix::net::UnixStream::connect), failure) {
            (Some(Err(e)), _) if e.kind() == std::io::ErrorKind::NotFound => {
                report.none("engine", &format!("{shown}: not there"));
            }
            (Some(Err(e)), _) => {
                report.fail(
                    "engine",
                    &format!("{shown}: {e}: run as root or in the socket's group, or use a socket proxy"),
                );
            }
            (_, Some(failure)) => {
                there += 1;
                report.warn("engine", &format!("{shown}: {failure}"));
            }
            _ => {
                there += 1;
                report.ok("engine", &format!("{shown}: {told} containers"));
            }
        }
    }
    if there == 0 {
        report.warn("metadata", "no engine: cgroups are shown by id, without names, images and labels");
    } else if version.is_empty() && containers == 0 {
        report.warn("metadata", "an engine is there and told of no container");
    } else {
        report.ok("metadata", &format!("{containers} containers, engine version {version:?}"));
    }
}

fn files(
    report: &mut Report,
    options: &Options,
    sources: &hostfs::Sources,
    containers: &[std::sync::Arc<crate::engine::Container>],
) {
    let mut buf = Buf::new();
    processes(report, options, sources, containers, &mut buf);
    if options.switches.on(Kind::Disk) {
        match containers.iter().find_map(|c| c.folders.first()).map(|folder| sources.rootfs(folder).entries()) {
            None if containers.is_empty() => {}
            None => report.warn(
                "disk",
                "no container's writable layer is known: container_fs_usage_bytes needs an engine that mounts overlays, and pid: host where Docker has its images in containerd's store",
            ),
            Some(Ok(_)) if !opens_all(sources, &mut buf) => report.warn(
                "disk",
                "without CAP_DAC_READ_SEARCH containers with a folder that root may not open have no container_fs_usage_bytes",
            ),
            Some(Ok(_)) => report.ok("disk", "writable layers can be walked"),
            Some(Err(e)) => report.warn(
                "disk",
                &format!("{e}: container_fs_usage_bytes needs the engine's folder read-only below --path.rootfs, and root or CAP_DAC_READ_SEARCH"),
            ),
        }
    }
    if options.switches.on(Kind::Pressure) {
        match sources.proc("pressure/cpu").read(&mut buf) {
            Ok(_) => report.ok("pressure", "the kernel counts stalls"),
            Err(_) => report.none("pressure", "this kernel does not count stalls (CONFIG_PSI, psi=1)"),
        }
    }
}

/// Whether this process may look into any folder; not known is yes.
fn opens_all(sources: &hostfs::Sources, buf: &mut Buf) -> bool {
    let Ok(status) = sources.proc("self/status").read(buf) else { return true };
    let effective = scan::lines(status).find_map(|l| l.strip_prefix(b"CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(std::str::from_utf8(hex.trim_ascii()).ok()?, 16).ok());
    bits.is_none_or(|bits| bits & (CAP_DAC_OVERRIDE | CAP_DAC_READ_SEARCH) != 0)
}

/// `linux/capability.h`.
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;

/// What is read of processes; some of it only with the right to trace them.
fn processes(
    report: &mut Report,
    options: &Options,
    sources: &hostfs::Sources,
    containers: &[std::sync::Arc<crate::engine::Container>],
    buf: &mut Buf,
) {
    let Some(pid) = containers.iter().find_map(|c| Some(c.process.as_ref()?.pid)) else { return };
    if options.switches.on(Kind::Network) {
        match sources.proc(format!("{pid}/net/dev")).read(buf) {
            Ok(_) => report.ok("network", "containers' interfaces can be read"),
            Err(e) => report.warn("network", &format!("{e}: run with --pid=host")),
        }
    }
    if options.switches.on(Kind::Process) {
        match sources.proc(format!("{pid}/fd/0")).read_link() {
            Ok(_) => report.ok("descriptors", "those of containers can be counted"),
            Err(e) if e.is_absent() => {}
            Err(e) => {
                let what = format!(
                    "{e}: container_sockets, and container_file_descriptors of users but root, need CAP_SYS_PTRACE"
                );
                report.warn("descriptors", &what);
            }
        }
    }
    if options.switches.on(Kind::ReferencedMemory) {
        match sources.proc(format!("{pid}/smaps")).read(buf) {
            Ok(_) => report.ok("referenced", "containers' memory maps can be read"),
            Err(e) => report.warn("referenced", &format!("{e}: container_referenced_bytes needs CAP_SYS_PTRACE")),
        }
    }
}

#[derive(Default)]
struct Report {
    text: String,
    failed: bool,
    good: bool,
}

impl Report {
    fn line(&mut self, mark: &str, what: &str, text: &str) {
        let _ = writeln!(self.text, "{mark:<5}{what:<12}{text}");
        self.good = !self.failed;
    }
    fn ok(&mut self, what: &str, text: &str) {
        self.line("ok", what, text);
    }
    fn none(&mut self, what: &str, text: &str) {
        self.line("-", what, text);
    }
    fn warn(&mut self, what: &str, text: &str) {
        self.line("warn", what, text);
    }
    fn fail(&mut self, what: &str, text: &str) {
        self.failed = true;
        self.line("FAIL", what, text);
    }
}
