//! Runs the statements of many collectors over one connection in few round trips: those of one round go as one packet
//! and are answered in order.

use crate::cells::Cells;
use crate::collectors::{Collect, Entry, Run};
use crate::server::Server;
use exposition::Part;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, ServerError};
use std::borrow::Cow;
use std::time::Duration;
use tokio::time::Instant;

/// One collector's run and what came of it.
pub(crate) struct Job<'a> {
    pub(crate) entry: &'static Entry,
    collect: &'a dyn Collect,
    server: &'a Server,
    run: Box<dyn Run + 'a>,
    /// The statement that waits for an answer.
    sql: Option<Cow<'static, str>>,
    /// Whether that statement has been sent in a packet of its own, and not been answered.
    pub(crate) underway: bool,
    /// Whether its statements go in packets of their own.
    pub(crate) alone: bool,
    /// Whether it overran an earlier scrape.
    pub(crate) slow: bool,
    pub(crate) part: Part,
    /// Rows that were left out.
    pub(crate) odd: u64,
    pub(crate) took: Duration,
    pub(crate) outcome: Option<Result<(), Failure>>,
}

/// Why a collector failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("error {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("not finished before the scrape's deadline")]
    Deadline,
    #[error("{0}")]
    Content(String),
}

impl<'a> Job<'a> {
    /// A run that has not begun.
    pub(crate) fn new(entry: &'static Entry, collect: &'a dyn Collect, server: &'a Server, part: Part) -> Self {
        let run = collect.start(server);
        let mut job = Self {
            entry,
            collect,
            server,
            run,
            sql: None,
            underway: false,
            alone: false,
            slow: false,
            part,
            odd: 0,
            took: Duration::ZERO,
            outcome: None,
        };
        job.go_on();
        job
    }

    /// Has the run say what comes next: a statement, or the end.
    fn go_on(&mut self) {
        self.underway = false;
        self.sql = self.run.ask();
        if self.sql.is_none() {
            self.outcome = Some(Ok(()));
        }
    }

    /// Forgets what it has: half of a result is worse than none.
    fn fail(&mut self, failure: Failure) {
        self.part.clear();
        self.odd = 0;
        self.outcome = Some(Err(failure));
    }

    /// Begins again, in packets of its own.
    fn restart_alone(&mut self) {
        self.part.clear();
        self.odd = 0;
        self.alone = true;
        self.run = self.collect.start(self.server);
        self.go_on();
    }

    fn ended(&mut self) {
        match self.run.end(&mut self.part) {
            Ok(()) => self.go_on(),
            Err(text) => self.fail(Failure::Content(text)),
        }
    }

    fn refused(&mut self, error: ServerError) {
        self.alone = true;
        if self.run.refused(error.code) {
            self.go_on();
        } else {
            self.fail(Failure::Refused { code: error.code, message: error.message });
        }
    }
}

/// How the conversation goes; kept outside, so that it is there when time runs out.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// When the server first answered in this scrape.
    pub(crate) first: Option<Instant>,
}

/// Runs all jobs to their end. An error is the connection's: what has no outcome then was not finished.
///
/// `greet`: hear from the server first, which tells a slow statement from a dead server.
/// `batch`: whether statements may share packets.
pub(crate) async fn drive(
    conn: &mut Conn,
    jobs: &mut [Job<'_>],
    heard: &mut Heard,
    greet: bool,
    batch: bool,
) -> Result<(), Error> {
    if greet {
        conn.ping().await?;
        heard.first.get_or_insert_with(Instant::now);
    }
    loop {
        let round = next_round(jobs, batch);
        if round.is_empty() {
            return Ok(());
        }
        ask(conn, jobs, &round, heard).await?;
    }
}

/// Whose statements go next: all that may share a packet, or else one that may not.
fn next_round(jobs: &[Job<'_>], batch: bool) -> Vec<usize> {
    let waiting: Vec<usize> = (0..jobs.len()).filter(|&i| jobs[i].outcome.is_none()).collect();
    let mut round: Vec<usize> = waiting.iter().copied().filter(|&i| batch && !jobs[i].alone).collect();
    if round.is_empty() {
        // What overran an earlier scrape comes last, and costs no other collector its turn.
        round.extend(waiting.iter().find(|&&i| !jobs[i].slow).or(waiting.first()));
    }
    round
}

/// Sends the statements of a round as one packet and reads their answers.
async fn ask(conn: &mut Conn, jobs: &mut [Job<'_>], round: &[usize], heard: &mut Heard) -> Result<(), Error> {
    let mut sql = String::new();
    for (k, &i) in round.iter().enumerate() {
        if k > 0 {
            sql.push(';');
        }
        sql.push_str(jobs[i].sql.as_deref().unwrap_or_default());
    }
    if let [only] = round {
        jobs[*only].underway = true;
    }
    let mut since = Instant::now();
    let mut result = match conn.query_iter(sql).await {
        Ok(result) => result,
        Err(Error::Server(e)) => {
            heard.first.get_or_insert_with(Instant::now);
            first_refused(jobs, round, e);
            return Ok(());
        }
        Err(e) => return Err(e),
    };
    heard.first.get_or_insert_with(Instant::now);
    let mut latest = Instant::now();
    for &i in round {
        loop {
            let job = &mut jobs[i];
            match result.next().await {
                Ok(Some(row)) => {
                    latest = Instant::now();
                    if job.run.row(Cells::Row(&row), &mut job.part).is_err() {
                        job.odd += 1;
                    }
                }
                Ok(None) => {
                    // The driver has waited for the next result's head by now: that time is the next statement's.
                    job.took += latest - since;
                    since = latest;
                    latest = Instant::now();
                    job.ended();
                    break;
                }
                // The server goes no further in this packet: the statements behind it are asked again.
                Err(Error::Server(e)) => {
                    job.took += since.elapsed();
                    job.refused(e);
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
    }
    Ok(())
}

/// The first statement of a packet was refused. A proxy that takes one statement a packet says "syntax error".
fn first_refused(jobs: &mut [Job<'_>], round: &[usize], error: ServerError) {
    let Some(&first) = round.first() else { return };
    if error.code == ER_PARSE_ERROR && round.len() > 1 {
        for &i in round {
            jobs[i].restart_alone();
        }
    } else {
        jobs[first].refused(error);
    }
}

const ER_PARSE_ERROR: u16 = 1064;
