//! `slave_status`: replication, one row for each channel (MySQL) or connection (MariaDB).

use super::{Collect, Entry, Right, Run, push_name};
use crate::cells::{Cells, Odd, number};
use crate::reading::reading;
use crate::server::Server;
use exposition::{Desc, Kind, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "slave_status",
    switch: Flag::switch_on("collect.slave_status", "Collect from SHOW SLAVE STATUS"),
    min: 5.1,
    flags: &[],
    needs: Right::ReplicationStatus,
    build: |_| Box::new(SlaveStatus),
};

struct SlaveStatus;

impl Collect for SlaveStatus {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        // Upstream tries twelve statements until one works: eight of them fail at each scrape of MySQL 8.4. The column
        // names, and so the metrics', are the old ones for as long as the old statement works.
        let sql = if server.mariadb && server.at_least(10, 0, 0) {
            "SHOW ALL SLAVES STATUS"
        } else if server.at_least(8, 4, 0) && !server.mariadb {
            "SHOW REPLICA STATUS"
        } else {
            "SHOW SLAVE STATUS"
        };
        Box::new(Replication { sql: Some(sql), name: String::new() })
    }
}

struct Replication {
    sql: Option<&'static str>,
    name: String,
}

impl Run for Replication {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Borrowed)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let either =
            |new: &str, old: &str| cells.find(new).or_else(|| cells.find(old)).map_or(&b""[..], |i| cells.text(i));
        let labels: [(&str, &[u8]); 4] = [
            ("channel_name", cells.named("Channel_Name")),
            ("connection_name", cells.named("Connection_name")),
            ("master_host", either("Source_Host", "Master_Host")),
            ("master_uuid", either("Source_UUID", "Master_UUID")),
        ];
        for column in 0..cells.len() {
            let Some(text) = cells.get(column) else { continue };
            let name = cells.name(column);
            if let Some(desc) = GTID.iter().find(|(n, _)| name.eq_ignore_ascii_case(n)).map(|(_, d)| d) {
                emit_positions(desc, &labels, text, out);
            } else if let Some(value) = reading(text) {
                self.name.clear();
                self.name.push_str("mysql_slave_status_");
                push_name(&name, &mut self.name);
                out.family_named(&self.name, "Generic metric from SHOW SLAVE STATUS.", Kind::Untyped)
                    .sample(&labels, value);
            }
        }
        Ok(())
    }
}

/// MariaDB's `domain-server-sequence`, parted by commas.
fn emit_positions(desc: &Desc, labels: &[(&str, &[u8]); 4], text: &[u8], out: &mut Part) {
    for position in text.split(|&b| b == b',') {
        let mut fields = position.trim_ascii().split(|&b| b == b'-');
        let (Some(domain), Some(server), Some(sequence), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let Some(sequence) = number(sequence) else { continue };
        let [channel, connection, host, uuid] = *labels;
        out.family(desc)
            .sample(&[channel, connection, ("domain_id", domain), host, uuid, ("server_id", server)], sequence);
    }
}

const GTID: [(&str, Desc); 2] = [
    ("Gtid_IO_Pos", Desc::gauge("mysql_slave_status_gtid_io_pos", "Gtid_IO_Pos metric from SHOW SLAVE STATUS.")),
    (
        "Gtid_Slave_Pos",
        Desc::gauge("mysql_slave_status_gtid_slave_pos", "Gtid_Slave_Pos metric from SHOW SLAVE STATUS."),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn the_statement_follows_the_server() {
        for (version, sql) in [
            ("10.11.6-MariaDB", "SHOW ALL SLAVES STATUS"),
            ("5.7.44", "SHOW SLAVE STATUS"),
            ("8.0.36", "SHOW SLAVE STATUS"),
            ("8.3.0", "SHOW SLAVE STATUS"),
            ("8.4.0", "SHOW REPLICA STATUS"),
            ("9.7.4", "SHOW REPLICA STATUS"),
        ] {
            let server = Server::new(version, "");
            assert_eq!(play(&SlaveStatus, &server, &[]).0, [sql], "{version}");
        }
    }

    #[test]
    fn columns_become_metrics_with_the_channels_labels() {
        let names = [
            "Connection_name",
            "Slave_IO_State",
            "Master_Host",
            "Seconds_Behind_Master",
            "Slave_IO_Running",
            "Gtid_IO_Pos",
            "Gtid_Slave_Pos",
            "Slave_SQL_Running",
        ];
        let row: &[Option<&str>] = &[
            Some("c1"),
            Some("Waiting"),
            Some("h"),
            None,
            Some("Connecting"),
            Some("0-1-391,1-2-7,x"),
            Some(""),
            Some("Yes"),
        ];
        let server = Server::new("10.11.6-MariaDB", "");
        let (_, text) = play(&SlaveStatus, &server, &[Rows(&names, &[row])]);
        let labels = "channel_name=\"\",connection_name=\"c1\"";
        let host = "master_host=\"h\",master_uuid=\"\"";
        assert_eq!(
            text,
            format!(
                "mysql_slave_status_gtid_io_pos{{{labels},domain_id=\"0\",{host},server_id=\"1\"}} 391\n\
                 mysql_slave_status_gtid_io_pos{{{labels},domain_id=\"1\",{host},server_id=\"2\"}} 7\n\
                 mysql_slave_status_slave_io_running{{{labels},{host}}} 0\n\
                 mysql_slave_status_slave_sql_running{{{labels},{host}}} 1\n"
            )
        );
    }
}
