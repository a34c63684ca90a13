//! Durations as Go writes them: `1h15m30.918s`, `300ms`, `0`.

use std::time::Duration;

/// Why a text is no duration; worded as Go words it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a number, or nothing at all.
    #[error("invalid duration {0:?}")]
    Invalid(String),
    /// A number without a unit.
    #[error("missing unit in duration {0:?}")]
    NoUnit(String),
    /// A unit that Go does not know.
    #[error("unknown unit {unit:?} in duration {text:?}")]
    Unit {
        /// What stands in the unit's place.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// A span of time cannot be less than nothing here.
    #[error("negative duration {0:?}")]
    Negative(String),
}

/// Parses a duration that is not negative.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let nanos = parse_nanos(text)?;
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| DurationError::Negative(text.to_owned()))
}

/// Parses any duration, in nanoseconds.
pub(crate) fn parse_nanos(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let whole_len = digits(rest);
        let (whole, after) = rest.split_at(whole_len);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(tail) => tail.split_at(digits(tail)),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, tail) = after.split_at(unit_len);
        if unit.is_empty() {
            return Err(DurationError::NoUnit(text.to_owned()));
        }
        let scale =
            unit_nanos(unit).ok_or_else(|| DurationError::Unit { unit: unit.to_owned(), text: text.to_owned() })?;
        let whole: i128 = if whole.is_empty() { 0 } else { i128::from(whole.parse::<u64>().map_err(|_| invalid())?) };
        total += whole * scale;
        // Digits past the eighteenth are less than a nanosecond of any unit.
        let fraction = &fraction[..fraction.len().min(18)];
        if let Ok(parts) = fraction.parse::<i128>() {
            total += parts * scale / 10_i128.pow(fraction.len() as u32);
        }
        if total > i128::from(i64::MAX) {
            return Err(invalid());
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn unit_nanos(unit: &str) -> Option<i128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("+5s", 5_000_000_000),
            ("5s", 5_000_000_000),
            ("1h15m30.918s", 4_530_918_000_000),
            ("300ms", 300_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1µs", 1_000),
            ("1.5h", 5_400_000_000_000),
            ("0.0000000001s", 0),
            ("-1m", -60_000_000_000),
        ] {
            assert_eq!(parse_nanos(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "-", "s", ".s", "1", "5 s", "1 fortnight", "1d", "3000000h", "99999999999999999999s", "1s-1s"]
        {
            assert!(parse_nanos(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("-1s"), Err(DurationError::Negative("-1s".into())));
        assert_eq!(
            parse_nanos("1 fortnight").unwrap_err().to_string(),
            r#"unknown unit " fortnight" in duration "1 fortnight""#
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,40}") {
            let _ = parse_nanos(&text);
        }

        #[test]
        fn what_std_prints_in_whole_units_comes_back(nanos in 0..i64::MAX) {
            prop_assert_eq!(parse_nanos(&format!("{nanos}ns")), Ok(nanos));
        }
    }
}
