//! What comes of a text; and that serde-saphyr makes the same of it.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    number: u32,
    #[serde(default)]
    texts: BTreeMap<String, String>,
}

#[test]
fn errors_are_one_line_with_its_number() {
    for (text, error) in [
        ("number: 1\nnmuber: 2", "line 2: unknown field `nmuber`, expected `number` or `texts`"),
        ("number: 1\nnumber: 2", "line 2: duplicate mapping key `number` is not allowed here"),
        ("number: swordfish", "line 1: invalid u32"),
        ("swordfish", "line 1: expected mapping start"),
        ("number: 1\n---\nnumber: 2", "line 3: only single YAML document expected but multiple found"),
    ] {
        assert_eq!(from_str::<Sample>(text).unwrap_err().to_string(), error);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display();
    std::fs::write(file.path(), b"\nnumber: []").unwrap();
    let error = parse_file::<Sample>(file.path()).unwrap_err();
    assert_eq!(error.to_string(), format!("{path}: line 2: {}", error.text));
    std::fs::write(file.path(), b"\xff").unwrap();
    assert_eq!(parse_file::<Sample>(file.path()).unwrap_err().to_string(), format!("{path}: is not UTF-8"));
    let missing = parse_file::<Sample>(Path::new("/nonexistent")).unwrap_err().to_string();
    assert_eq!(missing, "/nonexistent: no such file or directory");
}

#[test]
fn the_last_of_two_keys_counts_where_that_is_asked_for() {
    let sample: Sample = from_str_lenient("number: 1\ntexts: {a: 1, a: 2}\nnumber: 2").unwrap();
    assert_eq!((sample.number, &*sample.texts["a"]), (2, "2"));
}

#[test]
fn scalars_are_texts_where_texts_are_asked_for() {
    let sample: Sample = from_str("number: 1\ntexts: {a: 1, b: yes, c: 1.50}").unwrap();
    assert_eq!(sample.number, 1);
    assert_eq!(sample.texts.into_values().collect::<Vec<_>>(), ["1", "yes", "1.50"]);
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Nothing,
    One(u8),
    Two(u8, u8),
    Named { x: i64 },
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Tagged {
    File { path: String, all: Option<bool> },
    Stdin,
}

#[test]
fn enums_in_all_their_forms() {
    let read = |text: &str| from_str::<Vec<Choice>>(text).map_err(|e| e.to_string());
    let all = vec![Choice::Nothing, Choice::Nothing, Choice::One(1), Choice::Two(1, 2), Choice::Named { x: -1 }];
    assert_eq!(read("[nothing, {nothing: }, {one: 1}, {two: [1, 2]}, {named: {x: -1}}]").unwrap(), all);
    for (text, error) in [
        (
            "- nothing\n- everything",
            "line 2: unknown variant `everything`, expected one of `nothing`, `one`, `two`, `named`",
        ),
        ("- one", "line 1: a value is missing: expected `name: value`"),
        ("- nothing: 1", "line 1: expected no value here"),
        ("- one: 300", "line 1: invalid u8"),
        ("- two:\n  - 1\n  - 2\n  - 3", "line 4: more elements than expected"),
        ("- two: [1]", "line 1: invalid length 1, expected tuple variant Choice::Two with 2 elements"),
        ("- {one: 1, two: 2}", "line 1: invalid type: map, expected enum Choice"),
    ] {
        assert_eq!(read(text).unwrap_err(), error, "{text}");
    }
    let tagged = from_str::<Vec<Tagged>>("- {path: /x, type: file, all: yes}\n- type: stdin").unwrap();
    assert_eq!(tagged, [Tagged::File { path: "/x".into(), all: Some(true) }, Tagged::Stdin]);
}

#[test]
fn a_spanned_value_knows_its_line() {
    let read: Vec<Spanned<Option<String>>> = from_str("# list\n- a\n-\n  b\n- ~").unwrap();
    let shown: Vec<_> = read.iter().map(|s| (s.line, s.value.as_deref())).collect();
    assert_eq!(shown, [(2, Some("a")), (4, Some("b")), (5, None)]);
    let error = from_str::<Spanned<Vec<u8>>>("\n- 1\n- x").unwrap_err();
    assert_eq!(error.to_string(), "line 3: invalid u8");
}

#[test]
fn anchors_and_merge_keys() {
    type Maps = BTreeMap<String, BTreeMap<String, String>>;
    let read = |text: &str| from_str::<Maps>(text).map_err(|e| e.to_string());
    let maps = read("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: {<<: [{x: 4}, *a]}\nd: *a").unwrap();
    let shown = |key: &str| format!("{:?}", maps[key]);
    assert_eq!(shown("b"), r#"{"x": "1", "y": "3"}"#);
    assert_eq!(shown("c"), r#"{"x": "4", "y": "2"}"#);
    assert_eq!(shown("d"), shown("a"));
    for (text, error) in [
        ("a: *b", "line 1: "),
        ("a: &a\n  b: *a", "line 2: Recursive reference not allowed here"),
        ("a:\n  <<: 1", "line 2: a merge key expects a mapping or a sequence of mappings"),
        ("a: {<<: [1]}", "line 1: a merge key expects a mapping or a sequence of mappings"),
    ] {
        let told = read(text).unwrap_err();
        assert!(told.starts_with(error), "{text}: {told}");
    }
    // What is written out counts as often as it is read.
    let laughs = (1..20).fold("a0: &a0 [x]\n".to_owned(), |text, i| {
        let before = format!("*a{},", i - 1).repeat(10);
        format!("{text}a{i}: &a{i} [{before}]\n")
    });
    let error = from_str::<serde::de::IgnoredAny>(&laughs).unwrap_err();
    assert_eq!(error.text, "YAML document too large or too complex");
}

#[test]
fn depth_has_an_end() {
    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(100_000)] {
        assert!(from_str::<serde::de::IgnoredAny>(&deep).is_err());
    }
    let nest = |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
    let fits = format!("- &a {}\n- {}", nest(90, ""), nest(90, "*a"));
    assert!(from_str::<serde::de::IgnoredAny>(&fits).is_ok());
    let through_aliases = format!("- &a {}\n- &b {}\n- {}", nest(90, ""), nest(90, "*a"), nest(90, "*b"));
    let error = from_str::<serde::de::IgnoredAny>(&through_aliases).unwrap_err();
    assert_eq!(error.to_string(), "line 3: YAML document too deep");
}

#[test]
fn tags_say_what_a_scalar_is() {
    assert_eq!(from_str::<Tree>("[!!str 1, !!int '1', ! 1, !!null x, !!float 1]").unwrap(), {
        Tree::List(vec![text("1"), Tree::Number(1.0), text("1"), Tree::Null, Tree::Number(1.0)])
    });
    assert_eq!(from_str::<Tree>("- !!binary aGk=").unwrap_err().to_string(), "line 1: !!binary is not supported");
}

#[test]
fn a_secret_that_does_not_fit_is_not_repeated() {
    let error = from_str::<Vec<u64>>("- hunter2").unwrap_err();
    assert_eq!(error.to_string(), "line 1: invalid u64");
    let error = from_str::<BTreeMap<String, bool>>("password: hunter2").unwrap_err();
    assert_eq!(error.to_string(), "line 1: invalid boolean");
}

/// Any document.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

impl<'de> serde::Deserialize<'de> for Tree {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> serde::de::Visitor<'de> for Reading {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Bool(value))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
                Ok(Tree::Number(number as f64))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
                Ok(Tree::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
                Ok(Tree::Number(number))
            }
            fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
                Ok(Tree::Text(text.to_owned()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Tree::List(list))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Tree::Map(map))
            }
        }
        from.deserialize_any(Reading)
    }
}

/// Both readers' answers; errors only as such, since each has its own words.
fn both<T: DeserializeOwned>(text: &str) -> (Option<T>, Option<T>) {
    let options = serde_saphyr::options! { with_snippet: false };
    (from_str(text).ok(), serde_saphyr::from_str_with_options(text, options).ok())
}

const SYNTAX: &[&str] = &[
    "a", "b", "a: ", "b: ", "c: ", "- ", "\n", "\n", "\n  ", "\n    ", " ", "[", "]", "{", "}", ", ", ": ", "&x ",
    "*x", "<<: ", "<<: *x", "'", "''", "\"", "\\n", "|\n  ", ">-\n  ", " # note", "!!str ", "---\n", "...\n", "? ",
    "\t",
];

const SCALARS: &[&str] = &[
    "1",
    "-17",
    "0x1F",
    "007",
    "1_000",
    "1.5",
    "1e3",
    "1e999",
    "~",
    "null",
    "yes",
    "No",
    "true",
    ".nan",
    ".inf",
    "'1'",
    "x y",
    "10:20",
    "=",
    "é",
    "18446744073709551615",
    "-9223372036854775809",
    "inf",
    "+1",
    ".5",
    "1.",
    "0b2",
    "-0",
    "",
];

/// Texts that are YAML more often than not.
fn yaml() -> impl Strategy<Value = String> {
    use proptest::sample::select;
    let soup = proptest::collection::vec(prop_oneof![2 => select(SYNTAX), 1 => select(SCALARS)], 0..14);
    let soup = soup.prop_map(|pieces| pieces.concat());
    let scalar = select(SCALARS).prop_map(str::to_owned);
    let block = proptest::collection::vec((0..3usize, select(&["a: ", "b: ", "- ", ""][..]), scalar), 1..6);
    let block = block.prop_map(|lines| {
        let line = |(depth, key, value): &(usize, &str, String)| format!("{}{key}{value}\n", "  ".repeat(*depth));
        lines.iter().map(line).collect::<String>()
    });
    prop_oneof![soup, block]
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        if let Err(error) = from_str::<Sample>(&text) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn serde_saphyr_reads_the_same(text in yaml()) {
        let (ours, theirs) = both::<Tree>(&text);
        prop_assert_eq!(ours, theirs);
        let (ours, theirs) = both::<BTreeMap<String, Option<String>>>(&text);
        prop_assert_eq!(ours, theirs);
        let (ours, theirs) = both::<Vec<i64>>(&text);
        prop_assert_eq!(ours, theirs);
        let (ours, theirs) = both::<Vec<bool>>(&text);
        prop_assert_eq!(ours, theirs);
        let (ours, theirs) = both::<Vec<Option<f64>>>(&text);
        prop_assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }
}
