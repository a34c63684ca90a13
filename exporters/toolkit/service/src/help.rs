//! `--help` as kingpin lays it out: two columns, 80 wide.

use crate::flags::{Flag, FlagKind};
use crate::program::{Arg, Command, Program};
use std::fmt::Write as _;

/// The help of a program, or of one of its subcommands.
pub(crate) fn text(program: &Program, all: &[Flag], command: Option<&Command>) -> String {
    let mut out = String::new();
    let name = program.name;
    match command {
        Some(c) => {
            let operands: String = c.args.iter().map(operand).collect();
            let _ = writeln!(out, "usage: {name} {} [<flags>]{operands}\n\n{}\n", c.name, c.about);
        }
        None if program.commands.iter().any(|c| !c.hidden) => {
            let _ = writeln!(out, "usage: {name} [<flags>] [<command>]\n\n{}\n", program.about);
        }
        None => {
            let _ = writeln!(out, "usage: {name} [<flags>]\n\n{}\n", program.about);
        }
    }
    out.push_str("Flags:\n");
    let mut rows = vec![("-h, --help".to_owned(), "Show context-sensitive help.".to_owned())];
    let own = command.map_or(&[][..], |c| c.flags);
    rows.extend(own.iter().chain(all).filter(|f| !f.hidden).map(row));
    rows.push(("    --version".to_owned(), "Show application version.".to_owned()));
    columns(&mut out, &rows);
    match command {
        Some(c) if !c.args.is_empty() => {
            out.push_str("\nArgs:\n");
            let rows: Vec<_> = c.args.iter().map(|a| (format!("<{}>", a.name), a.about.to_owned())).collect();
            columns(&mut out, &rows);
        }
        None if program.commands.iter().any(|c| !c.hidden) => {
            out.push_str("\nCommands:\n");
            let shown = program.commands.iter().filter(|c| !c.hidden);
            let rows: Vec<_> = shown.map(|c| (c.name.to_owned(), c.about.to_owned())).collect();
            columns(&mut out, &rows);
        }
        _ => {}
    }
    out
}

fn operand(arg: &Arg) -> String {
    let many = if arg.many { "..." } else { "" };
    if arg.required { format!(" <{}>{many}", arg.name) } else { format!(" [<{}>{many}]", arg.name) }
}

fn row(flag: &Flag) -> (String, String) {
    let Flag { name, default, help, .. } = flag;
    let mut left = format!("    --{name}");
    match flag.kind {
        FlagKind::Bool => left = format!("    --[no-]{name}"),
        FlagKind::Text => {
            let _ = write!(left, "={default:?}");
        }
        FlagKind::Regex if !default.is_empty() => {
            let _ = write!(left, "={default:?}");
        }
        _ if default.is_empty() => {
            let _ = write!(left, "={}", name.to_uppercase());
        }
        _ => {
            let _ = write!(left, "={default}");
        }
    }
    if flag.kind == FlagKind::Texts {
        left.push_str(" ...");
    }
    let mut right = (*help).to_owned();
    if let Some(variable) = flag.env {
        let _ = write!(right, " ({variable})");
    }
    (left, right)
}

/// Two columns: the left one as wide as its widest cell below [`NARROW`]; wider cells get a line of their own.
fn columns(out: &mut String, rows: &[(String, String)]) {
    let wide = |cell: &str| cell.chars().count();
    let left = rows.iter().map(|(cell, _)| wide(cell)).filter(|&n| n < NARROW).max().unwrap_or(0);
    let indent = left + 4;
    for (cell, text) in rows {
        let _ = write!(out, "  {cell:left$}  ");
        if wide(cell) >= NARROW {
            let _ = write!(out, "\n{:indent$}", "");
        }
        for (i, line) in wrap(text, WIDTH - indent).iter().enumerate() {
            if i > 0 {
                let _ = write!(out, "{:indent$}", "");
            }
            out.push_str(line);
            out.push('\n');
        }
    }
}

/// Breaks at spaces; a word longer than a line keeps to itself.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const WIDTH: usize = 80;
const NARROW: usize = 30;
