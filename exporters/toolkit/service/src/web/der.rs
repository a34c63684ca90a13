//! The few fields of an X.509 certificate that webpki does not show: validity, extended key usage, alternative names.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a client certificate says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Seconds since the epoch.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// Whether it may prove a client's identity: no usage named, or this one, or any.
    pub(crate) for_clients: bool,
    /// DNS names, e-mail addresses, IP addresses as text, and URIs.
    pub(crate) names: Vec<String>,
}

impl Leaf {
    /// Reads a certificate; `None` when it is not one.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).take(SEQUENCE)?);
        let mut tbs = Der(certificate.take(SEQUENCE)?);
        tbs.skip_if(CONTEXT_0)?; // version
        tbs.take(INTEGER)?; // serial number
        tbs.take(SEQUENCE)?; // signature algorithm
        tbs.take(SEQUENCE)?; // issuer
        let mut validity = Der(tbs.take(SEQUENCE)?);
        let mut leaf = Self { not_before: validity.time()?, not_after: validity.time()?, ..Self::default() };
        leaf.for_clients = true;
        tbs.take(SEQUENCE)?; // subject
        tbs.take(SEQUENCE)?; // public key
        tbs.skip_if(0x81)?; // unique identifiers, of version 2
        tbs.skip_if(0x82)?;
        if tbs.0.first() == Some(&CONTEXT_3) {
            let mut extensions = Der(Der(tbs.take(CONTEXT_3)?).take(SEQUENCE)?);
            while !extensions.0.is_empty() {
                leaf.extension(Der(extensions.take(SEQUENCE)?))?;
            }
        }
        Some(leaf)
    }

    fn extension(&mut self, mut extension: Der<'_>) -> Option<()> {
        let id = extension.take(OBJECT)?;
        extension.skip_if(BOOLEAN)?; // critical
        let mut value = Der(extension.take(OCTETS)?);
        if id == EXT_KEY_USAGE {
            let mut usages = Der(value.take(SEQUENCE)?);
            self.for_clients = false;
            while !usages.0.is_empty() {
                let usage = usages.take(OBJECT)?;
                self.for_clients |= usage == CLIENT_AUTH || usage == ANY_USAGE;
            }
        } else if id == SUBJECT_ALT_NAME {
            let mut names = Der(value.take(SEQUENCE)?);
            while !names.0.is_empty() {
                let (tag, content) = names.any()?;
                let text = || String::from_utf8(content.to_vec()).ok();
                match tag {
                    0x81 | 0x82 | 0x86 => self.names.extend(text()),
                    0x87 => self.names.extend(ip(content)),
                    _ => {}
                }
            }
        }
        Some(())
    }
}

/// An address as Go prints it: IPv4 in IPv6 clothes is IPv4.
fn ip(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    let six = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
    Some(six.to_ipv4_mapped().map_or_else(|| six.to_string(), |four| four.to_string()))
}

/// What is left to read of a run of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and its content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk::<2>()?;
        if tag & 0x1f == 0x1f {
            return None; // a tag of several bytes, of which a certificate has none
        }
        let (length, rest) = if length < 0x80 {
            (usize::from(length), rest)
        } else {
            let size = usize::from(length & 0x7f);
            if !(1..=4).contains(&size) {
                return None;
            }
            let (bytes, rest) = rest.split_at_checked(size)?;
            (bytes.iter().fold(0, |all, &b| all << 8 | usize::from(b)), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content)
    }

    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.any()?;
        }
        Some(())
    }

    /// A UTCTime (`YYMMDDhhmmssZ`) or GeneralizedTime (`YYYYMMDDhhmmssZ`).
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.any()?;
        let digits = text.strip_suffix(b"Z")?;
        if !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = |bytes: &[u8]| bytes.iter().fold(0, |all, &b| all * 10 + i64::from(b - b'0'));
        let (year, rest) = match (tag, digits.len()) {
            (UTC_TIME, 12) => {
                let year = number(&digits[..2]);
                (if year < 50 { 2000 + year } else { 1900 + year }, &digits[2..])
            }
            (GENERALIZED_TIME, 14) => (number(&digits[..4]), &digits[4..]),
            _ => return None,
        };
        let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| number(&rest[at..at + 2]));
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        Some(((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second)
    }
}

/// Days from 1970-01-01 to a date (Howard Hinnant's days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
const CONTEXT_3: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.29.37
const EXT_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
/// 2.5.29.37.0
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
/// 1.3.6.1.5.5.7.3.2
const CLIENT_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82, (content.len() >> 8) as u8, content.len() as u8];
        out.extend_from_slice(content);
        out
    }

    fn extension(id: &[u8], content: &[u8]) -> Vec<u8> {
        value(SEQUENCE, &[value(OBJECT, id), value(BOOLEAN, &[255]), value(OCTETS, content)].concat())
    }

    /// A certificate's outline, made by hand: what is read is real, what is skipped is empty.
    fn certificate(extensions: &[u8]) -> Vec<u8> {
        let validity = [value(UTC_TIME, b"700101000001Z"), value(GENERALIZED_TIME, b"21000301000000Z")].concat();
        let empty = value(SEQUENCE, b"");
        let tbs = [
            value(CONTEXT_0, &[2, 1, 2]),
            value(INTEGER, &[1]),
            empty.clone(),
            empty.clone(),
            value(SEQUENCE, &validity),
            empty.clone(),
            empty,
            value(CONTEXT_3, &value(SEQUENCE, extensions)),
        ];
        value(SEQUENCE, &value(SEQUENCE, &tbs.concat()))
    }

    #[test]
    fn names_times_and_usages_are_read() {
        let mut six = [0; 16];
        six[15] = 1;
        let names = [
            value(0x82, b"a"),
            value(0x81, b"b@c"),
            value(0x86, b"x://y"),
            value(0x87, &[127, 0, 0, 1]),
            value(0x87, &six),
            value(0x88, b"\x2a"),
        ];
        let leaf = Leaf::read(&certificate(&extension(SUBJECT_ALT_NAME, &value(SEQUENCE, &names.concat())))).unwrap();
        assert_eq!((leaf.not_before, leaf.not_after), (1, 4_107_542_400));
        assert_eq!(leaf.names, ["a", "b@c", "x://y", "127.0.0.1", "::1"]);
        assert!(leaf.for_clients);
        let server = [0x2b, 6, 1, 5, 5, 7, 3, 1];
        for (usages, for_clients) in [
            (value(OBJECT, &server), false),
            ([value(OBJECT, &server), value(OBJECT, CLIENT_AUTH)].concat(), true),
            (value(OBJECT, ANY_USAGE), true),
        ] {
            let usages = extension(EXT_KEY_USAGE, &value(SEQUENCE, &usages));
            assert_eq!(Leaf::read(&certificate(&usages)).unwrap().for_clients, for_clients);
        }
    }

    #[test]
    fn mapped_addresses_print_as_ipv4() {
        assert_eq!(ip(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1]).unwrap(), "10.0.0.1");
        assert_eq!(ip(&[1, 2, 3]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Leaf::read(&bytes);
            let _ = Leaf::read(&certificate(&bytes));
        }

        #[test]
        fn a_damaged_certificate_is_answered(at in 0usize..100, byte: u8, cut in 0usize..100) {
            let mut der = certificate(&extension(SUBJECT_ALT_NAME, &value(SEQUENCE, &value(0x82, b"ab"))));
            let at = at % der.len();
            der[at] = byte;
            let _ = Leaf::read(&der);
            der.truncate(cut);
            let _ = Leaf::read(&der);
        }
    }
}
