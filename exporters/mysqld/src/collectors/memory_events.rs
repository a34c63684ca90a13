//! `perf_schema.memory_events`: memory by what it is used for.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.memory_events",
    switch: Flag::switch(
        "collect.perf_schema.memory_events",
        "Collect metrics from performance_schema.memory_summary_global_by_event_name",
    ),
    min: 5.7,
    flags: &[PREFIX],
    needs: Right::Select("performance_schema.*"),
    build: |flags| Box::new(MemoryEvents { prefix: flags.text(PREFIX.name).to_owned() }),
};

const PREFIX: Flag = Flag::text(
    "collect.perf_schema.memory_events.remove_prefix",
    "memory/",
    "Remove instrument prefix in performance_schema.memory_summary_global_by_event_name",
);

struct MemoryEvents {
    prefix: String,
}

impl Collect for MemoryEvents {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(Events { asked: false, prefix: &self.prefix })
    }
}

struct Events<'a> {
    asked: bool,
    prefix: &'a str,
}

impl Run for Events<'_> {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        (!std::mem::replace(&mut self.asked, true)).then_some(Cow::Borrowed(SQL))
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let name = cells.text(0);
        let label = [("event_name", name.strip_prefix(self.prefix.as_bytes()).unwrap_or(name))];
        let (allocated, freed, used) = (cells.count(1)?, cells.count(2)?, cells.number(3)?);
        out.family(&ALLOCATED).sample(&label, allocated);
        out.family(&FREED).sample(&label, freed);
        out.family(&USED).sample(&label, used);
        Ok(())
    }
}

const SQL: &str = "SELECT EVENT_NAME,SUM_NUMBER_OF_BYTES_ALLOC,SUM_NUMBER_OF_BYTES_FREE,CURRENT_NUMBER_OF_BYTES_USED \
    FROM performance_schema.memory_summary_global_by_event_name WHERE COUNT_ALLOC>0";
const ALLOCATED: Desc = Desc::counter(
    "mysql_perf_schema_memory_events_alloc_bytes_total",
    "The total number of bytes allocated by events.",
);
const FREED: Desc =
    Desc::counter("mysql_perf_schema_memory_events_free_bytes_total", "The total number of bytes freed by events.");
const USED: Desc =
    Desc::gauge("mysql_perf_schema_memory_events_used_bytes", "The number of bytes currently allocated by events.");
