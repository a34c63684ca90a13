//! `perf_schema.file_instances`: bytes and operations, by file.

use super::{Collect, Entry, Right, Run, quoted};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.file_instances",
    switch: Flag::switch(
        "collect.perf_schema.file_instances",
        "Collect metrics from performance_schema.file_summary_by_instance",
    ),
    min: 5.5,
    flags: &[FILTER, PREFIX],
    needs: Right::Select("performance_schema.*"),
    build: |flags| {
        let filter = quoted(flags.text(FILTER.name));
        Box::new(FileInstances { sql: format!("{SELECT}{filter}"), prefix: flags.text(PREFIX.name).to_owned() })
    },
};

// The expression is the server's to read: it need not be one that this program knows.
const FILTER: Flag = Flag::text(
    "collect.perf_schema.file_instances.filter",
    ".*",
    "RegEx file_name filter for performance_schema.file_summary_by_instance",
);
const PREFIX: Flag = Flag::text(
    "collect.perf_schema.file_instances.remove_prefix",
    "/var/lib/mysql/",
    "Remove path prefix in performance_schema.file_summary_by_instance",
);

struct FileInstances {
    sql: String,
    prefix: String,
}

impl Collect for FileInstances {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(Files { sql: Some(self.sql.clone()), prefix: &self.prefix })
    }
}

struct Files<'a> {
    sql: Option<String>,
    prefix: &'a str,
}

impl Run for Files<'_> {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Owned)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let (file, event) = (cells.text(0), cells.text(1));
        let file = file.strip_prefix(self.prefix.as_bytes()).unwrap_or(file);
        let count = [cells.count(2)?, cells.count(3)?];
        let bytes = [cells.count(4)?, cells.count(5)?];
        for (i, mode) in ["read", "write"].into_iter().enumerate() {
            let labels = [("event_name", event), ("file_name", file), ("mode", mode.as_bytes())];
            out.family(&COUNT).sample(&labels, count[i]);
            out.family(&BYTES).sample(&labels, bytes[i]);
        }
        Ok(())
    }
}

const SELECT: &str = "SELECT FILE_NAME,EVENT_NAME,COUNT_READ,COUNT_WRITE,SUM_NUMBER_OF_BYTES_READ,\
    SUM_NUMBER_OF_BYTES_WRITE FROM performance_schema.file_summary_by_instance WHERE FILE_NAME REGEXP ";
const COUNT: Desc =
    Desc::counter("mysql_perf_schema_file_instances_total", "The total number of file read/write operations.");
const BYTES: Desc = Desc::counter(
    "mysql_perf_schema_file_instances_bytes",
    "The number of bytes processed by file read/write operations.",
);
