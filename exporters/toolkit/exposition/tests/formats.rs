//! All formats say the same, and no parser falls over whatever it is given.

#![allow(clippy::unwrap_used, reason = "a test")]

use exposition::{
    Bucket, Escaping, Exemplar, Format, Histogram, Kind, Native, Page, ParsedFamily, Part, Quantile, Span, Summary,
    parse_openmetrics, parse_protobuf, parse_text,
};
use proptest::collection::vec;
use proptest::prelude::*;

const UTF8: Escaping = Escaping::AllowUtf8;

fn write(page: &Page, format: Format) -> Vec<u8> {
    let mut out = Vec::new();
    page.write(format, &mut out);
    out
}

fn text(page: &Page) -> String {
    String::from_utf8(write(page, Format::Text(UTF8))).unwrap()
}

fn page(families: &[ParsedFamily]) -> Page {
    let mut part = Part::new();
    for f in families {
        f.emit(&mut part);
    }
    let (page, conflicts) = Page::merge(vec![part]);
    assert_eq!(conflicts, []);
    page
}

/// One of each.
fn every_kind() -> Page {
    let exemplar =
        |value: f64, t: Option<i64>| Exemplar { labels: vec![("id".into(), "a\"b".into())], value, timestamp_ms: t };
    let mut part = Part::new();
    part.family_named("c_total", "A counter.", Kind::Counter).sample(&[("a", b"1")], 1u8).sample_traced(
        &[("a", b"2")],
        2.5,
        exemplar(0.5, Some(1_520_879_607_789)),
    );
    part.family_named("g", "A \"gauge\".\n", Kind::Gauge).sample_at(&[], 1e6, 1500);
    part.family_named("plain", "A counter without suffix.", Kind::Counter).sample(&[], 7u8);
    part.family_named("u", "", Kind::Untyped).sample(&[("a", b"")], f64::NEG_INFINITY);
    let bucket = |le, cumulative| Bucket { le, cumulative };
    part.family_named("h", "A histogram.", Kind::Histogram).histogram(
        &[("a", b"1")],
        Histogram {
            buckets: vec![bucket(0.1, 1), bucket(1.0, 3)],
            sum: 5.25,
            count: 4,
            native: Some(Box::new(Native {
                schema: 3,
                zero_threshold: 1e-128,
                zero_count: 1,
                positive_spans: vec![Span { offset: -2, length: 2 }, Span { offset: 1, length: 1 }],
                positive_deltas: vec![1, 1, -1],
                negative_spans: vec![Span { offset: 0, length: 1 }],
                negative_deltas: vec![1],
            })),
            exemplars: vec![exemplar(0.5, None), exemplar(0.75, Some(1000)), exemplar(9.0, Some(-1))],
        },
    );
    let quantiles = vec![Quantile { quantile: 0.5, value: 1.0 }, Quantile { quantile: 0.99, value: f64::NAN }];
    part.family_named("s", "A summary.", Kind::Summary).summary(&[], Summary { quantiles, sum: 3.0, count: 2 });
    part.family_named("utf.8 größe", "Ü.", Kind::Gauge).sample(&[("label.ä", b"\\"), ("z", "佖".as_bytes())], 1u8);
    Page::merge(vec![part]).0
}

#[test]
fn openmetrics_as_go_writes_it() {
    assert_eq!(
        String::from_utf8(write(&every_kind(), Format::OpenMetrics(Escaping::Underscores))).unwrap(),
        r#"# HELP c A counter.
# TYPE c counter
c_total{a="1"} 1.0
c_total{a="2"} 2.5 # {id="a\"b"} 0.5 1.520879607789e+09
# HELP g A \"gauge\".\n
# TYPE g gauge
g 1e+06 1.5
# HELP h A histogram.
# TYPE h histogram
h_bucket{a="1",le="0.1"} 1
h_bucket{a="1",le="1.0"} 3 # {id="a\"b"} 0.75 1.0
h_bucket{a="1",le="+Inf"} 4 # {id="a\"b"} 9.0 -0.001
h_sum{a="1"} 5.25
h_count{a="1"} 4
# HELP plain A counter without suffix.
# TYPE plain unknown
plain 7.0
# HELP s A summary.
# TYPE s summary
s{quantile="0.5"} 1.0
s{quantile="0.99"} NaN
s_sum 3.0
s_count 2
# HELP u 
# TYPE u unknown
u{a=""} -Inf
# HELP utf_8_gr__e Ü.
# TYPE utf_8_gr__e gauge
utf_8_gr__e{label__="\\",z="佖"} 1.0
# EOF
"#
    );
    let utf8 = String::from_utf8(write(&every_kind(), Format::OpenMetrics(UTF8))).unwrap();
    assert!(utf8.contains(
        "# HELP \"utf.8 größe\" Ü.\n# TYPE \"utf.8 größe\" gauge\n{\"utf.8 größe\",\"label.ä\"=\"\\\\\",z=\"佖\"} 1.0\n"
    ));
}

#[test]
fn a_counter_beside_a_gauge_of_its_short_name_is_unknown() {
    let mut part = Part::new();
    part.family_named("a", "", Kind::Gauge).sample(&[], 1u8);
    part.family_named("a_total", "", Kind::Counter).sample(&[], 2u8);
    assert_eq!(
        String::from_utf8(write(&Page::merge(vec![part]).0, Format::OpenMetrics(UTF8))).unwrap(),
        "# HELP a \n# TYPE a gauge\na 1.0\n# HELP a_total \n# TYPE a_total unknown\na_total 2.0\n# EOF\n"
    );
}

#[test]
fn text_escapes_names_as_it_is_told() {
    let line = |escaping| {
        let text = String::from_utf8(write(&every_kind(), Format::Text(escaping))).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    assert_eq!(line(Escaping::Underscores), r#"utf_8_gr__e{label__="\\",z="佖"} 1"#);
    assert_eq!(line(Escaping::Dots), r#"utf_dot_8__gr____e{label_dot___="\\",z="佖"} 1"#);
    assert_eq!(line(Escaping::Values), r#"U__utf_2e_8_20_gr_f6__df_e{U__label_2e__e4_="\\",z="佖"} 1"#);
    assert_eq!(line(UTF8), r#"{"utf.8 größe","label.ä"="\\",z="佖"} 1"#);
}

#[test]
fn protobuf_s_text_forms() {
    let page = every_kind();
    let indented = String::from_utf8(write(&page, Format::ProtobufText(Escaping::Underscores))).unwrap();
    let start = r#"name: "c_total"
help: "A counter."
type: COUNTER
metric: {
  label: {
    name: "a"
    value: "1"
  }
  counter: {
    value: 1
  }
}
metric: {
  label: {
    name: "a"
    value: "2"
  }
  counter: {
    value: 2.5
    exemplar: {
      label: {
        name: "id"
        value: "a\"b"
      }
      value: 0.5
      timestamp: {
        seconds: 1520879607
        nanos: 789000000
      }
    }
  }
}

name: "g"
"#;
    assert!(indented.starts_with(start), "{indented}");
    let compact = String::from_utf8(write(&page, Format::ProtobufCompact(Escaping::Underscores))).unwrap();
    let lines: Vec<&str> = compact.lines().collect();
    assert_eq!(lines[1], r#"name:"g" help:"A \"gauge\".\n" type:GAUGE metric:{gauge:{value:1e+06} timestamp_ms:1500}"#);
    assert_eq!(
        lines[2],
        r#"name:"h" help:"A histogram." type:HISTOGRAM metric:{label:{name:"a" value:"1"} histogram:{sample_count:4 sample_sum:5.25 bucket:{cumulative_count:1 upper_bound:0.1} bucket:{cumulative_count:3 upper_bound:1 exemplar:{label:{name:"id" value:"a\"b"} value:0.75 timestamp:{seconds:1}}} bucket:{cumulative_count:4 upper_bound:inf exemplar:{label:{name:"id" value:"a\"b"} value:9 timestamp:{seconds:-1 nanos:999000000}}} schema:3 zero_threshold:1e-128 zero_count:1 negative_span:{offset:0 length:1} negative_delta:1 positive_span:{offset:-2 length:2} positive_span:{offset:1 length:1} positive_delta:1 positive_delta:1 positive_delta:-1 exemplars:{label:{name:"id" value:"a\"b"} value:0.75 timestamp:{seconds:1}} exemplars:{label:{name:"id" value:"a\"b"} value:9 timestamp:{seconds:-1 nanos:999000000}}}}"#
    );
}

#[test]
fn protobuf_comes_back_whole() {
    let page_ = every_kind();
    let binary = write(&page_, Format::Protobuf(UTF8));
    let again = page(&parse_protobuf(&binary).unwrap());
    assert_eq!(text(&again), text(&page_));
    // The last bucket and the exemplar without a time are the only things that a second pass can change.
    let twice = write(&again, Format::Protobuf(UTF8));
    assert_eq!(write(&page(&parse_protobuf(&twice).unwrap()), Format::Protobuf(UTF8)), twice);
    for cut in 1..binary.len() {
        // Cut at the end of a message it is a shorter page; never more than that.
        if let Ok(families) = parse_protobuf(&binary[..cut]) {
            assert!(families.len() < 7);
        }
    }
}

#[test]
fn an_empty_native_histogram_is_still_one() {
    let mut part = Part::new();
    let native = Some(Box::new(Native { schema: 8, ..Native::default() }));
    part.family_named("h", "", Kind::Histogram).histogram(&[], Histogram { native, ..Histogram::default() });
    let compact = write(&Page::merge(vec![part]).0, Format::ProtobufCompact(UTF8));
    assert!(String::from_utf8_lossy(&compact).contains("positive_span:{offset:0 length:0}"));
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![6 => "[a-z_:][a-z0-9_:]{0,5}", 1 => any::<String>().prop_filter("has a name", |s| !s.is_empty())]
}

fn label_name() -> impl Strategy<Value = String> {
    let word = "[a-z_][a-z0-9_]{0,4}".prop_map(|s| if s == "le" || s == "quantile" { "l".to_owned() } else { s });
    prop_oneof![
        6 => word,
        1 => any::<String>().prop_filter("names", |s| !s.is_empty() && s != "le" && s != "quantile" && s != "__name__"),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), any::<u32>().prop_map(f64::from), -1e3..1e3, Just(f64::NAN), Just(f64::INFINITY)]
}

#[derive(Clone, Debug)]
enum Content {
    Number(f64),
    Integer(i64),
    Histogram(Histogram),
    Summary(Summary),
}

fn content(kind: Kind) -> BoxedStrategy<Content> {
    match kind {
        Kind::Histogram => (vec((-1e6..1e6f64, 0u64..1 << 53), 0..4), number(), 0u64..1 << 53)
            .prop_map(|(mut buckets, sum, count)| {
                buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
                buckets.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
                let buckets = buckets.into_iter().map(|(le, cumulative)| Bucket { le, cumulative }).collect();
                Content::Histogram(Histogram { buckets, sum, count, ..Histogram::default() })
            })
            .boxed(),
        Kind::Summary => (vec((0.0..1.0f64, number()), 0..4), number(), 0u64..1 << 53)
            .prop_map(|(mut quantiles, sum, count)| {
                quantiles.sort_by(|a, b| a.0.total_cmp(&b.0));
                quantiles.dedup_by(|a, b| a.0.total_cmp(&b.0).is_eq());
                let quantiles = quantiles.into_iter().map(|(quantile, value)| Quantile { quantile, value }).collect();
                Content::Summary(Summary { quantiles, sum, count })
            })
            .boxed(),
        _ => prop_oneof![number().prop_map(Content::Number), any::<i64>().prop_map(Content::Integer)].boxed(),
    }
}

type Series = (Vec<(String, String)>, Content, Option<i64>);

fn family() -> impl Strategy<Value = (String, String, Kind, Vec<Series>)> {
    let kind = prop_oneof![
        Just(Kind::Counter),
        Just(Kind::Gauge),
        Just(Kind::Untyped),
        Just(Kind::Histogram),
        Just(Kind::Summary)
    ];
    kind.prop_flat_map(|kind| {
        let labels = vec((label_name(), any::<String>()), 0..4);
        // Exact as float seconds, which OpenMetrics writes.
        let time = proptest::option::of(-1_000_000_000_000i64..4_000_000_000_000);
        // Blanks in front of a help text are lost in every text format.
        let help = any::<String>().prop_map(|s| s.trim_start_matches([' ', '\t']).to_owned());
        (name(), help, Just(kind), vec((labels, content(kind), time), 1..5))
    })
}

fn filled(families: &[(String, String, Kind, Vec<Series>)]) -> Page {
    let mut parts = Vec::new();
    for (name, help, kind, series) in families {
        // In a part of its own, so that some names come twice.
        let mut part = Part::new();
        let name = if *kind == Kind::Counter { format!("{name}_total") } else { name.clone() };
        let mut f = part.family_named(&name, help, *kind);
        for (labels, content, time) in series {
            let labels: Vec<(&str, &[u8])> = labels.iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
            match (content, time) {
                (Content::Number(v), Some(t)) => f.sample_at(&labels, *v, *t),
                (Content::Number(v), None) => f.sample(&labels, *v),
                (Content::Integer(v), Some(t)) => f.sample_at(&labels, *v, *t),
                (Content::Integer(v), None) => f.sample(&labels, *v),
                (Content::Histogram(h), _) => f.histogram(&labels, h.clone()),
                (Content::Summary(s), _) => f.summary(&labels, s.clone()),
            };
        }
        parts.push(part);
    }
    Page::merge(parts).0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(families in vec(family(), 0..5)) {
        let page_ = filled(&families);
        let expected = text(&page_);
        prop_assert_eq!(text(&page(&parse_text(expected.as_bytes()).unwrap())), &expected[..], "text");
        let binary = write(&page_, Format::Protobuf(UTF8));
        prop_assert_eq!(text(&page(&parse_protobuf(&binary).unwrap())), &expected[..], "protobuf");
        let openmetrics = write(&page_, Format::OpenMetrics(UTF8));
        let again = text(&page(&parse_openmetrics(&openmetrics).unwrap()));
        for (again, expected) in again.lines().zip(expected.lines()) {
            // A counter may come back untyped, see above.
            prop_assert!(again == expected || again.strip_suffix("untyped") == expected.strip_suffix("counter"));
        }
        prop_assert_eq!(again.lines().count(), expected.lines().count());
    }

    #[test]
    fn escaped_pages_are_read_too(families in vec(family(), 0..5)) {
        let page = filled(&families);
        for escaping in [Escaping::Underscores, Escaping::Dots, Escaping::Values] {
            // Names may have become one, and so types or series come twice: it need not be the same page.
            let written = write(&page, Format::Text(escaping));
            if let Err(e) = parse_text(&written) {
                prop_assert!(e.what.starts_with("second ") || e.what.starts_with("duplicate label"), "{e}");
            }
        }
    }

    #[test]
    fn parsers_survive_any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = parse_text(&bytes);
        let _ = parse_openmetrics(&bytes);
        let _ = parse_protobuf(&bytes);
    }

    /// Of pieces that lead deep into the parsers; and whatever is taken can be written.
    #[test]
    fn parsers_survive_torn_pages(pieces in vec(prop_oneof![
        Just("# TYPE h histogram\n"), Just("# TYPE s summary\n"), Just("# HELP h "), Just("h_bucket"), Just("h_count"), Just("s"),
        Just("s_sum"), Just("{"), Just("}"), Just("le=\""), Just("quantile=\""), Just("\""), Just("\\"), Just("\n"), Just(" "),
        Just("1"), Just("-1e9"), Just("NaN"), Just("+Inf"), Just(","), Just("a=\"b\""), Just(" # {"), Just("# EOF"), Just("ö"),
        Just("h_bucket{le=\"1\"} 2\n"), Just("s{quantile=\"0.5\"} 1\n"), Just("x 1\n"), Just("x{a=\"b\"} 2 3\n"), Just("{\"q\"} 1\n"),
    ], 0..30)) {
        let torn = pieces.concat();
        for families in [parse_text(torn.as_bytes()), parse_openmetrics(torn.as_bytes())].into_iter().flatten() {
            let mut part = Part::new();
            for f in &families {
                f.emit(&mut part);
            }
            let page = Page::merge(vec![part]).0;
            for format in [Format::Text(UTF8), Format::OpenMetrics(UTF8), Format::ProtobufText(UTF8)] {
                write(&page, format);
            }
        }
    }

    #[test]
    fn a_damaged_message_is_no_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut binary = write(&every_kind(), Format::Protobuf(UTF8));
        let at = at.index(binary.len());
        binary[at] = byte;
        let _ = parse_protobuf(&binary);
    }
}
