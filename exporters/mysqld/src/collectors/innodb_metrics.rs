//! `info_schema.innodb_metrics`: InnoDB's own counters, those that are switched on there.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Kind, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.innodb_metrics",
    switch: Flag::switch(
        "collect.info_schema.innodb_metrics",
        "Collect metrics from information_schema.innodb_metrics",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(InnodbMetrics),
};

struct InnodbMetrics;

impl Collect for InnodbMetrics {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        let new = server.mariadb && server.at_least(10, 5, 0);
        let (next, other) = if new { (ENABLED, STATUS) } else { (STATUS, ENABLED) };
        Box::new(Counters { next: Some(next), other: Some(other), name: String::new() })
    }
}

struct Counters {
    next: Option<&'static str>,
    /// For a server whose version tells the wrong column.
    other: Option<&'static str>,
    name: String,
}

impl Run for Counters {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.next.take().map(Cow::Borrowed)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let text = |column| std::str::from_utf8(cells.text(column)).map_err(|_| Odd);
        let (name, subsystem, kind, comment) = (text(0)?, text(1)?, text(2)?, text(3)?);
        let value = cells.number(4)?;
        if subsystem == "buffer_page_io" {
            let found = [("buffer_page_read_", &PAGES_READ), ("buffer_page_written_", &PAGES_WRITTEN)]
                .into_iter()
                .find_map(|(prefix, desc)| Some((name.strip_prefix(prefix)?, desc)));
            if let Some((page, desc)) = found {
                out.family(desc).sample(&[("type", page.as_bytes())], cells.count(4)?);
            }
            return Ok(());
        }
        if let Some(state) = name.strip_prefix("buffer_pool_pages_").filter(|_| subsystem == "buffer") {
            match state {
                "total" => {}
                "dirty" => drop(out.family(&DIRTY_PAGES).sample(&[], value)),
                _ => drop(out.family(&POOL_PAGES).sample(&[("state", state.as_bytes())], value)),
            }
            return Ok(());
        }
        self.name.clear();
        self.name.push_str("mysql_info_schema_innodb_metrics_");
        // Unlike elsewhere the letters keep their case: `buffer_LRU_batch_scanned`.
        let part = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        self.name.extend(subsystem.chars().map(part));
        self.name.push('_');
        self.name.extend(name.chars().map(part));
        let counter = matches!(kind, "counter" | "status_counter") && value.as_f64() >= 0.0;
        if counter {
            self.name.push_str("_total");
        }
        let kind = if counter { Kind::Counter } else { Kind::Gauge };
        out.family_named(&self.name, comment, kind).sample(&[], value);
        Ok(())
    }

    fn refused(&mut self, code: u16) -> bool {
        self.next = self.other.take().filter(|_| code == ER_UNKNOWN_COLUMN);
        self.next.is_some()
    }
}

const ENABLED: &str = "SELECT NAME,SUBSYSTEM,TYPE,COMMENT,COUNT FROM information_schema.INNODB_METRICS WHERE ENABLED=1";
const STATUS: &str =
    "SELECT NAME,SUBSYSTEM,TYPE,COMMENT,COUNT FROM information_schema.INNODB_METRICS WHERE STATUS='enabled'";
const ER_UNKNOWN_COLUMN: u16 = 1054;
const PAGES_READ: Desc = Desc::counter(
    "mysql_info_schema_innodb_metrics_buffer_page_read_total",
    "Total number of buffer pages read total.",
);
const PAGES_WRITTEN: Desc = Desc::counter(
    "mysql_info_schema_innodb_metrics_buffer_page_written_total",
    "Total number of buffer pages written total.",
);
const DIRTY_PAGES: Desc = Desc::gauge(
    "mysql_info_schema_innodb_metrics_buffer_pool_dirty_pages",
    "Total number of dirty pages in the buffer pool.",
);
const POOL_PAGES: Desc =
    Desc::gauge("mysql_info_schema_innodb_metrics_buffer_pool_pages", "Total number of buffer pool pages by state.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn names_and_kinds() {
        let rows: &[&[Option<&str>]] = &[
            &[Some("buffer_page_read_blob"), Some("buffer_page_io"), Some("counter"), Some("c"), Some("1")],
            &[Some("buffer_page_other"), Some("buffer_page_io"), Some("counter"), Some("c"), Some("1")],
            &[Some("buffer_pool_pages_total"), Some("buffer"), Some("value"), Some("c"), Some("2")],
            &[Some("buffer_pool_pages_dirty"), Some("buffer"), Some("value"), Some("c"), Some("3")],
            &[Some("buffer_pool_pages_free"), Some("buffer"), Some("value"), Some("c"), Some("4")],
            &[Some("buffer_LRU_x"), Some("buffer"), Some("status_counter"), Some("c"), Some("5")],
            &[Some("lock_x"), Some("lock"), Some("counter"), Some("c"), Some("-6")],
        ];
        let (_, text) = play(&InnodbMetrics, &Server::new("9.7.4", ""), &[Rows(&[""; 5], rows)]);
        assert_eq!(
            text,
            "mysql_info_schema_innodb_metrics_buffer_buffer_LRU_x_total 5\n\
             mysql_info_schema_innodb_metrics_buffer_page_read_total{type=\"blob\"} 1\n\
             mysql_info_schema_innodb_metrics_buffer_pool_dirty_pages 3\n\
             mysql_info_schema_innodb_metrics_buffer_pool_pages{state=\"free\"} 4\n\
             mysql_info_schema_innodb_metrics_lock_lock_x -6\n"
        );
    }
}
