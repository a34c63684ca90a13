//! `binlog_size`: number, size and last of the binary logs.

use super::{Collect, Entry, Right, Run};
use crate::cells::{Cells, Odd, number};
use crate::server::Server;
use exposition::{Desc, Part, Value};
use service::Flag;
use std::borrow::Cow;

pub(crate) const ENTRY: Entry = Entry {
    name: "binlog_size",
    switch: Flag::switch("collect.binlog_size", "Collect the current size of all registered binlog files"),
    min: 5.1,
    flags: &[],
    needs: Right::BinaryLogs,
    build: |_| Box::new(BinlogSize),
};

struct BinlogSize;

impl Collect for BinlogSize {
    fn start<'a>(&'a self, _: &'a Server) -> Box<dyn Run + 'a> {
        Box::new(Logs::default())
    }
}

#[derive(Default)]
struct Logs {
    step: Step,
    on: bool,
    files: u64,
    bytes: f64,
    last: Vec<u8>,
}

#[derive(Default, PartialEq, Eq)]
enum Step {
    #[default]
    Variable,
    Logs,
    Done,
}

impl Run for Logs {
    fn ask(&mut self) -> Option<Cow<'static, str>> {
        match self.step {
            Step::Variable => Some(Cow::Borrowed("SELECT @@log_bin")),
            Step::Logs => self.on.then_some(Cow::Borrowed("SHOW BINARY LOGS")),
            Step::Done => None,
        }
    }

    fn row(&mut self, cells: Cells<'_>, _: &mut Part) -> Result<(), Odd> {
        if self.step == Step::Variable {
            self.on = cells.text(0) == b"1";
            return Ok(());
        }
        self.bytes += cells.count(1)?.as_f64();
        self.files += 1;
        self.last = cells.text(0).to_vec();
        Ok(())
    }

    fn end(&mut self, out: &mut Part) -> Result<(), String> {
        if self.step == Step::Variable {
            self.step = Step::Logs;
            return Ok(());
        }
        self.step = Step::Done;
        let suffix = self.last.split(|&b| b == b'.').nth(1).and_then(number);
        out.family(&SIZE).sample(&[], self.bytes);
        out.family(&FILES).sample(&[], self.files);
        out.family(&NUMBER).sample(&[], suffix.unwrap_or(Value::U64(0)));
        Ok(())
    }
}

const SIZE: Desc = Desc::gauge("mysql_binlog_size_bytes", "Combined size of all registered binlog files.");
const FILES: Desc = Desc::gauge("mysql_binlog_files", "Number of registered binlog files.");
const NUMBER: Desc = Desc::gauge("mysql_binlog_file_number", "The last binlog file number.");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::testing::{Rows, play};

    #[test]
    fn logs_are_added_up() {
        let server = Server::new("9.7.4", "");
        let on: &[&[Option<&str>]] = &[&[Some("1")]];
        let logs: &[&[Option<&str>]] =
            &[&[Some("binlog.000002"), Some("100"), Some("No")], &[Some("binlog.000003"), Some("5"), Some("No")]];
        let (_, text) = play(&BinlogSize, &server, &[Rows(&["v"], on), Rows(&["Log_name", "File_size", "E"], logs)]);
        assert_eq!(text, "mysql_binlog_file_number 3\nmysql_binlog_files 2\nmysql_binlog_size_bytes 105\n");
        let off: &[&[Option<&str>]] = &[&[Some("0")]];
        assert_eq!(play(&BinlogSize, &server, &[Rows(&["v"], off)]).0.len(), 1);
    }
}
