//! The functions of Alertmanager's templates under their names, as filters: `value|name(more)`.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::value::{ArgType, Object, ObjectRepr, Rest, Value};
use minijinja::{Environment, Error, ErrorKind};

use super::config::Kind;
use super::escape;
use super::layout::Moment;
use crate::clock::Nanos;

/// One function: how Alertmanager's templates call it, and how these do.
struct Function {
    name: &'static str,
    /// In Go's syntax; empty where it is this sink's own.
    there: &'static str,
    here: &'static str,
    /// What the second gives; empty where that depends on the time of day.
    gives: &'static str,
    add: fn(&mut Environment<'static>, &'static str, Kind),
}

/// All of Alertmanager 0.33's and one more, alphabetically.
const FUNCTIONS: &[Function] = &[
    Function {
        name: "append",
        there: "append (list 1 2) 3",
        here: "[1, 2]|append(3)",
        gives: "[1, 2, 3]",
        add: |env, name, _| {
            let append = |list: Vec<Value>, more: Rest<Value>| list.into_iter().chain(more.0).collect::<Value>();
            env.add_filter(name, append);
            env.add_function(name, append);
        },
    },
    Function {
        name: "bold",
        there: "",
        here: "name|bold",
        gives: "",
        add: |env, name, kind| env.add_filter(name, move |s: Value| bold(kind, &s.to_string())),
    },
    Function {
        name: "date",
        there: r#".StartsAt | date "15:04:05""#,
        here: "'2026-11-22T21:58:39Z'|date('Jan _2 15:04')",
        gives: "Nov 22 21:58",
        add: |env, name, _| {
            env.add_filter(name, |at: Value, layout: String| {
                Ok::<_, Error>(Moment::of(&at)?.map(|m| m.format(&layout)).unwrap_or_default())
            });
        },
    },
    Function {
        name: "dict",
        there: r#"dict "a" 1"#,
        here: "dict('a', 1).a",
        gives: "1",
        add: |env, name, _| env.add_function(name, |all: Rest<Value>| dict(&all.0)),
    },
    Function {
        name: "humanizeDuration",
        there: "humanizeDuration 3725.5",
        here: "3725.5|humanizeDuration",
        gives: "1h 2m 5s",
        add: |env, name, _| {
            env.add_filter(name, |v: Value| Ok::<_, Error>(seconds(&v)?.map(humanize).unwrap_or_default()));
        },
    },
    Function {
        name: "join",
        there: r#"stringSlice "a" "b" | join "-""#,
        here: "['a', 'b']|join('-')",
        gives: "a-b",
        add: |env, name, _| {
            env.add_filter(name, |list: Vec<Value>, between: Option<String>| {
                let all: Vec<String> = list.iter().map(Value::to_string).collect();
                all.join(between.as_deref().unwrap_or(""))
            });
        },
    },
    Function {
        name: "list",
        there: "list 1 2",
        here: "list(1, 2)",
        gives: "[1, 2]",
        add: |env, name, _| env.add_function(name, |all: Rest<Value>| Value::from(all.0)),
    },
    Function {
        name: "match",
        there: r#"match "^db" "db1""#,
        here: "'yes' if 'db1'|match('^db')",
        gives: "yes",
        add: |env, name, _| {
            env.add_filter(name, |Text(s): Text, pattern: String| Ok::<_, Error>(regex(&pattern)?.is_match(&s)));
        },
    },
    Function {
        name: "now",
        there: r#"now | date "2006""#,
        here: "now()|date('2006')",
        gives: "",
        add: |env, name, _| env.add_function(name, || Value::from_object(Moment::utc(Nanos::now()))),
    },
    Function {
        name: "reReplaceAll",
        there: r#"reReplaceAll "([a-z])([0-9])" "$2$1" "a1""#,
        here: "'a1'|reReplaceAll('([a-z])([0-9])', '$2$1')",
        gives: "1a",
        add: |env, name, _| {
            env.add_filter(name, |Text(s): Text, pattern: String, with: String| {
                Ok::<_, Error>(regex(&pattern)?.replace_all(&s, with.as_str()).into_owned())
            });
        },
    },
    Function {
        name: "safeHtml",
        there: r#"safeHtml "x""#,
        here: "'x'|safeHtml",
        gives: "x",
        // Alertmanager marks a text as safe so; here nothing that an alert says becomes markup.
        add: |env, name, _| env.add_filter(name, |Text(s): Text| s),
    },
    Function {
        name: "safeUrl",
        there: r#"safeUrl "http://x""#,
        here: "'http://x'|safeUrl",
        gives: "http://x",
        add: |env, name, _| env.add_filter(name, |Text(s): Text| s),
    },
    Function {
        name: "since",
        there: "since .StartsAt | humanizeDuration",
        here: "a.starts_at|since|humanizeDuration",
        gives: "",
        add: |env, name, _| {
            env.add_filter(name, |at: Value| {
                moment(&at, |m| {
                    let passed = Nanos::now().0.saturating_sub(m.at.0);
                    Ok(Value::from_object(Elapsed(passed as f64 / 1e9)))
                })
            });
        },
    },
    Function {
        name: "stringSlice",
        there: r#"stringSlice "a" "b" | join "+""#,
        here: "stringSlice('a', 'b')|join('+')",
        gives: "a+b",
        add: |env, name, _| {
            let strings = |all: Rest<String>| Value::from(all.0);
            env.add_function(name, strings);
            env.add_filter(name, strings);
        },
    },
    Function {
        name: "title",
        there: r#"title "ab cD""#,
        here: "'ab cD'|title",
        gives: "Ab Cd",
        add: |env, name, _| env.add_filter(name, |Text(s): Text| title(&s)),
    },
    Function {
        name: "toJson",
        there: r#"toJson "<a>""#,
        here: "'<a>'|toJson",
        gives: r#""\u003ca\u003e""#,
        add: |env, name, _| env.add_filter(name, |v: Value| json(&v)),
    },
    Function {
        name: "toLower",
        there: r#"toLower "AB""#,
        here: "'AB'|toLower",
        gives: "ab",
        add: |env, name, _| {
            env.add_filter(name, |Text(s): Text| s.chars().map(|c| one(c, c.to_lowercase())).collect::<String>());
        },
    },
    Function {
        name: "toUpper",
        there: r#"toUpper "ab""#,
        here: "'ab'|toUpper",
        gives: "AB",
        add: |env, name, _| {
            env.add_filter(name, |Text(s): Text| s.chars().map(|c| one(c, c.to_uppercase())).collect::<String>());
        },
    },
    Function {
        name: "trimSpace",
        there: r#"trimSpace " x ""#,
        here: "' x '|trimSpace",
        gives: "x",
        add: |env, name, _| env.add_filter(name, |Text(s): Text| s.trim().to_owned()),
    },
    Function {
        name: "tz",
        there: r#".StartsAt | tz "Asia/Seoul" | date "15:04 MST""#,
        here: "'2026-11-22T21:58:39Z'|tz('Asia/Seoul')|date('15:04 MST')",
        gives: "06:58 KST",
        add: |env, name, _| {
            env.add_filter(name, |at: Value, zone: String| moment(&at, |m| m.in_zone(&zone).map(Value::from_object)));
        },
    },
    Function {
        name: "urlUnescape",
        there: r#"urlUnescape "a%20b+c%26""#,
        here: "'a%20b+c%26'|urlUnescape",
        gives: "a b c&",
        add: |env, name, _| env.add_filter(name, |Text(s): Text| unescape(&s)),
    },
];

/// Makes them known to an environment whose output goes to this type of target.
pub(super) fn add(env: &mut Environment<'static>, kind: Kind) {
    for function in FUNCTIONS {
        (function.add)(env, function.name, kind);
    }
}

/// All of them as a table in Markdown.
pub(crate) fn table() -> String {
    let cell = |text: &str| if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) };
    let mut table = String::from("| function | Alertmanager's template | here | gives |\n|---|---|---|---|\n");
    for f in FUNCTIONS {
        // A `String` takes all.
        let _ = writeln!(table, "| `{}` | {} | {} | {} |", f.name, cell(f.there), cell(f.here), cell(f.gives));
    }
    table
}

/// A span of time; as a text it is written as Go does, to the second.
#[derive(Debug)]
struct Elapsed(f64);

impl Object for Elapsed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, all) = (if self.0 < 0.0 { "-" } else { "" }, self.0.abs() as u64);
        match (all / 3600, all / 60 % 60, all % 60) {
            (0, 0, s) => write!(f, "{sign}{s}s"),
            (0, m, s) => write!(f, "{sign}{m}m{s}s"),
            (h, m, s) => write!(f, "{sign}{h}h{m}m{s}s"),
        }
    }
}

/// What is done with a time; nothing becomes of none, such as the end of what still fires.
fn moment(value: &Value, with: impl FnOnce(&Moment) -> Result<Value, Error>) -> Result<Value, Error> {
    Moment::of(value)?.map_or_else(|| Ok(Value::from("")), |m| with(&m))
}

/// A text. What is not there is none: a label that an alert does not have must not cost the whole message.
struct Text(String);

impl<'a> ArgType<'a> for Text {
    type Output = Self;

    fn from_value(value: Option<&'a Value>) -> Result<Self, Error> {
        let there = value.filter(|v| !v.is_undefined() && !v.is_none());
        Ok(Self(there.map(Value::to_string).unwrap_or_default()))
    }
}

fn seconds(value: &Value) -> Result<Option<f64>, Error> {
    if value.is_undefined() || value.is_none() || value.as_str() == Some("") {
        return Ok(None);
    }
    let known = value.downcast_object_ref::<Elapsed>().map(|e| e.0);
    let known = known.or_else(|| f64::try_from(value.clone()).ok());
    let known = known.or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()));
    let wrong = || Error::new(ErrorKind::InvalidOperation, format!("{value} is not a number of seconds"));
    known.map(Some).ok_or_else(wrong)
}

/// As Prometheus and Alertmanager write a number of seconds.
fn humanize(v: f64) -> String {
    if !v.is_finite() {
        return if v.is_nan() { "NaN".into() } else { (if v > 0.0 { "+Inf" } else { "-Inf" }).into() };
    }
    if v == 0.0 {
        return "0s".into();
    }
    if v.abs() < 1.0 {
        let (mut small, mut unit) = (v, "");
        for prefix in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if small.abs() >= 1.0 {
                break;
            }
            (small, unit) = (small * 1000.0, prefix);
        }
        return format!("{}{unit}s", four_digits(small));
    }
    let (sign, v) = (if v < 0.0 { "-" } else { "" }, v.abs());
    let whole = v as u64;
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, _) => format!("{sign}{}s", four_digits(v)),
        (0, 0, minutes, seconds) => format!("{sign}{minutes}m {seconds}s"),
        (0, hours, minutes, seconds) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        (days, hours, minutes, seconds) => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// At most four digits that count, of a number below a thousand.
fn four_digits(v: f64) -> String {
    let places = match v.abs() {
        100.0.. => 1,
        10.0.. => 2,
        _ => 3,
    };
    let text = format!("{v:.places$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A letter in its other case, as Go sees it: one that would become two stays.
fn one(c: char, mut changed: impl ExactSizeIterator<Item = char>) -> char {
    if changed.len() == 1 { changed.next().unwrap_or(c) } else { c }
}

/// Each word begins large and goes on small. A word does not end at an apostrophe, point or colon between letters.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begun = false;
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let joins = matches!(c, '\'' | '’' | '.' | ':' | '·')
            && before.is_alphabetic()
            && chars.peek().is_some_and(|n| n.is_alphabetic());
        if c.is_alphabetic() {
            if begun {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            begun = true;
        } else {
            out.push(c);
            begun = begun && (joins || c == '_' || c.is_numeric());
        }
        before = c;
    }
    out
}

/// JSON as Go writes it, safe within HTML.
fn json(value: &Value) -> Result<String, Error> {
    let text = serde_json::to_string(value)
        .map_err(|e| Error::new(ErrorKind::InvalidOperation, format!("cannot be written as JSON: {e}")))?;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    Ok(out)
}

fn dict(all: &[Value]) -> Result<Value, Error> {
    // As minijinja's own is called: with names, or a map.
    if let [one] = all
        && one.kind() == minijinja::value::ValueKind::Map
    {
        return Ok(one.clone());
    }
    if all.len() % 2 == 1 {
        return Err(Error::new(ErrorKind::MissingArgument, "dict needs a value for each name"));
    }
    let pairs: BTreeMap<Value, Value> = all.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    Ok(Value::from(pairs))
}

fn unescape(text: &str) -> String {
    let query = format!("v={}", text.replace('&', "%26"));
    form_urlencoded::parse(query.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
}

fn regex(pattern: &str) -> Result<regex::Regex, Error> {
    regex::Regex::new(pattern).map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))
}

fn bold(kind: Kind, text: &str) -> Value {
    let mut escaped = String::new();
    escape::value(kind, text, &mut escaped);
    Value::from_safe_string(match kind {
        Kind::Slack | Kind::SlackBot | Kind::GoogleChat => format!("*{escaped}*"),
        Kind::Telegram => format!("<b>{escaped}</b>"),
        Kind::Discord | Kind::Mattermost | Kind::Teams => format!("**{escaped}**"),
        _ => escaped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> Result<String, Error> {
        let mut env = Environment::new();
        add(&mut env, Kind::Http);
        env.render_str(
            template,
            minijinja::context! { name => "Name", a => minijinja::context! { starts_at => "2020-01-01T00:00:00Z" } },
        )
    }

    #[test]
    fn each_gives_what_its_row_says() {
        for f in FUNCTIONS {
            let text = render(&format!("{{{{ {} }}}}", f.here)).expect(f.name);
            assert!(f.gives.is_empty() || text == f.gives, "{}: {text}", f.here);
            assert!(!text.is_empty(), "{}", f.here);
        }
        assert!(FUNCTIONS.is_sorted_by_key(|f| f.name));
    }

    /// `BONGSU_BLESS=1` writes the rows anew.
    #[test]
    fn the_page_has_a_row_for_each() {
        let table = table();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhook-sink.md");
        let page = std::fs::read_to_string(path).expect("the page");
        let (begin, end) = ("<!-- functions -->\n", "<!-- end of functions -->\n");
        let at = page.find(begin).expect("the mark before the table") + begin.len();
        let to = page.find(end).expect("the mark behind the table");
        if std::env::var_os("BONGSU_BLESS").is_some() {
            std::fs::write(path, format!("{}{table}{}", &page[..at], &page[to..])).expect("writes");
        } else {
            assert_eq!(&page[at..to], table, "run with BONGSU_BLESS=1");
        }
    }

    #[test]
    fn durations_and_titles_are_those_of_alertmanager() {
        for (seconds, wanted) in [
            (0.5, "500ms"),
            (59.0, "59s"),
            (86_400.0, "1d 0h 0m 0s"),
            (172_805.0, "2d 0h 0m 5s"),
            (-90.0, "-1m 30s"),
            (0.0, "0s"),
            (0.000_012_34, "12.34us"),
            (12.345_678, "12.35s"),
            (59.999_99, "60s"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(humanize(seconds), wanted);
        }
        assert_eq!(
            title("foo.bar a:b ab/cd 디스크 full a’b node_exporter ÉCOLE 1st x1y o'neil x-y_z 3d"),
            "Foo.bar A:b Ab/Cd 디스크 Full A’b Node_exporter École 1St X1y O'neil X-Y_z 3D"
        );
    }

    #[test]
    fn what_is_not_there_is_empty() {
        for template in [
            "{{ a.labels|toUpper }}",
            "{{ nothing|title }}",
            "{{ ''|date('15:04') }}",
            "{{ nothing|tz('Asia/Seoul')|date('15:04') }}",
            "{{ nothing|since|humanizeDuration }}",
            "{{ nothing|reReplaceAll('a', 'b')|trimSpace|urlUnescape }}",
            "{{ 'x' if nothing|match('.') }}",
        ] {
            assert_eq!(render(template).expect(template), "", "{template}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_an_error_that_names_it() {
        for (template, wanted) in [
            ("{{ 'x'|match('(') }}", "unclosed group"),
            ("{{ 'x'|date('2006') }}", "x is not a time"),
            ("{{ now()|tz('X/Y') }}", "X/Y"),
            ("{{ 'x'|humanizeDuration }}", "x is not a number"),
            ("{{ dict('a') }}", "a value for each name"),
        ] {
            let error = render(template).expect_err(template).to_string();
            assert!(error.contains(wanted), "{template}: {error}");
        }
    }
}
