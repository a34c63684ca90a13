//! `info_schema.query_response_time`: MariaDB's and Percona Server's histogram of statement times.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd, number};
use crate::server::Server;
use exposition::{Bucket, Desc, Histogram, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.query_response_time",
    switch: Flag::switch_on(
        "collect.info_schema.query_response_time",
        "Collect query response time distribution if query_response_time_stats is ON.",
    ),
    min: 5.5,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(QueryResponseTime),
};

struct QueryResponseTime;

impl Collect for QueryResponseTime {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        // Neither MySQL nor Percona Server 8.0 has it: nothing is asked there.
        let possible = server.mariadb || server.percona() && !server.at_least(8, 0, 0);
        let tables = if server.percona() { &TABLES[..] } else { &TABLES[..1] };
        Box::new(Times { variable: possible, on: false, tables, reading: None, histogram: Histogram::default() })
    }
}

struct Times {
    /// Whether the variable is still to be asked.
    variable: bool,
    on: bool,
    /// Tables still to be asked.
    tables: &'static [(&'static str, Desc)],
    /// The table that is being read.
    reading: Option<&'static (&'static str, Desc)>,
    histogram: Histogram,
}

impl Run for Times {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        if std::mem::take(&mut self.variable) {
            return Some(Cow::Borrowed("SELECT @@query_response_time_stats"));
        }
        let (next, rest) = self.tables.split_first().filter(|_| self.on)?;
        self.tables = rest;
        self.reading = Some(next);
        Some(Cow::Borrowed(next.0))
    }

    fn row(&mut self, cells: Cells<'_>, _: &mut Part) -> Result<(), Odd> {
        if self.reading.is_none() {
            self.on = matches!(cells.text(0), b"1" | b"ON");
            return Ok(());
        }
        let count = cells.count(1)?.as_f64() as u64;
        let total = number(cells.text(2).trim_ascii()).map_or(0.0, exposition::Value::as_f64);
        self.histogram.count += count;
        self.histogram.sum += total;
        // "TOO LONG" is the part of +Inf that has no bound of its own.
        if let Some(le) = number(cells.text(0).trim_ascii()) {
            self.histogram.buckets.push(Bucket { le: le.as_f64(), cumulative: self.histogram.count });
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Part) -> Result<(), String> {
        let histogram = std::mem::take(&mut self.histogram);
        if let Some((_, desc)) = self.reading.take() {
            out.family(desc).histogram(&[], histogram);
        }
        Ok(())
    }

    fn refused(&mut self, _: u16) -> bool {
        // No such variable: the server has no such statistics. Of the tables only the first must be there.
        let first = self.reading.take().is_some_and(|(sql, _)| *sql == TABLES[0].0);
        !first
    }
}

const TABLES: [(&str, Desc); 3] = [
    (
        "SELECT TIME,COUNT,TOTAL FROM information_schema.QUERY_RESPONSE_TIME",
        Desc::histogram(
            "mysql_info_schema_query_response_time_seconds",
            "The number of all queries by duration they took to execute.",
        ),
    ),
    (
        "SELECT TIME,COUNT,TOTAL FROM information_schema.QUERY_RESPONSE_TIME_READ",
        Desc::histogram(
            "mysql_info_schema_read_query_response_time_seconds",
            "The number of read queries by duration they took to execute.",
        ),
    ),
    (
        "SELECT TIME,COUNT,TOTAL FROM information_schema.QUERY_RESPONSE_TIME_WRITE",
        Desc::histogram(
            "mysql_info_schema_write_query_response_time_seconds",
            "The number of write queries by duration they took to execute.",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn rows_cumulate_into_a_histogram() {
        let server = Server::new("10.11.6-MariaDB", "");
        let on: &[&[Option<&str>]] = &[&[Some("1")]];
        let rows: &[&[Option<&str>]] = &[
            &[Some("      0.000001"), Some("2"), Some("      0.000001")],
            &[Some("1000000.000000"), Some("3"), Some("      1.500000")],
            &[Some("TOO LONG"), Some("1"), Some("TOO LONG")],
        ];
        let names = ["TIME", "COUNT", "TOTAL"];
        let (asked, text) = play(&QueryResponseTime, &server, &[Rows(&["v"], on), Rows(&names, rows)]);
        assert_eq!(asked.len(), 2);
        assert_eq!(
            text,
            "mysql_info_schema_query_response_time_seconds_bucket{le=\"1e-06\"} 2\n\
             mysql_info_schema_query_response_time_seconds_bucket{le=\"1e+06\"} 5\n\
             mysql_info_schema_query_response_time_seconds_bucket{le=\"+Inf\"} 6\n\
             mysql_info_schema_query_response_time_seconds_sum 1.500001\n\
             mysql_info_schema_query_response_time_seconds_count 6\n"
        );
        assert!(play(&QueryResponseTime, &Server::new("9.7.4", ""), &[]).0.is_empty());
    }
}
