//! `global_status`: SHOW GLOBAL STATUS, with the names that stand for one thing folded into one family.

use super::{Collect, Entry, Right, Run, push_name};
use crate::cells::{Cells, Odd, number};
use crate::reading::reading;
use crate::server::Server;
use exposition::{Desc, Kind, Part, Value};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "global_status",
    switch: Flag::switch_on("collect.global_status", "Collect from SHOW GLOBAL STATUS"),
    min: 5.1,
    flags: &[],
    needs: Right::None,
    build: |_| Box::new(GlobalStatus),
};

struct GlobalStatus;

impl Collect for GlobalStatus {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(Statuses::default())
    }
}

#[derive(Default)]
struct Statuses {
    asked: bool,
    name: String,
    galera: [Vec<u8>; 3],
}

impl Run for Statuses {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        (!std::mem::replace(&mut self.asked, true)).then_some(Cow::Borrowed("SHOW GLOBAL STATUS"))
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let name = std::str::from_utf8(cells.text(0)).map_err(|_| Odd)?;
        let text = cells.text(1);
        if let Some(value) = reading(text) {
            self.name.clear();
            push_name(name, &mut self.name);
            emit(&mut self.name, value, out);
        } else if let Some(wsrep) = name.strip_prefix("wsrep_") {
            if let Some(i) = GALERA_LABELS.iter().position(|l| *l == wsrep) {
                self.galera[i] = text.to_vec();
            } else if wsrep == "evs_repl_latency" {
                emit_latency(text, out);
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Part) -> Result<(), String> {
        let [local, cluster, version] = &self.galera;
        if !local.is_empty() {
            out.family(&GALERA_INFO).sample(
                &[
                    ("wsrep_cluster_state_uuid", cluster.as_slice()),
                    ("wsrep_local_state_uuid", local),
                    ("wsrep_provider_version", version),
                ],
                1u64,
            );
        }
        Ok(())
    }
}

/// Emits one status under the family that its name folds into.
fn emit(name: &mut String, value: Value, out: &mut Part) {
    let pages = name.strip_prefix("innodb_buffer_pool_pages_");
    if let Some(pages) = pages {
        match pages {
            "total" => {}
            "dirty" => drop(out.family(&DIRTY_PAGES).sample(&[], value)),
            "data" | "free" | "misc" | "old" => {
                out.family(&POOL_PAGES).sample(&[("state", pages.as_bytes())], value);
            }
            _ => drop(out.family(&PAGE_CHANGES).sample(&[("operation", pages.as_bytes())], value)),
        }
        return;
    }
    for (prefix, desc, label) in &FOLDED {
        if let Some(rest) = name.strip_prefix(prefix).filter(|r| !r.is_empty()) {
            out.family(desc).sample(&[(label, rest.as_bytes())], value);
            return;
        }
    }
    name.insert_str(0, "mysql_global_status_");
    out.family_named(name, "Generic metric from SHOW GLOBAL STATUS.", Kind::Untyped).sample(&[], value);
}

/// Galera's group communication latency, `min/avg/max/stdev/samples`.
fn emit_latency(text: &[u8], out: &mut Part) {
    let mut values = [Value::U64(0); 5];
    let mut fields = text.split(|&b| b == b'/');
    for value in &mut values {
        let Some(read) = fields.next().and_then(|f| number(f.trim_ascii())) else { return };
        *value = read;
    }
    if fields.next().is_none() {
        for (desc, value) in LATENCY.iter().zip(values) {
            out.family(desc).sample(&[], value);
        }
    }
}

const FOLDED: [(&str, Desc, &str); 5] = [
    (
        "com_",
        Desc::counter("mysql_global_status_commands_total", "Total number of executed MySQL commands."),
        "command",
    ),
    (
        "handler_",
        Desc::counter("mysql_global_status_handlers_total", "Total number of executed MySQL handlers."),
        "handler",
    ),
    (
        "connection_errors_",
        Desc::counter("mysql_global_status_connection_errors_total", "Total number of MySQL connection errors."),
        "error",
    ),
    (
        "innodb_rows_",
        Desc::counter("mysql_global_status_innodb_row_ops_total", "Total number of MySQL InnoDB row operations."),
        "operation",
    ),
    (
        "performance_schema_",
        Desc::counter(
            "mysql_global_status_performance_schema_lost_total",
            "Total number of MySQL instrumentations that could not be loaded or created due to memory constraints.",
        ),
        "instrumentation",
    ),
];
const POOL_PAGES: Desc = Desc::gauge("mysql_global_status_buffer_pool_pages", "Innodb buffer pool pages by state.");
const DIRTY_PAGES: Desc = Desc::gauge("mysql_global_status_buffer_pool_dirty_pages", "Innodb buffer pool dirty pages.");
const PAGE_CHANGES: Desc =
    Desc::counter("mysql_global_status_buffer_pool_page_changes_total", "Innodb buffer pool page state changes.");
const GALERA_LABELS: [&str; 3] = ["local_state_uuid", "cluster_state_uuid", "provider_version"];
const GALERA_INFO: Desc = Desc::gauge("mysql_galera_status_info", "PXC/Galera status information.");
const LATENCY: [Desc; 5] = [
    Desc::gauge("mysql_galera_evs_repl_latency_min_seconds", "PXC/Galera group communication latency. Min value."),
    Desc::gauge("mysql_galera_evs_repl_latency_avg_seconds", "PXC/Galera group communication latency. Avg value."),
    Desc::gauge("mysql_galera_evs_repl_latency_max_seconds", "PXC/Galera group communication latency. Max value."),
    Desc::gauge("mysql_galera_evs_repl_latency_stdev", "PXC/Galera group communication latency. Standard Deviation."),
    Desc::gauge("mysql_galera_evs_repl_latency_sample_size", "PXC/Galera group communication latency. Sample Size."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn names_fold_into_families() {
        let rows: &[&[Option<&str>]] = &[
            &[Some("Aborted_clients"), Some("3")],
            &[Some("Com_show_status"), Some("7")],
            &[Some("Handler_read_key"), Some("8")],
            &[Some("Connection_errors_accept"), Some("0")],
            &[Some("Innodb_buffer_pool_pages_data"), Some("1")],
            &[Some("Innodb_buffer_pool_pages_dirty"), Some("2")],
            &[Some("Innodb_buffer_pool_pages_total"), Some("4")],
            &[Some("Innodb_buffer_pool_pages_made_young"), Some("5")],
            &[Some("Innodb_rows_read"), Some("6")],
            &[Some("Performance_schema_cond_classes_lost"), Some("9")],
            &[Some("Ssl_server_not_after"), Some("Nov 20 23:59:59 2026 GMT")],
            &[Some("Rpl_status"), Some("AUTH_MASTER")],
            &[Some("Odd.name"), Some("1000000")],
            &[Some("Nothing"), None],
            &[Some("wsrep_local_state_uuid"), Some("u-1")],
            &[Some("wsrep_evs_repl_latency"), Some("0.1/0.2/0.3/0.4/5")],
            &[Some("wsrep_evs_repl_latency"), Some("0.1/0.2")],
        ];
        let server = Server::new("9.7.4", "");
        let (asked, text) = play(&GlobalStatus, &server, &[Rows(&["Variable_name", "Value"], rows)]);
        assert_eq!(asked, ["SHOW GLOBAL STATUS"]);
        assert_eq!(
            text,
            "mysql_galera_evs_repl_latency_avg_seconds 0.2\n\
             mysql_galera_evs_repl_latency_max_seconds 0.3\n\
             mysql_galera_evs_repl_latency_min_seconds 0.1\n\
             mysql_galera_evs_repl_latency_sample_size 5\n\
             mysql_galera_evs_repl_latency_stdev 0.4\n\
             mysql_galera_status_info{wsrep_cluster_state_uuid=\"\",wsrep_local_state_uuid=\"u-1\",wsrep_provider_version=\"\"} 1\n\
             mysql_global_status_aborted_clients 3\n\
             mysql_global_status_buffer_pool_dirty_pages 2\n\
             mysql_global_status_buffer_pool_page_changes_total{operation=\"made_young\"} 5\n\
             mysql_global_status_buffer_pool_pages{state=\"data\"} 1\n\
             mysql_global_status_commands_total{command=\"show_status\"} 7\n\
             mysql_global_status_connection_errors_total{error=\"accept\"} 0\n\
             mysql_global_status_handlers_total{handler=\"read_key\"} 8\n\
             mysql_global_status_innodb_row_ops_total{operation=\"read\"} 6\n\
             mysql_global_status_odd_name 1e+06\n\
             mysql_global_status_performance_schema_lost_total{instrumentation=\"cond_classes_lost\"} 9\n\
             mysql_global_status_ssl_server_not_after 1.795219199e+09\n"
        );
    }
}
