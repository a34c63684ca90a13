//! The numbers in what servers say in words: `ON`, `Yes`, `Connecting`, dates.

use crate::cells::number;
use exposition::Value;

/// The value of a status, variable or replication text; nothing for texts that are no number in any sense.
pub(crate) fn reading(text: &[u8]) -> Option<Value> {
    // Most cells are plain integers.
    if let Some(value) = number(text) {
        return Some(value);
    }
    let is = |words: &[&str]| words.iter().any(|w| text.eq_ignore_ascii_case(w.as_bytes()));
    if is(&["yes", "on", "primary"]) {
        return Some(Value::U64(1));
    }
    if is(&["no", "off", "disabled", "connecting", "non-primary", "disconnected"]) {
        return Some(Value::U64(0));
    }
    unix_time(text).map(Value::I64)
}

/// `Mon [D]D hh:mm:ss YYYY TZ` or `YYYY-MM-DD hh:mm:ss`, as UTC.
fn unix_time(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    if let Some(month) = MONTHS.iter().position(|m| first.eq_ignore_ascii_case(m)) {
        let day: i64 = whole(words.next()?, 1..=2)?;
        let clock = clock(words.next()?)?;
        let year = whole(words.next()?, 4..=4)?;
        // The zone is always GMT: OpenSSL's printed form has no other.
        words.next()?;
        return words.next().is_none().then(|| days(year, month as i64 + 1, day))?.map(|d| d * 86_400 + clock);
    }
    let (date, time) = text.split_once(' ')?;
    let day = date_days(date)?;
    Some(day * 86_400 + clock(time)?)
}

/// `YYYY-MM-DD hh:mm:ss.ffffff` as UTC in fractional seconds.
pub(crate) fn timestamp(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (date, time) = text.split_once(' ')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros: f64 = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse().ok()? };
    Some((date_days(date)? * 86_400 + clock(time)?) as f64 + micros)
}

fn date_days(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    days(whole(year, 4..=4)?, whole(month, 2..=2)?, whole(day, 2..=2)?)
}

fn clock(time: &str) -> Option<i64> {
    let mut parts = time.splitn(3, ':').map(|p| whole(p, 2..=2));
    let (h, m, s) = (parts.next()??, parts.next()??, parts.next()??);
    (h < 24 && m < 60 && s < 60).then_some(h * 3600 + m * 60 + s)
}

fn whole(digits: &str, len: std::ops::RangeInclusive<usize>) -> Option<i64> {
    if len.contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Counted in years that start in March, so that the leap day is the last one.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<f64> {
        reading(text.as_bytes()).map(Value::as_f64)
    }

    #[test]
    fn words_numbers_and_dates() {
        for (text, value) in [
            ("Yes", 1.0),
            ("ON", 1.0),
            ("Primary", 1.0),
            ("no", 0.0),
            ("OFF", 0.0),
            ("Disabled", 0.0),
            ("Connecting", 0.0),
            ("non-Primary", 0.0),
            ("Disconnected", 0.0),
            ("17", 17.0),
            ("-0.5", -0.5),
            ("Sep  4 10:00:07 2035 GMT", 2_072_512_807.0),
            ("Nov 20 23:59:59 2026 GMT", 1_795_219_199.0),
            ("2026-11-22 14:00:00", 1_795_356_000.0),
            ("1970-01-01 00:00:00", 0.0),
            ("2024-02-29 00:00:00", 1_709_164_800.0),
        ] {
            assert_eq!(of(text), Some(value), "{text}");
        }
        for text in ["", "binlog.000003", "READ-COMMITTED", "2023-02-29 00:00:00", "2026-13-01 00:00:00", "a b c d e"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn timestamps_keep_their_fraction() {
        assert_eq!(timestamp(b"2026-11-22 14:00:00.250000"), Some(1_795_356_000.25));
        assert_eq!(timestamp(b"0000-00-00 00:00:00.000000"), None);
        assert_eq!(timestamp(b"2026-11-22 14:00:00.x"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>, words in "[A-Za-z]{3} ?[0-9]{1,3} [0-9:]{8} [0-9]{4} [A-Z]{3}") {
            reading(&text);
            timestamp(&text);
            reading(words.as_bytes());
        }
    }
}
