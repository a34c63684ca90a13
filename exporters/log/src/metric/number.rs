//! Numbers as Go's `strconv.ParseFloat` reads them.

/// Reads a number; `None` for whatever Go refuses: blanks, nothing, `1,5`, `-`, what is too large.
pub(crate) fn parse_float(text: &[u8]) -> Option<f64> {
    if let Some(value) = decimal(text) {
        return Some(value);
    }
    let text = std::str::from_utf8(text).ok()?;
    let value: f64 = text.parse().ok()?;
    let word = text.trim_start_matches(['+', '-']);
    let named = word.starts_with(['i', 'I', 'n', 'N']);
    match value {
        // Go has no signed NaN.
        v if v.is_nan() => (word.len() == text.len()).then_some(v),
        // Digits that do not fit are an error there, infinity here.
        v if v.is_infinite() => named.then_some(v),
        v => Some(v),
    }
}

/// `123` and `12.34` of up to fifteen digits: an exact integer divided once by an exact power is rounded right.
fn decimal(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    let (mut digits, mut point) = (0u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    match point {
        None if text.len() == 16 => None,
        None => Some(digits as f64),
        Some(_) if text.len() == 1 => None,
        Some(at) => Some(digits as f64 / POWERS[text.len() - 1 - at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_go_s() {
        for (text, value) in [
            ("+5", 5.0),
            ("-5", -5.0),
            ("1e2", 100.0),
            ("1.e2", 100.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("0.339121", 0.339_121),
            ("00012", 12.0),
            ("999999999999999", 999_999_999_999_999.0),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("Inf", f64::INFINITY),
            ("+Inf", f64::INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("infinity", f64::INFINITY),
        ] {
            assert_eq!(parse_float(text.as_bytes()), Some(value), "{text}");
        }
        assert!(parse_float(b"NaN").is_some_and(f64::is_nan));
        for text in ["", " 7", "7 ", "1,5", "-", ".", "+", "e5", "1e999", "-NaN", "0x", "1_000", "\u{665}", "1.2.3"] {
            assert_eq!(parse_float(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_float(b"\xff"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
            parse_float(&bytes);
        }

        #[test]
        fn the_short_way_is_std_s(whole in 0u64..1_000_000_000, fraction in "[0-9]{0,6}") {
            for text in [format!("{whole}.{fraction}"), whole.to_string(), format!(".{whole}")] {
                prop_assert_eq!(parse_float(text.as_bytes()), text.parse::<f64>().ok());
            }
        }
    }
}
