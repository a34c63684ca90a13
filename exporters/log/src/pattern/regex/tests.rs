use std::time::Instant;

use proptest::prelude::*;

use super::super::linear::translate;
use super::super::syntax::parse;
use super::super::{Captures, MatchError, Matcher, Memory, Patterns, Scratch};
use super::Regex;

/// The whole match and all groups, as text.
fn find(pattern: &str, line: &[u8]) -> Option<Vec<Option<String>>> {
    let regex = Regex::new(pattern, |_| true, true).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let mut memory = Memory::default();
    let found = regex.search(line, 0, &mut memory).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let text = |(start, end): (usize, usize)| String::from_utf8_lossy(&line[start..end]).into_owned();
    found.then(|| (0..regex.len()).map(|group| memory.pair(regex.pair(group).unwrap()).map(text)).collect())
}

#[track_caller]
fn check(pattern: &str, line: &str, want: Option<&[&str]>) {
    let got = find(pattern, line.as_bytes())
        .map(|groups| groups.into_iter().map(|group| group.unwrap_or_else(|| "∅".into())).collect::<Vec<_>>());
    let want = want.map(|groups| groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>());
    assert_eq!(got, want, "{pattern} on {line:?}");
}

#[test]
fn as_ruby_does() {
    for (pattern, line, want) in [
        // Plain matters.
        ("", "abc", Some(&[""][..])),
        ("b+", "abbc", Some(&["bb"])),
        ("(a)|(b)", "b", Some(&["b", "∅", "b"])),
        ("(?<x>a|ab)(?<y>c|bcd)(?<z>d*)", "abcd", Some(&["abcd", "a", "bcd", ""])),
        ("(a*)*", "aa", Some(&["aa", ""])),
        ("(?:a|b)*?c", "abac", Some(&["abac"])),
        ("x{2,3}", "xxxx", Some(&["xxx"])),
        ("x{,2}y", "xxxy", Some(&["xxy"])),
        ("x{2,3}?", "xxxx", Some(&["xx"])),
        ("(?:ab){2}?", "abab", Some(&["abab"])),
        ("a{2}?b", "b", Some(&["b"])),
        ("a{,", "a{,", Some(&["a{,"])),
        // Lines.
        ("^b$", "a\nb\nc", Some(&["b"])),
        ("^$", "a\n", None),
        ("a$", "a\n", Some(&["a"])),
        (r"\Ab", "a\nb", None),
        (r"a\Z", "a\n", Some(&["a"])),
        (r"a\z", "a\n", None),
        ("a.b", "a\nb", None),
        ("(?m)a.b", "a\nb", Some(&["a\nb"])),
        ("(?m:a.)b", "a\nb", Some(&["a\nb"])),
        // Case and options.
        ("(?i)AbC", "xaBc", Some(&["aBc"])),
        ("a(?i)b|c", "aC", Some(&["aC"])),
        ("(?i:é)", "É", Some(&["É"])),
        ("(?x) a b # c\n c", "abc", Some(&["abc"])),
        ("[^a](?i)[^b]", "ba", Some(&["ba"])),
        ("(?i)[^b]", "B", None),
        // Sets.
        ("[]a]+", "a]", Some(&["a]"])),
        ("[a-c&&[^b]]+", "bacb", Some(&["ac"])),
        ("[[:alpha:]_]+", "9é_z", Some(&["é_z"])),
        (r"\h+", "xfF9g", Some(&["fF9"])),
        (r"\H+", "afxg", Some(&["xg"])),
        (r"[\w-]+", "!a-b", Some(&["a-b"])),
        (r"\p{Upper}\p{^Upper}", "aBc", Some(&["Bc"])),
        (r"[\]\\]+", r"a]\", Some(&[r"]\"])),
        // Characters, not bytes, where they are characters.
        (r"^.{2}$", "éü", Some(&["éü"])),
        (r"(?<c>.)$", "né", Some(&["é", "é"])),
        (r"\w+", "…한글…", Some(&["한글"])),
        (r"\S\b", "é ", Some(&["é"])),
        (r"(.*)(.)", "aé", Some(&["aé", "a", "é"])),
        // Look-around, atomic, possessive, references.
        ("b(?!a)", "abaabca", Some(&["b"])),
        ("(?<!a)b", "abcb", Some(&["b"])),
        ("(?<=ab|c)d", "d cd", Some(&["d"])),
        ("(?<=é)d", "éd", Some(&["d"])),
        ("(?<!ab)c", "abc", None),
        ("(?=(a+))a*b\\1", "baaabac", Some(&["aba", "a"])),
        ("(?>a+)ab", "aaab", None),
        ("(?>a|ab)c", "abc", None),
        ("a++a", "aaa", None),
        ("a?+a", "a", None),
        ("(?:a|b)++b", "abab", None),
        ("(?>(?<x>a)|b)*c", "abc", Some(&["abc", "a"])),
        (r"(?<q>['\x22]).*?\k<q>", r#"a "b' c""#, Some(&[r#""b' c""#, "\""])),
        (r"(a)?b\1", "b", None),
        (r"(?i)(a)\1", "aA", Some(&["aA", "a"])),
        (r"a\Kb", "ab", Some(&["b"])),
        (r"(?!<[0-9])x", "<5x", Some(&["x"])),
        (r"\R", "a\r\nb", Some(&["\r\n"])),
        (r"\x41\u0042\103\t", "ABC\t", Some(&["ABC\t"])),
        // Runs that must be given back, and those that must not.
        (r"\S+(?: HTTP)?b", "aab HTTPb", Some(&["aab HTTPb"])),
        (r".*(\d+)", "a12", Some(&["a12", "2"])),
        (r"[a-z]+z", "azzb", Some(&["azz"])),
        (r#""(.*)"(.*)"#, r#""a"b"c"#, Some(&[r#""a"b"c"#, "a\"b", "c"])),
        (r"\w+\b.", "ab c", Some(&["ab "])),
        (r"a.*?b.*?c$", "abxcbc", Some(&["abxcbc"])),
        (r"\d{1,3}\d", "1234", Some(&["1234"])),
        (r"(?:\d+,?)+$", "1,22,3x 4,5", Some(&["4,5"])),
        (r"(?:|a)+b", "aab", Some(&["aab"])),
        (r"(?:a|)+b", "aab", Some(&["aab"])),
    ] {
        check(pattern, line, want);
    }
}

#[test]
fn bytes_that_are_no_characters_count_as_one_each() {
    assert_eq!(find(r"^u (?<w>\S+) end$", b"u caf\xe9 end").unwrap()[1].as_deref(), Some("caf\u{fffd}"));
    assert_eq!(find(r"^.{3}$", b"\xff\x80a").map(|groups| groups.len()), Some(1));
    assert!(find(r"^\w+$", b"\xff").is_none());
    assert!(find(r"\xff", b"a\xff").is_some());
}

/// Lines on which a plain backtracking engine takes for ever.
#[test]
fn catastrophes_end_within_milliseconds() {
    let began = Instant::now();
    let long = "a".repeat(5000);
    let dots = "a.".repeat(1 << 19);
    let cases: [(&str, &[u8], Option<_>); 9] = [
        (r"^(?<q>(?:a|aa)+)+\k<q>!$", long.as_bytes(), Some(Err(MatchError::Limit))),
        (r"^(a+)+(?!b)$", &[long.as_bytes(), b"!"].concat(), Some(Err(MatchError::Limit))),
        (r"^(?<q>(?:a|aa)+)+!$", long.as_bytes(), Some(Ok(false))),
        (r"^(a+)+$", &[long.as_bytes(), b"!"].concat(), Some(Ok(false))),
        (r"(?:a|a)*(?:a|a)*(?:a|a)*b", long.as_bytes(), Some(Ok(false))),
        (r"(.*?,){20}x", &b"1,".repeat(100), Some(Ok(false))),
        (r"%{COMBINEDAPACHELOG}", dots.as_bytes(), None),
        (r"%{SYSLOGBASE2} %{IP:a}", &b"Jan ".repeat(1 << 16), None),
        (r"%{UNIXPATH}!", &b"/".repeat(1 << 17), None),
    ];
    for (pattern, line, want) in cases {
        let matcher = Matcher::grok(pattern, &Patterns::builtin(), &[]).unwrap();
        let before = Instant::now();
        let got = matcher.matches(line, &mut Captures::new(), &mut Scratch::default());
        if let Some(want) = want {
            assert_eq!(got, want, "{pattern}");
        }
        // An unoptimized build on a busy machine: a stall is seconds.
        assert!(before.elapsed().as_secs() < 3, "{pattern}: {:?}", before.elapsed());
    }
    assert!(began.elapsed().as_secs() < 15);
}

#[test]
fn patterns_that_are_too_large_are_refused() {
    for pattern in ["(?:(?:a{1000}b){1000}c){1000}", "((((((a|b){30}c){30}d){30}e){30}f){30}g){30}", &"(".repeat(300)] {
        let error = Regex::new(pattern, |_| true, true).unwrap_err();
        assert!(error.contains("too large") || error.contains("nested"), "{error}");
    }
}

/// Pieces that both engines read alike.
fn pattern() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[abc]{1,3}",
        Just("[ab]".to_owned()),
        Just("[^a]".to_owned()),
        Just("[^\"]".to_owned()),
        Just(r"\d".to_owned()),
        Just(r"\w".to_owned()),
        Just(r"\S".to_owned()),
        Just(".".to_owned()),
        Just(" ".to_owned()),
        Just("\"".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
        Just(r"\b".to_owned()),
        Just(String::new()),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let repeat =
            (inner.clone(), prop::sample::select(&["*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}"][..]), any::<bool>());
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => proptest::collection::vec(inner.clone(), 2..5).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            2 => inner.prop_map(|part| format!("({part})")),
            3 => repeat.prop_map(|(part, quantifier, lazy)| {
                let lazy = if lazy && quantifier != "{2}" { "?" } else { "" };
                format!("(?:{part}){quantifier}{lazy}")
            }),
        ]
    })
}

/// Whether the regex crate says the same of this line, group by group.
fn agree(pattern: &str, line: &[u8]) -> Result<(), TestCaseError> {
    let parsed = parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    let Some(linear) = translate(&parsed.node, &|_| true) else { return Ok(()) };
    let Ok(oracle) = regex::bytes::RegexBuilder::new(&linear).size_limit(1 << 22).build() else { return Ok(()) };
    let program = super::compile(&parsed.node, parsed.names.len(), |_| true).unwrap();
    let mut memory = Memory::default();
    let Ok(found) = program.search(line, 0, &mut memory, &mut 5_000_000) else { return Ok(()) };
    let want = oracle.captures(line);
    prop_assert_eq!(found, want.is_some(), "{} on {:?}", pattern, String::from_utf8_lossy(line));
    let Some(want) = want else { return Ok(()) };
    for group in 0..parsed.names.len() {
        let want = want.get(group).map(|group| (group.start(), group.end()));
        prop_assert_eq!(
            memory.pair(group),
            want,
            "group {} of {} on {:?}",
            group,
            pattern,
            String::from_utf8_lossy(line)
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn says_what_the_regex_crate_says(pattern in pattern(), lines in proptest::collection::vec("[abc1 \"\n]{0,12}", 4)) {
        for line in lines.iter().filter(|line| !line.ends_with('\n')) {
            agree(&pattern, line.as_bytes())?;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn survives_anything(pattern in "\\PC{0,24}", other in "[a(){}\\[\\]|*+?\\\\kx<>:!=^&$1-9,ib.\\- #]{0,24}", line in proptest::collection::vec(any::<u8>(), 0..40)) {
        for pattern in [pattern, other] {
            if let Ok(regex) = Regex::new(&pattern, |_| true, true) {
                let _limit = regex.search(&line, 0, &mut Memory::default());
            }
        }
    }

    #[test]
    fn builtin_patterns_survive_any_line(line in proptest::collection::vec(any::<u8>(), 0..60)) {
        for expr in ["%{COMBINEDAPACHELOG}", "%{SYSLOGLINE}", "%{HTTPD_ERRORLOG}", "%{URI}", "%{RAILS3}"] {
            let matcher = Matcher::grok(expr, &Patterns::builtin(), &[]).unwrap();
            matcher.matches(&line, &mut Captures::new(), &mut Scratch::default()).unwrap();
        }
    }
}

/// The program of mtail for nginx, in Ruby's words.
const MTAIL: &str = r#"^(?<remote_addr>\S+) - (?<remote_user>[^\[]*) \[(?<time_local>[^\]]+)\] "(?<method>[A-Z]+) (?<uri>\S+) HTTP\/(?<proto>[0-9.]+)" (?<status>\d{3}) (?<bytes>\d+) "(?<referer>[^"]*)" "(?<ua>[^"]*)""#;

const LINE: &[u8] = br#"127.0.0.1 - wpuser [22/Nov/2026:13:20:21 +0000] "GET /wp-content/a.css?ver=6.1 HTTP/1.1" 404 153 "https://a.invalid/?q=\x22x\x22" "Mozilla/5.0 (X11; Linux x86_64)""#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_access_lines_match_alike(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 0..6)) {
        let mut line = LINE.to_vec();
        for (place, byte, kind) in edits {
            let at = place.index(line.len());
            match kind {
                0 => line[at] = byte & 0x7f,
                1 => line.insert(at, b"\" [] -\\"[usize::from(byte) % 7]),
                _ => { line.remove(at); }
            }
        }
        if line.last() != Some(&b'\n') {
            agree(MTAIL, &line)?;
        }
    }

    /// With classes on bytes: what is beyond ASCII stands in runs only, so both must find the same.
    #[test]
    fn access_lines_of_any_bytes_match_alike(edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6)) {
        let mut line = LINE.to_vec();
        for (place, byte) in edits {
            let at = place.index(line.len());
            line[at] = byte;
        }
        let oracle = regex::bytes::Regex::new(&format!("(?m-u){MTAIL}")).unwrap();
        let names = ["method", "status", "bytes", "ua", "uri", "remote_user"];
        let matcher = Matcher::regex(MTAIL, &names).unwrap();
        let mut captures = Captures::new();
        let found = matcher.matches(&line, &mut captures, &mut Scratch::default()).unwrap();
        let want = oracle.captures(&line);
        prop_assert_eq!(found, want.is_some());
        if let Some(want) = want {
            for (i, name) in names.iter().enumerate() {
                prop_assert_eq!(captures.get(i), want.name(name).unwrap().as_bytes());
            }
        }
    }

    #[test]
    fn characters_match_as_in_the_regex_crate(line in "[aé한 \u{a0}.1]{0,10}", pattern in prop::sample::select(&[
        r"(\w+) (\w)", r"(.)(.)$", r"(\S+)\s(.*?)(é)", r"([^a]{2})", r"^(.{1,3})(.*)$", r"\b(\w)", r"(é|.)+?a", r"([a-é]+)", r"(\W)",
    ][..])) {
        // \s and \w of both are Unicode's; a line of whole characters.
        let oracle = regex::Regex::new(pattern).unwrap();
        let want = oracle.captures(&line).map(|groups| (0..groups.len()).map(|i| groups.get(i).map(|group| group.as_str().to_owned())).collect::<Vec<_>>());
        prop_assert_eq!(find(pattern, line.as_bytes()), want);
    }
}

/// Real lines of the contract, where they are.
#[test]
fn sample_lines_match_as_they_must() {
    let root = std::env::var_os("BONGSU_PARITY").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/parity"),
        std::path::PathBuf::from,
    );
    let Ok(text) = std::fs::read(root.join("log/samples/nginx_access_combined.log")) else {
        println!("skipped: the samples of the contract are not here");
        return;
    };
    let lines: Vec<&[u8]> = text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 4150);
    let library = Patterns::builtin();
    let ecs = Patterns::ecs();
    let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    let ecs_names = ["http.request.method", "http.response.status_code", "http.response.body.bytes"];
    for (name, matcher, unparsed) in [
        ("COMBINEDAPACHELOG", Matcher::grok("%{COMBINEDAPACHELOG}", &library, &["verb", "response", "bytes"]), 0),
        ("HTTPD_COMBINEDLOG", Matcher::grok("%{HTTPD_COMBINEDLOG}", &library, &["verb", "response", "bytes"]), 0),
        ("ecs", Matcher::grok("%{COMBINEDAPACHELOG}", &ecs, &ecs_names), 0),
        ("log_format", Matcher::log_format(combined, &["method", "status", "body_bytes_sent"]), 0),
        ("mtail", Matcher::regex(MTAIL, &["method", "status", "bytes"]), 30),
    ] {
        let matcher = matcher.unwrap_or_else(|error| panic!("{error}"));
        let mut captures = Captures::new();
        let mut scratch = Scratch::default();
        let mut counts = std::collections::BTreeMap::<(String, String), usize>::new();
        let mut bytes = 0;
        let mut missed = 0;
        for line in &lines {
            if !matcher.matches(line, &mut captures, &mut scratch).unwrap() {
                missed += 1;
                continue;
            }
            let text = |i| String::from_utf8_lossy(captures.get(i)).into_owned();
            *counts.entry((text(0), text(1))).or_default() += 1;
            bytes += text(2).parse::<u64>().unwrap_or(0);
        }
        assert_eq!(missed, unparsed, "{name}");
        if unparsed == 0 {
            assert_eq!(bytes, 1_822_964, "{name}");
        }
        for (method, status, count) in [
            ("GET", "200", 1778),
            ("GET", "302", 221),
            ("GET", "400", 30),
            ("GET", "403", 226),
            ("GET", "404", 616),
            ("GET", "500", 218),
            ("HEAD", "200", 20),
            ("POST", "302", 39),
            ("POST", "403", 30),
            ("POST", "404", 122),
            ("POST", "405", 291),
            ("POST", "500", 30),
            ("PUT", "302", 25),
            ("PUT", "403", 39),
            ("PUT", "404", 121),
            ("PUT", "405", 283),
            ("PUT", "500", 31),
        ] {
            let got = counts.get(&(method.to_owned(), status.to_owned())).copied();
            assert_eq!(got, Some(count), "{name}: {method} {status}");
        }
        let nameless = counts.get(&(String::new(), "400".to_owned())).copied();
        assert_eq!(nameless, (unparsed == 0).then_some(30), "{name}");
    }
}
