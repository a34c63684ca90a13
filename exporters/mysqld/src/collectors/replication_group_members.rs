//! `perf_schema.replication_group_members`: who is in the group, and as what.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "perf_schema.replication_group_members",
    switch: Flag::switch(
        "collect.perf_schema.replication_group_members",
        "Collect metrics from performance_schema.replication_group_members",
    ),
    min: 5.7,
    flags: &[],
    needs: Right::Select("performance_schema.*"),
    build: |_| Box::new(Table { sql: |_| "SELECT * FROM performance_schema.replication_group_members", row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    cells.get(0).ok_or(Odd)?;
    let names: Vec<String> = (0..cells.len()).map(|i| cells.name(i).to_ascii_lowercase()).collect();
    let labels: Vec<(&str, &[u8])> = names.iter().enumerate().map(|(i, n)| (n.as_str(), cells.text(i))).collect();
    out.family(&MEMBER).sample(&labels, 1u64);
    Ok(())
}

const MEMBER: Desc = Desc::gauge(
    "mysql_perf_schema_replication_group_member_info",
    "Information about the replication group member: channel_name, member_id, member_host, member_port, member_state. \
     (member_role and member_version where available)",
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};
    use crate::server::Server;

    #[test]
    fn every_column_is_a_label() {
        let table = Table { sql: |_| "", row };
        let member: &[Option<&str>] = &[Some("group_replication_applier"), Some("ONLINE")];
        let rows = Rows(&["CHANNEL_NAME", "MEMBER_STATE"], &[member]);
        assert_eq!(
            play(&table, &Server::new("9.7.4", ""), &[rows]).1,
            "mysql_perf_schema_replication_group_member_info\
             {channel_name=\"group_replication_applier\",member_state=\"ONLINE\"} 1\n"
        );
    }
}
