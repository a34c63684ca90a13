//! The collectors: one file each, all registered in [`ALL`].

mod auto_increment;
mod binlog_size;
mod clientstats;
mod engine_innodb_status;
mod engine_tokudb_status;
mod eventsstatements;
mod eventsstatementssum;
mod eventswaits;
mod file_events;
mod file_instances;
mod global_status;
mod global_variables;
mod grid;
mod heartbeat;
mod indexiowaits;
mod innodb_cmp;
mod innodb_cmpmem;
mod innodb_metrics;
mod innodb_tablespaces;
mod memory_events;
mod processlist;
mod query_response_time;
mod replica_host;
mod replication_applier_status_by_worker;
mod replication_group_member_stats;
mod replication_group_members;
mod rocksdb_perf_context;
mod schemastats;
mod slave_hosts;
mod slave_status;
mod tableiowaits;
mod tablelocks;
mod tables;
mod tablestats;
mod user;
mod user_summary;
mod userstat;
mod userstat_columns;
mod userstats;

use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::Part;
use service::{Flag, Flags};
use std::borrow::Cow;

/// Every collector, in order of its name.
pub(crate) const ALL: &[Entry] = &[
    auto_increment::ENTRY,
    binlog_size::ENTRY,
    engine_innodb_status::ENTRY,
    engine_tokudb_status::ENTRY,
    global_status::ENTRY,
    global_variables::ENTRY,
    heartbeat::ENTRY,
    clientstats::ENTRY,
    innodb_cmp::ENTRY,
    innodb_cmpmem::ENTRY,
    innodb_metrics::ENTRY,
    innodb_tablespaces::ENTRY,
    processlist::ENTRY,
    query_response_time::ENTRY,
    replica_host::ENTRY,
    rocksdb_perf_context::ENTRY,
    schemastats::ENTRY,
    tables::ENTRY,
    tablestats::ENTRY,
    userstats::ENTRY,
    user::ENTRY,
    eventsstatements::ENTRY,
    eventsstatementssum::ENTRY,
    eventswaits::ENTRY,
    file_events::ENTRY,
    file_instances::ENTRY,
    indexiowaits::ENTRY,
    memory_events::ENTRY,
    replication_applier_status_by_worker::ENTRY,
    replication_group_member_stats::ENTRY,
    replication_group_members::ENTRY,
    tableiowaits::ENTRY,
    tablelocks::ENTRY,
    slave_hosts::ENTRY,
    slave_status::ENTRY,
    user_summary::ENTRY,
];

/// One collector of this program: flags, help, `collect[]` and the docs come from this.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// Its name in `collect[]`.
    pub(crate) name: &'static str,
    /// The flag that switches it: `--collect.NAME`, with its default.
    pub(crate) switch: Flag,
    /// The oldest server that is asked, MAJOR.MINOR as a decimal number.
    pub(crate) min: f64,
    /// Its own flags.
    pub(crate) flags: &'static [Flag],
    /// What its account must be allowed to do.
    pub(crate) needs: Right,
    /// Makes it from the flags.
    pub(crate) build: fn(&Flags) -> Box<dyn Collect>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// The right that a collector's statement needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Right {
    /// Any account has it.
    None,
    /// `PROCESS`.
    Process,
    /// `SELECT` on what stands here, as GRANT wants it.
    Select(&'static str),
    /// Reads replication status: `REPLICATION CLIENT`, on MariaDB `SLAVE MONITOR`.
    ReplicationStatus,
    /// Lists binary logs: `REPLICATION CLIENT`, on MariaDB `BINLOG MONITOR`.
    BinaryLogs,
    /// Lists replicas: `REPLICATION SLAVE`, on MariaDB `REPLICATION MASTER ADMIN`.
    Replicas,
}

/// A collector: knows what to ask of a server and what the rows mean.
pub(crate) trait Collect: Send + Sync {
    /// Starts one run. It is not `async`: the driver asks the statements of many runs in few round trips.
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a>;
}

/// One collector's work in one scrape.
pub(crate) trait Run: Send {
    /// The next statement, if any: asked at the start and again after each result.
    fn ask(&mut self) -> Option<Cow<'static, str>>;

    /// A row of the statement's result. An odd one is counted and left out.
    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd>;

    /// The statement's result has been read to its end.
    fn end(&mut self, _out: &mut Part) -> Result<(), String> {
        Ok(())
    }

    /// The server refused the statement with this code. `true` if that is no failure: the run goes on with `ask`.
    fn refused(&mut self, _code: u16) -> bool {
        false
    }
}

/// A collector of one statement whose rows stand for themselves.
pub(crate) struct Table {
    pub(crate) sql: fn(&Server) -> &'static str,
    pub(crate) row: fn(Cells<'_>, &mut Part) -> Result<(), Odd>,
}

impl Collect for Table {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(TableRun { sql: Some((self.sql)(server)), row: self.row })
    }
}

struct TableRun {
    sql: Option<&'static str>,
    row: fn(Cells<'_>, &mut Part) -> Result<(), Odd>,
}

impl Run for TableRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Borrowed)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        (self.row)(cells, out)
    }
}

/// Appends a server's name for something as part of a metric name: lower case, anything unusual becomes `_`.
pub(crate) fn push_name(name: &str, out: &mut String) {
    out.extend(name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }));
}

/// A text as an SQL string.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// The table of docs/mysqld-exporter.md.
    fn documented() -> String {
        let mut table = String::from("| collector | default | from | what |\n|---|---|---|---|\n");
        for Entry { name, switch, min, .. } in ALL {
            let default = if switch.default == "true" { "on" } else { "off" };
            let _ = writeln!(table, "| {name} | {default} | {min} | {} |", switch.help);
        }
        table
    }

    /// The flags of this program's collectors and connections, in the same file.
    fn documented_flags() -> String {
        let mut table = String::from("| flag | default | what |\n|---|---|---|\n");
        for flag in crate::options::FLAGS.iter().chain(ALL.iter().flat_map(|e| e.flags)) {
            let default = match (flag.kind, flag.default) {
                (service::FlagKind::Bool, "true") => "on".to_owned(),
                (service::FlagKind::Bool, _) => "off".to_owned(),
                (_, "") => String::new(),
                (_, text) => format!("`{text}`"),
            };
            let _ = writeln!(table, "| `--{}` | {default} | {} |", flag.name, flag.help);
        }
        table
    }

    #[test]
    fn the_page_lists_what_there_is() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mysqld-exporter.md");
        let page = std::fs::read_to_string(path).unwrap();
        for table in [documented(), documented_flags()] {
            assert!(page.contains(&table), "docs/mysqld-exporter.md should hold this table:\n{table}");
        }
    }

    #[test]
    fn names_are_in_order_and_flags_follow_them() {
        assert!(ALL.windows(2).all(|w| w[0].name < w[1].name));
        for entry in ALL {
            assert_eq!(entry.switch.name, format!("collect.{}", entry.name));
            assert!(entry.flags.iter().all(|f| f.name.starts_with(entry.switch.name)), "{}", entry.name);
        }
    }

    #[test]
    fn texts_are_quoted() {
        assert_eq!(quoted("a'b\\c"), "'a''b\\\\c'");
    }
}

/// Runs a collector on rows written down and returns its text.
#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use exposition::{Format, Page};

    /// Rows of one result: names once, then the cells.
    pub(crate) struct Rows<'a>(pub(crate) &'a [&'a str], pub(crate) &'a [&'a [Option<&'a str>]]);

    /// Plays `answers` to the statements that the run asks, in order; returns the statements and the page.
    pub(crate) fn play(collect: &dyn Collect, server: &Server, answers: &[Rows<'_>]) -> (Vec<String>, String) {
        let (mut part, mut asked) = (Part::new(), Vec::new());
        let mut run = collect.start(server);
        let mut answers = answers.iter();
        while let Some(sql) = run.ask() {
            asked.push(sql.into_owned());
            let Some(Rows(names, rows)) = answers.next() else { break };
            for row in *rows {
                let cells: Vec<_> = names.iter().copied().zip(row.iter().copied()).collect();
                let _odd = run.row(Cells::Literal(&cells), &mut part);
            }
            run.end(&mut part).unwrap();
        }
        let mut text = Vec::new();
        Page::merge(vec![part]).0.write(Format::default(), &mut text);
        let text = String::from_utf8(text).unwrap();
        (asked, text.lines().filter(|l| !l.starts_with('#')).fold(String::new(), |all, l| all + l + "\n"))
    }
}
