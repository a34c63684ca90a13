//! A statement on MySQL or MariaDB.

use super::{GRACE, Thread, file};
use crate::fault::Fault;
use crate::table::Table;
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts, OptsBuilder, SslOpts, Value};
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// One entry of `servers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    address: Address,
    user: String,
    /// Read anew each time, so that a new password counts at once.
    password_file: Option<PathBuf>,
    /// Name of an environment variable.
    password_env: Option<String>,
    #[serde(default)]
    tls: Tls,
    ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
enum Address {
    Tcp(String, u16),
    Unix(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tls {
    #[default]
    Off,
    /// Encrypted, by whoever answers.
    SkipVerify,
    /// With the server's certificate and name checked.
    Verify,
}

/// A statement and where it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    pub(crate) server: Server,
    pub(crate) database: Option<String>,
    pub(crate) query: String,
}

impl Sql {
    /// Connects, asks and leaves. A connection a run is cheap beside the statement, and never stale.
    pub(crate) async fn ask(
        &self,
        thread: &Thread,
        deadline: Instant,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<Table, Fault> {
        let sql = self.clone();
        let work = move || {
            let opts = sql.opts(max_bytes)?;
            on_own_runtime(sql.talk(opts, deadline, max_rows, max_bytes))?
        };
        thread.run(deadline + GRACE, work).await
    }

    async fn talk(&self, opts: Opts, deadline: Instant, max_rows: usize, max_bytes: usize) -> Result<Table, Fault> {
        let mut conn = match timeout_at(deadline, Conn::new(opts.clone())).await {
            Ok(connected) => connected.map_err(|e| Fault::Connect(said(&e)))?,
            Err(_) => return Err(Fault::Timeout),
        };
        let id = conn.id();
        let asked = timeout_at(deadline, self.query(&mut conn, deadline, max_rows, max_bytes)).await;
        let Ok(result) = asked else {
            // The server's own limit has not ended it (MySQL ends only SELECT): another connection does, without anybody
            // waiting for it.
            let kill = async move { Conn::new(opts).await?.query_drop(format!("KILL {id}")).await };
            drop(std::thread::Builder::new().spawn(|| drop(on_own_runtime(timeout(LEAVE, kill)))));
            return Err(Fault::Timeout);
        };
        if result.is_ok() {
            drop(timeout(LEAVE.min(deadline - Instant::now()), conn.disconnect()).await);
        }
        result.map_err(QueryError::into_fault)
    }

    async fn query(
        &self,
        conn: &mut Conn,
        deadline: Instant,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<Table, QueryError> {
        // Numbers are read, not made; and the server itself stops what takes too long, a little before we would.
        conn.query_drop("SET SESSION TRANSACTION READ ONLY").await?;
        let left = deadline.saturating_duration_since(Instant::now()).mul_f64(0.9).as_secs_f64().max(0.001);
        let limited = conn.query_drop(format!("SET SESSION max_statement_time={left:.3}")).await;
        if matches!(&limited, Err(Error::Server(e)) if e.code == UNKNOWN_VARIABLE) {
            // MySQL's name, in milliseconds.
            conn.query_drop(format!("SET SESSION max_execution_time={:.0}", left * 1e3)).await?;
        } else {
            limited?;
        }
        let mut result = conn.query_iter(&*self.query).await?;
        let columns: Vec<String> = result.columns_ref().iter().map(|c| c.name_str().into_owned()).collect();
        if columns.is_empty() {
            return Err(QueryError::NoRows);
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while let Some(row) = result.next().await? {
            if rows.len() == max_rows {
                return Err(QueryError::Limit(format!("more rows than max_rows={max_rows}")));
            }
            let row: Vec<Option<String>> = row.unwrap().into_iter().map(text).collect();
            bytes += row.iter().flatten().map(String::len).sum::<usize>();
            if bytes > max_bytes {
                return Err(QueryError::Limit(format!("more than max_bytes={max_bytes}")));
            }
            rows.push(row);
        }
        Ok(Table::Cells { columns, rows })
    }

    fn opts(&self, max_bytes: usize) -> Result<Opts, Fault> {
        let server = &self.server;
        let mut opts = OptsBuilder::default()
            .user(Some(&server.user))
            .pass(server.password()?)
            .db_name(self.database.as_ref())
            .prefer_socket(false)
            .stmt_cache_size(0)
            // Known values save a statement; the first bounds a single row.
            .max_allowed_packet(Some(max_bytes + HEADROOM))
            .wait_timeout(Some(28_800));
        opts = match &server.address {
            Address::Tcp(host, port) => opts.ip_or_hostname(host).tcp_port(*port),
            Address::Unix(path) => opts.socket(Some(path)),
        };
        if server.tls != Tls::Off {
            let unchecked = server.tls == Tls::SkipVerify;
            let mut ssl = SslOpts::default()
                .with_danger_accept_invalid_certs(unchecked)
                .with_danger_skip_domain_validation(unchecked);
            if let Some(ca) = &server.ca_file {
                ssl = ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
            }
            opts = opts.ssl_opts(ssl);
        }
        Ok(opts.into())
    }
}

/// Where a server hangs, the driver would wait in its runtime for the rest of an answer for ever: it has a runtime that ends
/// with the talk.
fn on_own_runtime<T>(talk: impl Future<Output = T>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Fault::Connect(format!("async runtime: {e}")))?;
    let result = runtime.block_on(talk);
    // Without waiting: a name that is being looked up takes its time.
    runtime.shutdown_background();
    Ok(result)
}

impl Server {
    fn password(&self) -> Result<Option<String>, Fault> {
        let wrong = |what: String| Fault::Connect(format!("password of {}: {what}", self.user));
        if let Some(path) = &self.password_file {
            return file::secret(path).map(Some).map_err(|e| wrong(e.to_string()));
        }
        let Some(name) = &self.password_env else { return Ok(None) };
        std::env::var(name).map(Some).map_err(|_| wrong(format!("no environment variable {name}")))
    }
}

impl TryFrom<String> for Address {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            return Ok(Self::Unix(path.to_owned()));
        }
        let host_and_port = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match host_and_port {
            Some((host, port)) if !host.is_empty() && !host.contains(['/', '@', ' ']) => {
                Ok(Self::Tcp(host.trim_matches(['[', ']']).to_owned(), port))
            }
            _ => Err(format!("{text:?} is neither HOST:PORT nor unix:///PATH")),
        }
    }
}

/// Why a statement gave no table.
enum QueryError {
    Driver(Error),
    Limit(String),
    NoRows,
}

impl From<Error> for QueryError {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl QueryError {
    fn into_fault(self) -> Fault {
        match self {
            Self::Limit(text) => Fault::Limit(text),
            Self::NoRows => Fault::Answer("the statement gives no rows".to_owned()),
            Self::Driver(Error::Server(e)) if TOO_LONG.contains(&e.code) => Fault::Timeout,
            Self::Driver(e @ Error::Server(_)) => Fault::Answer(said(&e)),
            Self::Driver(e) => match said(&e) {
                // A row beyond what `opts` allows; the driver has no error of its own for it.
                text if text.contains("larger than max_allowed_packet") => {
                    Fault::Limit("a row is too large".to_owned())
                }
                text => Fault::Connect(text),
            },
        }
    }
}

/// The server's or the driver's words.
fn said(error: &Error) -> String {
    match error {
        Error::Server(e) => format!("error {}: {}", e.code, e.message),
        Error::Io(mysql_async::IoError::Io(e)) => e.to_string(),
        other => other.to_string(),
    }
}

/// The text protocol brings every cell as text.
fn text(cell: Value) -> Option<String> {
    match cell {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

const UNKNOWN_VARIABLE: u16 = 1193;
/// `ER_QUERY_INTERRUPTED`, `ER_STATEMENT_TIMEOUT` of MariaDB, `ER_QUERY_TIMEOUT` of MySQL.
const TOO_LONG: [u16; 3] = [1317, 1969, 3024];
/// What the handshake and the descriptions of columns may need beyond the rows.
const HEADROOM: usize = 64 << 10;
/// How long a good-bye may take.
const LEAVE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read() {
        let shown = |text: &str| Address::try_from(text.to_owned()).map(|a| format!("{a:?}")).unwrap_or_default();
        assert_eq!(shown("db:3306"), "Tcp(\"db\", 3306)");
        assert_eq!(shown("[::1]:3306"), "Tcp(\"::1\", 3306)");
        assert_eq!(shown("unix:///run/db"), "Unix(\"/run/db\")");
        for bad in ["", "db", ":1", "db:port", "db:99999", "unix://x", "user@db:1"] {
            assert_eq!(shown(bad), "", "{bad}");
        }
    }

    #[test]
    fn a_password_comes_from_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "ge heim\n").unwrap();
        let mut server = Server {
            address: Address::Tcp("db".into(), 1),
            user: "metrics".into(),
            password_file: Some(file.path().to_owned()),
            password_env: None,
            tls: Tls::Off,
            ca_file: None,
        };
        assert_eq!(server.password().unwrap().as_deref(), Some("ge heim"));
        server.password_file = None;
        server.password_env = Some("NO_SUCH_VARIABLE".into());
        let error = server.password().unwrap_err().to_string();
        assert_eq!(error, "password of metrics: no environment variable NO_SUCH_VARIABLE");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_address_is_answered(text in any::<String>()) {
            drop(Address::try_from(text));
        }
    }
}
