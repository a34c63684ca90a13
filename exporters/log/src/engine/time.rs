//! The time that stands in a line, read by a layout as strptime has them.

/// A layout such as `%d/%b/%Y:%H:%M:%S %z`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    items: Vec<Item>,
    /// Seconds east of UTC where the text does not say.
    zone: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    Literal(u8),
    /// Any blanks, also none.
    Blank,
    Year,
    /// 69 to 99 are of the last century, as POSIX has it.
    ShortYear,
    Month,
    MonthName,
    Day,
    DayOfYear,
    Weekday,
    Hour,
    HalfDayHour,
    HalfDay,
    Minute,
    Second,
    /// Digits behind a second.
    Fraction,
    Zone,
    Unix,
}

/// A layout that cannot be read by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LayoutError {
    #[error("'{0}' is not supported in a time layout")]
    Directive(String),
    #[error("a time layout needs a date: %Y, %m and %d, or what says the same")]
    NoDate,
    #[error("'{0}' is no zone: Z or an offset such as +09:00")]
    Zone(String),
}

impl Layout {
    /// Parses a layout; `zone` is an offset such as `+09:00`, for texts that have none.
    pub(crate) fn parse(text: &str, zone: Option<&str>) -> Result<Self, LayoutError> {
        use Item::{
            Blank, Day, DayOfYear, Fraction, HalfDay, HalfDayHour, Hour, Literal, Minute, Month, MonthName, Second,
            ShortYear, Unix, Weekday, Year, Zone,
        };
        let mut items = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c.is_ascii_whitespace() {
                items.push(Item::Blank);
                continue;
            }
            if c != '%' {
                items.extend(c.encode_utf8(&mut [0; 4]).bytes().map(Item::Literal));
                continue;
            }
            let (dash, colon, slash) = (Literal(b'-'), Literal(b':'), Literal(b'/'));
            let one: &[Item] = match chars.next() {
                Some('Y') => &[Year],
                Some('y') => &[ShortYear],
                Some('m') => &[Month],
                Some('b' | 'B' | 'h') => &[MonthName],
                Some('d' | 'e') => &[Day],
                Some('j') => &[DayOfYear],
                Some('a' | 'A') => &[Weekday],
                Some('H' | 'k') => &[Hour],
                Some('I' | 'l') => &[HalfDayHour],
                Some('p') => &[HalfDay],
                Some('M') => &[Minute],
                Some('S') => &[Second],
                Some('f' | 'L' | 'N') => &[Fraction],
                Some('z' | 'Z') => &[Zone],
                Some('s') => &[Unix],
                Some('n' | 't') => &[Blank],
                Some('%') => &[Literal(b'%')],
                Some('T') => &[Hour, colon, Minute, colon, Second],
                Some('R') => &[Hour, colon, Minute],
                Some('F') => &[Year, dash, Month, dash, Day],
                Some('D') => &[Month, slash, Day, slash, ShortYear],
                other => {
                    return Err(LayoutError::Directive(format!("%{}", other.map(String::from).unwrap_or_default())));
                }
            };
            items.extend_from_slice(one);
        }
        let has = |any: &[Item]| items.iter().any(|item| any.contains(item));
        let date = has(&[Item::Year, Item::ShortYear])
            && (has(&[Item::DayOfYear]) || (has(&[Item::Month, Item::MonthName]) && has(&[Item::Day])));
        if !date && !has(&[Item::Unix]) {
            return Err(LayoutError::NoDate);
        }
        let zone = match zone {
            None => 0,
            Some(text) => match offset(text.as_bytes()) {
                Some((seconds, [])) => seconds,
                _ => return Err(LayoutError::Zone(text.to_owned())),
            },
        };
        Ok(Self { items, zone })
    }

    /// Seconds since 1970; `None` where the text is not laid out so.
    pub(crate) fn read(&self, text: &[u8]) -> Option<f64> {
        let mut rest = text;
        let mut time = Time { zone: self.zone, ..Time::default() };
        for item in &self.items {
            rest = time.take(*item, rest)?;
        }
        rest.is_empty().then(|| time.seconds())?
    }
}

#[derive(Debug)]
struct Time {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    fraction: f64,
    zone: i64,
    half_day: Option<bool>,
    unix: Option<i64>,
}

impl Default for Time {
    fn default() -> Self {
        Self {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            minute: 0,
            second: 0,
            fraction: 0.0,
            zone: 0,
            half_day: None,
            unix: None,
        }
    }
}

impl Time {
    /// Reads one item off the front of a text; answers the rest.
    fn take<'a>(&mut self, item: Item, text: &'a [u8]) -> Option<&'a [u8]> {
        let number = |most: usize, range: std::ops::RangeInclusive<i64>| {
            // A day or an hour may stand behind a blank instead of a zero.
            let text = if most == 2 { text.strip_prefix(b" ").unwrap_or(text) } else { text };
            let (value, rest) = digits(text, most)?;
            range.contains(&value).then_some((value, rest))
        };
        let rest;
        match item {
            Item::Literal(byte) => rest = text.strip_prefix(&[byte])?,
            Item::Blank => rest = text.trim_ascii_start(),
            Item::Year => (self.year, rest) = number(4, 0..=9999)?,
            Item::ShortYear => {
                let (year, after) = number(2, 0..=99)?;
                (self.year, rest) = (year + if year < 69 { 2000 } else { 1900 }, after);
            }
            Item::Month => (self.month, rest) = number(2, 1..=12)?,
            Item::MonthName => {
                let (month, after) = name(text, &MONTHS)?;
                (self.month, rest) = (month + 1, after);
            }
            Item::Day => (self.day, rest) = number(2, 1..=31)?,
            Item::DayOfYear => {
                let (day, after) = number(3, 1..=366)?;
                self.day_of_year = Some(day);
                rest = after;
            }
            Item::Weekday => rest = name(text, &WEEKDAYS)?.1,
            Item::Hour => (self.hour, rest) = number(2, 0..=24)?,
            Item::HalfDayHour => (self.hour, rest) = number(2, 1..=12)?,
            Item::HalfDay => {
                let (half, after) = name(text, &["am", "pm"])?;
                self.half_day = Some(half == 1);
                rest = after;
            }
            Item::Minute => (self.minute, rest) = number(2, 0..=59)?,
            // A leap second is read as the one after it.
            Item::Second => (self.second, rest) = number(2, 0..=60)?,
            Item::Fraction => {
                let length = text.iter().take_while(|b| b.is_ascii_digit()).count();
                // More digits than a double holds say nothing.
                let (value, _) = digits(text, length.min(15))?;
                self.fraction = value as f64 / 10f64.powi(length.min(15) as i32);
                rest = &text[length..];
            }
            Item::Zone => (self.zone, rest) = offset(text)?,
            Item::Unix => {
                let (unix, after) = number(12, 0..=i64::MAX)?;
                self.unix = Some(unix);
                rest = after;
            }
        }
        Some(rest)
    }

    fn seconds(&self) -> Option<f64> {
        if let Some(unix) = self.unix {
            return Some(unix as f64 + self.fraction);
        }
        let hour = match self.half_day {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let days = if let Some(day) = self.day_of_year {
            days_before(self.year, 1, 1) + day - 1
        } else {
            let month = self.month as usize;
            let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
            let last = if month == 2 && leap { 29 } else { LENGTHS[month - 1] };
            if self.day > last {
                return None;
            }
            days_before(self.year, self.month, self.day)
        };
        let seconds = days * 86_400 + hour * 3600 + self.minute * 60 + self.second - self.zone;
        Some(seconds as f64 + self.fraction)
    }
}

/// Days from 1970 to a date of the Gregorian calendar.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// One to `most` digits.
fn digits(text: &[u8], most: usize) -> Option<(i64, &[u8])> {
    let length = text.iter().take(most).take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(length).filter(|(digits, _)| !digits.is_empty())?;
    Some((digits.iter().fold(0, |n, b| n * 10 + i64::from(b - b'0')), rest))
}

/// A name or its first letters, in any case; long names are read to their end.
fn name<'a>(text: &'a [u8], names: &[&str]) -> Option<(i64, &'a [u8])> {
    let word = text.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (word, rest) = text.split_at(word);
    let fits = |name: &&str| {
        let begins = name.as_bytes().get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
        begins && word.len() >= 2 && (word.len() == name.len() || word.len() == 3)
    };
    let at = names.iter().position(fits)?;
    Some((at as i64, rest))
}

/// `Z`, `UTC`, `GMT`, `+09:00`, `+0900`, `+09`: seconds east of Greenwich.
fn offset(text: &[u8]) -> Option<(i64, &[u8])> {
    for zone in [&b"UTC"[..], b"GMT", b"Z", b"z"] {
        if let Some(rest) = text.strip_prefix(zone) {
            return Some((0, rest));
        }
    }
    let (sign, rest) = text.split_first().filter(|(sign, _)| matches!(sign, b'+' | b'-'))?;
    let (hours, rest) = digits(rest, 2)?;
    let minutes = rest.strip_prefix(b":").unwrap_or(rest);
    let (minutes, rest) = digits(minutes, 2).unwrap_or((0, rest));
    let seconds = hours * 3600 + minutes * 60;
    (hours <= 14 && minutes <= 59).then_some((if *sign == b'-' { -seconds } else { seconds }, rest))
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const LENGTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_of_real_logs_are_read() {
        for (layout, text, seconds) in [
            ("%d/%b/%Y:%H:%M:%S %z", "26/Jul/2015:15:01:33 +0200", 1_437_915_693.0),
            ("%Y/%m/%d %H:%M:%S", "2026/11/22 13:16:21", 1_795_353_381.0),
            ("%y%m%d %H:%M:%S", "261122 13:23:07", 1_795_353_787.0),
            ("%y%m%d %H:%M:%S", "261122  9:23:07", 1_795_339_387.0),
            ("%FT%T.%f%z", "2026-11-22T16:11:27.662Z", 1_795_363_887.662),
            ("%d-%b-%Y %T %Z", "22-Nov-2026 13:38:20 UTC", 1_795_354_700.0),
            ("%A, %e %B %Y %I:%M %p", "Monday, 6 July 2015 3:07 PM", 1_436_195_220.0),
            ("%s.%f", "1437922893.665", 1_437_922_893.665),
            ("%Y %j", "2024 366", 1_735_603_200.0),
            ("%F", "2000-02-29", 951_782_400.0),
            ("%F", "1969-12-31", -86_400.0),
        ] {
            assert_eq!(Layout::parse(layout, None).unwrap().read(text.as_bytes()), Some(seconds), "{text}");
        }
        let seoul = Layout::parse("%F %T", Some("+09:00")).unwrap();
        assert_eq!(seoul.read(b"2026-11-22 22:16:21"), Some(1_795_353_381.0));
    }

    #[test]
    fn what_is_not_laid_out_so_is_none() {
        let layout = Layout::parse("%F %T", None).unwrap();
        assert_eq!(Layout::parse("%F %p", None).unwrap().read(b"2026-11-22 amp"), None);
        for text in ["", "2026-11-22", "2026-13-22 00:00:00", "2026-02-29 00:00:00", "2026-11-22 00:00:00 x", "-"] {
            assert_eq!(layout.read(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn layouts_are_checked() {
        for (layout, zone, error) in [
            ("%Q", None, "'%Q' is not supported in a time layout"),
            ("%F %", None, "'%' is not supported in a time layout"),
            ("%T", None, "a time layout needs a date: %Y, %m and %d, or what says the same"),
            ("%F", Some("KST"), "'KST' is no zone: Z or an offset such as +09:00"),
        ] {
            assert_eq!(Layout::parse(layout, zone).unwrap_err().to_string(), error);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_is_answered(layout in "(%[YymbdjaHIpMSfzsFTD]|[ :/-]){0,8}", text in proptest::collection::vec(any::<u8>(), 0..30)) {
            if let Ok(layout) = Layout::parse(&layout, None) {
                layout.read(&text);
            }
        }

        /// Each directive by itself gets further into texts that look like a time than a whole layout does.
        #[test]
        fn any_part_of_a_time_is_answered(text in "[0-9]{0,4}[-+ :a-zA-Z0-9.]{0,12}") {
            for directive in "YymbdjaHIpMSfzsFTDekln".chars() {
                let layout = Layout::parse(&format!("%s%{directive}"), None).unwrap();
                layout.read(text.as_bytes());
                layout.read(format!("1{text}").as_bytes());
            }
        }

        #[test]
        fn days_are_counted(day in 0i64..60_000) {
            let layout = Layout::parse("%Y %j", None).unwrap();
            let year = 1970 + (day as f64 / 365.2425) as i64;
            for year in [year - 1, year, year + 1] {
                let of_year = day - days_before(year, 1, 1) + 1;
                if (1..=365).contains(&of_year) {
                    prop_assert_eq!(layout.read(format!("{year} {of_year}").as_bytes()), Some(day as f64 * 86_400.0));
                }
            }
        }
    }
}
