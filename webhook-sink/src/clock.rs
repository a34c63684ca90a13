//! Points in time: nanoseconds since 1970 in UTC, and RFC 3339 as Go writes and reads it.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z. Years outside 1678 to 2261 are held at the ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Nanos(pub(crate) i64);

impl Nanos {
    pub(crate) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    pub(crate) fn after(self, d: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    pub(crate) fn before(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long ago that was; zero for the future.
    pub(crate) fn until(self, later: Nanos) -> Duration {
        Duration::from_nanos(u64::try_from(later.0.saturating_sub(self.0)).unwrap_or(0))
    }

    pub(crate) fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// `2026-11-22T13:09:50.286Z`, as many digits after the second as are needed in threes.
    pub(crate) fn rfc3339(self) -> String {
        let (days, in_day) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (secs, nanos) = (in_day / 1_000_000_000, in_day % 1_000_000_000);
        let mut out =
            format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
        let _ = match nanos {
            0 => Ok(()),
            n if n % 1_000_000 == 0 => write!(out, ".{:03}", n / 1_000_000),
            n if n % 1_000 == 0 => write!(out, ".{:06}", n / 1_000),
            n => write!(out, ".{n:09}"),
        };
        out.push('Z');
        out
    }

    /// The same to the second, `2026-11-22T13:09:50Z`.
    pub(crate) fn rfc3339_seconds(self) -> String {
        Self(self.0 - self.0.rem_euclid(1_000_000_000)).rfc3339()
    }

    /// Reads RFC 3339 with any fraction and offset. Go's zero time (`0001-01-01T00:00:00Z`) is read like any other.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        let field = |at: usize, len: usize| -> Option<i64> {
            b.get(at..at + len)?.iter().try_fold(0_i64, |n, c| c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0')))
        };
        let is = |at: usize, wanted: u8| b.get(at).is_some_and(|c| c.eq_ignore_ascii_case(&wanted));
        if !(is(4, b'-') && is(7, b'-') && (is(10, b'T') || is(10, b' ')) && is(13, b':') && is(16, b':')) {
            return None;
        }
        let (year, month, day) = (field(0, 4)?, field(5, 2)?, field(8, 2)?);
        let (hour, minute, second) = (field(11, 2)?, field(14, 2)?, field(17, 2)?);
        if !(1..=12).contains(&month)
            || day < 1
            || day > days_in(year, month)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return None;
        }
        let mut at = 19;
        let mut nanos = 0_i64;
        if is(at, b'.') || is(at, b',') {
            at += 1;
            let digits = b.get(at..)?.iter().take_while(|c| c.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            for i in 0..9 {
                nanos = nanos * 10 + if i < digits { i64::from(b[at + i] - b'0') } else { 0 };
            }
            at += digits;
        }
        let offset = match b.get(at)? {
            b'Z' | b'z' if b.len() == at + 1 => 0,
            sign @ (b'+' | b'-') if b.len() == at + 6 && is(at + 3, b':') => {
                let (h, m) = (field(at + 1, 2)?, field(at + 4, 2)?);
                if h > 23 || m > 59 {
                    return None;
                }
                (h * 3600 + m * 60) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return None,
        };
        let seconds = days_from(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
        let exact = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Some(Self(i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })))
    }
}

const DAY: i64 = 86_400_000_000_000;

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, counted in eras of 400 years that start in March.
fn days_from(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let (era, of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::Nanos;
    use proptest::prelude::*;

    #[test]
    fn what_alertmanager_sends_is_read() {
        for (text, utc) in [
            ("2026-11-22T13:09:50.286Z", "2026-11-22T13:09:50.286Z"),
            ("2026-11-22T10:00:00.987654321+05:30", "2026-11-22T04:30:00.987654321Z"),
            ("1970-01-01T00:00:01.123456789Z", "1970-01-01T00:00:01.123456789Z"),
            ("2024-02-29T23:59:59-01:00", "2024-03-01T00:59:59Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
        ] {
            assert_eq!(Nanos::parse(text).map(Nanos::rfc3339).as_deref(), Some(utc), "{text}");
        }
        assert_eq!(Nanos::parse("0001-01-01T00:00:00Z"), Some(Nanos(i64::MIN)));
        for bad in [
            "",
            "2026-11-22",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-11-22T13:09:50",
            "2026-11-22T13:09:50.Z",
        ] {
            assert_eq!(Nanos::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_text_is_survived(text in "\\PC{0,40}") { let _ = Nanos::parse(&text); }
        #[test]
        fn written_then_read_is_the_same(n in any::<i64>()) {
            // The ends of the range are years of four digits, so every value can be written.
            prop_assert_eq!(Nanos::parse(&Nanos(n).rfc3339()), Some(Nanos(n)));
        }
    }
}
