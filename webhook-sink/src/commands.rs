//! `check`, `backup` and `render`: what is done beside serving.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;

use service::{Arg, Command, Flag, Flags};

use crate::app::{CONFIG, external};
use crate::deliver::config::{Config, Kind};
use crate::deliver::note::{Note, Templates};
use crate::message::Message;
use crate::store::Place;
use crate::store::sql::{Connection, StoreError};
use crate::store::sqlite::findings::{self, Findings};
use crate::store::sqlite::{FILE, Sqlite, copy};

const TEMPLATE: Flag =
    Flag::text("template", "", "Name of a template of --config.file; the built-in one if not given.");
const FOR: Flag = Flag::text("for", "slack", "Type of target whose escaping and size limit apply.");
const FUNCTIONS: Flag =
    Flag::switch("functions", "Print the functions that templates have, as a table, and read nothing.");
const COPY: Arg = Arg { name: "FILE", about: "The copy to write; must not exist.", required: true, many: false };

/// All of them.
pub(crate) fn all() -> Vec<Command> {
    vec![
        Command::new(
            "check",
            "Check the integrity of database and journal; exit code 1 when something is wrong.",
            |flags, _| report(check(flags)),
        ),
        Command::new(
            "backup",
            "Write a copy with every acknowledged delivery, also while the sink runs.",
            |flags, operands| report(backup(flags, operands.first().map_or("", String::as_str))),
        )
        .args(&[COPY]),
        Command::new("render", "Print what a template makes of a notification on standard input.", |flags, _| {
            report(render(flags))
        })
        .flags(&[TEMPLATE, FOR, FUNCTIONS]),
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

fn check(flags: &Flags) -> Result<String, String> {
    let place = Place::of(flags).map_err(|e| e.to_string())?;
    let said = |e: StoreError| format!("{place}: {e}");
    match &place {
        Place::Directory(dir) => {
            if !dir.join(FILE).exists() {
                return Err(format!("{place}: no database is there"));
            }
            let mut db = Sqlite::read(dir).map_err(said)?;
            let db: &mut dyn Connection = &mut db;
            let mut wrong = db.all("PRAGMA integrity_check(20)", &[], |row| row.text(0)).map_err(said)?;
            wrong.retain(|line| line != "ok");
            let mut journal = findings::look(dir, db).map_err(said)?;
            wrong.append(&mut journal.wrong);
            compare(db, wrong).map_err(said).map(|done| done.map(|text| with_journal(text, &journal)))
        }
        Place::Server(server) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = runtime.map_err(|e| format!("starting a runtime: {e}"))?;
            let mut db = server.connect(runtime.handle()).map_err(said)?;
            compare(&mut db, Vec::new()).map_err(said)
        }
    }?
}

/// Adds what the journal has beyond the database.
fn with_journal(mut text: String, journal: &Findings) -> String {
    if journal.only_here > 0 {
        let _ = write!(text, ", {} more in the journal, on their way into the database", journal.only_here);
    }
    for note in &journal.notes {
        let _ = write!(text, "; {note}");
    }
    text
}

/// Looks for rows that belong to nothing.
fn compare(db: &mut dyn Connection, mut wrong: Vec<String>) -> Result<Result<String, String>, StoreError> {
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
            "groups that are there twice",
            "SELECT count(*) FROM (SELECT 1 FROM groups GROUP BY receiver, group_key HAVING count(*) > 1) AS twice",
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
        let n = db.int(sql, &[])?.unwrap_or(0);
        if n != 0 {
            wrong.push(format!("{n} {what}"));
        }
    }
    let n = db.int("SELECT count(*) FROM deliveries", &[])?.unwrap_or(0);
    Ok(if wrong.is_empty() { Ok(format!("ok: {n} deliveries")) } else { Err(wrong.join("; ")) })
}

fn backup(flags: &Flags, file: &str) -> Result<String, String> {
    if Path::new(file).exists() {
        return Err(format!("{file} is there already"));
    }
    let place = Place::of(flags).map_err(|e| e.to_string())?;
    let Place::Directory(dir) = &place else {
        return Err(format!("{place}: PostgreSQL has tools of its own for this, such as pg_dump"));
    };
    if !dir.join(FILE).exists() {
        return Err(format!("{place}: no database is there"));
    }
    let copied = copy::copy(dir, Path::new(file)).map_err(|e| format!("{place}: {e}"))?;
    Ok(format!("written: {file}, {} deliveries, {} of them from the journal", copied.deliveries, copied.from_journal))
}

fn render(flags: &Flags) -> Result<String, String> {
    if flags.on(FUNCTIONS.name) {
        return Ok(crate::deliver::functions::table().trim_end().to_owned());
    }
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
    templates.render(kind, template, &Note::of(&message, 0, false, &external(flags)?), crate::deliver::limit(kind))
}
