//! Who connects where: an account, its server's address and its TLS settings.

use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A text that no log, error or metric may show.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "<hidden>" })
    }
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Address {
    /// Host name or IP address (IPv6 without brackets), port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(String),
}

impl Address {
    /// `host:port`, `[v6]:port` or `unix:///path`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| Self::Unix(path.to_owned()));
        }
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(v6) => v6.strip_suffix(']')?,
            None if host.contains(':') => return None,
            None => host,
        };
        let plain =
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || "/@?#".contains(c));
        plain.then_some(())?;
        Some(Self::Tcp(host.to_owned(), port.parse().ok()?))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}

/// How the connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Tls {
    pub(crate) mode: TlsMode,
    /// Certificates of the authorities that are trusted instead of the well-known ones.
    pub(crate) ca: Option<PathBuf>,
    /// Certificate and key of this client.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Name to look for in the server's certificate instead of its host name.
    pub(crate) server_name: Option<String>,
    /// Refuse a connection that comes to less than TLS 1.3.
    pub(crate) only_1_3: bool,
}

/// Whether TLS is used, and what is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TlsMode {
    /// Never.
    #[default]
    Off,
    /// Where the server has it, without checks.
    Preferred,
    /// Always, without checks.
    SkipVerify,
    /// Always, with the server's name and certificate checked.
    Verify,
}

/// An account on a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) address: Address,
    pub(crate) tls: Tls,
    /// Whether the password may be sent as it is where the server's plugin wants that.
    pub(crate) cleartext: bool,
    /// Session variables from the data source name, as they are SET.
    pub(crate) session: Vec<(String, String)>,
    pub(crate) connect_timeout: Option<Duration>,
}

impl Account {
    /// The driver's options. Built for each connection, so that a renewed certificate file counts.
    pub(crate) fn opts(&self, tls: bool) -> Opts {
        let mut opts = OptsBuilder::default()
            .user(Some(self.user.clone()))
            .pass(Some(self.password.0.clone()))
            .prefer_socket(false)
            .stmt_cache_size(0)
            .tcp_nodelay(true)
            .enable_cleartext_plugin(self.cleartext)
            // Known values save the driver a statement on each connection.
            .max_allowed_packet(Some(MAX_PACKET))
            .wait_timeout(Some(28_800));
        opts = match &self.address {
            Address::Tcp(host, port) => opts.ip_or_hostname(host.clone()).tcp_port(*port),
            Address::Unix(path) => opts.socket(Some(path.clone())),
        };
        if tls {
            opts = opts.ssl_opts(self.ssl_opts());
        }
        opts.into()
    }

    fn ssl_opts(&self) -> SslOpts {
        let unchecked = self.tls.mode != TlsMode::Verify;
        let mut ssl = SslOpts::default()
            .with_danger_accept_invalid_certs(unchecked)
            .with_danger_skip_domain_validation(unchecked);
        if let Some(name) = &self.tls.server_name {
            ssl = ssl.with_danger_tls_hostname_override(Some(name.clone()));
        }
        if let Some(ca) = &self.tls.ca {
            ssl = ssl.with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true);
        }
        if let Some((cert, key)) = &self.tls.identity {
            ssl = ssl.with_client_identity(Some(ClientIdentity::new(cert.clone().into(), key.clone().into())));
        }
        ssl
    }

    /// The same account on another server.
    pub(crate) fn at(&self, address: Address) -> Self {
        Self { address, ..self.clone() }
    }
}

/// No cell that a collector asks for comes near it.
const MAX_PACKET: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let tcp = |h: &str, p| Some(Address::Tcp(h.to_owned(), p));
        assert_eq!(Address::parse("db:3306"), tcp("db", 3306));
        assert_eq!(Address::parse("[::1]:3307"), tcp("::1", 3307));
        assert_eq!(Address::parse("unix:///run/my.sock"), Some(Address::Unix("/run/my.sock".to_owned())));
        for bad in ["", "db", ":3306", "db:", "db:99999", "::1:3306", "unix://x", "a b:1", "u@h:1", "h/x:1"] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        assert_eq!(Address::parse("[::1]:3307").map(|a| a.to_string()).as_deref(), Some("[::1]:3307"));
    }

    #[test]
    fn secrets_are_not_printed() {
        let account = crate::dsn::parse("u:geheim@tcp(h:1)/").unwrap();
        assert!(!format!("{account:?}").contains("geheim"));
    }
}
