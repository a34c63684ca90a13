//! The program's own flags: where the host's file systems are mounted.

use exporter::{BuildError, Desc, Flag, Flags, Host, Naming, Program};
use hostfs::{Roots, Sources};
use std::path::PathBuf;

/// The program without its collectors.
pub(crate) fn program() -> Program {
    Program::new(
        "node_exporter",
        "Node Exporter",
        "Hardware and operating system metrics of a Linux host, under node_exporter's names.",
        ":9100",
    )
    .flags(FLAGS.iter())
}

/// What [`exporter::run_host`] needs to know of it.
pub(crate) const HOST: Host = Host {
    entries: crate::collectors::ALL,
    switch: |entry| format!("collector.{}", entry.name),
    disable_defaults: Some("collector.disable-defaults"),
    sources,
    naming: Naming {
        duration: Desc::gauge(
            "node_scrape_collector_duration_seconds",
            "node_exporter: Duration of a collector scrape.",
        ),
        success: Desc::gauge("node_scrape_collector_success", "node_exporter: Whether a collector succeeded."),
    },
};

const FLAGS: &[Flag] = &[
    Flag::text("path.procfs", "/proc", "procfs mountpoint."),
    Flag::text("path.sysfs", "/sys", "sysfs mountpoint."),
    Flag::text("path.rootfs", "/", "rootfs mountpoint."),
    Flag::text("path.udev.data", "/run/udev/data", "udev data path."),
    Flag::switch("collector.disable-defaults", "Set all collectors to disabled by default."),
    Flag::text(
        "runtime.gomaxprocs",
        "1",
        "Accepted for command lines written for the Go exporter; there is no Go runtime here.",
    ),
];

fn sources(flags: &Flags) -> Result<Sources, BuildError> {
    let root = |name: &str| {
        let path = PathBuf::from(flags.text(name));
        if path.is_dir() {
            Ok(path)
        } else {
            Err(BuildError(format!("--{name}={}: no such directory", path.display())))
        }
    };
    Ok(Sources::new(Roots {
        proc: root("path.procfs")?,
        sys: root("path.sysfs")?,
        rootfs: root("path.rootfs")?,
        // A host without udev is a healthy host.
        udev: flags.text("path.udev.data").into(),
    }))
}
