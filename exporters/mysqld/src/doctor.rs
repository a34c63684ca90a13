//! `doctor`: what server this is, which collectors work there, and the grants that are missing.

use crate::accounts::CLIENT;
use crate::collectors::{ALL, Entry, Right};
use crate::drive::{Failure, Heard, Job, drive};
use crate::pages::{account_source, from_environment, session_settings};
use crate::server::Server;
use crate::session::Session;
use exposition::Part;
use mysql_async::prelude::Queryable;
use service::Flags;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Runs the subcommand: prints its report, fails if something that is switched on does not work.
pub(crate) fn run(flags: &Flags) -> ExitCode {
    let report = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("starting the async runtime: {e}"))
        .and_then(|runtime| runtime.block_on(report(flags)));
    match report {
        Ok(Report { text, good }) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            let _ = writeln!(std::io::stderr(), "error: {e}");
            ExitCode::FAILURE
        }
    }
}

struct Report {
    text: String,
    good: bool,
}

async fn report(flags: &Flags) -> Result<Report, String> {
    let accounts = account_source(flags).load(&from_environment).map_err(|e| e.to_string())?;
    let (name, account) = accounts
        .get_key_value(CLIENT)
        .or_else(|| accounts.first_key_value())
        .ok_or("there is no account to connect as")?;
    let deadline = Instant::now() + PATIENCE;
    let settings = session_settings(flags).map_err(|e| e.to_string())?;
    let mut session = Session::open(account, &settings, deadline)
        .await
        .map_err(|e| format!("cannot connect to {} as {:?} (account [{name}]): {e}", account.address, account.user))?;
    let server = std::sync::Arc::clone(&session.server);
    let mut text = format!(
        "{} {} {} at {}, as {:?}\n\n",
        server.flavour(),
        server.version,
        server.comment,
        account.address,
        account.user
    );
    let mut good = true;
    let mut missing: Vec<Right> = Vec::new();
    for entry in ALL {
        let on = flags.on(entry.switch.name);
        let (mark, verdict) = try_collector(&mut session, &server, entry, flags, on, &mut missing).await;
        good &= mark != "FAIL";
        let switch = if on { "on" } else { "off" };
        let _ = writeln!(text, "{mark:<5}{:<50} {switch:<4} {verdict}", entry.name);
    }
    let who: Option<String> = session.conn.query_first("SELECT CURRENT_USER()").await.ok().flatten();
    session.close().await;
    if !missing.is_empty() {
        let who = who.as_deref().map_or_else(|| "'exporter'@'%'".to_owned(), quoted_account);
        let _ = write!(text, "\nmissing rights; run as an administrator:\n");
        for statement in grants(&missing, &server, &who) {
            let _ = writeln!(text, "  {statement}");
        }
    }
    Ok(Report { text, good })
}

async fn try_collector(
    session: &mut Session,
    server: &Server,
    entry: &'static Entry,
    flags: &Flags,
    on: bool,
    missing: &mut Vec<Right>,
) -> (&'static str, String) {
    if !server.meets(entry.min) {
        return ("-", format!("not asked: the server is older than {}", entry.min));
    }
    let collect = (entry.build)(flags);
    let mut jobs = [Job::new(entry, &*collect, server, Part::new())];
    let begun = Instant::now();
    let driven =
        timeout_at(begun + PATIENCE, drive(&mut session.conn, &mut jobs, &mut Heard::default(), false, false)).await;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let [job] = jobs;
    let error = match (driven, job.outcome) {
        (Ok(Ok(())), Some(Ok(()))) => {
            return match job.part.len() {
                0 => ("-", "works, the server has nothing to show".to_owned()),
                n => ("ok", format!("works, {n} samples in {took:.1} ms")),
            };
        }
        (Ok(Ok(())), Some(Err(e))) => e,
        (Ok(Err(e)), _) => Failure::Lost(e.to_string()),
        (Ok(Ok(())), None) | (Err(_), _) => Failure::Deadline,
    };
    let denied = matches!(error, Failure::Refused { code, .. } if DENIED.contains(&code));
    if denied && !missing.contains(&entry.needs) {
        missing.push(entry.needs);
    }
    (if on { "FAIL" } else { "fail" }, format!("fails: {error}"))
}

/// The statements that give what is missing, each right once.
fn grants(missing: &[Right], server: &Server, who: &str) -> Vec<String> {
    let mut global: Vec<&str> = Vec::new();
    let mut objects: Vec<&str> = Vec::new();
    for right in missing {
        let name = match (right, server.mariadb && server.at_least(10, 5, 0)) {
            (Right::None, _) => continue,
            (Right::Process, _) => "PROCESS",
            (Right::ReplicationStatus, true) => "SLAVE MONITOR",
            (Right::BinaryLogs, true) => "BINLOG MONITOR",
            (Right::Replicas, true) => "REPLICATION MASTER ADMIN",
            (Right::ReplicationStatus | Right::BinaryLogs, false) => "REPLICATION CLIENT",
            (Right::Replicas, false) => "REPLICATION SLAVE",
            (Right::Select(on), _) => {
                objects.extend(on.split(", ").filter(|o| !objects.contains(o)).collect::<Vec<_>>());
                continue;
            }
        };
        if !global.contains(&name) {
            global.push(name);
        }
    }
    let mut statements = Vec::new();
    if !global.is_empty() {
        statements.push(format!("GRANT {} ON *.* TO {who};", global.join(", ")));
    }
    if objects.contains(&"*.*") {
        objects = vec!["*.*"];
    }
    statements.extend(objects.iter().map(|on| format!("GRANT SELECT ON {on} TO {who};")));
    statements
}

/// `user@host` as GRANT wants it.
fn quoted_account(account: &str) -> String {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!("{}@{}", quoted(user), quoted(host))
}

/// ER_DBACCESS_DENIED_ERROR, ER_TABLEACCESS_DENIED_ERROR, ER_COLUMNACCESS_DENIED_ERROR,
/// ER_SPECIFIC_ACCESS_DENIED_ERROR, and the view's and routine's ways of saying so.
const DENIED: [u16; 6] = [1044, 1142, 1143, 1227, 1356, 1370];
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_have_the_servers_names() {
        let missing = [
            Right::Process,
            Right::ReplicationStatus,
            Right::BinaryLogs,
            Right::Select("sys.*, performance_schema.*"),
            Right::Select("performance_schema.*"),
        ];
        assert_eq!(
            grants(&missing, &Server::new("9.7.4", ""), "'u'@'%'"),
            [
                "GRANT PROCESS, REPLICATION CLIENT ON *.* TO 'u'@'%';",
                "GRANT SELECT ON sys.* TO 'u'@'%';",
                "GRANT SELECT ON performance_schema.* TO 'u'@'%';"
            ]
        );
        assert_eq!(
            grants(&missing[1..3], &Server::new("10.11.6-MariaDB", ""), "'u'@'%'"),
            ["GRANT SLAVE MONITOR, BINLOG MONITOR ON *.* TO 'u'@'%';"]
        );
        assert_eq!(quoted_account("o'x@10.%"), "'o''x'@'10.%'");
    }
}
