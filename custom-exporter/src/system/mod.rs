//! This machine, as the crate sysinfo sees it. A collector is one file and one line in [`ALL`].

mod cpu;
mod disk;
mod host;
mod memory;
mod network;
mod process;
mod temperature;

use exporter::{BuildError, CollectError, Desc, Entry, Flag, Flags, Naming, Registry};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// All collectors. Flags, `--help`, `collect[]` and the landing page come from this slice.
pub(crate) const ALL: &[Entry] =
    &[cpu::CPU, disk::DISK, host::HOST, memory::MEMORY, network::NETWORK, process::PROCESS, temperature::TEMPERATURE];

/// The collectors that the flags leave on.
pub(crate) fn registry(flags: &Flags) -> Result<Registry, BuildError> {
    // sysinfo knows no other root than this machine's.
    Registry::new(ALL, switch, flags, false, hostfs::Sources::live(), NAMING)
}

/// The flags of all collectors. Flags are data for the whole life of the program: made once and never freed.
pub(crate) fn flags() -> Vec<&'static Flag> {
    exporter::entry_flags(ALL, switch).into_iter().map(|flag| &*Box::leak(Box::new(flag))).collect()
}

/// `--system.cpu` and `--no-system.cpu` switch the collector cpu on and off.
fn switch(entry: &Entry) -> String {
    format!("system.{}", entry.name)
}

/// sysinfo keeps what it saw last, to tell differences: one look at a time.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// sysinfo's failure as a collector's.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failed(error: sysinfo::Error) -> CollectError {
    CollectError::failed(error.to_string())
}

/// The same while a collector is built.
#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unbuilt(error: sysinfo::Error) -> BuildError {
    BuildError(format!("sysinfo: {error}"))
}

const NAMING: Naming = Naming {
    duration: Desc::gauge(
        "custom_exporter_collector_duration_seconds",
        "How long a collector of this machine's numbers took",
    ),
    success: Desc::gauge("custom_exporter_collector_success", "Whether a collector of this machine's numbers worked"),
};
