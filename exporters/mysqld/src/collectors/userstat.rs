//! What the tables of `userstat=1` have in common: they are asked only where the server fills them.

use super::{Collect, Run};
use crate::cells::{Cells, Odd};
use crate::server::Server;
use exposition::Part;
use std::borrow::Cow;

/// A statement that makes sense only while `userstat` (or `userstat_running`) is on.
pub(crate) struct Userstat {
    pub(crate) sql: &'static str,
    pub(crate) row: fn(Cells<'_>, &mut Part) -> Result<(), Odd>,
}

impl Collect for Userstat {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(UserstatRun { of: self, step: Step::Variable, on: false })
    }
}

struct UserstatRun<'a> {
    of: &'a Userstat,
    step: Step,
    on: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Variable,
    Table,
}

impl Run for UserstatRun<'_> {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        match self.step {
            Step::Variable => Some(Cow::Borrowed(VARIABLE)),
            Step::Table if std::mem::take(&mut self.on) => Some(Cow::Borrowed(self.of.sql)),
            Step::Table => None,
        }
    }

    fn row(&mut self, cells: Cells<'_>, out: &mut Part) -> Result<(), Odd> {
        match self.step {
            Step::Variable => {
                self.on |= !cells.text(1).eq_ignore_ascii_case(b"OFF");
                Ok(())
            }
            Step::Table => (self.of.row)(cells, out),
        }
    }

    fn end(&mut self, _: &mut Part) -> Result<(), String> {
        self.step = Step::Table;
        Ok(())
    }
}

const VARIABLE: &str = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('userstat','userstat_running')";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn the_table_is_asked_only_where_it_is_filled() {
        let table = Userstat { sql: "T", row: |_, _| Ok(()) };
        let server = Server::new("10.11.6-MariaDB", "");
        let names = ["Variable_name", "Value"];
        let asked = |value| play(&table, &server, &[Rows(&names, value), Rows(&[], &[])]).0.len();
        assert_eq!(asked(&[&[Some("userstat"), Some("ON")]]), 2);
        assert_eq!(asked(&[&[Some("userstat"), Some("OFF")]]), 1);
        assert_eq!(asked(&[]), 1);
    }
}
