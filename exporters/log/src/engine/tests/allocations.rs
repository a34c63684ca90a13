//! A line whose series exist allocates nothing.

use super::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[allow(unsafe_code, reason = "an allocator cannot be had without")]
// SAFETY: every call goes to the system's allocator with its arguments unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

fn count() {
    // At the end of a thread the counter is gone.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn known_series_cost_no_allocation() {
    let grok = grok(
        "- {type: counter, name: a, help: h, match: '%{COMBINEDAPACHELOG}', labels: {verb: '{{.verb}}', file: '{{.logfile}}'}, retention: 1h}\n\
         - {type: histogram, name: b, help: h, match: '%{COMBINEDAPACHELOG}', value: '{{.bytes}}', labels: {code: '{{.response}}'}}\n\
         - {type: gauge, name: c, help: h, match: 'nothing like it', value: 1, path: /var/log/x}\n",
    );
    for yaml in ["use: [nginx_combined]\n", &*grok] {
        let mut engine = engine(yaml);
        let lines = |engine: &mut Engine| {
            for n in 0..3000 {
                let status = ["200", "404", "500"][n % 3];
                let text = [
                    "1.2.3.4 - - [22/Nov/2026:13:20:21 +0000] \"GET /x HTTP/1.1\" ",
                    status,
                    " 153 \"-\" \"curl/8.5.0\"",
                ];
                let mut bytes = [0; 128];
                let mut len = 0;
                for part in text {
                    bytes[len..len + part.len()].copy_from_slice(part.as_bytes());
                    len += part.len();
                }
                // Some lines fit nothing: the latest are kept in memory that is there.
                let bytes = if n % 50 == 0 { &b"?"[..] } else { &bytes[..len] };
                engine.take(&Line { bytes, file: "/var/log/nginx/access.log", input: "file", extra: None }, at(0));
            }
        };
        lines(&mut engine);
        let before = ALLOCATIONS.get();
        lines(&mut engine);
        assert_eq!(ALLOCATIONS.get() - before, 0, "{yaml}");
        assert_eq!(engine.lines, [5880, 0, 120]);
    }
}
