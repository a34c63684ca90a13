//! The local time zone, from a compiled zone file (tzfile(5), RFC 9636).

use super::rule::Rule;
use hostfs::{Buf, Sources};

/// Offsets from UTC and their names over time.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// Seconds since 1970 from which on a type holds, rising.
    transitions: Vec<(i64, usize)>,
    types: Vec<Type>,
    /// What holds after the last transition.
    rule: Option<Rule>,
}

#[derive(Clone, Debug, PartialEq)]
struct Type {
    offset: i32,
    is_dst: bool,
    name: Box<[u8]>,
}

const UTC: (i32, &[u8]) = (0, b"UTC");
const LOCALTIME: &str = "/etc/localtime";
const FOLDERS: [&str; 4] = ["/usr/share/zoneinfo", "/usr/share/lib/zoneinfo", "/usr/lib/locale/TZ", "/etc/zoneinfo"];

impl Zone {
    /// The zone that `TZ` names, that of `/etc/localtime` where it is not set, or UTC.
    pub(super) fn local(tz: Option<&str>, sources: &Sources) -> Self {
        let mut buf = Buf::new();
        let mut read = |path: &str| sources.named(path).read(&mut buf).ok().and_then(parse);
        let zone = match tz.map(|tz| tz.strip_prefix(':').unwrap_or(tz)) {
            None => read(LOCALTIME),
            Some("" | "UTC") => None,
            Some(path) if path.starts_with('/') => read(path),
            Some(name) if name.split('/').any(|part| part == "..") => None,
            Some(name) => FOLDERS.iter().find_map(|folder| read(&format!("{folder}/{name}"))),
        };
        zone.unwrap_or_default()
    }

    /// Offset in seconds and name at a time.
    pub(super) fn at(&self, unix: i64) -> (i32, &[u8]) {
        let next = self.transitions.partition_point(|(from, _)| *from <= unix);
        if next == self.transitions.len()
            && let Some(rule) = &self.rule
        {
            return rule.at(unix);
        }
        let kind = match next.checked_sub(1) {
            Some(last) => self.types.get(self.transitions[last].1),
            None => self.types.iter().find(|t| !t.is_dst).or(self.types.first()),
        };
        kind.map_or(UTC, |t| (t.offset, &t.name))
    }
}

/// A cursor over big-endian fields.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<i64> {
        let taken = self.take(bytes)?;
        let negative = taken.first().is_some_and(|b| b & 0x80 != 0);
        Some(taken.iter().fold(if negative { -1 } else { 0 }, |n: i64, &b| n << 8 | i64::from(b)))
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(self.number(4)?).ok()
    }
}

struct Header {
    version: u8,
    isutcnt: usize,
    isstdcnt: usize,
    leapcnt: usize,
    timecnt: usize,
    typecnt: usize,
    charcnt: usize,
}

fn header(fields: &mut Fields<'_>) -> Option<Header> {
    if fields.take(4)? != b"TZif" {
        return None;
    }
    let version = fields.take(16)?[0];
    Some(Header {
        version,
        isutcnt: fields.count()?,
        isstdcnt: fields.count()?,
        leapcnt: fields.count()?,
        timecnt: fields.count()?,
        typecnt: fields.count()?,
        charcnt: fields.count()?,
    })
}

fn parse(file: &[u8]) -> Option<Zone> {
    let mut fields = Fields(file);
    let mut h = header(&mut fields)?;
    let mut time_bytes = 4;
    if h.version >= b'2' {
        // The first block holds 32-bit times for old readers.
        let sizes = [(h.timecnt, 5), (h.typecnt, 6), (h.charcnt, 1), (h.leapcnt, 8), (h.isstdcnt, 1), (h.isutcnt, 1)];
        let size = sizes.iter().try_fold(0usize, |n, (count, each)| n.checked_add(count.checked_mul(*each)?))?;
        fields.take(size)?;
        h = header(&mut fields)?;
        time_bytes = 8;
    }
    let mut times = Fields(fields.take(h.timecnt.checked_mul(time_bytes)?)?);
    let indexes = fields.take(h.timecnt)?;
    let mut types = Fields(fields.take(h.typecnt.checked_mul(6)?)?);
    let names = fields.take(h.charcnt)?;
    fields.take(h.leapcnt.checked_mul(time_bytes + 4)?)?;
    fields.take(h.isstdcnt.checked_add(h.isutcnt)?)?;

    let mut zone = Zone::default();
    for _ in 0..h.typecnt {
        let offset = i32::try_from(types.number(4)?).ok()?;
        let is_dst = types.number(1)? != 0;
        let name = names.get(usize::from(types.take(1)?[0])..)?;
        let name = name.split(|&b| b == 0).next().unwrap_or_default().into();
        zone.types.push(Type { offset, is_dst, name });
    }
    for &index in indexes {
        let index = usize::from(index);
        zone.transitions.push((times.number(time_bytes)?, index));
        zone.types.get(index)?;
    }
    if time_bytes == 8
        && let Some(footer) = fields.0.strip_prefix(b"\n")
    {
        zone.rule = Rule::parse(footer.split(|&b| b == b'\n').next().unwrap_or_default());
    }
    (!zone.types.is_empty() && zone.transitions.is_sorted()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::tree::Tree;
    use proptest::prelude::*;

    /// Version 2 with `times` that alternate between summer and winter.
    fn file(times: &[i64], footer: &str) -> Vec<u8> {
        let block = |wide: bool| {
            let mut block = b"TZif2".to_vec();
            block.extend([0; 15]);
            let times = if wide { times } else { &[] };
            for count in [0, 0, 0, times.len() as u32, 2, 9] {
                block.extend(count.to_be_bytes());
            }
            block.extend(times.iter().flat_map(|t| t.to_be_bytes()));
            block.extend((0..times.len()).map(|i| u8::from(i % 2 == 0)));
            for (offset, is_dst, name) in [(3600i32, 0u8, 0u8), (7200, 1, 4)] {
                block.extend(offset.to_be_bytes());
                block.extend([is_dst, name]);
            }
            block.extend(b"CET\0CEST\0");
            block
        };
        let mut file = block(false);
        file.extend(block(true));
        file.extend(format!("\n{footer}\n").bytes());
        file
    }

    #[test]
    fn transitions_and_what_comes_after() {
        let zone = parse(&file(&[100, 200], "CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
        assert_eq!(zone.at(99), (3600, &b"CET"[..]));
        assert_eq!(zone.at(100), (7200, &b"CEST"[..]));
        assert_eq!(zone.at(199), (7200, &b"CEST"[..]));
        // 2026-07-01 and 2026-11-22.
        assert_eq!(zone.at(1_782_864_000), (7200, &b"CEST"[..]));
        assert_eq!(zone.at(1_795_305_600), (3600, &b"CET"[..]));
        let zone = parse(&file(&[100, 200], "")).unwrap();
        assert_eq!(zone.at(1_782_864_000), (3600, &b"CET"[..]));
        assert_eq!(parse(b"TZif"), None::<Zone>);
    }

    impl PartialEq for Zone {
        fn eq(&self, other: &Self) -> bool {
            self.transitions == other.transitions && self.types == other.types
        }
    }

    #[test]
    fn where_the_zone_is_looked_for() {
        let tree = Tree::of(&[("zone", &file(&[], "CET-1"))]);
        let path = tree.path().join("zone").display().to_string();
        let sources = tree.sources();
        assert_eq!(Zone::local(Some(&path), &sources).at(0), (3600, &b"CET"[..]));
        assert_eq!(Zone::local(Some(&format!(":{path}")), &sources).at(0), (3600, &b"CET"[..]));
        for utc in ["", "UTC", "No/Such", "/no/such", "../../etc/localtime"] {
            assert_eq!(Zone::local(Some(utc), &sources).at(0), UTC, "{utc}");
        }
    }

    #[test]
    fn as_the_c_library_has_it() {
        for name in ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata", "America/Sao_Paulo"] {
            let Ok(file) = std::fs::read(format!("/usr/share/zoneinfo/{name}")) else {
                println!("skipped: this machine has no zone files");
                return;
            };
            let zone = parse(&file).unwrap();
            for unix in (0..4_000_000_000i64).step_by(97_000_003) {
                let date = std::process::Command::new("date")
                    .env("TZ", name)
                    .args([&format!("-d@{unix}"), "+%Z %:::z %s"])
                    .output()
                    .unwrap();
                let shown = String::from_utf8(date.stdout).unwrap();
                let mut words = shown.split_whitespace();
                let (offset, abbreviation) = zone.at(unix);
                assert_eq!(words.next().unwrap().as_bytes(), abbreviation, "{name} at {unix}");
                let clock = words.next().unwrap();
                let (sign, clock) = clock.split_at(1);
                let seconds =
                    clock.split(':').zip([3600, 60, 1]).map(|(n, unit)| n.parse::<i32>().unwrap() * unit).sum::<i32>();
                assert_eq!(if sign == "-" { -seconds } else { seconds }, offset, "{name} at {unix}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, times: Vec<i64>, footer: String, cut: usize, at: i64) {
            parse(&bytes);
            let file = file(&times, &footer);
            parse(&file).unwrap_or_default().at(at);
            parse(&file[..cut % (file.len() + 1)]).unwrap_or_default().at(at);
        }
    }
}
