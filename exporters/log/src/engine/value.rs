//! The number that a line gives a metric.

use crate::metric::parse_float;

/// What a number is given in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// Times this.
    Times(f64),
    /// Divided by this, which rounds right where the factor would be no exact number.
    Over(f64),
    /// `1.5s`, `300ms`, `1m30s`; becomes seconds.
    Duration,
    /// A number and its unit, `1.5 MiB`, `12k`; becomes bytes.
    Size,
}

impl Unit {
    /// By its name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ns" => Self::Over(1e9),
            "us" | "µs" => Self::Over(1e6),
            "ms" => Self::Over(1e3),
            "s" | "seconds" => Self::Times(1.0),
            "min" | "minutes" => Self::Times(60.0),
            "h" | "hours" => Self::Times(3600.0),
            "d" | "days" => Self::Times(86_400.0),
            "percent" => Self::Over(100.0),
            "duration" => Self::Duration,
            "size" => Self::Size,
            _ => Self::Times(bytes(name)?),
        })
    }

    fn read(self, text: &[u8]) -> Option<f64> {
        match self {
            Self::Times(factor) => Some(parse_float(text)? * factor),
            Self::Over(divisor) => Some(parse_float(text)? / divisor),
            Self::Duration => {
                let text = std::str::from_utf8(text.trim_ascii()).ok()?;
                service::parse_duration(text).ok().map(|d| d.as_secs_f64())
            }
            Self::Size => {
                let text = text.trim_ascii();
                let digits = text.iter().take_while(|b| b.is_ascii_digit() || b"+-.".contains(b)).count();
                let (number, unit) = text.split_at(digits);
                let unit = std::str::from_utf8(unit.trim_ascii()).ok()?;
                let factor = match unit {
                    "" => 1.0,
                    "K" | "k" => 1024.0,
                    "M" | "m" => 1024f64.powi(2),
                    "G" | "g" => 1024f64.powi(3),
                    "T" | "t" => 1024f64.powi(4),
                    unit => bytes(unit)?,
                };
                Some(parse_float(number)? * factor)
            }
        }
    }
}

fn bytes(name: &str) -> Option<f64> {
    Some(match name {
        "B" | "byte" | "bytes" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024f64.powi(2),
        "GiB" => 1024f64.powi(3),
        "TiB" => 1024f64.powi(4),
        "bit" | "bits" => 0.125,
        _ => return None,
    })
}

/// Which number of a list counts: nginx writes `0.1, 0.2 : 0.3` where several upstreams were asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Choice {
    Sum,
    First,
    Last,
    Min,
    Max,
}

/// How a text becomes a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) unit: Unit,
    pub(crate) list: Option<Choice>,
    /// Whether `-` and nothing at all are no observation instead of an error.
    pub(crate) dash_is_nothing: bool,
}

impl Reading {
    /// As grok_exporter reads.
    pub(crate) const PLAIN: Self = Self { unit: Unit::Times(1.0), list: None, dash_is_nothing: false };

    /// The number; `Ok(None)` where there is nothing to observe.
    pub(crate) fn read(&self, text: &[u8]) -> Result<Option<f64>, NoNumber> {
        if self.dash_is_nothing && matches!(text, b"" | b"-") {
            return Ok(None);
        }
        let Some(choice) = self.list else { return self.unit.read(text).map(Some).ok_or(NoNumber) };
        let mut chosen: Option<f64> = None;
        for part in text.split(|b| matches!(b, b',' | b':')).map(<[u8]>::trim_ascii) {
            if matches!(part, b"" | b"-") {
                continue;
            }
            let number = self.unit.read(part).ok_or(NoNumber)?;
            chosen = Some(match (chosen, choice) {
                (None, _) | (_, Choice::Last) => number,
                (Some(before), Choice::First) => before,
                (Some(before), Choice::Sum) => before + number,
                (Some(before), Choice::Min) => before.min(number),
                (Some(before), Choice::Max) => before.max(number),
            });
        }
        match chosen {
            None if !self.dash_is_nothing => Err(NoNumber),
            chosen => Ok(chosen),
        }
    }
}

/// A text that is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a number")]
pub(crate) struct NoNumber;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_become_base_units() {
        for (unit, text, value) in [
            ("ms", "5", 0.005),
            ("us", "1500", 0.0015),
            ("ns", "1e9", 1.0),
            ("s", "0.25", 0.25),
            ("min", "2", 120.0),
            ("h", "0.5", 1800.0),
            ("d", "1", 86_400.0),
            ("percent", "12.5", 0.125),
            ("bytes", "512", 512.0),
            ("kB", "1.5", 1500.0),
            ("KiB", "1.5", 1536.0),
            ("MB", "2", 2e6),
            ("MiB", "2", 2_097_152.0),
            ("GiB", "1", 1_073_741_824.0),
            ("TB", "1", 1e12),
            ("bits", "8", 1.0),
            ("duration", "1m30s", 90.0),
            ("duration", "300ms", 0.3),
            ("size", "1.5 MiB", 1_572_864.0),
            ("size", "12k", 12_288.0),
            ("size", "12kB", 12_000.0),
            ("size", "7", 7.0),
        ] {
            let reading = Reading { unit: Unit::parse(unit).unwrap(), ..Reading::PLAIN };
            assert_eq!(reading.read(text.as_bytes()), Ok(Some(value)), "{text} {unit}");
        }
        assert_eq!(Unit::parse("furlong"), None);
    }

    #[test]
    fn nothing_is_no_number() {
        let lenient = Reading { dash_is_nothing: true, ..Reading::PLAIN };
        for text in [&b""[..], b"-"] {
            assert_eq!(lenient.read(text), Ok(None));
            assert_eq!(Reading::PLAIN.read(text), Err(NoNumber));
        }
        for text in [&b" 7"[..], b"1,5", b"--", b"\xff", b"0.1, 0.2"] {
            assert_eq!(lenient.read(text), Err(NoNumber));
        }
    }

    #[test]
    fn one_number_of_a_list_is_chosen() {
        use Choice::{First, Last, Max, Min, Sum};
        for (list, text, value) in [
            (Sum, "0.1, 0.2 : 0.3", Some(0.1 + 0.2 + 0.3)),
            (First, "0.1, 0.2 : 0.3", Some(0.1)),
            (Last, "0.1, 0.2 : 0.3", Some(0.3)),
            (Min, "0.4, 0.2 : 0.3", Some(0.2)),
            (Max, "0.4, 0.2 : 0.3", Some(0.4)),
            (Last, "0.1, -", Some(0.1)),
            (Sum, "-, -", None),
            (Sum, "-", None),
            (Sum, "0.5", Some(0.5)),
        ] {
            let reading = Reading { list: Some(list), dash_is_nothing: true, ..Reading::PLAIN };
            assert_eq!(reading.read(text.as_bytes()), Ok(value), "{list:?} of {text}");
        }
        let reading = Reading { list: Some(Sum), ..Reading::PLAIN };
        assert_eq!((reading.read(b"-"), reading.read(b"0.1, x")), (Err(NoNumber), Err(NoNumber)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_bytes_are_answered(text in proptest::collection::vec(any::<u8>(), 0..24)) {
            for unit in ["ms", "duration", "size"] {
                for list in [None, Some(Choice::Sum)] {
                    let reading = Reading { unit: Unit::parse(unit).unwrap(), list, dash_is_nothing: true };
                    let _ = reading.read(&text);
                }
            }
        }
    }
}
