//! A scrape in its steady state allocates by collector, not by sample.

use counting::allocations;
use exposition::{Desc, Format, Page, Part};

const READS: Desc = Desc::counter("reads_total", "Reads.");
const BUSY: Desc = Desc::gauge("busy_ratio", "How busy.");

fn fill(part: &mut Part, name: &str, samples: usize) {
    let mut digits = [b'0'; 4];
    for i in 0..samples {
        // Not in order, and of rising length.
        for (d, div) in digits.iter_mut().zip([1, 10, 100, 1000]) {
            *d = b'0' + (i / div % 10) as u8;
        }
        let odd: &[u8] = if i % 7 == 0 { b"needs \"escapes\"" } else { b"plain" };
        let labels: [(&str, &[u8]); 3] = [("device", &digits), ("from", name.as_bytes()), ("odd", odd)];
        part.family(&READS).sample(&labels, i);
        part.family(&BUSY).sample(&labels, i as f64 / 7.0);
        part.family_named("run_time_name", "Known only now.", exposition::Kind::Untyped).sample(&labels, i);
    }
}

/// Allocations of a scrape whose buffers have seen one like it.
fn steady(samples: usize, collectors: &[&str], format: Format) -> usize {
    let mut page = Page::default();
    let mut parts = vec![Part::new(); collectors.len()];
    let mut out = Vec::new();
    let mut spent = 0;
    for _ in 0..3 {
        let before = allocations();
        for (part, name) in parts.iter_mut().zip(collectors) {
            part.clear();
            fill(part, name, samples);
        }
        assert!(page.refill(parts).is_empty());
        out.clear();
        page.write(format, &mut out);
        assert!(out.len() > samples * collectors.len() * 10);
        parts = page.take_parts();
        spent = allocations() - before;
    }
    spent
}

#[test]
fn allocations_do_not_grow_with_samples() {
    let formats = [
        Format::default(),
        Format::OpenMetrics(exposition::Escaping::AllowUtf8),
        Format::Protobuf(exposition::Escaping::Underscores),
    ];
    for format in formats {
        let collectors = ["a", "b", "c"];
        let (few, many) = (steady(10, &collectors, format), steady(1000, &collectors, format));
        // Sorting a family takes one buffer of std's where it is long.
        assert!(many <= few + 3 * collectors.len(), "{few} allocations for 10 samples, {many} for 1000 in {format:?}");
        assert!(few <= 3 * collectors.len(), "{few} allocations for {} collectors in {format:?}", collectors.len());
    }
}
