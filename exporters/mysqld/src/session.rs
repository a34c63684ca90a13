//! One connection to a server: opened, prepared, ended, and never waited for past a deadline.

use crate::account::{Account, Address, TlsMode};
use crate::server::Server;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// What each session is told at its start, by flags.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    /// `lock_wait_timeout` in seconds, if it is to be set.
    pub(crate) lock_wait_timeout: Option<u64>,
    /// Whether scrapes are kept out of the slow query log (MariaDB and Percona Server).
    pub(crate) log_slow_filter: bool,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("error {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("{0}")]
    Driver(String),
    #[error("no answer in time")]
    Timeout,
    #[error("the connection came to less than TLSv1.3, which tls-min-version asks for")]
    OldTls,
}

impl ConnectError {
    /// Whether another moment may be better: all of the account's or the server's connections were taken.
    pub(crate) fn is_full(&self) -> bool {
        // ER_CON_COUNT_ERROR, ER_TOO_MANY_USER_CONNECTIONS, ER_USER_LIMIT_REACHED
        matches!(self, Self::Refused { code: 1040 | 1203 | 1226, .. })
    }
}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        match error {
            Error::Server(e) => Self::Refused { code: e.code, message: e.message },
            Error::Io(mysql_async::IoError::Io(e)) => Self::Driver(e.to_string()),
            other => Self::Driver(other.to_string()),
        }
    }
}

/// A connection that is ready for statements.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) conn: Conn,
    pub(crate) server: Arc<Server>,
    pub(crate) opened: Instant,
    /// The server's time limit for a statement that this session has, in seconds.
    limit: Option<u64>,
}

impl Session {
    /// Connects, logs in and prepares the session, all of it before `deadline`.
    pub(crate) async fn open(
        account: &Account,
        settings: &SessionSettings,
        deadline: Instant,
    ) -> Result<Self, ConnectError> {
        let mut conn = connect(account, deadline).await?;
        match timeout_at(deadline, prepare(&mut conn, account, settings)).await {
            Ok(Ok(server)) => Ok(Self { conn, server: Arc::new(server), opened: Instant::now(), limit: None }),
            Ok(Err(e)) => {
                abandon(conn);
                Err(e)
            }
            Err(_) => {
                abandon(conn);
                Err(ConnectError::Timeout)
            }
        }
    }

    /// Has the server itself end statements that run longer than this scrape may.
    pub(crate) async fn limit(&mut self, left: Duration) -> Result<(), Error> {
        // Whole seconds, rounded up: scrapes with the same time-out need to say it only once.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let seconds = seconds.max(1);
        if self.limit == Some(seconds) {
            return Ok(());
        }
        let sql = if self.server.mariadb {
            self.server.at_least(10, 1, 1).then(|| format!("SET SESSION max_statement_time={seconds}"))
        } else {
            self.server.at_least(5, 7, 8).then(|| format!("SET SESSION max_execution_time={}", seconds * 1000))
        };
        if let Some(sql) = sql {
            match self.conn.query_drop(sql).await {
                // A server that does not know the variable is one more that has only the client's limit.
                Ok(()) | Err(Error::Server(_)) => {}
                Err(e) => return Err(e),
            }
        }
        self.limit = Some(seconds);
        Ok(())
    }

    /// Says good-bye.
    pub(crate) async fn close(self) {
        let _ = timeout(GOODBYE, self.conn.disconnect()).await;
    }
}

/// Connects and logs in before `deadline`.
async fn connect(account: &Account, deadline: Instant) -> Result<Conn, ConnectError> {
    let deadline = account.connect_timeout.map_or(deadline, |t| deadline.min(Instant::now() + t));
    // The driver speaks no TLS on a Unix socket, where there is nobody to listen in.
    let tls = account.tls.mode != TlsMode::Off && !matches!(account.address, Address::Unix(_));
    let mut dialled = dial(account, tls, deadline).await;
    let plain = matches!(&dialled, Err(DialError::Driver(Error::Driver(DriverError::NoClientSslFlagFromServer))));
    if plain && account.tls.mode == TlsMode::Preferred {
        dialled = dial(account, false, deadline).await;
    }
    dialled.map_err(|e| match e {
        DialError::Driver(e) => e.into(),
        DialError::Timeout => ConnectError::Timeout,
    })
}

enum DialError {
    Driver(Error),
    Timeout,
}

async fn dial(account: &Account, tls: bool, deadline: Instant) -> Result<Conn, DialError> {
    let mut dialling = Conn::new(account.opts(tls));
    if let Ok(result) = timeout_at(deadline, &mut dialling).await {
        return result.map_err(DialError::Driver);
    }
    abandon(dialling);
    Err(DialError::Timeout)
}

/// Sets the session's variables and asks what server this is.
async fn prepare(conn: &mut Conn, account: &Account, settings: &SessionSettings) -> Result<Server, ConnectError> {
    // After init_connect, which may have chosen another character set: names come as UTF-8.
    let mut sql = String::from("SET NAMES utf8mb4");
    if let Some(seconds) = settings.lock_wait_timeout {
        let _ = write!(sql, ";SET SESSION lock_wait_timeout={seconds}");
    }
    if settings.log_slow_filter {
        sql.push_str(";SET SESSION log_slow_filter='tmp_table_on_disk,filesort_on_disk'");
    }
    for (name, value) in &account.session {
        let _ = write!(sql, ";SET SESSION {name}={value}");
    }
    sql.push_str(";SELECT @@version,@@version_comment");
    let mut texts = (String::new(), String::new());
    let mut result = conn.query_iter(sql).await?;
    while !result.is_empty() {
        for (version, comment) in result.collect::<(Option<String>, Option<String>)>().await? {
            texts = (version.unwrap_or_default(), comment.unwrap_or_default());
        }
    }
    drop(result);
    if account.tls.only_1_3 && !matches!(account.address, Address::Unix(_)) {
        let version: Option<(String, String)> = conn.query_first("SHOW SESSION STATUS LIKE 'Ssl_version'").await?;
        if version.is_none_or(|(_, v)| v != "TLSv1.3") {
            return Err(ConnectError::OldTls);
        }
    }
    Ok(Server::new(&texts.0, &texts.1))
}

/// Ends, on the server too, what a connection of this account is still doing there.
pub(crate) async fn kill(account: &Account, id: u32) {
    let deadline = Instant::now() + KILL_TIME;
    match connect(account, deadline).await {
        Ok(mut conn) => match timeout_at(deadline, conn.query_drop(format!("KILL {id}"))).await {
            Ok(Ok(())) => drop(timeout(GOODBYE, conn.disconnect()).await),
            Ok(Err(e)) => {
                tracing::debug!(err = %e, connection = id, "connection was not killed");
                abandon(conn);
            }
            Err(_) => abandon(conn),
        },
        Err(e) => tracing::debug!(err = %e, connection = id, "no connection to kill another one"),
    }
}

/// Closes a connection at once, in whatever state it is.
///
/// Inside the runtime the driver's `Drop` starts a task that first reads what is still to come: from a server that
/// hangs, for ever. Outside it closes the socket.
pub(crate) fn abandon<T: Send + 'static>(connection: T) {
    let dropped = std::thread::Builder::new().name("abandon".to_owned()).spawn(move || drop(connection));
    if let Err(e) = dropped {
        tracing::warn!(err = %e, "no thread to close a connection");
    }
}

const GOODBYE: Duration = Duration::from_millis(500);
const KILL_TIME: Duration = Duration::from_secs(2);
