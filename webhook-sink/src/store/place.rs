//! Where the store is: a directory with SQLite in it, or a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use service::{Flag, Flags};

use super::postgres::Server;
use super::sql::StoreError;

/// `--storage.path`.
pub(crate) const STORAGE_PATH: Flag =
    Flag::text("storage.path", "data", "Directory of the database; created when it is missing.");
/// `--storage.url`.
pub(crate) const STORAGE_URL: Flag = Flag::text(
    "storage.url",
    "",
    "PostgreSQL instead of --storage.path, such as postgres://sink@db.example/sink, for several replicas of the sink behind \
     one address. TLS is required and verified unless the server is local or the URL says sslmode=disable.",
);
/// `--storage.password-file`.
pub(crate) const PASSWORD_FILE: Flag = Flag::text(
    "storage.password-file",
    "",
    "File with the password for --storage.url, read at each connection; without it the environment's PGPASSWORD.",
);

/// Where the store is.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Directory(PathBuf),
    Server(Arc<Server>),
}

impl Place {
    /// As the flags say.
    pub(crate) fn of(flags: &Flags) -> Result<Self, StoreError> {
        let file = Some(flags.text(PASSWORD_FILE.name)).filter(|f| !f.is_empty()).map(PathBuf::from);
        match flags.text(STORAGE_URL.name) {
            "" => Ok(Self::Directory(PathBuf::from(flags.text(STORAGE_PATH.name)))),
            url => Ok(Self::Server(Arc::new(Server::parse(url, file)?))),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(dir) => write!(f, "--storage.path={}", dir.display()),
            Self::Server(server) => write!(f, "--storage.url={server}"),
        }
    }
}
