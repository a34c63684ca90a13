//! The 48 bytes of an NTP message and what they say (RFC 5905, sections 7.3 and 8).

use super::NANOS;

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    leap: u8,
    mode: u8,
    stratum: u8,
    root_delay: u32,
    root_dispersion: u32,
    reference: u64,
    origin: u64,
    receive: u64,
    transmit: u64,
}

/// A server's answer; times are nanoseconds, points in time since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) leap: u8,
    pub(super) stratum: u8,
    pub(super) time: i64,
    pub(super) reference: i64,
    pub(super) root_delay: i64,
    pub(super) root_dispersion: i64,
    pub(super) rtt: i64,
    pub(super) offset: i64,
    /// By how much the order of events is violated: a lower bound of the clocks' difference.
    pub(super) min_error: i64,
}

/// A question; the server sends `nonce` back.
pub(super) fn request(version: u8, nonce: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[0] = version << 3 | CLIENT;
    bytes[40..].copy_from_slice(&nonce.to_be_bytes());
    bytes
}

impl Packet {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
        let short = |at: usize| bytes[at..at + 4].iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
        let long = |at: usize| u64::from(short(at)) << 32 | u64::from(short(at + 4));
        Some(Self {
            leap: bytes[0] >> 6,
            mode: bytes[0] & 7,
            stratum: bytes[1],
            root_delay: short(4),
            root_dispersion: short(8),
            reference: long(16),
            origin: long(24),
            receive: long(32),
            transmit: long(40),
        })
    }

    /// The answer to the question with this nonce, sent and answered at these times of the own clock.
    pub(super) fn reply(&self, nonce: u64, sent: i64, answered: i64) -> Result<Reply, &'static str> {
        if self.mode != SERVER {
            return Err("the answer is not from a server");
        }
        if self.origin != nonce {
            return Err("the answer is not to this question");
        }
        if self.transmit == 0 {
            return Err("the answer has no time");
        }
        if self.receive > self.transmit {
            return Err("the server's clock went backwards");
        }
        let (receive, transmit) = (unix_nanos(self.receive), unix_nanos(self.transmit));
        let there = receive.saturating_sub(sent);
        let back = transmit.saturating_sub(answered);
        Ok(Reply {
            leap: self.leap,
            stratum: self.stratum,
            time: transmit,
            reference: if self.reference == 0 { 0 } else { unix_nanos(self.reference) },
            root_delay: short_nanos(self.root_delay),
            root_dispersion: short_nanos(self.root_dispersion),
            rtt: there.saturating_sub(back).max(0),
            offset: i64::midpoint(there, back),
            min_error: sent.saturating_sub(receive).max(back).max(0),
        })
    }
}

impl Reply {
    /// Whether the server claims to be synchronized, lately enough and within bounds.
    pub(super) fn is_valid(&self) -> bool {
        (1..UNSYNCHRONIZED_STRATUM).contains(&self.stratum)
            && self.leap != UNSYNCHRONIZED_LEAP
            && self.time.saturating_sub(self.reference) <= LONGEST_POLL
            && self.root_delay / 2 + self.root_dispersion <= MAX_DISPERSION
            && self.time >= self.reference
    }

    pub(super) fn root_distance(&self) -> i64 {
        (self.rtt.saturating_add(self.root_delay) / 2).saturating_add(self.root_dispersion)
    }
}

/// 32 bits of seconds since 1900 and 32 bits of fraction. What lies before 1970 is of the era that begins in 2036.
fn unix_nanos(stamp: u64) -> i64 {
    let (seconds, fraction) = ((stamp >> 32) as i64, (stamp & 0xffff_ffff) as i64);
    let seconds = if seconds < UNIX_EPOCH_1900 { seconds + (1 << 32) } else { seconds } - UNIX_EPOCH_1900;
    seconds * NANOS + ((fraction * NANOS + (1 << 31)) >> 32)
}

/// 16 bits of seconds and 16 bits of fraction.
fn short_nanos(stamp: u32) -> i64 {
    (i64::from(stamp) * NANOS + (1 << 15)) >> 16
}

const LENGTH: usize = 48;
const CLIENT: u8 = 3;
const SERVER: u8 = 4;
const UNIX_EPOCH_1900: i64 = 2_208_988_800;
const UNSYNCHRONIZED_STRATUM: u8 = 16;
const UNSYNCHRONIZED_LEAP: u8 = 3;
const LONGEST_POLL: i64 = (1 << 17) * NANOS;
const MAX_DISPERSION: i64 = 16 * NANOS;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(unix_seconds: i64, fraction: u32) -> u64 {
        ((unix_seconds + UNIX_EPOCH_1900) as u64) << 32 | u64::from(fraction)
    }

    fn packet() -> Packet {
        Packet {
            leap: 0,
            mode: SERVER,
            stratum: 1,
            root_delay: 0,
            root_dispersion: 1 << 16,
            reference: stamp(990, 0),
            origin: 7,
            receive: stamp(1000, 1 << 31),
            transmit: stamp(1000, 1 << 31),
        }
    }

    #[test]
    fn offset_and_round_trip() {
        // Sent at 1000.0, received at 1000.5 of a clock 0.4 s ahead, answered at 1000.2.
        let reply = packet().reply(7, 1000 * NANOS, 1000 * NANOS + NANOS / 5).unwrap();
        assert_eq!((reply.offset, reply.rtt), (NANOS * 4 / 10, NANOS / 5));
        assert_eq!(reply.min_error, NANOS * 3 / 10);
        assert_eq!(reply.root_distance(), NANOS / 10 + NANOS);
        assert!(reply.is_valid());
    }

    #[test]
    fn answers_that_are_none() {
        let reply = |change: fn(&mut Packet)| {
            let mut packet = packet();
            change(&mut packet);
            packet.reply(7, 0, 0)
        };
        assert!(reply(|p| p.origin = 8).unwrap_err().contains("question"));
        assert!(reply(|p| p.mode = 3).unwrap_err().contains("server"));
        assert!(reply(|p| p.receive += 1).unwrap_err().contains("backwards"));
        assert!(!reply(|p| p.leap = 3).unwrap().is_valid());
        assert!(!reply(|p| p.stratum = 0).unwrap().is_valid());
        assert!(!reply(|p| p.root_dispersion = 17 << 16).unwrap().is_valid());
        assert!(!reply(|p| p.reference = 0).unwrap().reference.is_positive());
    }

    #[test]
    fn a_question_and_the_era_after_2036() {
        let question = request(4, 0x0102_0304_0506_0708);
        assert_eq!((question[0], &question[40..]), (0x23, &[1, 2, 3, 4, 5, 6, 7, 8][..]));
        assert_eq!(unix_nanos(1 << 32), (1 + (1 << 32) - UNIX_EPOCH_1900) * NANOS);
        assert_eq!(short_nanos(0x0001_8000), NANOS * 3 / 2);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, nonce: u64, sent: i64, answered: i64) {
            if let Some(packet) = Packet::parse(&bytes) {
                let _ = packet.reply(nonce, sent, answered);
                if let Ok(reply) = packet.reply(packet.origin, sent, answered) {
                    reply.is_valid();
                    reply.root_distance();
                }
            }
        }
    }
}
