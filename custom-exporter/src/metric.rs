//! From rows to samples: what the `metrics` of a source say.

use crate::fault::Fault;
use crate::json_path::Path;
use crate::table::{Answer, Field, Row};
use exposition::{Kind, Part};
use std::collections::BTreeMap;

/// One configured metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) kind: Kind,
    /// Rows of a JSON document; the whole of it is one where this is missing.
    pub(crate) each: Option<Path>,
    pub(crate) value: Field,
    /// Only rows with these texts count.
    pub(crate) only: Vec<(Field, String)>,
    pub(crate) labels: Vec<(String, Label)>,
    /// What the number is multiplied with, to come to base units.
    pub(crate) scale: f64,
    /// Numbers for texts that are none.
    pub(crate) values: BTreeMap<String, f64>,
}

/// Where a label's value comes from.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Constant(String),
    From(Field),
}

/// Turns an answer into samples. More rows than `max_rows` are an error, not a part of them: half a truth looks whole.
pub(crate) fn emit(answer: &Answer, metrics: &[Metric], max_rows: usize, part: &mut Part) -> Result<(), Fault> {
    let check = |rows: usize| match rows {
        rows if rows > max_rows => Err(Fault::Limit(format!("{rows} rows, more than max_rows={max_rows}"))),
        _ => Ok(()),
    };
    match answer {
        Answer::Page(families) => {
            check(families.iter().map(|f| f.samples.len()).sum())?;
            for family in families {
                family.emit(part);
            }
        }
        Answer::Table(table) => {
            for metric in metrics {
                let rows = table.rows(metric.each.as_ref());
                check(rows.len())?;
                metric.emit(&rows, part)?;
            }
        }
    }
    Ok(())
}

impl Metric {
    fn emit(&self, rows: &[Row<'_>], part: &mut Part) -> Result<(), Fault> {
        let mut family = part.family_named(&self.name, &self.help, self.kind);
        let (mut matched, mut sampled) = (0, 0);
        'rows: for row in rows {
            for (field, text) in &self.only {
                if row.text(field)?.as_deref() != Some(text) {
                    continue 'rows;
                }
            }
            matched += 1;
            let Some(text) = row.text(&self.value)? else { continue };
            let value = self.number(&text)? * self.scale;
            let texts = self.labels.iter().map(|(_, label)| match label {
                Label::Constant(text) => Ok(text.as_str().into()),
                Label::From(field) => row.text(field).map(Option::unwrap_or_default),
            });
            let texts: Vec<std::borrow::Cow<'_, str>> = texts.collect::<Result<_, _>>()?;
            let labels: Vec<(&str, &[u8])> =
                self.labels.iter().zip(&texts).map(|((name, _), text)| (name.as_str(), text.as_bytes())).collect();
            family.sample(&labels, value);
            sampled += 1;
        }
        // Some rows without the value are an optional field, and no rows at all are an empty list. Anything else that
        // comes to nothing is a slip of the pen.
        if sampled == 0 && !rows.is_empty() {
            let what = if matched == 0 { "no row is what `where` asks for" } else { "no value in any row" };
            return Err(Fault::Parse(format!("{}: {what}", self.name)));
        }
        Ok(())
    }

    fn number(&self, text: &str) -> Result<f64, Fault> {
        if let Some(&value) = self.values.get(text) {
            return Ok(value);
        }
        match text {
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            _ => text.trim().parse().map_err(|_| {
                let shown: String = text.chars().take(40).collect();
                Fault::Parse(format!("{}: {shown:?} is no number", self.name))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Format;
    use proptest::prelude::*;

    fn metric(value: &str) -> Metric {
        let path = |text: &str| Path::parse(text).unwrap();
        let value = if value.starts_with('$') { Field::Path(path(value)) } else { Field::Column(value.into()) };
        Metric {
            name: "m".into(),
            help: "h".into(),
            kind: Kind::Gauge,
            each: None,
            value,
            only: Vec::new(),
            labels: Vec::new(),
            scale: 1.0,
            values: BTreeMap::new(),
        }
    }

    fn page(format: Format, bytes: &[u8], metrics: &[Metric]) -> Result<String, String> {
        let mut part = Part::new();
        let answer = format.read(bytes).map_err(|e| e.to_string())?;
        emit(&answer, metrics, 3, &mut part).map_err(|e| e.to_string())?;
        let mut out = Vec::new();
        exposition::Page::merge(vec![part]).0.write_text(&mut out);
        let text = String::from_utf8(out).unwrap();
        Ok(text.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn numbers_are_scaled_and_texts_mapped() {
        let milliseconds = Metric { scale: 0.001, ..metric("value") };
        assert_eq!(page(Format::Number, b"1500\n", &[milliseconds]).unwrap(), "m 1.5");
        let state = Metric { values: BTreeMap::from([("UP".into(), 1.0)]), ..metric("$.state") };
        assert_eq!(page(Format::Json, br#"{"state": "UP"}"#, std::slice::from_ref(&state)).unwrap(), "m 1");
        let error = page(Format::Json, br#"{"state": "DOWN"}"#, &[state]).unwrap_err();
        assert_eq!(error, "m: \"DOWN\" is no number");
        assert_eq!(page(Format::Json, b"true", &[metric("$")]).unwrap(), "m 1");
    }

    #[test]
    fn rows_become_labels() {
        let mut jobs = metric("$.jobs");
        jobs.each = Some(Path::parse("$.queues[*]").unwrap());
        jobs.labels = vec![
            ("queue".into(), Label::From(Field::Path(Path::parse("$.name").unwrap()))),
            ("site".into(), Label::Constant("seoul".into())),
        ];
        let document = br#"{"queues": [{"name": "mail", "jobs": 3}, {"name": "print", "jobs": 0}, {"name": "new"}]}"#;
        let text = page(Format::Json, document, std::slice::from_ref(&jobs)).unwrap();
        assert_eq!(text, "m{queue=\"mail\",site=\"seoul\"} 3\nm{queue=\"print\",site=\"seoul\"} 0");
        assert_eq!(page(Format::Json, br#"{"queues": []}"#, std::slice::from_ref(&jobs)).unwrap(), "");
        let error = page(Format::Json, br#"{"queues": [{"name": "mail"}]}"#, &[jobs]).unwrap_err();
        assert_eq!(error, "m: no value in any row");
    }

    #[test]
    fn a_row_is_picked_by_its_texts() {
        let mut mail = metric("value");
        mail.only = vec![(Field::Column("name".into()), "mail".into())];
        assert_eq!(page(Format::Lines, b"mail 3\nprint 4\n", std::slice::from_ref(&mail)).unwrap(), "m 3");
        let error = page(Format::Lines, b"print 4\n", &[mail]).unwrap_err();
        assert_eq!(error, "m: no row is what `where` asks for");
    }

    #[test]
    fn too_many_rows_are_none() {
        let metric = metric("value");
        assert!(page(Format::Lines, b"a 1\nb 1\nc 1\n", std::slice::from_ref(&metric)).is_ok());
        let error = page(Format::Lines, b"a 1\nb 1\nc 1\nd 1\n", &[metric]).unwrap_err();
        assert_eq!(error, "4 rows, more than max_rows=3");
        assert_eq!(page(Format::Exposition, b"a{x=\"1\"} 1\nb 2\n", &[]).unwrap(), "a{x=\"1\"} 1\nb 2");
        assert!(page(Format::Exposition, b"a 1\nb 2\nc 3\nd 4\n", &[]).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_number_is_read_as_it_is(number in any::<f64>()) {
            let text = page(Format::Number, format!("{number}").as_bytes(), &[metric("value")]).unwrap();
            let read: f64 = text.strip_prefix("m ").unwrap().parse().unwrap();
            prop_assert!(read.total_cmp(&(number + 0.0)).is_eq() || (read.is_nan() && number.is_nan()));
        }
    }
}
