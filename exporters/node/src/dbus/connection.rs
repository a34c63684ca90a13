//! One connection to a bus, or straight to a service.

use super::DbusError;
use super::wire::{Reader, Writer};
use crate::unix_socket;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A method call whose arguments are strings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    /// Bus name of the service.
    pub(crate) destination: &'a str,
    /// The object.
    pub(crate) path: &'a str,
    /// The interface.
    pub(crate) interface: &'a str,
    /// The method.
    pub(crate) member: &'a str,
    /// Its arguments.
    pub(crate) arguments: &'a [&'a str],
}

impl<'a> Call<'a> {
    /// `org.freedesktop.DBus.Properties.Get`; `arguments` are interface and property.
    pub(crate) fn property(destination: &'a str, path: &'a str, arguments: &'a [&'a str; 2]) -> Self {
        Self { destination, path, interface: "org.freedesktop.DBus.Properties", member: "Get", arguments }
    }
}

/// An authenticated connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    path: String,
    deadline: Instant,
    serial: u32,
    writer: Writer,
    /// The message read last.
    message: Vec<u8>,
    /// Bytes that came behind it.
    ahead: Vec<u8>,
    /// Whether a silent peer gets a ping: one that read our first call together with the end of the authentication
    /// looks at it only when more comes (sd-bus as a server, systemd 252).
    nudge: bool,
}

/// What a message says in its header.
struct Header {
    kind: u8,
    reply_serial: u32,
    error: Option<String>,
    big_endian: bool,
    body_at: usize,
}

const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
/// The specification allows 128 MiB; the units of a very large host take 2.
const LARGEST_MESSAGE: usize = 32 << 20;
/// Calls that are under way at once: the answers to more would not fit the socket's buffer.
const WINDOW: usize = 32;
/// How long a peer may be silent before it is pinged.
const NUDGE: Duration = Duration::from_millis(50);
/// A serial that no other call has.
const PING_SERIAL: u32 = u32::MAX;

impl Connection {
    /// Connects to a message bus and introduces us.
    pub(crate) fn bus(path: &Path, deadline: Instant) -> Result<Self, DbusError> {
        const BUS: &str = "org.freedesktop.DBus";
        let mut connection = Self::open(path, deadline, false)?;
        let hello =
            Call { destination: BUS, path: "/org/freedesktop/DBus", interface: BUS, member: "Hello", arguments: &[] };
        connection.call(&hello, |_| Some(()))?;
        Ok(connection)
    }

    /// Connects to a service that listens itself, without a bus between.
    pub(crate) fn peer(path: &Path, deadline: Instant) -> Result<Self, DbusError> {
        Self::open(path, deadline, true)
    }

    fn open(path: &Path, deadline: Instant, nudge: bool) -> Result<Self, DbusError> {
        let shown = path.display().to_string();
        let stream = unix_socket::connect(path).map_err(|source| DbusError::Connect { path: shown.clone(), source })?;
        let mut connection = Self {
            stream,
            path: shown,
            deadline,
            serial: 0,
            writer: Writer::default(),
            message: Vec::new(),
            ahead: Vec::new(),
            nudge,
        };
        connection.authenticate()?;
        Ok(connection)
    }

    /// Calls a method and parses the body of its reply.
    pub(crate) fn call<T>(
        &mut self,
        call: &Call<'_>,
        parse: impl FnOnce(&mut Reader<'_>) -> Option<T>,
    ) -> Result<T, DbusError> {
        let mut parse = Some(parse);
        let mut answer = None;
        self.call_all(
            1,
            |_| *call,
            |_, body| {
                answer = Some(body.and_then(|mut body| {
                    parse.take().and_then(|parse| parse(&mut body)).ok_or(DbusError::Malformed("a reply's body"))
                }));
            },
        )?;
        answer.unwrap_or(Err(DbusError::Malformed("a reply")))
    }

    /// Makes `count` calls, several under way at once, and hands over each reply's body with its number.
    pub(crate) fn call_all<'c>(
        &mut self,
        count: usize,
        mut call: impl FnMut(usize) -> Call<'c>,
        mut done: impl FnMut(usize, Result<Reader<'_>, DbusError>),
    ) -> Result<(), DbusError> {
        let first_serial = self.serial.wrapping_add(1);
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < WINDOW {
                self.serial = self.serial.wrapping_add(1);
                let bytes = self.writer.call(self.serial, &call(sent));
                self.stream
                    .set_write_timeout(Some(left(self.deadline)))
                    .and_then(|()| self.stream.write_all(bytes))
                    .map_err(|source| DbusError::Io { action: "write to", path: self.path.clone(), source })?;
                sent += 1;
            }
            self.receive()?;
            let header = header(&self.message).ok_or(DbusError::Malformed("a message's header"))?;
            let at = header.reply_serial.wrapping_sub(first_serial) as usize;
            // Signals, and whatever else we did not ask for.
            if !matches!(header.kind, METHOD_RETURN | ERROR) || at >= sent {
                continue;
            }
            answered += 1;
            let body = match header.error {
                Some(name) if header.kind == ERROR => {
                    let call = call(at);
                    let call = format!("{}.{} of {}", call.interface, call.member, call.path);
                    Err(DbusError::Reply { call, name })
                }
                _ => Ok(Reader::new(&self.message, header.big_endian).skip_to(header.body_at)),
            };
            done(at, body);
        }
        Ok(())
    }

    fn authenticate(&mut self) -> Result<(), DbusError> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        // Its decimal digits, each byte in hexadecimal: they are 0x30 to 0x39.
        let hex: String = uid.chars().flat_map(|digit| ['3', digit]).collect();
        let path = self.path.clone();
        let io = |source: std::io::Error| {
            // A socket's time-out is EAGAIN to the system.
            let late = source.kind() == std::io::ErrorKind::WouldBlock;
            let source = if late { std::io::ErrorKind::TimedOut.into() } else { source };
            DbusError::Io { action: "authenticate with", path: path.clone(), source }
        };
        self.stream.set_write_timeout(Some(left(self.deadline))).map_err(io)?;
        self.stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes()).map_err(io)?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.set_read_timeout(Some(left(self.deadline))).map_err(io)?;
            let n = self.stream.read(&mut byte).map_err(io)?;
            if n == 0 || line.len() > 1024 {
                return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
            }
            line.push(byte[0]);
        }
        if !line.starts_with(b"OK ") {
            let answer = String::from_utf8_lossy(line.trim_ascii()).into_owned();
            return Err(DbusError::Refused { path: self.path.clone(), answer });
        }
        self.stream.write_all(b"BEGIN\r\n").map_err(io)
    }

    /// Reads the next message into `self.message`.
    fn receive(&mut self) -> Result<(), DbusError> {
        self.message.clear();
        self.message.append(&mut self.ahead);
        let mut wanted = 16;
        loop {
            if self.message.len() >= 16 {
                wanted = message_length(&self.message).ok_or(DbusError::Malformed("a message's length"))?;
                if self.message.len() >= wanted {
                    self.ahead.extend_from_slice(&self.message[wanted..]);
                    self.message.truncate(wanted);
                    return Ok(());
                }
            }
            let missing = (wanted - self.message.len()).max(4096);
            let start = self.message.len();
            self.message.resize(start + missing, 0);
            let wait = if self.nudge { left(self.deadline).min(NUDGE) } else { left(self.deadline) };
            let read =
                self.stream.set_read_timeout(Some(wait)).and_then(|()| self.stream.read(&mut self.message[start..]));
            self.message.truncate(start + read.as_ref().map_or(0, |n| *n));
            match read {
                Ok(0) => return Err(self.failed(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                    if self.nudge && Instant::now() < self.deadline {
                        self.ping()?;
                        continue;
                    }
                    return Err(self.failed(std::io::ErrorKind::TimedOut.into()));
                }
                Err(e) => return Err(self.failed(e)),
            }
        }
    }

    /// A call whose reply nobody waits for.
    fn ping(&mut self) -> Result<(), DbusError> {
        let ping =
            Call { destination: "", path: "/", interface: "org.freedesktop.DBus.Peer", member: "Ping", arguments: &[] };
        let bytes = self.writer.call(PING_SERIAL, &ping);
        self.stream.write_all(bytes).map_err(|source| DbusError::Io {
            action: "write to",
            path: self.path.clone(),
            source,
        })
    }

    fn failed(&self, source: std::io::Error) -> DbusError {
        DbusError::Io { action: "read from", path: self.path.clone(), source }
    }
}

/// The time until the deadline; never none, which would mean to wait for ever.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// The length of a whole message by its first 16 bytes.
fn message_length(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes, big_endian(bytes)?).skip_to(4);
    let (body, _, fields) = (reader.u32()? as usize, reader.u32()?, reader.u32()? as usize);
    let length = 16usize.checked_add(fields)?.checked_next_multiple_of(8)?.checked_add(body)?;
    (length <= LARGEST_MESSAGE).then_some(length)
}

fn big_endian(bytes: &[u8]) -> Option<bool> {
    match bytes.first()? {
        b'l' => Some(false),
        b'B' => Some(true),
        _ => None,
    }
}

fn header(message: &[u8]) -> Option<Header> {
    let big_endian = big_endian(message)?;
    let mut header =
        Header { kind: *message.get(1)?, reply_serial: 0, error: None, big_endian, body_at: message.len() };
    let mut reader = Reader::new(message, big_endian).skip_to(12);
    let mut fields = reader.array(8)?;
    while !fields.is_at_end() {
        fields.align(8)?;
        match (fields.byte()?, fields.signature()?) {
            (4, b"s") => header.error = Some(fields.string()?.to_owned()),
            (5, b"u") => header.reply_serial = fields.u32()?,
            (_, b"s" | b"o") => drop(fields.string()?),
            (_, b"g") => drop(fields.signature()?),
            (_, b"u") => drop(fields.u32()?),
            _ => return None,
        }
    }
    reader.align(8)?;
    header.body_at = message.len().min(reader.position());
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::net::UnixListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    /// A real bus of our own, ended with the value.
    struct Bus {
        daemon: std::process::Child,
        _dir: tempfile::TempDir,
        socket: std::path::PathBuf,
    }

    impl Bus {
        fn start() -> Option<Self> {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("bus");
            let address = format!("--address=unix:path={}", socket.display());
            let Ok(daemon) = std::process::Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", &address])
                .stderr(std::process::Stdio::null())
                .spawn()
            else {
                println!("skipped: no dbus-daemon here");
                return None;
            };
            let bus = Self { daemon, _dir: dir, socket };
            for _ in 0..200 {
                if bus.socket.exists() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            Some(bus)
        }
    }

    impl Drop for Bus {
        fn drop(&mut self) {
            let _ = self.daemon.kill();
            let _ = self.daemon.wait();
        }
    }

    #[test]
    fn a_real_bus_answers() {
        const NAME: &str = "org.freedesktop.DBus";
        let Some(bus) = Bus::start() else { return };
        let mut connection = Connection::bus(&bus.socket, soon()).unwrap();
        let call = Call {
            destination: NAME,
            path: "/org/freedesktop/DBus",
            interface: NAME,
            member: "GetNameOwner",
            arguments: &[NAME],
        };
        assert_eq!(connection.call(&call, |body| body.string().map(str::to_owned)).unwrap(), NAME);
        let names = Call { member: "ListNames", arguments: &[], ..call };
        let count = connection.call(&names, |body| {
            let mut names = body.array(4)?;
            let mut count = 0;
            while !names.is_at_end() {
                names.string()?;
                count += 1;
            }
            Some(count)
        });
        assert_eq!(count.unwrap(), 2, "the bus and we");
        // More than are under way at once, half of them errors.
        let mut answers = vec![None; 3 * WINDOW];
        let of = |n| if n % 2 == 0 { call } else { Call { arguments: &["no.such.name"], ..call } };
        connection.call_all(answers.len(), of, |n, body| answers[n] = Some(body.is_ok())).unwrap();
        assert!(answers.iter().enumerate().all(|(n, ok)| *ok == Some(n % 2 == 0)), "{answers:?}");
        let error = connection.call(&Call { arguments: &["no.such.name"], ..call }, |_| Some(())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "org.freedesktop.DBus.GetNameOwner of /org/freedesktop/DBus: org.freedesktop.DBus.Error.NameHasNoOwner"
        );
    }

    #[test]
    fn a_bus_that_does_not_answer_costs_the_deadline() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let _silent = UnixListener::bind(&path).unwrap();
        let begun = Instant::now();
        let error = Connection::bus(&path, begun + Duration::from_millis(100)).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2), "{error}");
        assert!(error.to_string().starts_with("authenticate with "), "{error}");
        assert!(error.to_string().ends_with(": timed out"), "{error}");
    }

    #[test]
    fn a_peer_that_overlooks_the_first_call_is_nudged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("private");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            let mut packets_after_begin = 0;
            while packets_after_begin < 2 {
                let n = stream.read(&mut buffer).unwrap();
                assert!(n > 0, "the client gave up");
                let greeted = seen.ends_with(b"\r\n");
                seen.extend_from_slice(&buffer[..n]);
                if !greeted && seen.ends_with(b"\r\n") {
                    stream.write_all(b"OK 00\r\n").unwrap();
                }
                packets_after_begin += u32::from(seen.windows(4).any(|w| w == b"Ping" || w == b"Call"));
            }
            // The reply to serial 1, without a body.
            stream.write_all(&[b'l', 2, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 5, 1, b'u', 0, 1, 0, 0, 0]).unwrap();
        });
        let mut connection = Connection::peer(&path, soon()).unwrap();
        let call = Call { destination: "", path: "/", interface: "a.b", member: "Call", arguments: &[] };
        connection.call(&call, |_| Some(())).unwrap();
        peer.join().unwrap();
    }

    #[test]
    fn no_bus_at_all() {
        let error = Connection::bus(Path::new("/no/such/bus"), soon()).unwrap_err();
        assert_eq!(error.to_string(), "connect to /no/such/bus: No such file or directory (os error 2)");
    }

    proptest! {
        #[test]
        fn any_message_is_survived(mut bytes: Vec<u8>, little: bool) {
            header(&bytes);
            message_length(&bytes);
            if !bytes.is_empty() {
                bytes[0] = if little { b'l' } else { b'B' };
                header(&bytes);
                message_length(&bytes);
            }
        }
    }
}
