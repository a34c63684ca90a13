//! Our exporter, pointed at a test's server.

use crate::server::Server;
use std::io::Write as _;
use tests::{Service, get_with};

/// A running exporter and the file it has its password from.
pub(crate) struct Exporter {
    pub(crate) service: Service,
    pub(crate) my_cnf: tempfile::NamedTempFile,
}

impl Exporter {
    /// Starts it with the tests' account in [client].
    pub(crate) fn start<A: AsRef<str>>(server: &Server, args: &[A]) -> Self {
        Self::start_as(server, USER, PASSWORD, args)
    }

    /// Starts it with another account.
    pub(crate) fn start_as<A: AsRef<str>>(server: &Server, user: &str, password: &str, args: &[A]) -> Self {
        let mut my_cnf = tempfile::NamedTempFile::new().unwrap();
        let port = server.service.port;
        write!(my_cnf, "[client]\nuser={user}\npassword={password}\nhost=127.0.0.1\nport={port}\n").unwrap();
        let mut all = vec![format!("--config.my-cnf={}", my_cnf.path().display())];
        all.extend(args.iter().map(|a| a.as_ref().to_owned()));
        Self { service: Service::ours("mysqld-exporter", &all), my_cnf }
    }

    /// Scrapes with a time-out header; the body.
    pub(crate) fn scrape(&self, path: &str, timeout: f64) -> String {
        let header = timeout.to_string();
        let answer =
            get_with(&self.service.url(path), &[("X-Prometheus-Scrape-Timeout-Seconds", header.as_str())]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        exposition::parse_text(&answer.body).unwrap_or_else(|e| panic!("{e}:\n{}", answer.text()));
        answer.text()
    }
}

/// The value of a series in a page, as written.
pub(crate) fn value<'a>(page: &'a str, series: &str) -> Option<&'a str> {
    page.lines().find_map(|l| l.strip_prefix(series)?.strip_prefix(' '))
}

/// A collector's success as the page has it.
pub(crate) fn success<'a>(page: &'a str, collector: &str) -> Option<&'a str> {
    value(page, &format!("mysql_exporter_collector_success{{collector=\"collect.{collector}\"}}"))
}

pub(crate) const USER: &str = "exporter";
pub(crate) const PASSWORD: &str = "Geheim-4711";

/// All collectors there are.
pub(crate) const COLLECTORS: [&str; 36] = [
    "auto_increment.columns",
    "binlog_size",
    "engine_innodb_status",
    "engine_tokudb_status",
    "global_status",
    "global_variables",
    "heartbeat",
    "info_schema.clientstats",
    "info_schema.innodb_cmp",
    "info_schema.innodb_cmpmem",
    "info_schema.innodb_metrics",
    "info_schema.innodb_tablespaces",
    "info_schema.processlist",
    "info_schema.query_response_time",
    "info_schema.replica_host",
    "info_schema.rocksdb_perf_context",
    "info_schema.schemastats",
    "info_schema.tables",
    "info_schema.tablestats",
    "info_schema.userstats",
    "mysql.user",
    "perf_schema.eventsstatements",
    "perf_schema.eventsstatementssum",
    "perf_schema.eventswaits",
    "perf_schema.file_events",
    "perf_schema.file_instances",
    "perf_schema.indexiowaits",
    "perf_schema.memory_events",
    "perf_schema.replication_applier_status_by_worker",
    "perf_schema.replication_group_member_stats",
    "perf_schema.replication_group_members",
    "perf_schema.tableiowaits",
    "perf_schema.tablelocks",
    "slave_hosts",
    "slave_status",
    "sys.user_summary",
];
