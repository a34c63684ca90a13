//! The flags of this program, those of its collectors aside.

use service::{Flag, FlagKind, Flags, StartError};
use std::time::Duration;

pub(crate) const MY_CNF: Flag =
    Flag::text("config.my-cnf", ".my.cnf", "Path to .my.cnf file to read MySQL credentials from.");
pub(crate) const ADDRESS: Flag =
    Flag::text("mysqld.address", "localhost:3306", "Address to use for connecting to MySQL, host:port or unix:///path");
pub(crate) const USERNAME: Flag = Flag::text("mysqld.username", "", "Username to use for connecting to MySQL");
pub(crate) const SKIP_VERIFY: Flag =
    Flag::switch("tls.insecure-skip-verify", "Ignore certificate and server verification when using a tls connection.");
pub(crate) const TIMEOUT_OFFSET: Flag =
    Flag::new("timeout-offset", FlagKind::Float, "0.25", "Offset to subtract from timeout in seconds.");
pub(crate) const LOCK_WAIT_TIMEOUT: Flag = Flag::new(
    "exporter.lock_wait_timeout",
    FlagKind::Integer,
    "2",
    "Set a lock_wait_timeout (in seconds) on the connection to avoid long metadata locking.",
);
pub(crate) const ENABLE_LOCK_WAIT_TIMEOUT: Flag =
    Flag::switch_on("exporter.enable_lock_wait_timeout", "Enable the lock_wait_timeout MySQL connection parameter.");
pub(crate) const LOG_SLOW_FILTER: Flag = Flag::switch(
    "exporter.log_slow_filter",
    "Add a log_slow_filter to avoid slow query logging of scrapes. NOTE: Not supported by Oracle MySQL.",
);
pub(crate) const QUERY_TIMEOUT: Flag = Flag::new(
    "exporter.query_timeout",
    FlagKind::Integer,
    "0",
    "Time limit of each statement in seconds, kept by the server. 0: the scrape's own deadline is the only one.",
);
pub(crate) const MAX_OPEN_CONNECTIONS: Flag = Flag::new(
    "exporter.max_open_connections",
    FlagKind::Integer,
    "2",
    "Connections to one server that may be open at once, all scrapes together. One more ends statements there.",
);
pub(crate) const CONNECTION_MAX_AGE: Flag = Flag::new(
    "exporter.connection_max_age",
    FlagKind::Duration,
    "30s",
    "Age at which a kept connection is replaced: so soon a changed password shows. 0s: a new one for each scrape.",
);
pub(crate) const MAX_TARGETS: Flag = Flag::new(
    "exporter.max_targets",
    FlagKind::Integer,
    "100",
    "Servers that are known at once through target=; the one asked longest ago is forgotten.",
);

/// All of them.
pub(crate) const FLAGS: &[Flag] = &[
    MY_CNF,
    ADDRESS,
    USERNAME,
    SKIP_VERIFY,
    TIMEOUT_OFFSET,
    LOCK_WAIT_TIMEOUT,
    ENABLE_LOCK_WAIT_TIMEOUT,
    LOG_SLOW_FILTER,
    QUERY_TIMEOUT,
    MAX_OPEN_CONNECTIONS,
    CONNECTION_MAX_AGE,
    MAX_TARGETS,
];

/// A whole number within bounds, or a text that names the flag.
pub(crate) fn bounded(flags: &Flags, flag: &Flag, from: i64, to: i64) -> Result<i64, StartError> {
    let value = flags.integer(flag.name);
    if (from..=to).contains(&value) {
        Ok(value)
    } else {
        Err(StartError::new(format!("--{}={value}: expected {from} to {to}", flag.name)))
    }
}

/// Seconds that may be "none".
pub(crate) fn seconds_or_none(value: i64) -> Option<Duration> {
    u64::try_from(value).ok().filter(|&s| s > 0).map(Duration::from_secs)
}
