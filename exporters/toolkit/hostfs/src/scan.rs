//! Byte scanning of the kernel's tables: lines, fields, numbers. Nothing here fails: what is no number is `None`.

/// The lines of a file, without their newlines; an empty last line is none.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let empty = text.is_empty();
    text.split(|&b| b == b'\n').filter(move |_| !empty)
}

/// The fields of a line, parted by runs of blanks and tabs.
pub fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty())
}

/// An unsigned decimal number, nothing else around it; `None` where it does not fit.
pub fn u64(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, &b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { n.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

/// A signed decimal number.
pub fn i64(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(magnitude) => 0i64.checked_sub_unsigned(u64(magnitude)?),
        None => i64::try_from(u64(text)?).ok(),
    }
}

/// A hexadecimal number, with or without `0x`.
pub fn hex(text: &[u8]) -> Option<u64> {
    let text = text.strip_prefix(b"0x").or_else(|| text.strip_prefix(b"0X")).unwrap_or(text);
    if text.is_empty() || text.len() > 16 {
        return None;
    }
    text.iter().try_fold(0u64, |n, &b| Some(n << 4 | u64::from(char::from(b).to_digit(16)?)))
}

/// A decimal fraction.
pub fn f64(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Splits `key<separator>value` at the first separator and trims both sides.
pub fn key_value(line: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = line.iter().position(|&b| b == separator)?;
    Some((line[..at].trim_ascii(), line[at + 1..].trim_ascii()))
}

/// Text for a message: what is no UTF-8 is replaced.
pub fn lossy(text: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// Text with each run of bytes that are no UTF-8 replaced by one U+FFFD, as Go's `strings.ToValidUTF8` has it.
pub fn valid_utf8(text: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if std::str::from_utf8(text).is_ok() {
        return text.into();
    }
    let mut valid = Vec::with_capacity(text.len() + 3);
    let mut in_run = false;
    for chunk in text.utf8_chunks() {
        if !chunk.valid().is_empty() {
            valid.extend_from_slice(chunk.valid().as_bytes());
            in_run = false;
        }
        if !chunk.invalid().is_empty() && !in_run {
            valid.extend_from_slice("\u{FFFD}".as_bytes());
            in_run = true;
        }
    }
    valid.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers() {
        assert_eq!(u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(u64(b"18446744073709551616"), None);
        assert_eq!(u64(b""), None);
        assert_eq!(u64(b"+1"), None);
        assert_eq!(i64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(i64(b"9223372036854775808"), None);
        assert_eq!(hex(b"0x00fF"), Some(255));
        assert_eq!(hex(b"xyz"), None);
        assert_eq!(f64(b"1.5"), Some(1.5));
    }

    #[test]
    fn lines_and_fields() {
        assert_eq!(lines(b"a\n\nb\n").collect::<Vec<_>>(), [&b"a"[..], b"", b"b"]);
        assert_eq!(lines(b"").count(), 0);
        assert_eq!(fields(b"  a\t b  ").collect::<Vec<_>>(), [&b"a"[..], b"b"]);
        assert_eq!(key_value(b"MemTotal:  12 kB", b':'), Some((&b"MemTotal"[..], &b"12 kB"[..])));
    }

    #[test]
    fn runs_of_bytes_that_are_no_utf8() {
        assert_eq!(*valid_utf8("a\u{e9}".as_bytes()), *"a\u{e9}".as_bytes());
        assert_eq!(*valid_utf8(b"a\xff\xfe\xffb\xff"), *"a\u{FFFD}b\u{FFFD}".as_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            prop_assert!(std::str::from_utf8(&valid_utf8(&bytes)).is_ok());
            for line in lines(&bytes) {
                for field in fields(line) {
                    let (_, _, _, _) = (u64(field), i64(field), hex(field), f64(field));
                }
                key_value(line, b':');
            }
        }

        #[test]
        fn numbers_read_back(n: i64, m: u64) {
            prop_assert_eq!(i64(n.to_string().as_bytes()), Some(n));
            prop_assert_eq!(u64(m.to_string().as_bytes()), Some(m));
        }
    }
}
