//! Reads times by Go's layouts.

use golayout::{DAYS, MONTHS, Part};

/// A parsed layout.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layout {
    parts: Vec<Part>,
}

impl Layout {
    /// Reads a layout, and refuses one that does not read itself, as grok_exporter does.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.matches(',').count() > 1 || text.replace(",000", "").replace(",999", "").contains(',') {
            return Err(format!("invalid time layout {text:?}: a comma may only stand before 000 or 999"));
        }
        let layout = Self { parts: golayout::parts(text) };
        // A day after a blank or two is written with underscores: Go's own check trips over those alone.
        match layout.unix(text.replace("__2", "002").replace("_2", " 2").as_bytes()) {
            Ok(_) => Ok(layout),
            Err(why) => Err(format!("invalid time layout {text:?}: {why}")),
        }
    }

    /// Seconds since 1970 of a time written this way.
    pub(super) fn unix(&self, value: &[u8]) -> Result<f64, String> {
        let refuse = || format!("cannot parse {:?} as a time", String::from_utf8_lossy(value));
        let mut time = Time { month: 1, day: 1, ..Time::default() };
        let mut rest = value;
        for (i, part) in self.parts.iter().enumerate() {
            rest = time.take(part, self.parts.get(i + 1), rest).ok_or_else(refuse)?;
        }
        if !rest.is_empty() {
            return Err(refuse());
        }
        time.unix().ok_or_else(refuse)
    }
}

#[derive(Default)]
struct Time {
    year: i64,
    month: u32,
    day: u32,
    year_day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    pm: Option<bool>,
    /// Seconds east of Greenwich.
    offset: i64,
}

impl Time {
    /// Reads one part; what is left of the value.
    fn take<'v>(&mut self, part: &Part, next: Option<&Part>, value: &'v [u8]) -> Option<&'v [u8]> {
        Some(match part {
            Part::Text(text) => return skip(text.as_bytes(), value),
            Part::LongMonth | Part::Month => {
                let short = *part == Part::Month;
                let (index, rest) = lookup(&MONTHS, short, value)?;
                self.month = index + 1;
                rest
            }
            Part::LongWeekday | Part::Weekday => lookup(&DAYS, *part == Part::Weekday, value)?.1,
            Part::NumMonth { zero } => {
                let (month, rest) = two(value, *zero)?;
                self.month = Some(month).filter(|month| (1..=12).contains(month))?;
                rest
            }
            Part::Day { zero, under } => {
                let value = if *under { value.strip_prefix(b" ").unwrap_or(value) } else { value };
                let (day, rest) = two(value, *zero)?;
                self.day = day;
                rest
            }
            Part::YearDay { under } => {
                let blanks = if *under { value.iter().take(2).take_while(|byte| **byte == b' ').count() } else { 0 };
                let (day, rest) = digits(&value[blanks..], 3 - blanks)?;
                self.year_day = Some(day);
                rest
            }
            Part::LongYear => {
                let (year, rest) = digits(value, 4)?;
                self.year = i64::from(year);
                rest
            }
            Part::Year => {
                let (year, rest) = digits(value, 2)?;
                self.year = i64::from(year) + if year >= 69 { 1900 } else { 2000 };
                rest
            }
            Part::Hour => {
                let (hour, rest) = two(value, false)?;
                self.hour = Some(hour).filter(|hour| *hour < 24)?;
                rest
            }
            Part::Hour12 { zero } => {
                let (hour, rest) = two(value, *zero)?;
                self.hour = Some(hour).filter(|hour| *hour <= 12)?;
                rest
            }
            Part::Minute { zero } => {
                let (minute, rest) = two(value, *zero)?;
                self.minute = Some(minute).filter(|minute| *minute < 60)?;
                rest
            }
            Part::Second { zero } => {
                let (second, rest) = two(value, *zero)?;
                self.second = Some(second).filter(|second| *second < 60)?;
                // A fraction is taken here although the layout has none.
                if matches!(next, Some(Part::Fraction { .. })) { rest } else { self.fraction(rest) }
            }
            Part::Pm { lower } => {
                let (am, pm): (&[u8], &[u8]) = if *lower { (b"am", b"pm") } else { (b"AM", b"PM") };
                let (mark, rest) = value.split_at_checked(2)?;
                self.pm = Some(mark == pm);
                (mark == am || mark == pm).then_some(rest)?
            }
            Part::ZoneName => {
                let letters = value.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
                // An abbreviation says nothing that Go would know without the zone's own rules.
                (3..=5).contains(&letters).then(|| &value[letters..])?
            }
            Part::Zone { z, fields, colon } => {
                if *z && value.first() == Some(&b'Z') {
                    return Some(&value[1..]);
                }
                self.zone(*fields, *colon, value)?
            }
            Part::Fraction { trim: true, .. } => self.fraction(value),
            Part::Fraction { digits: len, .. } => {
                let (mark, rest) = value.split_first()?;
                if !matches!(mark, b'.' | b',') || rest.len() < *len || !rest[..*len].iter().all(u8::is_ascii_digit) {
                    return None;
                }
                self.nanos = nanos(&rest[..*len]);
                &rest[*len..]
            }
        })
    }

    fn fraction<'v>(&mut self, value: &'v [u8]) -> &'v [u8] {
        let [b'.' | b',', rest @ ..] = value else { return value };
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if len == 0 {
            return value;
        }
        self.nanos = nanos(&rest[..len]);
        &rest[len..]
    }

    fn zone<'v>(&mut self, fields: usize, colon: bool, value: &'v [u8]) -> Option<&'v [u8]> {
        let (sign, rest) = value.split_first()?;
        let sign = match sign {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let mut rest = rest;
        let mut seconds = 0;
        for (i, unit) in [3600, 60, 1].into_iter().enumerate().take(fields) {
            if i > 0 && colon {
                rest = rest.strip_prefix(b":")?;
            }
            let (number, after) = digits(rest, 2)?;
            if number > [24, 59, 59][i] {
                return None;
            }
            seconds += i64::from(number) * unit;
            rest = after;
        }
        self.offset = sign * seconds;
        Some(rest)
    }

    fn unix(&self) -> Option<f64> {
        let hour = match self.pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let day_of_year = if let Some(day) = self.year_day {
            Some(i64::from(day) - 1).filter(|day| (0..if leap { 366 } else { 365 }).contains(day))?
        } else {
            let month = self.month as usize - 1;
            if self.day == 0 || self.day > lengths[month] {
                return None;
            }
            i64::from(lengths[..month].iter().sum::<u32>() + self.day - 1)
        };
        // Days since 1970 of the year's first day.
        let before = self.year - 1;
        let days = before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) - 719_162;
        let time = i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = (days + day_of_year) * 86_400 + time - self.offset;
        Some(seconds as f64 + f64::from(self.nanos) / 1e9)
    }
}

/// Text of the layout; any number of blanks is as good as one.
fn skip<'v>(mut text: &[u8], mut value: &'v [u8]) -> Option<&'v [u8]> {
    while let Some((first, rest)) = text.split_first() {
        if *first == b' ' {
            if value.first().is_some_and(|byte| *byte != b' ') {
                return None;
            }
            text = text.trim_ascii_start();
            value = &value[value.iter().take_while(|byte| **byte == b' ').count()..];
            continue;
        }
        value = value.strip_prefix(&[*first])?;
        text = rest;
    }
    Some(value)
}

fn lookup<'v>(names: &[&str], short: bool, value: &'v [u8]) -> Option<(u32, &'v [u8])> {
    for (i, name) in (0u32..).zip(names) {
        let name = if short { &name[..3] } else { name };
        if value.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name.as_bytes())) {
            return Some((i, &value[name.len()..]));
        }
    }
    None
}

/// One or two digits, or two in any case.
fn two(value: &[u8], fixed: bool) -> Option<(u32, &[u8])> {
    digits(value, 2).or_else(|| if fixed { None } else { digits(value, 1) })
}

fn digits(value: &[u8], len: usize) -> Option<(u32, &[u8])> {
    let (text, rest) = value.split_at_checked(len)?;
    let number = text.iter().try_fold(0u32, |sum, byte| Some(sum * 10 + char::from(*byte).to_digit(10)?))?;
    Some((number, rest))
}

fn nanos(digits: &[u8]) -> u32 {
    (0..9).fold(0, |sum, i| sum * 10 + digits.get(i).map_or(0, |byte| u32::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_times_of_the_contract() {
        for (layout, value, want) in [
            ("2006-01-02 15:04:05,000", "2015-07-26 15:01:33,665", 1_437_922_893.665),
            ("02/Jan/2006:15:04:05 -0700", "26/Jul/2015:15:01:33 +0200", 1_437_915_693.0),
            ("Jan 2 2006 3:04PM", "Jul 6 2015 3:07PM", 1_436_195_220.0),
            ("2006-01-02 15:04:05.000", "2015-07-26 15:01:33.665", 1_437_922_893.665),
            ("2006-01-02 15:04:05", "2015-07-26 15:01:33.5", 1_437_922_893.5),
            ("2006-01-02T15:04:05-07:00", "2015-07-26T15:01:33-01:30", 1_437_928_293.0),
            ("Mon Jan _2 15:04:05 2006", "Sun Jul  5 15:01:33 2015", 1_436_108_493.0),
            ("Monday 2 January 06 MST", "Thursday 29 February 24 UTC", 1_709_164_800.0),
            ("2006/01/02 15:04:05", "1969/12/31 23:59:59", -1.0),
            ("2006-002", "2024-366", 1_735_603_200.0),
        ] {
            let parsed = Layout::new(layout).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(parsed.unix(value.as_bytes()), Ok(want), "{layout} of {value}");
        }
    }

    #[test]
    fn what_is_refused() {
        for bad in ["2006-01-02T15:04:05Z07:00", "2006,01,02", "15:04:05,0", "a,b"] {
            assert!(Layout::new(bad).is_err(), "{bad}");
        }
        let layout = Layout::new("2006-01-02 15:04").unwrap();
        for bad in
            ["", "2015-02-29 00:00", "2015-13-01 00:00", "2015-01-01 24:00", "2015-01-01 00:00 x", "15-01-01 00:00"]
        {
            assert!(layout.unix(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]

        #[test]
        fn anything_is_survived(layout in "\\PC{0,12}", other in "[0-9:,. _ZPMJan+-]{0,12}", value in proptest::collection::vec(any::<u8>(), 0..24)) {
            for layout in [layout, other] {
                if let Ok(layout) = Layout::new(&layout) {
                    let _any = layout.unix(&value);
                }
            }
        }
    }
}
