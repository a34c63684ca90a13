//! A collector that fails, panics or hangs costs only itself.
#![allow(clippy::unwrap_used)] // a test fails by panic

use exporter::{
    CollectError, Collector, Cx, Default, Desc, Entry, Flags, Naming, Part, Registry, Scrape, Scraper, entry_flags,
};
use exposition::Page;
use hostfs::Sources;
use std::time::{Duration, Instant};

const VALUE: Desc = Desc::gauge("test_value", "A value.");
const NAMING: Naming =
    Naming { duration: Desc::gauge("test_duration_seconds", "D."), success: Desc::gauge("test_success", "S.") };

struct Does(fn(&mut Part) -> Result<(), CollectError>);

impl Collector for Does {
    fn collect(&self, _: &mut Cx<'_>, out: &mut Part) -> Result<(), CollectError> {
        (self.0)(out)
    }
}

const fn entry(name: &'static str, build: exporter::BuildFn) -> Entry {
    Entry { name, default: Default::On, about: "for this test", flags: &[], build }
}

static ENTRIES: &[Entry] = &[
    entry("fails", |_, _| {
        Ok(Box::new(Does(|out| {
            out.family(&VALUE).sample(&[("from", b"fails")], 1u64);
            Err(CollectError::failed("on purpose"))
        })))
    }),
    entry("hangs", |_, _| {
        Ok(Box::new(Does(|_| {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        })))
    }),
    entry("nothing", |_, _| Ok(Box::new(Does(|_| Err(CollectError::NoData))))),
    entry("panics", |_, _| {
        Ok(Box::new(Does(|out| {
            let none: &[u8] = &[];
            let at = out.len();
            out.family(&VALUE).sample(&[], none[at]);
            Ok(())
        })))
    }),
    entry("works", |_, _| {
        Ok(Box::new(Does(|out| {
            out.family(&VALUE).sample(&[("from", b"works")], 2u64);
            Ok(())
        })))
    }),
];

fn registry(args: &[&str]) -> Registry {
    let switch = |e: &Entry| format!("collector.{}", e.name);
    let declared = entry_flags(ENTRIES, switch);
    let flags = Flags::from_args(&declared, args).unwrap();
    Registry::new(ENTRIES, switch, &flags, false, Sources::live(), NAMING).unwrap()
}

async fn scrape(registry: &Registry, query: &[(&str, &str)], budget: Duration) -> Result<String, String> {
    let query = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let scrape = Scrape { query, deadline: Instant::now() + budget, timeout_seconds: None };
    let parts = registry.scrape(&scrape).await.map_err(|e| format!("{} {}", e.status, e.text))?;
    let (page, conflicts) = Page::merge(parts);
    assert!(conflicts.is_empty(), "{conflicts:?}");
    let mut out = Vec::new();
    page.write_text(&mut out);
    registry.recycle(page.into_parts());
    Ok(String::from_utf8(out).unwrap())
}

fn success(page: &str, name: &str) -> Option<bool> {
    let line = page.lines().find(|l| l.starts_with(&format!("test_success{{collector=\"{name}\"}}")))?;
    Some(line.ends_with(" 1"))
}

#[tokio::test]
async fn each_costs_only_itself() {
    let registry = registry(&[]);
    let start = Instant::now();
    let page = scrape(&registry, &[], Duration::from_secs(1)).await.unwrap();
    let took = start.elapsed();
    assert!((900..4000).contains(&took.as_millis()), "the hanging one takes the whole budget once: {took:?}");
    for (name, worked) in [("fails", false), ("hangs", false), ("nothing", false), ("panics", false), ("works", true)] {
        assert_eq!(success(&page, name), Some(worked), "{name}: {page}");
    }
    assert!(page.contains("test_value{from=\"works\"} 2\n"), "{page}");
    assert!(page.contains("test_value{from=\"fails\"} 1\n"), "what came before the failure is served: {page}");

    // While it hangs nobody starts it again: later scrapes are quick, and no thread is added.
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    for _ in 0..30 {
        let start = Instant::now();
        let page = scrape(&registry, &[], Duration::from_secs(1)).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(900), "not waited for: {:?}", start.elapsed());
        assert_eq!(success(&page, "hangs"), Some(false));
    }
    assert!(threads() <= before + 3, "{} threads, {before} before", threads());

    // Once it has returned, it is asked again.
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let page = scrape(&registry, &[], Duration::from_secs(10)).await.unwrap();
        if success(&page, "hangs") == Some(true) {
            break;
        }
        assert!(Instant::now() < end, "never asked again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn queries_choose_collectors() {
    let registry = registry(&["--no-collector.hangs"]);
    let budget = Duration::from_secs(1);
    let only = scrape(&registry, &[("collect[]", "works")], budget).await.unwrap();
    assert_eq!((success(&only, "works"), success(&only, "fails")), (Some(true), None));
    let without = scrape(&registry, &[("exclude[]", "works")], budget).await.unwrap();
    assert_eq!((success(&without, "works"), success(&without, "fails")), (None, Some(false)));
    for (query, answer) in [
        (
            &[("collect[]", "nosuch")][..],
            "400 Couldn't create filtered metrics handler: couldn't create collector: missing collector: nosuch",
        ),
        (
            &[("collect[]", "hangs")],
            "400 Couldn't create filtered metrics handler: couldn't create collector: disabled collector: hangs",
        ),
        (
            &[("collect[]", "works"), ("exclude[]", "fails")],
            "400 Combined collect and exclude queries are not allowed.",
        ),
    ] {
        assert_eq!(scrape(&registry, query, budget).await.unwrap_err(), answer);
    }
}
