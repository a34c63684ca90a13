//! Nanoseconds per sample of what a scrape does: fill parts, merge them, write the page.
//!
//! `cargo bench -p exposition`

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use exposition::{Desc, Escaping, Format, Page, Part, parse_text};
use std::hint::black_box;
use std::time::{Duration, Instant};

const DEVICES: usize = 200;
const PARTS: usize = 3;
const ROUNDS: u32 = 200;

macro_rules! families {
    ($($n:literal)*) => {
        &[$(Desc::counter(concat!("node_example_operations_", $n, "_total"), "The total number of operations.")),*]
    };
}
const FAMILIES: &[Desc] = families!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19);

fn main() {
    let devices: Vec<String> = (0..DEVICES).map(|i| format!("nvme{}n{}", i / 8, i % 8)).collect();
    let mut parts = vec![Part::new(); PARTS];
    let mut out = Vec::new();
    let formats = [
        ("text", Format::Text(Escaping::Underscores)),
        ("text utf-8", Format::Text(Escaping::AllowUtf8)),
        ("openmetrics", Format::OpenMetrics(Escaping::Underscores)),
        ("protobuf", Format::Protobuf(Escaping::Underscores)),
    ];
    // The fastest round counts: on a machine that does other things as well, the others measure these.
    let mut spent = [Duration::MAX; 2];
    let mut written = [Duration::MAX; 4];
    let mut page = Page::default();
    let mut samples = 0;
    for round in 0..ROUNDS {
        let start = Instant::now();
        for (n, part) in parts.iter_mut().enumerate() {
            part.clear();
            fill(part, n, &devices, u64::from(round));
        }
        spent[0] = spent[0].min(start.elapsed());

        let start = Instant::now();
        let conflicts = page.refill(std::mem::take(&mut parts));
        spent[1] = spent[1].min(start.elapsed());
        assert!(conflicts.is_empty());
        samples = page.len();

        for (i, (_, format)) in formats.iter().enumerate() {
            out.clear();
            let start = Instant::now();
            page.write(*format, &mut out);
            written[i] = written[i].min(start.elapsed());
            black_box(&out);
        }
        parts = page.take_parts();
    }
    let per_sample = |d: Duration| d.as_nanos() as f64 / samples as f64;
    println!("{samples} samples with 3 labels");
    println!("{:>14} {:6.1} ns/sample", "fill", per_sample(spent[0]));
    println!("{:>14} {:6.1} ns/sample", "merge", per_sample(spent[1]));
    for ((name, _), d) in formats.iter().zip(written) {
        println!("{name:>14} {:6.1} ns/sample", per_sample(d));
    }
    println!("{:>14} {:6.1} ns/sample", "fill to text", per_sample(spent[0] + spent[1] + written[0]));

    let (page, _) = Page::merge(parts);
    out.clear();
    page.write_text(&mut out);
    let mut parsed = Duration::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        assert!(black_box(parse_text(&out)).is_ok());
        parsed = parsed.min(start.elapsed());
    }
    println!("{:>14} {:6.1} ns/sample", "parse text", per_sample(parsed));
}

/// As a collector does: device by device, each with a sample of every family, some integers and some floats.
fn fill(part: &mut Part, n: usize, devices: &[String], round: u64) {
    let zone = ["a", "b", "c"][n];
    for (i, device) in devices.iter().enumerate() {
        let labels: [(&str, &[u8]); 3] = [("device", device.as_bytes()), ("kind", b"solid"), ("zone", zone.as_bytes())];
        for (k, d) in FAMILIES.iter().enumerate() {
            let value = (i as u64 + round) * [7, 12_345, 987_654_321][k % 3];
            if k % 4 == 0 {
                part.family(d).sample(&labels, value as f64 / 1000.0);
            } else {
                part.family(d).sample(&labels, value);
            }
        }
    }
}
