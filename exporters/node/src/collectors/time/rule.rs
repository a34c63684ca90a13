//! The rule for times after a zone file's last transition: the `TZ` string of POSIX, with RFC 9636's larger hours.

/// `CET-1CEST,M3.5.0,M10.5.0/3`
#[derive(Debug, PartialEq)]
pub(super) struct Rule {
    standard: Named,
    summer: Option<Summer>,
}

#[derive(Debug, PartialEq)]
struct Named {
    name: Box<[u8]>,
    /// East of Greenwich, in seconds.
    offset: i32,
}

#[derive(Debug, PartialEq)]
struct Summer {
    named: Named,
    start: Change,
    end: Change,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    day: Day,
    /// Seconds of local time after midnight.
    time: i32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Day {
    /// `J60`: the n-th day of a year without leap day, from 1.
    Julian(i64),
    /// `59`: the n-th day of the year, from 0.
    OfYear(i64),
    /// `M3.5.0`: the n-th (5: the last) such day of a week in a month.
    OfMonth { month: i64, week: i64, weekday: i64 },
}

const DAY: i64 = 86_400;

impl Rule {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let mut text = Text(text);
        let standard = Named { name: text.name()?, offset: -text.clock(24)? };
        if text.0.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let name = text.name()?;
        let offset = match text.0.first() {
            None | Some(b',') => standard.offset + 3600,
            Some(_) => -text.clock(24)?,
        };
        if text.0.is_empty() {
            // The United States' rule, as all readers assume.
            text.0 = b",M3.2.0,M11.1.0";
        }
        let (start, end) = (text.change()?, text.change()?);
        let summer = Some(Summer { named: Named { name, offset }, start, end });
        text.0.is_empty().then_some(Self { standard, summer })
    }

    /// Offset in seconds and name at a time.
    pub(super) fn at(&self, unix: i64) -> (i32, &[u8]) {
        let Some(summer) = &self.summer else { return (self.standard.offset, &self.standard.name) };
        let year = year_of(unix.div_euclid(DAY));
        let since = unix.saturating_sub(first_day(year).saturating_mul(DAY));
        let start = summer.start.second(year) - i64::from(self.standard.offset);
        let end = summer.end.second(year) - i64::from(summer.named.offset);
        // South of the equator summer is what lies outside.
        let in_summer = if start <= end { (start..end).contains(&since) } else { !(end..start).contains(&since) };
        let named = if in_summer { &summer.named } else { &self.standard };
        (named.offset, &named.name)
    }
}

impl Change {
    /// Seconds of local time after the year's begin.
    fn second(self, year: i64) -> i64 {
        let leap = i64::from(is_leap(year));
        let day = match self.day {
            Day::Julian(n) => n - 1 + if n >= 60 { leap } else { 0 },
            Day::OfYear(n) => n,
            Day::OfMonth { month, week, weekday } => {
                let before: i64 = (1..month).map(|m| days_in(m, leap)).sum();
                // 1 January 1970 was a Thursday.
                let first_weekday = (first_day(year) + before + 4).rem_euclid(7);
                let mut day = (weekday - first_weekday).rem_euclid(7) + (week - 1) * 7;
                if day >= days_in(month, leap) {
                    day -= 7;
                }
                before + day
            }
        };
        day * DAY + i64::from(self.time)
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(month: i64, leap: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + leap,
        _ => 31,
    }
}

/// 1 January in days since 1970.
fn first_day(year: i64) -> i64 {
    let past = year - 1;
    365 * (year - 1970) + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) - 477
}

/// The year of a day since 1970.
fn year_of(day: i64) -> i64 {
    // A first guess by the mean length of a year is off by one at most.
    let guess = 1970 + (day as f64 / 365.2425).floor() as i64;
    (guess - 1..=guess + 1).rev().find(|year| first_day(*year) <= day).unwrap_or(guess)
}

struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn split(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }

    fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.0.first() == Some(&byte);
        self.0 = &self.0[usize::from(eaten)..];
        eaten
    }

    /// `CET`, or `<-03>`.
    fn name(&mut self) -> Option<Box<[u8]>> {
        let name = if self.eat(b'<') {
            let name = self.split(self.0.iter().position(|&b| b == b'>')?);
            self.eat(b'>');
            name
        } else {
            self.split(self.0.iter().take_while(|b| b.is_ascii_alphabetic()).count())
        };
        (!name.is_empty()).then(|| name.into())
    }

    fn number(&mut self, most: i64) -> Option<i64> {
        let digits = self.split(self.0.iter().take_while(|b| b.is_ascii_digit()).count());
        hostfs::scan::u64(digits).and_then(|n| i64::try_from(n).ok()).filter(|n| *n <= most)
    }

    /// `-3:30:15` in seconds.
    fn clock(&mut self, most_hours: i64) -> Option<i32> {
        let negative = self.eat(b'-');
        let _ = !negative && self.eat(b'+');
        let mut seconds = self.number(most_hours)? * 3600;
        for unit in [60, 1] {
            if !self.eat(b':') {
                break;
            }
            seconds += self.number(59)? * unit;
        }
        i32::try_from(if negative { -seconds } else { seconds }).ok()
    }

    /// `,M3.5.0/2`
    fn change(&mut self) -> Option<Change> {
        if !self.eat(b',') {
            return None;
        }
        let day = if self.eat(b'J') {
            Day::Julian(self.number(365)?.max(1))
        } else if self.eat(b'M') {
            let month = self.number(12)?.max(1);
            let week = self.eat(b'.').then(|| self.number(5))??.max(1);
            Day::OfMonth { month, week, weekday: self.eat(b'.').then(|| self.number(6))?? }
        } else {
            Day::OfYear(self.number(365)?)
        };
        let time = if self.eat(b'/') { self.clock(167)? } else { 2 * 3600 };
        Some(Change { day, time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(rule: &str, unix: i64) -> (i32, String) {
        let rule = Rule::parse(rule.as_bytes()).unwrap();
        let (offset, name) = rule.at(unix);
        (offset, String::from_utf8_lossy(name).into_owned())
    }

    #[test]
    fn the_second_of_a_change() {
        // 2026-03-29 01:00:00 UTC and 2026-10-25 01:00:00 UTC.
        let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
        assert_eq!(at(berlin, 1_774_745_999), (3600, "CET".to_owned()));
        assert_eq!(at(berlin, 1_774_746_000), (7200, "CEST".to_owned()));
        assert_eq!(at(berlin, 1_792_889_999), (7200, "CEST".to_owned()));
        assert_eq!(at(berlin, 1_792_890_000), (3600, "CET".to_owned()));
    }

    #[test]
    fn the_south_half_hours_and_names_with_digits() {
        let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
        assert_eq!(at(sydney, 1_767_225_600), (39_600, "AEDT".to_owned()));
        assert_eq!(at(sydney, 1_782_864_000), (36_000, "AEST".to_owned()));
        assert_eq!(at("IST-5:30", 0), (19_800, "IST".to_owned()));
        assert_eq!(at("<-03>3", 0), (-10_800, "-03".to_owned()));
        assert_eq!(at("EST5EDT", 1_782_864_000), (-14_400, "EDT".to_owned()));
        assert_eq!(at("X0Y,J60/0,J61/0", 951_782_400), (0, "X".to_owned()));
        assert_eq!(at("X0Y,J60/0,J61/0", 951_868_800), (3600, "Y".to_owned()));
    }

    #[test]
    fn years() {
        for (year, day) in [(1970, 0), (1971, 365), (2000, 10_957), (2001, 11_323), (1969, -365)] {
            assert_eq!(first_day(year), day);
            assert_eq!((year_of(day), year_of(day - 1)), (year, year - 1));
        }
    }

    #[test]
    fn what_is_no_rule() {
        for text in
            ["", "CET", "CET-1CEST,", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M1.1.0", "CET-1CEST,M3.5.0,M10.5.0x"]
        {
            assert_eq!(Rule::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text in "[A-Z]{1,3}-?[0-9]{1,2}[A-Z]{0,3}(,[JM]?[0-9]{1,3}(\\.[0-9]){0,2}(/-?[0-9]{1,3})?){0,2}", unix: i64) {
            for rule in [Rule::parse(&bytes), Rule::parse(text.as_bytes())].into_iter().flatten() {
                rule.at(unix);
            }
        }
    }
}
