//! What a scalar means where no text is asked for: YAML 1.2's core schema, and the booleans of YAML 1.1, which Go takes too.

/// `~`, `null` or nothing at all.
pub(super) fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `true`, `yes`, `y`, `on` and their contraries, in any case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "yes", "y", "on"]) {
        return Some(true);
    }
    is(&["false", "no", "n", "off"]).then_some(false)
}

/// `-1_000`, `0xff`, `0o17`, `0b11`. A zero in front makes it something else: what is octal for one is decimal for another.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => return None,
        _ => (10, digits),
    };
    let mut number: i128 = 0;
    let mut underscore = true;
    for digit in digits.chars() {
        if digit == '_' && !underscore {
            underscore = true;
            continue;
        }
        underscore = false;
        number = number.checked_mul(i128::from(radix))?.checked_add(i128::from(digit.to_digit(radix)?))?;
    }
    // Neither without digits, nor with an underscore at the end.
    (!underscore).then_some(if negative { -number } else { number })
}

/// `1.5e3`, `.inf`, `-.inf`, `.nan`. A number beyond what a float can hold is none.
pub(super) fn float(text: &str) -> Option<f64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    match unsigned {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" => return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether it is written as a number that no float can hold, such as `1e999`.
pub(super) fn is_too_large(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && text.parse().is_ok_and(f64::is_infinite)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (text, number) in [
            ("0", Some(0)),
            ("-17", Some(-17)),
            ("+1_000", Some(1000)),
            ("0xfF", Some(255)),
            ("-0o17", Some(-15)),
            ("0b11", Some(3)),
            ("18446744073709551615", Some(u64::MAX.into())),
            ("017", None),
            ("", None),
            ("-", None),
            ("0x", None),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1.0", None),
            ("٣", None),
            ("999999999999999999999999999999999999999999", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
        for (text, number) in [("1", Some(1.0)), ("1.5e3", Some(1500.0)), ("-.Inf", Some(f64::NEG_INFINITY))] {
            assert_eq!(float(text), number, "{text}");
        }
        assert!(float(".nan").is_some_and(f64::is_nan));
        for text in ["inf", "nan", "1e999", "0x1", "", "one"] {
            assert_eq!((float(text), is_too_large(text)), (None, text == "1e999"), "{text}");
        }
    }

    #[test]
    fn booleans_and_nothing() {
        assert_eq!((boolean("Yes"), boolean("OFF"), boolean("maybe")), (Some(true), Some(false), None));
        assert!(is_null("~") && is_null("") && !is_null("nil"));
    }
}
