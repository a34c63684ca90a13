//! `perf_schema.eventsstatements`: statements by digest, those that took most time.

use super::grid::{Metric, PICO, emit};
use super::{Collect, Entry, Right, Run, quoted};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part, Quantile, Summary};
use service::{Flag, FlagKind};
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.eventsstatements",
    switch: Flag::switch(
        "collect.perf_schema.eventsstatements",
        "Collect metrics from performance_schema.events_statements_summary_by_digest",
    ),
    min: 5.6,
    flags: &[LIMIT, TIME_LIMIT, TEXT_LIMIT, EXCLUDE],
    needs: Right::Select("performance_schema.*"),
    build: |flags| {
        let whole = |flag: &Flag| flags.integer(flag.name).max(0);
        let excluded = flags.texts(EXCLUDE.name).iter().filter(|s| !s.is_empty());
        Box::new(Digests {
            limit: whole(&LIMIT),
            time_limit: whole(&TIME_LIMIT),
            text_limit: whole(&TEXT_LIMIT),
            excluded: excluded.fold(String::new(), |all, schema| all + "," + &quoted(schema)),
        })
    },
};

const LIMIT: Flag = Flag::new(
    "collect.perf_schema.eventsstatements.limit",
    FlagKind::Integer,
    "250",
    "Limit the number of events statements digests by response time",
);
const TIME_LIMIT: Flag = Flag::new(
    "collect.perf_schema.eventsstatements.timelimit",
    FlagKind::Integer,
    "86400",
    "Limit how old the 'last_seen' events statements can be, in seconds",
);
const TEXT_LIMIT: Flag = Flag::new(
    "collect.perf_schema.eventsstatements.digest_text_limit",
    FlagKind::Integer,
    "120",
    "Maximum length of the normalized statement text",
);
const EXCLUDE: Flag = Flag::new(
    "collect.perf_schema.eventsstatements.exclude_schemas",
    FlagKind::Texts,
    "",
    "Additional schema name to exclude (always excludes mysql, performance_schema, information_schema). Repeatable",
);

struct Digests {
    limit: i64,
    time_limit: i64,
    text_limit: i64,
    /// Quoted names, each after a comma.
    excluded: String,
}

impl Collect for Digests {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        let Self { limit, time_limit, text_limit, excluded } = self;
        let new = !server.mariadb && server.at_least(8, 0, 28);
        let (numbers, quantiles) =
            if new { (NUMBERS, ",QUANTILE_95,QUANTILE_99,QUANTILE_999") } else { (OLD_NUMBERS, "") };
        let sql = format!(
            "SELECT DIGEST,LEFT(DIGEST_TEXT,{text_limit}),SCHEMA_NAME,{numbers}{quantiles} \
             FROM performance_schema.events_statements_summary_by_digest \
             WHERE SCHEMA_NAME NOT IN ('mysql','performance_schema','information_schema'{excluded}) \
             AND LAST_SEEN>DATE_SUB(NOW(),INTERVAL {time_limit} SECOND) ORDER BY SUM_TIMER_WAIT DESC LIMIT {limit}"
        );
        Box::new(DigestsRun { sql: Some(sql) })
    }
}

struct DigestsRun {
    sql: Option<String>,
}

impl Run for DigestsRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Owned)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let labels = [("digest", cells.text(0)), ("digest_text", cells.text(1)), ("schema", cells.text(2))];
        let (count, seconds) = (cells.count(3)?, cells.picoseconds(4)?);
        let quantile = |i: usize| {
            cells
                .get(3 + METRICS.len() + i)
                .map_or(Ok(0.0), |_| cells.picoseconds(3 + METRICS.len() + i).map(exposition::Value::as_f64))
        };
        // Upstream's labels are per cent and per mille, not fractions of one.
        let quantiles = [(95.0, quantile(0)?), (99.0, quantile(1)?), (999.0, quantile(2)?)];
        emit(cells, &labels, 3, METRICS, out)?;
        let quantiles = quantiles.map(|(quantile, value)| Quantile { quantile, value }).to_vec();
        let summary = Summary { quantiles, sum: seconds.as_f64(), count: count.as_f64() as u64 };
        out.family(&LATENCY).summary(&labels, summary);
        Ok(())
    }
}

const NUMBERS: &str = "COUNT_STAR,SUM_TIMER_WAIT,SUM_LOCK_TIME,SUM_CPU_TIME,SUM_ERRORS,SUM_WARNINGS,SUM_ROWS_AFFECTED,SUM_ROWS_SENT,SUM_ROWS_EXAMINED,SUM_CREATED_TMP_DISK_TABLES,SUM_CREATED_TMP_TABLES,SUM_SORT_MERGE_PASSES,SUM_SORT_ROWS,SUM_NO_INDEX_USED";
const OLD_NUMBERS: &str = "COUNT_STAR,SUM_TIMER_WAIT,0,0,SUM_ERRORS,SUM_WARNINGS,SUM_ROWS_AFFECTED,SUM_ROWS_SENT,SUM_ROWS_EXAMINED,SUM_CREATED_TMP_DISK_TABLES,SUM_CREATED_TMP_TABLES,SUM_SORT_MERGE_PASSES,SUM_SORT_ROWS,SUM_NO_INDEX_USED";
const METRICS: &[Metric] = &[
    Metric(
        Desc::counter("mysql_perf_schema_events_statements_total", "The total count of events statements by digest."),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_seconds_total",
            "The total time of events statements by digest.",
        ),
        PICO,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_lock_time_seconds_total",
            "The total lock time of events statements by digest.",
        ),
        PICO,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_cpu_time_seconds_total",
            "The total cpu time of events statements by digest.",
        ),
        PICO,
    ),
    Metric(
        Desc::counter("mysql_perf_schema_events_statements_errors_total", "The errors of events statements by digest."),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_warnings_total",
            "The warnings of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_rows_affected_total",
            "The total rows affected of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_rows_sent_total",
            "The total rows sent of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_rows_examined_total",
            "The total rows examined of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_tmp_disk_tables_total",
            "The total tmp disk tables of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_tmp_tables_total",
            "The total tmp tables of events statements by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_sort_merge_passes_total",
            "The total number of merge passes by the sort algorithm performed by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_sort_rows_total",
            "The total number of sorted rows by digest.",
        ),
        1.0,
    ),
    Metric(
        Desc::counter(
            "mysql_perf_schema_events_statements_no_index_used_total",
            "The total number of statements that used full table scans by digest.",
        ),
        1.0,
    ),
];
const LATENCY: Desc =
    Desc::summary("mysql_perf_schema_events_statements_latency", "A summary of statement latency by digest");
