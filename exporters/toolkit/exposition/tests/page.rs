//! How parts become a page: order, duplicates and what does not fit together.

use exposition::{Conflict, Desc, Histogram, Kind, Page, Part, Quantile, Summary};

const UP: Desc = Desc::gauge("up", "Whether it is up.");
const REQUESTS: Desc = Desc::counter("requests_total", "Requests.");

fn text(parts: Vec<Part>) -> (String, Vec<Conflict>) {
    let (page, conflicts) = Page::merge(parts);
    let mut out = Vec::new();
    page.write_text(&mut out);
    assert_eq!(page.is_empty(), out.is_empty());
    (String::from_utf8_lossy(&out).into_owned(), conflicts)
}

#[test]
fn families_by_name_and_samples_by_label_values() {
    let mut first = Part::new();
    first.family(&UP).sample(&[("job", b"b"), ("az", b"2")], 1u8).sample(&[("az", b"10"), ("job", b"c")], 0u8);
    first.family(&UP).sample(&[("solo", b"z")], 1u8).sample(&[], 1u8);
    first.family_named("zz", "Declared only.", Kind::Gauge);
    let mut second = Part::new();
    second.family_named("a_gauge", "With \\ and \n in the help.", Kind::Gauge).sample(&[("v", b"\"\\\n\xff")], -0.0);
    // Fewer labels first, then by values whatever their names are, and 0x21 sorts before the quote.
    second.family(&UP).sample(&[("az", b"2"), ("job", b"b!")], 3i8).sample(&[("bz", b"1"), ("c", b"")], 2u64);
    let (page, conflicts) = text(vec![first, second]);
    assert_eq!(conflicts, []);
    assert_eq!(
        page,
        r#"# HELP a_gauge With \\ and \n in the help.
# TYPE a_gauge gauge
a_gauge{v="\"\\\n�"} 0
# HELP up Whether it is up.
# TYPE up gauge
up 1
up{solo="z"} 1
up{bz="1",c=""} 2
up{az="10",job="c"} 0
up{az="2",job="b"} 1
up{az="2",job="b!"} 3
"#
    );
}

#[test]
fn the_first_of_two_that_disagree_stays() {
    let mut first = Part::new();
    first.family(&UP).sample(&[("a", b"2")], 1u8).sample(&[("a", b"1")], 2u8).sample(&[("a", b"2")], 3u8);
    let mut second = Part::new();
    second.family_named("up", "Other help.", Kind::Gauge).sample(&[("a", b"1")], 4u8).sample(&[("a", b"3")], 5u8);
    let mut third = Part::new();
    third.family_named("up", "Whether it is up.", Kind::Counter).sample(&[("a", b"4")], 6u8);
    let (page, conflicts) = text(vec![first, second, third]);
    assert_eq!(page, "# HELP up Whether it is up.\n# TYPE up gauge\nup{a=\"1\"} 2\nup{a=\"2\"} 1\nup{a=\"3\"} 5\n");
    let family = || "up".to_owned();
    let twice = |labels: &str| Conflict::Duplicate { family: family(), labels: labels.to_owned() };
    assert_eq!(
        conflicts,
        [Conflict::Help { family: family() }, Conflict::Kind { family: family() }, twice("a=\"1\""), twice("a=\"2\"")]
    );
    assert_eq!(conflicts[2].to_string(), "series up{a=\"1\"} comes twice, the first is kept");
}

#[test]
fn a_family_without_samples_decides_nothing() {
    let mut first = Part::new();
    first.family_named("up", "Unused.", Kind::Counter);
    let mut second = Part::new();
    second.family(&UP).sample(&[], 1u8);
    assert_eq!(
        text(vec![first, second]),
        ("# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n".to_owned(), Vec::new())
    );
}

#[test]
fn times_part_equal_series_and_those_without_come_last() {
    let mut part = Part::new();
    part.family(&UP).sample(&[], 1u8).sample_at(&[], 2u8, 20).sample_at(&[], 3u8, -10).sample_at(&[], 4u8, 20);
    // The same sets in the next family, in another order of times.
    part.family(&REQUESTS).sample_at(&[], 1u8, 7).sample_at(&[], 2u8, 6).sample_at(&[], 3u8, 5).sample_at(&[], 4u8, 4);
    let (page, conflicts) = text(vec![part]);
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    assert_eq!(
        page,
        "# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total 4 4\nrequests_total 3 5\n\
         requests_total 2 6\nrequests_total 1 7\n# HELP up Whether it is up.\n# TYPE up gauge\nup 3 -10\nup 2 20\nup 1\n"
    );
}

#[test]
fn names_of_the_lines_of_a_histogram_are_taken() {
    let mut part = Part::new();
    part.family_named("h", "", Kind::Histogram).histogram(&[], Histogram::default());
    part.family_named("s", "", Kind::Summary).summary(&[], Summary::default());
    for name in ["h_count", "h_bucket", "s_sum", "s_bucket", "g_sum"] {
        part.family_named(name, "", Kind::Gauge).sample(&[], 1u8);
    }
    let (page, conflicts) = text(vec![part]);
    let left_out: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(
        left_out,
        [
            "family h_bucket collides with the lines of h and is left out",
            "family h_count collides with the lines of h and is left out",
            "family s_sum collides with the lines of s and is left out",
        ]
    );
    let types: Vec<&str> = page.lines().filter_map(|l| l.strip_prefix("# TYPE ")).collect();
    assert_eq!(types, ["g_sum gauge", "h histogram", "s summary", "s_bucket gauge"]);
}

#[test]
fn families_with_the_same_sets_are_sorted_alike() {
    const FAMILIES: [Desc; 3] = [Desc::gauge("a", ""), Desc::gauge("b", ""), Desc::gauge("c", "")];
    let mut part = Part::new();
    for (n, device) in ["sdc", "sda", "sdb"].into_iter().enumerate() {
        for d in &FAMILIES {
            part.family(d).sample(&[("device", device.as_bytes())], n);
        }
    }
    // One more in the last: its sets are not those of the others.
    part.family(&FAMILIES[2]).sample(&[("device", b"sd")], 3u8);
    let mut page = Page::default();
    for _ in 0..2 {
        assert_eq!(page.refill(vec![part.clone()]), []);
        assert_eq!(page.len(), 10);
        let mut out = Vec::new();
        page.write_text(&mut out);
        let values: String = String::from_utf8_lossy(&out)
            .lines()
            .filter(|l| !l.starts_with('#'))
            .fold(String::new(), |all, line| all + line.rsplit(' ').next().unwrap_or_default());
        assert_eq!(values, "1201203120");
        assert_eq!(page.take_parts().len(), 1);
        assert!(page.is_empty());
    }
}

#[test]
fn summaries_as_text() {
    let mut part = Part::new();
    let quantiles = vec![Quantile { quantile: 0.5, value: f64::NAN }, Quantile { quantile: 1.0, value: 2.5e-7 }];
    part.family_named("s", "S.", Kind::Summary)
        .summary(&[("a", b"x y")], Summary { quantiles, sum: 1e21, count: 3_000_000 });
    assert_eq!(
        text(vec![part]).0,
        "# HELP s S.\n# TYPE s summary\ns{a=\"x y\",quantile=\"0.5\"} NaN\ns{a=\"x y\",quantile=\"1\"} 2.5e-07\n\
         s_sum{a=\"x y\"} 1e+21\ns_count{a=\"x y\"} 3e+06\n"
    );
}
