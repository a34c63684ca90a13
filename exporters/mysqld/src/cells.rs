//! One row of a result, cell by cell, as the text protocol brings it.

use exposition::Value;
use mysql_async::Row;
use std::borrow::Cow;

/// A row that does not hold what it should: it is counted and left out, the scrape goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Odd;

/// The cells of one row.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    /// As it came from the server.
    Row(&'a Row),
    /// Written down, for the tests of collectors.
    #[cfg(test)]
    Literal(&'a [(&'a str, Option<&'a str>)]),
}

impl<'a> Cells<'a> {
    /// Number of columns.
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Row(row) => row.len(),
            #[cfg(test)]
            Self::Literal(cells) => cells.len(),
        }
    }

    /// A column's name; empty if there is no such column.
    pub(crate) fn name(self, column: usize) -> Cow<'a, str> {
        match self {
            Self::Row(row) => row.columns_ref().get(column).map_or(Cow::Borrowed(""), |c| c.name_str()),
            #[cfg(test)]
            Self::Literal(cells) => Cow::Borrowed(cells.get(column).map_or("", |c| c.0)),
        }
    }

    /// The column of this name, case not regarded.
    pub(crate) fn find(self, name: &str) -> Option<usize> {
        (0..self.len()).find(|&i| self.name(i).eq_ignore_ascii_case(name))
    }

    /// A cell's text; nothing for NULL and for a column that is not there.
    pub(crate) fn get(self, column: usize) -> Option<&'a [u8]> {
        match self {
            Self::Row(row) => match row.as_ref(column) {
                Some(mysql_async::Value::Bytes(bytes)) => Some(bytes),
                _ => None,
            },
            #[cfg(test)]
            Self::Literal(cells) => cells.get(column).and_then(|c| c.1).map(str::as_bytes),
        }
    }

    /// A cell's text, empty for NULL.
    pub(crate) fn text(self, column: usize) -> &'a [u8] {
        self.get(column).unwrap_or_default()
    }

    /// The cell of a named column, empty for NULL or when there is no such column.
    pub(crate) fn named(self, name: &str) -> &'a [u8] {
        self.find(name).map_or(&[], |i| self.text(i))
    }

    /// A cell's number of any sign.
    pub(crate) fn number(self, column: usize) -> Result<Value, Odd> {
        self.get(column).and_then(number).ok_or(Odd)
    }

    /// A cell's number, which cannot be negative.
    pub(crate) fn count(self, column: usize) -> Result<Value, Odd> {
        self.number(column).and_then(|v| if v.as_f64() < 0.0 { Err(Odd) } else { Ok(v) })
    }

    /// A number that is not negative, 0 for NULL.
    pub(crate) fn count_or_zero(self, column: usize) -> Result<Value, Odd> {
        if self.get(column).is_none() { Ok(Value::U64(0)) } else { self.count(column) }
    }

    /// Picoseconds, in seconds.
    pub(crate) fn picoseconds(self, column: usize) -> Result<Value, Odd> {
        self.count(column).map(|v| Value::F64(v.as_f64() / 1e12))
    }
}

/// A decimal number; an integer stays one as long as it fits.
pub(crate) fn number(text: &[u8]) -> Option<Value> {
    if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(Value::U64(text.iter().fold(0, |n, &b| n * 10 + u64::from(b - b'0'))));
    }
    // Rust takes words such as "infinity" and "nan" for numbers; a server's number starts with neither.
    let digits = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if !digits.first().is_some_and(|b| b.is_ascii_digit() || *b == b'.') {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(n) = text.parse::<i64>() {
        return Some(Value::I64(n));
    }
    text.parse::<f64>().ok().filter(|f| f.is_finite()).map(Value::F64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<f64> {
        number(text.as_bytes()).map(Value::as_f64)
    }

    #[test]
    fn numbers_are_read() {
        assert_eq!(of("0"), Some(0.0));
        assert_eq!(of("42"), Some(42.0));
        assert_eq!(of("-3"), Some(-3.0));
        assert_eq!(of("18446744073709551615"), Some(1.844_674_407_370_955_2e19));
        assert_eq!(of("0.000500"), Some(0.0005));
        assert_eq!(of("1e3"), Some(1000.0));
        for bad in ["", "x", "nan", "inf", "-infinity", "1,5", "0x10", "-", ".", "1e999"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }

    #[test]
    fn cells_forgive() {
        let row = [("A", Some("5")), ("b", None), ("c", Some("-1"))];
        let cells = Cells::Literal(&row);
        assert_eq!(cells.find("a"), Some(0));
        assert_eq!(cells.text(1), b"");
        assert_eq!(cells.number(1).err(), Some(Odd));
        assert_eq!(cells.count(2).err(), Some(Odd));
        assert_eq!(cells.count(9).err(), Some(Odd));
        assert_eq!(cells.count_or_zero(1).map(Value::as_f64), Ok(0.0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(text: Vec<u8>) {
            number(&text);
        }
    }
}
