//! `info_schema.processlist`: what the other connections do, by command and state, user and host.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::{Flag, FlagKind};
use std::borrow::Cow;
use std::collections::BTreeMap;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.processlist",
    switch: Flag::switch(
        "collect.info_schema.processlist",
        "Collect current thread state counts from the information_schema.processlist",
    ),
    min: 5.1,
    flags: &[MIN_TIME, BY_USER, BY_HOST, THREADS],
    needs: Right::Process,
    build: |flags| {
        let min_time = flags.integer(MIN_TIME.name);
        Box::new(Processlist {
            sql: format!(
                "SELECT USER,SUBSTRING_INDEX(HOST,':',1),COMMAND,STATE,COUNT(*),SUM(TIME) \
                 FROM information_schema.PROCESSLIST WHERE ID<>CONNECTION_ID() AND TIME>={min_time} GROUP BY 1,2,3,4"
            ),
            by_user: flags.on(BY_USER.name),
            by_host: flags.on(BY_HOST.name),
            threads: flags.on(THREADS.name),
        })
    },
};

const MIN_TIME: Flag = Flag::new(
    "collect.info_schema.processlist.min_time",
    FlagKind::Integer,
    "0",
    "Minimum time a thread must be in each state to be counted",
);
const BY_USER: Flag = Flag::switch_on(
    "collect.info_schema.processlist.processes_by_user",
    "Enable collecting the number of processes by user",
);
const BY_HOST: Flag = Flag::switch_on(
    "collect.info_schema.processlist.processes_by_host",
    "Enable collecting the number of processes by host",
);
const THREADS: Flag = Flag::switch(
    "collect.info_schema.processlist.threads",
    "Also expose mysql_info_schema_threads by state, the former name that widespread dashboards still ask for",
);

struct Processlist {
    sql: String,
    by_user: bool,
    by_host: bool,
    threads: bool,
}

impl Collect for Processlist {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        let (states, users, hosts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Box::new(Processes { of: self, asked: false, states, users, hosts })
    }
}

struct Processes<'a> {
    of: &'a Processlist,
    asked: bool,
    /// Threads and seconds by command and state.
    states: BTreeMap<(Vec<u8>, Vec<u8>), (f64, f64)>,
    users: BTreeMap<Vec<u8>, f64>,
    hosts: BTreeMap<Vec<u8>, f64>,
}

impl Run for Processes<'_> {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        (!std::mem::replace(&mut self.asked, true)).then(|| Cow::Owned(self.of.sql.clone()))
    }

    fn row(&mut self, cells: Cells<'_>, _: &mut Part) -> Result<(), Odd> {
        let (threads, seconds) = (cells.count(4)?.as_f64(), cells.number(5)?.as_f64());
        let host = if cells.text(1).is_empty() { b"unknown" } else { cells.text(1) };
        *self.users.entry(cells.text(0).to_vec()).or_default() += threads;
        *self.hosts.entry(host.to_vec()).or_default() += threads;
        let sums = self.states.entry((state_label(cells.text(2)), state_label(cells.text(3)))).or_default();
        sums.0 += threads;
        sums.1 += seconds;
        Ok(())
    }

    fn end(&mut self, out: &mut Part) -> Result<(), String> {
        let mut by_state: BTreeMap<&[u8], f64> = BTreeMap::new();
        for ((command, state), (threads, seconds)) in &self.states {
            let labels = [("command", command.as_slice()), ("state", state)];
            out.family(&STATES).sample(&labels, *threads);
            out.family(&SECONDS).sample(&labels, *seconds);
            *by_state.entry(state).or_default() += threads;
        }
        for (state, threads) in by_state.into_iter().filter(|_| self.of.threads) {
            out.family(&OLD_THREADS).sample(&[("state", state)], threads);
        }
        for (user, threads) in self.users.iter().filter(|_| self.of.by_user) {
            out.family(&USERS).sample(&[("mysql_user", user)], *threads);
        }
        for (host, threads) in self.hosts.iter().filter(|_| self.of.by_host) {
            out.family(&HOSTS).sample(&[("client_host", host)], *threads);
        }
        Ok(())
    }
}

/// A command or state as a label: `Waiting for table metadata lock` becomes `waiting_for_table_metadata_lock`.
fn state_label(text: &[u8]) -> Vec<u8> {
    if text.is_empty() {
        return b"unknown".to_vec();
    }
    let kept = text.iter().filter(|b| !b";,:.()".contains(b));
    kept.map(|b| if matches!(b, b' ' | b'-') { b'_' } else { b.to_ascii_lowercase() }).collect()
}

const STATES: Desc =
    Desc::gauge("mysql_info_schema_processlist_threads", "The number of threads split by current state.");
const SECONDS: Desc = Desc::gauge(
    "mysql_info_schema_processlist_seconds",
    "The number of seconds threads have used split by current state.",
);
const USERS: Desc = Desc::gauge("mysql_info_schema_processlist_processes_by_user", "The number of processes by user.");
const HOSTS: Desc = Desc::gauge("mysql_info_schema_processlist_processes_by_host", "The number of processes by host.");
const OLD_THREADS: Desc =
    Desc::gauge("mysql_info_schema_threads", "The number of threads (connections) split by current state.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn equal_rows_are_summed() {
        let rows: &[&[Option<&str>]] = &[
            &[Some("u"), Some("h"), Some("Query"), Some("Sending data"), Some("1"), Some("2")],
            &[Some("u"), Some(""), Some("Query"), Some("Sending-data."), Some("3"), Some("4")],
            &[Some("v"), Some("h"), Some("Sleep"), None, Some("1"), Some("0.5")],
        ];
        let list = Processlist { sql: String::new(), by_user: true, by_host: true, threads: true };
        let (_, text) = play(&list, &Server::new("9.7.4", ""), &[Rows(&[""; 6], rows)]);
        assert_eq!(
            text,
            "mysql_info_schema_processlist_processes_by_host{client_host=\"h\"} 2\n\
             mysql_info_schema_processlist_processes_by_host{client_host=\"unknown\"} 3\n\
             mysql_info_schema_processlist_processes_by_user{mysql_user=\"u\"} 4\n\
             mysql_info_schema_processlist_processes_by_user{mysql_user=\"v\"} 1\n\
             mysql_info_schema_processlist_seconds{command=\"query\",state=\"sending_data\"} 6\n\
             mysql_info_schema_processlist_seconds{command=\"sleep\",state=\"unknown\"} 0.5\n\
             mysql_info_schema_processlist_threads{command=\"query\",state=\"sending_data\"} 4\n\
             mysql_info_schema_processlist_threads{command=\"sleep\",state=\"unknown\"} 1\n\
             mysql_info_schema_threads{state=\"sending_data\"} 4\n\
             mysql_info_schema_threads{state=\"unknown\"} 1\n"
        );
    }
}
