//! `perf_schema.file_events`: file operations, by event and mode.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.file_events",
    switch: Flag::switch(
        "collect.perf_schema.file_events",
        "Collect metrics from performance_schema.file_summary_by_event_name",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| SQL, row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    let name = cells.text(0);
    let count = [cells.count(1)?, cells.count(2)?, cells.count(3)?];
    let time = [cells.picoseconds(4)?, cells.picoseconds(5)?, cells.picoseconds(6)?];
    let bytes = [cells.count(7)?, cells.count(8)?];
    for (mode, i) in [("read", 0), ("write", 1), ("misc", 2)] {
        let labels = [("event_name", name), ("mode", mode.as_bytes())];
        out.family(&COUNT).sample(&labels, count[i]);
        out.family(&SECONDS).sample(&labels, time[i]);
        if let Some(&bytes) = bytes.get(i) {
            out.family(&BYTES).sample(&labels, bytes);
        }
    }
    Ok(())
}

const SQL: &str = "SELECT EVENT_NAME,COUNT_READ,COUNT_WRITE,COUNT_MISC,SUM_TIMER_READ,SUM_TIMER_WRITE,SUM_TIMER_MISC,\
    SUM_NUMBER_OF_BYTES_READ,SUM_NUMBER_OF_BYTES_WRITE FROM performance_schema.file_summary_by_event_name";
const COUNT: Desc = Desc::counter("mysql_perf_schema_file_events_total", "The total file events by event name/mode.");
const SECONDS: Desc = Desc::counter(
    "mysql_perf_schema_file_events_seconds_total",
    "The total seconds of file events by event name/mode.",
);
const BYTES: Desc =
    Desc::counter("mysql_perf_schema_file_events_bytes_total", "The total bytes of file events by event name/mode.");
