//! What the parser of text 0.0.4 takes and what it refuses, in the words of Go's parser.

#![allow(clippy::unwrap_used, reason = "a test")]

use exposition::{Format, Kind, Page, ParsedValue, Part, parse_text, parse_text_legacy};

/// A page as it comes out again.
fn rewritten(page: &str) -> String {
    let families = parse_text(page.as_bytes()).unwrap();
    let mut part = Part::new();
    for f in &families {
        f.emit(&mut part);
    }
    let (page, conflicts) = Page::merge(vec![part]);
    assert_eq!(conflicts, []);
    let mut out = Vec::new();
    page.write(Format::Text(exposition::Escaping::AllowUtf8), &mut out);
    String::from_utf8(out).unwrap()
}

fn refusal(page: &[u8]) -> String {
    parse_text(page).unwrap_err().to_string()
}

#[test]
fn blanks_comments_and_escapes() {
    let page = r#"
# A normal comment.
#
#HELP glued A help glued to the sign.
glued	7
# TYPE name COUNTER
name{labelname="val1",basename="basevalue"} NaN
name {labelname="val2",basename="base\"v\\al\nue"} 0.23 1234567890
# HELP name two-line\n doc  str\\ing

 # HELP  name2  	doc str"ing 2
  #    TYPE    name2 gauge
name2{labelname="val2"	,basename   =   "basevalue2"		} +Inf 54321
name2{ labelname = "val1" , }-Inf
no_labels{} -3e3
# HELP line for a metric that does not exist
# HELP no_labels 
"#;
    assert_eq!(
        rewritten(page),
        r#"# HELP glued A help glued to the sign.
# TYPE glued untyped
glued 7
# HELP name two-line\n doc  str\\ing
# TYPE name counter
name{basename="base\"v\\al\nue",labelname="val2"} 0.23 1234567890
name{basename="basevalue",labelname="val1"} NaN
# HELP name2 doc str"ing 2
# TYPE name2 gauge
name2{labelname="val1"} -Inf
name2{basename="basevalue2",labelname="val2"} +Inf 54321
# HELP no_labels 
# TYPE no_labels untyped
no_labels -3000
"#
    );
    let families = parse_text(page.as_bytes()).unwrap();
    let no_labels = families.iter().find(|f| f.name == "no_labels").unwrap();
    assert_eq!(no_labels.help, None, "a blank is no help");
    let name = families.iter().find(|f| f.name == "name").unwrap();
    assert_eq!(name.kind, Kind::Counter);
    assert_eq!(name.samples[1].timestamp_ms, Some(1_234_567_890));
}

#[test]
fn lines_of_summaries_and_histograms_are_gathered() {
    let page = r#"
# TYPE my_summary summary
my_summary{n1="val1",quantile="0.9"} 140 1
decoy -1 -2
my_summary{n1="val1",quantile="0.5"} 110
my_summary_count{n1="val1"} 42
my_summary_sum{n1="val1"} 4711 2
fake_sum{n1="val1"} 2001
# TYPE another_summary summary
another_summary_count{n2="val2",n1="val1"} 20
my_summary_count{n2="val2",n1="val1"} 5 5
another_summary{n1="val1",n2="val2",quantile=".3"} -1.2
my_summary_sum{n1="val2"} 08 15
  my_summary{n1="val1",n2="val2",quantile="-12.34",} NaN
# TYPE h histogram
h_bucket{le="+Inf"} 3
h_bucket{le="1"} 2
h_sum 7.5
h_count 3
"#;
    assert_eq!(
        rewritten(page),
        r#"# HELP another_summary 
# TYPE another_summary summary
another_summary{n1="val1",n2="val2",quantile="0.3"} -1.2
another_summary_sum{n1="val1",n2="val2"} 0
another_summary_count{n1="val1",n2="val2"} 20
# HELP decoy 
# TYPE decoy untyped
decoy -1 -2
# HELP fake_sum 
# TYPE fake_sum untyped
fake_sum{n1="val1"} 2001
# HELP h 
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_sum 7.5
h_count 3
# HELP my_summary 
# TYPE my_summary summary
my_summary{n1="val1",quantile="0.5"} 110 2
my_summary{n1="val1",quantile="0.9"} 140 2
my_summary_sum{n1="val1"} 4711 2
my_summary_count{n1="val1"} 42 2
my_summary_sum{n1="val2"} 8 15
my_summary_count{n1="val2"} 0 15
my_summary{n1="val1",n2="val2",quantile="-12.34"} NaN 5
my_summary_sum{n1="val1",n2="val2"} 0 5
my_summary_count{n1="val1",n2="val2"} 5 5
"#
    );
    let families = parse_text(page.as_bytes()).unwrap();
    assert!(matches!(families.last().unwrap().samples[0].value, ParsedValue::Histogram(_)));
}

#[test]
fn quoted_names() {
    let page = r#"# HELP "my.metric" help text
# TYPE "my.metric" counter
{"my.metric","label.name"="value"} 1
{other="value", "my.metric"} 2
# HELP "say \"hi\"\n\\" names with everything
# TYPE "say \"hi\"\n\\" gauge
{"say \"hi\"\n\\","a b"="val with\nnew line",plain="佖佥"} 3.14e+42
{"bare"} 1
"#;
    assert_eq!(
        rewritten(page),
        r#"# HELP bare 
# TYPE bare untyped
bare 1
# HELP "my.metric" help text
# TYPE "my.metric" counter
{"my.metric","label.name"="value"} 1
{"my.metric",other="value"} 2
# HELP "say \"hi\"\n\\" names with everything
# TYPE "say \"hi\"\n\\" gauge
{"say \"hi\"\n\\","a b"="val with\nnew line",plain="佖佥"} 3.14e+42
"#
    );
}

#[test]
fn floats_that_go_takes() {
    for (text, value) in [
        ("inf", "+Inf"),
        ("+INF", "+Inf"),
        ("-Infinity", "-Inf"),
        ("nan", "NaN"),
        ("1.", "1"),
        (".5", "0.5"),
        ("-0", "0"),
    ] {
        assert_eq!(rewritten(&format!("x {text}\n")), format!("# HELP x \n# TYPE x untyped\nx {value}\n"));
    }
    for text in ["", "+nan", "-NaN", "1e999", "0x1", "0x1p-3", "1_2", "0b1", ".", "e5", "1\r", "--1", "½"] {
        let expected = if text.is_empty() { "got \"\"" } else { "got \"" };
        let error = refusal(format!("x {text}\n").as_bytes());
        assert!(
            error.starts_with("text format parsing error in line 1: expected float as value, ")
                && error.contains(expected),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn refusals_name_the_line() {
    for (page, error) in [
        ("\nbla 3.14\nblubber 42", "line 3: unexpected end of input stream"),
        ("# no end", "line 1: unexpected end of input stream"),
        ("metric{label=\"\\t\"} 3.14", "line 1: invalid escape sequence '\\t'"),
        ("# HELP metric a \\t\n", "line 1: invalid escape sequence '\\t'"),
        ("\nmetric{label=\"new\nline\"} 3.14\n", "line 2: label value \"new\" contains unescaped new-line"),
        ("metric{@=\"bla\"} 3.14", "line 1: invalid label name for metric \"metric\""),
        ("metric{__name__=\"bla\"} 3.14", "line 1: label name \"__name__\" is reserved"),
        ("metric{label+=\"bla\"} 3.14", "line 1: expected '=' after label name, found '+'"),
        ("metric{label=bla} 3.14", "line 1: expected '\"' at start of label value, found 'b'"),
        (
            "\n# TYPE metric summary\nmetric{quantile=\"bla\"} 3.14\n",
            "line 3: expected float as value for 'quantile' label, got \"bla\"",
        ),
        (
            "\n# TYPE metric histogram\nmetric_bucket{le=\"bla\"} 3.14\n",
            "line 3: expected float as value for 'le' label, got \"bla\"",
        ),
        ("metric{label=\"bla\"+} 3.14", "line 1: unexpected end of label value \"bla\""),
        ("metric{label=\"bla\"} 3.14 2.72\n", "line 1: expected integer as timestamp, got \"2.72\""),
        ("metric 1 \n", "line 1: expected integer as timestamp, got \"\""),
        ("metric{label=\"bla\"} 3.14 2 3\n", "line 1: spurious string after timestamp: \" 3\""),
        ("metric{label=\"bla\"} blubb\n", "line 1: expected float as value, got \"blubb\""),
        ("met-ric 1\n", "line 1: expected float as value, got \"-ric\""),
        ("\n# HELP metric one\n# HELP metric two\n", "line 3: second HELP line for metric name \"metric\""),
        (
            "\n# TYPE metric counter\n# TYPE metric untyped\n",
            "line 3: second TYPE line for metric name \"metric\", or TYPE reported after samples",
        ),
        (
            "\nmetric 4.12\n# TYPE metric counter\n",
            "line 3: second TYPE line for metric name \"metric\", or TYPE reported after samples",
        ),
        (
            "# TYPE h histogram\n# TYPE h_count counter\n",
            "line 2: second TYPE line for metric name \"h\", or TYPE reported after samples",
        ),
        ("\n# TYPE metric bla\n", "line 2: unknown metric type \"bla\""),
        ("# TYPE metric gauge \n", "line 1: unknown metric type \"gauge \""),
        ("\n# TYPE met-ric\n", "line 2: invalid metric name in comment"),
        ("@invalidmetric{label=\"bla\"} 3.14 2", "line 1: invalid metric name"),
        ("metric 1\n{label=\"bla\"} 3.14 2", "line 2: invalid metric name"),
        ("{} 3.14", "line 1: invalid metric name"),
        ("metric{label=\"bla\",label=\"bla\"} 3.14", "line 1: duplicate label names for metric \"metric\""),
        ("{\"one.name\",\"another.name\"} 3.14", "line 1: multiple metric names for metric \"one.name\""),
        ("{\"metric.name\".label=\"bla\"} 3.14", "line 1: unexpected end of metric name '.'"),
        ("# TYPE \"metric\nname\" counter\n", "line 1: metric name \"metric\" contains unescaped new-line"),
        ("# TYPE h histogram\nh_bucket{le=\"1\"} -1\n", "line 2: negative bucket population for histogram \"h\""),
        ("# TYPE h histogram\nh_count -1\n", "line 2: negative count for histogram \"h\""),
    ] {
        assert_eq!(refusal(page.as_bytes()), format!("text format parsing error in {error}"), "{page}");
    }
    assert_eq!(
        refusal(b"metric{l=\"\xbd\"} 3.14\n"),
        "text format parsing error in line 1: invalid label value \"\\xbd\""
    );
    assert_eq!(refusal(b"{\"\xbd\"} 3\n"), "text format parsing error in line 1: invalid label name \"\\xbd\"");
}

#[test]
fn legacy_names_alone_where_it_is_asked() {
    for (page, error) in [
        ("# HELP \"my.metric\" x\n", "line 1: invalid metric name \"my.metric\""),
        ("{\"one.name\",\"another.name\"} 3.14", "line 1: invalid metric name \"one.name\""),
        ("\"a b\" 1\n", "line 1: invalid metric name \"a b\""),
        ("m{\"foo\"=\"bar\", \"dotted.label\"=\"bla\"} 1\n", "line 1: invalid label name \"dotted.label\""),
    ] {
        let got = parse_text_legacy(page.as_bytes()).unwrap_err().to_string();
        assert_eq!(got, format!("text format parsing error in {error}"), "{page}");
    }
    assert_eq!(parse_text_legacy(b"{\"quoted\",\"label\"=\"1\"} 1\na:b 2\n").unwrap().len(), 2);
}
