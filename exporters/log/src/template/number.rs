//! Numbers as Go reads and prints them.

/// `strconv.ParseFloat`, without hexadecimal forms.
pub(crate) fn parse(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.len() < text.len() && unsigned.eq_ignore_ascii_case("nan") {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    // Go calls a number that is too large an error; infinity must be written out.
    (number.is_finite() || !unsigned.starts_with(|char: char| char.is_ascii_digit() || char == '.')).then_some(number)
}

/// `%v`: the shortest digits that read back the same.
pub(crate) fn print(number: f64, out: &mut Vec<u8>) {
    if number.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if number.is_infinite() {
        return out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return out.extend_from_slice(number.to_string().as_bytes());
    }
    out.extend_from_slice(digits.as_bytes());
    push_exponent(exponent, out);
}

/// `e+06`: at least two digits.
pub(crate) fn push_exponent(exponent: i32, out: &mut Vec<u8>) {
    let sign = if exponent < 0 { '-' } else { '+' };
    out.extend_from_slice(format!("e{sign}{:02}", exponent.unsigned_abs()).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints() {
        for (number, want) in [
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (0.0025, "0.0025"),
            (1.5e-9, "1.5e-09"),
            (2.5e20, "2.5e+20"),
            (1_437_922_893.665, "1.437922893665e+09"),
            (-0.5, "-0.5"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1e100, "1e+100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            print(number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn as_go_reads() {
        for (text, want) in
            [("+5", 5.0), ("1e2", 100.0), (".5", 0.5), ("5.", 5.0), ("Inf", f64::INFINITY), ("-inf", f64::NEG_INFINITY)]
        {
            assert_eq!(parse(text.as_bytes()), Some(want), "{text}");
        }
        assert!(parse(b"NaN").unwrap().is_nan());
        for text in ["", " 7", "1,5", "-", "+nan", "1e999", "a", "1.2.3", "\u{0661}"] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
