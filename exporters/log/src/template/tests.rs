use proptest::prelude::*;

use super::Template;
use crate::line::Line;
use crate::pattern::{Captures, Matcher, Scratch};

/// Renders with fields given as a JSON object, whose members are text.
fn render(text: &str, fields: &serde_json::Value, extra: Option<&serde_json::Value>) -> Result<String, String> {
    let template = Template::parse(text).map_err(|error| format!("start: {error}"))?;
    let wanted: Vec<&str> = template.fields().iter().map(String::as_str).collect();
    let matcher = Matcher::json(&wanted).unwrap();
    let bytes = fields.to_string();
    let mut captures = Captures::new();
    assert!(matcher.matches(bytes.as_bytes(), &mut captures, &mut Scratch::default()).unwrap());
    let line = Line { bytes: bytes.as_bytes(), file: "/var/log/x.log", input: "", extra };
    let bound = template.clone().bind(&wanted);
    let mut out = Vec::new();
    let text = bound.render(&captures, &line, &mut out).map_err(|error| format!("line: {error}"))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[track_caller]
fn check(text: &str, fields: &serde_json::Value, want: &str) {
    assert_eq!(render(text, fields, None).as_deref(), Ok(want), "{text}");
}

/// The tables of the contract.
#[test]
fn as_grok_exporter_does() {
    for (text, fields, want) in [
        (
            r#"{{gsub .url ".*id=([^&]*).*" "\\1"}}"#,
            r#"{"url":"http://example.com/foo.asp?id=42&source=github"}"#,
            "42",
        ),
        (
            r#"{{gsub (gsub .message "e" "a") "r" "x"}}"#,
            r#"{"message":"Sender verify failed"}"#,
            "Sandax vaxify failad",
        ),
        (r#"{{gsub .h "[aeiou]" "*"}}"#, r#"{"h":"hello"}"#, "h*ll*"),
        (r#"{{gsub .h "([aeiou])" "<\\1>"}}"#, r#"{"h":"hello"}"#, "h<e>ll<o>"),
        (r"{{gsub .h `(?<foo>[aeiou])` `{\k<foo>}`}}", r#"{"h":"hello"}"#, "h{e}ll{o}"),
        (r#"{{gsub .h "b(?!a)" "."}}"#, r#"{"h":"abaabca"}"#, "abaa.ca"),
        (r#"{{gsub .h ".*?" "."}}"#, r#"{"h":"abc"}"#, ".a.b.c."),
        (r#"{{gsub .h ".*" "."}}"#, r#"{"h":"abc"}"#, ".."),
        (r#"{{gsub .h "b*" "."}}"#, r#"{"h":"abc"}"#, ".a..c."),
        (r#"{{gsub .h "" "-"}}"#, r#"{"h":"é1"}"#, "-é-1-"),
        (r"{{gsub .h `\\` `\\\\`}}", r#"{"h":"a\\b"}"#, r"a\\b"),
        (r"{{gsub .h `^.` `x`}}", r#"{"h":"ab"}"#, "xb"),
        ("{{add 1 .val}}", r#"{"val":"2"}"#, "3"),
        ("{{subtract .val 3}}", r#"{"val":"2"}"#, "-1"),
        ("{{multiply 2.5 .val}}", r#"{"val":"1.e2"}"#, "250"),
        (r#"{{divide "2.5" .val}}"#, r#"{"val":"2.5"}"#, "1"),
        ("{{multiply .v 1000000}}", r#"{"v":"1.5"}"#, "1.5e+06"),
        ("{{add .v 1234565}}", r#"{"v":"2"}"#, "1.234567e+06"),
        ("{{divide .v 1e9}}", r#"{"v":"1.5"}"#, "1.5e-09"),
        ("{{multiply .v 1e20}}", r#"{"v":"2.5"}"#, "2.5e+20"),
        ("{{divide .v 1000}}", r#"{"v":"2.5"}"#, "0.0025"),
        (r#"{{timestamp "2006-01-02 15:04:05,000" .d}}"#, r#"{"d":"2015-07-26 15:01:33,665"}"#, "1.437922893665e+09"),
        (
            r#"{{timestamp "02/Jan/2006:15:04:05 -0700" .d}}"#,
            r#"{"d":"26/Jul/2015:15:01:33 +0200"}"#,
            "1.437915693e+09",
        ),
        ("{{if eq .a .b}}{{.c}}{{else if eq .d .e}}{{.f}}{{else}}{{.g}}{{end}}", r#"{"a":"1","b":"1","c":"C"}"#, "C"),
        (
            "{{if eq .a .b}}{{.c}}{{else if eq .d .e}}{{.f}}{{else}}{{.g}}{{end}}",
            r#"{"a":"1","d":"2","e":"2","f":"F"}"#,
            "F",
        ),
        ("{{if eq .a .b}}{{.c}}{{else if eq .d .e}}{{.f}}{{else}}{{.g}}{{end}}", r#"{"a":"1","d":"2","g":"G"}"#, "G"),
        ("{{with $x := .f}}This is $x: {{$x}}{{end}}", r#"{"f":"128"}"#, "This is $x: 128"),
        ("{{if .bytes}}{{.bytes}}{{else}}0{{end}}", r#"{"bytes":""}"#, "0"),
        ("{{base .p}}", r#"{"p":"/a/b.log"}"#, "b.log"),
        ("{{base .p}}|{{base `/`}}|{{base `a//`}}|{{base `//`}}", r#"{"p":""}"#, ".|/|a|/"),
        ("{{.logfile}} {{base .logfile}}", "{}", "/var/log/x.log x.log"),
    ] {
        check(text, &serde_json::from_str(fields).unwrap(), want);
    }
}

/// Go's own rules.
#[test]
fn as_text_template_does() {
    let fields = serde_json::json!({"a": "x", "e": "", "n": "5", "l": "<a href='x'>&\"", "src": {"ip": "1.1.1.1"}});
    for (text, want) in [
        ("", ""),
        ("plain", "plain"),
        ("{{.a}}", "x"),
        ("<{{ .a }}{{.n}}>", "<x5>"),
        ("a {{- .a -}} \n b", "axb"),
        ("a {{/* c }} */}} b", "a  b"),
        ("a {{- /* c */ -}} b", "ab"),
        ("{{3}}{{-3}}{{- 3}}", "3-33"),
        (r#"{{"a\tb\u00e9\x41\101"}}"#, "a\tbéAA"),
        (r"{{`raw \n`}}", r"raw \n"),
        ("{{'a'}}", "97"),
        ("{{0x10}} {{1_000}} {{0o17}} {{017}} {{1e3}} {{1.50}} {{.5}}", "16 1000 15 15 1000 1.5 0.5"),
        ("{{true}} {{false}}", "true false"),
        ("{{.a | printf \"%q\"}}", r#""x""#),
        (
            "{{printf \"%s-%d-%5.2f|%-4s|%04d|%x|%v|%t|%%\" .a 7 3.14159 .a 42 255 1.5 true}}",
            "x-7- 3.14|x   |0042|ff|1.5|true|%",
        ),
        (
            "{{printf \"%d\" .a}} {{printf \"%s\" 5}} {{printf \"%d\"}} {{printf \"x\" 1}}",
            "%!d(string=x) %!s(int=5) %!d(MISSING) x%!(EXTRA int=1)",
        ),
        ("{{printf \"%g %e %.3g %6.2e\" 100000.0 1234.5 1234.5 0.5}}", "100000 1.234500e+03 1.23e+03 5.00e-01"),
        ("{{print 1 2 \"a\" \"b\" 3 4}}|{{println 1 \"a\"}}", "1 2ab3 4|1 a\n"),
        ("{{len .a}} {{len \"é\"}} {{index \"abc\" 1}} {{slice \"abcd\" 1 3}} {{slice \"abcd\" 2}}", "1 2 98 bc cd"),
        (
            "{{html .l}} {{js .l}} {{urlquery .l}}",
            r#"&lt;a href=&#39;x&#39;&gt;&amp;&#34; \u003Ca href\u003D\'x\'\u003E\u0026\" %3Ca+href%3D%27x%27%3E%26%22"#,
        ),
        (
            "{{eq .a \"y\" \"x\"}} {{ne .a \"x\"}} {{lt \"a\" \"b\"}} {{le 1 1}} {{gt 2.0 1.5}} {{ge 1 2}}",
            "true false true true true false",
        ),
        ("{{and .a .e .n}}|{{or .e .a .n}}|{{not .e}}|{{and 1 0 2}}|{{or 0 \"\"}}", "|x|true|0|"),
        ("{{or .a (divide 1 .a)}}", "x"),
        ("{{if and .a (not .e)}}y{{end}}", "y"),
        ("{{with .e}}a{{else}}b{{.n}}{{end}}", "b5"),
        ("{{with .e}}a{{else with .n}}b{{.}}{{end}}", "b5"),
        ("{{with .a}}{{.}}{{$.n}}{{end}}", "x5"),
        ("{{$x := .a}}{{$x}}{{$x = .n}}{{$x}}{{if true}}{{$x := 1}}{{$x}}{{end}}{{$x}}", "x515"),
        ("{{define \"T\"}}[{{.}}]{{end}}{{template \"T\" .a}}{{template \"T\" .n}}", "[x][5]"),
        ("{{block \"B\" .n}}<{{.}}>{{end}}", "<5>"),
        ("{{define \"T\"}}{{.a}}{{end}}{{template \"T\" .}}", "x"),
        ("{{define \"T\"}}{{.src.ip}}{{end}}{{template \"T\" $}}", "1.1.1.1"),
        ("{{.src.ip}} {{index . \"src.ip\"}} {{index . \"src\" \"ip\"}}", "1.1.1.1 1.1.1.1 1.1.1.1"),
        ("{{(index . \"a\")}} {{$y := (printf \"%s!\" .a)}}{{$y | len}}", "x 2"),
        ("{{range .extra}}a{{else}}none{{end}}", "none"),
        ("{{.extra}}", "<no value>"),
    ] {
        check(text, &fields, want);
    }
}

#[test]
fn the_event_of_a_webhook() {
    let extra = serde_json::json!({"user": "u", "net": {"ip": "::1"}, "num": 10_000_001, "list": ["a", "b", 3], "t": true, "z": null});
    for (text, want) in [
        (r#"{{index .extra "user"}}"#, "u"),
        (r#"{{index .extra "x" "user"}}"#, "u"),
        (r#"{{index .extra "net" "ip"}}"#, "::1"),
        (r#"{{index .extra "x" "net" "ip"}}"#, "::1"),
        (r#"{{index .extra "num"}}"#, "10000001"),
        (r#"{{index .extra "gone"}}"#, "<no value>"),
        (r#"{{index .extra "z"}}"#, "<no value>"),
        (r#"{{index .extra "list" 2}}"#, "3"),
        (r#"{{range $i, $e := index .extra "list"}}{{if $i}},{{end}}{{$e}}{{end}}"#, "a,b,3"),
        (r#"{{range index .extra "list"}}{{.}}{{if eq . "b"}}{{break}}{{end}}{{end}}"#, "ab"),
        (r#"{{range index .extra "list"}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}"#, "a3"),
        (r#"{{range $k, $v := index .extra "net"}}{{$k}}={{$v}}{{end}}"#, "ip=::1"),
        (r"{{with .extra}}{{.user}}{{.net.ip}}{{end}}", "u::1"),
        (r"{{with $x := .extra}}{{$x.net.ip}}{{end}}", "::1"),
        (r#"{{index .extra "net"}} {{index .extra "list"}}"#, "map[ip:::1] [a b 3]"),
        (r#"{{len (index .extra "list")}} {{add 1 (index .extra "num")}}"#, "3 1.0000002e+07"),
    ] {
        assert_eq!(render(text, &serde_json::json!({}), Some(&extra)).as_deref(), Ok(want), "{text}");
    }
}

#[test]
fn what_is_refused_at_the_start() {
    for (text, why) in [
        ("{{", "unclosed action"),
        ("{{.a", "unclosed action"),
        ("{{}}", "missing value"),
        ("{{f}}", "not defined"),
        ("{{.a f}}", "no function"),
        ("{{.a .b}}", "no function"),
        ("{{.a | .b}}", "must be a function"),
        ("{{if .a}}", "end"),
        ("{{end}}", "unexpected"),
        ("{{else}}", "unexpected"),
        ("{{if .a}}{{else}}{{else}}{{end}}", "expected end"),
        ("{{$x}}", "undefined variable"),
        ("{{$x = 1}}", "undefined variable"),
        ("{{\"a}}", "unterminated"),
        ("{{`a}}", "unterminated"),
        (r#"{{"\q"}}"#, "invalid escape"),
        ("{{/* a }}", "unclosed comment"),
        ("{{(.a}}", "paren"),
        ("{{.a)}}", "unexpected"),
        ("{{1x}}", "bad number"),
        ("{{multiply 3i .val}}", "bad number"),
        ("{{break}}", "outside"),
        ("{{template \"T\"}}", "not defined"),
        ("{{nil}}", "nil"),
        ("{{gsub .a}}", "wrong number of args"),
        ("{{gsub .a .b .c}}", "regex"),
        ("{{gsub .a \"(\" \"\"}}", "regex"),
        (r#"{{gsub .a "b" "\\q"}}"#, "escape"),
        (r#"{{gsub .a "b" "\\1"}}"#, "no group"),
        (r#"{{gsub .a "b" "\\k<n>"}}"#, "no group"),
        ("{{add 1}}", "wrong number of args"),
        ("{{add \"a\" .b}}", "no number"),
        ("{{timestamp .a .b}}", "layout"),
        ("{{timestamp \"2006-01-02T15:04:05Z07:00\" .b}}", "layout"),
        ("{{timestamp \"2006,01\" .b}}", "comma"),
        ("{{base}}", "wrong number of args"),
        ("{{eq .a}}", "wrong number of args"),
    ] {
        let error = Template::parse(text).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn what_fails_on_a_line() {
    let fields = serde_json::json!({"a": "x", "n": "5"});
    for (text, why) in [
        ("{{eq .a 1}}", "incompatible types"),
        ("{{lt .n 10}}", "incompatible types"),
        ("{{eq 1 1.0}}", "incompatible types"),
        ("{{divide 3.0 \"0\"}}", "division by zero"),
        ("{{add 1 .a}}", "no number"),
        ("{{index .a 5}}", "out of range"),
        ("{{index .extra \"x\"}}", "nil"),
        ("{{slice .a 2}}", "out of range"),
        ("{{len 3}}", "len of type int"),
        ("{{range .a}}{{end}}", "can't iterate"),
        ("{{with .a}}{{.b}}{{end}}", "can't evaluate field b in type string"),
        ("{{timestamp \"2006\" .a}}", "cannot parse"),
        ("{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}", "too often"),
        (r#"{{gsub .long "^(a+)+(?!b)$" ""}}"#, "limit"),
    ] {
        let mut fields = fields.clone();
        fields["long"] = format!("{}!", "a".repeat(3000)).into();
        let error = render(text, &fields, None).unwrap_err();
        assert!(error.starts_with("line: ") && error.contains(why), "{text}: {error}");
    }
}

#[test]
fn what_the_engine_may_know_of_a_template() {
    let template = Template::parse("{{.b}}{{.a}}{{.b}}{{.logfile}}").unwrap();
    assert_eq!(template.fields(), ["b", "a"]);
    assert_eq!(Template::parse("{{index .extra \"user\"}}").unwrap().fields().len(), 0);
    assert_eq!(Template::parse("{{.extra.user}}").unwrap().fields(), ["extra.user"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_template_is_survived(text in "\\PC{0,30}", action in "[{}]{0,2}[a-c.$\"`'(|) :=,0-9e*/-]{0,20}[{}]{0,2}", words in proptest::collection::vec(
        prop::sample::select(&["{{", "}}", "if ", "else ", "end", "range ", "with ", ".a", "$x", ":=", "|", "index ", "printf ", "\"%v\" ", "gsub ", "\"a*\" ", "(", ")", "1 ", "{{end}}", " -}}", "{{- ", "len ", "slice ", "and ", ".extra", "eq "][..]), 0..14)) {
        let fields = serde_json::json!({"a": "b"});
        let extra = serde_json::json!({"a": [1, {"b": null}]});
        for text in [text, action, words.concat()] {
            let _any = render(&text, &fields, Some(&extra));
        }
    }

    #[test]
    fn any_value_goes_through(value in "\\PC{0,20}") {
        let fields = serde_json::json!({"a": value});
        prop_assert_eq!(render("{{.a}}", &fields, None).unwrap(), value.clone());
        prop_assert_eq!(render("{{gsub .a \"[^a]\" \"\\\\0\"}}", &fields, None).unwrap(), value);
    }
}
