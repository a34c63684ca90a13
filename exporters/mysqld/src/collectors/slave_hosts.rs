//! `slave_hosts`: the replicas that have registered with this server.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "slave_hosts",
    switch: Flag::switch("collect.slave_hosts", "Scrape information from 'SHOW SLAVE HOSTS'"),
    min: 5.1,
    flags: &[],
    needs: Right::Replicas,
    build: |_| Box::new(SlaveHosts),
};

struct SlaveHosts;

impl Collect for SlaveHosts {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        let new = !server.mariadb && server.at_least(8, 4, 0);
        let (next, other) = if new { (NEW, OLD) } else { (OLD, NEW) };
        Box::new(Hosts { next: Some(next), other: Some(other) })
    }
}

struct Hosts {
    next: Option<&'static str>,
    /// For a server whose version tells the wrong statement.
    other: Option<&'static str>,
}

impl Run for Hosts {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.next.take().map(Cow::Borrowed)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let (master, uuid) = match cells.len() {
            4 => (3, &b""[..]),
            5 if is_uuid(cells.text(4)) => (3, cells.text(4)),
            5 => (4, &b""[..]),
            _ => return Err(Odd),
        };
        out.family(&HOST).sample(
            &[
                ("master_id", cells.text(master)),
                ("port", cells.text(2)),
                ("server_id", cells.text(0)),
                ("slave_host", cells.text(1)),
                ("slave_uuid", uuid),
            ],
            1u64,
        );
        Ok(())
    }

    fn refused(&mut self, code: u16) -> bool {
        self.next = self.other.take().filter(|_| code == ER_PARSE_ERROR);
        self.next.is_some()
    }
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

const OLD: &str = "SHOW SLAVE HOSTS";
const NEW: &str = "SHOW REPLICAS";
const ER_PARSE_ERROR: u16 = 1064;
const HOST: Desc = Desc::gauge("mysql_heartbeat_mysql_slave_hosts_info", "Information about running slaves");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn columns_differ_from_server_to_server() {
        let line = |master, uuid| {
            format!(
                "mysql_heartbeat_mysql_slave_hosts_info\
                 {{master_id=\"{master}\",port=\"3306\",server_id=\"2\",slave_host=\"h\",slave_uuid=\"{uuid}\"}} 1\n"
            )
        };
        let uuid = "26b33640-e67a-11f1-a73b-02fc00000001";
        for (row, expected) in [
            (&["2", "h", "3306", "1"][..], line("1", "")),
            (&["2", "h", "3306", "1", uuid], line("1", uuid)),
            (&["2", "h", "3306", "0", "1"], line("1", "")),
            (&["2", "h"], String::new()),
        ] {
            let cells: Vec<Option<&str>> = row.iter().map(|c| Some(*c)).collect();
            let rows: &[&[Option<&str>]] = &[&cells];
            assert_eq!(play(&SlaveHosts, &Server::new("9.7.4", ""), &[Rows(&[""; 5], rows)]).1, expected);
        }
    }
}
