//! Go's time layouts: a time is described by how Monday, January 2, 15:04:05 of 2006, seven hours behind UTC, would be
//! written. This takes a layout apart; what a time is, and where it comes from, is its users' affair.

/// A piece of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// What stands for itself.
    Text(String),
    /// `January`.
    LongMonth,
    /// `Jan`.
    Month,
    /// `01`, or `1`.
    NumMonth {
        /// With a zero in front.
        zero: bool,
    },
    /// `Monday`.
    LongWeekday,
    /// `Mon`.
    Weekday,
    /// `02`, `_2` or `2`.
    Day {
        /// With a zero in front.
        zero: bool,
        /// With a blank in front.
        under: bool,
    },
    /// `002` or `__2`, the day of the year.
    YearDay {
        /// With blanks in front instead of zeros.
        under: bool,
    },
    /// `2006`.
    LongYear,
    /// `06`.
    Year,
    /// `15`.
    Hour,
    /// `03`, or `3`.
    Hour12 {
        /// With a zero in front.
        zero: bool,
    },
    /// `04`, or `4`.
    Minute {
        /// With a zero in front.
        zero: bool,
    },
    /// `05`, or `5`.
    Second {
        /// With a zero in front.
        zero: bool,
    },
    /// `PM`, or `pm`.
    Pm {
        /// In small letters.
        lower: bool,
    },
    /// `MST`.
    ZoneName,
    /// `-07` to `-07:00:00`, `Z07` to `Z07:00:00`.
    Zone {
        /// UTC is written `Z`.
        z: bool,
        /// Hours, minutes, seconds: how many of them.
        fields: usize,
        /// With colons in between.
        colon: bool,
    },
    /// `.000`, or `.999` whose zeros at the end are left out; a comma may stand for the point.
    Fraction {
        /// The point or comma.
        point: char,
        /// Digits.
        digits: usize,
        /// Without the zeros at the end.
        trim: bool,
    },
}

/// Months as Go names them; the short name is the first three letters.
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// Days of the week as Go names them, Sunday first.
pub const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What a layout can hold, the longer first where one begins another.
const ELEMENTS: [(&str, Part); 33] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("002", Part::YearDay { under: false }),
    ("01", Part::NumMonth { zero: true }),
    ("02", Part::Day { zero: true, under: false }),
    ("03", Part::Hour12 { zero: true }),
    ("04", Part::Minute { zero: true }),
    ("05", Part::Second { zero: true }),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth { zero: false }),
    ("2006", Part::LongYear),
    ("2", Part::Day { zero: false, under: false }),
    ("__2", Part::YearDay { under: true }),
    ("_2", Part::Day { zero: false, under: true }),
    ("3", Part::Hour12 { zero: false }),
    ("4", Part::Minute { zero: false }),
    ("5", Part::Second { zero: false }),
    ("PM", Part::Pm { lower: false }),
    ("pm", Part::Pm { lower: true }),
    ("-070000", Part::Zone { z: false, fields: 3, colon: false }),
    ("-07:00:00", Part::Zone { z: false, fields: 3, colon: true }),
    ("-0700", Part::Zone { z: false, fields: 2, colon: false }),
    ("-07:00", Part::Zone { z: false, fields: 2, colon: true }),
    ("-07", Part::Zone { z: false, fields: 1, colon: false }),
    ("Z070000", Part::Zone { z: true, fields: 3, colon: false }),
    ("Z07:00:00", Part::Zone { z: true, fields: 3, colon: true }),
    ("Z0700", Part::Zone { z: true, fields: 2, colon: false }),
    ("Z07:00", Part::Zone { z: true, fields: 2, colon: true }),
    ("Z07", Part::Zone { z: true, fields: 1, colon: false }),
];

/// Takes a layout apart. Put together again, the parts' texts are the layout.
#[must_use]
pub fn parts(layout: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut rest = layout;
    while let Some(char) = rest.chars().next() {
        if let Some((len, part)) = fraction(rest) {
            parts.push(part);
            rest = &rest[len..];
            continue;
        }
        let found = ELEMENTS.iter().find(|(name, _)| rest.starts_with(name));
        // `_2006` is an underscore and a year; `Month` does not begin with a weekday.
        let year = rest.starts_with("_2006");
        let wordy =
            |name: &str| matches!(name, "Mon" | "Jan") && rest[3..].starts_with(|char: char| char.is_ascii_lowercase());
        if let Some((name, part)) = found.filter(|(name, _)| !year && !wordy(name)) {
            parts.push(part.clone());
            rest = &rest[name.len()..];
            continue;
        }
        if let Some(Part::Text(text)) = parts.last_mut() {
            text.push(char);
        } else {
            parts.push(Part::Text(char.into()));
        }
        rest = &rest[char.len_utf8()..];
    }
    parts
}

/// `.000` or `,999…`, if no further digit follows.
fn fraction(text: &str) -> Option<(usize, Part)> {
    let digits = text.strip_prefix(['.', ','])?;
    let first = digits.chars().next().filter(|char| matches!(char, '0' | '9'))?;
    let len = digits.len() - digits.trim_start_matches(first).len();
    if digits[len..].starts_with(|char: char| char.is_ascii_digit()) {
        return None;
    }
    Some((len + 1, Part::Fraction { point: text.chars().next()?, digits: len, trim: first == '9' }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn layouts_of_the_field_are_read() {
        let text = |text: &str| Part::Text(text.into());
        for (layout, expected) in [
            ("_2 Jan", vec![Part::Day { zero: false, under: true }, text(" "), Part::Month]),
            ("_2006", vec![text("_"), Part::LongYear]),
            ("__2", vec![Part::YearDay { under: true }]),
            ("Janus Monat", vec![text("Janus Monat")]),
            (
                "5.000Z",
                vec![Part::Second { zero: false }, Part::Fraction { point: '.', digits: 3, trim: false }, text("Z")],
            ),
            (",99", vec![Part::Fraction { point: ',', digits: 2, trim: true }]),
            (".001", vec![text(".0"), Part::NumMonth { zero: true }]),
            ("Z07:00", vec![Part::Zone { z: true, fields: 2, colon: true }]),
        ] {
            assert_eq!(parts(layout), expected, "{layout}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_text_is_survived(any in any::<String>(), near in "[-Z_.,0-9:JanMoSTPpm 가]{0,30}") {
            let _ = (parts(&any), parts(&near));
        }
    }
}
