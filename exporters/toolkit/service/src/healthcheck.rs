//! `healthcheck`: asks the service that runs with the same flags whether it is healthy. Images have no curl.

use crate::flags::Flags;
use crate::listen::Address;
use crate::program::Command;
use crate::web;
use crate::yaml::reason;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
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
    let answered = connect(&address).and_then(|socket| if tls { ask_over_tls(socket) } else { ask(socket) });
    match answered {
        // A login or a rate limit that refuses us is a service at work.
        Ok(200 | 401 | 429) => Ok(()),
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
    let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.ok_or_else(|| io::Error::other("answered, but not with HTTP/1.1"))
}

fn ask_over_tls(mut socket: Box<dyn Socket>) -> io::Result<u16> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let answered = ask(rustls::Stream::new(&mut connection, &mut socket));
    match answered {
        // We have no certificate to show; a service that asks for one is at work.
        Err(e) if asks_for_certificate(&e) => Ok(401),
        other => other,
    }
}

fn asks_for_certificate(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    let refusals =
        [AlertDescription::CertificateRequired, AlertDescription::HandshakeFailure, AlertDescription::BadCertificate];
    matches!(inner, Some(Error::AlertReceived(alert)) if refusals.contains(alert))
}

/// The service is asked by its own address, under whatever name its certificate has.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
const REQUEST: &[u8] =
    b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nUser-Agent: healthcheck\r\nConnection: close\r\n\r\n";
