//! Real MariaDB and MySQL servers in temporary folders, on loopback.

use crate::{Service, free_port, program, skip, wait_until};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The distribution's MariaDB.
    MariaDb,
    /// The newest MariaDB, a peer.
    NewMariaDb,
    /// MySQL 9, a peer.
    MySql,
}

/// A running server; its root logs in through the socket without a password.
#[derive(Debug)]
pub struct Server {
    /// Its process.
    pub service: Service,
    /// What it is.
    pub kind: Kind,
    dir: tempfile::TempDir,
    client: PathBuf,
}

impl Server {
    /// Starts a server with more options, or says why not.
    pub fn start(kind: Kind, options: &[&str]) -> Option<Self> {
        let Some(client) = program("mariadb") else {
            skip("the mariadb client is not installed");
            return None;
        };
        let daemon = daemon(kind)?;
        let dir = tempfile::tempdir().unwrap();
        let base = base_options(kind, &daemon, dir.path());
        match kind {
            Kind::MariaDb => {
                let install = program("mariadb-install-db").unwrap();
                let mut command = Command::new(install);
                command.args(&base).arg("--auth-root-authentication-method=normal").arg("--skip-test-db");
                finish(command, None);
            }
            Kind::NewMariaDb => bootstrap(&daemon, &base),
            Kind::MySql => {
                let mut command = Command::new(&daemon);
                command.args(&base).arg("--initialize-insecure");
                finish(command, None);
            }
        }
        let port = free_port();
        let mut command = Command::new(&daemon);
        command.args(&base).args([
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--socket={}", dir.path().join("socket").display()),
            format!("--pid-file={}", dir.path().join("pid").display()),
            format!("--server-id={port}"),
            "--log-bin=binlog".to_owned(),
            "--performance-schema=ON".to_owned(),
            "--innodb-buffer-pool-size=32M".to_owned(),
        ]);
        if kind == Kind::MySql {
            command.args(["--mysqlx=OFF", "--gtid-mode=ON", "--enforce-gtid-consistency=ON"]);
        }
        command.args(options);
        let server = Self { service: Service::start(command, port), kind, dir, client };
        wait_until("the server to take root's login", Duration::from_mins(1), || server.try_sql("SELECT 1").is_ok());
        if kind == Kind::MariaDb {
            server.sql("DELETE FROM mysql.global_priv WHERE User=''; FLUSH PRIVILEGES");
        }
        Some(server)
    }

    /// Runs statements as root and returns their rows, columns parted by tabs.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// [`Server::sql`], for statements that may fail.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output = self.client().args(["-e", sql]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The command line client as root.
    pub fn client(&self) -> Command {
        let mut command = Command::new(&self.client);
        command.args(["--no-defaults", "-uroot", "-N", "--default-character-set=utf8mb4", "-S"]);
        command.arg(self.dir.path().join("socket"));
        command
    }

    /// Where its socket is.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Makes this server a replica of `primary` and waits until it has caught up.
    pub fn replicate(&self, primary: &Self) {
        primary.sql("CREATE USER repl@'%' IDENTIFIED BY 'r'; GRANT REPLICATION SLAVE ON *.* TO repl@'%'");
        let port = primary.service.port;
        let (change, status) = if self.kind == Kind::MySql {
            (
                format!(
                    "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={port}, SOURCE_USER='repl', \
                     SOURCE_PASSWORD='r', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA"
                ),
                "SHOW REPLICA STATUS",
            )
        } else {
            (
                format!(
                    "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='repl', \
                     MASTER_PASSWORD='r', MASTER_USE_GTID=slave_pos; START SLAVE"
                ),
                "SHOW SLAVE STATUS",
            )
        };
        self.sql(&change);
        wait_until("the replica to follow", Duration::from_mins(1), || {
            let row = self.sql(status);
            row.matches("\tYes").count() >= 2 && self.try_sql("SELECT 1 FROM shop.small").is_ok()
        });
    }
}

fn daemon(kind: Kind) -> Option<PathBuf> {
    match kind {
        Kind::MariaDb => program("mariadbd").or_else(|| {
            skip("mariadbd is not installed");
            None
        }),
        Kind::NewMariaDb => other_peer("mariadbd"),
        Kind::MySql => crate::peer("mysqld"),
    }
}

/// A peer from the folder in `BONGSU_PEERS`, or from that in `BONGSU_PEERS_MARIADB`: the packages of MySQL and MariaDB do
/// not go into one tree.
fn other_peer(name: &str) -> Option<PathBuf> {
    let folder = |variable| std::env::var_os(variable).map(PathBuf::from);
    let found = [folder("BONGSU_PEERS_MARIADB"), folder("BONGSU_PEERS")].into_iter().flatten().map(|d| d.join(name));
    found.into_iter().find(|p| p.is_file()).or_else(|| {
        skip(&format!("no {name} in the folder that BONGSU_PEERS_MARIADB or BONGSU_PEERS names"));
        None
    })
}

fn base_options(kind: Kind, daemon: &Path, dir: &Path) -> Vec<String> {
    // Servers that start at once trip over each other's files in /tmp.
    let temporary = dir.join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut options = vec![
        "--no-defaults".to_owned(),
        format!("--datadir={}", dir.join("data").display()),
        format!("--tmpdir={}", temporary.display()),
    ];
    if rustix_is_root() {
        options.push("--user=root".to_owned());
    }
    // A peer stands in a tree of its own, beside the folder of its wrappers.
    if kind != Kind::MariaDb {
        let tree = daemon.parent().and_then(Path::parent).unwrap().join("tree/usr");
        let share = tree.join(if kind == Kind::MySql { "share/mysql" } else { "share/mariadb" });
        options.extend([
            format!("--basedir={}", tree.display()),
            format!("--lc-messages-dir={}", share.display()),
            format!("--character-sets-dir={}", share.join("charsets").display()),
            format!("--plugin-dir={}", tree.join("lib/mysql/plugin").display()),
        ]);
    }
    if kind == Kind::MySql {
        options.push("--secure-file-priv=".to_owned());
    }
    options
}

fn rustix_is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// What mariadb-install-db does, without its script's paths.
fn bootstrap(daemon: &Path, base: &[String]) {
    let share = base.iter().find_map(|o| o.strip_prefix("--lc-messages-dir=")).unwrap();
    let data = base.iter().find_map(|o| o.strip_prefix("--datadir=")).unwrap();
    std::fs::create_dir_all(data).unwrap();
    let mut script =
        String::from("create database mysql;\nuse mysql;\nset @auth_root_socket=NULL;\nset @skip_auth_anonymous=1;\n");
    for part in ["system_tables", "performance_tables", "system_tables_data", "sys_schema"] {
        script.push_str(&std::fs::read_to_string(format!("{share}/mariadb_{part}.sql")).unwrap());
    }
    let mut command = Command::new(daemon);
    command.args(base).args(["--bootstrap", "--silent-startup"]);
    finish(command, Some(&script));
}

fn finish(mut command: Command, input: Option<&str>) {
    let log = tempfile::NamedTempFile::new().unwrap();
    command.stdin(Stdio::piped()).stdout(log.reopen().unwrap()).stderr(log.reopen().unwrap());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.unwrap_or_default().as_bytes()).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{command:?}: {status}\n{}", crate::log_of(log.path()));
}
