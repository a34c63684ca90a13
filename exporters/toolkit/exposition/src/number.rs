//! Numbers as Go's expfmt writes them: `strconv.FormatFloat(f, 'g', -1, 64)`, but for -0.

use crate::Value;

/// Appends a value.
pub(crate) fn write_value(v: Value, out: &mut Vec<u8>) {
    match v {
        Value::U64(n) if n <= EXACT => write_integer(n, false, out),
        Value::I64(n) if n.unsigned_abs() <= EXACT => write_integer(n.unsigned_abs(), n < 0, out),
        other => write_float(other.as_f64(), out),
    }
}

/// Appends a float: the shortest digits that read back the same, in exponent form below 1e-4 and from 1e+06 on.
pub fn write_float(f: f64, out: &mut Vec<u8>) {
    if f.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if f.is_infinite() {
        out.extend_from_slice(if f > 0.0 { b"+Inf" } else { b"-Inf" });
    } else if f == 0.0 {
        // expfmt compares with 0 before it formats, and so never writes -0.
        out.push(b'0');
    } else if f.fract() == 0.0 && f.abs() <= EXACT as f64 {
        write_integer(f.abs() as u64, f < 0.0, out);
    } else {
        write_digits(f, out);
    }
}

/// As [`write_value`] in OpenMetrics, where a float shows that it is one.
pub(crate) fn write_value_dotted(v: Value, out: &mut Vec<u8>) {
    let start = out.len();
    write_value(v, out);
    dot(start, out);
}

/// As [`write_float`] in OpenMetrics: `1.0` instead of `1`.
pub(crate) fn write_float_dotted(f: f64, out: &mut Vec<u8>) {
    let start = out.len();
    write_float(f, out);
    dot(start, out);
}

fn dot(start: usize, out: &mut Vec<u8>) {
    if out[start..].iter().all(|b| matches!(b, b'0'..=b'9' | b'-')) {
        out.extend_from_slice(b".0");
    }
}

fn write_integer(n: u64, negative: bool, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(n).as_bytes();
    if negative {
        out.push(b'-');
    }
    if digits.len() <= 6 {
        out.extend_from_slice(digits);
        return;
    }
    let significant = digits.len() - digits.iter().rev().take_while(|&&d| d == b'0').count();
    write_exponent_form(&digits[..significant], digits.len() as i32 - 1, out);
}

/// The general case: the shortest digits come from ryu, their layout is redone.
fn write_digits(f: f64, out: &mut Vec<u8>) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(f).as_bytes();
    // Within these bounds, and not being integers, the two agree.
    if (1e-4..1e6).contains(&f.abs()) {
        out.extend_from_slice(text);
        return;
    }
    let (text, negative) = text.strip_prefix(b"-").map_or((text, false), |t| (t, true));
    let (mantissa, exponent) = match text.iter().position(|&b| b == b'e') {
        Some(at) => (&text[..at], parse_exponent(&text[at + 1..])),
        None => (text, 0),
    };
    // All digits without point and outer zeros; `point` counts digits before the decimal point.
    let mut digits = [0u8; 40];
    let mut len = 0;
    let mut point = exponent;
    let mut before = true;
    for &b in mantissa {
        if b == b'.' {
            before = false;
            continue;
        }
        if before {
            point += 1;
        }
        if len < digits.len() {
            digits[len] = b;
            len += 1;
        }
    }
    let zeros = digits[..len].iter().take_while(|&&d| d == b'0').count();
    point -= zeros as i32;
    let significant = len - digits[..len].iter().rev().take_while(|&&d| d == b'0').count();
    let digits = &digits[zeros..significant.max(zeros)];
    if negative {
        out.push(b'-');
    }
    let exponent = point - 1;
    if !(-4..6).contains(&exponent) {
        write_exponent_form(digits, exponent, out);
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', -point as usize));
        out.extend_from_slice(digits);
    } else if digits.len() <= point as usize {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', point as usize - digits.len()));
    } else {
        out.extend_from_slice(&digits[..point as usize]);
        out.push(b'.');
        out.extend_from_slice(&digits[point as usize..]);
    }
}

fn write_exponent_form(digits: &[u8], exponent: i32, out: &mut Vec<u8>) {
    // At most 17 digits, a point and `e-324`.
    let mut text = [0; 48];
    let mut len = 0;
    let mut put = |bytes: &[u8]| {
        text[len..len + bytes.len()].copy_from_slice(bytes);
        len += bytes.len();
    };
    put(&digits[..1]);
    if digits.len() > 1 {
        put(b".");
        put(&digits[1..]);
    }
    let magnitude = exponent.unsigned_abs();
    put(if exponent < 0 { b"e-" } else { b"e+" });
    let tens = [b'0' + (magnitude / 10 % 10) as u8, b'0' + (magnitude % 10) as u8];
    if magnitude >= 100 {
        put(&[b'0' + (magnitude / 100) as u8]);
    }
    put(&tens);
    out.extend_from_slice(&text[..len]);
}

fn parse_exponent(text: &[u8]) -> i32 {
    let (text, negative) = text.strip_prefix(b"-").map_or((text, false), |t| (t, true));
    let n = text.iter().fold(0i32, |n, &b| n * 10 + i32::from(b.wrapping_sub(b'0')));
    if negative { -n } else { n }
}

/// Integers up to here are floats exactly.
const EXACT: u64 = 1 << 53;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn float(f: f64) -> String {
        let mut out = Vec::new();
        write_float(f, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_are_go_s() {
        for (f, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (100_000.0, "100000"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1_234_567.0, "1.234567e+06"),
            (-1_500_000.0, "-1.5e+06"),
            (123_456.789, "123456.789"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (0.000_123, "0.000123"),
            (1e21, "1e+21"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_993.0, "9.007199254740992e+15"),
            (1.844_674_407_370_955_2e19, "1.8446744073709552e+19"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(f), text);
        }
    }

    #[test]
    fn integers_are_written_as_the_float_they_become() {
        for n in [0u64, 1, 999_999, 1_000_000, 1_230_000, (1 << 53) - 1, (1 << 53) + 1, u64::MAX] {
            let mut out = Vec::new();
            write_value(Value::U64(n), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), float(n as f64));
        }
        let mut out = Vec::new();
        write_value(Value::I64(-12_000_000), &mut out);
        assert_eq!(out, b"-1.2e+07");
    }

    /// The layout of Go's 'g' from the shortest digits that std finds.
    fn expected(f: f64) -> String {
        let text = format!("{:e}", f.abs());
        let (digits, exponent) = text.split_once('e').unwrap();
        let digits = tie_to_even(digits, f);
        let exponent: i32 = exponent.parse().unwrap();
        let sign = if f < 0.0 { "-" } else { "" };
        if (-4..6).contains(&exponent) {
            return format!("{sign}{}", f.abs());
        }
        let direction = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{digits}e{direction}{:02}", exponent.abs())
    }

    /// Half way between two shortest forms Go takes the even one (2.1810715838929702e+15 of …970.25), std the upper one.
    fn tie_to_even(digits: &str, f: f64) -> String {
        let exact = format!("{:.60e}", f.abs());
        let (down, rest) = exact.split_at(digits.len());
        let rest = rest.split_once('e').unwrap().0;
        let tie = rest.strip_prefix('5').is_some_and(|zeros| zeros.bytes().all(|b| b == b'0'));
        let even = down.bytes().last().is_some_and(|b| b.is_ascii_digit() && b % 2 == 0);
        if tie && even { down.to_owned() } else { digits.to_owned() }
    }

    #[test]
    fn a_tie_goes_to_the_even_digit_as_in_go() {
        let quarter = 14_059_955_123_731_519_401; // -2181071583892970.25
        assert_eq!(float(f64::from_bits(quarter)), "-2.1810715838929702e+15");
        assert_eq!(float(f64::from_bits(quarter + 2)), "-2.1810715838929708e+15");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_float_is_laid_out_as_go_does(bits in any::<u64>(), near in -1e7..1e7f64, small in -1e-3..1e-3f64) {
            for f in [f64::from_bits(bits), near, small, near.trunc(), (near * 100.0).round() / 100.0] {
                if f.is_finite() && f != 0.0 {
                    prop_assert_eq!(float(f), expected(f));
                }
                let mut dotted = Vec::new();
                write_float_dotted(f, &mut dotted);
                let dotted = String::from_utf8(dotted).unwrap();
                prop_assert!(dotted.contains(['.', 'e', 'n', 'N']), "{}", dotted);
                prop_assert!(f.is_nan() || dotted.parse::<f64>().unwrap().partial_cmp(&f).is_some_and(std::cmp::Ordering::is_eq));
            }
        }

        #[test]
        fn any_integer_is_the_float_it_becomes(n in any::<i64>(), shift in 0u32..64) {
            let n = n >> shift;
            let mut out = Vec::new();
            write_value(Value::I64(n), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), float(n as f64));
        }
    }
}
