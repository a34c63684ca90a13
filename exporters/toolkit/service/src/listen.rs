//! Addresses and sockets: TCP, Unix, and those that systemd hands over.

use crate::wire::Wire;
use rustix::net::sockopt;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

/// Where a service listens, as `--web.listen-address` writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of every local address, IPv4 and IPv6: `:9100`.
    Port(u16),
    /// `HOST:PORT`; the host may be a name.
    Tcp(String, u16),
    /// `unix:/path`.
    Unix(PathBuf),
    /// `unix:@name`, which is no file.
    Abstract(String),
}

impl Address {
    /// Parses one value of `--web.listen-address`.
    pub fn parse(text: &str) -> Result<Self, ListenError> {
        let wrong = |why| ListenError::Address { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.strip_prefix('@') {
                Some("") => Err(wrong("a name is missing after unix:@")),
                Some(name) => Ok(Self::Abstract(name.to_owned())),
                None if path.is_empty() => Err(wrong("a path is missing after unix:")),
                None => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        if text.starts_with("vsock:") {
            return Err(wrong("vsock is not supported, listen on TCP or on a Unix socket"));
        }
        let (host, port) = split(text).map_err(wrong)?;
        let port = port.parse::<u16>().map_err(|_| wrong("invalid port"))?;
        if host.is_empty() { Ok(Self::Port(port)) } else { Ok(Self::Tcp(host.to_owned(), port)) }
    }
}

/// Splits `host:port` and `[host]:port`.
fn split(text: &str) -> Result<(&str, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("missing ']' in address")?;
        return rest.strip_prefix(':').map(|port| (host, port)).ok_or("missing port in address");
    }
    let (host, port) = text.rsplit_once(':').ok_or("missing port in address")?;
    if host.contains(':') { Err("too many colons in address") } else { Ok((host, port)) }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, ":{port}"),
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Abstract(name) => write!(f, "unix:@{name}"),
        }
    }
}

/// Why a socket could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The text is no address.
    #[error("--web.listen-address: address {text}: {why}")]
    Address {
        /// As given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A host name that nobody knows.
    #[error("--web.listen-address: lookup {host}: no such host ({source})")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The kernel refused the address.
    #[error("--web.listen-address: listen {address}: bind: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something else than a socket stands in a Unix socket's place.
    #[error("--web.listen-address: {0}: exists and is not a socket")]
    NotASocket(String),
    /// systemd gave nothing.
    #[error("--web.systemd-socket: no socket activation file descriptors found")]
    NoneFromSystemd,
    /// systemd gave something else than a listening stream socket.
    #[error("--web.systemd-socket: file descriptor {0}: {1}")]
    FromSystemd(i32, String),
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    address: String,
    /// The socket file that we made, to be removed again.
    file: Option<SocketFile>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Listener {
    /// Binds an address. Must be called inside an async runtime.
    pub fn bind(address: &Address) -> Result<Self, ListenError> {
        match address {
            Address::Port(port) => Self::bind_port(*port),
            Address::Tcp(host, port) => {
                let lookup = |source| ListenError::Lookup { host: host.clone(), source };
                let mut found = (host.as_str(), *port).to_socket_addrs().map_err(lookup)?;
                let first = found.next().ok_or_else(|| lookup(io::ErrorKind::NotFound.into()))?;
                Self::bind_tcp(first, None)
            }
            Address::Unix(path) => Self::bind_unix(path),
            Address::Abstract(name) => {
                let bind = |source| ListenError::Bind { address: address.to_string(), source };
                let at = std::os::unix::net::SocketAddr::from_abstract_name(name).map_err(bind)?;
                let socket = std::os::unix::net::UnixListener::bind_addr(&at).map_err(bind)?;
                socket.set_nonblocking(true).map_err(bind)?;
                let socket = Socket::Unix(UnixListener::from_std(socket).map_err(bind)?);
                Ok(Self { socket, address: address.to_string(), file: None })
            }
        }
    }

    /// One IPv6 socket that takes IPv4 too; plain IPv4 where the kernel has no IPv6.
    fn bind_port(port: u16) -> Result<Self, ListenError> {
        match Self::bind_tcp(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port), Some(false)) {
            Err(ListenError::Bind { source, .. }) if no_ipv6(&source) => {
                Self::bind_tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port), None)
            }
            bound => bound,
        }
    }

    fn bind_tcp(at: SocketAddr, v6_only: Option<bool>) -> Result<Self, ListenError> {
        let bind = |source| ListenError::Bind { address: format!("tcp {at}"), source };
        let socket = if at.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }.map_err(bind)?;
        if let Some(only) = v6_only {
            sockopt::set_ipv6_v6only(&socket, only).map_err(|e| bind(e.into()))?;
        }
        // A restarted service must not wait for the connections of the one before.
        socket.set_reuseaddr(true).map_err(bind)?;
        socket.bind(at).map_err(bind)?;
        Self::from_tcp(socket.listen(BACKLOG).map_err(bind)?).map_err(bind)
    }

    fn bind_unix(path: &Path) -> Result<Self, ListenError> {
        let address = format!("unix:{}", path.display());
        let bind = |source| ListenError::Bind { address: address.clone(), source };
        if let Ok(found) = std::fs::symlink_metadata(path) {
            if !found.file_type().is_socket() {
                return Err(ListenError::NotASocket(address));
            }
            // Only a socket that nobody listens on any more may be removed.
            match std::os::unix::net::UnixStream::connect(path) {
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path).map_err(bind)?,
                _ => return Err(bind(io::ErrorKind::AddrInUse.into())),
            }
        }
        let socket = UnixListener::bind(path).map_err(bind)?;
        let inode = std::fs::symlink_metadata(path).map_err(bind)?.ino();
        let file = Some(SocketFile { path: path.to_owned(), inode });
        Ok(Self { socket: Socket::Unix(socket), address, file })
    }

    /// Serves a TCP socket that is bound already, such as a test's port 0.
    pub fn from_tcp(socket: TcpListener) -> io::Result<Self> {
        let address = socket.local_addr()?.to_string();
        Ok(Self { socket: Socket::Tcp(socket), address, file: None })
    }

    /// The sockets that systemd handed over (`LISTEN_FDS`). To be called once, before anything opens descriptors.
    pub(crate) fn from_systemd() -> Result<Vec<Self>, ListenError> {
        let fds = crate::sys::systemd_fds();
        if fds.is_empty() {
            return Err(ListenError::NoneFromSystemd);
        }
        fds.into_iter()
            .map(|(number, fd)| Self::from_fd(fd).map_err(|e| ListenError::FromSystemd(number, e.to_string())))
            .collect()
    }

    fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let listens = sockopt::socket_type(&fd)? == rustix::net::SocketType::STREAM && sockopt::socket_acceptconn(&fd)?;
        if !listens {
            return Err(io::Error::other("is no listening stream socket"));
        }
        rustix::io::ioctl_fionbio(&fd, true)?;
        let family = sockopt::socket_domain(&fd)?;
        if family == rustix::net::AddressFamily::UNIX {
            let socket = UnixListener::from_std(fd.into())?;
            let path = socket.local_addr()?.as_pathname().map(|p| p.display().to_string());
            let address = format!("unix:{}", path.as_deref().unwrap_or("@"));
            return Ok(Self { socket: Socket::Unix(socket), address, file: None });
        }
        if family == rustix::net::AddressFamily::INET || family == rustix::net::AddressFamily::INET6 {
            return Self::from_tcp(TcpListener::from_std(fd.into())?);
        }
        Err(io::Error::other("is neither a TCP nor a Unix socket"))
    }

    /// The address that was bound, for log lines and tests: with the real port where 0 was asked for.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The next connection, and where it comes from.
    pub(crate) async fn accept(&self) -> io::Result<(Wire, String)> {
        match &self.socket {
            Socket::Tcp(socket) => {
                let (stream, peer) = socket.accept().await?;
                // Answers are written in one piece: waiting for more to send only delays their last segment.
                let _ = stream.set_nodelay(true);
                Ok((Wire::Tcp(stream), peer.to_string()))
            }
            Socket::Unix(socket) => Ok((Wire::Unix(socket.accept().await?.0), "unix".to_owned())),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let Some(file) = &self.file else { return };
        // A successor may have put its own socket there in the meantime.
        if std::fs::symlink_metadata(&file.path).is_ok_and(|found| found.ino() == file.inode) {
            let _ = std::fs::remove_file(&file.path);
        }
    }
}

fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let code = error.raw_os_error();
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL, Errno::PROTONOSUPPORT].iter().any(|e| code == Some(e.raw_os_error()))
}

/// Half-open floods fill a short queue before anything else; the kernel caps this at net.core.somaxconn.
const BACKLOG: u32 = 4096;
