//! `perf_schema.eventswaits`: waits, by event.

use super::grid::{Grid, Metric, PICO};
use super::{Entry, Right};
use exposition::Desc;
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.eventswaits",
    switch: Flag::switch(
        "collect.perf_schema.eventswaits",
        "Collect metrics from performance_schema.events_waits_summary_global_by_event_name",
    ),
    min: 5.5,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Grid { sql: SQL, labels: &["event_name"], metrics: METRICS }),
};

const SQL: &str =
    "SELECT EVENT_NAME,COUNT_STAR,SUM_TIMER_WAIT FROM performance_schema.events_waits_summary_global_by_event_name";
const METRICS: &[Metric] = &[
    Metric(Desc::counter("mysql_perf_schema_events_waits_total", "The total events waits by event name."), 1.0),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_waits_seconds_total",
            "The total seconds of events waits by event name.",
        ),
        PICO,
    ),
];
