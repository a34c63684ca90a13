//! Values as Go's log/slog writes them.

use super::Format;
use std::fmt::Write as _;
use std::time::Duration;

/// A time since the epoch: milliseconds in logfmt, nanoseconds without trailing zeros in JSON.
pub(super) fn time(since_epoch: Duration, format: Format) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let date = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    let nanos = since_epoch.subsec_nanos();
    match format {
        Format::Logfmt => format!("{date}.{:03}Z", nanos / 1_000_000),
        Format::Json if nanos == 0 => format!("\"{date}Z\""),
        Format::Json => format!("\"{date}.{}Z\"", format!("{nanos:09}").trim_end_matches('0')),
    }
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant's civil_from_days, for days not negative).
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

/// A float as strconv writes it: `g` with the fewest digits in logfmt, encoding/json's form in JSON.
pub(super) fn float(number: f64, format: Format) -> String {
    if !number.is_finite() {
        let text = if number.is_nan() {
            "NaN"
        } else if number > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return if format == Format::Json { format!("\"{text}\"") } else { text.to_owned() };
    }
    let scientific = format!("{number:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let power: i32 = exponent.parse().unwrap_or(0);
    let long = match format {
        Format::Logfmt => !(-4..6).contains(&power),
        Format::Json => number != 0.0 && !(-6..21).contains(&power),
    };
    if !long {
        return format!("{number}");
    }
    let sign = if power < 0 { '-' } else { '+' };
    let power = power.unsigned_abs();
    if format == Format::Json && sign == '-' && power < 10 {
        return format!("{digits}e-{power}");
    }
    format!("{digits}e{sign}{power:02}")
}

/// A text, quoted with Go's escapes where slog's text handler quotes.
pub(super) fn logfmt(out: &mut String, text: &str) {
    let plain = |c: char| match c {
        ' ' | '=' | '"' => false,
        ' '..='~' => true,
        c if c.is_ascii() => false,
        c => printable(c),
    };
    if !text.is_empty() && text.chars().all(plain) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if c.is_ascii() => drop(write!(out, "\\x{:02x}", c as u32)),
            c if printable(c) => out.push(c),
            c if (c as u32) < 0x1_0000 => drop(write!(out, "\\u{:04x}", c as u32)),
            c => drop(write!(out, "\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
}

/// Whether a character beyond ASCII prints; marks that join the character before them do.
fn printable(c: char) -> bool {
    let mut text = String::from("a");
    text.push(c);
    text.escape_debug().eq(text.chars())
}

/// A JSON string with slog's escapes: those JSON asks for, and the two line separators that JavaScript minds.
pub(super) fn json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' | '\0'..='\x1f' => drop(write!(out, "\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(text: &str) -> String {
        let mut out = String::new();
        logfmt(&mut out, text);
        out
    }

    #[test]
    fn dates_are_right() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(time(Duration::from_secs(seconds), Format::Logfmt), text);
        }
        assert_eq!(time(Duration::from_secs(1), Format::Json), "\"1970-01-01T00:00:01Z\"");
    }

    #[test]
    fn quotes_where_go_quotes() {
        for (text, written) in [
            ("", "\"\""),
            ("plain:text/with\\back", "plain:text/with\\back"),
            ("한글", "한글"),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\"\\\n\x01\x7f", "\"a\\\"\\\\\\n\\x01\\x7f\""),
            ("\u{a0}", "\"\\u00a0\""),
            ("e\u{301}", "e\u{301}"),
            ("\u{e0001}", "\"\\U000e0001\""),
        ] {
            assert_eq!(quoted(text), written, "{text:?}");
        }
    }

    #[test]
    fn floats_are_gos() {
        for (number, logfmt, json) in [
            (0.0, "0", "0"),
            (0.000_114_951, "0.000114951", "0.000114951"),
            (0.000_012_5, "1.25e-05", "0.0000125"),
            (0.000_000_125, "1.25e-07", "1.25e-7"),
            (1_000_000.0, "1e+06", "1000000"),
            (100_000.5, "100000.5", "100000.5"),
            (1e21, "1e+21", "1e+21"),
            (f64::INFINITY, "+Inf", "\"+Inf\""),
        ] {
            assert_eq!((float(number, Format::Logfmt).as_str(), float(number, Format::Json).as_str()), (logfmt, json));
        }
    }

    proptest! {
        #[test]
        fn a_value_is_one_word_of_one_line(text in any::<String>()) {
            let out = quoted(&text);
            prop_assert!(!out.contains(['\n', '\r', '\0']) && !out.is_empty());
            if !out.starts_with('"') {
                prop_assert_eq!(&out, &text);
                prop_assert!(!out.contains([' ', '=', '"']));
            }
            let mut json_text = String::new();
            json(&mut json_text, &text);
            prop_assert!(!json_text.bytes().any(|b| b < 0x20));
        }
    }
}
