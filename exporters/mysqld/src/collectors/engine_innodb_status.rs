//! `engine_innodb_status`: three numbers out of the text of SHOW ENGINE INNODB STATUS.

use super::{Entry, Right, Table};
use crate::cells::{Cells, Odd, number};
use exposition::{Desc, Part};
use service::Flag;

pub(crate) const ENTRY: Entry = Entry {
    name: "engine_innodb_status",
    switch: Flag::switch("collect.engine_innodb_status", "Collect from SHOW ENGINE INNODB STATUS"),
    min: 5.1,
    flags: &[],
    needs: Right::Process,
    build: |_| Box::new(Table { sql: |_| "SHOW ENGINE INNODB STATUS", row }),
};

fn row(cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
    for line in cells.get(2).ok_or(Odd)?.split(|&b| b == b'\n') {
        let line = line.trim_ascii();
        if let Some(views) = line.strip_suffix(b" read views open inside InnoDB") {
            emit(&VIEWS, views, out);
        } else if let Some(queries) = line.strip_suffix(b" queries in queue") {
            // "0 queries inside InnoDB, 0 queries in queue"
            let Some(comma) = queries.iter().position(|&b| b == b',') else { continue };
            if let Some(inside) = queries[..comma].strip_suffix(b" queries inside InnoDB") {
                emit(&INSIDE, inside, out);
                emit(&QUEUE, queries[comma + 1..].trim_ascii(), out);
            }
        }
    }
    Ok(())
}

fn emit(desc: &Desc, digits: &[u8], out: &mut Part) {
    if let Some(value) = number(digits) {
        out.family(desc).sample(&[], value);
    }
}

const VIEWS: Desc = Desc::gauge("mysql_engine_innodb_read_views_open_inside_innodb", "Read views open inside InnoDB.");
const INSIDE: Desc = Desc::gauge("mysql_engine_innodb_queries_inside_innodb", "Queries inside InnoDB.");
const QUEUE: Desc = Desc::gauge("mysql_engine_innodb_queries_in_queue", "Queries in queue.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};
    use crate::server::Server;
    use proptest::prelude::*;

    fn text_of(status: &str) -> String {
        let table = Table { sql: |_| "", row };
        let row: &[Option<&str>] = &[Some("InnoDB"), Some(""), Some(status)];
        play(&table, &Server::new("9.7.4", ""), &[Rows(&["Type", "Name", "Status"], &[row])]).1
    }

    #[test]
    fn lines_are_found() {
        let status = "ROW OPERATIONS\n--------------\n3 queries inside InnoDB, 4 queries in queue\n\
            5 read views open inside InnoDB\nProcess ID=1\n";
        assert_eq!(
            text_of(status),
            "mysql_engine_innodb_queries_in_queue 4\n\
             mysql_engine_innodb_queries_inside_innodb 3\n\
             mysql_engine_innodb_read_views_open_inside_innodb 5\n"
        );
        assert_eq!(text_of("x read views open inside InnoDB\n"), "");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: String, line in "[0-9]{0,3},? queries in(side InnoDB|, | queue)*") {
            text_of(&text);
            text_of(&line);
        }
    }
}
