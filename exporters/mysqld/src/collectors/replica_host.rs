//! `info_schema.replica_host`: the replicas of an Amazon Aurora cluster.

use super::grid::{Metric, emit};
use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.replica_host",
    switch: Flag::switch(
        "collect.info_schema.replica_host",
        "Collect metrics from information_schema.replica_host_status",
    ),
    min: 5.6,
    flags: &[],
    needs: Right::None,
    build: |_| Box::new(ReplicaHost),
};

struct ReplicaHost;

impl Collect for ReplicaHost {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(ReplicaHostRun { asked: false })
    }
}

struct ReplicaHostRun {
    asked: bool,
}

impl Run for ReplicaHostRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        (!std::mem::replace(&mut self.asked, true)).then_some(Cow::Borrowed(SQL))
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let role: &[u8] = if cells.text(1) == b"MASTER_SESSION_ID" { b"writer" } else { b"reader" };
        emit(cells, &[("role", role), ("server_id", cells.text(0))], 2, METRICS, out)
    }

    fn refused(&mut self, code: u16) -> bool {
        // Not an Aurora: nothing to tell, and no failure.
        code == ER_UNKNOWN_TABLE
    }
}

const ER_UNKNOWN_TABLE: u16 = 1109;
const SQL: &str = "SELECT SERVER_ID,SESSION_ID,CPU,MASTER_SLAVE_LATENCY_IN_MICROSECONDS,REPLICA_LAG_IN_MILLISECONDS,\
    LOG_STREAM_SPEED_IN_KiB_PER_SECOND,CURRENT_REPLAY_LATENCY_IN_MICROSECONDS \
    FROM information_schema.REPLICA_HOST_STATUS";
const METRICS: &[Metric] = &[
    Metric(Desc::gauge("mysql_info_schema_replica_host_cpu_percent", "The CPU usage as a percentage."), 1.0),
    Metric(
        Desc::gauge("mysql_info_schema_replica_host_replica_latency_seconds", "The source-replica latency in seconds."),
        1e6,
    ),
    Metric(Desc::gauge("mysql_info_schema_replica_host_lag_seconds", "The replica lag in seconds."), 1e3),
    Metric(
        Desc::gauge("mysql_info_schema_replica_host_log_stream_speed", "The log stream speed in kilobytes per second."),
        1.0,
    ),
    Metric(
        Desc::gauge("mysql_info_schema_replica_host_replay_latency_seconds", "The current replay latency in seconds."),
        1e6,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn units_are_seconds_and_an_absent_table_is_no_failure() {
        let server = Server::new("5.7.12", "");
        let row: &[Option<&str>] =
            &[Some("a"), Some("MASTER_SESSION_ID"), Some("2.5"), Some("5000"), Some("20"), Some("1"), Some("7")];
        let (_, text) = play(&ReplicaHost, &server, &[Rows(&[""; 7], &[row])]);
        assert!(text.contains("lag_seconds{role=\"writer\",server_id=\"a\"} 0.02\n"), "{text}");
        assert!(text.contains("replica_latency_seconds{role=\"writer\",server_id=\"a\"} 0.005\n"), "{text}");
        let mut run = ReplicaHost.start(&server);
        run.ask();
        assert!(run.refused(ER_UNKNOWN_TABLE) && run.ask().is_none());
        assert!(!run.refused(1227));
    }
}
