//! `heartbeat`: the row that pt-heartbeat writes.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "heartbeat",
    switch: Flag::switch("collect.heartbeat", "Collect from heartbeat"),
    min: 5.1,
    flags: &[DATABASE, TABLE, UTC],
    needs: Right::Select("heartbeat.*"),
    build: |flags| {
        let name = |flag: &Flag| flags.text(flag.name).replace('`', "``");
        let now = if flags.on(UTC.name) { "UTC_TIMESTAMP(6)" } else { "NOW(6)" };
        let sql = format!(
            "SELECT server_id,UNIX_TIMESTAMP({now}),UNIX_TIMESTAMP(ts) FROM `{}`.`{}`",
            name(&DATABASE),
            name(&TABLE)
        );
        Box::new(Heartbeat { sql })
    },
};

const DATABASE: Flag =
    Flag::text("collect.heartbeat.database", "heartbeat", "Database from where to collect heartbeat data");
const TABLE: Flag = Flag::text("collect.heartbeat.table", "heartbeat", "Table from where to collect heartbeat data");
const UTC: Flag = Flag::switch(
    "collect.heartbeat.utc",
    "Use UTC for timestamps of the current server (`pt-heartbeat` is called with `--utc`)",
);

struct Heartbeat {
    sql: String,
}

impl Collect for Heartbeat {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(HeartbeatRun { sql: Some(self.sql.clone()) })
    }
}

struct HeartbeatRun {
    sql: Option<String>,
}

impl Run for HeartbeatRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.sql.take().map(Cow::Owned)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let label = [("server_id", cells.text(0))];
        let (now, stored) = (cells.number(1)?, cells.number(2)?);
        out.family(&NOW).sample(&label, now);
        out.family(&STORED).sample(&label, stored);
        Ok(())
    }
}

const NOW: Desc = Desc::gauge("mysql_heartbeat_now_timestamp_seconds", "Timestamp of the current server.");
const STORED: Desc =
    Desc::gauge("mysql_heartbeat_stored_timestamp_seconds", "Timestamp stored in the heartbeat table.");
