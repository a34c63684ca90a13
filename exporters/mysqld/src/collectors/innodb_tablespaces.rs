//! `info_schema.innodb_tablespaces`: InnoDB's tablespaces and their sizes.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::{Desc, Part};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "info_schema.innodb_tablespaces",
    switch: Flag::switch(
        "collect.info_schema.innodb_tablespaces",
        "Collect metrics from information_schema.innodb_sys_tablespaces",
    ),
    min: 5.7,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Tablespaces),
};

struct Tablespaces;

impl Collect for Tablespaces {
    fn start<'a>(&'a self, server: &'a Server) -> Box<dyn Run + 'a> {
        let new = !server.mariadb && server.at_least(8, 0, 0);
        Box::new(TablespacesRun { next: Some(if new { NEW } else { OLD }), other: Some(if new { OLD } else { NEW }) })
    }
}

struct TablespacesRun {
    next: Option<&'static str>,
    /// The table's other name, for a server whose version tells the wrong one.
    other: Option<&'static str>,
}

impl Run for TablespacesRun {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        self.next.take().map(Cow::Borrowed)
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        let column = |name: &str| cells.find(name).ok_or(Odd);
        let name = cells.text(column("NAME")?);
        let space = cells.number(column("SPACE")?)?;
        let (size, allocated) = (cells.number(column("FILE_SIZE")?)?, cells.number(column("ALLOCATED_SIZE")?)?);
        // Upstream selects the column's name as a text, not the column.
        let format: &[u8] = if cells.find("FILE_FORMAT").is_some() { b"FILE_FORMAT" } else { b"NONE" };
        // NULL is a word; a column that is not there is an empty label.
        let or_none = |name: &str| cells.find(name).map_or(&b""[..], |i| cells.get(i).unwrap_or(b"NONE"));
        out.family(&INFO).sample(
            &[
                ("file_format", format),
                ("row_format", or_none("ROW_FORMAT")),
                ("space_type", or_none("SPACE_TYPE")),
                ("tablespace_name", name),
            ],
            space,
        );
        let label = [("tablespace_name", name)];
        out.family(&FILE_SIZE).sample(&label, size);
        out.family(&ALLOCATED).sample(&label, allocated);
        Ok(())
    }

    fn refused(&mut self, code: u16) -> bool {
        self.next = self.other.take().filter(|_| code == ER_UNKNOWN_TABLE);
        self.next.is_some()
    }
}

const NEW: &str = "SELECT * FROM information_schema.INNODB_TABLESPACES";
const OLD: &str = "SELECT * FROM information_schema.INNODB_SYS_TABLESPACES";
const ER_UNKNOWN_TABLE: u16 = 1109;
const INFO: Desc =
    Desc::gauge("mysql_info_schema_innodb_tablespace_space_info", "The Tablespace information and Space ID.");
const FILE_SIZE: Desc = Desc::gauge(
    "mysql_info_schema_innodb_tablespace_file_size_bytes",
    "The apparent size of the file, which represents the maximum size of the file, uncompressed.",
);
const ALLOCATED: Desc = Desc::gauge(
    "mysql_info_schema_innodb_tablespace_allocated_size_bytes",
    "The actual size of the file, which is the amount of space allocated on disk.",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_table_is_asked_once() {
        let server = Server::new("10.11.6-MariaDB", "");
        let mut run = Tablespaces.start(&server);
        assert_eq!(run.ask().as_deref(), Some(OLD));
        assert!(run.refused(ER_UNKNOWN_TABLE));
        assert_eq!(run.ask().as_deref(), Some(NEW));
        assert!(!run.refused(ER_UNKNOWN_TABLE));
        assert_eq!(run.ask(), None);
    }
}
