//! `healthcheck`: asks the service that runs with the same flags whether it is healthy. Images have no curl.

use crate::flags::Flags;
use crate::listen::Address;
use crate::program::Command;
use crate::web;
use crate::yaml::reason;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// The subcommand.
pub(crate) fn command() -> Command {
    Command::new("healthcheck", "Ask the service that runs with these flags whether it is healthy.", |flags, _| {
        match check(flags) {
            Ok(()) => ExitCode::SUCCESS,
            Err(text) => {
                let _ = writeln!(io::stderr(), "healthcheck: {text}");
                ExitCode::FAILURE
            }
        }
    })
}

fn check(flags: &Flags) -> Result<(), String> {
    let text = flags.texts("web.listen-address").first().map_or("", String::as_str);
    let address = Address::parse(text).map_err(|e| e.to_string())?;
    let config = flags.text("web.config.file");
    let tls =
        !config.is_empty() && web::turns_tls_on(Path::new(config)).map_err(|e| format!("--web.config.file: {e}"))?;
    match connect(&address).and_then(ask) {
        // A login or a rate limit that refuses us is a service at work.
        Ok(200 | 401 | 429) => Ok(()),
        // So is a TLS port that says it does not speak plain HTTP: no TLS client is linked in for this question alone.
        Ok(400) if tls => Ok(()),
        Ok(status) => Err(format!("{address} answered with status {status}")),
        Err(e) => Err(format!("{address}: {}", reason(&e))),
    }
}

trait Socket: Read + Write {}
impl<T: Read + Write> Socket for T {}

fn connect(address: &Address) -> io::Result<Box<dyn Socket>> {
    let tcp = match address {
        Address::Unix(path) => return Ok(Box::new(timed_unix(UnixStream::connect(path)?)?)),
        Address::Abstract(name) => {
            let at = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            return Ok(Box::new(timed_unix(UnixStream::connect_addr(&at)?)?));
        }
        Address::Port(port) => local(*port),
        Address::Tcp(host, port) => match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => local(*port),
            _ => (host.as_str(), *port).to_socket_addrs()?.collect(),
        },
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for at in tcp {
        match TcpStream::connect_timeout(&at, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

fn timed_unix(stream: UnixStream) -> io::Result<UnixStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn local(port: u16) -> Vec<SocketAddr> {
    vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]
}

/// The status of the answer.
fn ask(mut socket: impl Socket) -> io::Result<u16> {
    socket.write_all(REQUEST)?;
    socket.flush()?;
    let mut head = [0; 12];
    socket.read_exact(&mut head)?;
    let digits = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "));
    let status = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::other("answered, but not with HTTP/1"))
}

const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST: &[u8] =
    b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nUser-Agent: healthcheck\r\nConnection: close\r\n\r\n";
