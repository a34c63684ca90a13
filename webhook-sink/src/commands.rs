//! `check`, `backup` and `render`: what is done beside serving.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use service::{Arg, Command, Flag, Flags};

use crate::app::{CONFIG, STORAGE_PATH};
use crate::deliver::config::{Config, Kind};
use crate::deliver::note::{Note, Templates};
use crate::message::Message;
use crate::store::sql::{Connection, StoreError};
use crate::store::sqlite::Sqlite;

const TEMPLATE: Flag =
    Flag::text("template", "", "Name of a template of --config.file; the built-in one if not given.");
const FOR: Flag = Flag::text("for", "slack", "Type of target whose escaping and size limit apply.");
const COPY: Arg = Arg { name: "FILE", about: "The copy to write; must not exist.", required: true, many: false };

/// All of them.
pub(crate) fn all() -> Vec<Command> {
    vec![
        Command::new("check", "Check the database's integrity; exit code 1 when something is wrong.", |flags, _| {
            report(check(flags))
        }),
        Command::new("backup", "Write a copy of the database while it is in use.", |flags, operands| {
            report(backup(flags, operands.first().map_or("", String::as_str)))
        })
        .args(&[COPY]),
        Command::new("render", "Print what a template makes of a notification on standard input.", |flags, _| {
            report(render(flags))
        })
        .flags(&[TEMPLATE, FOR]),
    ]
}

fn report(done: Result<String, String>) -> ExitCode {
    let (code, written) = match done {
        Ok(text) => (ExitCode::SUCCESS, writeln!(std::io::stdout(), "{text}")),
        Err(text) => (ExitCode::FAILURE, writeln!(std::io::stderr(), "webhook-sink: error: {text}")),
    };
    // Nobody reads it: then only the exit code is left.
    let _ = written;
    code
}

fn open(flags: &Flags) -> Result<Sqlite, String> {
    let dir = flags.text(STORAGE_PATH.name);
    Sqlite::read(Path::new(dir)).map_err(|e| format!("--storage.path={dir}: {e}"))
}

fn check(flags: &Flags) -> Result<String, String> {
    let mut db = open(flags)?;
    let db: &mut dyn Connection = &mut db;
    let said = |e: StoreError| e.to_string();
    let mut wrong = db.all("PRAGMA integrity_check(20)", &[], |row| row.text(0)).map_err(said)?;
    wrong.retain(|line| line != "ok");
    for (what, sql) in [
        ("deliveries of another size than they were", "SELECT count(*) FROM deliveries WHERE size <> length(body)"),
        (
            "messages of no delivery",
            "SELECT count(*) FROM messages m LEFT JOIN deliveries d ON d.id = m.delivery_id WHERE d.id IS NULL",
        ),
        (
            "messages of no group",
            "SELECT count(*) FROM messages m LEFT JOIN groups g ON g.id = m.group_id WHERE g.id IS NULL",
        ),
        (
            "members that are no episode",
            "SELECT count(*) FROM members m LEFT JOIN episodes e ON e.id = m.episode_id WHERE e.id IS NULL",
        ),
        ("episodes that cannot be searched", "SELECT (SELECT count(*) FROM episodes) <> (SELECT count(*) FROM search)"),
        (
            "outbox entries of no delivery",
            "SELECT count(*) FROM outbox o LEFT JOIN deliveries d ON d.id = o.delivery_id WHERE d.id IS NULL",
        ),
    ] {
        let n = db.int(sql, &[]).map_err(said)?.unwrap_or(0);
        if n != 0 {
            wrong.push(format!("{n} {what}"));
        }
    }
    let n = db.int("SELECT count(*) FROM deliveries", &[]).map_err(said)?.unwrap_or(0);
    if wrong.is_empty() { Ok(format!("ok: {n} deliveries")) } else { Err(wrong.join("; ")) }
}

fn backup(flags: &Flags, file: &str) -> Result<String, String> {
    if Path::new(file).exists() {
        return Err(format!("{file} is there already"));
    }
    open(flags)?.copy_to(Path::new(file)).map_err(|e| e.to_string())?;
    Ok(format!("written: {file}"))
}

fn render(flags: &Flags) -> Result<String, String> {
    let word = flags.text(FOR.name);
    let kind = Kind::of(word).ok_or_else(|| format!("--for={word}: no such type of target"))?;
    let templates = match flags.text(CONFIG.name) {
        "" => Templates::default(),
        file => Config::read(Path::new(file)).map_err(|e| format!("--config.file: {e}"))?.templates,
    };
    let mut body = Vec::new();
    std::io::stdin().lock().read_to_end(&mut body).map_err(|e| format!("reading standard input: {e}"))?;
    let message = Message::parse(&body).map_err(|e| format!("standard input: {e}"))?;
    let template = Some(flags.text(TEMPLATE.name)).filter(|t| !t.is_empty());
    if let Some(name) = template.filter(|t| !templates.has(t)) {
        return Err(format!("--template={name}: no such template in --config.file"));
    }
    templates.render(kind, template, &Note::of(&message, 0, false, ""), crate::deliver::limit(kind))
}
