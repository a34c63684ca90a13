//! A local NTP server's answer, over UDP (RFC 5905).

mod packet;

use exporter::{BuildError, CollectError, Collector, Cx, Default, Desc, Entry, Flag, Part};
use packet::{Packet, Reply};
use service::{FlagKind, Flags};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Registers the collector.
pub(crate) const NTP: Entry = Entry {
    name: "ntp",
    default: Default::Off,
    about: "stratum, offset and sanity of the local NTP server, asked over UDP",
    flags: &[
        Flag::text(SERVER, "127.0.0.1", "NTP server to use for ntp collector"),
        Flag::new(SERVER_PORT, FlagKind::Integer, "123", "UDP port number to connect to on NTP server"),
        Flag::new(VERSION, FlagKind::Integer, "4", "NTP protocol version"),
        Flag::switch(SERVER_IS_LOCAL, "Certify that collector.ntp.server address is not a public ntp server"),
        Flag::new(IP_TTL, FlagKind::Integer, "1", "IP TTL to use while sending NTP query"),
        Flag::new(MAX_DISTANCE, FlagKind::Duration, "3.46608s", "Max accumulated distance to the root"),
        Flag::new(TOLERANCE, FlagKind::Duration, "1ms", "Offset between local clock and local ntpd time to tolerate"),
    ],
    build: |flags, _| Ok(Box::new(Ntp::from_flags(flags)?)),
};

const SERVER: &str = "collector.ntp.server";
const SERVER_PORT: &str = "collector.ntp.server-port";
const VERSION: &str = "collector.ntp.protocol-version";
const SERVER_IS_LOCAL: &str = "collector.ntp.server-is-local";
const IP_TTL: &str = "collector.ntp.ip-ttl";
const MAX_DISTANCE: &str = "collector.ntp.max-distance";
const TOLERANCE: &str = "collector.ntp.local-offset-tolerance";

const STRATUM: Desc = Desc::gauge("node_ntp_stratum", "NTPD stratum.");
const LEAP: Desc = Desc::gauge("node_ntp_leap", "NTPD leap second indicator, 2 bits.");
const RTT: Desc = Desc::gauge("node_ntp_rtt_seconds", "RTT to NTPD.");
const OFFSET: Desc = Desc::gauge("node_ntp_offset_seconds", "ClockOffset between NTP and local clock.");
const REFERENCE: Desc = Desc::gauge("node_ntp_reference_timestamp_seconds", "NTPD ReferenceTime, UNIX timestamp.");
const ROOT_DELAY: Desc = Desc::gauge("node_ntp_root_delay_seconds", "NTPD RootDelay.");
const ROOT_DISPERSION: Desc = Desc::gauge("node_ntp_root_dispersion_seconds", "NTPD RootDispersion.");
const SANITY: Desc =
    Desc::gauge("node_ntp_sanity", "NTPD sanity according to RFC5905 heuristics and configured limits.");

struct Ntp {
    server: String,
    port: u16,
    version: u8,
    ttl: u32,
    max_distance: i64,
    tolerance: i64,
    /// The midnight of an announced leap second, in nanoseconds since 1970: the announcement itself goes with it.
    leap_midnight: Mutex<i64>,
}

impl Ntp {
    fn from_flags(flags: &Flags) -> Result<Self, BuildError> {
        let server = flags.text(SERVER);
        let is_loopback = server.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !flags.on(SERVER_IS_LOCAL) && !is_loopback {
            return Err(BuildError(format!(
                "--{SERVER}: only the address of a local NTP server is valid; --{SERVER_IS_LOCAL} certifies that it is one"
            )));
        }
        let in_range = |flag: &str, from: i64, to: i64| match flags.integer(flag) {
            n if (from..=to).contains(&n) => Ok(n),
            n => Err(BuildError(format!("--{flag}: {n} is not between {from} and {to}"))),
        };
        Ok(Self {
            server: server.to_owned(),
            port: in_range(SERVER_PORT, 1, 65535)? as u16,
            version: in_range(VERSION, 2, 4)? as u8,
            ttl: in_range(IP_TTL, 1, 255)? as u32,
            max_distance: nanos(flags.duration(MAX_DISTANCE)),
            tolerance: nanos(flags.duration(TOLERANCE)),
            leap_midnight: Mutex::new(0),
        })
    }

    fn ask(&self, until: Instant) -> io::Result<Reply> {
        let within = until.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(1), TIME_OUT);
        let address = (self.server.as_str(), self.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?;
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.set_ttl(self.ttl)?;
        socket.set_read_timeout(Some(within))?;
        socket.connect(address)?;
        // A number that nobody can guess in the place of the time: it ties the answer to the question.
        let nonce = std::hash::RandomState::new().build_hasher().finish();
        let (sent_wall, sent) = (SystemTime::now(), Instant::now());
        socket.send(&packet::request(self.version, nonce))?;
        let mut bytes = [0; 512];
        let length = socket.recv(&mut bytes)?;
        let elapsed = sent.elapsed();
        let sent_wall = sent_wall.duration_since(UNIX_EPOCH).map_or(0, nanos);
        let packet = Packet::parse(&bytes[..length])
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is too short"))?;
        packet
            .reply(nonce, sent_wall, sent_wall.saturating_add(nanos(elapsed)))
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }

    fn is_sane(&self, reply: &Reply) -> bool {
        let mut midnight = self.leap_midnight.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(reply.leap, 1 | 2) {
            *midnight = reply.time - reply.time.rem_euclid(DAY) + DAY;
        }
        let mut tolerance = self.tolerance;
        if (*midnight - DAY..*midnight + DAY).contains(&reply.time) {
            // Servers smear the leap second over the hours around it.
            tolerance = tolerance.saturating_add(nanos(Duration::from_secs(1)));
        }
        reply.is_valid() && reply.root_distance() <= self.max_distance && reply.min_error <= tolerance
    }
}

impl Collector for Ntp {
    fn collect(&self, cx: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        let reply = self
            .ask(cx.deadline)
            .map_err(|e| CollectError::failed(format!("ask NTP server {}:{}: {e}", self.server, self.port)))?;
        out.family(&STRATUM).sample(&[], reply.stratum);
        out.family(&LEAP).sample(&[], reply.leap);
        out.family(&RTT).sample(&[], seconds(reply.rtt));
        out.family(&OFFSET).sample(&[], seconds(reply.offset));
        out.family(&REFERENCE).sample(&[], reply.reference.max(0) as f64 / 1e9);
        out.family(&ROOT_DELAY).sample(&[], seconds(reply.root_delay));
        out.family(&ROOT_DISPERSION).sample(&[], seconds(reply.root_dispersion));
        out.family(&SANITY).sample(&[], self.is_sane(&reply));
        Ok(())
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// As Go's `Duration.Seconds`.
fn seconds(nanos: i64) -> f64 {
    (nanos / NANOS) as f64 + (nanos % NANOS) as f64 / 1e9
}

const NANOS: i64 = 1_000_000_000;
const DAY: i64 = 24 * 60 * 60 * NANOS;
const TIME_OUT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use hostfs::Sources;

    /// Answers one question as a server of stratum 2 whose clock is `ahead` of this one.
    fn serve(ahead: Duration) -> (u16, std::thread::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let mut question = [0; 48];
            let (_, from) = socket.recv_from(&mut question).unwrap();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + ahead;
            let stamp = |time: Duration| {
                let seconds = time.as_secs() + 2_208_988_800;
                ((seconds << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)).to_be_bytes()
            };
            let mut answer = [0; 48];
            answer[0] = 4 << 3 | 4;
            answer[1] = 2;
            answer[4..8].copy_from_slice(&0x8000u32.to_be_bytes());
            answer[8..12].copy_from_slice(&0x4000u32.to_be_bytes());
            answer[16..24].copy_from_slice(&stamp(now.checked_sub(Duration::from_secs(30)).unwrap()));
            answer[24..32].copy_from_slice(&question[40..48]);
            answer[32..40].copy_from_slice(&stamp(now));
            answer[40..48].copy_from_slice(&stamp(now));
            socket.send_to(&answer, from).unwrap();
        });
        (port, thread)
    }

    fn value<'t>(text: &'t str, family: &str) -> &'t str {
        let line = text.lines().find(|l| l.starts_with(&format!("{family} "))).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap()
    }

    fn offset(text: &str) -> f64 {
        value(text, "node_ntp_offset_seconds").parse().unwrap()
    }

    #[test]
    fn a_server_s_answer() {
        let (port, thread) = serve(Duration::ZERO);
        let port = format!("--collector.ntp.server-port={port}");
        let args = [port.as_str(), "--collector.ntp.local-offset-tolerance=1s"];
        let (text, result) = exporter::testing::collect(&NTP, &args, &Sources::live());
        thread.join().unwrap();
        result.unwrap();
        assert_eq!(value(&text, "node_ntp_stratum"), "2");
        assert_eq!(value(&text, "node_ntp_root_delay_seconds"), "0.5");
        assert_eq!(value(&text, "node_ntp_root_dispersion_seconds"), "0.25");
        assert_eq!(value(&text, "node_ntp_sanity"), "1");
        assert!(offset(&text).abs() < 0.5, "{text}");
    }

    #[test]
    fn a_clock_that_is_ahead_is_not_sane() {
        let (port, thread) = serve(Duration::from_mins(1));
        let port = format!("--collector.ntp.server-port={port}");
        let (text, result) = exporter::testing::collect(&NTP, &[&port], &Sources::live());
        thread.join().unwrap();
        result.unwrap();
        assert!((offset(&text) - 60.0).abs() < 0.5, "{text}");
        assert_eq!(value(&text, "node_ntp_sanity"), "0");
    }

    #[test]
    fn flags_that_are_refused() {
        for (arg, expected) in [
            ("--collector.ntp.server=192.0.2.1", "--collector.ntp.server-is-local"),
            ("--collector.ntp.protocol-version=5", "--collector.ntp.protocol-version: 5 is not between 2 and 4"),
            ("--collector.ntp.server-port=0", "--collector.ntp.server-port"),
        ] {
            let flags = Flags::from_args(NTP.flags, &[arg]).unwrap();
            let refused = (NTP.build)(&flags, &Sources::live()).err().unwrap().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
