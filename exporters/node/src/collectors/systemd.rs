//! Units of systemd, over D-Bus (org.freedesktop.systemd1(5)).

mod manager;
mod units;

use crate::dbus::{self, Connection, DbusError};
use exporter::{BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Flags, Part};
use hostfs::Sources;
use std::path::PathBuf;
use std::time::Instant;

const INCLUDE: Flag = Flag::regex(
    "collector.systemd.unit-include",
    ".+",
    "Regexp of systemd units to include. Units must both match include and not match exclude to be included.",
);
const EXCLUDE: Flag = Flag::regex(
    "collector.systemd.unit-exclude",
    ".+\\.(automount|device|mount|scope|slice)",
    "Regexp of systemd units to exclude. Units must both match include and not match exclude to be included.",
);
const WHITELIST: Flag =
    Flag::regex("collector.systemd.unit-whitelist", "", "DEPRECATED: Use --collector.systemd.unit-include")
        .alias(INCLUDE.name);
const BLACKLIST: Flag =
    Flag::regex("collector.systemd.unit-blacklist", "", "DEPRECATED: Use collector.systemd.unit-exclude")
        .alias(EXCLUDE.name);
const PRIVATE: Flag = Flag {
    hidden: true,
    ..Flag::switch(
        "collector.systemd.private",
        "Establish a private, direct connection to systemd without dbus (Strongly discouraged since it requires root. For testing purposes only).",
    )
};
const TASKS: Flag = Flag::switch(
    "collector.systemd.enable-task-metrics",
    "Enables service unit tasks metrics unit_tasks_current and unit_tasks_max",
);
const RESTARTS: Flag =
    Flag::switch("collector.systemd.enable-restarts-metrics", "Enables service unit metric service_restart_total");
const START_TIME: Flag =
    Flag::switch("collector.systemd.enable-start-time-metrics", "Enables service unit metric unit_start_time_seconds");

/// Registers the collector.
pub(crate) const SYSTEMD: Entry = Entry {
    name: "systemd",
    default: Default::Off,
    about: "states of systemd units, timers and sockets, from systemd over D-Bus",
    flags: &[INCLUDE, EXCLUDE, WHITELIST, BLACKLIST, PRIVATE, TASKS, RESTARTS, START_TIME],
    build: |flags, sources| Ok(Box::new(Systemd::new(flags, sources)?)),
};

/// How both of these call themselves on the bus.
const SERVICE: &str = "org.freedesktop.systemd1";

struct Systemd {
    include: service::Regex,
    exclude: service::Regex,
    extras: Extras,
    buses: Vec<PathBuf>,
    /// systemd's own socket, for root alone.
    private: Vec<PathBuf>,
}

/// What is asked for only when wanted: it costs a call a unit.
#[derive(Clone, Copy)]
struct Extras {
    tasks: bool,
    restarts: bool,
    start_time: bool,
}

impl Systemd {
    fn new(flags: &Flags, sources: &Sources) -> Result<Self, BuildError> {
        let whole = |flag: &Flag| {
            service::Regex::new(&format!("^(?:{})$", flags.text(flag.name)))
                .map_err(|e| BuildError(format!("--{}: {e}", flag.name)))
        };
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok();
        let private = flags.on(PRIVATE.name);
        let own_socket = private || rustix::process::geteuid().is_root();
        Ok(Self {
            include: whole(&INCLUDE)?,
            exclude: whole(&EXCLUDE)?,
            extras: Extras {
                tasks: flags.on(TASKS.name),
                restarts: flags.on(RESTARTS.name),
                start_time: flags.on(START_TIME.name),
            },
            buses: if private { Vec::new() } else { dbus::system_bus(sources, address.as_deref()) },
            private: if own_socket { dbus::host_and_own(sources, "/run/systemd/private") } else { Vec::new() },
        })
    }

    /// The bus; for root, where there is none, systemd itself.
    fn connect(&self, deadline: Instant) -> Result<Connection, DbusError> {
        let mut failed = None;
        for bus in &self.buses {
            match Connection::bus(bus, deadline) {
                Ok(connection) => return Ok(connection),
                Err(e) => failed = Some(e),
            }
        }
        for socket in &self.private {
            match Connection::peer(socket, deadline) {
                Ok(connection) => return Ok(connection),
                Err(e) => failed = Some(failed.unwrap_or(e)),
            }
        }
        Err(failed.unwrap_or(DbusError::Malformed("DBUS_SYSTEM_BUS_ADDRESS")))
    }
}

const VERSION: Desc = Desc::gauge("node_systemd_version", "Detected systemd version");
const VIRTUALIZATION: Desc = Desc::gauge("node_systemd_virtualization_info", "Detected virtualization technology");
const RUNNING: Desc =
    Desc::gauge("node_systemd_system_running", "Whether the system is operational (see 'systemctl is-system-running')");
const UNITS: Desc = Desc::gauge("node_systemd_units", "Summary of systemd unit states");

const STATES: [&str; 5] = ["active", "activating", "deactivating", "failed", "inactive"];

impl Collector for Systemd {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let failed = |e: DbusError| CollectError::Failed(Box::new(e));
        let mut connection = self.connect(cx.wait_until()).map_err(failed)?;
        let manager = manager::ask(&mut connection).map_err(failed)?;
        out.family(&VERSION).sample(&[("version", manager.version.as_bytes())], manager.number);
        out.family(&VIRTUALIZATION).sample(&[("virtualization_type", manager.virtualization.as_bytes())], 1u64);
        if let Some(state) = &manager.system_state {
            out.family(&RUNNING).sample(&[], state == "running");
        }

        let mut units = units::list(&mut connection).map_err(failed)?;
        for state in STATES {
            let count = units.iter().filter(|u| u.active_state == state).count();
            out.family(&UNITS).sample(&[("state", state.as_bytes())], count);
        }
        // States of newer versions (`maintenance`, `reloading`, …).
        let mut others: Vec<&str> =
            units.iter().map(|u| u.active_state.as_str()).filter(|s| !STATES.contains(s)).collect();
        others.sort_unstable();
        for same in others.chunk_by(|a, b| a == b) {
            out.family(&UNITS).sample(&[("state", same[0].as_bytes())], same.len());
        }

        units.retain(|unit| {
            let name = unit.name.as_bytes();
            unit.load_state == "loaded" && self.include.is_match(name) && !self.exclude.is_match(name)
        });
        units::emit(&mut connection, &units, self.extras, manager.has_timers(), out).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn deprecated_names_and_both_at_once() {
        let flags = Flags::from_args(SYSTEMD.flags, &["--collector.systemd.unit-blacklist=a.*"]).unwrap();
        let systemd = Systemd::new(&flags, &Sources::live()).unwrap();
        assert!(systemd.exclude.is_match(b"abc") && !systemd.exclude.is_match(b"xabc"));
        let both = ["--collector.systemd.unit-blacklist=a", "--collector.systemd.unit-exclude=b"];
        assert!(Flags::from_args(SYSTEMD.flags, &both).is_err());
    }

    #[test]
    fn no_bus_is_a_failure_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let flags = Flags::from_args(SYSTEMD.flags, &[]).unwrap();
        let mut systemd = Systemd::new(&flags, &Sources::under(dir.path())).unwrap();
        systemd.buses = vec![dir.path().join("bus")];
        systemd.private = vec![dir.path().join("private")];
        let error = systemd.connect(Instant::now() + Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.starts_with("connect to ") && error.contains("/bus: "), "{error}");
    }
}
