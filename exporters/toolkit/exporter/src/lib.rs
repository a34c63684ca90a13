//! Collectors, their registry, deadlines and isolation, `/metrics` and the exporter's own metrics.

mod collector;
mod entry;
mod metrics;
mod own;
mod process;
mod program;
mod registry;
mod report;
mod scrape;
mod source;
pub mod testing;

pub use collector::{AbsentIsNoData, CollectError, Collector, Cx};
pub use entry::{BuildError, BuildFn, Default, Entry, NameFilter};
pub use exposition::{Desc, Part};
pub use program::{
    DISABLE_EXPORTER_METRICS, ENABLE_OPENMETRICS, Host, MAX_REQUESTS, Nothing, Served, TELEMETRY_PATH, docs,
    own_metrics, run, run_host,
};
pub use prometheus_client;
pub use registry::{Last, Naming, Registry, State, entry_flags};
pub use scrape::{Answer, Refused, Scrape, Scraper};
pub use service::{Flag, FlagKind, Flags, Program, StartError};
pub use source::{FetchError, Peers, Source};
