//! For the tests of collectors: run one on a tree and get its text.

use crate::{CollectError, Collector, Cx, Entry};
use exposition::{Page, Part};
use hostfs::{Buf, Sources};
use service::Flags;
use std::time::{Duration, Instant, SystemTime};

/// Builds a collector with `args` such as `--collector.arp.device-exclude=nope` and returns what it writes.
///
/// # Panics
/// When the flags are refused: the test is wrong then.
pub fn collect(entry: &Entry, args: &[&str], sources: &Sources) -> (String, Result<(), CollectError>) {
    let flags = Flags::from_args(entry.flags, args).unwrap_or_else(|e| panic!("{e}"));
    let collector = (entry.build)(&flags, sources).unwrap_or_else(|e| panic!("{e}"));
    collect_from(collector.as_ref(), sources)
}

/// Runs a collector once and returns what it writes.
pub fn collect_from(collector: &dyn Collector, sources: &Sources) -> (String, Result<(), CollectError>) {
    let (mut buf, mut buf2, mut part) = (Buf::new(), Buf::new(), Part::new());
    let mut cx = Cx {
        sources,
        buf: &mut buf,
        buf2: &mut buf2,
        deadline: Instant::now() + Duration::from_secs(10),
        now: SystemTime::now(),
    };
    let result = collector.collect(&mut cx, &mut part);
    let mut out = Vec::new();
    Page::merge(vec![part]).0.write_text(&mut out);
    (String::from_utf8_lossy(&out).into_owned(), result)
}
