//! The page of the original node exporter, parsed and written again.

#![allow(clippy::unwrap_used, reason = "a test")]

use exposition::{Page, Part, parse_protobuf, parse_text};
use std::path::PathBuf;

fn parity() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../../shared/parity");
    std::env::var_os("BONGSU_PARITY").map_or_else(|| PathBuf::from(beside), PathBuf::from)
}

/// The page without the families that it lists with help and type alone: upstream cut their samples out.
fn without_empty_families(page: &str) -> String {
    let mut kept = String::new();
    let mut pending = String::new();
    for line in page.lines() {
        if line.starts_with("# HELP ") {
            pending.clear();
        }
        pending.push_str(line);
        pending.push('\n');
        if !line.starts_with('#') {
            kept.push_str(&pending);
            pending.clear();
        }
    }
    kept
}

#[test]
fn the_node_exporter_s_page_comes_out_byte_for_byte() {
    let path = parity().join("node/e2e-output.txt");
    let Ok(golden) = std::fs::read_to_string(&path) else {
        println!("skipped: no {}", path.display());
        return;
    };
    let families = parse_text(golden.as_bytes()).unwrap();
    let expected = without_empty_families(&golden);
    assert!(families.len() > 500, "{} families", families.len());

    let mut part = Part::new();
    for f in &families {
        f.emit(&mut part);
    }
    let (page, conflicts) = Page::merge(vec![part]);
    assert_eq!(conflicts, []);
    let mut text = Vec::new();
    page.write_text(&mut text);
    assert_same_lines(&expected, &String::from_utf8(text).unwrap());

    // The same by way of protobuf.
    let mut binary = Vec::new();
    page.write(exposition::Format::Protobuf(exposition::Escaping::AllowUtf8), &mut binary);
    let mut part = Part::new();
    for f in &parse_protobuf(&binary).unwrap() {
        f.emit(&mut part);
    }
    let mut text = Vec::new();
    Page::merge(vec![part]).0.write_text(&mut text);
    assert_same_lines(&expected, &String::from_utf8(text).unwrap());
}

fn assert_same_lines(expected: &str, got: &str) {
    for (expected, got) in expected.lines().zip(got.lines()) {
        assert_eq!(expected, got);
    }
    assert_eq!(expected.len(), got.len());
}
