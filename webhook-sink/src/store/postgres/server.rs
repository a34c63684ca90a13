//! Which server, as whom, and how a connection to it is made.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use service::client::Tls;
use tokio::runtime::Handle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, Socket};

use super::connection::{Pg, explain};
use super::tls::{Connector, Stream};
use crate::store::schema;
use crate::store::sql::{Connection as _, StoreError};

type Link = tokio_postgres::Connection<Socket, Stream<Socket>>;

/// A server as `--storage.url` names it.
pub(crate) struct Server {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    password_file: Option<PathBuf>,
    /// The tables were brought up to date by this process.
    migrated: AtomicBool,
}

impl Server {
    /// Reads `--storage.url`; `password_file` is `--storage.password-file`.
    pub(crate) fn parse(url: &str, password_file: Option<PathBuf>) -> Result<Self, StoreError> {
        let refused = |text: String| StoreError::Refused(format!("--storage.url: {text}"));
        let (rest, tls) = split(url).map_err(refused)?;
        // What the parser says may quote the URL; it holds no password, or is refused below.
        let mut config: Config = rest.parse().map_err(|e: tokio_postgres::Error| refused(e.to_string()))?;
        if config.get_password().is_some() {
            let text =
                "holds a password, which everybody on this machine could read: put it into --storage.password-file";
            return Err(refused(text.into()));
        }
        if config.get_hosts().is_empty() {
            return Err(refused("names no host".into()));
        }
        if config.get_dbname().is_none() {
            return Err(refused("names no database".into()));
        }
        let local = config.get_hosts().iter().all(is_local);
        let tls = match tls.mode.as_deref() {
            Some("disable") => None,
            None if local && tls.roots.is_none() => None,
            None | Some("require" | "verify-full") => {
                let options = Tls { verify: true, ca: tls.roots, identity: tls.identity };
                Some(Arc::new(options.rustls().map_err(|e| refused(e.to_string()))?))
            }
            Some(other) => {
                let text =
                    format!("sslmode={other}: disable and verify-full are what there is; nothing in between is safe");
                return Err(refused(text));
            }
        };
        config
            .ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable })
            .application_name("webhook-sink")
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(20));
        Ok(Self { config, tls, password_file, migrated: AtomicBool::new(false) })
    }

    /// Connects and logs in. The link must be driven by the caller.
    pub(super) async fn dial(&self) -> Result<(Client, Link), StoreError> {
        let mut config = self.config.clone();
        if let Some(password) = self.password()? {
            config.password(password);
        }
        let dialed = tokio::time::timeout(2 * CONNECT, config.connect(Connector(self.tls.clone()))).await;
        dialed.map_err(|_| StoreError::Away(format!("{self} does not answer")))?.map_err(|e| explain(&e))
    }

    /// A connection for the caller alone, with the tables as this program knows them.
    pub(crate) fn connect(&self, runtime: &Handle) -> Result<Pg, StoreError> {
        let (client, link) = runtime.block_on(self.dial())?;
        // An error of the link shows in whatever is asked of the client next.
        runtime.spawn(async move {
            let _ = link.await;
        });
        let mut db = Pg::new(client, runtime.clone());
        db.script(SESSION)?;
        if !self.migrated.load(Ordering::Relaxed) {
            schema::migrate(&mut db)?;
            self.check_durability(&mut db)?;
            self.migrated.store(true, Ordering::Relaxed);
        }
        Ok(db)
    }

    fn check_durability(&self, db: &mut Pg) -> Result<(), StoreError> {
        let mut unsafe_settings = Vec::new();
        db.query(
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
            &[],
            &mut |row| {
                unsafe_settings.push(row.text(0)?);
                Ok(())
            },
        )?;
        if !unsafe_settings.is_empty() {
            tracing::warn!(server = %self, off = ?unsafe_settings, "the server may lose what it has committed when its power fails");
        }
        Ok(())
    }

    fn password(&self) -> Result<Option<String>, StoreError> {
        let Some(file) = &self.password_file else {
            return Ok(std::env::var("PGPASSWORD").ok().filter(|p| !p.is_empty()));
        };
        let text = std::fs::read_to_string(file)
            .map_err(|e| StoreError::Away(format!("--storage.password-file={}: {e}", file.display())))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Without anything secret.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|h| match h {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .collect();
        write!(f, "postgres://{}/{}", hosts.join(","), self.config.get_dbname().unwrap_or_default())
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct TlsWords {
    mode: Option<String>,
    roots: Option<PathBuf>,
    identity: Option<(PathBuf, PathBuf)>,
}

/// Takes libpq's words about TLS out of a URL, because the client does not know them all.
fn split(url: &str) -> Result<(String, TlsWords), String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("must begin with postgres://".into());
    }
    let Some((base, query)) = url.split_once('?') else { return Ok((url.to_owned(), TlsWords::default())) };
    let (mut words, mut certificate, mut key, mut rest) = (TlsWords::default(), None, None, Vec::new());
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "sslmode" => words.mode = Some(value.to_owned()),
            "sslrootcert" => words.roots = Some(PathBuf::from(value)),
            "sslcert" => certificate = Some(PathBuf::from(value)),
            "sslkey" => key = Some(PathBuf::from(value)),
            _ => rest.push(pair),
        }
    }
    words.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("sslcert and sslkey go together".into()),
    };
    let rest = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    Ok((rest, words))
}

/// What each connection sets. A commit that is answered must be durable whatever the server's default; plans are made for
/// the arguments at hand, because words to search for differ by orders of magnitude.
const SESSION: &str = "
SET statement_timeout = '30s'; SET lock_timeout = '20s'; SET idle_in_transaction_session_timeout = '30s';
SET client_min_messages = warning; SET plan_cache_mode = force_custom_plan; SET jit = off;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
const CONNECT: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use super::*;

    fn error(url: &str) -> String {
        Server::parse(url, None).map(|s| s.to_string()).expect_err("refused").to_string()
    }

    #[test]
    fn secrets_and_half_safe_modes_are_refused() {
        let text = error("postgres://sink:hunter2@db.example/sink");
        assert!(text.contains("--storage.password-file") && !text.contains("hunter2"), "{text}");
        assert!(error("postgres://sink@db.example/sink?sslmode=prefer").contains("sslmode=prefer"));
        assert!(error("mysql://x").contains("postgres://"));
        assert!(error("postgres://sink@db.example").contains("database"));
        assert!(error("postgres://sink@db.example/sink?sslcert=/x").contains("go together"));
    }

    #[test]
    fn tls_is_left_out_only_where_nobody_listens() {
        let tls = |url: &str| Server::parse(url, None).expect("parses").tls.is_some();
        assert!(tls("postgres://sink@db.example/sink"));
        assert!(tls("postgres://sink@127.0.0.1,db.example/sink"));
        assert!(tls("postgres://sink@127.0.0.1/sink?sslmode=require"));
        assert!(!tls("postgres://sink@127.0.0.1:5433/sink"));
        assert!(!tls("postgres:///sink?host=/run/postgresql&user=sink"));
        assert!(!tls("postgres://sink@db.example/sink?sslmode=disable&target_session_attrs=read-write"));
    }
}
