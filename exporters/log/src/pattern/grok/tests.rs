use super::super::{Captures, Matcher, PatternError, Scratch};
use super::{ECS, LEGACY, Patterns};

fn read(library: &Patterns, expr: &str, line: &str, wanted: &[&str]) -> Option<Vec<String>> {
    let matcher = Matcher::grok(expr, library, wanted).unwrap_or_else(|error| panic!("{error}"));
    let mut captures = Captures::new();
    let found = matcher.matches(line.as_bytes(), &mut captures, &mut Scratch::default()).unwrap();
    found.then(|| (0..wanted.len()).map(|i| String::from_utf8_lossy(captures.get(i)).into_owned()).collect())
}

#[test]
fn every_builtin_definition_compiles() {
    for (library, text) in [(Patterns::builtin(), LEGACY), (Patterns::ecs(), ECS)] {
        let mut count = 0;
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let name = line.split(' ').next().unwrap();
            if let Err(error) = Matcher::grok(&format!("%{{{name}}}"), &library, &[]) {
                panic!("{name}: {error}");
            }
            count += 1;
        }
        assert!(count > 15, "{count}");
    }
}

#[test]
fn what_the_standard_names_match() {
    let library = Patterns::builtin();
    for (name, good, bad) in [
        ("INT", "-12 +3 0", "a"),
        ("NUMBER", "1 1.5 -.5 +0.25", "x -"),
        ("POSINT", "1 10", "0 x"),
        ("WORD", "a a_b 9 naïve", "- !"),
        ("USERNAME", "a.b-c_D9", "@ !"),
        ("EMAILADDRESS", "a.b@c.de x+y@host", "@c a@"),
        ("IPV4", "1.2.3.4 255.255.255.255 001.2.3.4", "256.1.1.1 1.2.3 1.2.3.4.x5.6"),
        ("IPV6", "::1 fe80::1 1:2:3:4:5:6:7:8 ::ffff:1.2.3.4 ::", "1:2 g::"),
        ("IPORHOST", "a.b.c 127.0.0.1 ::1 localhost", "- !"),
        ("HOSTPORT", "a:80 1.2.3.4:8080", "a: :80"),
        ("MAC", "00:11:22:aa:bb:cc 0011.22aa.bbcc 00-11-22-AA-BB-CC", "00:11"),
        ("PATH", "/a/b /é C:\\x\\y", "a"),
        ("URI", "http://a/b?c=d https://u:p@h:8/", "http:/ ://x"),
        ("UUID", "123e4567-e89b-12d3-a456-426614174000", "123e4567"),
        ("QUOTEDSTRING", r#""a" 'b' `c` "" "a\"b" "\x22""#, r#"" 'a" \"a""#),
        ("MONTH", "Jan January Oct Okt März Dez", "Foo Janx"),
        ("MONTHDAY", "1 09 31", "32 00 0"),
        ("TIME", "14:37:03 1:02:03,5", "24:00:00 1:2:3 14:37"),
        ("HTTPDATE", "22/Nov/2026:13:20:21\u{a0}+0000", "22/13/2026"),
        (
            "TIMESTAMP_ISO8601",
            "2026-11-22T13:20:21Z 2026-11-22T13:20:21.123+01:00 2026-11-22T13:20",
            "2026-13-22T1 2026",
        ),
        ("LOGLEVEL", "ERROR warn Notice fatal", "err0r"),
        ("DATE", "30.07.2016 07/30/2016", "2016/30"),
        ("YEAR", "2026 26", "1 123"),
        ("RUUID", "0123456789abcdef0123456789abcdef", "0123"),
        ("JAVACLASS", "org.a.B$C x", "1"),
    ] {
        let expr = format!(r"\A(?<x>%{{{name}}})\z");
        let words = |text: &str| text.split(' ').map(|word| word.replace('\u{a0}', " ")).collect::<Vec<_>>();
        for word in words(good) {
            assert_eq!(read(&library, &expr, &word, &["x"]), Some(vec![word.clone()]), "{name} and {word}");
        }
        for word in words(bad) {
            assert_eq!(read(&library, &expr, &word, &["x"]), None, "{name} and {word}");
        }
    }
}

#[test]
fn references_and_fields() {
    let mut library = Patterns::empty();
    library.define("WHO [a-z]+ ").unwrap();
    library.define("  PAIR %{WHO:left}=%{WHO:right:int}").unwrap();
    library.define("# a comment").unwrap();
    library.define("   ").unwrap();
    assert_eq!(read(&library, "%{PAIR}", "a =b ", &["left", "right"]).unwrap(), ["a ", "b "], "trailing blanks count");
    library.define("WHO [0-9]+").unwrap();
    assert_eq!(read(&library, "%{PAIR}", "1=2", &["left"]).unwrap(), ["1"], "the later definition wins");
    let source = read(&library, "%{WHO:[source][address]} 100%{1,2}", "7 100%%", &["source.address"]).unwrap();
    assert_eq!(source, ["7"]);
}

#[test]
fn what_is_refused() {
    let mut library = Patterns::builtin();
    assert!(matches!(library.define("ONE"), Err(PatternError::Definition { .. })));
    assert!(matches!(library.define("A-B x"), Err(PatternError::Definition { .. })));
    library.define("LOOP x%{LOOP}").unwrap();
    library.define("BOMB0 xxxxxxxxxxxxxxxxxxxx").unwrap();
    for i in 1..40 {
        library.define(&format!("BOMB{i} %{{BOMB{}}}%{{BOMB{}}}", i - 1, i - 1)).unwrap();
    }
    for (expr, why) in [
        ("%{NOWHERE}", "not defined"),
        ("%{LOOP}", "deep recursion"),
        ("%{BOMB39}", "too large"),
        ("(", "unmatched parenthesis"),
        (r"(?<n>a)(b)\2", "numbered backref"),
        ("(?P<n>a)", "undefined group option"),
    ] {
        let error = Matcher::grok(expr, &library, &[]).unwrap_err().to_string();
        assert!(error.contains(why), "{expr}: {error}");
    }
    assert!(matches!(Matcher::grok("%{INT:a}", &library, &["b"]), Err(PatternError::Missing { .. })));
    assert!(matches!(Matcher::grok("%{INT:a} %{INT:a}", &library, &["a"]), Err(PatternError::Twice { .. })));
    assert!(Matcher::grok("%{INT:a} %{INT:a} %{INT:b}", &library, &["b"]).is_ok());
}

#[test]
fn files_and_folders() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "# x\n\n  A 1\nB 2\r\n").unwrap();
    std::fs::write(dir.path().join("b"), "A 3").unwrap();
    let mut library = Patterns::empty();
    library.dir(dir.path()).unwrap();
    assert_eq!(library.expand("%{A}%{B}").unwrap(), "(?:3)(?:2)");
    std::fs::create_dir(dir.path().join("c")).unwrap();
    assert!(matches!(library.dir(dir.path()), Err(PatternError::Nested { .. })));
    std::fs::write(dir.path().join("a"), "A 1\nBAD\n").unwrap();
    let error = library.file(&dir.path().join("a")).unwrap_err().to_string();
    assert!(error.contains("a:2:") && error.contains("BAD"), "{error}");
    assert!(matches!(library.file(&dir.path().join("none")), Err(PatternError::Read { .. })));
}

#[test]
fn the_cases_of_the_contract() {
    let mut library = Patterns::builtin();
    library.define("FOO foo").unwrap();
    library.define("BAR bar").unwrap();
    let fields = |line| read(&library, "%{FOO:foo}%{BAR:bar}?", line, &["foo", "bar"]);
    assert_eq!(fields("foobar").unwrap(), ["foo", "bar"]);
    assert_eq!(fields("foobaz").unwrap(), ["foo", ""]);
    assert_eq!(fields("bar"), None);
    let line = "30.07.2016 14:37:03 alice 1.5";
    assert_eq!(
        read(&library, "%{DATE} %{TIME} %{USER:user} %{NUMBER:val}", line, &["user", "val"]).unwrap(),
        ["alice", "1.5"]
    );
    let line = "2016-04-26 10:19:57 H=(85.214.241.101) [36.224.138.227] F=<z@yahoo.com.tw> rejected RCPT <a@yahoo.com.tw>: relay not permitted";
    let expr =
        "%{EXIM_DATE} %{EXIM_REMOTE_HOST} F=<%{EMAILADDRESS}> rejected RCPT <%{EMAILADDRESS}>: %{GREEDYDATA:message}";
    assert_eq!(read(&library, expr, line, &["message"]).unwrap(), ["relay not permitted"]);
}
