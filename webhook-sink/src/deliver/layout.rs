//! Points in time as templates handle them: with a zone, and written by Go's layouts.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

use golayout::{DAYS, MONTHS, Part};

use crate::clock::{Nanos, civil};

/// A point in time in a zone. As a text it is RFC 3339.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Nanos,
    /// Seconds that its clocks are ahead of UTC, and how the zone calls that.
    offset: i64,
    zone: String,
}

impl Moment {
    pub(super) fn utc(at: Nanos) -> Self {
        Self { at, offset: 0, zone: "UTC".into() }
    }

    /// From what a template has: such a point, or its text; `None` where there is nothing.
    pub(super) fn of(value: &Value) -> Result<Option<Self>, Error> {
        if let Some(moment) = value.downcast_object_ref::<Self>() {
            return Ok(Some(moment.clone()));
        }
        if value.is_undefined() || value.is_none() || value.as_str() == Some("") {
            return Ok(None);
        }
        let read = value.as_str().and_then(Nanos::parse);
        read.map(|at| Some(Self::utc(at)))
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("{value} is not a time")))
    }

    /// The same point on the clocks of a zone such as `Asia/Seoul`.
    pub(super) fn in_zone(&self, name: &str) -> Result<Self, Error> {
        if name.is_empty() || name == "UTC" {
            return Ok(Self::utc(self.at));
        }
        let unknown = |e: &dyn fmt::Display| Error::new(ErrorKind::InvalidOperation, format!("time zone {name}: {e}"));
        let zone = TimeZone::get(name).map_err(|e| unknown(&e))?;
        let at = Timestamp::from_nanosecond(self.at.0.into()).map_err(|e| unknown(&e))?;
        let info = zone.to_offset_info(at);
        Ok(Self { at: self.at, offset: info.offset().seconds().into(), zone: info.abbreviation().to_owned() })
    }

    /// Writes it as Go's `time.Format` does with this layout.
    pub(super) fn format(&self, layout: &str) -> String {
        let clock = Clock::of(self);
        let mut out = String::with_capacity(layout.len() + 8);
        for part in golayout::parts(layout) {
            clock.write(&part, self, &mut out);
        }
        out
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02T15:04:05Z07:00"))
    }
}

/// The fields of a moment on its zone's clocks.
struct Clock {
    year: i64,
    month: usize,
    day: i64,
    weekday: usize,
    year_day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Clock {
    fn of(moment: &Moment) -> Self {
        let seconds = moment.at.0.div_euclid(1_000_000_000) + moment.offset;
        let (days, in_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let leap = i64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        let month = usize::try_from(month).unwrap_or(1).clamp(1, 12);
        Self {
            year,
            month,
            day,
            // 1970 began with a Thursday.
            weekday: usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0),
            year_day: BEFORE[month - 1] + day + if month > 2 { leap } else { 0 },
            hour: in_day / 3600,
            minute: in_day / 60 % 60,
            second: in_day % 60,
            nanos: moment.at.0.rem_euclid(1_000_000_000),
        }
    }

    fn write(&self, part: &Part, moment: &Moment, out: &mut String) {
        let twelve = if self.hour % 12 == 0 { 12 } else { self.hour % 12 };
        // A `String` takes all.
        let _ = match *part {
            Part::Text(ref text) => out.write_str(text),
            Part::LongYear => write!(out, "{:04}", self.year),
            Part::Year => write!(out, "{:02}", self.year.rem_euclid(100)),
            Part::NumMonth { zero } => padded(out, self.month as i64, zero),
            Part::LongMonth => out.write_str(MONTHS[self.month - 1]),
            Part::Month => out.write_str(&MONTHS[self.month - 1][..3]),
            Part::LongWeekday => out.write_str(DAYS[self.weekday]),
            Part::Weekday => out.write_str(&DAYS[self.weekday][..3]),
            Part::Day { under: true, .. } => write!(out, "{:2}", self.day),
            Part::Day { zero, .. } => padded(out, self.day, zero),
            Part::YearDay { under: true } => write!(out, "{:3}", self.year_day),
            Part::YearDay { under: false } => write!(out, "{:03}", self.year_day),
            Part::Hour => write!(out, "{:02}", self.hour),
            Part::Hour12 { zero } => padded(out, twelve, zero),
            Part::Minute { zero } => padded(out, self.minute, zero),
            Part::Second { zero } => padded(out, self.second, zero),
            Part::Pm { lower } => {
                out.write_str([["AM", "PM"], ["am", "pm"]][usize::from(lower)][usize::from(self.hour >= 12)])
            }
            Part::Fraction { point, digits, trim } => {
                let all = format!("{:09}", self.nanos);
                let shown = all.get(..digits).unwrap_or(&all);
                let shown = if trim { shown.trim_end_matches('0') } else { shown };
                if shown.is_empty() { Ok(()) } else { write!(out, "{point}{shown}") }
            }
            Part::ZoneName => out.write_str(&moment.zone),
            Part::Zone { z: true, .. } if moment.offset == 0 => out.write_char('Z'),
            Part::Zone { fields, colon, .. } => {
                let all = moment.offset.abs();
                out.push(if moment.offset < 0 { '-' } else { '+' });
                for (i, field) in [all / 3600, all / 60 % 60, all % 60].iter().take(fields).enumerate() {
                    let _ = write!(out, "{}{field:02}", if i > 0 && colon { ":" } else { "" });
                }
                Ok(())
            }
        };
    }
}

fn padded(out: &mut String, number: i64, zero: bool) -> fmt::Result {
    if zero { write!(out, "{number:02}") } else { write!(out, "{number}") }
}

/// Days of a common year before each month.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn moment(text: &str) -> Moment {
        Moment::utc(Nanos::parse(text).expect("a time"))
    }

    #[test]
    fn layouts_are_those_of_go() {
        let m = moment("2026-11-22T21:58:39.121Z");
        for (layout, wanted) in [
            ("2006-01-02 15:04:05 MST Mon Jan _2 PM .000 Z07:00", "2026-11-22 21:58:39 UTC Sun Nov 22 PM .121 Z"),
            (
                "2 1 06 3 4 5 pm -07 -07:00 Z0700 .999 ,000 002 __2 Januaryx Monday Month 20067",
                "22 11 26 9 58 39 pm +00 +00:00 Z .121 ,121 326 326 Novemberx Sunday Month 20267",
            ),
            ("15:04:05.000000", "21:58:39.121000"),
            ("15:04:05.999999", "21:58:39.121"),
            ("Janus", "Janus"),
            ("시각 15시 04분", "시각 21시 58분"),
        ] {
            assert_eq!(m.format(layout), wanted, "{layout}");
        }
        assert_eq!(moment("2024-03-01T00:00:00Z").format("002 _2 3PM"), "061  1 12AM");
        assert_eq!(moment("1969-12-31T23:59:59Z").format("Mon 2006"), "Wed 1969");
    }

    #[test]
    fn zones_are_known_without_the_hosts_files() {
        let m = moment("2026-11-22T21:58:39Z");
        let seoul = m.in_zone("Asia/Seoul").expect("known");
        assert_eq!(seoul.format("2006-01-02 15:04 MST -0700"), "2026-11-23 06:58 KST +0900");
        assert_eq!(Value::from_object(seoul).to_string(), "2026-11-23T06:58:39+09:00");
        let summer = moment("2026-07-01T12:00:00Z").in_zone("America/New_York").expect("known");
        assert_eq!(summer.format("15:04 MST Z07:00"), "08:00 EDT -04:00");
        assert!(m.in_zone("Nowhere/At_All").expect_err("unknown").to_string().contains("Nowhere/At_All"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::default())]
        #[test]
        fn any_layout_and_time_are_survived(layout in any::<String>(), pieces in "[-Z_.,0-9:JanMoSTPpm ]{0,30}", at in any::<i64>()) {
            let _ = Moment::utc(Nanos(at)).format(&layout);
            let _ = Moment::utc(Nanos(at)).in_zone("Asia/Seoul").map(|m| m.format(&pieces));
        }
    }
}
